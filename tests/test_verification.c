/* Numbers of verification against a second way to compute them: every threshold by counting all pairs again.
 */
#include "eval/verification.h"

#include <check.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 6000 };
static float score[MOST];
static int32_t same[MOST], fold[MOST];
static unsigned state;

static double uniform(void) {
    state = state * 1664525u + 1013904223u;
    return (double)(state >> 8) / 0x1p24;
}

static void near(double a, double b, const char *what) {
    ck_assert_msg((isnan(a) && isnan(b)) || (isinf(b) && a == b) || fabs(a - b) <= 1e-12 * fmax(1, fabs(b)),
                  "%s: %.17g, not %.17g", what, a, b);
}

/* ---- the second way ---- */

static int by_score(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

/* Distinct scores of the pairs that are (not) of fold k, the highest first; k < 0: of all. */
static int32_t distinct(int32_t n, int32_t without, float *out) {
    int32_t m = 0, kept = 0;
    for (int32_t i = 0; i < n; i++)
        if (fold[i] != without) out[m++] = score[i];
    qsort(out, (size_t)m, sizeof *out, by_score);
    for (int32_t i = 0; i < m; i++)
        if (kept == 0 || out[i] != out[kept - 1]) out[kept++] = out[i];
    return kept;
}

static void count(int32_t n, int32_t without, double threshold, int32_t *tp, int32_t *fp) {
    *tp = *fp = 0;
    for (int32_t i = 0; i < n; i++) {
        if (fold[i] == without || (double)score[i] < threshold) continue;
        if (same[i])
            ++*tp;
        else
            ++*fp;
    }
}

static double slow_auc(int32_t n) {
    double wins = 0, all = 0;
    for (int32_t i = 0; i < n; i++)
        for (int32_t j = 0; j < n; j++)
            if (same[i] && !same[j]) {
                wins += score[i] > score[j] ? 1 : score[i] == score[j] ? 0.5 : 0;
                all++;
            }
    return wins / all;
}

/* The crossing of false accepts and false rejects along the straight pieces, by bisection in the piece. */
static double slow_eer(int32_t n, int32_t n_same) {
    static float t[MOST];
    int32_t m = distinct(n, -1, t);
    double fa0 = 0, fr0 = 1;
    for (int32_t k = 0; k < m; k++) {
        int32_t tp, fp;
        count(n, -1, (double)t[k], &tp, &fp);
        double fa1 = (double)fp / (n - n_same), fr1 = 1 - (double)tp / n_same;
        if (fa1 >= fr1) {
            double low = 0, high = 1;
            for (int i = 0; i < 200; i++) {
                double middle = (low + high) / 2;
                if (fa0 + middle * (fa1 - fa0) < fr0 + middle * (fr1 - fr0))
                    low = middle;
                else
                    high = middle;
            }
            return fa0 + low * (fa1 - fa0);
        }
        fa0 = fa1;
        fr0 = fr1;
    }
    return NAN;
}

static double slow_tar(int32_t n, int32_t n_same, double far) {
    static float t[MOST];
    int32_t m = distinct(n, -1, t);
    double best = 0;
    if (far * (n - n_same) < 1 - 1e-9) return NAN;
    for (int32_t k = 0; k < m; k++) {
        int32_t tp, fp;
        count(n, -1, (double)t[k], &tp, &fp);
        if (fp <= far * (n - n_same) + 1e-9) best = fmax(best, (double)tp / n_same);
    }
    return best;
}

static double slow_threshold(int32_t n, int32_t k) {
    static float t[MOST];
    int32_t m = distinct(n, k, t), most = -1, tp, fp, negatives = 0;
    double best = NAN;
    for (int32_t i = 0; i < n; i++) negatives += fold[i] != k && !same[i];
    for (int32_t j = -1; j < m; j++) { /* accept none, then down to the j-th score */
        tp = fp = 0;
        if (j >= 0) count(n, k, (double)t[j], &tp, &fp);
        if (tp + negatives - fp <= most) continue;
        most = tp + negatives - fp;
        best = j < 0 ? INFINITY : j == m - 1 ? -INFINITY : ((double)t[j] + (double)t[j + 1]) / 2;
    }
    return best;
}

static void check(int32_t n, int32_t n_folds) {
    ft_verification v;
    int32_t n_same = 0;
    for (int32_t i = 0; i < n; i++) n_same += same[i];
    ck_assert_msg(ft_verification_compute(n, score, same, n_folds, fold, &v) == FT_OK, "%s",
                  ft_err_message());
    ck_assert(v.n == n && v.n_same == n_same);
    bool both = n_same > 0 && n_same < n;
    ck_assert((v.reason == NULL) == both);
    near(v.roc_auc, both ? slow_auc(n) : NAN, "AUC");
    near(v.eer, both ? slow_eer(n, n_same) : NAN, "EER");
    for (int k = 0; k < FT_N_FARS; k++) {
        near(v.tar[k], both ? slow_tar(n, n_same, ft_fars[k]) : NAN, "TAR");
        ck_assert((v.tar_reason[k] != NULL) == isnan(v.tar[k]));
    }
    double sum = 0, squares = 0;
    for (int32_t k = 0; k < n_folds; k++) {
        double threshold = slow_threshold(n, k);
        int32_t right = 0, of_fold = 0;
        for (int32_t i = 0; i < n; i++) {
            if (fold[i] != k) continue;
            of_fold++;
            right += ((double)score[i] >= threshold) == same[i];
        }
        near(v.fold_threshold[k], threshold, "threshold");
        near(v.fold_accuracy[k], (double)right / of_fold, "accuracy of a fold");
        sum += v.fold_accuracy[k];
    }
    for (int32_t k = 0; k < n_folds; k++) squares += pow(v.fold_accuracy[k] - sum / n_folds, 2);
    near(v.accuracy, sum / n_folds, "accuracy");
    near(v.accuracy_error, sqrt(squares / (n_folds - 1)) / sqrt(n_folds), "error");
}

START_TEST(random_problems) {
    state = 7;
    for (int round = 0; round < 200; round++) {
        int32_t n = 20 + (int32_t)(uniform() * 200), n_folds = 2 + round % 9;
        int kind = round % 5; /* spread, few levels, all equal, one class, separable */
        for (int32_t i = 0; i < n; i++) {
            same[i] = kind == 3 ? round % 2 : uniform() < 0.5;
            double s = uniform() + 0.4 * same[i];
            score[i] = (float)(kind == 1   ? floor(4 * s)
                               : kind == 2 ? 0.25
                               : kind == 4 ? same[i] * 10 + s
                                           : s - 0.7);
            fold[i] = i % n_folds;
        }
        check(n, n_folds);
    }
}
END_TEST

START_TEST(like_lfw) { /* ten sets of 300 and 300 */
    state = 99;
    for (int32_t i = 0; i < MOST; i++) {
        fold[i] = i / 600;
        same[i] = i % 600 < 300;
        score[i] = (float)(round(1000 * (uniform() + uniform() + 0.9 * same[i])) / 1000);
    }
    check(MOST, 10);
}
END_TEST

START_TEST(what_cannot_be_told) {
    ft_verification v;
    static const float s[] = {0.1f, 0.2f, 0.3f, 0.9f};
    static const int32_t all[] = {1, 1, 1, 1}, some[] = {0, 0, 1, 1}, sets[] = {0, 0, 0, 1};
    ck_assert_int_eq(ft_verification_compute(4, s, all, 0, NULL, &v), FT_OK);
    ck_assert(isnan(v.roc_auc) && isnan(v.eer) && v.reason && isnan(v.accuracy) && v.accuracy_reason);
    ck_assert_int_eq(ft_verification_compute(4, s, some, 3, sets, &v), FT_OK);
    ck_assert_str_eq(v.accuracy_reason, "a fold has no pair");
    ck_assert(v.roc_auc == 1 && v.eer == 0 && isnan(v.tar[0]));
    ck_assert_int_eq(ft_verification_compute(4, s, some, 65, sets, &v), FT_E_USAGE);
}
END_TEST

int main(void) {
    Suite *s = suite_create("verification");
    TCase *c = tcase_create("verification");
    tcase_set_timeout(c, 120);
    tcase_add_test(c, random_problems);
    tcase_add_test(c, like_lfw);
    tcase_add_test(c, what_cannot_be_told);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}

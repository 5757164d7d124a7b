/* Intervals, comparisons and thresholds: against rows repeated as often as they were drawn, exact
 * probabilities, every threshold tried, and what theory says of the spread.
 */
#include "eval/bootstrap.h"
#include "eval/comparison.h"
#include "eval/ranking.h"
#include "eval/threshold.h"
#include "eval/verification.h"
#include "tensor/par.h"
#include "tensor/rng.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 4000, MOST_CLASSES = 8 };
static float prob[MOST * MOST_CLASSES], other[MOST * MOST_CLASSES];
static int32_t label[MOST];

static void near(double a, double b, double tolerance, const char *what) {
    ck_assert_msg((isnan(a) && isnan(b)) || fabs(a - b) <= tolerance * fmax(1, fabs(b)),
                  "%s: %.17g, not %.17g", what, a, b);
}

/* Rows of k classes that are right with that probability; scores in steps, so that many are equal. */
static void make_rows(ft_rng *g, int32_t n, int32_t k, double right, float *p) {
    for (int32_t i = 0; i < n; i++) {
        double sum = 0, row[MOST_CLASSES];
        int32_t said = ft_rng_uniform(g) < right
                           ? label[i]
                           : (label[i] + 1 + (int32_t)ft_rng_below(g, (uint32_t)k - 1)) % k;
        for (int32_t c = 0; c < k; c++) sum += row[c] = 1 + ft_rng_below(g, 20) + (c == said ? 25 : 0);
        for (int32_t c = 0; c < k; c++) p[i * k + c] = (float)(row[c] / sum);
    }
}

static void make_labels(ft_rng *g, int32_t n, int32_t k) {
    for (int32_t i = 0; i < n; i++) label[i] = i < k ? i : (int32_t)ft_rng_below(g, (uint32_t)k);
}

/* ---- weights ---- */

START_TEST(a_weight_is_a_row_as_often) {
    enum { N = 120 };
    static float repeated[N * 3 * MOST_CLASSES];
    static int32_t repeated_label[N * 3];
    ft_rng g = ft_rng_stream(3, 1);
    for (int32_t k = 2; k <= MOST_CLASSES; k++) {
        make_labels(&g, N, k);
        make_rows(&g, N, k, 0.6, prob);
        uint8_t weight[N];
        int32_t n = 0;
        for (int32_t i = 0; i < N; i++) {
            weight[i] = (uint8_t)(i < k ? 1 : ft_rng_below(&g, 4)); /* every class once at least */
            for (int32_t w = 0; w < weight[i]; w++, n++) {
                memcpy(repeated + n * k, prob + i * k, (size_t)k * sizeof *prob);
                repeated_label[n] = label[i];
            }
        }
        ft_metrics want, got;
        ft_scored s;
        ft_ranking r;
        int64_t area[MOST_CLASSES];
        ck_assert_int_eq(ft_metrics_compute(&want, n, k, repeated, repeated_label), FT_OK);
        ck_assert_int_eq(ft_scored_init(&s, N, k, prob, label), FT_OK);
        ck_assert_int_eq(ft_metrics_begin(&got, k), FT_OK);
        ck_assert_int_eq(ft_ranking_init(&r, N), FT_OK);
        ft_metrics_count(&got, &s, weight);
        for (int32_t c = 0; c < k; c++) {
            ft_ranking_fill(&r, N, prob + c, k, label, c);
            double precision = ft_ranking_weighted(&r, label, weight, k, area);
            ft_metrics_rank(&got, c, area, precision);
        }
        ft_metrics_finish(&got);
        ck_assert_int_eq(got.n, n);
        for (int i = 0; i < FT_N_METRICS; i++)
            near(ft_metric_value(&got, i), ft_metric_value(&want, i), 1e-12, ft_metric_name(i));
        for (int32_t c = 0; c < k; c++)
            for (int i = 0; i < FT_N_CLASS_METRICS; i++)
                near(ft_class_metric_value(&got.per_class[c], i),
                     ft_class_metric_value(&want.per_class[c], i), 1e-12, ft_class_metric_name(i));
        ft_ranking_free(&r);
        ft_scored_free(&s);
        ft_metrics_free(&got);
        ft_metrics_free(&want);
    }
}
END_TEST

/* ---- intervals ---- */

START_TEST(percentiles_are_numpys) {
    double x[] = {5, 1, 4, 2, 3};
    ft_interval i = ft_percentile_interval(x, 5, 0.5);
    near(i.low, 2, 0, "low");
    near(i.high, 4, 0, "high");
    i = ft_percentile_interval(x, 5, 0.95); /* numpy.percentile([1 .. 5], [2.5, 97.5]) */
    near(i.low, 1.1, 1e-15, "low");
    near(i.high, 4.9, 1e-15, "high");
    x[2] = NAN;
    ck_assert(isnan(ft_percentile_interval(x, 5, 0.5).low));
}
END_TEST

START_TEST(intervals_are_as_wide_as_theory_says) {
    enum { N = 2000, K = 4 };
    ft_rng g = ft_rng_stream(4, 1);
    ft_metrics m;
    make_labels(&g, N, K);
    make_rows(&g, N, K, 0.8, prob);
    ck_assert_int_eq(ft_metrics_compute(&m, N, K, prob, label), FT_OK);
    ck_assert_int_eq(ft_metrics_intervals(&m, prob, label, 4000, 7), FT_OK);
    double variance = 0;
    for (int32_t c = 0; c < K; c++)
        variance += m.per_class[c].support * m.per_class[c].recall * (1 - m.per_class[c].recall);
    double error = sqrt(variance) / N;
    near(m.interval[FT_METRIC_accuracy].low, m.accuracy - 1.96 * error, 0.1 * error, "low");
    near(m.interval[FT_METRIC_accuracy].high, m.accuracy + 1.96 * error, 0.1 * error, "high");
    ck_assert_int_eq(m.replicates, 4000);
    for (int i = 0; i < FT_N_METRICS; i++) {
        if (!ft_metric_applies(&m, i) || i == FT_METRIC_calibration_error)
            continue; /* which is biased upwards */
        ft_interval interval = ft_metric_interval(&m, i);
        double x = ft_metric_value(&m, i);
        ck_assert_msg(interval.low < x && x < interval.high, "%s: %g not in %g to %g", ft_metric_name(i), x,
                      interval.low, interval.high);
    }
    ft_metrics_free(&m);
}
END_TEST

START_TEST(intervals_are_the_same_for_any_threads) {
    enum { N = 300, K = 3 };
    ft_rng g = ft_rng_stream(5, 1);
    make_labels(&g, N, K);
    make_rows(&g, N, K, 0.7, prob);
    ft_bootstrap want, got;
    ft_threads_set(1);
    ck_assert_int_eq(ft_bootstrap_run(&want, N, K, prob, label, 50, 1), FT_OK);
    for (int32_t threads = 2; threads <= 3; threads++) {
        ft_threads_set(threads);
        ck_assert_int_eq(ft_bootstrap_run(&got, N, K, prob, label, 50, 1), FT_OK);
        ck_assert_mem_eq(got.values, want.values, 50 * FT_N_METRICS * sizeof(double));
        ft_bootstrap_free(&got);
    }
    ck_assert_int_eq(ft_bootstrap_run(&got, N, K, prob, label, 50, 2), FT_OK);
    ck_assert_mem_ne(got.values, want.values, 50 * FT_N_METRICS * sizeof(double));
    ft_bootstrap_free(&got);
    ft_bootstrap_free(&want);
}
END_TEST

START_TEST(an_undefined_number_has_no_interval) {
    enum { N = 20 };
    for (int32_t i = 0; i < N; i++) {
        label[i] = 0; /* of class 1 there is none */
        prob[2 * i] = 0.5f + 0.01f * (float)i;
        prob[2 * i + 1] = 1 - prob[2 * i];
    }
    ft_metrics m;
    ck_assert_int_eq(ft_metrics_compute(&m, N, 2, prob, label), FT_OK);
    ck_assert_int_eq(ft_metrics_intervals(&m, prob, label, 20, 1), FT_OK);
    ck_assert(isnan(m.roc_auc) && isnan(ft_metric_interval(&m, FT_METRIC_roc_auc).low));
    ck_assert(m.accuracy == 1 && ft_metric_interval(&m, FT_METRIC_accuracy).low == 1);
    ft_metrics_free(&m);
}
END_TEST

START_TEST(heads_have_intervals) {
    enum { N = 1500 };
    static float truth[N * 2], said[N * 2];
    ft_rng g = ft_rng_stream(6, 1);
    for (int32_t i = 0; i < N; i++) {
        truth[i] = (float)(50 * ft_rng_uniform(&g));
        said[i] = truth[i] + (float)ft_rng_normal(&g);
    }
    ft_regression r;
    ft_multilabel m;
    ft_interval interval[FT_HEAD_NUMBERS];
    ft_regression_compute(&r, N, said, truth);
    ck_assert_int_eq(ft_head_intervals(&(ft_head_result){.numbers = &r, .prediction = said, .truth = truth},
                                       1000, 1, interval),
                     FT_OK);
    /* |x| of a standard normal: mean sqrt(2/pi), deviation sqrt(1 - 2/pi) */
    double error = sqrt((1 - 2 / M_PI) / N);
    near(interval[0].low, r.mae - 1.96 * error, 0.3 * error, "mae low");
    near(interval[0].high, r.mae + 1.96 * error, 0.3 * error, "mae high");
    for (int32_t i = 0; i < 2 * N; i++) {
        truth[i] = ft_rng_uniform(&g) < 0.3;
        said[i] = (float)(0.3 * (double)truth[i] + 0.7 * ft_rng_uniform(&g));
    }
    ck_assert_int_eq(ft_multilabel_compute(&m, N, 2, said, truth), FT_OK);
    ck_assert_int_eq(
        ft_head_intervals(&(ft_head_result){.multilabel = &m, .prediction = said, .truth = truth}, 1000, 1,
                          interval),
        FT_OK);
    error = sqrt(m.accuracy * (1 - m.accuracy) / N);
    near(interval[0].low, m.accuracy - 1.96 * error, 0.3 * error, "low");
    near(interval[0].high, m.accuracy + 1.96 * error, 0.3 * error, "high");
}
END_TEST

START_TEST(pairs_have_intervals) {
    enum { N = 1000 };
    ft_rng g = ft_rng_stream(8, 1);
    for (int32_t i = 0; i < N; i++) {
        label[i] = i % 2;
        prob[i] = (float)(ft_rng_normal(&g) + label[i]);
    }
    ft_verification v;
    ck_assert_int_eq(ft_verification_compute(N, prob, label, 0, NULL, &v), FT_OK);
    ck_assert(isnan(v.eer_interval.low));
    ck_assert_int_eq(ft_verification_intervals(N, prob, label, 1000, 1, &v), FT_OK);
    ck_assert(v.roc_auc_interval.low < v.roc_auc && v.roc_auc < v.roc_auc_interval.high);
    ck_assert(v.eer_interval.low < v.eer && v.eer < v.eer_interval.high);
    /* Hanley, McNeil 1982, equation 2 */
    double a = v.roc_auc, q1 = a / (2 - a), q2 = 2 * a * a / (1 + a), half = N / 2.0;
    double error =
        sqrt((a * (1 - a) + (half - 1) * (q1 - a * a) + (half - 1) * (q2 - a * a)) / (half * half));
    near(v.roc_auc_interval.high - v.roc_auc_interval.low, 2 * 1.96 * error, 0.2 * error, "width");
}
END_TEST

/* ---- two models ---- */

START_TEST(mcnemar_by_enumeration) {
    static const double pascal[11] = {1, 10, 45, 120, 210, 252, 210, 120, 45, 10, 1};
    double sum = 0;
    for (int64_t fewer = 0; fewer <= 5; fewer++) {
        sum += pascal[fewer];
        near(ft_binomial_two_sided(fewer, 10), fmin(1, 2 * sum / 1024), 1e-13, "p");
    }
    near(ft_binomial_two_sided(0, 0), 1, 0, "p of nothing");
    near(ft_binomial_two_sided(0, 40), ldexp(1, -39), 1e-13, "p");
    /* scipy.stats.binomtest(4900, 10000).pvalue */
    near(ft_binomial_two_sided(4900, 10000), 0.046585527704947234, 1e-9, "p");
}
END_TEST

START_TEST(a_model_is_no_better_than_itself) {
    enum { N = 400, K = 5 };
    ft_rng g = ft_rng_stream(9, 1);
    ft_comparison c;
    make_labels(&g, N, K);
    make_rows(&g, N, K, 0.6, prob);
    ck_assert_int_eq(ft_comparison_compute(&c, N, K, prob, prob, label, 100, 1), FT_OK);
    ck_assert(c.mcnemar_p == 1 && c.only_a == 0 && c.only_b == 0 && c.both_right + c.both_wrong == N);
    for (int i = 0; i < FT_N_METRICS; i++)
        if (ft_metric_applies(&c.a, i))
            ck_assert(c.difference[i] == 0 && c.interval[i].low == 0 && c.interval[i].high == 0);
    ft_comparison_free(&c);
}
END_TEST

START_TEST(a_better_model_is_found_and_pairing_helps) {
    enum { N = 2000, K = 4 };
    ft_rng g = ft_rng_stream(10, 1);
    ft_comparison c;
    make_labels(&g, N, K);
    make_rows(&g, N, K, 0.7, prob);
    memcpy(other, prob, sizeof other);
    int32_t mended = 0;
    for (int32_t i = 0; i < N && mended < 60; i++) { /* b is a with some mistakes put right */
        if (ft_argmax(prob + i * K, K) == label[i]) continue;
        for (int32_t k = 0; k < K; k++) other[i * K + k] = k == label[i] ? 0.7f : 0.1f;
        mended++;
    }
    ck_assert_int_eq(ft_comparison_compute(&c, N, K, prob, other, label, 1000, 1), FT_OK);
    ck_assert_int_eq(c.only_b, mended);
    ck_assert_int_eq(c.only_a, 0);
    ck_assert(c.mcnemar_p < 1e-12);
    ft_interval difference = c.interval[FT_METRIC_accuracy];
    near(c.difference[FT_METRIC_accuracy], (double)mended / N, 1e-12, "difference");
    ck_assert(difference.low > 0);
    double error =
        sqrt((double)mended) / N; /* of a count of mended rows; each model alone has sqrt(0.2 / N) */
    near(difference.high - difference.low, 2 * 1.96 * error, 0.3 * error, "width");
    ft_comparison_free(&c);
}
END_TEST

/* ---- thresholds ---- */

START_TEST(thresholds_are_the_best_there_are) {
    enum { N = 150 };
    ft_rng g = ft_rng_stream(11, 1);
    for (int turn = 0; turn < 40; turn++) {
        for (int32_t i = 0; i < N; i++) {
            label[i] = ft_rng_uniform(&g) < 0.3;
            prob[i] = (float)(ft_rng_below(&g, turn % 2 ? 12 : 1000) + (label[i] ? 4 : 0)) / 1100;
        }
        ft_thresholds t = {.wanted = 0.1};
        ck_assert_int_eq(ft_thresholds_choose(&t, N, prob, 1, label, "val"), FT_OK);
        ft_thresholds_apply(&t, N, prob, 1, label);
        double best_f1 = 0, best_youden = 0, best_recall[2] = {0, 0};
        static const double limits[] = {0.1, 0.01};
        for (int32_t j = 0; j < N; j++) { /* every score as the threshold */
            double tp = 0, fp = 0, positives = 0;
            for (int32_t i = 0; i < N; i++) {
                positives += label[i];
                tp += prob[i] >= prob[j] && label[i];
                fp += prob[i] >= prob[j] && !label[i];
            }
            best_f1 = fmax(best_f1, 2 * tp / (tp + fp + positives));
            best_youden = fmax(best_youden, tp / positives - fp / (N - positives));
            for (int l = 0; l < 2; l++)
                if (fp / (N - positives) <= limits[l]) best_recall[l] = fmax(best_recall[l], tp / positives);
        }
        near(t.rule[FT_RULE_max_f1].f1, best_f1, 1e-12, "F1");
        ck_assert(t.rule[FT_RULE_fpr_wanted].threshold == t.rule[FT_RULE_fpr_10].threshold ||
                  isnan(t.rule[FT_RULE_fpr_10].threshold));
        near(t.rule[FT_RULE_max_youden].youden, best_youden, 1e-12, "Youden");
        for (int l = 0; l < 2; l++) {
            const ft_threshold *at = &t.rule[FT_RULE_fpr_10 + l];
            if (best_recall[l] == 0) {
                ck_assert(isnan(at->threshold) && at->reason && isnan(at->f1));
                continue;
            }
            ck_assert(at->fpr <= limits[l]);
            near(at->recall, best_recall[l], 1e-12, "recall");
        }
    }
}
END_TEST

START_TEST(thresholds_of_one_class_are_undefined) {
    for (int32_t i = 0; i < 10; i++) {
        label[i] = 1;
        prob[i] = (float)i / 10;
    }
    ft_thresholds t = {0};
    ck_assert_int_eq(ft_thresholds_choose(&t, 10, prob, 1, label, "val"), FT_OK);
    ft_thresholds_apply(&t, 10, prob, 1, label);
    for (int rule = 0; rule < FT_N_RULES; rule++)
        for (int i = 0; i < FT_N_THRESHOLD_NUMBERS; i++)
            ck_assert(isnan(ft_threshold_value(&t.rule[rule], i)) && ft_threshold_reason(&t.rule[rule], i));
}
END_TEST

int main(void) {
    Suite *s = suite_create("bootstrap");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, a_weight_is_a_row_as_often);
    tcase_add_test(t, percentiles_are_numpys);
    tcase_add_test(t, intervals_are_as_wide_as_theory_says);
    tcase_add_test(t, intervals_are_the_same_for_any_threads);
    tcase_add_test(t, an_undefined_number_has_no_interval);
    tcase_add_test(t, heads_have_intervals);
    tcase_add_test(t, pairs_have_intervals);
    tcase_add_test(t, mcnemar_by_enumeration);
    tcase_add_test(t, a_model_is_no_better_than_itself);
    tcase_add_test(t, a_better_model_is_found_and_pairing_helps);
    tcase_add_test(t, thresholds_are_the_best_there_are);
    tcase_add_test(t, thresholds_of_one_class_are_undefined);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Metrics against scikit-learn on random problems (golden/make_metrics.py), by hand, and the files they are
 * written to. */
#include "eval/bootstrap.h"
#include "eval/metrics.h"
#include "eval/metrics_json.h"
#include "eval/predictions.h"
#include "eval/ranking.h"
#include "eval/terminal.h"
#include "tensor/rng.h"

#include <check.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const double TOLERANCE = 1e-12;

static void assert_near(double got, double want, const char *where, const char *what) {
    if (isnan(want) && isnan(got)) return;
    double err = fabs(got - want);
    ck_assert_msg(err <= TOLERANCE * fmax(1, fabs(want)), "%s: %s is %.17g, should be %.17g", where, what,
                  got, want);
}

/* ---- golden problems ---- */

typedef struct {
    char name[64];
    int64_t n;
    int32_t k;
    float *prob;
    int32_t *label;
} problem;

static int read_problem(FILE *f, problem *p) {
    char word[64];
    ck_assert_int_eq(fscanf(f, "%63s", word), 1);
    if (strcmp(word, "end") == 0) return 0;
    ck_assert_str_eq(word, "problem");
    ck_assert_int_eq(fscanf(f, "%63s %ld %d", p->name, &p->n, &p->k), 3);
    p->prob = malloc((size_t)(p->n * p->k) * sizeof(float));
    p->label = malloc((size_t)p->n * sizeof(int32_t));
    int64_t numbers = 0; /* asserted once: each assertion is a system call */
    for (int64_t i = 0; i < p->n; i++) {
        numbers += fscanf(f, "%d", &p->label[i]) == 1;
        for (int32_t c = 0; c < p->k; c++) numbers += fscanf(f, "%f", &p->prob[i * p->k + c]) == 1;
    }
    ck_assert_int_eq(numbers, p->n * (1 + p->k));
    return 1;
}

static void free_problem(problem *p) {
    free(p->prob);
    free(p->label);
}

static int metric_index(const char *name) {
    for (int i = 0; i < FT_N_METRICS; i++)
        if (strcmp(ft_metric_name(i), name) == 0) return i;
    ck_abort_msg("no metric '%s'", name);
}

static void check_headline(FILE *f, const problem *p, const ft_metrics *m) {
    int n_metrics, seen[FT_N_METRICS] = {0};
    ck_assert_int_eq(fscanf(f, " metrics %d", &n_metrics), 1);
    for (int i = 0; i < n_metrics; i++) {
        char name[64];
        double want;
        ck_assert_int_eq(fscanf(f, "%63s %lf", name, &want), 2);
        int at = metric_index(name);
        seen[at] = 1;
        assert_near(ft_metric_value(m, at), want, p->name, name);
        ck_assert_msg((m->reason[at] != NULL) == (isnan(want) && ft_metric_applies(m, at)),
                      "%s: reason of %s", p->name, name);
    }
    for (int i = 0; i < FT_N_METRICS; i++)
        ck_assert_msg(seen[i] || !ft_metric_applies(m, i), "%s", ft_metric_name(i));
}

static void check_classes(FILE *f, const problem *p, const ft_metrics *m) {
    for (int32_t c = 0; c < p->k; c++) {
        int support;
        ck_assert_int_eq(fscanf(f, " class %d", &support), 1);
        ck_assert_int_eq(m->per_class[c].support, support);
        for (int i = 0; i < FT_N_CLASS_METRICS; i++) {
            double want;
            ck_assert_int_eq(fscanf(f, "%lf", &want), 1);
            assert_near(ft_class_metric_value(&m->per_class[c], i), want, p->name, ft_class_metric_name(i));
            ck_assert_int_eq(ft_class_metric_reason(m, c, i) != NULL, isnan(want));
        }
    }
    int32_t same = 0;
    for (int32_t i = 0, want; i < p->k * p->k; i++)
        same += fscanf(f, "%d", &want) == 1 && m->confusion[i] == want;
    ck_assert_msg(same == p->k * p->k, "%s: %d of %d numbers of the confusion matrix", p->name, same,
                  p->k * p->k);
}

static void check_roc(FILE *f, const problem *p) {
    int64_t n_points;
    ck_assert_int_eq(fscanf(f, " roc %ld", &n_points), 1);
    if (n_points == 0) return;
    ft_ranking r;
    ck_assert_int_eq(ft_ranking_init(&r, p->n), FT_OK);
    ft_ranking_fill(&r, p->n, p->prob, p->k, p->label, 0);
    ck_assert_int_eq(r.n_points, n_points);
    for (int64_t i = 0; i < n_points; i++) {
        double fpr, tpr;
        ck_assert_int_eq(fscanf(f, "%lf %lf", &fpr, &tpr), 2);
        assert_near((double)r.fp[i] / (double)r.n_neg, fpr, p->name, "fpr");
        assert_near((double)r.tp[i] / (double)r.n_pos, tpr, p->name, "tpr");
        ck_assert(i == 0 || r.threshold[i] < r.threshold[i - 1]);
    }
    ft_ranking_free(&r);
}

START_TEST(golden) {
    FILE *f = fopen("tests/golden/metrics.txt", "r");
    ck_assert_ptr_nonnull(f);
    problem p;
    int n_problems = 0;
    for (; read_problem(f, &p); n_problems++) {
        ft_metrics m;
        ck_assert_msg(ft_metrics_compute(&m, p.n, p.k, p.prob, p.label) == FT_OK, "%s: %s", p.name,
                      ft_err_message());
        check_headline(f, &p, &m);
        check_classes(f, &p, &m);
        check_roc(f, &p);
        ft_metrics_free(&m);
        free_problem(&p);
    }
    fclose(f);
    ck_assert_int_ge(n_problems, 240);
}
END_TEST

/* ---- by hand ---- */

/* The probability that a random positive scores above a random negative, equals counting half: the definition
 * of AUC. */
START_TEST(auc_is_the_pair_probability) {
    enum { N = 500 };
    static const float values[] = {-1e30f, -2, -1e-40f, -0.0f, 0.0f, 1e-40f, 0.5f, 1, 1e30f};
    float score[N];
    int32_t label[N];
    ft_rng g = ft_rng_stream(7, 0);
    double wins = 0, pairs = 0;
    for (int i = 0; i < N; i++) {
        score[i] = values[ft_rng_below(&g, 9)];
        label[i] = (int32_t)ft_rng_below(&g, 3);
    }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            if (label[i] == 2 && label[j] != 2) {
                pairs++;
                wins += score[i] > score[j] ? 1 : score[i] == score[j] ? 0.5 : 0;
            }
    ft_ranking r;
    ck_assert_int_eq(ft_ranking_init(&r, N), FT_OK);
    ft_ranking_fill(&r, N, score, 1, label, 2);
    assert_near(ft_ranking_roc_auc(&r), wins / pairs, "pairs", "AUC");
    ck_assert_int_eq(r.n_points, 1 + 8); /* -0 and +0 are one score */
    ck_assert(r.threshold[1] == 1e30f && r.threshold[8] == -1e30f && isinf(r.threshold[0]));
    ft_ranking_free(&r);
}
END_TEST

START_TEST(prediction_is_the_first_maximum) {
    const float p[] = {0.1f, 0.4f, 0.4f, 0.1f};
    ck_assert_int_eq(ft_argmax(p, 4), 1);
    const int32_t label[] = {1};
    ft_scored s;
    ck_assert_int_eq(ft_scored_init(&s, 1, 4, p, label), FT_OK);
    ck_assert_int_eq(s.ahead[0], 1); /* scikit-learn's top_k_accuracy_score ranks the last of equals first */
    ft_scored_free(&s);
}
END_TEST

START_TEST(order_by_f1) {
    /* F1: class 0 1, class 1 0 (never predicted), class 2 undefined, class 3 0.5 */
    const float p[] = {1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1};
    const int32_t label[] = {0, 1, 3, 1};
    ft_metrics m;
    ck_assert_int_eq(ft_metrics_compute(&m, 4, 4, p, label), FT_OK);
    int32_t order[4];
    ft_metrics_order_by_f1(&m, order);
    const int32_t want[] = {1, 3, 0, 2};
    for (int i = 0; i < 4; i++) ck_assert_int_eq(order[i], want[i]);
    ft_metrics_free(&m);
}
END_TEST

START_TEST(errors) {
    float p[] = {0.5f, 0.5f, 0.25f, 0.75f};
    int32_t label[] = {0, 1};
    ft_metrics m;
    ck_assert_int_eq(ft_metrics_compute(&m, 0, 2, p, label), FT_E_DATA);
    ck_assert_int_eq(ft_metrics_compute(&m, 4, 1, p, label), FT_E_DATA);
    label[1] = 2;
    ck_assert_int_eq(ft_metrics_compute(&m, 2, 2, p, label), FT_E_DATA);
    ck_assert_ptr_nonnull(strstr(ft_err_message(), "label 2 of example 1"));
    label[1] = -1;
    ck_assert_int_eq(ft_metrics_compute(&m, 2, 2, p, label), FT_E_DATA);
    label[1] = 1;
    p[2] = NAN;
    ck_assert_int_eq(ft_metrics_compute(&m, 2, 2, p, label), FT_E_NUMERIC);
    ck_assert_ptr_null(m.confusion);
}
END_TEST

/* ---- files ---- */

static char folder[64];

static void make_folder(void) {
    strcpy(folder, "/tmp/facet-metrics-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}
static void remove_folder(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}
static const char *in_folder(const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void assert_json_number(const json_t *o, const char *key, double want) {
    const json_t *v = json_object_get(o, key);
    ck_assert_msg(v != NULL, "no '%s'", key);
    if (isnan(want))
        ck_assert_msg(json_is_null(v), "'%s' should be null", key);
    else
        ck_assert_msg(json_number_value(v) == want, "'%s' is %.17g, not %.17g", key, json_number_value(v),
                      want);
}

static const char *const odd_names[] = {"na\"ve \\ one\n", "\xc3\xa9t\xc3\xa9 \xf0\x9f\x90\x88",
                                        "\x01\xff, x"};

START_TEST(json_reads_back) {
    const float p[] = {0.7f, 0.2f, 0.1f, 0.3f, 0.6f, 0.1f, 0.3f, 0.4f, 0.3f};
    const int32_t label[] = {0, 1, 0};
    ft_metrics m;
    ck_assert_int_eq(ft_metrics_compute(&m, 3, 3, p, label), FT_OK);
    ft_metrics_file file = {.split = "test", .loss = NAN, .metrics = &m, .class_names = odd_names};
    ck_assert_int_eq(ft_metrics_json_write(in_folder("metrics.json"), &file), FT_OK);

    json_error_t error;
    json_t *root = json_load_file(in_folder("metrics.json"), JSON_REJECT_DUPLICATES, &error);
    ck_assert_msg(root != NULL, "line %d: %s", error.line, error.text);
    for (int i = 0; i < FT_N_METRICS; i++) {
        if (ft_metric_applies(&m, i))
            assert_json_number(root, ft_metric_name(i), ft_metric_value(&m, i));
        else
            ck_assert_ptr_null(json_object_get(root, ft_metric_name(i)));
    }
    assert_json_number(root, "n", 3);
    assert_json_number(root, "loss", NAN);
    ck_assert_str_eq(json_string_value(json_object_get(root, "split")), "test");
    json_t *undefined = json_object_get(root, "undefined"), *classes = json_object_get(root, "per_class");
    ck_assert_uint_eq(json_array_size(classes), 3);
    for (int32_t c = 0; c < 3; c++) {
        json_t *one = json_array_get(classes, (size_t)c);
        assert_json_number(one, "support", m.per_class[c].support);
        for (int i = 0; i < FT_N_CLASS_METRICS; i++) {
            char key[64];
            snprintf(key, sizeof key, "per_class[%d].%s", c, ft_class_metric_name(i));
            double value = ft_class_metric_value(&m.per_class[c], i);
            assert_json_number(one, ft_class_metric_name(i), value);
            ck_assert_int_eq(json_object_get(undefined, key) != NULL, isnan(value));
        }
        json_t *row = json_array_get(json_object_get(root, "confusion"), (size_t)c);
        for (int32_t d = 0; d < 3; d++)
            ck_assert_int_eq(json_integer_value(json_array_get(row, (size_t)d)), m.confusion[c * 3 + d]);
    }
    ck_assert_ptr_nonnull(json_object_get(undefined, "roc_auc_ovr_macro"));
    ck_assert_ptr_nonnull(json_object_get(undefined, "per_class[2].recall"));
    const char *last = json_string_value(json_object_get(json_array_get(classes, 2), "name"));
    ck_assert_str_eq(last, "\x01\xef\xbf\xbd, x");
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(classes, 0), "name")), odd_names[0]);
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(classes, 1), "name")), odd_names[1]);
    json_decref(root);
    ft_metrics_free(&m);
}
END_TEST

START_TEST(json_two_classes) {
    const float p[] = {0.7f, 0.3f, 0.4f, 0.6f, 0.2f, 0.8f};
    const int32_t label[] = {0, 1, 0};
    const char *const names[] = {"no", "yes"};
    ft_metrics m;
    ck_assert_int_eq(ft_metrics_compute(&m, 3, 2, p, label), FT_OK);
    ft_thresholds t = {0};
    ck_assert_int_eq(ft_thresholds_choose(&t, 3, p + 1, 2, label, "val"), FT_OK);
    ft_thresholds_apply(&t, 3, p + 1, 2, label);
    ck_assert_int_eq(ft_metrics_intervals(&m, p, label, 20, 1), FT_OK);
    ft_metrics_file file = {
        .split = "val", .n_bad = 2, .loss = 0.5, .metrics = &m, .class_names = names, .thresholds = &t};
    ck_assert_int_eq(ft_metrics_json_write(in_folder("two.json"), &file), FT_OK);
    json_t *root = json_load_file(in_folder("two.json"), JSON_REJECT_DUPLICATES, NULL);
    assert_json_number(json_object_get(root, "precision"), "value", 0.5);
    assert_json_number(json_object_get(root, "recall"), "value", 1);
    assert_json_number(json_object_get(root, "recall"), "low", 1);
    assert_json_number(json_object_get(root, "roc_auc"), "value", 0.5);
    assert_json_number(json_object_get(root, "roc_auc"), "high", m.interval[FT_METRIC_roc_auc].high);
    assert_json_number(root, "loss", 0.5);
    assert_json_number(root, "n_bad", 2);
    json_t *thresholds = json_object_get(root, "thresholds"), *f1 = json_object_get(thresholds, "max_f1");
    ck_assert_str_eq(json_string_value(json_object_get(thresholds, "chosen_on")), "val");
    assert_json_number(f1, "threshold", (double)0.6f);
    assert_json_number(f1, "recall", 1);
    assert_json_number(f1, "f1", 2.0 / 3);
    assert_json_number(json_object_get(thresholds, "fpr_1"), "threshold", NAN);
    assert_json_number(json_object_get(root, "bootstrap"), "replicates", 20);
    json_t *undefined = json_object_get(root, "undefined");
    ck_assert_ptr_nonnull(json_object_get(undefined, "thresholds.fpr_1.threshold"));
    ck_assert_ptr_null(json_object_get(undefined, "precision"));
    json_decref(root);
    ft_metrics_free(&m);
}
END_TEST

static char *read_file(const char *path) {
    FILE *f = fopen(path, "rb");
    ck_assert_ptr_nonnull(f);
    char *text = calloc(1, 1 << 16);
    size_t n = fread(text, 1, (1 << 16) - 1, f);
    text[n] = '\0';
    fclose(f);
    return text;
}

START_TEST(predictions) {
    const float p[] = {0.1f, 0.9f, 1.0f / 3, 0.25f};
    const int32_t label[] = {0, -1};
    const char *const paths[] = {"a,b.png", "c\"d.png"};
    const char *const names[] = {"x", "y\nz"};
    ck_assert_int_eq(ft_predictions_write(in_folder("p.csv"), 2, 2, paths, label, p, names, 0, NULL), FT_OK);
    char *text = read_file(in_folder("p.csv"));
    ck_assert_str_eq(text, "path,label,prediction,x,\"y\nz\"\n"
                           "\"a,b.png\",x,\"y\nz\",0.100000001,0.899999976\n"
                           "\"c\"\"d.png\",,x,0.333333343,0.25\n");
    free(text);
}
END_TEST

START_TEST(terminal_fits_a_screen) {
    enum { K = 30, N = 90 };
    static float p[N * K];
    static int32_t label[N];
    const char *names[K];
    for (int c = 0; c < K; c++) names[c] = c == 29 ? "caf\xc3\xa9 \x1b[31m with a very long name" : "class";
    for (int i = 0; i < N; i++) {
        label[i] = i % K;
        p[i * K + (label[i] == 29 ? 3 : label[i])] = 1; /* class 29 is always taken for class 3 */
    }
    ft_metrics m;
    ck_assert_int_eq(ft_metrics_compute(&m, N, K, p, label), FT_OK);
    char *text;
    size_t bytes;
    FILE *f = open_memstream(&text, &bytes);
    ck_assert_int_eq(ft_metrics_print(f, &m, names, "test", 0.25), FT_OK);
    fclose(f);
    int lines = 0, columns = 0;
    for (const char *s = text; *s; s++) {
        ck_assert((unsigned char)*s >= 0x20 || *s == '\n');
        if (*s == '\n') {
            ck_assert_int_lt(columns, 80);
            columns = 0;
            lines++;
        } else if (((unsigned char)*s & 0xC0) != 0x80)
            columns++;
    }
    ck_assert_int_le(lines, 20 + 16);
    ck_assert_ptr_nonnull(strstr(text, "test: 90 examples, 30 classes"));
    ck_assert_ptr_nonnull(strstr(text, "Top-5 accuracy"));
    char *table = strstr(text, "class  "),
         *worst = strstr(text, "caf\xc3\xa9 ?[31m with a very \xe2\x80\xa6");
    ck_assert_ptr_nonnull(worst);
    ck_assert_ptr_eq(strchr(table, '\n') + 3, worst); /* the first row: its F1 is 0 */
    free(text);
    ft_metrics_free(&m);
}
END_TEST

int main(void) {
    Suite *s = suite_create("metrics");
    TCase *numbers = tcase_create("numbers"), *files = tcase_create("files");
    tcase_add_test(numbers, golden);
    tcase_add_test(numbers, auc_is_the_pair_probability);
    tcase_add_test(numbers, prediction_is_the_first_maximum);
    tcase_add_test(numbers, order_by_f1);
    tcase_add_test(numbers, errors);
    tcase_add_unchecked_fixture(files, make_folder, remove_folder);
    tcase_add_test(files, json_reads_back);
    tcase_add_test(files, json_two_classes);
    tcase_add_test(files, predictions);
    tcase_add_test(files, terminal_fits_a_screen);
    suite_add_tcase(s, numbers);
    suite_add_tcase(s, files);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Several heads: numbers of regression and of several classes against their definitions, and runs on a list
 * with four columns to learn, through all tools.
 */
#include "eval/multilabel.h"
#include "eval/regression.h"
#include "tests/json_testing.h"
#include "tests/train_testing.h"

#include <math.h>

static unsigned state = 1;
static double uniform(void) {
    state = state * 1664525u + 1013904223u;
    return (double)(state >> 8) / 0x1p24;
}

static void near(double a, double b) {
    ck_assert_msg((isnan(a) && isnan(b)) || fabs(a - b) <= 1e-9 * fmax(1, fabs(b)), "%.12g, not %.12g", a, b);
}

/* ---- metrics ---- */

START_TEST(regression) {
    static float p[200], t[200];
    for (int turn = 0; turn < 50; turn++) {
        int n = 2 + turn * 3;
        long double sp = 0, st = 0, spp = 0, stt = 0, spt = 0, se = 0, sa = 0;
        for (int i = 0; i < n; i++) {
            t[i] = (float)(100 * uniform());
            p[i] = (float)((double)t[i] * uniform() + 5);
            sp += p[i];
            st += t[i];
            spp += (long double)p[i] * p[i];
            stt += (long double)t[i] * t[i];
            spt += (long double)p[i] * t[i];
            se += ((long double)p[i] - t[i]) * ((long double)p[i] - t[i]);
            sa += fabsl((long double)p[i] - t[i]);
        }
        ft_regression r;
        ft_regression_compute(&r, n, p, t);
        near(r.mae, (double)(sa / n));
        near(r.rmse, (double)sqrtl(se / n));
        near(r.r2, (double)(1 - se / (stt - st * st / n)));
        near(r.correlation, (double)((spt - sp * st / n) / sqrtl((spp - sp * sp / n) * (stt - st * st / n))));
    }
    static const float same[] = {3, 3, 3}, other[] = {1, 2, 3};
    ft_regression r;
    ft_regression_compute(&r, 3, other, same);
    ck_assert(isnan(r.r2) && isnan(r.correlation) && r.r2_reason && r.correlation_reason);
    ft_regression_compute(&r, 3, same, other);
    ck_assert(isnan(r.correlation) && !r.r2_reason && fabs(r.r2 + 1.5) < 1e-12);
}
END_TEST

START_TEST(multilabel) {
    enum { K = 4 };
    static float p[100 * K], t[100 * K];
    for (int turn = 0; turn < 50; turn++) {
        int n = 3 + turn;
        for (int i = 0; i < n * K; i++) {
            t[i] = uniform() < 0.4;
            p[i] = (float)(round(10 * (0.6 * uniform() + 0.4 * (double)t[i])) / 10);
        }
        double tp = 0, fp = 0, fn = 0, exact = 0, f1 = 0, auc = 0, ap = 0;
        for (int i = 0; i < n; i++) {
            int right = 0;
            for (int c = 0; c < K; c++) right += (p[i * K + c] >= 0.5f) == (t[i * K + c] == 1);
            exact += right == K;
        }
        for (int c = 0; c < K; c++) {
            double a = 0, b = 0, d = 0, wins = 0, pairs = 0, positives = 0;
            for (int i = 0; i < n; i++) {
                bool said = p[i * K + c] >= 0.5f, is = t[i * K + c] == 1;
                a += said && is;
                b += said && !is;
                d += !said && is;
                positives += is;
                for (int j = 0; j < n; j++) {
                    if (!is || t[j * K + c] == 1) continue;
                    wins += p[i * K + c] > p[j * K + c] ? 1 : p[i * K + c] == p[j * K + c] ? 0.5 : 0;
                    pairs++;
                }
            }
            tp += a;
            fp += b;
            fn += d;
            f1 += a > 0 ? 2 * a / (2 * a + b + d) : 0;
            auc += wins / pairs;
            double last = 0, average = 0;
            for (int level = 10; level >= 0; level--) { /* every score is a tenth */
                double hits = 0, all = 0;
                for (int i = 0; i < n; i++)
                    if (p[i * K + c] >= (float)level / 10 - 0.01f) {
                        all++;
                        hits += t[i * K + c] == 1;
                    }
                if (all > 0) average += (hits - last) / positives * hits / all;
                last = hits;
            }
            ap += average;
        }
        ft_multilabel m;
        ck_assert_int_eq(ft_multilabel_compute(&m, n, K, p, t), FT_OK);
        near(m.accuracy, exact / n);
        near(m.hamming_loss, (fp + fn) / (n * K));
        near(m.precision_micro, tp + fp > 0 ? tp / (tp + fp) : 0);
        near(m.recall_micro, tp / (tp + fn));
        near(m.f1_micro, 2 * tp / (2 * tp + fp + fn));
        near(m.f1_macro, f1 / K);
        near(m.roc_auc_macro, auc / K);
        near(m.average_precision_macro, ap / K);
        ck_assert((m.reason != NULL) == (isnan(auc) || isnan(ap)));
    }
}
END_TEST

/* ---- runs ---- */

/* Of make_faces: the direction of the stripes is the class; where they begin is a number, its half another
 * class, and both facts together several classes. */
static void setup(void) {
    tool_setup();
    make_faces();
    FILE *f = fopen("list.csv", "wb");
    fputs("file,who,where,half,both\n", f);
    for (int c = 0; c < CLASSES; c++)
        for (int i = 0; i < PER_CLASS; i++)
            fprintf(f, "faces/person%d/%02d.pgm,person%d,%d,%s,%s%s\n", c, i, c, 1000 + 10 * (i % 6),
                    i % 6 < 3 ? "low" : "high", c == 0 ? "wide" : "", i % 6 < 3 ? "|low" : "");
    fclose(f);
    write_text("run.yaml", "data:\n"
                           "  path: list.csv\n"
                           "  list: {label: who, more: [\"where:number\", half, \"both:multi\"]}\n"
                           "  split: {train: 0.6, val: 0.2, test: 0.2}\n"
                           "  image: {size: 28, channels: 1}\n"
                           "model: {arch: inception_mini, width: 0.25, head: {dropout: 0}}\n"
                           "train:\n"
                           "  batch: 12\n"
                           "  epochs: 40\n"
                           "  optimizer: {name: adam, lr: 0.01}\n"
                           "output: run\n");
}

static double number(json_t *root, const char *head, const char *name) {
    double x = json_value_of(json_object_get(json_object_get(root, "heads"), head), name);
    ck_assert_msg(isfinite(x), "no number %s of %s", name, head);
    return x;
}

/* The square of the training part's deviation, as the model keeps it. */
static double deviation_of_where(void) {
    ft_model *m;
    ck_assert_int_eq(ft_checkpoint_read_model("run/last.h5", &m), FT_OK);
    ck_assert_int_eq(m->n_heads, 3);
    ck_assert_str_eq(m->heads[0].name, "where");
    double d = m->heads[0].deviation;
    ck_assert(fabs(m->heads[0].mean - 1025) < 5 && fabs(d - 17) < 3);
    ft_model_free(m);
    return d * d;
}

START_TEST(a_run_learns_them_all) {
    tool_run *r = tool("ft-train run.yaml");
    assert_ends(r, 0);
    assert_has(r->err, "where: mean absolute error");
    static char log[1 << 16];
    tool_read("stderr.txt", log, sizeof log);
    const char *last_epoch = log; /* from behind the line of the last epoch but one */
    for (const char *at = log, *line = log; (at = strstr(at, "\nepoch ")); line = ++at) last_epoch = line;
    last_epoch = strchr(last_epoch, '\n');
    assert_has(r->err, "both: F1");
    assert_has(r->out, "where (number)");
    assert_ends(tool("ft-eval run/last.h5 --data list.csv --split test --report last"), 0);
    json_t *root = json_load_file("last/metrics.json", JSON_REJECT_DUPLICATES, NULL);
    ck_assert_ptr_nonnull(root);
    ck_assert(json_value_of(root, "accuracy") >= 0.9);
    ck_assert_msg(number(root, "where", "mae") < 10, "mean absolute error %g",
                  number(root, "where", "mae")); /* of 0 to 50; the mean everywhere gives 15 */
    ck_assert_msg(number(root, "half", "accuracy") >= 0.75, "half %g", number(root, "half", "accuracy"));
    ck_assert_msg(number(root, "both", "f1_micro") >= 0.75, "both %g", number(root, "both", "f1_micro"));
    json_decref(root);
    static char text[1 << 20];
    tool_read("run/predictions.csv", text, sizeof text);
    assert_has(text, ",label_where,prediction_where,label_half,prediction_half,label_both,prediction_both\n");
    assert_has(text, "low|wide");
    tool_read("run/report.html", text, sizeof text);
    assert_has(text, "Further heads");
    assert_has(text, "<caption>where</caption>");

    assert_ends(tool("ft-eval run/best.h5 --data list.csv --split test --report again"), 0);
    ck_assert_int_eq(
        system("cmp run/metrics.json again/metrics.json && cmp run/predictions.csv again/predictions.csv"),
        0);
    /* training's last validation loss, of all heads, is what ft-eval finds */
    assert_ends(tool("ft-eval run/last.h5 --data list.csv --split val --report val"), 0);
    root = json_load_file("val/metrics.json", 0, NULL);
    double loss = json_value_of(root, "loss"), log_loss = json_value_of(root, "log_loss"),
           sum = log_loss + number(root, "half", "log_loss") +
                 pow(number(root, "where", "rmse"), 2) / deviation_of_where();
    near(loss, last_in_history("run/history.csv", "val_loss"));
    ck_assert_msg(loss > sum && loss < sum + 1, "loss %g, without the several classes' %g", loss, sum);
    /* and so are all numbers that its last line tells, to the last digit */
    static const char *const columns[][2] = {{"val_accuracy", "accuracy"},
                                             {"val_recall", "recall_macro"},
                                             {"val_f1", "f1_macro"},
                                             {"val_auc", "roc_auc_ovr_macro"}};
    char told[256];
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        snprintf(told, sizeof told, "%s %.4f", columns[i][0], json_value_of(root, columns[i][1]));
        assert_has(last_epoch, told);
    }
    snprintf(told, sizeof told, "  where: mean absolute error %.4g, correlation %.4f\n",
             number(root, "where", "mae"), number(root, "where", "correlation"));
    assert_has(last_epoch, told);
    snprintf(told, sizeof told, "  half: accuracy %.4f, F1 %.4f\n", number(root, "half", "accuracy"),
             number(root, "half", "f1_macro"));
    assert_has(last_epoch, told);
    snprintf(told, sizeof told, "  both: F1 %.4f (micro), all right %.4f\n", number(root, "both", "f1_micro"),
             number(root, "both", "accuracy"));
    assert_has(last_epoch, told);
    json_decref(root);
    r = tool("ft-predict run/last.h5 faces/person0/01.pgm");
    assert_ends(r, 0);
    root = json_loads(r->out, 0, NULL);
    json_t *heads = json_object_get(root, "heads");
    ck_assert(fabs(json_number_value(json_object_get(heads, "where")) - 1010) < 25);
    ck_assert_str_eq(json_string_value(json_object_get(json_object_get(heads, "half"), "class")), "low");
    ck_assert(json_number_value(json_object_get(json_object_get(heads, "both"), "low")) > 0.5);
    json_decref(root);
    assert_fails(tool("ft-model export run/best.h5 --to x.h5"), 2, "safetensors");
    assert_ends(tool("ft-model export run/best.h5 --to x.safetensors"), 0);
}
END_TEST

START_TEST(interrupted_cached_and_in_phases) {
    assert_interruptible("run.yaml --set train.epochs=3 --set train.checkpoint.every_steps=1", 1);

    static const char frozen[] =
        "ft-train run.yaml --quiet --set train.epochs=3 --set model.weights.file=whole/best.h5 "
        "--set model.weights.format=facet --set model.freeze.up_to=avg_pool";
    assert_ends(tool("%s --out cached", frozen), 0);
    assert_ends(tool("%s --out uncached --set train.feature_cache=false", frozen), 0);
    assert_same_model("cached/last.h5", "uncached/last.h5");
    ck_assert_int_eq(system("cmp cached/metrics.json uncached/metrics.json"), 0);
    ck_assert_str_ne(first_difference("cached/last.h5", "whole/best.h5"), "");
    assert_ends(
        tool("ft-train run.yaml --quiet --set train.epochs=1 --threads 1 --set data.workers=4 --out a"), 0);
    assert_ends(
        tool("ft-train run.yaml --quiet --set train.epochs=1 --threads 3 --set data.workers=0 --out b"), 0);
    assert_same_model("a/last.h5", "b/last.h5");
}
END_TEST

START_TEST(mistakes) {
    assert_fails(tool("ft-train run.yaml --set data.path=faces --set data.list.label="), 2, "data.list.more");
    assert_fails(tool("ft-train run.yaml --set data.list.more=nothing"), 2, "no column 'nothing'");
    assert_fails(tool("ft-train run.yaml --set data.augment.mixup=0.2"), 2, "data.list.more");
    assert_ends(tool("ft-train run.yaml --quiet --set train.epochs=1"), 0);
    assert_fails(tool("ft-train run.yaml --quiet --resume --set data.list.more=half"), 3, "further head");
    ck_assert_int_eq(system("sed -i s/high/tall/ list.csv"), 0);
    assert_fails(tool("ft-eval run/best.h5 --data list.csv --split all"), 3, "'half'");
}
END_TEST

int main(void) {
    Suite *s = suite_create("heads");
    TCase *metrics = tcase_create("metrics"), *runs = tcase_create("runs");
    tcase_add_test(metrics, regression);
    tcase_add_test(metrics, multilabel);
    suite_add_tcase(s, metrics);
    tcase_set_timeout(runs, 240);
    tcase_add_checked_fixture(runs, setup, tool_teardown);
    tcase_add_test(runs, a_run_learns_them_all);
    tcase_add_test(runs, interrupted_cached_and_in_phases);
    tcase_add_test(runs, mistakes);
    suite_add_tcase(s, runs);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}

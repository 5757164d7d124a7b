/* Trainings in phases and with frozen parts, as a user runs them: that frozen means frozen, that features
 * kept or not make no difference, that a run interrupted anywhere ends as one that was not.
 */
#include "tests/json_testing.h"
#include "tests/train_testing.h"

#include <math.h>

static const char config[] = "seed: 3\n"
                             "data:\n"
                             "  path: faces\n"
                             "  split: {train: 0.6, val: 0.2, test: 0.2}\n"
                             "  image: {size: 28, channels: 1}\n"
                             "model:\n"
                             "  arch: inception_mini\n"
                             "  width: 0.25\n"
                             "  head: {dropout: 0.3}\n"
                             "  freeze: {up_to: mixed2}\n"
                             "train:\n"
                             "  batch: 8\n"
                             "  epochs: 4\n"
                             "  optimizer: {name: adamw, lr: 0.003}\n"
                             "  schedule: {name: cosine}\n"
                             "  ema: 0.9\n"
                             "output: run\n";

static const char phases[] =
    "seed: 3\n"
    "data:\n"
    "  path: faces\n"
    "  split: {train: 0.6, val: 0.2, test: 0.2}\n"
    "  image: {size: 28, channels: 1}\n"
    "model: {arch: inception_mini, width: 0.25, head: {dropout: 0.3}}\n"
    "train:\n"
    "  batch: 8\n"
    "  optimizer: {name: sgd, lr: 0.05, momentum: 0.9}\n"
    "  ema: 0.9\n"
    "  phases:\n"
    "    - {epochs: 3, freeze: {up_to: mixed4}, schedule: {name: cosine}}\n"
    "    - {epochs: 2, freeze: {up_to: mixed2}, optimizer: {name: adam, lr: 0.001}}\n"
    "    - {epochs: 2, optimizer: {lr: 0.002}, augment: {flip: true}}\n"
    "output: run\n";

static void setup(void) {
    tool_setup();
    make_faces();
    write_text("run.yaml", config);
    write_text("phases.yaml", phases);
}

/* ---- what is frozen ---- */

/* Is every parameter of the units 1 ... last the same in both? */
static bool same_units(const ft_model *a, const ft_model *b, int last) {
    bool same = true;
    for (int32_t i = 0; i < ft_graph_n_params(a->g); i++) {
        const ft_param *p = ft_graph_param(a->g, i), *q = ft_graph_param(b->g, i);
        const char *number = strrchr(p->name, '_') ? strstr(p->name, "conv2d_") : NULL;
        if (!number) number = strstr(p->name, "batch_normalization_");
        if (!number || atoi(strpbrk(number, "0123456789") + (strstr(number, "2d_") ? 3 : 0)) > last) continue;
        same &= memcmp(p->p, q->p, (size_t)ft_shape_size(p->shape) * sizeof *p->p) == 0;
    }
    return same;
}

static ft_model *read_model(const char *path) {
    ft_model *m;
    ck_assert_msg(ft_checkpoint_read_model(path, &m) == FT_OK, "%s", ft_err_message());
    return m;
}

/* How many units lie up to mixed2, and up to mixed4, in inception_mini. */
static int units_before(const char *node) {
    ft_model *m = read_model("run/last.h5");
    int units = 0;
    for (int32_t i = 0; i < ft_graph_n_nodes(m->g); i++) {
        const char *name = ft_graph_node(m->g, i).name;
        if (strcmp(name, node) == 0) break;
        units += strncmp(name, "conv2d_", 7) == 0;
    }
    ft_model_free(m);
    return units;
}

START_TEST(frozen_parts_keep_every_bit) { /* weights and statistics, whatever is trained behind them */
    assert_ends(tool("ft-train run.yaml --quiet"), 0);
    assert_ends(
        tool("ft-train run.yaml --quiet --out other --set train.epochs=1 --set train.optimizer.lr=0.02"), 0);
    ft_model *a = read_model("run/last.h5"), *b = read_model("other/last.h5");
    int frozen = units_before("mixed2");
    ck_assert_int_gt(frozen, 5);
    ck_assert(same_units(a, b, frozen));
    ck_assert(!same_units(a, b, frozen + 1));
    ft_model_free(a);
    ft_model_free(b);
}
END_TEST

START_TEST(nothing_left_to_train_is_an_error) {
    assert_fails(tool("ft-train run.yaml --set model.freeze.up_to=predictions"), 2, "freeze");
    assert_fails(tool("ft-train run.yaml --set model.freeze.up_to=mixed9"), 2, "mixed9");
}
END_TEST

/* ---- features ---- */

START_TEST(features_make_no_difference) {
    static const char *const settings[] = {"", "--set kernels=direct",
                                           "--set train.feature_cache.memory_mb=0",
                                           "--set train.accumulate=2 --set train.batch=5",
                                           "--set model.freeze.up_to=avg_pool --set train.ema=0"};
    const char *s = settings[_i];
    tool_run *r = tool("ft-train run.yaml %s", s);
    assert_ends(r, 0);
    assert_has(r->err, "features of 36 images (train)");
    assert_has(r->err, "features of 12 images (val)");
    ck_assert_int_eq(system("ls run/*.features >ls.txt 2>&1"), 512); /* tidied up */
    r = tool("ft-train run.yaml --out without --set train.feature_cache.use=false %s", s);
    assert_ends(r, 0);
    ck_assert_ptr_null(strstr(r->err, "features of"));
    assert_has(r->err, "train.feature_cache.use is false");
    assert_same_model("run/last.h5", "without/last.h5");
    assert_same_model("run/best.h5", "without/best.h5");
    assert_same_history("run", "without");
    ck_assert_int_eq(system("cmp run/metrics.json without/metrics.json"), 0);
}
END_TEST

START_TEST(features_are_for_later_runs_too) {
    ck_assert_int_eq(mkdir("kept", 0777), 0);
    assert_ends(tool("ft-train run.yaml --quiet --set train.feature_cache.path=kept"), 0);
    tool_run *r = tool("ft-train run.yaml --out again --set train.feature_cache.path=kept");
    assert_ends(r, 0);
    ck_assert_ptr_null(strstr(r->err, "features of"));
    assert_same_model("run/last.h5", "again/last.h5");
    r = tool("ft-train run.yaml --out other --set train.feature_cache.path=kept --set seed=4");
    assert_ends(r, 0);
    assert_has(r->err, "features of 36 images"); /* other weights */
    ck_assert_int_eq(system("test $(ls kept | wc -l) = 4"), 0);
}
END_TEST

START_TEST(half_precision_features_train_nearly_the_same) {
    assert_ends(tool("ft-train run.yaml --quiet"), 0);
    assert_ends(tool("ft-train run.yaml --quiet --out half --set train.feature_cache.dtype=bf16"), 0);
    ck_assert_str_ne(first_difference("run/last.h5", "half/last.h5"), "");
    double a = last_in_history("run/history.csv", "train_loss"),
           b = last_in_history("half/history.csv", "train_loss");
    ck_assert_msg(a - b < 0.05 && b - a < 0.05, "the loss is %g, in half precision %g", a, b);
    assert_ends(tool("ft-eval half/last.h5 --data faces --split val --report val"), 0);
}
END_TEST

START_TEST(random_changes_are_kept_as_variants) {
    tool_run *r = tool("ft-train run.yaml --out fresh --set data.augment.flip=true");
    assert_ends(r, 0);
    assert_has(r->err, "train.feature_cache.variants"); /* says what would help */
    ck_assert_ptr_null(strstr(r->err, "features of"));
    static const char variants[] =
        "--set data.augment.flip=true --set data.augment.shift=0.1 --set train.feature_cache.variants=2";
    r = tool("ft-train run.yaml %s --threads 1", variants);
    assert_ends(r, 0);
    const char *first = strstr(r->err, "features of 36 images (train)");
    ck_assert(first && strstr(first + 1, "features of 36 images (train)")); /* twice, in epochs 1 and 2 */
    assert_ends(tool("ft-train run.yaml %s --out b --threads 3 --set data.workers=3", variants), 0);
    assert_same_model("run/last.h5", "b/last.h5");
}
END_TEST

/* ---- phases ---- */

START_TEST(phases_follow_each_other) {
    tool_run *r = tool("ft-train phases.yaml");
    assert_ends(r, 0);
    assert_has(r->err, "phase    1 of 3, 3 epochs");
    assert_has(r->err, "phase    3 of 3, 2 epochs");
    assert_has(r->err, "epoch 7/7");
    static char history[65536];
    tool_read("run/history.csv", history, sizeof history);
    /* the cosine of phase 1 over its own three epochs (five steps each), then what phases 2 and 3 say */
    static const double rates[] = {0, 0, 0, 0.001, 0.001, 0.002, 0.002};
    char *row = history;
    for (int i = 0; i < 7; i++) {
        row = strchr(row, '\n') + 1;
        ck_assert_int_eq(atoi(row), i + 1);
        double rate = strtod(strchr(row, ',') + 1, NULL);
        if (i >= 3) ck_assert_msg(rate == rates[i], "epoch %d: %g", i + 1, rate);
        if (i == 2) ck_assert_msg(rate > 0 && rate < 0.002, "the cosine ends at %g", rate);
    }
    /* phase 1 alone leaves what phase 1 of three left: up to mixed4 nothing moved before phase 2 */
    assert_ends(tool("ft-train phases.yaml --quiet --out first --set train.phases[0].epochs=1"), 0);
    r = tool("ft-train phases.yaml --dry-run");
    assert_ends(r, 0);
    assert_has(r->out, "phase    2 of 3");
    assert_ends(tool("ft-eval run/best.h5 --data faces --report again"), 0);
    ck_assert_int_eq(system("cmp run/metrics.json again/metrics.json"), 0);
}
END_TEST

START_TEST(a_run_in_phases_can_be_interrupted_anywhere) {
    assert_interruptible("phases.yaml --set train.batch=3", 2);
}
END_TEST

START_TEST(early_stopping_ends_a_phase) {
    tool_run *r = tool("ft-train phases.yaml --set train.early_stop.monitor=val_loss --set "
                       "train.early_stop.min_delta=100 --set train.early_stop.patience=1");
    assert_ends(r, 0);
    assert_has(r->err, "phase    3 of 3");
    static char history[65536];
    tool_read("run/history.csv", history, sizeof history);
    assert_has(history, "\n6,"); /* two epochs each: the first sets the mark, the second does not beat it */
    ck_assert_ptr_null(strstr(history, "\n7,"));
}
END_TEST

/* Whoever is done makes no features again. */
START_TEST(a_finished_run_has_nothing_to_make) {
    assert_ends(tool("ft-train run.yaml --quiet"), 0);
    tool_run *r = tool("ft-train run.yaml --resume");
    assert_ends(r, 0);
    ck_assert_ptr_null(strstr(r->err, "features of"));
    ck_assert_int_eq(system("ls run/*.features >ls.txt 2>&1"), 512);
}
END_TEST

/* The training pictures, listed once more for validation: training's own view of them in inference mode is
 * what ft-eval says of the training part. */
START_TEST(training_set_as_ft_eval_sees_it) {
    FILE *list = fopen("list.csv", "w");
    fputs("file,who,part\n", list);
    for (int part = 0; part < 2; part++)
        for (int c = 0; c < CLASSES; c++)
            for (int i = 0; i < PER_CLASS; i++)
                fprintf(list, "faces/person%d/%02d.pgm,person%d,%s\n", c, i, c, part ? "val" : "train");
    fclose(list);
    assert_ends(tool("ft-train phases.yaml --quiet --set data.path=list.csv --set data.list.label=who --set "
                     "data.list.split=part --set data.split.train=0.5 --set data.split.val=0.5 --set "
                     "data.split.test=0"),
                0);
    tool_run *r = tool("ft-eval run/last.h5 --data list.csv --split train --report train");
    assert_ends(r, 0);
    json_t *metrics = json_load_file("train/metrics.json", 0, NULL);
    ck_assert_ptr_nonnull(metrics);
    double accuracy = json_value_of(metrics, "accuracy"), loss = json_value_of(metrics, "loss");
    double seen = last_in_history("run/history.csv", "val_accuracy");
    ck_assert_msg(fabs(accuracy - seen) <= 1e-8, "accuracy %.12g, in training %.12g", accuracy, seen);
    seen = last_in_history("run/history.csv", "val_loss");
    ck_assert_msg(fabs(loss - seen) <= 1e-8 * loss, "loss %.12g, in training %.12g", loss, seen);
    json_decref(metrics);
}
END_TEST

START_TEST(a_run_cannot_be_resumed_behind_its_phases) {
    assert_ends(tool("ft-train phases.yaml --quiet"), 0);
    assert_fails(tool("ft-train run.yaml --resume --set model.freeze.up_to=''"), 3, "phase 3");
}
END_TEST

int main(void) {
    Suite *s = suite_create("phases");
    TCase *t = tcase_create("phases");
    tcase_set_timeout(t, 600);
    tcase_add_checked_fixture(t, setup, tool_teardown);
    tcase_add_test(t, frozen_parts_keep_every_bit);
    tcase_add_test(t, nothing_left_to_train_is_an_error);
    tcase_add_loop_test(t, features_make_no_difference, 0, 5);
    tcase_add_test(t, features_are_for_later_runs_too);
    tcase_add_test(t, half_precision_features_train_nearly_the_same);
    tcase_add_test(t, random_changes_are_kept_as_variants);
    tcase_add_test(t, phases_follow_each_other);
    tcase_add_test(t, a_run_in_phases_can_be_interrupted_anywhere);
    tcase_add_test(t, early_stopping_ends_a_phase);
    tcase_add_test(t, a_finished_run_has_nothing_to_make);
    tcase_add_test(t, training_set_as_ft_eval_sees_it);
    tcase_add_test(t, a_run_cannot_be_resumed_behind_its_phases);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

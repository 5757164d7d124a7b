/* ft-train and ft-eval as a user runs them: what a run leaves, that evaluation repeats its numbers,
 * interruption, and every mistake that a newcomer makes.
 */
#include "tests/json_testing.h"
#include "tests/train_testing.h"

#include <math.h>
#include <sys/stat.h>

static const char config[] = "seed: 3\n"
                             "data:\n"
                             "  path: faces\n"
                             "  split: {train: 0.6, val: 0.2, test: 0.2}\n"
                             "  image: {size: 28, channels: 1}\n"
                             "  augment: {flip: true, shift: 0.05}\n"
                             "model: {arch: inception_mini, width: 0.25, head: {dropout: 0.3}}\n"
                             "train:\n"
                             "  batch: 8\n"
                             "  epochs: 6\n"
                             "  optimizer: {name: adamw, lr: 0.003}\n"
                             "  schedule: {name: cosine}\n"
                             "  ema: 0.9\n"
                             "output: run\n";

static void setup(void) {
    tool_setup();
    make_faces();
    write_text("run.yaml", config);
}

static void assert_file(const char *path, const char *start) {
    static char text[1 << 20];
    tool_read(path, text, sizeof text);
    ck_assert_msg(strncmp(text, start, strlen(start)) == 0, "%s starts with '%.40s', not '%s'", path, text,
                  start);
}

static double number(json_t *root, const char *name) {
    double x = json_value_of(root, name);
    ck_assert_msg(isfinite(x), "no number %s", name);
    return x;
}

START_TEST(a_run_leaves_everything_and_ft_eval_repeats_it) {
    tool_run *r = tool("ft-train run.yaml");
    assert_ends(r, 0);
    assert_has(r->out, "Accuracy");
    assert_has(r->err, "epoch 6/6");
    assert_file("run/config.yaml", "seed: 3");
    assert_file(
        "run/history.csv",
        "epoch,lr,train_loss,val_loss,val_accuracy,val_recall,val_f1,val_auc,images_per_second,seconds\n1,");
    assert_file("run/last.h5", "\x89HDF");
    assert_file("run/best.h5", "\x89HDF");
    assert_file("run/report.html", "<!DOCTYPE html>");
    assert_file("run/predictions.csv", "path,label,prediction,person0,person1,person2\n");
    ck_assert_int_eq(system("ls run/events.out.tfevents.* >/dev/null"), 0);
    ck_assert_int_eq(system("ls run/*.tmp 2>/dev/null"), 512);
    json_t *metrics = json_load_file("run/metrics.json", 0, NULL);
    ck_assert_ptr_nonnull(metrics);
    ck_assert_str_eq(json_string_value(json_object_get(metrics, "split")), "test");
    ck_assert(number(metrics, "n") == CLASSES * 4);
    ck_assert_msg(number(metrics, "accuracy") >= 0.9, "test accuracy %g", number(metrics, "accuracy"));
    json_decref(metrics);

    assert_ends(tool("ft-eval run/best.h5 --data faces --report again"), 0);
    ck_assert_int_eq(
        system("cmp run/metrics.json again/metrics.json && cmp run/predictions.csv again/predictions.csv"),
        0);

    assert_ends(tool("ft-eval run/last.h5 --data faces --split val --report val"), 0);
    metrics = json_load_file("val/metrics.json", 0, NULL);
    ck_assert_ptr_nonnull(metrics);
    static const char *const columns[][2] = {{"val_loss", "loss"},
                                             {"val_accuracy", "accuracy"},
                                             {"val_recall", "recall_macro"},
                                             {"val_f1", "f1_macro"},
                                             {"val_auc", "roc_auc_ovr_macro"}};
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        double trained = last_in_history("run/history.csv", columns[i][0]),
               evaluated = number(metrics, columns[i][1]);
        ck_assert_msg(fabs(trained - evaluated) <= 1e-8 * fabs(evaluated),
                      "%s: %.12g in training, %.12g in ft-eval", columns[i][0], trained, evaluated);
    }
    json_decref(metrics);
}
END_TEST

START_TEST(an_interrupted_run_ends_where_an_uninterrupted_one_does) {
    assert_interruptible("run.yaml --set train.accumulate=2 --set train.batch=3", 3);
}
END_TEST

START_TEST(threads_and_workers_leave_the_same_bits) {
    assert_ends(tool("ft-train run.yaml --quiet --set train.epochs=2 --threads 1 --out a"), 0);
    assert_ends(
        tool("ft-train run.yaml --quiet --set train.epochs=2 --threads 3 --set data.workers=3 --out b"), 0);
    assert_ends(tool("ft-train run.yaml --quiet --set train.epochs=2 --set data.workers=0 --set "
                     "data.cache_mb=0 --out c"),
                0);
    assert_same_model("a/last.h5", "b/last.h5");
    assert_same_model("a/last.h5", "c/last.h5");
}
END_TEST

/* A direct run rounds otherwise and learns the same. Small steps by plain descent: larger ones and Adam's
 * first ones, which are whole where a gradient should be 0, make so much of any rounding that two instruction
 * sets part, too. */
START_TEST(direct_kernels_differ_in_rounding_only) {
    static const char run[] = "ft-train run.yaml --quiet --set train.epochs=1 --set model.width=1 "
                              "--set train.optimizer.name=sgd --set train.optimizer.lr=0.001";
    assert_ends(tool("%s --out auto", run), 0);
    assert_ends(tool("%s --out direct --set kernels=direct", run), 0);
    ck_assert_str_ne(first_difference("auto/last.h5", "direct/last.h5"), "");
    ck_assert_int_eq(system("grep -q '^kernels: direct$' direct/config.yaml"), 0);
    double a = last_in_history("auto/history.csv", "train_loss"),
           d = last_in_history("direct/history.csv", "train_loss");
    ck_assert_msg(fabs(a - d) <= 1e-3 * fabs(d), "the loss is %.9g, with direct kernels %.9g", a, d);
}
END_TEST

START_TEST(a_run_is_not_overwritten_by_accident) {
    assert_ends(tool("ft-train run.yaml --quiet --set train.epochs=1"), 0);
    assert_fails(tool("ft-train run.yaml --quiet"), 2,
                 "there is a run in this folder; --resume goes on with it");
    assert_ends(tool("ft-train run.yaml --quiet --set train.epochs=1 --overwrite"), 0);
}
END_TEST

START_TEST(a_dry_run_writes_nothing) {
    tool_run *r = tool("ft-train run.yaml --dry-run");
    assert_ends(r, 0);
    assert_has(r->out, "60 images of 3 classes; train 36, validation 12, test 12");
    ck_assert_int_ne(access("run", F_OK), 0);
}
END_TEST

START_TEST(divergence_is_an_error_of_its_own) {
    assert_fails(tool("ft-train run.yaml --quiet --set train.optimizer=sgd --set train.optimizer.lr=1e30 "
                      "--set train.schedule=constant"),
                 4, "not");
    ck_assert_int_ne(access("run/metrics.json", F_OK), 0);
}
END_TEST

/* ---- mistakes ---- */

static void nothing(void) {}
static void unknown_key(void) {
    write_text("run.yaml", "data:\n  path: faces\ntrain:\n  epoch: 3\n");
}
static void empty_class(void) {
    ck_assert_int_eq(mkdir("faces/person9", 0777), 0);
}
static void no_image(void) {
    write_text("faces/person1/03.pgm", "this is a letter, not a picture\n");
}
static void cut_image(void) {
    ck_assert_int_eq(truncate("faces/person1/03.pgm", 300), 0);
}
static void no_checkpoint(void) {
    write_text("model.h5", "not HDF5 at all\n");
}
static void a_file_in_the_way(void) {
    write_text("blocked", "");
}
static void lenet_run(void) {
    assert_ends(
        tool("ft-train run.yaml --quiet --set model.arch=lenet --set model.width=1 --set train.epochs=1"), 0);
}
static void small_run(void) {
    assert_ends(tool("ft-train run.yaml --quiet --set train.epochs=1"), 0);
}
static void small_run_other_data(void) {
    small_run();
    ck_assert_int_eq(system("rm -r faces/person2"), 0);
}
static void small_run_more_data(void) {
    small_run();
    ck_assert_int_eq(system("cp faces/person2/01.pgm faces/person2/99.pgm"), 0);
}
/* An IDX pair whose label 7 is beyond the two names of classes.txt. */
static void idx_label_out_of_range(void) {
    ck_assert_int_eq(mkdir("idx", 0777), 0);
    write_text("idx/classes.txt", "cat\ndog\n");
    for (int part = 0; part < 2; part++) {
        char path[64];
        snprintf(path, sizeof path, "idx/%s-labels-idx1-ubyte", part ? "t10k" : "train");
        FILE *f = fopen(path, "wb");
        fwrite("\0\0\x08\x01\0\0\0\x04\0\1\1\7", 1, 12, f);
        fclose(f);
        snprintf(path, sizeof path, "idx/%s-images-idx3-ubyte", part ? "t10k" : "train");
        f = fopen(path, "wb");
        fwrite("\0\0\x08\x03\0\0\0\x04\0\0\0\x1c\0\0\0\x1c", 1, 16, f);
        for (int i = 0; i < 4 * 28 * 28; i++) fputc(i & 255, f);
        fclose(f);
    }
}

static const struct {
    const char *what;
    void (*prepare)(void);
    const char *command;
    int status;
    const char *message, *also; /* both in the message */
    const char *absent;         /* what must not have been made */
} mistakes[] = {
    {"no configuration", nothing, "ft-train", 2, "name the configuration file", "--help", "runs"},
    {"missing configuration", nothing, "ft-train nowhere.yaml", 2, "nowhere.yaml", "", "runs"},
    {"unknown key", unknown_key, "ft-train run.yaml", 2, "run.yaml:4:3", "epochs", "runs"},
    {"unknown key by --set", nothing, "ft-train run.yaml --set train.bacth=3", 2, "--set", "train.batch",
     "run"},
    {"unknown network", nothing, "ft-train run.yaml --set model.arch=inception_v9", 2, "inception_v9",
     "inception_mini", "run"},
    {"unknown node to freeze", nothing, "ft-train run.yaml --set model.freeze.up_to=mixed77", 2, "mixed77",
     "ft-model summary", "run"},
    {"too small an image", nothing, "ft-train run.yaml --set model.arch=inception_v3 --set model.width=1", 2,
     "at least 75", "28", "run"},
    {"missing folder", nothing, "ft-train run.yaml --set data.path=nowhere", 3, "nowhere", "", "run"},
    {"empty class", empty_class, "ft-train run.yaml", 3, "person9", "", "run"},
    {"an image that is none", no_image, "ft-train run.yaml --quiet --set data.bad_images=fail", 3,
     "person1/03.pgm", "", "run/last.h5"},
    {"a cut image", cut_image, "ft-train run.yaml --quiet --set data.bad_images=fail", 3, "person1/03.pgm",
     "", "run/last.h5"},
    {"label out of range", idx_label_out_of_range, "ft-train run.yaml --set data.path=idx", 3, "label", "7",
     "run"},
    {"output below a file", a_file_in_the_way, "ft-train run.yaml --quiet --out blocked/run", 5, "blocked",
     "folder", "blocked/run"},
    {"output where nobody may write", nothing, "ft-train run.yaml --quiet --out /proc/facet", 5,
     "/proc/facet", "folder", "run"},
    {"resume another network", lenet_run, "ft-train run.yaml --quiet --resume", 3, "inception_mini", "lenet",
     NULL},
    {"no model", nothing, "ft-eval nowhere.h5 --data faces", 3, "nowhere.h5", "", "eval"},
    {"no checkpoint", no_checkpoint, "ft-eval model.h5 --data faces", 3, "model.h5", "", "eval"},
    {"no data named", no_checkpoint, "ft-eval model.h5", 2, "--data", "", "eval"},
    {"unknown part", small_run, "ft-eval run/best.h5 --data faces --split tset", 2, "tset",
     "train, val, test, all", "run/eval"},
    {"data of other classes", small_run_other_data, "ft-eval run/best.h5 --data faces", 3, "3 classes", "2",
     "run/eval"},
    {"data that changed", small_run_more_data, "ft-eval run/best.h5 --data faces --split test", 3,
     "not the data", "--split all", "run/eval"},
};

START_TEST(mistakes_end_with_one_clear_message) {
    mistakes[_i].prepare();
    tool_run *r = tool("%s", mistakes[_i].command);
    assert_fails(r, mistakes[_i].status, mistakes[_i].message);
    assert_has(r->err, mistakes[_i].also);
    ck_assert_str_eq(r->out, "");
    const char *newline = strchr(r->err, '\n');
    ck_assert_msg(newline && newline[1] == 0, "%s: not one line: %s", mistakes[_i].what, r->err);
    if (mistakes[_i].absent)
        ck_assert_msg(access(mistakes[_i].absent, F_OK) != 0, "%s: %s was made", mistakes[_i].what,
                      mistakes[_i].absent);
    ck_assert_int_eq(system("find . -name '*.tmp' | grep . >/dev/null"), 256);
}
END_TEST

int main(void) {
    Suite *s = suite_create("train");
    TCase *t = tcase_create("runs");
    tcase_add_checked_fixture(t, setup, tool_teardown);
    tcase_set_timeout(t, 240);
    tcase_add_test(t, a_run_leaves_everything_and_ft_eval_repeats_it);
    tcase_add_test(t, an_interrupted_run_ends_where_an_uninterrupted_one_does);
    tcase_add_test(t, threads_and_workers_leave_the_same_bits);
    tcase_add_test(t, direct_kernels_differ_in_rounding_only);
    tcase_add_test(t, a_run_is_not_overwritten_by_accident);
    tcase_add_test(t, a_dry_run_writes_nothing);
    tcase_add_test(t, divergence_is_an_error_of_its_own);
    tcase_add_loop_test(t, mistakes_end_with_one_clear_message, 0, (int)(sizeof mistakes / sizeof *mistakes));
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

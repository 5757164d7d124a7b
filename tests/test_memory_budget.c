/* A training with a memory budget: it takes no more, its steps are those of the same batches in smaller ones,
 * and what does not fit is refused beforehand with the arithmetic.
 */
#include "tests/train_testing.h"

#include <sys/resource.h>

static void setup(void) {
    tool_setup();
    make_faces();
    write_text("run.yaml", "seed: 3\n"
                           "data:\n"
                           "  path: faces\n"
                           "  split: {train: 0.8, val: 0.2, test: 0}\n"
                           "  image: {size: 32, channels: 1}\n"
                           "  augment: {flip: true}\n"
                           "model: {arch: inception_mini, head: {dropout: 0.3}}\n"
                           "train:\n"
                           "  batch: 16\n"
                           "  epochs: 2\n"
                           "  optimizer: {name: sgd, lr: 0.05, momentum: 0.9}\n");
}

/* What the log says the training takes, MiB, and in how many parts. */
static double told(const char *log, int *parts) {
    double mib = 0;
    const char *line = strstr(log, "\nbudget   "), *in = line ? strstr(line, "computed in ") : NULL;
    ck_assert_msg(line && sscanf(line, "\nbudget   %lf of", &mib) == 1, "%s", log);
    ck_assert_msg(in && sscanf(in, "computed in %d part", parts) == 1, "%s", log);
    return mib;
}

/* The largest budget, in steps of 256 kB, with which the batches are computed in so many parts. */
static int budget_for(int wanted) {
    int parts = 0;
    tool_run *r = tool("ft-train run.yaml --dry-run --set memory=8GiB");
    assert_ends(r, 0);
    for (int kb = (int)((told(r->out, &parts) + 1) * 1048.576); parts < wanted; kb -= 256) {
        r = tool("ft-train run.yaml --dry-run --set memory=%dkB", kb);
        assert_ends(r, 0);
        told(r->out, &parts);
        if (parts == wanted) return kb;
    }
    ck_abort_msg("no budget gives %d parts", wanted);
    return 0;
}

START_TEST(parts_are_batches_of_their_own) {
    int kb = budget_for(4), parts;
    tool_run *r = tool("ft-train run.yaml --out parts --set train.epochs=1 --set memory=%dkB", kb);
    assert_ends(r, 0);
    told(r->err, &parts);
    ck_assert_int_eq(parts, 4);
    assert_ends(tool("ft-train run.yaml --out batches --set train.epochs=1 --set train.batch=4 --set "
                     "train.accumulate=4"),
                0);
    assert_same_model("parts/last.h5", "batches/last.h5");
    assert_ends(tool("ft-train run.yaml --out whole --set train.epochs=1"), 0);
    ck_assert_str_ne(first_difference("parts/last.h5", "whole/last.h5"), ""); /* other batch statistics */
}
END_TEST

#if !defined __SANITIZE_ADDRESS__
/* At 96 pixels, where activations are most of it. */
START_TEST(it_takes_no_more) {
    int parts;
    tool_run *r = tool("ft-train run.yaml --dry-run --set data.image.size=96 --set memory=8GiB");
    double whole = told(r->out, &parts);
    ck_assert_int_eq(parts, 1);
    for (int half = 1; half >= 0; half--) { /* the smaller first: the largest so far is what is measured */
        double mib = half ? 96 + (whole - 96) / 2 : whole + 1;
        r = tool("ft-train run.yaml --set data.image.size=96 --set train.epochs=1 --overwrite --set "
                 "memory=%.0fMiB",
                 mib);
        assert_ends(r, 0);
        told(r->err, &parts);
        ck_assert_int_ge(parts, 1 + half);
        struct rusage all;
        getrusage(RUSAGE_CHILDREN, &all);
        ck_assert_msg((double)all.ru_maxrss / 1024 <= mib, "%.0f MiB were taken of %.0f",
                      (double)all.ru_maxrss / 1024, mib);
    }
}
END_TEST
#endif

START_TEST(too_little_is_refused) {
    tool_run *r = tool("ft-train run.yaml --set memory=50MiB");
    assert_fails(r, 2, "memory: 50 MiB are too little: one image at a time, the training takes ");
    assert_has(r->err, "activations");
    ck_assert_int_ne(access("runs/run/last.h5", F_OK), 0);
    assert_fails(tool("ft-train run.yaml --set memory=6"), 2, "a size such as 6GiB");
    assert_fails(tool("ft-train run.yaml --set memory=6TB"), 2, "a size such as 6GiB");
    assert_fails(tool("ft-train run.yaml --set memory=-1GB"), 2, "a size such as 6GiB");
}
END_TEST

START_TEST(interrupted_it_goes_on_the_same) {
    int kb = budget_for(2);
    char set[96];
    snprintf(set, sizeof set, "--set memory=%dkB --set train.checkpoint.every_steps=1", kb);
    assert_ends(tool("ft-train run.yaml --out whole %s", set), 0);
    assert_ends(tool("ft-train run.yaml --out run --set train.epochs=1 %s", set), 0);
    assert_ends(tool("ft-train run.yaml --out run --resume %s", set), 0);
    assert_same_model("whole/last.h5", "run/last.h5");
}
END_TEST

int main(void) {
    Suite *s = suite_create("memory_budget");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, setup, tool_teardown);
    tcase_set_timeout(t, 600);
    tcase_add_test(t, parts_are_batches_of_their_own);
#if !defined __SANITIZE_ADDRESS__
    tcase_add_test(t, it_takes_no_more);
#endif
    tcase_add_test(t, too_little_is_refused);
    tcase_add_test(t, interrupted_it_goes_on_the_same);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

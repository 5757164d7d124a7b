/* A training whose n-th request for memory fails, for n from the first to the last: it goes on to the same
 * end, or ends with one message and status 5 and what it had saved reads. Nothing crashes, and nothing leaks,
 * as the build with sanitizers tells.
 *
 * FACET_CRASH_ROUNDS: how many n, evenly spread; all of them where there are fewer.
 */
#include "tests/train_testing.h"
#include "train/generations.h"

static const char run_yaml[] = "seed: 3\n"
                               "data:\n"
                               "  path: faces\n"
                               "  split: {train: 0.7, val: 0.3, test: 0}\n"
                               "  image: {size: 12, channels: 1}\n"
                               "model: {arch: lenet}\n"
                               "train:\n"
                               "  batch: 16\n"
                               "  epochs: 1\n"
                               "  ema: 0.9\n"
                               "output: run\n";

/* Its status, or -1 if it was killed. */
static int run_failing(long n, const char *options) {
    char command[1024];
    snprintf(
        command, sizeof command,
        "OMP_NUM_THREADS=1 FACET_MALLOC_COUNT=count.txt FACET_MALLOC_FAILS_AT=%ld %s run.yaml --quiet %s "
        ">out.txt 2>err.txt",
        n, FACET_FAILING, options);
    int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static long requests(const char *options) {
    char text[64];
    ck_assert_int_eq(run_failing(0, options), 0);
    tool_read("count.txt", text, sizeof text);
    ck_assert_int_gt(atol(text), 100);
    return atol(text);
}

/* So many of them, from the first to the last. */
static void each(const char *options, const char *before) {
    const char *wanted = getenv("FACET_CRASH_ROUNDS");
    ck_assert_int_eq(system(before), 0);
    long total = requests(options), many = wanted ? atol(wanted) : 60;
    if (many > total) many = total;
    long ended = 0;
    for (long i = 0; i < many; i++) {
        long n = 1 + (long)((double)i / (double)many * (double)total);
        char message[8192], found[4096], why[1024];
        ck_assert_int_eq(system(before), 0);
        int status = run_failing(n, options);
        tool_read("err.txt", message, sizeof message);
        if (status == 1 && strstr(message, "libgomp: Out of memory"))
            status = 5; /* it ends the process by itself */
        ck_assert_msg(status == 0 || (status == 5 && (strncmp(message, "ft-train: ", 10) == 0 ||
                                                      strstr(message, "libgomp"))),
                      "request %ld of %ld: exit status %d: %s", n, total, status, message);
        ended += status == 5;
        if (ft_generations_exist("run/last.h5"))
            ck_assert_msg(ft_generations_find("run/last.h5", found, why) == FT_OK && !*why, "request %ld: %s",
                          n, why);
        if (status == 0) assert_same_model("whole/last.h5", "run/last.h5");
    }
    printf("%ld of %ld requests for memory failed: %ld trainings ended with a message, the others went on\n",
           many, total, ended);
    ck_assert_int_gt(ended, 0);
}

static void setup(void) {
    tool_setup();
    make_faces();
    write_text("run.yaml", run_yaml);
    ck_assert_int_eq(run_failing(0, "--out whole"), 0);
}

START_TEST(from_the_start) {
    each("", "rm -rf run");
}
END_TEST

/* The first of two epochs is done. */
START_TEST(resumed) {
    ck_assert_int_eq(run_failing(0, ""), 0);
    ck_assert_int_eq(system("mv run first && rm -r whole"), 0);
    ck_assert_int_eq(run_failing(0, "--out whole --set train.epochs=2"), 0);
    each("--resume --set train.epochs=2", "rm -rf run && cp -r first run");
}
END_TEST

int main(void) {
    Suite *s = suite_create("memory_fails");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, setup, tool_teardown);
    tcase_set_timeout(t, 36000);
    tcase_add_test(t, from_the_start);
    tcase_add_test(t, resumed);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

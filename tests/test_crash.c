/* A training that is killed, or whose system calls fail: whatever happens, a resume point is there and reads,
 * and the run ends with the bits of one that was left alone.
 *
 * Killed at random moments by SIGKILL, and at the n-th call of each of the system calls that a checkpoint
 * makes; and with that call failing (no space, a disk's error). strace makes the calls fail.
 * FACET_CRASH_ROUNDS: how many of each; 300 is a campaign, CI runs a few.
 */
#include "tests/train_testing.h"
#include "train/generations.h"

#include <math.h>

enum { MOST_CALLS = 400 };
static unsigned state = 7;

static unsigned below(unsigned n) {
    state = state * 1664525u + 1013904223u;
    return (state >> 8) % n;
}

static int rounds(int usual) {
    const char *wanted = getenv("FACET_CRASH_ROUNDS");
    return wanted ? atoi(wanted) : usual;
}

/* 7 steps an epoch, a resume point every third. */
static void setup(void) {
    tool_setup();
    make_faces();
    write_text("run.yaml", "seed: 3\n"
                           "data:\n"
                           "  path: faces\n"
                           "  split: {train: 0.7, val: 0.3, test: 0}\n"
                           "  image: {size: 28, channels: 1}\n"
                           "  augment: {flip: true, shift: 0.05}\n"
                           "model: {arch: lenet, head: {dropout: 0.3}}\n"
                           "train:\n"
                           "  batch: 6\n"
                           "  epochs: 2\n"
                           "  optimizer: {name: adam, lr: 0.002}\n"
                           "  ema: 0.9\n"
                           "  checkpoint: {every_steps: 3, monitor: val_loss}\n"
                           "output: run\n");
    assert_ends(tool("ft-train run.yaml --quiet --threads 1 --out whole"), 0);
}

/* If the run has saved anything, it can be gone on with. */
static void assert_resumable(const char *what) {
    char found[4096], why[1024];
    if (!ft_generations_exist("run/last.h5")) return;
    ck_assert_msg(ft_generations_find("run/last.h5", found, why) == FT_OK, "%s: no generation reads: %s",
                  what, ft_err_message());
    ck_assert_msg(strcmp(found, "run/last.h5") == 0 && !*why, "%s: the newest is damaged: %s", what, why);
}

static void assert_as_left_alone(const char *what) {
    tool_run *r = tool("ft-train run.yaml --quiet --threads 1 --resume");
    ck_assert_msg(r->status == 0, "%s: %s", what, r->err);
    assert_same_model("whole/last.h5", "run/last.h5");
    assert_same_model("whole/best.h5", "run/best.h5");
    assert_same_history("whole", "run");
    ck_assert_msg(system("cmp whole/metrics.json run/metrics.json") == 0, "%s", what);
    ck_assert_int_eq(system("rm -r run"), 0);
}

/* Runs it to its end or to what happens to it; its status, or -1 if it was killed. */
static int run_under(const char *prefix) {
    char command[1024];
    snprintf(command, sizeof command,
             "OMP_NUM_THREADS=1 %s %s/ft-train run.yaml --quiet --resume >out.txt 2>err.txt", prefix,
             FACET_PROGRAMS);
    int status = system(command);
    return WIFEXITED(status) && WEXITSTATUS(status) < 128 ? WEXITSTATUS(status) : -1;
}

START_TEST(killed_at_random) {
    for (int round = 0; round < rounds(10); round++) {
        int kills = 0;
        char prefix[128], what[64];
        for (int status = -1; status != 0 && kills < 100; kills++) {
            snprintf(prefix, sizeof prefix, "timeout -s KILL 0.%03u", 30 + below(300));
            status = run_under(prefix);
            snprintf(what, sizeof what, "round %d, kill %d", round, kills);
            ck_assert_msg(status <= 0, "%s: exit status %d", what, status);
            assert_resumable(what);
        }
        assert_as_left_alone(what);
    }
}
END_TEST

/* System calls of saving, history and results. */
static const char *const calls[] = {"openat", "write",  "pwrite64", "fsync", "rename",
                                    "link",   "unlink", "close",    "mkdir", "clone"};
enum { N_CALLS = sizeof calls / sizeof *calls };

/* How often a run makes each of them. */
static void count_calls(unsigned total[N_CALLS]) {
    char prefix[512] = "strace -f -qq -o calls.txt -e trace=", line[4096];
    for (int c = 0; c < N_CALLS; c++) {
        strcat(prefix, c ? "," : "");
        strcat(prefix, calls[c]);
    }
    ck_assert_int_eq(run_under(prefix), 0);
    ck_assert_int_eq(system("rm -r run"), 0);
    memset(total, 0, N_CALLS * sizeof *total);
    FILE *f = fopen("calls.txt", "rb");
    ck_assert_ptr_nonnull(f);
    while (fgets(line, sizeof line, f)) {
        const char *name = line + strspn(line, " 0123456789"); /* behind the process */
        size_t length = strcspn(name, "(");
        for (int c = 0; c < N_CALLS; c++)
            total[c] += strlen(calls[c]) == length && strncmp(name, calls[c], length) == 0;
    }
    fclose(f);
}

/* What happens to the n-th of them. */
static int run_injected(const char *call, const char *what, unsigned n) {
    char prefix[256];
    snprintf(prefix, sizeof prefix, "strace -f -qq -o /dev/null -e trace=%s -e inject=%s:%s:when=%u", call,
             call, what, n);
    return run_under(prefix);
}

START_TEST(killed_at_a_call) {
    unsigned total[N_CALLS];
    count_calls(total);
    for (int round = 0; round < rounds(2 * N_CALLS); round++) {
        int c = round % N_CALLS;
        if (total[c] == 0) continue;
        char what[64];
        unsigned n = 1 + below(total[c]);
        snprintf(what, sizeof what, "killed at %s number %u of %u", calls[c], n, total[c]);
        int status = run_injected(calls[c], "signal=KILL", n);
        ck_assert_msg(status <= 0 || status == 5, "%s: exit status %d", what, status); /* 5: it was a child */
        assert_resumable(what);
        assert_as_left_alone(what);
    }
}
END_TEST

/* It ends with the status of a system failure, or does without what failed. */
START_TEST(a_call_fails) {
    static const char *const errors[] = {"error=ENOSPC", "error=EIO", "error=EINTR", "error=EDQUOT"};
    unsigned total[N_CALLS];
    count_calls(total);
    for (int round = 0; round < rounds(2 * N_CALLS); round++) {
        int c = round % N_CALLS;
        if (total[c] == 0) continue;
        char what[96], message[8192];
        const char *error = errors[round / N_CALLS % 4];
        unsigned n = 1 + below(total[c]);
        snprintf(what, sizeof what, "%s of %s number %u of %u", error, calls[c], n, total[c]);
        int status = run_injected(calls[c], error, n);
        tool_read("err.txt", message, sizeof message);
        bool told = strncmp(message, "ft-train: ", 10) == 0 || strstr(message, "error while loading shared");
        ck_assert_msg(status == 0 || ((status == 5 || status == 3 || status == 2 || status == 127) && told),
                      "%s: exit status %d: %s", what, status, message);
        if (status == 127) continue; /* the loader could not even start it */
        assert_resumable(what);
        assert_as_left_alone(what);
    }
}
END_TEST

/* A file system in memory of 64 MB, with less and less of it left, so that another write is the first to
 * fail. Only root can make one. */
START_TEST(a_disk_fills_up) {
    if (system("mkdir disk && mount -t tmpfs -o size=64m tmpfs disk 2>/dev/null") != 0) {
        printf("a_disk_fills_up: not tried, nothing can be mounted here\n");
        return;
    }
    int full = 0, sizes = rounds(16);
    for (int i = 0; i < sizes; i++) {
        char command[256], what[64], message[8192];
        int kb = 64 * 1024 - 8 - (int)(5000.0 * (i + 1) / sizes);
        snprintf(what, sizeof what, "%d kB left", 64 * 1024 - kb);
        snprintf(command, sizeof command,
                 "mkdir disk/run && ln -s disk/run run && dd if=/dev/zero of=disk/filler bs=1k count=%d "
                 "2>/dev/null",
                 kb);
        ck_assert_int_eq(system(command), 0);
        int status = run_under("");
        tool_read("err.txt", message, sizeof message);
        ck_assert_msg(status == 0 || (status == 5 && strncmp(message, "ft-train: ", 10) == 0),
                      "%s: exit status %d: %s", what, status, message);
        full += status == 5;
        assert_resumable(what);
        ck_assert_int_eq(system("rm disk/filler"), 0);
        assert_as_left_alone(what);
        ck_assert_int_eq(system("rm -r disk/run"), 0);
    }
    ck_assert_int_eq(system("umount disk"), 0);
    ck_assert_int_gt(full, sizes / 4);
    ck_assert_int_lt(full, sizes);
}
END_TEST

/* ---- generations ---- */

START_TEST(a_damaged_one_is_passed_over) {
    ck_assert_int_eq(system("cp -r whole run"), 0);
    ck_assert_int_eq(access("run/last.1.h5", F_OK), 0);
    ck_assert_int_ne(access("run/last.2.h5", F_OK), 0);
    static const char *const damage[] = {
        "printf x | dd of=run/last.h5 bs=1 seek=20000 conv=notrunc 2>/dev/null",
        "truncate -s 1000 run/last.h5", "truncate -s 0 run/last.h5", "rm run/last.h5"};
    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        ck_assert_int_eq(system(damage[i]), 0);
        tool_run *r = tool("ft-train run.yaml --threads 1 --resume");
        assert_ends(r, 0);
        assert_has(r->err, "run/last.1.h5: epoch");
        assert_same_model("whole/last.h5", "run/last.h5");
        ck_assert_int_eq(system("cmp whole/metrics.json run/metrics.json && rm -r run && cp -r whole run"),
                         0);
    }
    ck_assert_int_eq(system("truncate -s 100 run/last.h5 && truncate -s 100 run/last.1.h5"), 0);
    assert_fails(tool("ft-train run.yaml --quiet --resume"), 3, "run/last.h5");
}
END_TEST

START_TEST(so_many_are_kept) {
    assert_ends(tool("ft-train run.yaml --quiet --set train.checkpoint.keep=4 --out four"), 0);
    ck_assert_int_eq(system("test $(ls four/last*.h5 | wc -l) = 4"), 0);
    assert_ends(tool("ft-train run.yaml --quiet --set train.checkpoint.keep=1 --out one"), 0);
    ck_assert_int_eq(system("test $(ls one/last*.h5 | wc -l) = 1"), 0);
    assert_ends(tool("ft-train run.yaml --quiet --set train.epochs=1 --overwrite --out four"), 0);
    ck_assert_int_eq(system("test $(ls four/last*.h5 | wc -l) = 2"), 0); /* those of the old run are gone */
}
END_TEST

/* ---- two at a time, and signals ---- */

static void start_long_run(void) {
    char command[512];
    snprintf(
        command, sizeof command,
        "OMP_NUM_THREADS=1 %s/ft-train run.yaml --set train.epochs=100000 >out.txt 2>log.txt & echo $! >pid",
        FACET_PROGRAMS);
    ck_assert_int_eq(system(command), 0);
    for (int i = 0; access("run/last.h5", F_OK) != 0 && i < 500; i++) usleep(20000);
    ck_assert_int_eq(access("run/last.h5", F_OK), 0);
}

static void wait_for(const char *text) {
    char command[256];
    snprintf(command, sizeof command,
             "for i in $(seq 500); do grep -q '%s' log.txt && exit 0; sleep 0.02; done; exit 1", text);
    ck_assert_msg(system(command) == 0, "no '%s' in log.txt", text);
}

START_TEST(a_folder_takes_one_training) {
    start_long_run();
    assert_fails(tool("ft-train run.yaml --quiet --resume"), 2, "another training works in this folder");
    assert_fails(tool("ft-train run.yaml --quiet --overwrite"), 2, "another training works in this folder");
    ck_assert_int_eq(system("kill -USR1 $(cat pid)"), 0);
    wait_for("since the last save");
    ck_assert_int_eq(system("kill -HUP $(cat pid)"), 0);
    wait_for("saved run/last.h5 at step");
    ck_assert_int_eq(system("kill -TERM $(cat pid)"), 0);
    wait_for("stopped at epoch");
    ck_assert_int_eq(
        system("for i in $(seq 200); do kill -0 $(cat pid) 2>/dev/null || exit 0; sleep 0.02; done; exit 1"),
        0);
    tool_run *r = tool("ft-train run.yaml --set train.epochs=1 --resume"); /* the folder is free again */
    assert_ends(r, 0);
}
END_TEST

/* The hashes of a run's epochs. */
static void fingerprints(const char *options, int threads, char text[4096]) {
    tool_run *r =
        tool("ft-train run.yaml --fingerprint --quiet --overwrite --threads %d --set data.workers=%d %s",
             threads, threads % 3 * 2, options);
    assert_ends(r, 0);
    char *end = strstr(r->out, "\n  ");
    ck_assert_ptr_nonnull(end);
    snprintf(text, 4096, "%.*s", (int)(end - r->out), r->out);
    assert_has(text, "epoch 1  ");
}

/* Inception-v3's convolutions are cut into groups of channels for the threads there are. */
START_TEST(fingerprints_do_not_depend_on_threads) {
    static const char *const options[] = {
        "", "--set model.arch=inception_v3 --set data.image.size=75 --set data.image.channels=3 --set "
            "train.epochs=1 --set "
            "data.split.train=0.2 --set data.split.val=0.1 --set data.split.test=0.7 --set train.ema=0"};
    char first[4096], other[4096];
    for (int i = 0; i < 2; i++) {
        fingerprints(options[i], 1, first);
        for (int threads = 2; threads <= 4; threads++) {
            fingerprints(options[i], threads, other);
            ck_assert_msg(strcmp(first, other) == 0, "%s, %d threads:\n%s\n1 thread:\n%s", options[i],
                          threads, other, first);
        }
    }
}
END_TEST

/* ---- numbers that are none ---- */

/* A step whose loss is no number, once: the 20th example, in step 4. */
static int run_with_nan(const char *policy) {
    char command[1024];
    snprintf(command, sizeof command,
             "OMP_NUM_THREADS=1 FACET_NAN_AT=20 LD_PRELOAD=%s %s/ft-train run.yaml --set train.non_finite=%s "
             ">out.txt 2>err.txt",
             FACET_NAN_AT_LIBRARY, FACET_PROGRAMS, policy);
    int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static const char *told(void) {
    static char text[1 << 16];
    tool_read("err.txt", text, sizeof text);
    return text;
}

START_TEST(a_step_without_numbers_stops_the_run) {
    ck_assert_int_eq(run_with_nan("stop"), 4);
    assert_has(told(), "the loss is not a number at step 4 (epoch 1)");
    ck_assert_int_eq(ft_checkpoint_verify("run/last.h5"), FT_OK); /* of step 3 */
}
END_TEST

START_TEST(a_step_without_numbers_is_skipped) {
    ck_assert_int_eq(run_with_nan("skip"), 0);
    assert_has(told(), "skipped  the loss is not a number at step 4");
    ck_assert_str_ne(first_difference("whole/last.h5", "run/last.h5"), ""); /* without that step */
    ck_assert(isfinite(last_in_history("run/history.csv", "train_loss")));
}
END_TEST

START_TEST(a_run_without_numbers_is_rolled_back) {
    ck_assert_int_eq(run_with_nan("rollback"), 0);
    assert_has(told(),
               "rolling back to go on with 0.5 of the learning rate: the loss is not a number at step 4");
    ck_assert_double_eq_tol(last_in_history("run/history.csv", "lr"), 0.001, 1e-9);
}
END_TEST

START_TEST(there_is_an_end_to_patience) {
    static const char diverging[] =
        "ft-train run.yaml --set train.optimizer=sgd --set train.optimizer.lr=1e38 --overwrite";
    tool_run *r = tool("%s --set train.non_finite=skip", diverging);
    ck_assert_int_eq(r->status, 4);
    r = tool("%s --set train.non_finite=rollback",
             diverging); /* in its first step: there is nothing to go back to */
    ck_assert_int_eq(r->status, 4);
}
END_TEST

int main(void) {
    Suite *s = suite_create("crash");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, setup, tool_teardown);
    tcase_set_timeout(t, 36000);
    tcase_add_test(t, killed_at_random);
    tcase_add_test(t, killed_at_a_call);
    tcase_add_test(t, a_call_fails);
    tcase_add_test(t, a_disk_fills_up);
    tcase_add_test(t, a_damaged_one_is_passed_over);
    tcase_add_test(t, so_many_are_kept);
    tcase_add_test(t, a_folder_takes_one_training);
    tcase_add_test(t, fingerprints_do_not_depend_on_threads);
    tcase_add_test(t, a_step_without_numbers_stops_the_run);
    tcase_add_test(t, a_step_without_numbers_is_skipped);
    tcase_add_test(t, a_run_without_numbers_is_rolled_back);
    tcase_add_test(t, there_is_an_end_to_patience);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Files from elsewhere are read in a child: whatever becomes of it, there is an error and no more. */
#include "tests/file_testing.h"
#include "train/child.h"
#include "train/weight_file.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static const ft_child_limits limits = {.memory = 64 << 20, .seconds = 1};

static ft_err says_hello(void *ctx, FILE *out) {
    fprintf(out, "hello %s", (const char *)ctx);
    return FT_OK;
}
static ft_err fails(void *ctx, FILE *out) {
    fputs("something", out);
    return ft_err_set(FT_E_DATA, "%s is not good", (const char *)ctx);
}
static ft_err is_killed(void *ctx, FILE *out) {
    (void)out;
    raise(*(const int *)ctx);
    return FT_OK;
}
static ft_err exits(void *ctx, FILE *out) {
    (void)ctx, (void)out;
    _exit(0);
}
static ft_err never_ends(void *ctx, FILE *out) {
    (void)ctx, (void)out;
    for (volatile unsigned i = 0;; i = i + 1) continue;
    return FT_OK;
}
#if !defined __SANITIZE_ADDRESS__
static ft_err takes_all_memory(void *ctx, FILE *out) {
    (void)ctx;
    for (int i = 0; i < 1000; i++) {
        char *p = malloc(16 << 20);
        FT_REQUIRE(p, MEMORY, "no memory");
        memset(p, 1, 16 << 20);
        fputc(p[i], out);
    }
    return FT_OK;
}
#endif

START_TEST(what_it_writes_comes_back) {
    FILE *f;
    char text[64] = "";
    ck_assert_int_eq(ft_child_run(says_hello, "there", "a file", limits, &f), FT_OK);
    ck_assert_uint_eq(fread(text, 1, sizeof text, f), 11);
    ck_assert_str_eq(text, "hello there");
    fclose(f);
    ck_assert_int_eq(ft_child_run(fails, "this", "a file", limits, &f), FT_E_DATA);
    ck_assert_str_eq(ft_err_message(), "this is not good");
    ck_assert_ptr_null(f);
}
END_TEST

START_TEST(what_breaks_it_is_an_error) {
    static const int signals[] = {SIGSEGV, SIGABRT, SIGBUS, SIGKILL, SIGFPE};
    FILE *f;
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        ck_assert_int_eq(ft_child_run(is_killed, (void *)(uintptr_t)&signals[i], "a file", limits, &f),
                         FT_E_WEIGHTS);
        ck_assert_ptr_nonnull(strstr(ft_err_message(), "a file: "));
        ck_assert_ptr_null(f);
    }
    ck_assert_int_eq(ft_child_run(exits, NULL, "a file", limits, &f), FT_E_WEIGHTS);
    ck_assert_int_eq(ft_child_run(never_ends, NULL, "a file", limits, &f), FT_E_WEIGHTS);
    ck_assert_ptr_nonnull(strstr(ft_err_message(), "more time or memory"));
#if !defined __SANITIZE_ADDRESS__
    ck_assert_int_eq(ft_child_run(takes_all_memory, NULL, "a file", limits, &f), FT_E_WEIGHTS);
    ck_assert_ptr_nonnull(strstr(ft_err_message(), "more time or memory"));
#endif
}
END_TEST

/* Keras's HDF5 with bytes of it changed: read, or refused with its name. FACET_CRASH_ROUNDS: so many. */
START_TEST(mutated_hdf5_does_no_harm) {
    ft_weight_file *f;
    float *p;
    const int64_t dims[] = {3, 3, 2, 4};
    ck_assert_int_eq(ft_weight_file_new(path, FT_WEIGHTS_KERAS, &f), FT_OK);
    for (int i = 0; i < 6; i++) {
        char name[32];
        snprintf(name, sizeof name, "conv2d_%d", i);
        ck_assert_int_eq(ft_weight_file_add_layer(f, name, NULL), FT_OK);
        snprintf(name, sizeof name, "conv2d_%d/kernel:0", i);
        ck_assert_int_eq(ft_weight_file_add(f, name, 4, dims, &p), FT_OK);
        for (int k = 0; k < 72; k++) p[k] = (float)k;
    }
    ck_assert_int_eq(ft_weight_file_write(f, path), FT_OK);
    ft_weight_file_free(f);
    FILE *file = fopen(path, "rb");
    static unsigned char good[1 << 20];
    size_t n = fread(good, 1, sizeof good, file);
    fclose(file);
    const char *wanted = getenv("FACET_CRASH_ROUNDS");
    int rounds = wanted ? atoi(wanted) : 150, refused = 0;
    unsigned state = 5;
    for (int round = 0; round < rounds; round++) {
        static unsigned char bad[1 << 20];
        memcpy(bad, good, n);
        for (int change = 0; change < 1 + round % 8; change++) {
            state = state * 1664525u + 1013904223u;
            unsigned at = (state >> 4) % (unsigned)n;
            state = state * 1664525u + 1013904223u;
            bad[at] = state % 3 == 0 ? 0xff : (unsigned char)(state >> 16);
        }
        file = fopen(path, "wb");
        ck_assert_uint_eq(fwrite(bad, 1, round % 10 == 9 ? (state >> 4) % n : n, file),
                          round % 10 == 9 ? (state >> 4) % n : n);
        fclose(file);
        ft_err e = ft_weight_file_read(path, FT_WEIGHTS_AUTO, &f);
        ck_assert_msg(e == FT_OK || e == FT_E_WEIGHTS, "round %d: error %d: %s", round, (int)e,
                      ft_err_message());
        ck_assert_msg(e == FT_OK || strstr(ft_err_message(), path), "round %d: %s", round, ft_err_message());
        refused += e != FT_OK;
        ft_weight_file_free(f);
    }
    ck_assert_int_gt(refused, rounds / 20);
}
END_TEST

int main(void) {
    file_name = "w.h5";
    Suite *s = suite_create("child");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, make_folder, remove_folder);
    tcase_set_timeout(t, 36000);
    tcase_add_test(t, what_it_writes_comes_back);
    tcase_add_test(t, what_breaks_it_is_an_error);
    tcase_add_test(t, mutated_hdf5_does_no_harm);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

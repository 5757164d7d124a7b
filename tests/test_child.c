/* What may break is done in a child: whatever becomes of it, there is an error and no more. */
#include "tensor/child.h"
#include "tensor/par.h"
#include "tests/file_testing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static ft_err run(ft_err (*work)(void *ctx, FILE *out), const void *ctx, FILE **result) {
    const ft_child_task task = {.work = work,
                                .ctx = (void *)(uintptr_t)ctx,
                                .what = "a file",
                                .hint = "look at it",
                                .broken = FT_E_WEIGHTS,
                                .memory = 64 << 20,
                                .seconds = 1};
    return ft_child_run(&task, result);
}

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
static ft_err writes_without_end(void *ctx, FILE *out) {
    (void)ctx;
    char block[4096] = {0};
    for (;;) fwrite(block, 1, sizeof block, out);
    return FT_OK;
}
static ft_err says_what_is_not_its_to_say(void *ctx, FILE *out) {
    (void)out;
    return ft_err_set(*(const ft_err *)ctx, "so there");
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
    ck_assert_int_eq(run(says_hello, "there", &f), FT_OK);
    ck_assert_uint_eq(fread(text, 1, sizeof text, f), 11);
    ck_assert_str_eq(text, "hello there");
    fclose(f);
    ck_assert_int_eq(run(fails, "this", &f), FT_E_DATA);
    ck_assert_str_eq(ft_err_message(), "this is not good");
    ck_assert_ptr_null(f);
}
END_TEST

#ifdef FACET_SHARED_MEMORY /* where LLVM's OpenMP makes a file for each process (shared_memory.c) */
static void nothing(void *ctx, int64_t chunk, int32_t thread) {
    (void)ctx, (void)chunk, (void)thread;
}
static ft_err says_who_it_is(void *ctx, FILE *out) {
    (void)ctx;
    fprintf(out, "_%d_", (int)getpid());
    return FT_OK;
}

START_TEST(nothing_of_it_stays_in_shared_memory) {
    FILE *f;
    char it[32] = "", this[32];
    snprintf(this, sizeof this, "_%d_", (int)getpid());
    ft_threads_set(2);
    ft_par_for(2, nothing, NULL);
    ck_assert_int_eq(run(says_who_it_is, NULL, &f), FT_OK);
    ck_assert_uint_gt(fread(it, 1, sizeof it - 1, f), 2);
    fclose(f);
    DIR *shared = opendir(FACET_SHARED_MEMORY);
    ck_assert_ptr_nonnull(shared);
    int of_it = 0, of_this = 0;
    for (struct dirent *e; (e = readdir(shared));) {
        of_it += strstr(e->d_name, it) != NULL;
        of_this += strstr(e->d_name, this) != NULL;
    }
    closedir(shared);
    ck_assert_int_eq(of_this, 1);
    ck_assert_int_eq(of_it, 0);
}
END_TEST
#endif

START_TEST(what_breaks_it_is_an_error) {
    static const int signals[] = {SIGSEGV, SIGABRT, SIGKILL, SIGFPE, SIGILL};
    FILE *f;
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        ck_assert_int_eq(run(is_killed, &signals[i], &f), FT_E_WEIGHTS);
        ck_assert_ptr_nonnull(strstr(ft_err_message(), "a file: "));
        ck_assert_ptr_null(f);
    }
    static const int bus = SIGBUS; /* of a file in memory whose disk fails */
    ck_assert_int_eq(run(is_killed, &bus, &f), FT_E_IO);
    ck_assert_ptr_nonnull(strstr(ft_err_message(), "a file: "));
    ck_assert_int_eq(run(exits, NULL, &f), FT_E_WEIGHTS);
    ck_assert_ptr_nonnull(strstr(ft_err_message(), "look at it"));
    ck_assert_int_eq(run(never_ends, NULL, &f), FT_E_WEIGHTS);
    ck_assert_ptr_nonnull(strstr(ft_err_message(), "more time or memory"));
    ck_assert_int_eq(run(writes_without_end, NULL, &f), FT_E_WEIGHTS);
    ck_assert_ptr_nonnull(strstr(ft_err_message(), "more time or memory"));
    static const ft_err said[] = {FT_E_STOPPED, (ft_err)1000};
    for (size_t i = 0; i < sizeof said / sizeof *said; i++)
        ck_assert_int_eq(run(says_what_is_not_its_to_say, &said[i], &f), FT_E_WEIGHTS);
#if !defined __SANITIZE_ADDRESS__
    ck_assert_int_eq(run(takes_all_memory, NULL, &f), FT_E_WEIGHTS);
    ck_assert_ptr_nonnull(strstr(ft_err_message(), "more time or memory"));
#endif
}
END_TEST

/* ---- memory that is short for a moment ---- */

static ft_err works_at_last(void *ctx, FILE *out) {
    int *tries = ctx; /* shared with the parent */
    if (++*tries == 1) return ft_err_set(FT_E_MEMORY, "no memory just now");
    fputs("done", out);
    return FT_OK;
}
static ft_err crashes_at_first(void *ctx, FILE *out) {
    int *tries = ctx;
    fputs("something that is not to stay", out);
    fflush(out);
    if (++*tries == 1) raise(SIGSEGV);
    return works_at_last(ctx, out);
}
static ft_err never_works(void *ctx, FILE *out) {
    (void)out;
    ++*(int *)ctx;
    return ft_err_set(FT_E_DATA, "is not good");
}

START_TEST(it_is_tried_again) {
    int *tries = mmap(NULL, sizeof *tries, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    char text[64] = "";
    FILE *f;
    ck_assert_ptr_ne(tries, MAP_FAILED);
    ck_assert_int_eq(run(works_at_last, tries, &f), FT_OK);
    ck_assert_int_eq(*tries, 2);
    fclose(f);
    *tries = 0;
    ck_assert_int_eq(run(crashes_at_first, tries, &f), FT_OK);
    ck_assert_uint_eq(fread(text, 1, sizeof text, f), 29 + 4);
    fclose(f);
    *tries = 0;
    ck_assert_int_eq(run(never_works, tries, &f), FT_E_DATA); /* what it says is final */
    ck_assert_int_eq(*tries, 1);
    munmap(tries, sizeof *tries);
}
END_TEST

/* ---- sealed ---- */

#if !defined __SANITIZE_ADDRESS__ && !defined FACET_COVERAGE
static ft_err does_what_is_forbidden(void *ctx, FILE *out) {
    int open_before = open("/dev/null", O_RDONLY);
    (void)ctx;
    ft_child_seal();
    fprintf(out, "%d", open("/dev/null", O_RDONLY) >= 0);
    fprintf(out, "%d", socket(AF_INET, SOCK_STREAM, 0) >= 0);
    fprintf(out, "%d", socket(AF_UNIX, SOCK_STREAM, 0) >= 0);
    fprintf(out, "%d", unlink("nothing-of-that-name") == 0 || errno != EPERM);
    fprintf(out, "%d", fork() >= 0);
    fprintf(out, "%d", execl("/bin/true", "true", (char *)NULL) == 0 || errno != EPERM);
    fprintf(out, "%d", kill(getppid(), 0) == 0 || errno != EPERM);
    fprintf(out, "%d",
            mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
    char *p = malloc(8 << 20), byte;
    fprintf(out, " %d%d", p != NULL, read(open_before, &byte, 1) == 0);
    return FT_OK;
}

START_TEST(a_sealed_one_can_do_nothing) {
    char text[64] = "";
    FILE *f;
    ck_assert_msg(run(does_what_is_forbidden, NULL, &f) == FT_OK, "%s", ft_err_message());
    ck_assert_uint_gt(fread(text, 1, sizeof text - 1, f), 0);
    ck_assert_str_eq(text, "00000000 11");
    fclose(f);
}
END_TEST
#endif

int main(void) {
    file_name = "w.h5";
    Suite *s = suite_create("child");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, make_folder, remove_folder);
    tcase_set_timeout(t, 100);
    tcase_add_test(t, what_it_writes_comes_back);
#ifdef FACET_SHARED_MEMORY
    tcase_add_test(t, nothing_of_it_stays_in_shared_memory);
#endif
    tcase_add_test(t, what_breaks_it_is_an_error);
    tcase_add_test(t, it_is_tried_again);
#if !defined __SANITIZE_ADDRESS__ && !defined FACET_COVERAGE
    tcase_add_test(t, a_sealed_one_can_do_nothing);
#endif
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

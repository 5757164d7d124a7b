/* Errors: codes, exit statuses, the thread's message, aligned allocation. */
#include <check.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/error.h"

static const ft_err all[] = {
#define CODE(name, status, sentence) FT_E_##name,
    FT_ERRORS(CODE)
#undef CODE
};
enum { N_CODES = sizeof all / sizeof all[0] };

START_TEST(ok_is_zero) {
    ck_assert_int_eq(FT_OK, 0);
    ck_assert_int_eq(ft_err_exit_status(FT_OK), 0);
}
END_TEST

START_TEST(sentences_differ) {
    for (int i = 0; i < N_CODES; i++) {
        ck_assert_int_gt((int)strlen(ft_err_sentence(all[i])), 0);
        for (int k = 0; k < i; k++) ck_assert_str_ne(ft_err_sentence(all[i]), ft_err_sentence(all[k]));
    }
    ck_assert_ptr_nonnull(ft_err_sentence((ft_err)999));
}
END_TEST

/* What the manual of the tools promises to scripts. */
START_TEST(exit_statuses) {
    ck_assert_int_eq(ft_err_exit_status(FT_E_USAGE), 2);
    ck_assert_int_eq(ft_err_exit_status(FT_E_CONFIG), 2);
    ck_assert_int_eq(ft_err_exit_status(FT_E_GRAPH), 2);
    ck_assert_int_eq(ft_err_exit_status(FT_E_DATA), 3);
    ck_assert_int_eq(ft_err_exit_status(FT_E_WEIGHTS), 3);
    ck_assert_int_eq(ft_err_exit_status(FT_E_NUMERIC), 4);
    ck_assert_int_eq(ft_err_exit_status(FT_E_IO), 5);
    ck_assert_int_eq(ft_err_exit_status(FT_E_MEMORY), 5);
    ck_assert_int_eq(ft_err_exit_status(FT_E_STOPPED), 130);
    ck_assert_int_ne(ft_err_exit_status((ft_err)999), 0);
}
END_TEST

static ft_err inner(int n) {
    FT_REQUIRE(n < 10, DATA, "%d is not below %d", n, 10);
    return FT_OK;
}
static ft_err outer(int n, int *reached) {
    FT_TRY(inner(n));
    *reached = 1;
    return FT_OK;
}

/* A file's name for something may hold what a terminal obeys. */
START_TEST(nothing_commands_the_terminal) {
    ft_err_set(FT_E_DATA, "\x1b[2J a\tb\nc \xc2\x9b d \x7f e \xc3\xa9l\xc3\xa9phant \xe2\x82\xac");
    ck_assert_str_eq(ft_err_message(), "?[2J a\tb\nc ?? d ? e \xc3\xa9l\xc3\xa9phant \xe2\x82\xac");
    ft_err_prefix(FT_E_DATA, "\x1b]0;title\x07");
    ck_assert_ptr_nonnull(strstr(ft_err_message(), "?]0;title?: ?[2J"));
}
END_TEST

START_TEST(a_failure_returns_at_once) {
    int reached = 0;
    ck_assert_str_eq(ft_err_message(), "");
    ck_assert_int_eq(outer(3, &reached), FT_OK);
    ck_assert_int_eq(reached, 1);
    ck_assert_str_eq(ft_err_message(), "");
    reached = 0;
    ck_assert_int_eq(outer(12, &reached), FT_E_DATA);
    ck_assert_int_eq(reached, 0);
    ck_assert_str_eq(ft_err_message(), "12 is not below 10");
}
END_TEST

START_TEST(prefixes_pile_up) {
    ft_err_set(FT_E_IO, "no such file");
    ck_assert_int_eq(ft_err_prefix(FT_E_IO, "%s", "a.yaml"), FT_E_IO);
    ft_err_prefix(FT_E_IO, "train");
    ck_assert_str_eq(ft_err_message(), "train: a.yaml: no such file");
    ft_err_set(FT_E_IO, "again: %s", ft_err_message());
    ck_assert_str_eq(ft_err_message(), "again: train: a.yaml: no such file");
}
END_TEST

START_TEST(long_messages_are_cut) {
    char text[10000];
    memset(text, 'q', sizeof text - 1);
    text[sizeof text - 1] = 0;
    ft_err_set(FT_E_DATA, "%s", text);
    size_t length = strlen(ft_err_message());
    ck_assert_uint_gt(length, 500);
    ck_assert_uint_lt(length, sizeof text - 1);
    ft_err_prefix(FT_E_DATA, "%s", text);
    ft_err_prefix(FT_E_DATA, "here");
    ck_assert_int_eq(strncmp(ft_err_message(), "here: qqq", 9), 0);
}
END_TEST

static void *fail_elsewhere(void *seen) {
    *(int *)seen = (int)strlen(ft_err_message());
    ft_err_set(FT_E_IO, "another thread's");
    return NULL;
}

START_TEST(messages_belong_to_threads) {
    pthread_t thread;
    int seen = -1;
    ft_err_set(FT_E_DATA, "mine");
    ck_assert_int_eq(pthread_create(&thread, NULL, fail_elsewhere, &seen), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_eq(seen, 0);
    ck_assert_str_eq(ft_err_message(), "mine");
}
END_TEST

START_TEST(memory_is_aligned_and_zero) {
    static const size_t counts[] = {0, 1, 15, 16, 17, 1000};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        char *p = ft_alloc(counts[i], 4);
        ck_assert_ptr_nonnull(p);
        ck_assert_uint_eq((uintptr_t)p % 64, 0);
        for (size_t k = 0; k < counts[i] * 4; k++) ck_assert_int_eq(p[k], 0);
        free(p);
    }
}
END_TEST

START_TEST(too_much_memory_is_null) {
    ck_assert_ptr_null(ft_alloc(SIZE_MAX / 2, 4));
    ck_assert_ptr_null(ft_alloc(SIZE_MAX, 1));
    ck_assert_ptr_null(ft_alloc(SIZE_MAX / 4 + 1, 4));
}
END_TEST

int main(void) {
    Suite *s = suite_create("error");
    TCase *t = tcase_create("error");
    tcase_add_test(t, ok_is_zero);
    tcase_add_test(t, sentences_differ);
    tcase_add_test(t, exit_statuses);
    tcase_add_test(t, a_failure_returns_at_once); /* first: in one process, nothing has failed before it */
    tcase_add_test(t, nothing_commands_the_terminal);
    tcase_add_test(t, prefixes_pile_up);
    tcase_add_test(t, long_messages_are_cut);
    tcase_add_test(t, messages_belong_to_threads);
    tcase_add_test(t, memory_is_aligned_and_zero);
    tcase_add_test(t, too_much_memory_is_null);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

/* What tests that read and write a file share: a folder for it, its bytes, the suite. */
#ifndef FACET_TESTS_FILE_TESTING_H
#define FACET_TESTS_FILE_TESTING_H

#include "tensor/error.h"

#include <check.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64], path[96]; /* the folder of this test, and the file in it */
static const char *file_name;

static inline void make_folder(void) {
    strcpy(folder, "/tmp/facet-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/%s", folder, file_name);
}
static inline void remove_folder(void) {
    unlink(path);
    ck_assert_msg(rmdir(folder) == 0, "something is left in %s", folder);
}

typedef struct bytes {
    unsigned char *p;
    size_t n;
} bytes;

static inline bytes read_bytes(const char *name) {
    FILE *f = fopen(name, "rb");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(fseek(f, 0, SEEK_END), 0);
    bytes b = {.n = (size_t)ftell(f)};
    b.p = malloc(b.n + 1);
    rewind(f);
    ck_assert_uint_eq(fread(b.p, 1, b.n, f), b.n);
    fclose(f);
    return b;
}
static inline void write_bytes(const char *name, const void *p, size_t n) {
    FILE *f = fopen(name, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(p, 1, n, f), n);
    ck_assert_int_eq(fclose(f), 0);
}

/* Changes these bits of the byte at that offset of the file. */
static inline void flip_bits(const char *name, size_t at, unsigned char mask) {
    unsigned char c;
    int fd = open(name, O_RDWR | O_CLOEXEC);
    bool flipped = pread(fd, &c, 1, (off_t)at) == 1;
    c ^= mask;
    flipped = flipped && pwrite(fd, &c, 1, (off_t)at) == 1;
    ck_assert(flipped); /* once: each assertion is a system call */
    close(fd);
}

static inline void assert_message(const char *part) {
    ck_assert_msg(strstr(ft_err_message(), part) != NULL, "'%s' is not in: %s", part, ft_err_message());
}
/* Runs the tests that add adds, each in a folder of its own for the file of that name; what happens in
 * at_end (or NULL) belongs to every test. */
static inline int run_suite(const char *name, const char *file, void (*at_end)(void), void (*add)(TCase *t)) {
    Suite *s = suite_create(name);
    TCase *t = tcase_create(name);
    file_name = file;
    tcase_set_timeout(t, 600);
    tcase_add_checked_fixture(t, make_folder, remove_folder);
    tcase_add_checked_fixture(t, NULL, at_end);
    add(t);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

#endif

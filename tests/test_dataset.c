/* Class folders and IDX files made here. */
#include "data/dataset.h"
#include "data/split.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zlib.h>

static char root[64]; /* this test's folder */

static void make_root(void) {
    strcpy(root, "/tmp/facet-dataset-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
}

static void remove_root(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    ck_assert_int_eq(system(command), 0);
}

/* "root/what", in one of a few buffers */
__attribute__((format(printf, 1, 2))) static const char *at(const char *what, ...) {
    static char buffers[4][256];
    static int next;
    char *b = buffers[next++ % 4];
    int n = snprintf(b, 256, "%s/", root);
    va_list ap;
    va_start(ap, what);
    vsnprintf(b + n, (size_t)(256 - n), what, ap);
    va_end(ap);
    return b;
}

static void put(const char *path, const void *bytes, size_t n) {
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

static void put_text(const char *path, const char *text) {
    put(path, text, strlen(text));
}

static void put_gz(const char *path, const void *bytes, size_t n) {
    gzFile g = gzopen(path, "wb");
    ck_assert_int_eq(gzwrite(g, bytes, (unsigned)n), (int)n);
    gzclose(g);
}

static ft_dataset *open_ok(const char *path) {
    ft_dataset *ds;
    ft_err e = ft_dataset_open(path, NULL, &ds);
    ck_assert_msg(e == FT_OK, "%s", ft_err_message());
    return ds;
}

static void open_fails(const char *path, const char *words) {
    ft_dataset *ds = (ft_dataset *)1;
    ck_assert_int_eq(ft_dataset_open(path, NULL, &ds), FT_E_DATA);
    ck_assert_ptr_null(ds);
    ck_assert_msg(strstr(ft_err_message(), words) && strstr(ft_err_message(), root), "\"%s\" lacks \"%s\"",
                  ft_err_message(), words);
}

static const char *name_of(const ft_dataset *ds, int32_t i) {
    static char name[256];
    ft_dataset_name(ds, i, name, sizeof name);
    return name;
}

/* ---- class folders ---- */

static void make_folder(void) {
    make_root();
    mkdir(at("beta"), 0755);
    mkdir(at("Alpha"), 0755);
    mkdir(at(".hidden"), 0755);
    put_text(at("beta/2.pgm"), "P5 1 1 255\nb");
    put_text(at("beta/10.PGM"), "P5 1 1 255\na");
    put_text(at("beta/.3.pgm"), "hidden");
    put_text(at("beta/notes.txt"), "no image");
    put_text(at("beta/noext"), "no image");
    mkdir(at("beta/sub"), 0755);
    put_text(at("Alpha/x.ppm"), "P6 1 1 255\nrgb");
    put_text(at("loose.jpg"), "in no class");
}

START_TEST(folder_reading) {
    ft_dataset *ds = open_ok(root);
    ck_assert_str_eq(ds->ops->kind, "class folders");
    ck_assert(ds->n == 3 && ds->n_classes == 2 && ds->n_ignored == 4 && !ds->in_memory);
    ck_assert_str_eq(ds->class_names[0], "Alpha"); /* bytewise: capitals first */
    ck_assert_str_eq(ds->class_names[1], "beta");
    ck_assert_str_eq(name_of(ds, 0), "Alpha/x.ppm");
    ck_assert_str_eq(name_of(ds, 1), "beta/10.PGM");
    ck_assert_str_eq(name_of(ds, 2), "beta/2.pgm");
    ck_assert(ft_dataset_label(ds, 0) == 0 && ft_dataset_label(ds, 2) == 1);
    ck_assert_int_eq(ft_dataset_fixed(ds, 0), FT_FIXED_NONE);
    ft_image im;
    ck_assert_int_eq(ft_dataset_read(ds, 1, (ft_image_want){.c = 3}, &im), FT_OK);
    ck_assert(im.c == 3 && im.p[1] == 'a');
    ft_image_free(&im);
    char small[6];
    ft_dataset_name(ds, 0, small, sizeof small);
    ck_assert_str_eq(small, "Alpha");
    put_text(at("beta/2.pgm"), "P5 1 1 255\n");
    ck_assert_int_eq(ft_dataset_read(ds, 2, (ft_image_want){.c = 1}, &im), FT_E_DATA);
    ck_assert_ptr_nonnull(strstr(ft_err_message(), at("beta/2.pgm")));
    ft_dataset_free(ds);
    ft_dataset_free(NULL);
}
END_TEST

static uint64_t fingerprint_of(const char *path) {
    ft_dataset *ds = open_ok(path);
    uint64_t f = ds->fingerprint;
    ft_dataset_free(ds);
    return f;
}

static uint64_t content_of(const ft_dataset *ds, int32_t i) {
    uint64_t hash = 0;
    ck_assert_msg(ft_dataset_content(ds, i, &hash) == FT_OK, "%s", ft_err_message());
    return hash;
}

START_TEST(content) { /* of the bytes alone */
    make_folder();
    ft_dataset *ds = open_ok(root);
    uint64_t before[] = {content_of(ds, 0), content_of(ds, 1), content_of(ds, 2)}, hash;
    ck_assert(before[0] != before[1] && before[1] != before[2] && before[0] != before[2]);
    put_text(at("beta/2.pgm"), "P5 1 1 255\na"); /* now as 10.PGM */
    ck_assert(content_of(ds, 0) == before[0] && content_of(ds, 2) == before[1]);
    ck_assert_int_eq(unlink(at("beta/2.pgm")), 0);
    ck_assert_int_eq(ft_dataset_content(ds, 2, &hash), FT_E_DATA);
    ck_assert_msg(strstr(ft_err_message(), "beta/2.pgm"), "%s", ft_err_message());
    ft_dataset_free(ds);
}
END_TEST

START_TEST(folder_fingerprint) {
    uint64_t first = fingerprint_of(root);
    ck_assert_uint_eq(fingerprint_of(at("./")), first);
    put_text(at("beta/notes.txt"), "still no image");
    ck_assert_uint_eq(fingerprint_of(root), first);
    put_text(at("beta/2.pgm"), "P5 1 1 255 \nb"); /* longer */
    uint64_t longer = fingerprint_of(root);
    ck_assert_uint_ne(longer, first);
    put_text(at("beta/2.pgm"), "P5 1 1 255\nb");
    ck_assert_uint_eq(fingerprint_of(root), first);
    rename(at("beta/2.pgm"), at("Alpha/2.pgm")); /* another label */
    ck_assert_uint_ne(fingerprint_of(root), first);
    rename(at("Alpha/2.pgm"), at("beta/3.pgm")); /* another name */
    ck_assert_uint_ne(fingerprint_of(root), first);
}
END_TEST

START_TEST(folder_errors) {
    open_fails(at("missing"), "no such folder");
    open_fails(at("loose.jpg"), "this is a file");
    open_fails(at("Alpha"), "no class folders");
    mkdir(at("empty"), 0755);
    open_fails(root, "empty: the class folder holds no image (0 other");
    put_text(at("empty/a.txt"), "words");
    open_fails(root, "(1 other");
    ck_assert_int_eq(symlink("/nowhere/at/all.jpg", at("empty/a.jpg")), 0);
    put_text(at("empty/b.gif"), "GIF89a"); /* images by their names: reading tells */
    ft_dataset *ds = open_ok(root);
    ck_assert_int_eq(ds->n, 5);
    for (int32_t i = 3; i < 5; i++) { /* the folder's name comes last */
        ft_image im;
        ck_assert_int_eq(ft_dataset_read(ds, i, (ft_image_want){.c = 3}, &im), FT_E_DATA);
    }
    ft_dataset_free(ds);
}
END_TEST

/* ---- IDX ---- */

enum { W = 3, H = 2, N_TRAIN = 12, N_TEST = 5 };

static size_t idx_images(uint8_t *p, int n, int first) {
    const uint8_t head[16] = {0, 0, 8, 3, 0, 0, 0, (uint8_t)n, 0, 0, 0, H, 0, 0, 0, W};
    memcpy(p, head, sizeof head);
    for (int i = 0; i < n * H * W; i++) p[16 + i] = (uint8_t)(first + i);
    return (size_t)(16 + n * H * W);
}

static size_t idx_labels(uint8_t *p, int n, int n_classes) {
    const uint8_t head[8] = {0, 0, 8, 1, 0, 0, 0, (uint8_t)n};
    memcpy(p, head, sizeof head);
    for (int i = 0; i < n; i++) p[8 + i] = (uint8_t)(i % n_classes);
    return (size_t)(8 + n);
}

static void make_idx(void) {
    make_root();
    uint8_t p[512];
    size_t n = idx_images(p, N_TRAIN, 0);
    put_gz(at("train-images-idx3-ubyte.gz"), p, n);
    n = idx_labels(p, N_TRAIN, 4);
    put_gz(at("train-labels-idx1-ubyte.gz"), p, n);
    n = idx_images(p, N_TEST, 100);
    put(at("t10k-images.idx3-ubyte"), p, n); /* plain, and the other spelling */
    n = idx_labels(p, N_TEST, 4);
    put(at("t10k-labels-idx1-ubyte"), p, n);
}

START_TEST(idx_reading) {
    ft_dataset *ds = open_ok(root);
    ck_assert_str_eq(ds->ops->kind, "IDX");
    ck_assert(ds->n == N_TRAIN + N_TEST && ds->n_classes == 4 && ds->in_memory);
    ck_assert_str_eq(ds->class_names[3], "3");
    ck_assert(ft_dataset_label(ds, 5) == 1 && ft_dataset_label(ds, N_TRAIN + 3) == 3);
    ck_assert_int_eq(ft_dataset_fixed(ds, N_TRAIN - 1), FT_FIXED_TRAIN);
    ck_assert_int_eq(ft_dataset_fixed(ds, N_TRAIN), FT_FIXED_TEST);
    ck_assert_str_eq(name_of(ds, 7), "train-images-idx3-ubyte.gz[7]");
    ck_assert_str_eq(name_of(ds, N_TRAIN + 2), "t10k-images.idx3-ubyte[2]");
    ft_image im;
    ck_assert_int_eq(ft_dataset_read(ds, 2, (ft_image_want){.c = 1}, &im), FT_OK);
    ck_assert(im.w == W && im.h == H && im.p[0] == 12 && im.p[5] == 17);
    ft_image_free(&im);
    ck_assert_int_eq(ft_dataset_read(ds, N_TRAIN + 1, (ft_image_want){.c = 3}, &im), FT_OK);
    ck_assert(im.c == 3 && im.p[0] == 106 && im.p[2] == 106 && im.p[3] == 107);
    ft_image_free(&im);
    uint64_t before = ds->fingerprint;
    ft_dataset_free(ds);
    put_text(at("classes.txt"), "zero\none\r\ntwo\nthree\nfour\n");
    ds = open_ok(root);
    ck_assert_int_eq(ds->n_classes, 5);
    ck_assert_str_eq(ds->class_names[1], "one");
    ck_assert_uint_ne(ds->fingerprint, before);
    ft_dataset_free(ds);
}
END_TEST

START_TEST(idx_without_test_part) {
    unlink(at("t10k-images.idx3-ubyte"));
    open_fails(root, "is missing");
    unlink(at("t10k-labels-idx1-ubyte"));
    ft_dataset *ds = open_ok(root);
    ck_assert_int_eq(ds->n, N_TRAIN);
    ck_assert_int_eq(ft_dataset_fixed(ds, 0), FT_FIXED_NONE);
    ft_dataset_free(ds);
}
END_TEST

START_TEST(idx_errors) {
    uint8_t p[512] = {0};
    size_t n;
    put_text(at("classes.txt"), "a\nb\nc\n");
    open_fails(root, "label 3 of sample 3 is out of range");
    put_text(at("classes.txt"), "a\nb\na\n");
    open_fails(root, "lines 1 and 3");
    put_text(at("classes.txt"), "\n");
    open_fails(root, "no class names");
    unlink(at("classes.txt"));
    n = idx_labels(p, N_TEST, 5); /* label 4 never occurs in training */
    put(at("t10k-labels-idx1-ubyte"), p, n);
    open_fails(root, "label 4 of sample 4 is out of range");
    n = idx_labels(p, N_TEST - 1, 4);
    put(at("t10k-labels-idx1-ubyte"), p, n);
    open_fails(root, "5 images in t10k-images.idx3-ubyte but 4 labels");
    n = idx_images(p, N_TEST, 0);
    put(at("t10k-labels-idx1-ubyte"), p, n);
    open_fails(root, "begins with 0x00000803 instead of 0x00000801");
    put(at("t10k-images.idx3-ubyte"), p, n - 1);
    open_fails(root, "truncated");
    put(at("t10k-images.idx3-ubyte"), p, n + 1);
    open_fails(root, "goes on after");
    put(at("t10k-images.idx3-ubyte"), p, 10);
    open_fails(root, "truncated");
    p[4] = 0x7f; /* two thousand million images, before any memory is asked for */
    put(at("t10k-images.idx3-ubyte"), p, n);
    open_fails(root, "more than");
    p[11] = 0;
    put(at("t10k-images.idx3-ubyte"), p, n);
    open_fails(root, "the header claims");
}
END_TEST

START_TEST(idx_damaged_gzip) {
    FILE *f = fopen(at("train-images-idx3-ubyte.gz"), "rb");
    uint8_t p[512];
    size_t n = fread(p, 1, sizeof p, f);
    fclose(f);
    put(at("train-images-idx3-ubyte.gz"), p, n / 2);
    open_fails(root, "train-images-idx3-ubyte.gz: ");
    p[n - 7] ^= 1; /* the checksum */
    put(at("train-images-idx3-ubyte.gz"), p, n);
    open_fails(root, "damaged");
}
END_TEST

START_TEST(idx_fashion_mnist) {
    const char *path = "/usr/share/datasets/fashion-mnist";
    if (access(path, R_OK) != 0) {
        fprintf(stderr, "skipped: no Fashion-MNIST in %s\n", path);
        return;
    }
    ft_dataset *ds = open_ok(path);
    ck_assert(ds->n == 70000 && ds->n_classes == 10);
    int32_t n_test = 0, per_class[10] = {0};
    for (int32_t i = 0; i < ds->n; i++) {
        if (ft_dataset_fixed(ds, i) == FT_FIXED_TEST)
            n_test++;
        else
            per_class[ft_dataset_label(ds, i)]++;
    }
    ck_assert_int_eq(n_test, 10000);
    for (int k = 0; k < 10; k++) ck_assert_int_eq(per_class[k], 6000);
    ft_split s;
    ck_assert_int_eq(ft_split_make(ds, &(ft_split_spec){.fraction = {0.9, 0.1, 0}}, &s), FT_OK);
    ck_assert(s.n[FT_PART_TRAIN] == 54000 && s.n[FT_PART_VAL] == 6000 && s.n[FT_PART_TEST] == 10000);
    ft_split_free(&s);
    ft_dataset_free(ds);
}
END_TEST

int main(void) {
    Suite *s = suite_create("dataset");
    TCase *folder = tcase_create("folder"), *idx = tcase_create("idx");
    tcase_add_checked_fixture(folder, make_folder, remove_root);
    tcase_add_test(folder, folder_reading);
    tcase_add_test(folder, content);
    tcase_add_test(folder, folder_fingerprint);
    tcase_add_test(folder, folder_errors);
    tcase_add_checked_fixture(idx, make_idx, remove_root);
    tcase_set_timeout(idx, 60);
    tcase_add_test(idx, idx_reading);
    tcase_add_test(idx, idx_without_test_part);
    tcase_add_test(idx, idx_errors);
    tcase_add_test(idx, idx_damaged_gzip);
    tcase_add_test(idx, idx_fashion_mnist);
    suite_add_tcase(s, folder);
    suite_add_tcase(s, idx);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}

/* Class folders and IDX files made here, and splits. */
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

/* The split of seed 42 below, as recorded when it was written: it must not change, or old runs lose their
 * parts. */
#define SPLIT_RECORDED 0xabbddc7c7bdbf42du

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
    ck_assert_int_eq(ft_dataset_content(ds, 2, &hash), FT_E_IO);
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
    put_text(at("empty/a.gif"), "GIF");
    open_fails(root, "(1 other");
    unlink(at("empty/a.gif"));
    ck_assert_int_eq(symlink("/nowhere/at/all.jpg", at("empty/a.jpg")), 0);
    open_fails(root, "leads nowhere");
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
    uint8_t p[512];
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

/* ---- splits, on a data set of numbers alone ---- */

typedef struct fake {
    ft_dataset base;
    const int32_t *label;
    int32_t n_test; /* the last ones are an official test part, the others then an official training part */
} fake;

static int32_t fake_label(const ft_dataset *ds, int32_t i) {
    return ((const fake *)ds)->label[i];
}
static ft_fixed fake_fixed(const ft_dataset *ds, int32_t i) {
    int32_t n_test = ((const fake *)ds)->n_test;
    if (!n_test) return FT_FIXED_NONE;
    return i >= ds->n - n_test ? FT_FIXED_TEST : FT_FIXED_TRAIN;
}
static const ft_dataset_ops fake_ops = {.kind = "fake", .label = fake_label, .fixed = fake_fixed};

static fake make_fake(const int32_t *label, int32_t n, int32_t n_classes, int32_t n_test) {
    return (
        fake){.base = {.ops = &fake_ops, .n = n, .n_classes = n_classes}, .label = label, .n_test = n_test};
}

/* Disjoint, ascending, in range; parts of sample i to part (n), FT_PARTS for none. */
static void check_lists(const ft_split *s, int32_t n, uint8_t *part) {
    memset(part, FT_PARTS, (size_t)n);
    for (int p = 0; p < FT_PARTS; p++)
        for (int32_t i = 0; i < s->n[p]; i++) {
            int32_t k = s->index[p][i];
            ck_assert(k >= 0 && k < n && part[k] == FT_PARTS);
            ck_assert(i == 0 || s->index[p][i - 1] < k);
            part[k] = (uint8_t)p;
        }
}

enum { N = 1000, CLASSES = 7 };
static int32_t uneven[N];

/* Classes of very different sizes, mixed: 1, 3, 10, 33, 100, ... */
static void make_uneven(void) {
    static const int32_t size[CLASSES] = {1, 3, 10, 33, 100, 297, 556};
    int32_t i = 0;
    for (int32_t k = 0; k < CLASSES; k++)
        for (int32_t j = 0; j < size[k]; j++, i++) uneven[i * 7 % N] = k;
    ck_assert_int_eq(i, N);
}

START_TEST(split_stratified) {
    make_uneven();
    fake ds = make_fake(uneven, N, CLASSES, 0);
    static const double fractions[][3] = {{0.6, 0.2, 0.2}, {0.8, 0.1, 0.1}, {0.7, 0.3, 0},
                                          {0.1, 0.05, 0},  {1, 0, 0},       {1.0 / 3, 1.0 / 3, 1.0 / 3}};
    for (size_t k = 0; k < sizeof fractions / sizeof fractions[0]; k++) {
        ft_split_spec spec = {.seed = k};
        memcpy(spec.fraction, fractions[k], sizeof spec.fraction);
        ft_split s;
        ck_assert_int_eq(ft_split_make(&ds.base, &spec, &s), FT_OK);
        uint8_t part[N];
        check_lists(&s, N, part);
        double sum = 0;
        for (int p = 0; p < FT_PARTS; p++) {
            sum += spec.fraction[p];
            ck_assert(abs((int)(N * spec.fraction[p]) - s.n[p]) <= 3);
        }
        if (sum > 0.999) ck_assert_int_eq(s.n[0] + s.n[1] + s.n[2], N); /* complete */
        int32_t size[CLASSES] = {0}, share[CLASSES][FT_PARTS + 1] = {0};
        for (int32_t i = 0; i < N; i++) {
            size[uneven[i]]++;
            share[uneven[i]][part[i]]++;
        }
        for (int c = 0; c < CLASSES; c++) {
            ck_assert_int_ge(share[c][FT_PART_TRAIN], 1);
            for (int p = 0; p < FT_PARTS; p++) {
                double exact = size[c] * spec.fraction[p], got = share[c][p];
                bool raised = p == FT_PART_TRAIN && share[c][p] == 1;
                ck_assert_msg(raised || (got > exact - 2 && got < exact + 1), "class %d part %d: %g of %g", c,
                              p, got, exact);
                if (size[c] >= 10 && spec.fraction[p] >= 0.1) ck_assert(got >= 1 && got >= exact - 1.000001);
            }
        }
        ft_split_free(&s);
        ck_assert_ptr_null(s.index[0]);
    }
}
END_TEST

START_TEST(split_many_small_classes) { /* two images each: the totals must be right all the same */
    static int32_t label[400];
    for (int32_t i = 0; i < 400; i++) label[i] = i / 2;
    fake ds = make_fake(label, 400, 200, 0);
    ft_split s;
    ck_assert_int_eq(ft_split_make(&ds.base, &(ft_split_spec){.fraction = {0.6, 0.2, 0.2}}, &s), FT_OK);
    ck_assert(abs(s.n[0] - 240) <= 1 && abs(s.n[1] - 80) <= 1 && abs(s.n[2] - 80) <= 1);
    ft_split_free(&s);
}
END_TEST

static uint64_t split_hash(const ft_split *s) {
    uint64_t h = 0xcbf29ce484222325u;
    for (int p = 0; p < FT_PARTS; p++)
        for (int32_t i = 0; i < s->n[p]; i++) h = (h ^ (uint64_t)(s->index[p][i] * 4 + p)) * 0x100000001b3u;
    return h;
}

START_TEST(split_seed) {
    make_uneven();
    fake ds = make_fake(uneven, N, CLASSES, 0);
    uint64_t h[3];
    for (int k = 0; k < 3; k++) {
        ft_split_spec spec = {.fraction = {0.6, 0.2, 0.2}, .seed = k == 2 ? 43 : 42};
        ft_split s;
        ck_assert_int_eq(ft_split_make(&ds.base, &spec, &s), FT_OK);
        h[k] = split_hash(&s);
        ft_split_free(&s);
    }
    ck_assert_uint_eq(h[0], h[1]);
    ck_assert_uint_ne(h[0], h[2]);
    ck_assert_msg(h[0] == SPLIT_RECORDED, "the split of seed 42 is %#lx on this machine",
                  (unsigned long)h[0]);
}
END_TEST

START_TEST(split_fixed_test_part) {
    make_uneven();
    fake ds = make_fake(uneven, N, CLASSES, 200);
    static const double fractions[][3] = {{0.75, 0.25, 0}, {0.6, 0.2, 0.2}};
    for (int k = 0; k < 2; k++) { /* both mean 3:1 */
        ft_split_spec spec = {.seed = 1};
        memcpy(spec.fraction, fractions[k], sizeof spec.fraction);
        ft_split s;
        ck_assert_int_eq(ft_split_make(&ds.base, &spec, &s), FT_OK);
        uint8_t part[N];
        check_lists(&s, N, part);
        ck_assert_int_eq(s.n[FT_PART_TEST], 200);
        for (int32_t i = 0; i < N; i++) ck_assert_int_eq(part[i] == FT_PART_TEST, i >= 800);
        ck_assert(s.n[FT_PART_TRAIN] + s.n[FT_PART_VAL] == 800 && abs(s.n[FT_PART_VAL] - 200) <= 2);
        ft_split_free(&s);
    }
    ft_split s; /* the official test part alone */
    ck_assert_int_eq(ft_split_make(&ds.base, &(ft_split_spec){.fraction = {0, 0, 1}}, &s), FT_OK);
    ck_assert(s.n[0] == 0 && s.n[1] == 0 && s.n[2] == 200);
    ft_split_free(&s);
}
END_TEST

START_TEST(split_errors) {
    static const int32_t label[3] = {0, 1, 2};
    fake ds = make_fake(label, 3, 3, 0);
    ft_split s;
    static const double bad[][3] = {{0.8, 0.2, 0.1}, {-0.1, 0.5, 0.5}, {1.2, 0, 0}, {0.5, 0.0 / 0.0, 0}};
    for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++) {
        ft_split_spec spec = {0};
        memcpy(spec.fraction, bad[k], sizeof spec.fraction);
        ck_assert_int_eq(ft_split_make(&ds.base, &spec, &s), FT_E_CONFIG);
        ck_assert_ptr_null(s.index[0]);
    }
    /* one image a class: all go to train */
    ck_assert_int_eq(ft_split_make(&ds.base, &(ft_split_spec){.fraction = {0.8, 0.2, 0}}, &s), FT_E_DATA);
    ck_assert_ptr_nonnull(strstr(ft_err_message(), "the val part gets no image"));
    ck_assert_int_eq(ft_split_make(&ds.base, &(ft_split_spec){.fraction = {1, 0, 0}}, &s), FT_OK);
    ck_assert_int_eq(s.n[0], 3);
    ft_split_free(&s);
}
END_TEST

int main(void) {
    Suite *s = suite_create("dataset");
    TCase *folder = tcase_create("folder"), *idx = tcase_create("idx"), *split = tcase_create("split");
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
    tcase_add_test(split, split_stratified);
    tcase_add_test(split, split_many_small_classes);
    tcase_add_test(split, split_seed);
    tcase_add_test(split, split_fixed_test_part);
    tcase_add_test(split, split_errors);
    suite_add_tcase(s, folder);
    suite_add_tcase(s, idx);
    suite_add_tcase(s, split);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}

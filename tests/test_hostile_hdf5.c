/* HDF5 files made to do harm, of every kind that Facet reads: whatever becomes of HDF5, there is an error
 * that names the file, in bounded time, and the process goes on.
 *
 * Bytes changed at random and files cut, and the numbers that the format is made of (addresses, sizes,
 * counts) replaced one by one by what known attacks use: nothing, themselves, one another, the largest, one
 * too many. FACET_CRASH_ROUNDS: how many of each; 10000 is a campaign, CI tries a few.
 */
#include "data/dataset.h"
#include "data/pack.h"
#include "tests/zip_testing.h"
#include "train/checkpoint.h"
#include "train/tensor_file.h"
#include "train/weight_file.h"

#include <hdf5.h>
#include <time.h>

enum { MOST_BYTES = 4 << 20, SLOWEST = 60 /* seconds */ };
static const float number = 1.5f; /* all weights; so bytes that are none of the format's are known */
static char more[128];            /* another file or folder to remove */
static unsigned state;

static unsigned below(unsigned n) {
    state = state * 1664525u + 1013904223u;
    return (state >> 8) % n;
}

/* ---- the kinds: a good file at path, and reading it ---- */

static void make_keras(void) {
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
        for (int k = 0; k < 72; k++) p[k] = number;
    }
    ck_assert_msg(ft_weight_file_write(f, path) == FT_OK, "%s", ft_err_message());
    ft_weight_file_free(f);
}

static void add_text(hid_t object, const char *name, const char *text) {
    hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
    H5Tset_size(type, strlen(text));
    hid_t a = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    ck_assert_int_ge(H5Awrite(a, type, text), 0);
    H5Aclose(a);
    H5Sclose(space);
    H5Tclose(type);
}

/* One layer, in chunks, shuffled, compressed and with checksums, in the newest layout. */
static void make_compressed(void) {
    static float p[64 * 64];
    const hsize_t dims[] = {64, 64}, chunk[] = {16, 32};
    for (int i = 0; i < 64 * 64; i++) p[i] = number;
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_libver_bounds(access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
    hid_t f = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, access), how = H5Pcreate(H5P_DATASET_CREATE);
    hid_t layer = H5Gcreate2(f, "dense", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Pset_chunk(how, 2, chunk);
    H5Pset_shuffle(how);
    H5Pset_deflate(how, 6);
    H5Pset_fletcher32(how);
    hid_t space = H5Screate_simple(2, dims, NULL);
    hid_t d = H5Dcreate2(layer, "kernel:0", H5T_IEEE_F32LE, space, H5P_DEFAULT, how, H5P_DEFAULT);
    ck_assert_int_ge(H5Dwrite(d, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, p), 0);
    add_text(f, "layer_names", "dense");
    add_text(layer, "weight_names", "kernel:0");
    H5Dclose(d);
    H5Sclose(space);
    H5Pclose(how);
    H5Gclose(layer);
    H5Fclose(f);
    H5Pclose(access);
}

static ft_err read_weights(void) {
    ft_weight_file *f;
    ft_err e = ft_weight_file_read(path, FT_WEIGHTS_AUTO, &f);
    ft_weight_file_free(f);
    return e;
}

/* The weights in a model that Keras 3 saved; they are read in their archive, whose checksums are right. */
static void make_keras3(void) {
    zip_parts parts;
    zip_unpack(&parts, "tests/golden/keras3_model.keras");
    const zip_part *weights = zip_part_named(&parts, "model.weights.h5");
    write_bytes(path, weights->p, weights->n);
    zip_free(&parts);
}

static ft_err read_keras3(void) {
    static zip_made z;
    bytes b = read_bytes(path);
    const zip_part parts[] = {{"metadata.json", "{}", 2, false, false, false},
                              {"config.json", "{}", 2, false, false, false},
                              {"model.weights.h5", b.p, b.n, false, false, false}};
    zip_make(&z, parts, 3, false);
    free(b.p);
    snprintf(more, sizeof more, "%s.keras", path);
    write_bytes(more, z.p, z.n);
    ft_weight_file *f;
    ft_err e = ft_weight_file_read(more, FT_WEIGHTS_AUTO, &f);
    ft_weight_file_free(f);
    return e;
}

static void make_checkpoint(void) {
    static const char *const names[] = {"a", "b"};
    const ft_net_options options = {.classes = 2, .width = 1};
    const ft_preprocess image = {.h = 12, .w = 12, .c = 1, .normalize = FT_NORMALIZE_UNIT, .center_crop = 1};
    ft_model *m;
    ck_assert_msg(ft_model_new("lenet", &options, &image, names, &m) == FT_OK, "%s", ft_err_message());
    for (int32_t i = 0; i < ft_graph_n_params(m->g); i++) {
        ft_param *p = ft_graph_param(m->g, i);
        for (int64_t k = 0; k < ft_shape_size(p->shape); k++) p->p[k] = number;
    }
    ck_assert_msg(ft_checkpoint_write(path, m, NULL) == FT_OK, "%s", ft_err_message());
    ft_model_free(m);
}

static ft_err read_checkpoint(void) {
    ft_model *m;
    ft_err e = ft_checkpoint_read_model(path, &m);
    ft_model_free(m);
    return e;
}

static void make_packed(void) {
    char command[1024];
    int32_t n;
    ft_dataset *ds;
    snprintf(more, sizeof more, "%s/images", folder);
    snprintf(command, sizeof command,
             "mkdir -p %s/a %s/b && for i in 1 2 3; do printf 'P5 2 2 255 abcd' | tee %s/a/$i.pgm > "
             "%s/b/$i.pgm; done",
             more, more, more, more);
    ck_assert_int_eq(system(command), 0);
    ck_assert_msg(ft_dataset_open(more, &(ft_dataset_options){0}, &ds) == FT_OK, "%s", ft_err_message());
    ck_assert_msg(ft_pack_write(ds, &(ft_pack_options){0}, path, NULL, NULL, &n) == FT_OK, "%s",
                  ft_err_message());
    ft_dataset_free(ds);
}

static ft_err read_packed(void) {
    ft_dataset *ds;
    ft_err e = ft_dataset_open(path, &(ft_dataset_options){0}, &ds);
    for (int32_t i = 0; e == FT_OK && i < ds->n; i++) {
        ft_image im;
        e = ft_dataset_read(ds, i, (ft_image_want){.c = 1}, &im);
        ft_image_free(&im);
    }
    if (ds) ft_dataset_free(ds);
    return e;
}

static void make_tensor(void) {
    static float p[2 * 4 * 4 * 3];
    const hsize_t dims[] = {2, 4, 4, 3};
    for (int i = 0; i < 2 * 4 * 4 * 3; i++) p[i] = number;
    hid_t f = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT),
          space = H5Screate_simple(4, dims, NULL);
    hid_t d = H5Dcreate2(f, "x", H5T_IEEE_F64LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    ck_assert_int_ge(H5Dwrite(d, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, p), 0);
    H5Dclose(d);
    H5Sclose(space);
    H5Fclose(f);
}

static ft_err read_tensor(void) {
    char where[128];
    ft_tensor_file t;
    snprintf(where, sizeof where, "%s:/x", path);
    FT_TRY(ft_tensor_open(&t, where));
    int64_t n = ft_shape_size(t.shape);
    float *p = n < 1 << 20 ? calloc((size_t)n, sizeof *p) : NULL;
    ft_err e = p ? ft_tensor_read(&t, 0, t.shape.n, p) : FT_OK;
    free(p);
    ft_tensor_close(&t);
    return e;
}

static const struct {
    const char *name;
    void (*make)(void);
    ft_err (*read)(void);
} kinds[] = {{"Keras", make_keras, read_weights},       {"Keras, compressed", make_compressed, read_weights},
             {"Keras 3", make_keras3, read_keras3},     {"checkpoint", make_checkpoint, read_checkpoint},
             {"packed data", make_packed, read_packed}, {"tensor", make_tensor, read_tensor}};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

/* ---- harm ---- */

static int rounds(int usual) {
    const char *wanted = getenv("FACET_CRASH_ROUNDS");
    return wanted ? atoi(wanted) : usual;
}

static bool is_number(const bytes *b, size_t at) {
    for (size_t k = 0; k < sizeof number; k++)
        if (at >= k && at - k + sizeof number <= b->n && memcmp(b->p + at - k, &number, sizeof number) == 0)
            return true;
    return false;
}

/* The offsets of bytes that matter: neither a weight nor deep in a stretch of zeros. */
static size_t *places(const bytes *b, size_t *n) {
    size_t *at = malloc((b->n + 1) * sizeof *at), last = 0;
    *n = 0;
    for (size_t i = 0; i < b->n; i++) {
        if (b->p[i]) last = i;
        if (i - last < 16 && !is_number(b, i)) at[(*n)++] = i;
    }
    return at;
}

/* Reads what is at path. Returns whether it was refused. */
static bool no_harm(int kind, const char *what, int round) {
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    ft_err e = kinds[kind].read();
    clock_gettime(CLOCK_MONOTONIC, &to);
    ck_assert_msg(e == FT_OK || e == FT_E_WEIGHTS || e == FT_E_DATA, "%s, %s, round %d: error %d: %s",
                  kinds[kind].name, what, round, (int)e, ft_err_message());
    ck_assert_msg(e == FT_OK || strstr(ft_err_message(), path), "%s, %s, round %d: %s", kinds[kind].name,
                  what, round, ft_err_message());
    ck_assert_msg(to.tv_sec - from.tv_sec < SLOWEST, "%s, %s, round %d: %ld seconds", kinds[kind].name, what,
                  round, (long)(to.tv_sec - from.tv_sec));
    return e != FT_OK;
}

static bytes make(int kind) {
    state = 5;
    *more = '\0';
    kinds[kind].make();
    ck_assert_msg(kinds[kind].read() == FT_OK, "%s: %s", kinds[kind].name, ft_err_message());
    bytes b = read_bytes(path);
    ck_assert_uint_lt(b.n, MOST_BYTES);
    return b;
}

static void tidy(bytes *b, unsigned char *bad) {
    char command[256];
    snprintf(command, sizeof command, "rm -rf %s", more);
    if (*more) ck_assert_int_eq(system(command), 0);
    free(b->p);
    free(bad);
}

START_TEST(bytes_are_changed) {
    bytes good = make(_i);
    unsigned char *bad = malloc(good.n);
    size_t n;
    size_t *at = places(&good, &n);
    int refused = 0, many = rounds(60);
    for (int round = 0; round < many; round++) {
        memcpy(bad, good.p, good.n);
        for (int change = 0; change < 1 + round % 8; change++)
            bad[at[below((unsigned)n)]] = below(3) == 0 ? 0xff : (unsigned char)below(256);
        write_bytes(path, bad, round % 10 == 9 ? below((unsigned)good.n) : good.n);
        refused += no_harm(_i, "bytes changed", round);
    }
    printf("%-18s %d of %d files with changed bytes refused\n", kinds[_i].name, refused, many);
    ck_assert_int_gt(refused, many / 20);
    free(at);
    tidy(&good, bad);
}
END_TEST

/* What takes the place of the number of that many bytes at an offset. */
static uint64_t attack(const bytes *b, size_t at, int choice) {
    uint64_t other = 0;
    switch (choice) {
    case 0:
        return 0;
    case 1:
        return at; /* it points to itself */
    case 2:
        return UINT64_MAX;
    case 3:
        return b->n; /* just behind the file */
    case 4:
        memcpy(&other, b->p + below((unsigned)b->n - 8), 8);
        return other;
    case 5:
        memcpy(&other, b->p + at, 8);
        return other + 1;
    case 6:
        return at & ~(uint64_t)7 & ~(uint64_t)0xff; /* back to where it came from */
    default:
        return UINT64_C(1) << (8 + below(55)); /* a bomb */
    }
}

START_TEST(numbers_are_replaced) {
    bytes good = make(_i);
    unsigned char *bad = malloc(good.n);
    size_t n;
    size_t *at = places(&good, &n);
    int refused = 0, many = rounds(60);
    for (int round = 0; round < many; round++) {
        static const size_t sizes[] = {8, 4, 2, 1};
        size_t where = at[(size_t)((double)round / many * (double)n)], size = sizes[round % 4];
        if (where + 8 > good.n) where = good.n - 8;
        uint64_t x = attack(&good, where, round / 4 % 8);
        memcpy(bad, good.p, good.n);
        memcpy(bad + where, &x, size);
        write_bytes(path, bad, good.n);
        refused += no_harm(_i, "a number replaced", round);
    }
    printf("%-18s %d of %d files with a replaced number refused\n", kinds[_i].name, refused, many);
    free(at);
    tidy(&good, bad);
}
END_TEST

int main(void) {
    file_name = "w.h5";
    Suite *s = suite_create("hostile_hdf5");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, make_folder, remove_folder);
    tcase_set_timeout(t, 36000);
    tcase_add_loop_test(t, bytes_are_changed, 0, N_KINDS);
    tcase_add_loop_test(t, numbers_are_replaced, 0, N_KINDS);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Keras 2's files of weights: real ones, number by number; what is written, attribute by attribute; and files
 * that are not what they should be. Data of ../shared (or FACET_SHARED) where they are there.
 */
#include "train/weight_file.h"
#include "train/weight_formats.h"

#include <check.h>
#include <hdf5.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

static char folder[64], shared[512];

static void setup(void) {
    char here[256];
    const char *named = getenv("FACET_SHARED");
    ck_assert_ptr_nonnull(getcwd(here, sizeof here));
    snprintf(shared, sizeof shared, "%s%s", named ? named : here, named ? "" : "/../shared");
    strcpy(folder, "/tmp/facet-keras-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(chdir(folder), 0);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

static void teardown(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}

/* The path of a file of ../shared/data/weights, or NULL, and says so, where it is not. */
static const char *real_file(const char *name) {
    static char path[1024];
    snprintf(path, sizeof path, "%s/data/weights/%s", shared, name);
    if (access(path, R_OK) == 0) return path;
    printf("skipped: there is no %s\n", path);
    return NULL;
}

static ft_weight_file *read_ok(const char *path) {
    ft_weight_file *f;
    ck_assert_msg(ft_weight_file_read(path, FT_WEIGHTS_AUTO, &f) == FT_OK, "%s", ft_err_message());
    return f;
}

static void read_fails(const char *path, const char *words) {
    ft_weight_file *f = (ft_weight_file *)&f;
    ck_assert_int_eq(ft_weight_file_read(path, FT_WEIGHTS_AUTO, &f), FT_E_WEIGHTS);
    ck_assert_ptr_null(f);
    ck_assert_msg(strstr(ft_err_message(), words) && strstr(ft_err_message(), path), "\"%s\" lacks \"%s\"",
                  ft_err_message(), words);
}

/* ---- real files ---- */

/* dataset,shape,...,sum,max,crc of every tensor, in order */
static void expect_line(const char *line, const ft_weight_tensor *t) {
    char name[256], shape[64], crc_text[32];
    double sum, most;
    ck_assert_msg(sscanf(line, "%255[^,],%63[^,],%lf,%lf,%31s", name, shape, &sum, &most, crc_text) == 5,
                  "%s", line);
    const char *own = strstr(name, t->name);
    ck_assert_msg(own && strlen(own) == strlen(t->name), "%s where %s is expected", t->name, name);
    double total = 0, largest = 0;
    for (int64_t i = 0; i < t->n; i++) {
        total += (double)t->p[i];
        largest = fmax(largest, fabs((double)t->p[i]));
    }
    ck_assert_msg(fabs(total - sum) <= 1e-6 * (1 + fabs(sum)), "%s: sum %.12g, not %.12g", name, total, sum);
    ck_assert_msg(fabs(largest - most) <= 1e-6 * most, "%s: max %.9g, not %.9g", name, largest, most);
    unsigned long crc = crc32(0, (const Bytef *)t->p, (uInt)((size_t)t->n * sizeof *t->p));
    ck_assert_msg(crc == strtoul(crc_text, NULL, 16), "%s: CRC-32 %08lx, not %s", name, crc, crc_text);
    char text[64] = "";
    for (int32_t i = 0; i < t->rank; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%lld", i ? "x" : "",
                 (long long)t->dims[i]);
    ck_assert_str_eq(text, shape);
}

static void expect_inception(const ft_weight_file *f) {
    ck_assert_int_eq(f->format, FT_WEIGHTS_KERAS);
    ck_assert_int_eq(f->n_layers, 318);
    ck_assert_int_eq(f->n_tensors, 382);
    ck_assert_str_eq(f->producer, "Keras 2.2.4 (tensorflow)");
    ck_assert_str_eq(f->layer[0].name, "input_1");
    ck_assert_int_eq(f->layer[0].n, 0);
    const char *sums = real_file("checksums.csv");
    FILE *file = sums ? fopen(sums, "r") : NULL;
    if (!file) return;
    char line[512];
    ck_assert_ptr_nonnull(fgets(line, sizeof line, file));
    for (int32_t i = 0; i < f->n_tensors; i++) {
        ck_assert_ptr_nonnull(fgets(line, sizeof line, file));
        expect_line(line, &f->tensor[i]);
    }
    fclose(file);
}

START_TEST(a_real_file_number_by_number) {
    const char *path = real_file("inception_v3_keras.h5"); /* in gzipped chunks */
    if (!path) return;
    ft_weight_file *f = read_ok(path);
    expect_inception(f);
    ft_weight_file_free(f);
}
END_TEST

START_TEST(its_plain_twin) { /* contiguous */
    const char *path = real_file("inception_v3_keras_plain.h5.xz");
    char command[1200];
    if (!path) return;
    snprintf(command, sizeof command, "xz -dc '%s' >plain.h5 2>/dev/null", path);
    if (system(command) != 0) {
        printf("skipped: there is no xz\n");
        return;
    }
    ft_weight_file *f = read_ok("plain.h5");
    expect_inception(f);
    ck_assert_int_eq(ft_weight_file_write(f, "again.h5"), FT_OK);
    ft_weight_file *again = read_ok("again.h5");
    expect_inception(again);
    ft_weight_file_free(again);
    ft_weight_file_free(f);
}
END_TEST

/* ---- what is written, beside what Keras wrote ---- */

static hid_t attribute_of(hid_t object, const char *name, hid_t *type, hid_t *space) {
    hid_t a = H5Aopen(object, name, H5P_DEFAULT);
    ck_assert_msg(a >= 0, "no attribute %s", name);
    *type = H5Aget_type(a);
    *space = H5Aget_space(a);
    return a;
}

/* The same kind of string, padding, characters, size and extent; and, if values, the same bytes. */
static void same_attribute(hid_t a_object, hid_t b_object, const char *name, bool values) {
    hid_t a_type, b_type, a_space, b_space;
    hid_t a = attribute_of(a_object, name, &a_type, &a_space),
          b = attribute_of(b_object, name, &b_type, &b_space);
    ck_assert_msg(H5Tequal(a_type, b_type) > 0, "the types of %s differ", name);
    ck_assert_msg(H5Sextent_equal(a_space, b_space) > 0, "the extents of %s differ", name);
    if (values && H5Tis_variable_str(a_type) <= 0) {
        size_t bytes = H5Tget_size(a_type) * (size_t)H5Sget_simple_extent_npoints(a_space);
        char *x = calloc(bytes + 1, 1), *y = calloc(bytes + 1, 1);
        ck_assert(H5Aread(a, a_type, x) >= 0 && H5Aread(b, b_type, y) >= 0);
        ck_assert_mem_eq(x, y, bytes);
        free(x);
        free(y);
    }
    H5Tclose(a_type), H5Tclose(b_type), H5Sclose(a_space), H5Sclose(b_space), H5Aclose(a), H5Aclose(b);
}

static void same_dataset(hid_t a_group, hid_t b_group, const char *name) {
    hid_t a = H5Dopen2(a_group, name, H5P_DEFAULT), b = H5Dopen2(b_group, name, H5P_DEFAULT);
    ck_assert_msg(a >= 0 && b >= 0, "no %s", name);
    hid_t a_type = H5Dget_type(a), b_type = H5Dget_type(b), a_space = H5Dget_space(a),
          b_space = H5Dget_space(b), a_how = H5Dget_create_plist(a), b_how = H5Dget_create_plist(b);
    ck_assert(H5Tequal(a_type, b_type) > 0 && H5Sextent_equal(a_space, b_space) > 0);
    ck_assert_int_eq(H5Pget_layout(a_how), H5Pget_layout(b_how));
    ck_assert_int_eq(H5Pget_nfilters(b_how), 0);
    size_t n = (size_t)H5Sget_simple_extent_npoints(a_space);
    float *x = calloc(n + 1, sizeof *x), *y = calloc(n + 1, sizeof *y);
    ck_assert(H5Dread(a, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, x) >= 0);
    ck_assert(H5Dread(b, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, y) >= 0);
    ck_assert_mem_eq(x, y, n * sizeof *x);
    free(x);
    free(y);
    H5Pclose(a_how), H5Pclose(b_how), H5Tclose(a_type), H5Tclose(b_type), H5Sclose(a_space),
        H5Sclose(b_space);
    H5Dclose(a), H5Dclose(b);
}

START_TEST(written_as_keras_writes) {
    const char *path = real_file("real_keras_sample/fer2013_mini_XCEPTION.102-0.66.hdf5");
    if (!path) return;
    ft_weight_file *f = read_ok(path);
    ck_assert_str_eq(f->producer, "Keras 2.0.5 (tensorflow)");
    ck_assert(f->bn_epsilon == 0.001); /* from the model's configuration */
    ck_assert_int_eq(f->n_layers, 46);
    ck_assert_int_eq(ft_weight_file_write(f, "written.h5"), FT_OK);
    hid_t theirs = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT),
          ours = H5Fopen("written.h5", H5F_ACC_RDONLY, H5P_DEFAULT);
    hid_t a = H5Gopen2(theirs, "model_weights", H5P_DEFAULT), b = H5Gopen2(ours, "/", H5P_DEFAULT);
    ck_assert(a >= 0 && b >= 0);
    same_attribute(a, b, "layer_names", true);
    same_attribute(a, b, "backend", true);
    same_attribute(a, b, "keras_version", false);
    H5G_info_t a_info, b_info;
    ck_assert(H5Gget_info(a, &a_info) >= 0 && H5Gget_info(b, &b_info) >= 0);
    ck_assert_int_eq(a_info.storage_type, b_info.storage_type); /* old-style groups */
    ck_assert_uint_eq(a_info.nlinks, b_info.nlinks);
    for (int32_t i = 0; i < f->n_layers; i++) {
        hid_t x = H5Gopen2(a, f->layer[i].name, H5P_DEFAULT), y = H5Gopen2(b, f->layer[i].name, H5P_DEFAULT);
        ck_assert_msg(x >= 0 && y >= 0, "no %s", f->layer[i].name);
        same_attribute(x, y, "weight_names", f->layer[i].n > 0);
        for (int32_t k = 0; k < f->layer[i].n; k++) same_dataset(x, y, f->tensor[f->layer[i].first + k].name);
        H5Gclose(x), H5Gclose(y);
    }
    unsigned version;
    hid_t creation = H5Fget_create_plist(ours);
    ck_assert(H5Pget_version(creation, &version, NULL, NULL, NULL) >= 0 && version == 0); /* superblock */
    H5Pclose(creation), H5Gclose(a), H5Gclose(b), H5Fclose(theirs), H5Fclose(ours);
    ft_weight_file_free(f);
}
END_TEST

/* ---- files made here ---- */

typedef enum strings { FIXED, VARIABLE } strings;

static void set_strings(hid_t object, const char *name, int n, const char *const text[], strings kind) {
    hsize_t count = (hsize_t)n;
    hid_t type = H5Tcopy(H5T_C_S1), space = n ? H5Screate_simple(1, &count, NULL) : H5Screate(H5S_SCALAR);
    H5Tset_size(type, kind == FIXED ? 32 : H5T_VARIABLE);
    if (kind == FIXED) H5Tset_strpad(type, H5T_STR_NULLPAD);
    hid_t a = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    char block[16][32] = {{0}};
    for (int i = 0; i < (n ? n : 1); i++) strncpy(block[i], text[i], 31);
    ck_assert(H5Awrite(a, type, kind == FIXED ? (const void *)block : (const void *)text) >= 0);
    H5Aclose(a), H5Sclose(space), H5Tclose(type);
}

static void add_numbers(hid_t group, const char *name, hid_t type, hid_t links) {
    static const float p[6] = {1, -2, 3.5f, 1e-3f, 5, 6};
    const hsize_t dims[2] = {2, 3};
    hid_t space = H5Screate_simple(2, dims, NULL);
    hid_t d = H5Dcreate2(group, name, type, space, links, H5P_DEFAULT, H5P_DEFAULT);
    ck_assert(d >= 0 && H5Dwrite(d, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, p) >= 0);
    H5Dclose(d), H5Sclose(space);
}

#define LAYERS(...)         \
    (const char *const[]) { \
        __VA_ARGS__         \
    }

/* A file of layers "input_1" and "dense" with the weight "dense/kernel:0". Returns it open, with the layer's
 * group. */
static hid_t make_file(strings kind, const char *version, hid_t *root, hid_t *dense) {
    hid_t file = H5Fcreate("made.h5", H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT),
          links = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(links, 1);
    *root = H5Gopen2(file, "/", H5P_DEFAULT);
    hid_t input = H5Gcreate2(*root, "input_1", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    *dense = H5Gcreate2(*root, "dense", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    set_strings(*root, "layer_names", 2, LAYERS("input_1", "dense"), kind);
    if (version) set_strings(*root, "keras_version", 0, &version, kind);
    set_strings(*dense, "weight_names", 1, LAYERS("dense/kernel:0"), kind);
    hsize_t none = 0;
    hid_t space = H5Screate_simple(1, &none, NULL);
    H5Aclose(H5Acreate2(input, "weight_names", H5T_IEEE_F64LE, space, H5P_DEFAULT, H5P_DEFAULT));
    add_numbers(*dense, "dense/kernel:0", H5T_IEEE_F32LE, links);
    H5Sclose(space), H5Gclose(input), H5Pclose(links);
    return file;
}

static void close_file(hid_t file, hid_t root, hid_t dense) {
    H5Gclose(dense), H5Gclose(root), H5Fclose(file);
}

static void expect_made(const ft_weight_file *f, int32_t n_layers) {
    ck_assert_int_eq(f->n_layers, n_layers);
    ck_assert_int_eq(f->n_tensors, 1);
    ck_assert_str_eq(f->layer[n_layers - 1].name, "dense");
    ck_assert(f->tensor[0].rank == 2 && f->tensor[0].dims[0] == 2 && f->tensor[0].dims[1] == 3);
    ck_assert(f->tensor[0].p[1] == -2 && f->tensor[0].p[2] == 3.5f);
}

START_TEST(strings_of_both_kinds) {
    hid_t root, dense, file = make_file(_i ? VARIABLE : FIXED, "2.4.0", &root, &dense);
    close_file(file, root, dense);
    ft_weight_file *f = read_ok("made.h5");
    expect_made(f, 2);
    ck_assert_str_eq(f->producer, "Keras 2.4.0");
    ck_assert_str_eq(f->tensor[0].name, "dense/kernel:0");
    ft_weight_file_free(f);
}
END_TEST

START_TEST(split_attributes_and_whole_models) {
    hid_t root, dense, file = make_file(FIXED, "2.4.0", &root, &dense);
    H5Adelete(root, "layer_names");
    set_strings(root, "layer_names0", 1, LAYERS("input_1"), FIXED);
    set_strings(root, "layer_names1", 1, LAYERS("dense"), FIXED);
    close_file(file, root, dense);
    ft_weight_file *f = read_ok("made.h5");
    expect_made(f, 2);
    ft_weight_file_free(f);
    file = make_file(FIXED, "2.4.0", &root, &dense);
    hid_t model = H5Gcreate2(root, "model_weights", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    set_strings(model, "layer_names", 1, LAYERS("dense"), FIXED);
    H5Lcreate_hard(root, "dense", model, "dense", H5P_DEFAULT, H5P_DEFAULT);
    H5Adelete(root, "layer_names");
    set_strings(
        root, "model_config", 0,
        LAYERS(
            "{\"config\": {\"layers\": [{\"class_name\": \"BatchNormalization\", \"config\": {\"epsilon\": "
            "0.002}}]}}"),
        VARIABLE);
    H5Gclose(model);
    close_file(file, root, dense);
    f = read_ok("made.h5");
    expect_made(f, 1);
    ck_assert(f->bn_epsilon == 0.002);
    ft_weight_file_free(f);
}
END_TEST

/* What is done to a file of Keras's, and what is then said of it. */
static void keras_1(hid_t root, hid_t dense) {
    (void)dense;
    H5Adelete(root, "keras_version");
    H5Adelete(root, "layer_names");
    set_strings(root, "layer_names", 2, LAYERS("convolution2d_1", "dense"), FIXED);
}
static void keras_1_by_version(hid_t root, hid_t dense) {
    (void)dense;
    H5Adelete(root, "keras_version");
    set_strings(root, "keras_version", 0, LAYERS("1.2.2"), FIXED);
}
static void theano(hid_t root, hid_t dense) {
    (void)dense;
    set_strings(root, "backend", 0, LAYERS("theano"), FIXED);
}
static void missing_dataset(hid_t root, hid_t dense) {
    (void)root;
    H5Ldelete(dense, "dense/kernel:0", H5P_DEFAULT);
}
static void missing_layer(hid_t root, hid_t dense) {
    (void)dense;
    H5Ldelete(root, "dense", H5P_DEFAULT);
}
static void soft_link(hid_t root, hid_t dense) {
    H5Lmove(dense, "dense/kernel:0", root, "elsewhere", H5P_DEFAULT, H5P_DEFAULT);
    H5Lcreate_soft("/elsewhere", dense, "dense/kernel:0", H5P_DEFAULT, H5P_DEFAULT);
}
static void external_link(hid_t root, hid_t dense) {
    (void)dense;
    H5Ldelete(root, "dense", H5P_DEFAULT);
    H5Lcreate_external("/etc/passwd", "/", root, "dense", H5P_DEFAULT, H5P_DEFAULT);
}
static void external_storage(hid_t root, hid_t dense) {
    (void)root;
    const hsize_t dims[2] = {2, 3};
    hid_t space = H5Screate_simple(2, dims, NULL), how = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_external(how, "/etc/passwd", 0, 24);
    H5Ldelete(dense, "dense/kernel:0", H5P_DEFAULT);
    H5Dclose(H5Dcreate2(dense, "dense/kernel:0", H5T_IEEE_F32LE, space, H5P_DEFAULT, how, H5P_DEFAULT));
    H5Pclose(how), H5Sclose(space);
}
static void text_for_numbers(hid_t root, hid_t dense) {
    (void)root;
    const hsize_t dims[1] = {3};
    hid_t space = H5Screate_simple(1, dims, NULL), type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, 4);
    H5Ldelete(dense, "dense/kernel:0", H5P_DEFAULT);
    hid_t d = H5Dcreate2(dense, "dense/kernel:0", type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Dwrite(d, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, "abcdefghijkl");
    H5Dclose(d), H5Tclose(type), H5Sclose(space);
}
/* Says it has 10^10 numbers and holds none, or few. */
static void bomb(hid_t root, hid_t dense) {
    (void)root;
    const hsize_t dims[2] = {100000, 100000}, chunk[2] = {1, 1000};
    hid_t space = H5Screate_simple(2, dims, NULL), how = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(how, 2, chunk);
    H5Pset_deflate(how, 9);
    H5Ldelete(dense, "dense/kernel:0", H5P_DEFAULT);
    hid_t d = H5Dcreate2(dense, "dense/kernel:0", H5T_IEEE_F32LE, space, H5P_DEFAULT, how, H5P_DEFAULT);
    const hsize_t start[2] = {0, 0};
    static const float zeros[1000];
    hid_t memory = H5Screate_simple(1, chunk + 1, NULL);
    H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, chunk, NULL);
    H5Dwrite(d, H5T_NATIVE_FLOAT, memory, space, H5P_DEFAULT, zeros);
    H5Sclose(memory), H5Dclose(d), H5Pclose(how), H5Sclose(space);
}
static void no_keras(hid_t root, hid_t dense) {
    (void)dense;
    H5Adelete(root, "layer_names");
}
static void facets_own(hid_t root, hid_t dense) {
    no_keras(root, dense);
    set_strings(root, "format", 0, LAYERS("facet-checkpoint"), FIXED);
}

static const struct {
    void (*change)(hid_t root, hid_t dense);
    const char *words;
} wrong[] = {
    {keras_1, "Keras 1"},
    {keras_1_by_version, "Keras 1.2.2"},
    {theano, "Theano"},
    {missing_dataset, "there is no 'dense/kernel:0'"},
    {missing_layer, "there is no 'dense'"},
    {soft_link, "link to somewhere else"},
    {external_link, "link to somewhere else"},
    {external_storage, "in another file"},
    {text_for_numbers, "does not hold numbers"},
    {bomb, "grow a thousand times"},
    {no_keras, "not one of Keras's"},
    {facets_own, "Facet's own"},
};

START_TEST(what_is_not_read_says_why) {
    hid_t root, dense, file = make_file(FIXED, "2.4.0", &root, &dense);
    wrong[_i].change(root, dense);
    close_file(file, root, dense);
    read_fails("made.h5", wrong[_i].words);
}
END_TEST

/* ---- damage ---- */

static size_t read_bytes(const char *path, unsigned char *bytes, size_t room) {
    FILE *f = fopen(path, "rb");
    ck_assert_ptr_nonnull(f);
    size_t n = fread(bytes, 1, room, f);
    fclose(f);
    return n;
}

static void write_bytes(const char *path, const unsigned char *bytes, size_t n) {
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

/* Fails with a reason, or reads: HDF5's oldest layout has no checksums. Never more. */
static void reads_or_says_why(void) {
    ft_weight_file *f;
    ft_err e = ft_weight_file_read("bad.h5", FT_WEIGHTS_AUTO, &f);
    ck_assert_msg(e == FT_OK || (e == FT_E_WEIGHTS && strstr(ft_err_message(), "bad.h5")), "%d: %s", (int)e,
                  ft_err_message());
    ft_weight_file_free(f);
}

START_TEST(damage) {
    static unsigned char bytes[1 << 16];
    hid_t root, dense, file = make_file(FIXED, "2.4.0", &root, &dense);
    close_file(file, root, dense);
    size_t n = read_bytes("made.h5", bytes, sizeof bytes);
    ck_assert(n > 1000 && n < sizeof bytes);
    for (size_t len = 0; len < n; len += 13) {
        write_bytes("bad.h5", bytes, len);
        ft_weight_file *f;
        ck_assert_msg(ft_weight_file_read("bad.h5", FT_WEIGHTS_AUTO, &f) == FT_E_WEIGHTS, "cut at %zu", len);
    }
#ifdef __SANITIZE_ADDRESS__
    n = 0; /* of flipped bytes in old layouts HDF5 1.10 itself reads beyond its buffers, which would end the
              test */
#endif
    for (size_t at = 0; at < n; at += 3) {
        bytes[at] ^= 0xff;
        write_bytes("bad.h5", bytes, n);
        bytes[at] ^= 0xff;
        reads_or_says_why();
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("weight_keras");
    TCase *t = tcase_create("weight_keras");
    tcase_set_timeout(t, 300);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_real_file_number_by_number);
    tcase_add_test(t, its_plain_twin);
    tcase_add_test(t, written_as_keras_writes);
    tcase_add_loop_test(t, strings_of_both_kinds, 0, 2);
    tcase_add_test(t, split_attributes_and_whole_models);
    tcase_add_loop_test(t, what_is_not_read_says_why, 0, sizeof wrong / sizeof *wrong);
    tcase_add_test(t, damage);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

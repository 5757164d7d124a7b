/* Keras 3's files: a model saved by it (tests/golden/make_keras3.py knows its numbers), the same archive with
 * other things in it, and layouts made here. */
#include "tests/weight_testing.h"
#include "tests/zip_testing.h"

#include <hdf5.h>

static const char model_file[] = "tests/golden/keras3_model.keras";

/* ---- a model that Keras 3 saved ---- */

static const struct {
    const char *layer, *class_name;
    int32_t n;
    int64_t dims[4][4];
} model[] = {
    {"conv2d", "conv2d", 2, {{1, 1, 4, 2}, {2}}},
    {"conv2d_1", "conv2d", 2, {{1, 3, 2, 2}, {2}}},
    {"dense", "dense", 2, {{2, 3}, {3}}},
    {"dropout", "dropout", 0, {{0}}},
    {"global_average_pooling2d", "global_average_pooling2d", 0, {{0}}},
    {"input_layer_1", "input_layer", 0, {{0}}},
    {"batch_normalization", "batch_normalization", 3, {{4}, {4}, {4}}},
    {"my_conv", "conv2d", 1, {{3, 3, 3, 4}}},
    {"re_lu", "re_lu", 0, {{0}}},
};
enum { N_LAYERS = sizeof model / sizeof *model };

static void expect_tensor(const ft_weight_tensor *t, const int64_t dims[4]) {
    int64_t n = 1;
    int32_t rank = 0;
    for (; rank < 4 && dims[rank]; rank++) {
        ck_assert_msg(rank < t->rank && t->dims[rank] == dims[rank], "%s, dimension %d", t->name, rank);
        n *= dims[rank];
    }
    ck_assert_int_eq(t->rank, rank);
    for (int64_t i = 0; i < n; i++)
        if (t->p[i] != (float)i / 8 - 1) ck_abort_msg("%s, %lld", t->name, (long long)i);
}

static void expect_model(const ft_weight_file *f) {
    ck_assert_int_eq(f->format, FT_WEIGHTS_KERAS3);
    ck_assert_int_eq(f->n_layers, N_LAYERS);
    ck_assert_int_eq(f->n_tensors, 10);
    for (int32_t i = 0; i < N_LAYERS; i++) {
        const ft_weight_layer *layer = &f->layer[i];
        ck_assert_str_eq(layer->name, model[i].layer);
        ck_assert_str_eq(layer->class_name, model[i].class_name);
        ck_assert_int_eq(layer->n, model[i].n);
        for (int32_t k = 0; k < layer->n; k++) expect_tensor(&f->tensor[layer->first + k], model[i].dims[k]);
    }
}

START_TEST(model_is_read) {
    ft_weight_file *f = read_weights(model_file);
    expect_model(f);
    ck_assert(f->bn_epsilon == 0.002);
    ft_weight_file_free(f);
}
END_TEST

/* ---- the archive with another configuration ---- */

#define NORM(epsilon) "{\"class_name\": \"BatchNormalization\", \"config\": {\"epsilon\": " epsilon "}}"

static const struct {
    const char *config;
    double epsilon; /* what is to be known of it then */
} configs[] = {
    {NORM("0.001"), 0.001},
    {"{\"layers\": [" NORM("0.25") ", {\"config\": {\"layers\": [" NORM("0.25") "]}}]}", 0.25},
    {"[" NORM("0.25") "," NORM("0.5") "]", 0}, /* none for all */
    {"{\"class_name\": \"LayerNormalization\", \"config\": {\"epsilon\": 1}}", 0},
    {NORM("\"0.001\""), 0},
    {"{}", 0},
    {"", 0},
    {"{\"class_name\": ", 0},
};
enum { N_CONFIGS = sizeof configs / sizeof *configs };

START_TEST(epsilon_is_the_configurations) {
    zip_parts parts;
    zip_unpack(&parts, model_file);
    zip_part *config = zip_part_named(&parts, "config.json");
    free((void *)config->p);
    config->p = strdup(configs[_i].config);
    config->n = strlen(configs[_i].config);
    zip_repack(&parts, path);
    ft_weight_file *f = read_weights(path);
    expect_model(f);
    ck_assert_msg(f->bn_epsilon == configs[_i].epsilon, "%g", f->bn_epsilon);
    ft_weight_file_free(f);
    zip_free(&parts);
}
END_TEST

/* As another program may pack it again. */
START_TEST(compressed_archive_is_read) {
    zip_parts parts;
    zip_unpack(&parts, model_file);
    for (int i = 0; i < parts.n; i++) parts.part[i].deflate = parts.part[i].after = true;
    zip_repack(&parts, path);
    ft_weight_file *f = read_weights(path);
    expect_model(f);
    ck_assert(f->bn_epsilon == 0.002);
    ft_weight_file_free(f);
    zip_free(&parts);
}
END_TEST

/* ---- archives that are wrong ---- */

START_TEST(weights_that_are_no_hdf5_are_refused) {
    zip_parts parts;
    zip_unpack(&parts, model_file);
    zip_part *weights = zip_part_named(&parts, "model.weights.h5");
    size_t n = weights->n;
    for (size_t i = 0; i < 16; i++) {
        weights->n = n * i / 16;
        zip_repack(&parts, path);
        assert_refused("an HDF5 file that is cut off or damaged");
    }
    zip_free(&parts);
}
END_TEST

START_TEST(damaged_archives_are_found_or_harmless) {
    ft_weight_file *want = read_weights(model_file);
    bytes b = read_bytes(model_file);
    int n_refused = 0;
    write_bytes(path, b.p, b.n);
    for (size_t at = 0; at < b.n; at += 97) {
        flip_bits(path, at, 0xff);
        n_refused += refused_or_same(want);
        flip_bits(path, at, 0xff);
    }
    ck_assert_int_gt(n_refused, (int)(b.n / 97) - 4);
    for (size_t n = 0; n < b.n; n += 211) {
        write_bytes(path, b.p, n);
        assert_refused(n == 0 ? "is empty" : "cut off");
    }
    free(b.p);
    ft_weight_file_free(want);
}
END_TEST

/* ---- layouts made here ---- */

static void add_numbers(hid_t file, const char *name, hid_t type) {
    static const float p[6] = {1, -2, 3.5f, 1e-3f, 5, 6};
    const hsize_t dims[2] = {2, 3};
    hid_t space = H5Screate_simple(2, dims, NULL), links = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(links, 1);
    hid_t d = H5Dcreate2(file, name, type, space, links, H5P_DEFAULT, H5P_DEFAULT);
    ck_assert(d >= 0 && H5Dwrite(d, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, p) >= 0);
    H5Dclose(d), H5Pclose(links), H5Sclose(space);
}

static void set_name(hid_t file, const char *group, const char *name) {
    hid_t g = H5Gopen2(file, group, H5P_DEFAULT), type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
    H5Tset_size(type, H5T_VARIABLE);
    hid_t a = H5Acreate2(g, "name", type, space, H5P_DEFAULT, H5P_DEFAULT);
    ck_assert(a >= 0 && H5Awrite(a, type, &name) >= 0);
    H5Aclose(a), H5Sclose(space), H5Tclose(type), H5Gclose(g);
}

/* Without an archive; as earlier releases wrote it, which named no layers. */
START_TEST(file_of_weights_is_read) {
    static const char *const names[] = {"layers/conv2d/vars/0",
                                        "layers/conv2d_10/vars/0",
                                        "layers/conv2d_2/vars/0",
                                        "layers/functional/layers/dense/vars/0",
                                        "layers/functional/layers/dense/vars/1",
                                        "optimizer/vars/0",
                                        "layers/dropout/seed_generator/vars/0"};
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    for (int i = 0; i < 7; i++) add_numbers(file, names[i], i == 1 ? H5T_IEEE_F64LE : H5T_IEEE_F32LE);
    set_name(file, "layers/conv2d_2/vars", "my_conv");
    H5Fclose(file);
    ft_weight_file *f = read_weights(path);
    ck_assert_int_eq(f->format, FT_WEIGHTS_KERAS3);
    ck_assert_int_eq(f->n_layers, 4);
    ck_assert_int_eq(f->n_tensors, 5);
    ck_assert_str_eq(f->layer[0].class_name, "conv2d");
    ck_assert_str_eq(f->layer[1].name, "my_conv"); /* conv2d_2 before conv2d_10 */
    ck_assert_str_eq(f->layer[2].name, "layers/conv2d_10");
    ck_assert_str_eq(f->layer[3].class_name, "dense");
    ck_assert(f->tensor[2].p[3] == 1e-3f && f->layer[3].n == 2);
    ft_weight_file_free(f);
}
END_TEST

START_TEST(models_inside_models_have_a_limit) {
    char name[400] = "";
    for (int i = 0; i < 20; i++) strcat(name, "layers/model/");
    strcat(name, "vars/0");
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    add_numbers(file, name, H5T_IEEE_F32LE);
    H5Fclose(file);
    assert_refused("models inside models more than 16 deep");
}
END_TEST

/* A model that is inside itself. */
START_TEST(circle_is_refused) {
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    add_numbers(file, "layers/model/layers/dense/vars/0", H5T_IEEE_F32LE);
    ck_assert_int_ge(H5Lcreate_hard(file, "layers/model", file, "layers/model/layers/again", H5P_DEFAULT,
                                    H5P_DEFAULT),
                     0);
    H5Fclose(file);
    assert_refused("models inside models more than 16 deep");
}
END_TEST

static void add_tests(TCase *t) {
    tcase_add_test(t, model_is_read);
    tcase_add_loop_test(t, epsilon_is_the_configurations, 0, N_CONFIGS);
    tcase_add_test(t, compressed_archive_is_read);
    tcase_add_test(t, weights_that_are_no_hdf5_are_refused);
    tcase_add_test(t, damaged_archives_are_found_or_harmless);
    tcase_add_test(t, file_of_weights_is_read);
    tcase_add_test(t, models_inside_models_have_a_limit);
    tcase_add_test(t, circle_is_refused);
}

int main(void) {
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    return run_suite("weight_keras3", "model.keras", NULL, add_tests);
}

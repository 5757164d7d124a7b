/* Keras's HDF5 files of weights. Keras 2 and tf.keras:
 *
 *   /  (or /model_weights of a whole model)     attributes layer_names, backend, keras_version
 *   /<layer>                                    attribute weight_names
 *   /<layer>/<weight name>                      float32; the name may hold '/' and need not begin with the
 * layer's
 *
 * Keras 3's layout is in weight_keras3.c.
 */
#include "data/hdf5_start.h"
#include "tensor/child.h"
#include "train/weight_hdf5.h"
#include "train/zip_file.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- the model's configuration ---- */

typedef struct epsilons {
    double value;
    bool differ;
} epsilons;

enum { DEEPEST = 64 };

static void collect(json_t *node, int depth, epsilons *e) {
    json_t *child;
    if (depth > DEEPEST) return;
    if (json_is_object(node)) {
        const char *class_name = json_string_value(json_object_get(node, "class_name"));
        json_t *epsilon = json_object_get(json_object_get(node, "config"), "epsilon");
        if (class_name && strcmp(class_name, "BatchNormalization") == 0 && json_is_number(epsilon)) {
            double value = json_number_value(epsilon);
            if (e->value > 0 && value != e->value) e->differ = true;
            e->value = value;
        }
        const char *key;
        json_object_foreach(node, key, child) collect(child, depth + 1, e);
    } else if (json_is_array(node)) {
        size_t i;
        json_array_foreach(node, i, child) collect(child, depth + 1, e);
    }
}

double ft_keras_bn_epsilon(const char *config) {
    epsilons e = {0};
    json_t *root = config ? json_loads(config, 0, NULL) : NULL;
    collect(root, 0, &e);
    json_decref(root);
    return e.differ ? 0 : e.value;
}

/* ---- Keras 2 ---- */

static ft_err read_layer(ft_weight_file *f, hid_t root, const char *name) {
    FT_TRY(ft_hdf5_check_links(f->path, root, name));
    hid_t group = H5Gopen2(root, name, H5P_DEFAULT);
    FT_REQUIRE(group >= 0, WEIGHTS, "%s: layer '%s' is no group: the file is damaged", f->path, name);
    ft_strings weights = {0};
    ft_err e = ft_weight_file_add_layer(f, name, NULL);
    if (e == FT_OK) e = ft_hdf5_strings(f->path, group, "weight_names", &weights);
    for (int32_t i = 0; e == FT_OK && i < weights.n; i++)
        e = ft_hdf5_add(f, group, weights.at[i], weights.at[i]);
    ft_strings_free(&weights);
    H5Gclose(group);
    return e;
}

static ft_err check_version(const ft_weight_file *f, const char *version, const char *backend,
                            const ft_strings *layers) {
    bool old_names = false;
    for (int32_t i = 0; i < layers->n; i++) old_names |= strncmp(layers->at[i], "convolution2d", 13) == 0;
    FT_REQUIRE(version || !old_names, WEIGHTS,
               "%s: written by Keras 1, whose kernels lie otherwise; load it with Keras 2 and save it again",
               f->path);
    FT_REQUIRE(!version || strncmp(version, "1.", 2) != 0, WEIGHTS,
               "%s: written by Keras %s, whose kernels lie otherwise; load it with Keras 2 and save it again",
               f->path, version);
    FT_REQUIRE(
        !backend || strcmp(backend, "theano") != 0, WEIGHTS,
        "%s: written with the Theano backend, whose kernels are mirrored; convert it in Keras (convert_all_"
        "kernels_in_model) and save it with the TensorFlow backend",
        f->path);
    return FT_OK;
}

static ft_err read_layers(ft_weight_file *f, hid_t root) {
    ft_strings layers = {0};
    char *version = NULL, *backend = NULL;
    ft_err e = ft_hdf5_strings(f->path, root, "layer_names", &layers);
    if (e == FT_OK) e = ft_hdf5_string(f->path, root, "keras_version", &version);
    if (e == FT_OK) e = ft_hdf5_string(f->path, root, "backend", &backend);
    if (e == FT_OK) e = check_version(f, version, backend, &layers);
    if (e == FT_OK && version &&
        asprintf(&f->producer, "Keras %s%s%s%s", version, backend ? " (" : "", backend ? backend : "",
                 backend ? ")" : "") < 0)
        f->producer = NULL;
    for (int32_t i = 0; e == FT_OK && i < layers.n; i++) e = read_layer(f, root, layers.at[i]);
    ft_strings_free(&layers);
    free(version);
    free(backend);
    return e;
}

static ft_err read_whole_model(ft_weight_file *f, hid_t file) {
    char *config = NULL;
    FT_TRY(ft_hdf5_check_links(f->path, file, "model_weights"));
    FT_TRY(ft_hdf5_string(f->path, file, "model_config", &config));
    f->bn_epsilon = ft_keras_bn_epsilon(config);
    free(config);
    hid_t group = H5Gopen2(file, "model_weights", H5P_DEFAULT);
    FT_REQUIRE(group >= 0, WEIGHTS, "%s: 'model_weights' is no group: the file is damaged", f->path);
    ft_err e = read_layers(f, group);
    H5Gclose(group);
    return e;
}

static ft_err read_open(ft_weight_file *f, hid_t file) {
    if (ft_hdf5_has_strings(file, "layer_names")) return read_layers(f, file);
    if (ft_hdf5_has_group(file, "model_weights")) return read_whole_model(f, file);
    if (ft_hdf5_has_group(file, "layers") || ft_hdf5_has_group(file, "_layer_checkpoint_dependencies"))
        return ft_keras3_read(file, f);
    FT_REQUIRE(
        H5Aexists(file, "format") <= 0, WEIGHTS,
        "%s: a model of Facet's own, which needs no import: name it in model.weights.file or use it as it is",
        f->path);
    FT_FAIL(WEIGHTS, "%s: an HDF5 file, but not one of Keras's: it has neither layer_names nor layers",
            f->path);
}

static ft_err read_image(const char *path, const void *image, size_t bytes, ft_weight_file **out) {
    *out = NULL;
    FT_TRY(ft_hdf5_start());
    hid_t file = ft_hdf5_open_image(image, bytes);
    FT_REQUIRE(file >= 0, WEIGHTS, "%s: an HDF5 file that is cut off or damaged", path);
    ft_err e = ft_weight_file_new(path, FT_WEIGHTS_KERAS, out);
    if (e == FT_OK) e = read_open(*out, file);
    H5Fclose(file);
    if (e != FT_OK) {
        ft_weight_file_free(*out);
        *out = NULL;
    }
    return e;
}

ft_err ft_weights_read_keras(const char *path, ft_weight_file **out) {
    void *image;
    int64_t bytes;
    *out = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    FT_REQUIRE(fd >= 0, IO, "cannot open '%s': %s", path, strerror(errno));
    ft_err e = ft_hdf5_map(fd, path, FT_E_WEIGHTS, &image, &bytes);
    close(fd);
    FT_TRY(e);
    ft_child_seal();
    e = read_image(path, image, (size_t)bytes, out);
    munmap(image, (size_t)bytes);
    return e;
}

/* A member in memory; *bytes is NULL, and nothing wrong, where there is none. */
static ft_err read_member(const ft_zip *z, const char *name, uint8_t **bytes, size_t *n) {
    const ft_zip_member *m = ft_zip_find(z, name);
    *bytes = NULL;
    *n = m ? (size_t)m->size : 0;
    return m ? ft_zip_read(z, m, bytes) : FT_OK;
}

/* The batch norms' epsilon in a model's configuration of n bytes. */
static double epsilon_of(const uint8_t *config, size_t n) {
    char *text = config ? strndup((const char *)config, n) : NULL;
    double epsilon = ft_keras_bn_epsilon(text);
    free(text);
    return epsilon;
}

ft_err ft_weights_read_keras3_zip(const char *path, ft_weight_file **out) {
    uint8_t *image = NULL, *config = NULL;
    size_t bytes, config_bytes;
    ft_zip z;
    *out = NULL;
    FT_TRY(ft_zip_open(&z, path));
    ft_child_seal();
    ft_err e = read_member(&z, "model.weights.h5", &image, &bytes);
    if (e == FT_OK) e = read_member(&z, "config.json", &config, &config_bytes);
    if (e == FT_OK) e = read_image(path, image, bytes, out);
    if (e == FT_OK) (*out)->bn_epsilon = epsilon_of(config, config_bytes);
    free(image);
    free(config);
    ft_zip_close(&z);
    return e;
}

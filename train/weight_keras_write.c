/* Writes what save_weights of Keras 2 writes, attribute by attribute (layout: weight_keras.c): lists of names
 * as fixed-length strings as long as the longest, cut into numbered attributes where HDF5's limit asks for
 * it, weightless layers with an empty list of float64, everything in HDF5's oldest layout.
 */
#include "data/hdf5_start.h"
#include "train/h5_write.h"
#include "train/weight_formats.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 64512 }; /* Keras's HDF5_OBJECT_HEADER_LIMIT */

static const char backend[] = "tensorflow", keras_version[] = "2.2.4";

/* An attribute of n numbers or strings of that type; p NULL: nothing is written to it. */
static ft_err set_attribute(ft_h5 *f, hid_t object, const char *name, hid_t type, const hsize_t *n,
                            const void *p) {
    hid_t space = n ? H5Screate_simple(1, n, NULL) : H5Screate(H5S_SCALAR);
    hid_t attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    bool ok = attribute >= 0 && (!p || H5Awrite(attribute, type, p) >= 0);
    ft_hdf5_drop(attribute);
    ft_hdf5_drop(space);
    return ok ? FT_OK : ft_h5_write_error(f, "attribute", name);
}

static ft_err set_variable(ft_h5 *f, hid_t object, const char *name, const char *value) {
    hid_t type = H5Tcopy(H5T_C_S1);
    ft_err e = type >= 0 && H5Tset_size(type, H5T_VARIABLE) >= 0
                   ? set_attribute(f, object, name, type, NULL, &value)
                   : ft_h5_write_error(f, "attribute", name);
    ft_hdf5_drop(type);
    return e;
}

static ft_err set_names(ft_h5 *f, hid_t object, const char *name, hsize_t n, const char *block, size_t size) {
    hid_t type = H5Tcopy(H5T_C_S1);
    bool ok = type >= 0 && H5Tset_size(type, size) >= 0 && H5Tset_strpad(type, H5T_STR_NULLPAD) >= 0;
    ft_err e = ok ? set_attribute(f, object, name, type, &n, block) : ft_h5_write_error(f, "attribute", name);
    ft_hdf5_drop(type);
    return e;
}

/* names (n), as one attribute or in parts as even as numpy.array_split cuts them. */
static ft_err set_list(ft_h5 *f, hid_t object, const char *name, int32_t n, const char *const names[]) {
    size_t size = 1;
    const hsize_t none = 0;
    if (n == 0) return set_attribute(f, object, name, H5T_IEEE_F64LE, &none, NULL);
    for (int32_t i = 0; i < n; i++) size = strlen(names[i]) > size ? strlen(names[i]) : size;
    char *block = calloc((size_t)n, size);
    FT_REQUIRE(block, MEMORY, "cannot write '%s': no memory for the names", f->path);
    for (int32_t i = 0; i < n; i++) memcpy(block + (size_t)i * size, names[i], strlen(names[i]));
    int32_t parts = 1;
    while ((size_t)(n / parts + (n % parts > 0)) * size > MOST_BYTES) parts++;
    ft_err e = FT_OK;
    for (int32_t k = 0, first = 0; e == FT_OK && k < parts; k++) {
        char part[64];
        int32_t count = n / parts + (k < n % parts);
        snprintf(part, sizeof part, parts > 1 ? "%s%d" : "%s", name, k);
        e = set_names(f, object, part, (hsize_t)count, block + (size_t)first * size, size);
        first += count;
    }
    free(block);
    return e;
}

static ft_err write_tensor(ft_h5 *f, hid_t layer, const ft_weight_tensor *t) {
    hsize_t size[FT_WEIGHT_RANK];
    for (int32_t i = 0; i < t->rank; i++) size[i] = (hsize_t)t->dims[i];
    hid_t space = t->rank ? H5Screate_simple(t->rank, size, NULL) : H5Screate(H5S_SCALAR);
    hid_t links = H5Pcreate(H5P_LINK_CREATE), how = H5Pcreate(H5P_DATASET_CREATE), dataset = -1;
    if (H5Pset_create_intermediate_group(links, 1) >= 0 && H5Pset_obj_track_times(how, false) >= 0)
        dataset = H5Dcreate2(layer, t->name, H5T_IEEE_F32LE, space, links, how, H5P_DEFAULT);
    bool ok = dataset >= 0 && H5Dwrite(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, t->p) >= 0;
    ft_hdf5_drop(dataset);
    ft_hdf5_drop(how);
    ft_hdf5_drop(links);
    ft_hdf5_drop(space);
    return ok ? FT_OK : ft_h5_write_error(f, "dataset", t->name);
}

static ft_err write_layer(ft_h5 *f, const ft_weight_file *w, const ft_weight_layer *layer,
                          const char **names) {
    hid_t group = H5Gcreate2(f->file, layer->name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    if (group < 0) return ft_h5_write_error(f, "group", layer->name);
    for (int32_t i = 0; i < layer->n; i++) names[i] = w->tensor[layer->first + i].name;
    ft_err e = set_list(f, group, "weight_names", layer->n, names);
    for (int32_t i = 0; e == FT_OK && i < layer->n; i++)
        e = write_tensor(f, group, &w->tensor[layer->first + i]);
    ft_hdf5_drop(group);
    return e;
}

static ft_err write_layers(ft_h5 *f, const ft_weight_file *w, const char **names) {
    hid_t root = H5Gopen2(f->file, "/", H5P_DEFAULT);
    if (root < 0) return ft_h5_write_error(f, "group", "/");
    for (int32_t i = 0; i < w->n_layers; i++) names[i] = w->layer[i].name;
    ft_err e = set_list(f, root, "layer_names", w->n_layers, names);
    if (e == FT_OK) e = set_variable(f, root, "backend", backend);
    if (e == FT_OK) e = set_variable(f, root, "keras_version", keras_version);
    ft_hdf5_drop(root);
    for (int32_t i = 0; e == FT_OK && i < w->n_layers; i++) e = write_layer(f, w, &w->layer[i], names);
    return e;
}

static ft_err write_all(ft_h5 *f, const void *ctx) {
    const ft_weight_file *w = ctx;
    const char **names = calloc((size_t)w->n_layers + (size_t)w->n_tensors + 1, sizeof *names);
    FT_REQUIRE(names, MEMORY, "cannot write '%s': no memory for the names", f->path);
    ft_err e = write_layers(f, w, names);
    free(names);
    return e;
}

ft_err ft_weights_write_keras(const ft_weight_file *w, const char *path) {
    return ft_h5_write(path, true, write_all, w);
}

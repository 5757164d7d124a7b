/* Keras 3's files of weights: layers/<class>[_k]/vars/0, 1, ... where <class> is the layer's class in snake
 * case and k counts its instances, the first without; models inside a model have layers of their own.
 */
#include "train/weight_hdf5.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEEPEST = 16 };

/* "conv2d_12": class of 6 bytes, number 12; "conv2d": number 0. */
static size_t split_name(const char *name, long *number) {
    const char *underscore = strrchr(name, '_');
    char *end;
    *number = 0;
    if (!underscore || !underscore[1] || strspn(underscore + 1, "0123456789") != strlen(underscore + 1))
        return strlen(name);
    *number = strtol(underscore + 1, &end, 10);
    return (size_t)(underscore - name);
}

static int by_class_and_number(const void *a, const void *b) {
    const char *x = *(char *const *)a, *y = *(char *const *)b;
    long nx, ny;
    size_t cx = split_name(x, &nx), cy = split_name(y, &ny), least = cx < cy ? cx : cy;
    int order = strncmp(x, y, least);
    if (order) return order;
    if (cx != cy) return cx < cy ? -1 : 1;
    return nx < ny ? -1 : nx > ny;
}

static ft_err read_vars(ft_weight_file *f, hid_t layer, const char *name, const char *class_name) {
    hid_t vars = H5Gopen2(layer, "vars", H5P_DEFAULT);
    FT_REQUIRE(vars >= 0, WEIGHTS, "%s: '%s/vars' is no group: the file is damaged", f->path, name);
    char *own = NULL, number[24], shown[FT_H5_NAME];
    ft_err e = ft_hdf5_string(f->path, vars, "name", &own);
    if (e == FT_OK) e = ft_weight_file_add_layer(f, own && *own ? own : name, class_name);
    for (int i = 0; e == FT_OK; i++) {
        snprintf(number, sizeof number, "%d", i);
        snprintf(shown, sizeof shown, "%.480s/vars/%d", name, i);
        if (H5Lexists(vars, number, H5P_DEFAULT) <= 0) break;
        e = ft_hdf5_add(f, vars, number, shown);
    }
    free(own);
    H5Gclose(vars);
    return e;
}

static ft_err read_layers(ft_weight_file *f, hid_t parent, const char *prefix, int depth);

static ft_err read_layer(ft_weight_file *f, hid_t layers, const char *prefix, const char *name, int depth) {
    char path[FT_H5_NAME], class_name[FT_H5_NAME];
    long number;
    snprintf(path, sizeof path, "%.250s/%.250s", prefix, name);
    snprintf(class_name, sizeof class_name, "%.*s", (int)split_name(name, &number), name);
    FT_TRY(ft_hdf5_check_links(f->path, layers, name));
    hid_t layer = H5Gopen2(layers, name, H5P_DEFAULT);
    FT_REQUIRE(layer >= 0, WEIGHTS, "%s: '%s' is no group: the file is damaged", f->path, path);
    ft_err e = FT_OK;
    if (ft_hdf5_has_group(layer, "layers"))
        e = read_layers(f, layer, path, depth + 1);
    else if (ft_hdf5_has_group(layer, "vars"))
        e = read_vars(f, layer, path, class_name);
    H5Gclose(layer);
    return e;
}

static ft_err read_layers(ft_weight_file *f, hid_t parent, const char *prefix, int depth) {
    FT_REQUIRE(depth < DEEPEST, WEIGHTS, "%s: models inside models more than %d deep", f->path, DEEPEST);
    char path[FT_H5_NAME];
    snprintf(path, sizeof path, "%.500s%slayers", prefix, *prefix ? "/" : "");
    FT_TRY(ft_hdf5_check_links(f->path, parent, "layers"));
    hid_t layers = H5Gopen2(parent, "layers", H5P_DEFAULT);
    FT_REQUIRE(layers >= 0, WEIGHTS, "%s: '%s' is no group: the file is damaged", f->path, path);
    ft_strings names = {0};
    ft_err e = ft_hdf5_links(f->path, layers, &names);
    if (e == FT_OK && names.n) qsort(names.at, (size_t)names.n, sizeof *names.at, by_class_and_number);
    for (int32_t i = 0; e == FT_OK && i < names.n; i++)
        if (ft_hdf5_has_group(layers, names.at[i])) e = read_layer(f, layers, path, names.at[i], depth);
    ft_strings_free(&names);
    H5Gclose(layers);
    return e;
}

ft_err ft_keras3_read(hid_t file, ft_weight_file *f) {
    f->format = FT_WEIGHTS_KERAS3;
    f->producer = strdup("Keras 3");
    FT_REQUIRE(
        ft_hdf5_has_group(file, "layers"), WEIGHTS,
        "%s: of Keras 3's first releases, which named layers otherwise; save it again with a present one",
        f->path);
    return read_layers(f, file, "", 0);
}

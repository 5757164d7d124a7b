#include "train/weight_hdf5.h"
#include "data/hdf5_start.h"
#include "train/weight_numbers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MOST_STRINGS = 1 << 20,
    MOST_STRING = 1 << 16, /* bytes of one in a list */
    MOST_GROWTH = 1000     /* a dataset that says it holds so many times what is stored is a bomb */
};
static const hsize_t small = 1 << 24; /* bytes that are not worth a bomb */

void ft_strings_free(ft_strings *s) {
    for (int32_t i = 0; i < s->n; i++) free(s->at[i]);
    free(s->at);
    *s = (ft_strings){0};
}

static ft_err damaged(const char *path, const char *what, const char *name) {
    return ft_err_set(FT_E_WEIGHTS, "%s: %s '%.200s' cannot be read: the file is cut off or damaged", path,
                      what, name);
}

static bool add_string(ft_strings *s, const char *text, size_t len) {
    char *copy = strndup(text, len);
    if (copy) s->at[s->n++] = copy;
    return copy != NULL;
}

/* ---- attributes ---- */

static ft_err take_variable(const char *path, hid_t attribute, hid_t type, const char *name, int32_t n,
                            ft_strings *out) {
    hid_t space = H5Aget_space(attribute);
    char **text = calloc((size_t)n, sizeof *text);
    ft_err e = text ? FT_OK : ft_err_set(FT_E_MEMORY, "%s: no memory for attribute '%s'", path, name);
    if (e == FT_OK && H5Aread(attribute, type, text) < 0) e = damaged(path, "attribute", name);
    for (int32_t i = 0; e == FT_OK && i < n; i++)
        if (!add_string(out, text[i] ? text[i] : "", text[i] ? strlen(text[i]) : 0))
            e = ft_err_set(FT_E_MEMORY, "%s: no memory for attribute '%s'", path, name);
    if (text && e != FT_E_WEIGHTS) H5Dvlen_reclaim(type, space, H5P_DEFAULT, text);
    free(text);
    ft_hdf5_drop(space);
    return e;
}

static ft_err take_fixed(const char *path, hid_t attribute, hid_t type, const char *name, int32_t n,
                         ft_strings *out) {
    size_t size = H5Tget_size(type);
    FT_REQUIRE(size > 0 && size <= MOST_STRING, WEIGHTS, "%s: attribute '%s' has strings of %zu bytes", path,
               name, size);
    char *text = malloc((size_t)n * size);
    ft_err e = text ? FT_OK : ft_err_set(FT_E_MEMORY, "%s: no memory for attribute '%s'", path, name);
    if (e == FT_OK && H5Aread(attribute, type, text) < 0) e = damaged(path, "attribute", name);
    for (int32_t i = 0; e == FT_OK && i < n; i++)
        if (!add_string(out, text + (size_t)i * size, size))
            e = ft_err_set(FT_E_MEMORY, "%s: no memory for attribute '%s'", path, name);
    free(text);
    return e;
}

static ft_err take(const char *path, hid_t attribute, const char *name, ft_strings *out) {
    hid_t type = H5Aget_type(attribute), space = H5Aget_space(attribute);
    hssize_t n = H5Sget_simple_extent_npoints(space);
    ft_err e = FT_OK;
    if (type < 0 || space < 0 || n < 0)
        e = damaged(path, "attribute", name);
    else if (n > MOST_STRINGS - out->n)
        e = ft_err_set(FT_E_WEIGHTS, "%s: attribute '%s' lists %lld names, which cannot be", path, name,
                       (long long)n);
    else if (n > 0 && H5Tget_class(type) != H5T_STRING)
        e = ft_err_set(FT_E_WEIGHTS, "%s: attribute '%s' does not hold text", path, name);
    if (e == FT_OK && n > 0) {
        char **more = realloc(out->at, ((size_t)out->n + (size_t)n) * sizeof *more);
        if (more) out->at = more;
        if (!more)
            e = ft_err_set(FT_E_MEMORY, "%s: no memory for attribute '%s'", path, name);
        else if (H5Tis_variable_str(type) > 0)
            e = take_variable(path, attribute, type, name, (int32_t)n, out);
        else
            e = take_fixed(path, attribute, type, name, (int32_t)n, out);
    }
    ft_hdf5_drop(type);
    ft_hdf5_drop(space);
    return e;
}

static ft_err take_named(const char *path, hid_t object, const char *name, ft_strings *out) {
    hid_t attribute = H5Aopen(object, name, H5P_DEFAULT);
    if (attribute < 0) return damaged(path, "attribute", name);
    ft_err e = take(path, attribute, name, out);
    H5Aclose(attribute);
    return e;
}

bool ft_hdf5_has_strings(hid_t object, const char *name) {
    char first[64];
    snprintf(first, sizeof first, "%s0", name);
    return H5Aexists(object, name) > 0 || H5Aexists(object, first) > 0;
}

ft_err ft_hdf5_strings(const char *path, hid_t object, const char *name, ft_strings *out) {
    *out = (ft_strings){0};
    ft_err e = FT_OK;
    if (H5Aexists(object, name) > 0) {
        e = take_named(path, object, name, out);
    } else {
        char part[64];
        for (int i = 0; e == FT_OK; i++) {
            snprintf(part, sizeof part, "%s%d", name, i);
            if (H5Aexists(object, part) > 0)
                e = take_named(path, object, part, out);
            else if (i == 0)
                e = ft_err_set(FT_E_WEIGHTS, "%s: has no attribute '%s'", path, name);
            else
                break;
        }
    }
    if (e != FT_OK) ft_strings_free(out);
    return e;
}

ft_err ft_hdf5_string(const char *path, hid_t object, const char *name, char **out) {
    ft_strings s = {0};
    *out = NULL;
    if (H5Aexists(object, name) <= 0) return FT_OK;
    ft_err e = take_named(path, object, name, &s);
    if (e == FT_OK && s.n > 0) {
        *out = s.at[0];
        s.at[0] = NULL;
    }
    ft_strings_free(&s);
    return e;
}

/* ---- groups ---- */

static int by_bytes(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

ft_err ft_hdf5_links(const char *path, hid_t group, ft_strings *out) {
    H5G_info_t info;
    *out = (ft_strings){0};
    if (H5Gget_info(group, &info) < 0) return damaged(path, "group", ".");
    FT_REQUIRE(info.nlinks <= MOST_STRINGS, WEIGHTS, "%s: a group of %llu objects, which cannot be", path,
               (unsigned long long)info.nlinks);
    out->at = calloc((size_t)info.nlinks + 1, sizeof *out->at);
    FT_REQUIRE(out->at, MEMORY, "%s: no memory for a list of objects", path);
    for (hsize_t i = 0; i < info.nlinks; i++) {
        char name[FT_H5_NAME];
        ssize_t len =
            H5Lget_name_by_idx(group, ".", H5_INDEX_NAME, H5_ITER_INC, i, name, sizeof name, H5P_DEFAULT);
        bool ok = len > 0 && (size_t)len < sizeof name && add_string(out, name, (size_t)len);
        if (ok) continue;
        ft_strings_free(out);
        return damaged(path, "group", ".");
    }
    qsort(out->at, (size_t)out->n, sizeof *out->at, by_bytes);
    return FT_OK;
}

ft_err ft_hdf5_check_links(const char *path, hid_t group, const char *name) {
    char part[FT_H5_NAME];
    size_t len = strlen(name);
    FT_REQUIRE(len > 0 && len < sizeof part, WEIGHTS, "%s: '%.100s' is no name of an object", path, name);
    for (size_t end = 1; end <= len; end++) {
        if (end < len && name[end] != '/') continue;
        if (name[end - 1] == '/') continue;
        memcpy(part, name, end);
        part[end] = '\0';
        H5L_info_t info;
        if (H5Lexists(group, part, H5P_DEFAULT) <= 0 || H5Lget_info(group, part, &info, H5P_DEFAULT) < 0)
            FT_FAIL(WEIGHTS, "%s: there is no '%s', which the file itself lists: it is cut off or damaged",
                    path, part);
        FT_REQUIRE(info.type == H5L_TYPE_HARD, WEIGHTS,
                   "%s: '%s' is a link to somewhere else; such files are not read", path, part);
    }
    return FT_OK;
}

bool ft_hdf5_has_group(hid_t group, const char *name) {
    H5O_info_t info;
    return H5Lexists(group, name, H5P_DEFAULT) > 0 &&
           H5Oget_info_by_name2(group, name, &info, H5O_INFO_BASIC, H5P_DEFAULT) >= 0 &&
           info.type == H5O_TYPE_GROUP;
}

/* ---- datasets ---- */

/* Nothing but what Keras writes: stored in this file, at most compressed by the usual filters. */
static ft_err check_storage(const char *path, hid_t dataset, const char *name, hsize_t bytes) {
    hid_t how = H5Dget_create_plist(dataset);
    ft_err e = how < 0 ? damaged(path, "dataset", name) : FT_OK;
    if (e == FT_OK && (H5Pget_layout(how) == H5D_VIRTUAL || H5Pget_external_count(how) > 0))
        e = ft_err_set(FT_E_WEIGHTS, "%s: '%s' keeps its numbers in another file; such files are not read",
                       path, name);
    int filters = e == FT_OK ? H5Pget_nfilters(how) : 0;
    for (int i = 0; e == FT_OK && i < filters; i++) {
        unsigned flags, config;
        size_t n = 0;
        H5Z_filter_t filter = H5Pget_filter2(how, (unsigned)i, &flags, &n, NULL, 0, NULL, &config);
        if (filter != H5Z_FILTER_DEFLATE && filter != H5Z_FILTER_SHUFFLE && filter != H5Z_FILTER_FLETCHER32)
            e = ft_err_set(FT_E_WEIGHTS, "%s: '%s' is stored with a filter that Keras does not use", path,
                           name);
    }
    ft_hdf5_drop(how);
    if (e != FT_OK || bytes == 0) return e;
    hsize_t stored = H5Dget_storage_size(dataset);
    FT_REQUIRE(stored > 0, WEIGHTS, "%s: '%s' has no numbers in the file", path, name);
    FT_REQUIRE(bytes <= small || bytes / MOST_GROWTH <= stored, WEIGHTS,
               "%s: '%s' would grow a thousand times; this is no file of weights", path, name);
    return FT_OK;
}

static ft_err read_numbers(const char *path, hid_t dataset, hid_t type, const char *name, int64_t n,
                           float *p) {
    H5T_class_t class = H5Tget_class(type);
    if (class == H5T_FLOAT || class == H5T_INTEGER) /* HDF5 converts */
        return H5Dread(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, p) >= 0
                   ? FT_OK
                   : damaged(path, "dataset", name);
    FT_REQUIRE(class == H5T_OPAQUE && H5Tget_size(type) == 2, WEIGHTS, "%s: '%s' does not hold numbers", path,
               name);
    uint8_t *halves = malloc((size_t)n * 2 + 1); /* Keras 3's bfloat16 */
    ft_err e = halves ? FT_OK : ft_err_set(FT_E_MEMORY, "%s: no memory for '%s'", path, name);
    if (e == FT_OK && H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, halves) < 0)
        e = damaged(path, "dataset", name);
    if (e == FT_OK) ft_numbers_to_float(FT_NUMBER_BF16, halves, 1, n, p);
    free(halves);
    return e;
}

static ft_err add_dataset(ft_weight_file *f, hid_t dataset, const char *name, const char *shown) {
    hsize_t size[H5S_MAX_RANK];
    int64_t dims[FT_WEIGHT_RANK], n = 1;
    hid_t space = H5Dget_space(dataset), type = H5Dget_type(dataset);
    int rank = space < 0 ? -1 : H5Sget_simple_extent_ndims(space);
    ft_err e = FT_OK;
    float *p;
    if (rank < 0 || type < 0 || H5Sget_simple_extent_dims(space, size, NULL) < 0)
        e = damaged(f->path, "dataset", name);
    else if (rank > FT_WEIGHT_RANK)
        e = ft_err_set(FT_E_WEIGHTS, "%s: '%s' has %d axes; at most %d make sense", f->path, name, rank,
                       FT_WEIGHT_RANK);
    for (int i = 0; e == FT_OK && i < rank; i++) {
        if (size[i] > INT32_MAX || (size[i] && n > ((int64_t)1 << 40) / (int64_t)size[i]))
            e = ft_err_set(FT_E_WEIGHTS, "%s: '%s' has a size that cannot be", f->path, name);
        else
            n *= dims[i] = (int64_t)size[i];
    }
    if (e == FT_OK) e = check_storage(f->path, dataset, name, (hsize_t)n * H5Tget_size(type));
    if (e == FT_OK) e = ft_weight_file_add(f, shown, rank, dims, &p);
    if (e == FT_OK && n > 0) e = read_numbers(f->path, dataset, type, name, n, p);
    ft_hdf5_drop(space);
    ft_hdf5_drop(type);
    return e;
}

ft_err ft_hdf5_add(ft_weight_file *f, hid_t group, const char *name, const char *shown) {
    FT_TRY(ft_hdf5_check_links(f->path, group, name));
    hid_t dataset = H5Dopen2(group, name, H5P_DEFAULT);
    if (dataset < 0) return damaged(f->path, "dataset", name);
    ft_err e = add_dataset(f, dataset, name, shown);
    H5Dclose(dataset);
    return e;
}

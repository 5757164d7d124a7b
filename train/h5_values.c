/* HDF5 files: attributes and datasets. */
#include "train/h5_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { MAX_STRING = 1 << 24, MAX_ITEM = 1 << 16 }; /* bytes of an attribute, of one string in a dataset */
static const char checksum_name[] = "checksum";

/* ---- attributes ---- */

static hid_t file_type(ft_h5_kind kind) {
    return kind == FT_H5_I64 ? H5T_STD_I64LE : kind == FT_H5_U64 ? H5T_STD_U64LE : H5T_IEEE_F64LE;
}
static hid_t memory_type(ft_h5_kind kind) {
    return kind == FT_H5_I64 ? H5T_NATIVE_INT64 : kind == FT_H5_U64 ? H5T_NATIVE_UINT64 : H5T_NATIVE_DOUBLE;
}
/* Fixed length, ended by a zero byte. */
static hid_t string_type(size_t bytes) {
    hid_t t = H5Tcopy(H5T_C_S1);
    if (H5Tset_size(t, bytes) >= 0 && H5Tset_cset(t, H5T_CSET_UTF8) >= 0) return t;
    ft_h5_drop(t);
    return -1;
}

static ft_err set_attribute(ft_h5 *f, const char *object, const char *name, hid_t in_file, hid_t in_memory,
                            int32_t n, const void *data) {
    hsize_t dim = (hsize_t)n;
    hid_t o = H5Oopen(f->file, object, H5P_DEFAULT);
    hid_t space = n == 1 ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, &dim, NULL);
    hid_t a = H5Acreate2(o, name, in_file, space, H5P_DEFAULT, H5P_DEFAULT);
    herr_t status = H5Awrite(a, in_memory, data);
    ft_err e = status < 0 ? ft_h5_write_error(f, "the attribute", name) : FT_OK;
    ft_h5_drop(a);
    ft_h5_drop(space);
    ft_h5_drop(o);
    return e;
}

ft_err ft_h5_set_numbers(ft_h5 *f, const char *object, const char *name, ft_h5_kind kind, int32_t n,
                         const void *data) {
    return set_attribute(f, object, name, file_type(kind), memory_type(kind), n, data);
}

ft_err ft_h5_set_string(ft_h5 *f, const char *object, const char *name, const char *value) {
    hid_t type = string_type(strlen(value) + 1);
    ft_err e = set_attribute(f, object, name, type, type, 1, value);
    ft_h5_drop(type);
    return e;
}

bool ft_h5_has_attribute(ft_h5 *f, const char *object, const char *name) {
    return H5Aexists_by_name(f->file, object, name, H5P_DEFAULT) > 0;
}

static bool is_array(hid_t space, int32_t n) {
    return H5Sget_simple_extent_type(space) != H5S_NULL && H5Sget_simple_extent_npoints(space) == n;
}

static ft_err unlike(const ft_h5 *f, const char *object, const char *name) {
    FT_FAIL(WEIGHTS, "'%s': the attribute '%s' of '%s' has not the type or size that Facet writes", f->path,
            name, object);
}

ft_err ft_h5_get_numbers(ft_h5 *f, const char *object, const char *name, ft_h5_kind kind, int32_t n,
                         void *data) {
    hid_t a = H5Aopen_by_name(f->file, object, name, H5P_DEFAULT, H5P_DEFAULT);
    if (a < 0) return ft_h5_read_error(f, "the attribute", name);
    hid_t type = H5Aget_type(a), space = H5Aget_space(a);
    ft_err e = FT_OK;
    if (!is_array(space, n) || H5Tequal(type, file_type(kind)) <= 0)
        e = unlike(f, object, name);
    else if (H5Aread(a, memory_type(kind), data) < 0)
        e = ft_h5_read_error(f, "the attribute", name);
    ft_h5_drop(type);
    ft_h5_drop(space);
    ft_h5_drop(a);
    return e;
}

/* Bytes of a fixed-length string type; 0 if it is none, or too long. */
static size_t string_bytes(hid_t type, size_t max) {
    if (H5Tget_class(type) != H5T_STRING || H5Tis_variable_str(type) != 0) return 0;
    size_t bytes = H5Tget_size(type);
    return bytes <= max ? bytes : 0;
}

ft_err ft_h5_get_string(ft_h5 *f, const char *object, const char *name, char **out) {
    *out = NULL;
    hid_t a = H5Aopen_by_name(f->file, object, name, H5P_DEFAULT, H5P_DEFAULT);
    if (a < 0) return ft_h5_read_error(f, "the attribute", name);
    hid_t type = H5Aget_type(a), space = H5Aget_space(a);
    size_t bytes = string_bytes(type, MAX_STRING);
    char *text = NULL;
    ft_err e = FT_OK;
    if (bytes == 0 || !is_array(space, 1))
        e = unlike(f, object, name);
    else if (!(text = calloc(1, bytes + 1)))
        e = ft_err_set(FT_E_MEMORY, "no memory for %zu bytes of '%s'", bytes, f->path);
    else if (H5Aread(a, type, text) < 0)
        e = ft_h5_read_error(f, "the attribute", name);
    ft_h5_drop(type);
    ft_h5_drop(space);
    ft_h5_drop(a);
    if (e == FT_OK)
        *out = text;
    else
        free(text);
    return e;
}

/* ---- datasets ---- */

static ft_err write_dataset(ft_h5 *f, const char *name, hid_t in_file, hid_t in_memory, int32_t rank,
                            const hsize_t dims[], const void *p, size_t bytes) {
    FT_TRY(ft_h5_groups_above(f, name));
    hid_t space = H5Screate_simple(rank, dims, NULL), creation = H5Pcreate(H5P_DATASET_CREATE), d = -1;
    if (H5Pset_obj_track_times(creation, false) >= 0)
        d = H5Dcreate2(f->file, name, in_file, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    ft_err e = FT_OK;
    if (d < 0 || (bytes > 0 && H5Dwrite(d, in_memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, p) < 0))
        e = ft_h5_write_error(f, "the dataset", name);
    ft_h5_drop(d);
    ft_h5_drop(creation);
    ft_h5_drop(space);
    if (e != FT_OK) return e;
    uint64_t sum = XXH3_64bits(p, bytes);
    return ft_h5_set_numbers(f, name, checksum_name, FT_H5_U64, 1, &sum);
}

static ft_err check_sum(ft_h5 *f, const char *name, const void *p, size_t bytes) {
    uint64_t sum;
    FT_TRY(ft_h5_get_numbers(f, name, checksum_name, FT_H5_U64, 1, &sum));
    FT_REQUIRE(sum == XXH3_64bits(p, bytes), WEIGHTS,
               "'%s': the dataset '%s' is damaged, its checksum does not match; use another copy of the file",
               f->path, name);
    return FT_OK;
}

/* Whether a dataset's bytes lie in one piece in this file: not chunked, compressed, virtual, in other files,
 * or left out. */
static bool is_plain(const ft_h5 *f, hid_t d, hsize_t bytes) {
    hsize_t all = 0;
    hid_t creation = H5Dget_create_plist(d);
    bool plain = H5Pget_layout(creation) == H5D_CONTIGUOUS && H5Pget_external_count(creation) == 0 &&
                 H5Pget_nfilters(creation) == 0 && H5Dget_storage_size(d) == bytes &&
                 H5Fget_filesize(f->file, &all) >= 0 && bytes <= all;
    ft_h5_drop(creation);
    return plain;
}

ft_err ft_h5_write_floats(ft_h5 *f, const char *name, int32_t rank, const int64_t dims[], const float *p) {
    hsize_t size[4] = {0}, n = 1;
    for (int32_t i = 0; i < rank && i < 4; i++) n *= size[i] = (hsize_t)dims[i];
    return write_dataset(f, name, H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, rank, size, p, n * sizeof(float));
}

/* "(3,3,8,16)" */
static void print_dims(char text[64], int32_t rank, const hsize_t dims[]) {
    size_t len = 0;
    for (int32_t i = 0; i < rank && len < 40; i++)
        len += (size_t)snprintf(text + len, 64 - len, "%c%llu", i ? ',' : '(', (unsigned long long)dims[i]);
    snprintf(text + len, 64 - len, "%s", rank ? ")" : "()");
}

static bool fits(const ft_h5 *f, hid_t d, hid_t type, hid_t space, int32_t rank, const int64_t dims[],
                 char why[96]) {
    hsize_t have[H5S_MAX_RANK] = {0}, n = 1;
    if (H5Tequal(type, H5T_IEEE_F32LE) <= 0) {
        snprintf(why, 96, "not float32");
        return false;
    }
    int32_t have_rank = H5Sget_simple_extent_dims(space, have, NULL);
    bool same = have_rank == rank;
    for (int32_t i = 0; same && i < rank; i++) {
        same = have[i] == (hsize_t)dims[i];
        n *= have[i];
    }
    if (!same) {
        print_dims(why, have_rank, have);
        return false;
    }
    if (is_plain(f, d, n * sizeof(float))) return true;
    snprintf(why, 96, "not stored in one piece, as Facet does it");
    return false;
}

bool ft_h5_fits(ft_h5 *f, const char *name, int32_t rank, const int64_t dims[], char why[96]) {
    hid_t d = H5Dopen2(f->file, name, H5P_DEFAULT), type = H5Dget_type(d), space = H5Dget_space(d);
    bool ok = false;
    if (d < 0 || type < 0 || space < 0)
        snprintf(why, 96, "damaged");
    else
        ok = fits(f, d, type, space, rank, dims, why);
    ft_h5_drop(space);
    ft_h5_drop(type);
    ft_h5_drop(d);
    return ok;
}

ft_err ft_h5_read_floats(ft_h5 *f, const char *name, int64_t n, float *p) {
    hid_t d = H5Dopen2(f->file, name, H5P_DEFAULT), space = H5Dget_space(d);
    ft_err e = FT_OK;
    if (H5Sget_simple_extent_npoints(space) != n ||
        H5Dread(d, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, p) < 0)
        e = ft_h5_read_error(f, "the dataset", name);
    ft_h5_drop(space);
    ft_h5_drop(d);
    return e != FT_OK ? e : check_sum(f, name, p, (size_t)n * sizeof *p);
}

/* As the file stores it. */
static ft_err read_and_check(ft_h5 *f, const char *name, hid_t d, hid_t type, size_t bytes) {
    hsize_t file_bytes = 0;
    FT_REQUIRE(H5Fget_filesize(f->file, &file_bytes) >= 0 && bytes <= file_bytes, WEIGHTS,
               "'%s': the dataset '%s' is larger than the file", f->path, name);
    char *block = malloc(bytes + 1);
    FT_REQUIRE(block, MEMORY, "no memory for the dataset '%s' of '%s'", name, f->path);
    ft_err e = H5Dread(d, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, block) < 0
                   ? ft_h5_read_error(f, "the dataset", name)
                   : check_sum(f, name, block, bytes);
    free(block);
    return e;
}

ft_err ft_h5_verify(ft_h5 *f, const char *name) {
    hid_t d = H5Dopen2(f->file, name, H5P_DEFAULT), type = H5Dget_type(d);
    hsize_t bytes = d >= 0 ? H5Dget_storage_size(d) : 0;
    ft_err e =
        type < 0 ? ft_h5_read_error(f, "the dataset", name) : read_and_check(f, name, d, type, (size_t)bytes);
    ft_h5_drop(type);
    ft_h5_drop(d);
    return e;
}

ft_err ft_h5_write_strings(ft_h5 *f, const char *name, int32_t n, const char *const *strings) {
    size_t bytes = 1;
    for (int32_t i = 0; i < n; i++) {
        size_t len = strlen(strings[i]) + 1;
        FT_REQUIRE(len <= MAX_ITEM, IO, "cannot write '%s': a string in '%s' is longer than %d bytes",
                   f->path, name, MAX_ITEM - 1);
        if (len > bytes) bytes = len;
    }
    char *block = ft_alloc((size_t)n + 1, bytes);
    FT_REQUIRE(block, MEMORY, "no memory for %d strings", n);
    for (int32_t i = 0; i < n; i++) strcpy(block + (size_t)i * bytes, strings[i]);
    hid_t type = string_type(bytes);
    hsize_t dim = (hsize_t)n;
    ft_err e = write_dataset(f, name, type, type, 1, &dim, block, (size_t)n * bytes);
    ft_h5_drop(type);
    free(block);
    return e;
}

/* The dataset's bytes, into (n) strings of *bytes each behind as many pointers. */
static ft_err read_block(ft_h5 *f, const char *name, hid_t d, hid_t type, int32_t n, char ***out) {
    size_t bytes = string_bytes(type, MAX_ITEM);
    hid_t space = H5Dget_space(d);
    bool fit = bytes > 0 && is_array(space, n) && is_plain(f, d, bytes * (hsize_t)n);
    ft_h5_drop(space);
    FT_REQUIRE(fit, WEIGHTS, "'%s': the dataset '%s' does not hold %d strings as Facet writes them", f->path,
               name, n);
    char **list = ft_alloc((size_t)n + 1, sizeof *list + bytes + 1), *block = (char *)(list + n + 1);
    FT_REQUIRE(list, MEMORY, "no memory for %d strings", n);
    herr_t status = n == 0 ? 0 : H5Dread(d, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, block);
    ft_err e =
        status < 0 ? ft_h5_read_error(f, "the dataset", name) : check_sum(f, name, block, (size_t)n * bytes);
    for (int32_t i = 0; e == FT_OK && i < n; i++) {
        list[i] = block + (size_t)i * bytes;
        if (!memchr(list[i], 0, bytes)) e = unlike(f, name, "strings");
    }
    if (e == FT_OK)
        *out = list;
    else
        free(list);
    return e;
}

ft_err ft_h5_read_strings(ft_h5 *f, const char *name, int32_t n, char ***out) {
    *out = NULL;
    hid_t d = H5Dopen2(f->file, name, H5P_DEFAULT), type = H5Dget_type(d);
    ft_err e = type < 0 ? ft_h5_read_error(f, "the dataset", name) : read_block(f, name, d, type, n, out);
    ft_h5_drop(type);
    ft_h5_drop(d);
    return e;
}

#include "train/h5_write.h"
#include "data/hdf5_start.h"
#include "tensor/atomic_file.h"
#include "tensor/child.h"
#include "train/h5_read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { COMPACT = 64 }; /* attributes of one object kept in its header, the simplest place */

ft_err ft_h5_write_error(const ft_h5 *f, const char *what, const char *name) {
    int error = errno; /* of the system call that failed, if one did */
    return ft_err_set(error == ENOMEM ? FT_E_MEMORY : FT_E_IO,
                      "cannot write '%s': %s '%s': %s; check the space and memory left", f->path, what, name,
                      error ? strerror(error) : ft_hdf5_reason());
}

/* ---- the file ---- */

typedef struct writing {
    const char *path, *temp;
    bool plain;
    ft_h5_fill *fill;
    const void *ctx;
} writing;

static hid_t create(const char *path, bool plain) {
    hid_t file = -1, access = H5Pcreate(H5P_FILE_ACCESS), creation = H5Pcreate(H5P_FILE_CREATE);
    if ((plain || H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_V18) >= 0) &&
        (plain || H5Pset_attr_phase_change(creation, COMPACT, 0) >= 0) &&
        /* Others never see the file before it is whole, and locks fail on some network disks. */
        H5Pset_file_locking(access, false, true) >= 0 && H5Pset_obj_track_times(creation, false) >= 0)
        file = H5Fcreate(path, H5F_ACC_TRUNC, creation, access);
    ft_hdf5_drop(access);
    ft_hdf5_drop(creation);
    return file;
}

static ft_err write_in_child(void *ctx, FILE *out) {
    (void)out;
    const writing *w = ctx;
    FT_TRY(ft_hdf5_start());
    errno = 0;
    ft_h5 f = {.path = w->path, .file = create(w->temp, w->plain)};
    if (f.file < 0) return ft_h5_write_error(&f, "the file", "/");
    FT_TRY(w->fill(&f, w->ctx)); /* the file stays open: HDF5 cannot close one that it failed to write */
    return H5Fclose(f.file) < 0 ? ft_h5_write_error(&f, "the file", "/") : FT_OK;
}

ft_err ft_h5_write(const char *path, bool plain, ft_h5_fill *fill, const void *ctx) {
    ft_atomic_file a;
    char what[4200];
    FT_TRY(ft_atomic_begin(&a, path));
    snprintf(what, sizeof what, "cannot write '%s'", path);
    writing w = {path, a.temp, plain, fill, ctx};
    const ft_child_task task = {
        .work = write_in_child, .ctx = &w, .what = what, .hint = "check the memory left", .broken = FT_E_IO};
    ft_err e = ft_child_run(&task, NULL);
    if (e == FT_OK) return ft_atomic_commit(&a);
    ft_atomic_abort(&a);
    return e;
}

/* ---- groups ---- */

static bool make_group(hid_t file, const char *name) {
    hid_t creation = H5Pcreate(H5P_GROUP_CREATE), group = -1;
    if (H5Pset_attr_phase_change(creation, COMPACT, 0) >= 0 && H5Pset_obj_track_times(creation, false) >= 0)
        group = H5Gcreate2(file, name, H5P_DEFAULT, creation, H5P_DEFAULT);
    ft_hdf5_drop(creation);
    ft_hdf5_drop(group);
    return group >= 0;
}

static ft_err make_groups_above(ft_h5 *f, const char *name) {
    char part[FT_H5_NAME];
    for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
        int n = snprintf(part, sizeof part, "%.*s", (int)(slash - name), name);
        FT_REQUIRE(n < (int)sizeof part, IO, "cannot write '%s': the name '%.60s...' is too long", f->path,
                   name);
        htri_t there = H5Lexists(f->file, part, H5P_DEFAULT);
        if (there < 0 || (there == 0 && !make_group(f->file, part)))
            return ft_h5_write_error(f, "the group", part);
    }
    return FT_OK;
}

ft_err ft_h5_group(ft_h5 *f, const char *name) {
    FT_TRY(make_groups_above(f, name));
    bool made = H5Lexists(f->file, name, H5P_DEFAULT) > 0 || make_group(f->file, name);
    return made ? FT_OK : ft_h5_write_error(f, "the group", name);
}

/* ---- attributes ---- */

static hid_t file_type(ft_h5_type type) {
    return type == FT_H5_I64 ? H5T_STD_I64LE : type == FT_H5_U64 ? H5T_STD_U64LE : H5T_IEEE_F64LE;
}
static hid_t memory_type(ft_h5_type type) {
    return type == FT_H5_I64 ? H5T_NATIVE_INT64 : type == FT_H5_U64 ? H5T_NATIVE_UINT64 : H5T_NATIVE_DOUBLE;
}
/* Fixed length, ended by a zero byte. */
static hid_t string_type(size_t bytes) {
    hid_t t = H5Tcopy(H5T_C_S1);
    if (H5Tset_size(t, bytes) >= 0 && H5Tset_cset(t, H5T_CSET_UTF8) >= 0) return t;
    ft_hdf5_drop(t);
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
    ft_hdf5_drop(a);
    ft_hdf5_drop(space);
    ft_hdf5_drop(o);
    return e;
}

ft_err ft_h5_set_numbers(ft_h5 *f, const char *object, const char *name, ft_h5_type type, int32_t n,
                         const void *data) {
    return set_attribute(f, object, name, file_type(type), memory_type(type), n, data);
}

ft_err ft_h5_set_string(ft_h5 *f, const char *object, const char *name, const char *value) {
    hid_t type = string_type(strlen(value) + 1);
    ft_err e = set_attribute(f, object, name, type, type, 1, value);
    ft_hdf5_drop(type);
    return e;
}

/* ---- datasets ---- */

static ft_err write_dataset(ft_h5 *f, const char *name, hid_t in_file, hid_t in_memory, int32_t rank,
                            const hsize_t dims[], const void *p, size_t bytes) {
    FT_TRY(make_groups_above(f, name));
    hid_t space = H5Screate_simple(rank, dims, NULL), creation = H5Pcreate(H5P_DATASET_CREATE), d = -1;
    if (H5Pset_obj_track_times(creation, false) >= 0)
        d = H5Dcreate2(f->file, name, in_file, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    ft_err e = FT_OK;
    if (d < 0 || (bytes > 0 && H5Dwrite(d, in_memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, p) < 0))
        e = ft_h5_write_error(f, "the dataset", name);
    ft_hdf5_drop(d);
    ft_hdf5_drop(creation);
    ft_hdf5_drop(space);
    if (e != FT_OK) return e;
    uint64_t sum = XXH3_64bits(p, bytes);
    return ft_h5_set_numbers(f, name, FT_H5_CHECKSUM, FT_H5_U64, 1, &sum);
}

ft_err ft_h5_write_floats(ft_h5 *f, const char *name, int32_t rank, const int64_t dims[], const float *p) {
    hsize_t size[4] = {0}, n = 1;
    for (int32_t i = 0; i < rank && i < 4; i++) n *= size[i] = (hsize_t)dims[i];
    return write_dataset(f, name, H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, rank, size, p, n * sizeof(float));
}

ft_err ft_h5_write_strings(ft_h5 *f, const char *name, int32_t n, const char *const *strings) {
    size_t bytes = 1;
    for (int32_t i = 0; i < n; i++) {
        size_t len = strlen(strings[i]) + 1;
        FT_REQUIRE(len <= FT_H5_LONGEST, IO, "cannot write '%s': a string in '%s' is longer than %d bytes",
                   f->path, name, FT_H5_LONGEST - 1);
        if (len > bytes) bytes = len;
    }
    char *block = ft_alloc((size_t)n + 1, bytes);
    FT_REQUIRE(block, MEMORY, "no memory for %d strings", n);
    for (int32_t i = 0; i < n; i++) strcpy(block + (size_t)i * bytes, strings[i]);
    hid_t type = string_type(bytes);
    hsize_t dim = (hsize_t)n;
    ft_err e = write_dataset(f, name, type, type, 1, &dim, block, (size_t)n * bytes);
    ft_hdf5_drop(type);
    free(block);
    return e;
}

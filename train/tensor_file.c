#include "train/tensor_file.h"
#include "data/hdf5_start.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* HDF5 says little of a file that it cannot open, and would wait for ever for a pipe. */
static ft_err open_file(ft_tensor_file *t, const char *path) {
    struct stat st;
    FT_REQUIRE(stat(path, &st) == 0 && access(path, R_OK) == 0, DATA, "cannot open '%s': %s", path,
               strerror(errno));
    FT_REQUIRE(S_ISREG(st.st_mode), DATA, "'%s' is not a file", path);
    ft_hdf5_start();
    t->file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    FT_REQUIRE(t->file >= 0, DATA, "'%s' is not an HDF5 file, or a damaged one", path);
    return FT_OK;
}

static ft_err check_numbers(const ft_tensor_file *t) {
    hid_t type = H5Dget_type(t->dataset);
    bool numbers = H5Tget_class(type) == H5T_FLOAT;
    H5Tclose(type);
    FT_REQUIRE(numbers, DATA, "%s does not hold floating-point numbers; write it as float32", t->where);
    return FT_OK;
}

static ft_err read_shape(ft_tensor_file *t) {
    hsize_t dims[H5S_MAX_RANK] = {0};
    hid_t space = H5Dget_space(t->dataset);
    t->rank = H5Sget_simple_extent_dims(space, dims, NULL);
    H5Sclose(space);
    FT_REQUIRE(t->rank == 3 || t->rank == 4, DATA,
               "%s has %d dimensions; wanted are 4, (images, height, width, channels), or 3 for one image",
               t->where, t->rank);
    int32_t size[4] = {1, 1, 1, 1};
    for (int32_t i = 0; i < t->rank; i++) {
        FT_REQUIRE(dims[i] > 0 && dims[i] <= INT32_MAX, DATA, "%s has a dimension of %llu", t->where,
                   (unsigned long long)dims[i]);
        size[4 - t->rank + i] = (int32_t)dims[i];
    }
    t->shape = (ft_shape){size[0], size[1], size[2], size[3]};
    return FT_OK;
}

static ft_err open_dataset(ft_tensor_file *t, const char *path, const char *name) {
    FT_TRY(open_file(t, path));
    t->dataset = H5Dopen2(t->file, name, H5P_DEFAULT);
    FT_REQUIRE(t->dataset >= 0, DATA, "'%s' has no dataset '%s'", path, name);
    FT_TRY(check_numbers(t));
    return read_shape(t);
}

ft_err ft_tensor_open(ft_tensor_file *t, const char *where) {
    *t = (ft_tensor_file){.file = -1, .dataset = -1, .where = where};
    const char *colon = strrchr(where, ':');
    FT_REQUIRE(colon && colon > where && colon[1], USAGE,
               "'%s' names no dataset; write it as FILE.h5:/dataset", where);
    char *path = strndup(where, (size_t)(colon - where));
    FT_REQUIRE(path, MEMORY, "no memory for a path");
    ft_err e = open_dataset(t, path, colon + 1);
    free(path);
    if (e != FT_OK) ft_tensor_close(t);
    return e;
}

ft_err ft_tensor_read(ft_tensor_file *t, int64_t first, int32_t n, float *x) {
    ft_shape s = t->shape;
    hsize_t start[4] = {(hsize_t)first}, count[4] = {(hsize_t)n, (hsize_t)s.h, (hsize_t)s.w, (hsize_t)s.c};
    int32_t skipped = 4 - t->rank; /* a single sample has no first dimension */
    hid_t file_space = H5Dget_space(t->dataset), memory_space = H5Screate_simple(4, count, NULL);
    herr_t status =
        H5Sselect_hyperslab(file_space, H5S_SELECT_SET, start + skipped, NULL, count + skipped, NULL);
    if (status >= 0) status = H5Dread(t->dataset, H5T_NATIVE_FLOAT, memory_space, file_space, H5P_DEFAULT, x);
    H5Sclose(memory_space);
    H5Sclose(file_space);
    FT_REQUIRE(status >= 0, DATA, "cannot read %s from sample %lld on: the file is damaged", t->where,
               (long long)first);
    return FT_OK;
}

void ft_tensor_close(ft_tensor_file *t) {
    if (t->dataset >= 0) H5Dclose(t->dataset);
    if (t->file >= 0) H5Fclose(t->file);
    t->dataset = t->file = -1;
}

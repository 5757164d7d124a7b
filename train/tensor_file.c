#include "train/tensor_file.h"
#include "data/hdf5_start.h"
#include "tensor/child.h"
#include "tensor/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- in the child ---- */

/* What is wanted of it: samples first ... first + n - 1; with n == 0 the rank and the dimensions. */
typedef struct request {
    const ft_tensor_file *t;
    int64_t first;
    int32_t n;
} request;

static ft_err put_shape(const ft_tensor_file *t, hid_t dataset, FILE *out) {
    hsize_t dims[H5S_MAX_RANK] = {0};
    hid_t type = H5Dget_type(dataset), space = H5Dget_space(dataset);
    FT_REQUIRE(H5Tget_class(type) == H5T_FLOAT, DATA,
               "%s does not hold floating-point numbers; write it as float32", t->where);
    int rank = H5Sget_simple_extent_dims(space, dims, NULL);
    FT_REQUIRE(rank == 3 || rank == 4, DATA,
               "%s has %d dimensions; wanted are 4, (images, height, width, channels), or 3 for one image",
               t->where, rank);
    ft_wire_put(out, rank);
    for (int i = 0; i < rank; i++) {
        FT_REQUIRE(dims[i] > 0 && dims[i] <= INT32_MAX, DATA, "%s has a dimension of %llu", t->where,
                   (unsigned long long)dims[i]);
        ft_wire_put(out, (int64_t)dims[i]);
    }
    return FT_OK;
}

static ft_err put_samples(const request *r, hid_t dataset, FILE *out) {
    ft_shape s = r->t->shape;
    hsize_t start[4] = {(hsize_t)r->first},
            count[4] = {(hsize_t)r->n, (hsize_t)s.h, (hsize_t)s.w, (hsize_t)s.c};
    int32_t skipped = 4 - r->t->rank; /* a single sample has no first dimension */
    size_t numbers = (size_t)(count[0] * count[1] * count[2] * count[3]);
    float *x = malloc(numbers * sizeof *x);
    FT_REQUIRE(x, MEMORY, "no memory for %d samples of %s", r->n, r->t->where);
    hid_t from = H5Dget_space(dataset), to = H5Screate_simple(4, count, NULL);
    herr_t status = H5Sselect_hyperslab(from, H5S_SELECT_SET, start + skipped, NULL, count + skipped, NULL);
    if (status >= 0) status = H5Dread(dataset, H5T_NATIVE_FLOAT, to, from, H5P_DEFAULT, x);
    FT_REQUIRE(status >= 0, DATA, "cannot read %s from sample %lld on: the file is damaged", r->t->where,
               (long long)r->first);
    ft_wire_put_bytes(out, x, numbers * sizeof *x);
    return FT_OK;
}

/* What it opens, the end of the child closes. */
static ft_err answer(void *ctx, FILE *out) {
    const request *r = ctx;
    const ft_tensor_file *t = r->t;
    void *p;
    int64_t size;
    const char *colon = strrchr(t->where, ':');
    int path = (int)(colon - t->where);
    FT_TRY(ft_hdf5_map(t->fd, t->where, FT_E_DATA, &p, &size));
    ft_child_seal();
    FT_TRY(ft_hdf5_start());
    hid_t file = ft_hdf5_open_image(p, (size_t)size);
    FT_REQUIRE(file >= 0, DATA, "'%.*s' is not an HDF5 file, or a damaged one", path, t->where);
    hid_t dataset = H5Dopen2(file, colon + 1, H5P_DEFAULT);
    FT_REQUIRE(dataset >= 0, DATA, "'%.*s' has no dataset '%s'", path, t->where, colon + 1);
    return r->n == 0 ? put_shape(t, dataset, out) : put_samples(r, dataset, out);
}

/* ---- outside it ---- */

static ft_err ask(const ft_tensor_file *t, int64_t first, int32_t n, FILE **out) {
    int64_t bytes = (int64_t)n * t->shape.h * t->shape.w * t->shape.c * (int64_t)sizeof(float);
    const ft_child_task task = {.work = answer,
                                .ctx = &(request){t, first, n},
                                .what = t->where,
                                .hint = "it is damaged, or made to do harm",
                                .broken = FT_E_DATA,
                                .memory = (INT64_C(1) << 30) + 4 * bytes,
                                .seconds = (int32_t)(10 + bytes / 2000000)};
    return ft_child_run(&task, out);
}

static ft_err read_shape(ft_tensor_file *t) {
    FILE *from;
    FT_TRY(ask(t, 0, 0, &from));
    ft_wire w = ft_wire_open(from, t->where, FT_E_DATA);
    int64_t rank = 0, size[4] = {1, 1, 1, 1};
    ft_err e = ft_wire_take(&w, 3, 4, &rank);
    for (int64_t i = 4 - rank; e == FT_OK && i < 4; i++) e = ft_wire_take(&w, 1, INT32_MAX, &size[i]);
    fclose(from);
    t->rank = (int32_t)rank;
    t->shape = (ft_shape){(int32_t)size[0], (int32_t)size[1], (int32_t)size[2], (int32_t)size[3]};
    return e;
}

ft_err ft_tensor_open(ft_tensor_file *t, const char *where) {
    *t = (ft_tensor_file){.fd = -1, .where = where};
    const char *colon = strrchr(where, ':');
    FT_REQUIRE(colon && colon > where && colon[1], USAGE,
               "'%s' names no dataset; write it as FILE.h5:/dataset", where);
    char *path = strndup(where, (size_t)(colon - where));
    FT_REQUIRE(path, MEMORY, "no memory for a path");
    t->fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* not to wait for a pipe's other end */
    free(path);
    FT_REQUIRE(t->fd >= 0, DATA, "cannot open '%.*s': %s", (int)(colon - where), where, strerror(errno));
    ft_err e = read_shape(t);
    if (e != FT_OK) ft_tensor_close(t);
    return e;
}

ft_err ft_tensor_read(const ft_tensor_file *t, int64_t first, int32_t n, float *x) {
    FILE *from;
    FT_TRY(ask(t, first, n, &from));
    ft_wire w = ft_wire_open(from, t->where, FT_E_DATA);
    ft_err e =
        ft_wire_take_bytes(&w, x, (int64_t)n * t->shape.h * t->shape.w * t->shape.c * (int64_t)sizeof *x);
    fclose(from);
    return e;
}

void ft_tensor_close(ft_tensor_file *t) {
    if (t->fd >= 0) close(t->fd);
    t->fd = -1;
}

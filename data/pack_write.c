#include "data/hdf5_start.h"
#include "data/pack.h"

#include "data/pack_layout.h"
#include "data/texts.h"
#include "tensor/atomic_file.h"

#include <hdf5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { CHUNK = 1 << 20, NAME_BYTES = 4096 };

typedef struct writer {
    const char *path;
    hid_t file, bytes; /* < 0: not open */
    uint8_t *buffer;   /* (CHUNK), n_buffer of which wait to be written */
    size_t n_buffer;
    int64_t total; /* bytes so far */
    int32_t n;
    int64_t *offset; /* (ds->n + 1) */
    uint64_t *checksum;
    int32_t *label, *group;
    uint8_t *fixed;
    ft_texts names;
    XXH3_state_t *tables;
} writer;

static ft_err refused(const writer *w, const char *what) {
    FT_FAIL(IO, "%s: HDF5 cannot write %s; is the disk full?", w->path, what);
}

static ft_err flush(writer *w) {
    if (w->n_buffer == 0) return FT_OK;
    hsize_t start = (hsize_t)(w->total - (int64_t)w->n_buffer), count = w->n_buffer, all = (hsize_t)w->total;
    hid_t memory = H5Screate_simple(1, &count, NULL);
    bool ok = H5Dset_extent(w->bytes, &all) >= 0;
    hid_t space = H5Dget_space(w->bytes);
    ok = ok && H5Sselect_hyperslab(space, H5S_SELECT_SET, &start, NULL, &count, NULL) >= 0 &&
         H5Dwrite(w->bytes, H5T_NATIVE_UINT8, memory, space, H5P_DEFAULT, w->buffer) >= 0;
    H5Sclose(space);
    H5Sclose(memory);
    w->n_buffer = 0;
    return ok ? FT_OK : refused(w, "the images");
}

static ft_err append(writer *w, const uint8_t *p, size_t n) {
    while (n > 0) {
        size_t part = n < CHUNK - w->n_buffer ? n : CHUNK - w->n_buffer;
        memcpy(w->buffer + w->n_buffer, p, part);
        w->n_buffer += part;
        w->total += (int64_t)part;
        p += part;
        n -= part;
        if (w->n_buffer == CHUNK) FT_TRY(flush(w));
    }
    return FT_OK;
}

static ft_err add_image(writer *w, const ft_dataset *ds, int32_t i, const uint8_t *p, size_t n) {
    char name[NAME_BYTES];
    ft_dataset_name(ds, i, name, sizeof name);
    size_t at;
    FT_TRY(ft_texts_add(&w->names, name, &at));
    w->offset[w->n] = w->total;
    w->checksum[w->n] = XXH3_64bits(p, n);
    w->label[w->n] = ft_dataset_label(ds, i);
    w->group[w->n] = ft_dataset_group(ds, i);
    w->fixed[w->n++] = (uint8_t)ft_dataset_fixed(ds, i);
    return append(w, p, n);
}

/* Pixels as a PGM or PPM file. */
static ft_err pixels_as_file(const ft_dataset *ds, int32_t i, const ft_pack_options *o, ft_resizer *r,
                             uint8_t **p, size_t *n) {
    ft_image im, sized = {0};
    FT_TRY(ft_dataset_read(ds, i, (ft_image_want){.c = 3}, &im));
    ft_err e = FT_OK;
    if (o->size > 0 && (im.w != o->size || im.h != o->size)) {
        e = ft_image_alloc(&sized, o->size, o->size, 3);
        if (e == FT_OK) e = ft_image_resize(r, &im, ft_box_whole(&im), o->resize, &sized);
        ft_image_free(&im);
        im = sized;
    }
    char head[64];
    int n_head = snprintf(head, sizeof head, "P6 %d %d 255\n", im.w, im.h);
    size_t n_pixels = (size_t)im.w * (size_t)im.h * 3;
    *n = (size_t)n_head + n_pixels;
    *p = e == FT_OK ? malloc(*n) : NULL;
    if (e == FT_OK && !*p) e = ft_err_set(FT_E_MEMORY, "no memory for an image of %d x %d", im.w, im.h);
    if (e == FT_OK) {
        memcpy(*p, head, (size_t)n_head);
        memcpy(*p + n_head, im.p, n_pixels);
    }
    ft_image_free(&im);
    return e;
}

static ft_err add_all(writer *w, const ft_dataset *ds, const ft_pack_options *o, ft_pack_told *told,
                      void *ctx) {
    ft_resizer r = {0};
    ft_err e = FT_OK;
    for (int32_t i = 0; i < ds->n && e == FT_OK; i++) {
        uint8_t *p = NULL;
        size_t n = 0;
        e = o->decoded ? pixels_as_file(ds, i, o, &r, &p, &n) : ft_dataset_bytes(ds, i, &p, &n);
        const char *why = e == FT_E_DATA ? ft_err_message() : NULL;
        if (e == FT_OK) e = add_image(w, ds, i, p, n);
        free(p);
        if (why) e = FT_OK;
        if (e == FT_OK && told) told(ctx, i + 1, why);
    }
    ft_resizer_free(&r);
    if (e == FT_OK && w->n == 0)
        e = ft_err_set(FT_E_DATA, "%s: none of the %d images is good", w->path, ds->n);
    w->offset[w->n] = w->total;
    return e == FT_OK ? flush(w) : e;
}

/* Also into the tables' checksum; every machine that Facet runs on is little-endian. */
static ft_err write_array(const writer *w, const char *name, hid_t stored, hid_t type, int64_t n,
                          const void *p) {
    hsize_t dims = (hsize_t)n;
    XXH3_64bits_update(w->tables, p, (size_t)n * H5Tget_size(type));
    hid_t space = H5Screate_simple(1, &dims, NULL);
    hid_t set = H5Dcreate2(w->file, name, stored, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    bool ok = set >= 0 && H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, p) >= 0;
    if (set >= 0) H5Dclose(set);
    H5Sclose(space);
    return ok ? FT_OK : refused(w, name);
}

static ft_err write_number(const writer *w, const char *name, hid_t stored, hid_t type, const void *p) {
    hid_t scalar = H5Screate(H5S_SCALAR);
    hid_t attribute = H5Acreate2(w->file, name, stored, scalar, H5P_DEFAULT, H5P_DEFAULT);
    bool ok = attribute >= 0 && H5Awrite(attribute, type, p) >= 0;
    if (attribute >= 0) H5Aclose(attribute);
    H5Sclose(scalar);
    return ok ? FT_OK : refused(w, name);
}

static ft_err write_tables(const writer *w, const ft_dataset *ds) {
    ft_texts classes = {0};
    size_t at;
    ft_err e = FT_OK;
    for (int32_t k = 0; k < ds->n_classes && e == FT_OK; k++)
        e = ft_texts_add(&classes, ds->class_names[k], &at);
    if (e == FT_OK) e = write_array(w, "offset", H5T_STD_I64LE, H5T_NATIVE_INT64, w->n + 1, w->offset);
    if (e == FT_OK) e = write_array(w, "checksum", H5T_STD_U64LE, H5T_NATIVE_UINT64, w->n, w->checksum);
    if (e == FT_OK) e = write_array(w, "label", H5T_STD_I32LE, H5T_NATIVE_INT32, w->n, w->label);
    if (e == FT_OK) e = write_array(w, "group", H5T_STD_I32LE, H5T_NATIVE_INT32, w->n, w->group);
    if (e == FT_OK) e = write_array(w, "fixed", H5T_STD_U8LE, H5T_NATIVE_UINT8, w->n, w->fixed);
    if (e == FT_OK)
        e = write_array(w, "names", H5T_STD_U8LE, H5T_NATIVE_UINT8, (int64_t)w->names.n, w->names.p);
    if (e == FT_OK)
        e = write_array(w, "classes", H5T_STD_U8LE, H5T_NATIVE_UINT8, (int64_t)classes.n, classes.p);
    free(classes.p);
    uint64_t hash = XXH3_64bits_digest(w->tables);
    if (e == FT_OK) e = write_number(w, FT_PACK_TABLES, H5T_STD_U64LE, H5T_NATIVE_UINT64, &hash);
    return e;
}

static ft_err open_file(writer *w, const char *path) {
    w->file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    if (w->file < 0) return refused(w, "the file");
    hsize_t none = 0, endless = H5S_UNLIMITED, chunk = CHUNK;
    hid_t space = H5Screate_simple(1, &none, &endless), how = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(how, 1, &chunk);
    w->bytes = H5Dcreate2(w->file, "bytes", H5T_STD_U8LE, space, H5P_DEFAULT, how, H5P_DEFAULT);
    H5Pclose(how);
    H5Sclose(space);
    if (w->bytes < 0) return refused(w, "the file");
    int64_t version = FT_PACK_VERSION;
    return write_number(w, FT_PACK_ATTRIBUTE, H5T_STD_I64LE, H5T_NATIVE_INT64, &version);
}

static ft_err close_file(writer *w, ft_err e) {
    bool ok = (w->bytes < 0 || H5Dclose(w->bytes) >= 0);
    ok = (w->file < 0 || H5Fclose(w->file) >= 0) && ok;
    return e == FT_OK && !ok ? refused(w, "the file") : e;
}

static ft_err allocate(writer *w, int32_t n) {
    size_t m = (size_t)n;
    w->buffer = malloc(CHUNK);
    w->offset = ft_alloc(m + 1, sizeof *w->offset);
    w->checksum = ft_alloc(m, sizeof *w->checksum);
    w->label = ft_alloc(m, sizeof *w->label);
    w->group = ft_alloc(m, sizeof *w->group);
    w->fixed = ft_alloc(m, sizeof *w->fixed);
    w->tables = XXH3_createState();
    if (w->tables) XXH3_64bits_reset(w->tables);
    FT_REQUIRE(w->tables && w->buffer && w->offset && w->checksum && w->label && w->group && w->fixed, MEMORY,
               "%s: no memory to pack %d images", w->path, n);
    return FT_OK;
}

ft_err ft_pack_write(const ft_dataset *ds, const ft_pack_options *o, const char *path, ft_pack_told *told,
                     void *ctx, int32_t *n_packed) {
    writer w = {.path = path, .file = -1, .bytes = -1};
    ft_atomic_file a;
    FT_TRY(ft_hdf5_start());
    FT_TRY(ft_atomic_begin(&a, path));
    ft_err e = allocate(&w, ds->n);
    if (e == FT_OK) e = open_file(&w, a.temp);
    if (e == FT_OK) e = add_all(&w, ds, o, told, ctx);
    if (e == FT_OK) e = write_tables(&w, ds);
    e = close_file(&w, e);
    if (e == FT_OK)
        e = ft_atomic_commit(&a);
    else
        ft_atomic_abort(&a);
    *n_packed = w.n;
    free(w.buffer);
    free(w.offset);
    free(w.checksum);
    free(w.label);
    free(w.group);
    free(w.fixed);
    free(w.names.p);
    XXH3_freeState(w.tables);
    return e;
}

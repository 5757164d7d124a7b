/* The child's part of an index: walks an HDF5 file and says what is in it. */
#include "data/hdf5_index.h"
#include "data/hdf5_start.h"
#include "tensor/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_DEPTH = 16,
    MAX_OBJECTS = 1 << 18,    /* a file may link a group into itself */
    MAX_ATTRIBUTE = 1 << 24,  /* bytes */
    MAX_ATTRIBUTES = 1 << 12, /* of an object */
};

typedef struct scan {
    hid_t file;
    const char *path;
    ft_err kind;
    int64_t size;
    FILE *out;
    char name[FT_H5_NAME]; /* of the object under way */
    int depth, objects;
    ft_err error;
} scan;

/* HDF5 passes over some requests for memory that failed. errno: since the object under way began. */
static ft_err check_memory(const scan *s) {
    FT_REQUIRE(errno != ENOMEM, MEMORY, "no memory to read '%s'", s->path);
    return FT_OK;
}

/* Failure of HDF5's last call, in its own words. */
static ft_err failed(const scan *s, const char *what, const char *name) {
    FT_TRY(check_memory(s));
    return ft_err_set(s->kind, "'%s': cannot read %s '%s' (%s); the file is damaged: use another copy of it",
                      s->path, what, *name ? name : "/", ft_hdf5_reason());
}

static ft_h5_type type_of(hid_t type) {
    if (H5Tget_class(type) == H5T_STRING) return H5Tis_variable_str(type) == 0 ? FT_H5_TEXT : FT_H5_OTHER;
    const struct {
        hid_t hdf5;
        ft_h5_type is;
    } known[] = {{H5T_IEEE_F32LE, FT_H5_F32}, {H5T_IEEE_F64LE, FT_H5_F64}, {H5T_STD_I32LE, FT_H5_I32},
                 {H5T_STD_I64LE, FT_H5_I64},  {H5T_STD_U8LE, FT_H5_U8},    {H5T_STD_U64LE, FT_H5_U64}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (H5Tequal(type, known[i].hdf5) > 0) return known[i].is;
    return FT_H5_OTHER;
}

/* ---- attributes ---- */

static ft_err put_contents(scan *s, hid_t attribute, hid_t type, const char *name, int64_t n) {
    size_t item = H5Tget_size(type), bytes = (size_t)n * item;
    ft_wire_put(s->out, (int64_t)item);
    void *p = calloc(1, bytes + 1);
    FT_REQUIRE(p, MEMORY, "no memory for the attribute '%s' of '%s'", name, s->path);
    ft_err e = n > 0 && H5Aread(attribute, type, p) < 0 ? failed(s, "the attribute", name) : FT_OK;
    ft_wire_put_bytes(s->out, p, bytes);
    free(p);
    return e;
}

static ft_err put_attribute(scan *s, hid_t attribute) {
    char name[FT_H5_NAME];
    hid_t type = H5Aget_type(attribute), space = H5Aget_space(attribute);
    ssize_t length = H5Aget_name(attribute, sizeof name, name);
    int64_t n = H5Sget_simple_extent_type(space) == H5S_NULL ? 0 : H5Sget_simple_extent_npoints(space);
    ft_err e = FT_OK;
    if (type < 0 || space < 0 || length <= 0 || length >= (ssize_t)sizeof name || n < 0) {
        e = failed(s, "an attribute of", s->name);
    } else {
        size_t item = H5Tget_size(type);
        ft_h5_type is = item == 0 || n > MAX_ATTRIBUTE / (int64_t)item ? FT_H5_OTHER : type_of(type);
        ft_wire_put_text(s->out, name);
        ft_wire_put(s->out, is);
        ft_wire_put(s->out, n);
        if (is != FT_H5_OTHER) e = put_contents(s, attribute, type, name, n);
    }
    ft_hdf5_drop(type);
    ft_hdf5_drop(space);
    return e;
}

static ft_err put_attributes(scan *s, hid_t object) {
    H5O_info_t info;
    if (H5Oget_info2(object, &info, H5O_INFO_NUM_ATTRS) < 0) return failed(s, "the object", s->name);
    if (info.num_attrs > MAX_ATTRIBUTES)
        return ft_err_set(s->kind, "'%s': '%s' has more than %d attributes", s->path, s->name,
                          MAX_ATTRIBUTES);
    ft_wire_put(s->out, (int64_t)info.num_attrs);
    for (hsize_t i = 0; i < info.num_attrs; i++) {
        hid_t a = H5Aopen_by_idx(object, ".", H5_INDEX_NAME, H5_ITER_INC, i, H5P_DEFAULT, H5P_DEFAULT);
        if (a < 0) return failed(s, "an attribute of", s->name);
        ft_err e = put_attribute(s, a);
        H5Aclose(a);
        FT_TRY(e);
    }
    return FT_OK;
}

/* ---- datasets ---- */

/* Where chunk k is, of that many bytes; false: it is not there, or not as it is in memory. */
static bool find_chunk(hid_t d, hsize_t k, hsize_t chunk, hsize_t bytes, haddr_t *at) {
    hsize_t first = k * chunk, size = 0;
    unsigned mask = 1;
    *at = HADDR_UNDEF;
    return H5Dget_chunk_info_by_coord(d, &first, &mask, at, &size) >= 0 && mask == 0 && *at != HADDR_UNDEF &&
           size == bytes;
}

/* Items in a chunk of a one-dimensional dataset of n whose every chunk is there; else 0. */
static hsize_t whole_chunks(const scan *s, hid_t d, hid_t how, hsize_t n, size_t item) {
    hsize_t chunk = 0;
    haddr_t at;
    if (H5Pget_chunk(how, 1, &chunk) != 1 || chunk == 0 || item == 0 || chunk > (hsize_t)s->size / item)
        return 0;
    hsize_t pieces = n / chunk + (n % chunk > 0);
    if (pieces > (hsize_t)s->size / (chunk * item)) return 0;
    for (hsize_t k = 0; k < pieces; k++)
        if (!find_chunk(d, k, chunk, chunk * item, &at)) return 0;
    return chunk;
}

static void put_piece(scan *s, haddr_t at, hsize_t bytes) {
    ft_wire_put(s->out, (int64_t)at);
    ft_wire_put(s->out, (int64_t)bytes);
}

/* Chunk size, number of pieces, and the pieces. */
static void put_places(scan *s, hid_t d, int rank, hsize_t n, size_t item) {
    hid_t how = H5Dget_create_plist(d);
    H5D_layout_t layout = H5Pget_layout(how);
    bool as_is = H5Pget_external_count(how) == 0 && H5Pget_nfilters(how) == 0;
    hsize_t stored = H5Dget_storage_size(d), pieces, chunk = 0;
    haddr_t at = layout == H5D_CONTIGUOUS && as_is && stored > 0 ? H5Dget_offset(d) : HADDR_UNDEF;
    if (layout == H5D_CHUNKED && as_is && rank == 1) chunk = whole_chunks(s, d, how, n, item);
    pieces = chunk ? n / chunk + (n % chunk > 0) : at != HADDR_UNDEF;
    ft_wire_put(s->out, (int64_t)chunk);
    ft_wire_put(s->out, (int64_t)pieces);
    for (hsize_t k = 0; k < pieces; k++)
        if (!chunk)
            put_piece(s, at, stored);
        else if (find_chunk(d, k, chunk, chunk * item, &at))
            put_piece(s, at, chunk * item);
    ft_hdf5_drop(how);
}

static ft_err put_dataset(scan *s, hid_t d) {
    hsize_t dims[H5S_MAX_RANK] = {0};
    hid_t type = H5Dget_type(d), space = H5Dget_space(d);
    int rank =
        space < 0 || H5Sget_simple_extent_type(space) == H5S_NULL ? -1 : H5Sget_simple_extent_ndims(space);
    if (rank > FT_H5_RANK || (rank >= 0 && H5Sget_simple_extent_dims(space, dims, NULL) < 0)) rank = -1;
    for (int i = 0; i < rank; i++)
        if (dims[i] > INT64_MAX) rank = -1;
    ft_err e = type < 0 || space < 0 ? failed(s, "the dataset", s->name) : FT_OK;
    if (e == FT_OK) {
        size_t item = H5Tget_size(type);
        ft_wire_put(s->out, type_of(type));
        ft_wire_put(s->out, (int64_t)item);
        ft_wire_put(s->out, rank);
        for (int i = 0; i < rank; i++) ft_wire_put(s->out, (int64_t)dims[i]);
        put_places(s, d, rank, dims[0], item);
    }
    ft_hdf5_drop(type);
    ft_hdf5_drop(space);
    return e;
}

/* ---- groups ---- */

static herr_t visit(hid_t group, const char *name, const H5L_info_t *info, void *ctx);

static ft_err put_group(scan *s, hid_t group) {
    if (++s->depth > MAX_DEPTH)
        return ft_err_set(s->kind, "'%s': groups are nested too deeply at '%s'", s->path, s->name);
    herr_t status = H5Literate(group, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, visit, s);
    s->depth--;
    if (status >= 0) return FT_OK;
    return s->error != FT_OK ? s->error : failed(s, "the group", s->name);
}

static ft_err put_object(scan *s, hid_t object) {
    H5I_type_t type = H5Iget_type(object);
    if (type != H5I_GROUP && type != H5I_DATASET)
        return ft_err_set(s->kind, "'%s': '%s' is neither group nor dataset", s->path, s->name);
    if (++s->objects > MAX_OBJECTS)
        return ft_err_set(s->kind, "'%s' has more than %d objects", s->path, MAX_OBJECTS);
    ft_wire_put_text(s->out, *s->name ? s->name : "/");
    ft_wire_put(s->out, type == H5I_DATASET);
    errno = 0;
    FT_TRY(put_attributes(s, object));
    if (type == H5I_DATASET) FT_TRY(put_dataset(s, object));
    FT_TRY(check_memory(s));
    return type == H5I_DATASET ? FT_OK : put_group(s, object);
}

static ft_err put_link(scan *s, hid_t group, const char *name, const H5L_info_t *info) {
    if (info->type != H5L_TYPE_HARD)
        return ft_err_set(s->kind, "'%s': '%s' is a link to somewhere else, which such files do not have",
                          s->path, s->name);
    hid_t object = H5Oopen(group, name, H5P_DEFAULT);
    if (object < 0) return failed(s, "the object", s->name);
    ft_err e = put_object(s, object);
    H5Oclose(object);
    return e;
}

static herr_t visit(hid_t group, const char *name, const H5L_info_t *info, void *ctx) {
    scan *s = ctx;
    size_t len = strlen(s->name), room = sizeof s->name - len;
    if (snprintf(s->name + len, room, "%s%s", len ? "/" : "", name) >= (int)room)
        s->error = ft_err_set(s->kind, "'%s': the name '%.60s...' is too long", s->path, name);
    else
        s->error = put_link(s, group, name, info);
    s->name[len] = 0;
    return s->error == FT_OK ? 0 : -1;
}

ft_err ft_h5_scan(const void *bytes, int64_t size, const char *path, ft_err kind, FILE *out) {
    scan s = {.path = path, .kind = kind, .size = size, .out = out};
    FT_TRY(ft_hdf5_start());
    errno = 0;
    s.file = ft_hdf5_open_image(bytes, (size_t)size);
    if (s.file < 0)
        s.file = ft_hdf5_open_image(bytes, (size_t)size); /* memory may have been short for a moment */
    if (s.file < 0) FT_TRY(check_memory(&s));
    if (s.file < 0) return ft_err_set(kind, "'%s' is not an HDF5 file, or its start is damaged", path);
    hid_t root = H5Gopen2(s.file, "/", H5P_DEFAULT);
    ft_err e = root < 0 ? failed(&s, "the group", "/") : put_object(&s, root);
    ft_wire_put_text(out, NULL); /* the end */
    ft_hdf5_drop(root);
    H5Fclose(s.file);
    return e;
}

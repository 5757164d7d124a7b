/* A packed data set (data/pack_layout.h). The file's index tells where the chunks of the images lie, which
 * are then read without HDF5. Each image's checksum is verified when it is read.
 */
#include "data/dataset_kind.h"
#include "data/hdf5_index.h"
#include "data/pack_layout.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include <xxhash.h>

enum { MAX_CLASSES = 65536 };

typedef struct packed {
    ft_dataset base;
    char *path;
    int fd;            /* -1: not open */
    int64_t *chunk_at; /* where in the file each chunk of the images lies */
    int64_t chunk;     /* bytes in a chunk */
    int64_t *offset;   /* (n + 1) */
    uint64_t *checksum;
    int32_t *labels, *groups;
    uint8_t *fixed;
    char *names, *classes;
    int64_t *name; /* (n): offsets in names */
} packed;

static int32_t packed_label(const ft_dataset *ds, int32_t i) {
    return ((const packed *)ds)->labels[i];
}
static int32_t packed_group(const ft_dataset *ds, int32_t i) {
    return ((const packed *)ds)->groups[i];
}
static ft_fixed packed_fixed(const ft_dataset *ds, int32_t i) {
    return (ft_fixed)((const packed *)ds)->fixed[i];
}
static void packed_name(const ft_dataset *ds, int32_t i, char *buffer, size_t bytes) {
    const packed *d = (const packed *)ds;
    snprintf(buffer, bytes, "%s", d->names + d->name[i]);
}
static ft_err packed_content(const ft_dataset *ds, int32_t i, uint64_t *hash) {
    *hash = ((const packed *)ds)->checksum[i];
    return FT_OK;
}

static bool read_fully(int fd, uint8_t *p, size_t n, int64_t at) {
    while (n > 0) {
        ssize_t got = pread(fd, p, n, at);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        p += got;
        at += got;
        n -= (size_t)got;
    }
    return true;
}

static ft_err packed_bytes(const ft_dataset *ds, int32_t i, uint8_t **bytes, size_t *n) {
    const packed *d = (const packed *)ds;
    const char *name = d->names + d->name[i];
    *n = (size_t)(d->offset[i + 1] - d->offset[i]);
    uint8_t *p = malloc(*n ? *n : 1);
    FT_REQUIRE(p, MEMORY, "%s: no memory to read %zu bytes", d->path, *n);
    bool ok = true;
    for (int64_t at = d->offset[i], to = d->offset[i + 1]; ok && at < to;) {
        int64_t in_chunk = at % d->chunk,
                part = d->chunk - in_chunk < to - at ? d->chunk - in_chunk : to - at;
        ok = read_fully(d->fd, p + (at - d->offset[i]), (size_t)part, d->chunk_at[at / d->chunk] + in_chunk);
        at += part;
    }
    if (ok && XXH3_64bits(p, *n) == d->checksum[i]) {
        *bytes = p;
        return FT_OK;
    }
    free(p);
    FT_REQUIRE(ok, IO, "%s: %s: cannot be read: %s", d->path, name, strerror(errno));
    FT_FAIL(DATA, "%s: %s: its checksum is wrong: the file is damaged, pack it again", d->path, name);
}

static ft_err packed_read(const ft_dataset *ds, int32_t i, ft_image_want want, ft_image *out) {
    const packed *d = (const packed *)ds;
    uint8_t *p;
    size_t n;
    *out = (ft_image){0};
    FT_TRY(packed_bytes(ds, i, &p, &n));
    ft_err e = ft_image_decode(p, n, d->names + d->name[i], want, out);
    free(p);
    return e;
}

static void packed_free(ft_dataset *ds) {
    packed *d = (packed *)ds;
    if (d->fd >= 0) close(d->fd);
    free(d->chunk_at);
    free(ds->class_names); /* its texts are in classes */
    free(d->path);
    free(d->offset);
    free(d->checksum);
    free(d->labels);
    free(d->groups);
    free(d->fixed);
    free(d->names);
    free(d->classes);
    free(d->name);
    free(d);
}

static const ft_dataset_ops packed_ops = {.kind = "packed",
                                          .label = packed_label,
                                          .group = packed_group,
                                          .fixed = packed_fixed,
                                          .name = packed_name,
                                          .read = packed_read,
                                          .bytes = packed_bytes,
                                          .content = packed_content,
                                          .free = packed_free};

/* ---- opening ---- */

static ft_err damaged(const packed *d, const char *what) {
    FT_FAIL(DATA, "%s: the packed data set is damaged (%s): pack it again", d->path, what);
}

/* A one-dimensional dataset of that type, of n numbers or, with n < 0, of as many as there are, *n
 * afterwards. */
static ft_err read_array(const packed *d, const ft_h5_index *x, const char *name, ft_h5_type type, int64_t *n,
                         void **out) {
    const ft_h5_object *set = ft_h5_find(x, name);
    if (!set || !set->dataset || set->type != type || set->rank != 1 || !ft_h5_is_plain(set) ||
        (*n >= 0 && set->dims[0] != *n))
        return damaged(d, name);
    *n = set->dims[0];
    *out = ft_alloc((size_t)*n + 1, (size_t)set->item); /* a zero more: texts end there */
    FT_REQUIRE(*out, MEMORY, "%s: no memory to open it", d->path);
    return ft_h5_read(x, set, *out);
}

static ft_err check_version(const packed *d, const ft_h5_index *x) {
    int64_t version = 0;
    FT_REQUIRE(ft_h5_has_attribute(x, "/", FT_PACK_ATTRIBUTE), DATA,
               "%s: no packed data set; ft-data pack makes one", d->path);
    FT_TRY(ft_h5_get_numbers(x, "/", FT_PACK_ATTRIBUTE, FT_H5_I64, 1, &version));
    FT_REQUIRE(version == FT_PACK_VERSION, DATA, "%s: a packed data set of version %lld; this Facet reads %d",
               d->path, (long long)version, FT_PACK_VERSION);
    return FT_OK;
}

/* Of everything but the images. */
static ft_err check_tables(const packed *d, const ft_h5_index *x, int64_t n_names, int64_t n_classes) {
    size_t n = (size_t)d->base.n;
    const struct {
        const void *p;
        size_t bytes;
    } parts[] = {{d->offset, (n + 1) * 8},
                 {d->checksum, n * 8},
                 {d->labels, n * 4},
                 {d->groups, n * 4},
                 {d->fixed, n},
                 {d->names, (size_t)n_names},
                 {d->classes, (size_t)n_classes}};
    uint64_t wanted = 0;
    FT_TRY(ft_h5_get_numbers(x, "/", FT_PACK_TABLES, FT_H5_U64, 1, &wanted));
    XXH3_state_t *state = XXH3_createState();
    FT_REQUIRE(state, MEMORY, "%s: no memory to open it", d->path);
    XXH3_64bits_reset(state);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        XXH3_64bits_update(state, parts[i].p, parts[i].bytes);
    bool same = XXH3_64bits_digest(state) == wanted;
    XXH3_freeState(state);
    return same ? FT_OK : damaged(d, "checksum of its tables");
}

/* Where the chunks of the images are; all are whole. */
static ft_err find_chunks(packed *d, const ft_h5_index *x, int64_t *total) {
    const ft_h5_object *set = ft_h5_find(x, "bytes");
    if (!set || !set->dataset || set->type != FT_H5_U8 || set->rank != 1 || set->dims[0] > x->size ||
        set->chunk < 1 || set->chunk > 1 << 30)
        return damaged(d, "bytes");
    *total = set->dims[0];
    d->chunk = set->chunk;
    if (set->n_pieces != (*total + d->chunk - 1) / d->chunk) return damaged(d, "bytes");
    d->chunk_at = ft_alloc((size_t)set->n_pieces, sizeof *d->chunk_at);
    FT_REQUIRE(d->chunk_at, MEMORY, "%s: no memory to open it", d->path);
    for (int64_t k = 0; k < set->n_pieces; k++) {
        if (set->piece[k].bytes != d->chunk) return damaged(d, "bytes");
        d->chunk_at[k] = set->piece[k].at;
    }
    return FT_OK;
}

static ft_err find_classes(packed *d, int64_t n_text) {
    ft_dataset *ds = &d->base;
    for (int64_t i = 0; i < n_text; i++)
        ds->n_classes += d->classes[i] == '\0' && ds->n_classes <= MAX_CLASSES;
    if (n_text == 0 || d->classes[n_text - 1] != '\0' || ds->n_classes > MAX_CLASSES) {
        ds->n_classes = 0;
        return damaged(d, "classes");
    }
    ds->class_names = ft_alloc((size_t)ds->n_classes, sizeof *ds->class_names);
    FT_REQUIRE(ds->class_names, MEMORY, "%s: no memory for class names", d->path);
    char *p = d->classes;
    for (int32_t k = 0; k < ds->n_classes; k++, p += strlen(p) + 1) ds->class_names[k] = p;
    return FT_OK;
}

static ft_err find_names(packed *d, int64_t n_text) {
    d->name = ft_alloc((size_t)d->base.n, sizeof *d->name);
    FT_REQUIRE(d->name, MEMORY, "%s: no memory for names", d->path);
    int64_t at = 0;
    for (int32_t i = 0; i < d->base.n; i++) {
        if (at >= n_text) return damaged(d, "names");
        d->name[i] = at;
        at += (int64_t)strlen(d->names + at) + 1;
    }
    return at == n_text ? FT_OK : damaged(d, "names");
}

static ft_err check_samples(packed *d, int64_t total) {
    ft_dataset *ds = &d->base;
    if (d->offset[0] != 0 || d->offset[ds->n] != total) return damaged(d, "offset");
    ds->fingerprint = FT_HASH_START;
    for (int32_t k = 0; k < ds->n_classes; k++)
        ds->fingerprint = ft_hash_text(ds->fingerprint, ds->class_names[k]);
    for (int32_t i = 0; i < ds->n; i++) {
        int64_t bytes = d->offset[i + 1] - d->offset[i];
        if (d->offset[i + 1] < d->offset[i]) return damaged(d, "offset");
        if (d->labels[i] < 0 || d->labels[i] >= ds->n_classes) return damaged(d, "label");
        if (d->groups[i] < -1 || d->groups[i] >= INT32_MAX - 1) return damaged(d, "group");
        if (d->fixed[i] > FT_FIXED_TEST) return damaged(d, "fixed");
        if (d->groups[i] >= ds->n_groups) ds->n_groups = d->groups[i] + 1;
        ds->fingerprint = ft_hash_text(ds->fingerprint, d->names + d->name[i]);
        ds->fingerprint =
            ft_hash_number(ft_hash_number(ds->fingerprint, (uint64_t)bytes), (uint64_t)d->labels[i]);
        if (d->groups[i] >= 0) ds->fingerprint = ft_hash_number(ds->fingerprint, (uint64_t)d->groups[i]);
        if (d->fixed[i]) ds->fingerprint = ft_hash_number(ds->fingerprint, d->fixed[i]);
    }
    return ds->n_groups > ds->n ? damaged(d, "group") : FT_OK;
}

static ft_err read_tables(packed *d, const ft_h5_index *x) {
    int64_t total = 0, n = -1, n_names = -1, n_classes = -1;
    FT_TRY(check_version(d, x));
    FT_TRY(find_chunks(d, x, &total));
    FT_TRY(read_array(d, x, "label", FT_H5_I32, &n, (void **)&d->labels));
    FT_REQUIRE(n > 0 && n < INT32_MAX, DATA, "%s: the packed data set holds %lld images", d->path,
               (long long)n);
    d->base.n = (int32_t)n;
    int64_t ends = n + 1;
    FT_TRY(read_array(d, x, "offset", FT_H5_I64, &ends, (void **)&d->offset));
    FT_TRY(read_array(d, x, "checksum", FT_H5_U64, &n, (void **)&d->checksum));
    FT_TRY(read_array(d, x, "group", FT_H5_I32, &n, (void **)&d->groups));
    FT_TRY(read_array(d, x, "fixed", FT_H5_U8, &n, (void **)&d->fixed));
    FT_TRY(read_array(d, x, "names", FT_H5_U8, &n_names, (void **)&d->names));
    FT_TRY(read_array(d, x, "classes", FT_H5_U8, &n_classes, (void **)&d->classes));
    FT_TRY(check_tables(d, x, n_names, n_classes));
    FT_TRY(find_classes(d, n_classes));
    FT_TRY(find_names(d, n_names));
    return check_samples(d, total);
}

static ft_err fill(packed *d, const char *path) {
    ft_h5_index *x;
    d->path = strdup(path);
    FT_REQUIRE(d->path, MEMORY, "%s: no memory to open the data", path);
    FT_TRY(ft_h5_open(path, FT_E_DATA, &x));
    ft_err e = read_tables(d, x);
    d->fd = x->fd; /* the images are read from it */
    x->fd = -1;
    ft_h5_close(x);
    return e;
}

bool ft_dataset_is_packed(const char *path) {
    const char *dot = strrchr(path, '.');
    return dot && (strcasecmp(dot, ".h5") == 0 || strcasecmp(dot, ".hdf5") == 0);
}

ft_err ft_dataset_open_packed(const char *path, ft_dataset **ds) {
    *ds = NULL;
    packed *d = calloc(1, sizeof *d);
    FT_REQUIRE(d, MEMORY, "%s: no memory to open the data", path);
    d->base.ops = &packed_ops;
    d->fd = -1;
    ft_err e = fill(d, path);
    if (e != FT_OK)
        packed_free(&d->base);
    else
        *ds = &d->base;
    return e;
}

/* A packed data set (data/pack_layout.h). HDF5 is not thread-safe, so it is used while the data set is opened
 * alone: it tells where in the file the chunks of the images lie, which are then read without it. Each
 * image's checksum is verified when it is read.
 */
#include "data/dataset_kind.h"
#include "data/hdf5_start.h"
#include "data/pack_layout.h"

#include <errno.h>
#include <fcntl.h>
#include <hdf5.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
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

/* Dimension of a one-dimensional dataset of numbers of such a size, or -1. */
static int64_t length_of(hid_t set, size_t size) {
    hid_t space = H5Dget_space(set), type = H5Dget_type(set);
    hsize_t dims = 0;
    bool ok = H5Sget_simple_extent_ndims(space) == 1 && H5Sget_simple_extent_dims(space, &dims, NULL) == 1 &&
              H5Tget_class(type) == H5T_INTEGER && H5Tget_size(type) == size && dims <= INT64_MAX / 16;
    H5Sclose(space);
    H5Tclose(type);
    return ok ? (int64_t)dims : -1;
}

/* Reads `name`, of n numbers or, with n < 0, of as many as there are, *n afterwards. */
static ft_err read_array(const packed *d, hid_t file, const char *name, hid_t type, size_t size, int64_t *n,
                         void **out) {
    hid_t set = H5Dopen2(file, name, H5P_DEFAULT);
    if (set < 0) return damaged(d, name);
    int64_t there = length_of(set, size), room = (int64_t)H5Dget_storage_size(set);
    ft_err e = FT_OK;
    if (there < 0 || (*n >= 0 && there != *n) || there > room / (int64_t)size)
        e = damaged(d, name);
    else if (!(*out = ft_alloc((size_t)there + 1, size))) /* a zero more: texts end there */
        e = ft_err_set(FT_E_MEMORY, "%s: no memory to open it", d->path);
    else if (there > 0 && H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, *out) < 0)
        e = damaged(d, name);
    if (e == FT_OK) *n = there;
    H5Dclose(set);
    return e;
}

static bool read_number(hid_t file, const char *name, hid_t type, void *p) {
    hid_t attribute = H5Aopen(file, name, H5P_DEFAULT);
    bool ok = attribute >= 0 && H5Aread(attribute, type, p) >= 0;
    if (attribute >= 0) H5Aclose(attribute);
    return ok;
}

static ft_err check_version(const packed *d, hid_t file) {
    int64_t version = 0;
    FT_REQUIRE(read_number(file, FT_PACK_ATTRIBUTE, H5T_NATIVE_INT64, &version), DATA,
               "%s: no packed data set; ft-data pack makes one", d->path);
    FT_REQUIRE(version == FT_PACK_VERSION, DATA, "%s: a packed data set of version %lld; this Facet reads %d",
               d->path, (long long)version, FT_PACK_VERSION);
    return FT_OK;
}

/* Of everything but the images. */
static ft_err check_tables(const packed *d, hid_t file, int64_t n_names, int64_t n_classes) {
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
    XXH3_state_t *state = XXH3_createState();
    FT_REQUIRE(state, MEMORY, "%s: no memory to open it", d->path);
    XXH3_64bits_reset(state);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        XXH3_64bits_update(state, parts[i].p, parts[i].bytes);
    bool same =
        read_number(file, FT_PACK_TABLES, H5T_NATIVE_UINT64, &wanted) && XXH3_64bits_digest(state) == wanted;
    XXH3_freeState(state);
    return same ? FT_OK : damaged(d, "checksum of its tables");
}

/* Where the chunks of an open dataset are; all must be whole, as they are in memory, and inside the file. */
static ft_err find_chunks_of(packed *d, hid_t set, int64_t *total) {
    hid_t how = H5Dget_create_plist(set);
    hsize_t chunk = 0;
    bool plain = H5Pget_layout(how) == H5D_CHUNKED && H5Pget_nfilters(how) == 0 &&
                 H5Pget_chunk(how, 1, &chunk) == 1 && chunk > 0 && chunk <= 1 << 30;
    H5Pclose(how);
    *total = length_of(set, 1);
    struct stat st;
    if (!plain || *total < 0 || fstat(d->fd, &st) != 0 || *total > st.st_size) return damaged(d, "bytes");
    d->chunk = (int64_t)chunk;
    int64_t n = (*total + d->chunk - 1) / d->chunk;
    d->chunk_at = ft_alloc((size_t)n, sizeof *d->chunk_at);
    FT_REQUIRE(d->chunk_at, MEMORY, "%s: no memory to open it", d->path);
    for (int64_t k = 0; k < n; k++) {
        hsize_t first = (hsize_t)(k * d->chunk), size = 0;
        haddr_t at = HADDR_UNDEF;
        unsigned mask = 1;
        if (H5Dget_chunk_info_by_coord(set, &first, &mask, &at, &size) < 0 || mask != 0 ||
            at == HADDR_UNDEF || size != chunk || at > (haddr_t)(st.st_size - d->chunk))
            return damaged(d, "bytes");
        d->chunk_at[k] = (int64_t)at;
    }
    return FT_OK;
}

static ft_err find_chunks(packed *d, hid_t file, int64_t *total) {
    hid_t set = H5Dopen2(file, "bytes", H5P_DEFAULT);
    if (set < 0) return damaged(d, "bytes");
    ft_err e = find_chunks_of(d, set, total);
    H5Dclose(set);
    return e;
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

static ft_err read_tables(packed *d, hid_t file) {
    int64_t total = 0, n = -1, n_names = -1, n_classes = -1;
    FT_TRY(check_version(d, file));
    FT_TRY(find_chunks(d, file, &total));
    FT_TRY(read_array(d, file, "label", H5T_NATIVE_INT32, 4, &n, (void **)&d->labels));
    FT_REQUIRE(n > 0 && n < INT32_MAX, DATA, "%s: the packed data set holds %lld images", d->path,
               (long long)n);
    d->base.n = (int32_t)n;
    int64_t ends = n + 1;
    FT_TRY(read_array(d, file, "offset", H5T_NATIVE_INT64, 8, &ends, (void **)&d->offset));
    FT_TRY(read_array(d, file, "checksum", H5T_NATIVE_UINT64, 8, &n, (void **)&d->checksum));
    FT_TRY(read_array(d, file, "group", H5T_NATIVE_INT32, 4, &n, (void **)&d->groups));
    FT_TRY(read_array(d, file, "fixed", H5T_NATIVE_UINT8, 1, &n, (void **)&d->fixed));
    FT_TRY(read_array(d, file, "names", H5T_NATIVE_UINT8, 1, &n_names, (void **)&d->names));
    FT_TRY(read_array(d, file, "classes", H5T_NATIVE_UINT8, 1, &n_classes, (void **)&d->classes));
    FT_TRY(check_tables(d, file, n_names, n_classes));
    FT_TRY(find_classes(d, n_classes));
    FT_TRY(find_names(d, n_names));
    return check_samples(d, total);
}

static ft_err fill(packed *d, const char *path) {
    d->path = strdup(path);
    FT_REQUIRE(d->path, MEMORY, "%s: no memory to open the data", path);
    d->fd = open(path, O_RDONLY | O_CLOEXEC);
    FT_REQUIRE(d->fd >= 0, IO, "%s: cannot open: %s", path, strerror(errno));
    ft_hdf5_start();
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    FT_REQUIRE(file >= 0, DATA, "%s: not an HDF5 file, or its start is damaged", path);
    ft_err e = read_tables(d, file);
    H5Fclose(file);
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

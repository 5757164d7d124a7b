#include "train/feature_store.h"
#include "train/weight_numbers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#define MAGIC "facet features 1"

typedef struct header {
    char magic[16];
    uint64_t order, key; /* order: tells the byte order */
    int64_t rows, floats, bf16;
} header;

typedef struct entry {
    uint64_t content, check; /* check 0: absent */
} entry;

struct ft_feature_store {
    ft_feature_spec spec;
    char *path;
    int fd;
    size_t row_bytes;
    entry *entries;   /* (rows) */
    char *memory;     /* (rows, row_bytes), or NULL */
    uint16_t *halves; /* a row as bf16, to convert; or NULL */
};

static header header_of(const ft_feature_spec *spec) {
    header h = {.order = 0x0102030405060708u,
                .key = spec->key,
                .rows = spec->rows,
                .floats = spec->floats,
                .bf16 = spec->bf16};
    memcpy(h.magic, MAGIC, sizeof h.magic);
    return h;
}

static off_t entry_at(int64_t row) {
    return (off_t)(sizeof(header) + (size_t)row * sizeof(entry));
}

static off_t row_at(const ft_feature_store *s, int64_t row) {
    return entry_at(s->spec.rows) + (off_t)((size_t)row * s->row_bytes);
}

/* All of n bytes at that offset, however many calls it takes. */
static bool write_all(int fd, const void *from, size_t n, off_t at) {
    for (size_t done = 0; done < n;) {
        ssize_t k = pwrite(fd, (const char *)from + done, n - done, at + (off_t)done);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return false;
        done += (size_t)k;
    }
    return true;
}

static bool read_all(int fd, void *to, size_t n, off_t at) {
    for (size_t done = 0; done < n;) {
        ssize_t k = pread(fd, (char *)to + done, n - done, at + (off_t)done);
        if (k < 0 && errno == EINTR) continue;
        if (k == 0) errno = EIO; /* the file ends too early */
        if (k <= 0) return false;
        done += (size_t)k;
    }
    return true;
}

static uint64_t check_of(const ft_feature_store *s, int64_t row, const void *bytes) {
    uint64_t check = XXH3_64bits_withSeed(bytes, s->row_bytes, s->entries[row].content + (uint64_t)row);
    return check ? check : 1;
}

/* ---- opening ---- */

/* Takes over the entries of a file for this very purpose. */
static bool take_over(ft_feature_store *s) {
    header want = header_of(&s->spec), h;
    return read_all(s->fd, &h, sizeof h, 0) && memcmp(&h, &want, sizeof h) == 0 &&
           read_all(s->fd, s->entries, (size_t)s->spec.rows * sizeof *s->entries, entry_at(0));
}

static ft_err start_anew(ft_feature_store *s) {
    header h = header_of(&s->spec);
    memset(s->entries, 0, (size_t)s->spec.rows * sizeof *s->entries);
    FT_REQUIRE(ftruncate(s->fd, 0) == 0, IO, "%s: cannot be emptied: %s", s->path, strerror(errno));
    int error = posix_fallocate(s->fd, 0, row_at(s, s->spec.rows));
    if (error == 0 && !write_all(s->fd, &h, sizeof h, 0)) error = errno;
    if (error == 0) return FT_OK;
    unlink(s->path);
    FT_FAIL(IO,
            "%s: the features of %lld images take %.0f MB: %s; make room, name another folder in "
            "train.feature_cache.path, or set train.feature_cache.use: false",
            s->path, (long long)s->spec.rows, (double)row_at(s, s->spec.rows) / 1e6, strerror(error));
}

/* Forgets rows that are not what their entries say, and brings the others into memory where they fit. */
static ft_err verify(ft_feature_store *s) {
    char *one = s->memory ? NULL : malloc(s->row_bytes);
    FT_REQUIRE(s->memory || one, MEMORY, "%s: no memory for a row", s->path);
    for (int64_t i = 0; i < s->spec.rows; i++) {
        if (!s->entries[i].check) continue;
        char *to = s->memory ? s->memory + (size_t)i * s->row_bytes : one;
        if (!read_all(s->fd, to, s->row_bytes, row_at(s, i)) || check_of(s, i, to) != s->entries[i].check)
            s->entries[i] = (entry){0};
    }
    free(one);
    return FT_OK;
}

static ft_err open_file(ft_feature_store *s) {
    size_t bytes = (size_t)s->spec.rows * s->row_bytes;
    s->entries = ft_alloc((size_t)s->spec.rows, sizeof *s->entries);
    if (s->spec.bf16) s->halves = ft_alloc((size_t)s->spec.floats, sizeof *s->halves);
    FT_REQUIRE(s->entries && (s->halves || !s->spec.bf16), MEMORY, "%s: no memory for the list of %lld rows",
               s->path, (long long)s->spec.rows);
    if ((int64_t)bytes <= s->spec.memory_bytes) {
        s->memory = malloc(bytes);
        FT_REQUIRE(s->memory, MEMORY,
                   "%s: no memory for %.0f MB of features; lower "
                   "train.feature_cache.memory_mb",
                   s->path, (double)bytes / 1e6);
    }
    s->fd = open(s->path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    FT_REQUIRE(s->fd >= 0, IO, "%s: cannot be opened: %s", s->path, strerror(errno));
    if (!take_over(s)) return start_anew(s);
    return verify(s);
}

ft_err ft_feature_store_open(const char *path, const ft_feature_spec *spec, ft_feature_store **out) {
    *out = NULL;
    ft_feature_store *s = calloc(1, sizeof *s);
    FT_REQUIRE(s, MEMORY, "%s: no memory", path);
    *s = (ft_feature_store){.spec = *spec, .fd = -1};
    s->row_bytes = (size_t)spec->floats * (spec->bf16 ? sizeof(uint16_t) : sizeof(float));
    s->path = strdup(path);
    ft_err e = s->path ? open_file(s) : ft_err_set(FT_E_MEMORY, "%s: no memory", path);
    if (e != FT_OK)
        ft_feature_store_free(s);
    else
        *out = s;
    return e;
}

void ft_feature_store_free(ft_feature_store *s) {
    if (!s) return;
    if (s->fd >= 0) close(s->fd);
    free(s->path);
    free(s->entries);
    free(s->memory);
    free(s->halves);
    free(s);
}

/* ---- rows ---- */

/* The upper half of a float, rounded to nearest, ties to even. NaN stays NaN. */
static uint16_t to_bf16(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}

bool ft_feature_store_has(const ft_feature_store *s, int64_t row, uint64_t content) {
    return s->entries[row].check && s->entries[row].content == content;
}

ft_err ft_feature_store_put(ft_feature_store *s, int64_t row, uint64_t content, const float *p) {
    const void *bytes = p;
    if (s->spec.bf16) {
        for (int64_t i = 0; i < s->spec.floats; i++) s->halves[i] = to_bf16(p[i]);
        bytes = s->halves;
    }
    entry *e = &s->entries[row];
    *e = (entry){.content = content};
    uint64_t check = check_of(s, row, bytes);
    entry made = {content, check};
    FT_REQUIRE(write_all(s->fd, e, sizeof *e, entry_at(row)) &&
                   write_all(s->fd, bytes, s->row_bytes, row_at(s, row)) &&
                   write_all(s->fd, &made, sizeof made, entry_at(row)),
               IO, "%s: cannot be written: %s", s->path, strerror(errno));
    if (s->memory) memcpy(s->memory + (size_t)row * s->row_bytes, bytes, s->row_bytes);
    e->check = check;
    return FT_OK;
}

ft_err ft_feature_store_get(const ft_feature_store *s, int64_t row, float *p) {
    void *to = s->spec.bf16 ? (void *)s->halves : p;
    FT_REQUIRE(s->entries[row].check, USAGE, "%s: row %lld is not there", s->path, (long long)row);
    if (s->memory)
        memcpy(to, s->memory + (size_t)row * s->row_bytes, s->row_bytes);
    else
        FT_REQUIRE(read_all(s->fd, to, s->row_bytes, row_at(s, row)) &&
                       check_of(s, row, to) == s->entries[row].check,
                   IO, "%s: cannot be read, or was changed; remove it and go on with --resume", s->path);
    if (s->spec.bf16) ft_numbers_to_float(FT_NUMBER_BF16, (const uint8_t *)s->halves, 1, s->spec.floats, p);
    return FT_OK;
}

bool ft_feature_store_in_memory(const ft_feature_store *s) {
    return s->memory != NULL;
}

int64_t ft_feature_store_bytes(const ft_feature_store *s) {
    return (int64_t)row_at(s, s->spec.rows);
}

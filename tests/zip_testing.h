/* Making ZIP archives byte by byte, so that every field of theirs can be wrong. */
#ifndef FACET_TESTS_ZIP_TESTING_H
#define FACET_TESTS_ZIP_TESTING_H

#include "tests/file_testing.h"
#include "train/zip_file.h"

#include <stdbool.h>
#include <stdint.h>

#include <zlib.h>

enum { ZIP_BYTES = 1 << 16, ZIP_MEMBERS = 32 };

typedef struct zip_part {
    const char *name;
    const void *p; /* (n) */
    size_t n;
    bool deflate;
    bool after; /* the sizes stand in a descriptor behind the data, as PyTorch writes them */
    bool wide;  /* the sizes and the place stand in ZIP64 fields */
} zip_part;

/* The archive, and where its records are. */
typedef struct zip_made {
    unsigned char p[ZIP_BYTES];
    size_t n;
    size_t local[ZIP_MEMBERS], data[ZIP_MEMBERS], stored[ZIP_MEMBERS], central[ZIP_MEMBERS];
    size_t directory, end64, end;
} zip_made;

/* Overwrites (or, at the end, appends) a little-endian number. */
static inline void zip_put(zip_made *z, size_t at, int width, uint64_t x) {
    if (at + (size_t)width > sizeof z->p)
        ck_abort_msg("the archive becomes too long"); /* asserted it is a system call */
    for (int i = 0; i < width; i++) z->p[at + (size_t)i] = (unsigned char)(x >> 8 * i);
    if (at + (size_t)width > z->n) z->n = at + (size_t)width;
}
static inline void zip_add(zip_made *z, int width, uint64_t x) {
    zip_put(z, z->n, width, x);
}
static inline void zip_append(zip_made *z, const void *p, size_t n) {
    if (z->n + n > sizeof z->p) ck_abort_msg("the archive becomes too long");
    if (n) memcpy(z->p + z->n, p, n);
    z->n += n;
}

static inline size_t zip_deflate(const zip_part *m, unsigned char *to, size_t room) {
    z_stream s = {0};
    ck_assert_int_eq(deflateInit2(&s, 9, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    s.next_in = (unsigned char *)m->p;
    s.avail_in = (uInt)m->n;
    s.next_out = to;
    s.avail_out = (uInt)room;
    ck_assert_int_eq(deflate(&s, Z_FINISH), Z_STREAM_END);
    size_t n = s.total_out;
    deflateEnd(&s);
    return n;
}

static inline void zip_head(zip_made *z, const zip_part *m, uint32_t crc, size_t stored, bool empty) {
    zip_add(z, 2, m->wide ? 45 : 20);
    zip_add(z, 2, 0x0800 | (m->after ? 8 : 0));
    zip_add(z, 2, m->deflate ? 8 : 0);
    zip_add(z, 4, 0);
    zip_add(z, 4, empty ? 0 : crc);
    zip_add(z, 4, empty ? 0 : m->wide ? 0xffffffff : stored);
    zip_add(z, 4, empty ? 0 : m->wide ? 0xffffffff : m->n);
    zip_add(z, 2, strlen(m->name));
}

static inline void zip_member(zip_made *z, const zip_part *m, int i) {
    unsigned char packed[1 << 14];
    size_t stored = m->deflate ? zip_deflate(m, packed, sizeof packed) : m->n;
    uint32_t crc = (uint32_t)crc32(0, m->p, (uInt)m->n);
    z->local[i] = z->n;
    zip_add(z, 4, 0x04034b50);
    zip_head(z, m, crc, stored, m->after);
    zip_add(z, 2, m->wide ? 20 : 0);
    zip_append(z, m->name, strlen(m->name));
    if (m->wide) {
        zip_add(z, 4, 1 | 16 << 16);
        zip_add(z, 8, m->n);
        zip_add(z, 8, stored);
    }
    z->data[i] = z->n;
    z->stored[i] = stored;
    zip_append(z, m->deflate ? packed : m->p, stored);
    if (!m->after) return;
    zip_add(z, 4, 0x08074b50);
    zip_add(z, 4, crc);
    zip_add(z, 4, stored);
    zip_add(z, 4, m->n);
}

static inline void zip_entry(zip_made *z, const zip_part *m, int i) {
    z->central[i] = z->n;
    zip_add(z, 4, 0x02014b50);
    zip_add(z, 2, 20);
    zip_head(z, m, (uint32_t)crc32(0, m->p, (uInt)m->n), z->stored[i], false);
    zip_add(z, 2, m->wide ? 28 + 6 : 0);
    zip_add(z, 2, 0);
    zip_add(z, 8, 0);
    zip_add(z, 4, m->wide ? 0xffffffff : z->local[i]);
    zip_append(z, m->name, strlen(m->name));
    if (!m->wide) return;
    zip_add(z, 4, 0x5555 | 2 << 16); /* another program's field, to be skipped */
    zip_add(z, 2, 0);
    zip_add(z, 4, 1 | 24 << 16);
    zip_add(z, 8, m->n);
    zip_add(z, 8, z->stored[i]);
    zip_add(z, 8, z->local[i]);
}

static inline void zip_end64(zip_made *z, int n) {
    z->end64 = z->n;
    zip_add(z, 4, 0x06064b50);
    zip_add(z, 8, 44);
    zip_add(z, 4, 45 | 45 << 16);
    zip_add(z, 8, 0);
    zip_add(z, 8, (uint64_t)n);
    zip_add(z, 8, (uint64_t)n);
    zip_add(z, 8, z->end64 - z->directory);
    zip_add(z, 8, z->directory);
    zip_add(z, 4, 0x07064b50);
    zip_add(z, 4, 0);
    zip_add(z, 8, z->end64);
    zip_add(z, 4, 1);
}

static inline void zip_make(zip_made *z, const zip_part *m, int n, bool end64) {
    *z = (zip_made){0};
    for (int i = 0; i < n; i++) zip_member(z, &m[i], i);
    z->directory = z->n;
    for (int i = 0; i < n; i++) zip_entry(z, &m[i], i);
    size_t length = z->n - z->directory;
    if (end64) zip_end64(z, n);
    z->end = z->n;
    zip_add(z, 4, 0x06054b50);
    zip_add(z, 4, 0);
    zip_add(z, 2, end64 ? 0xffff : (uint64_t)n);
    zip_add(z, 2, end64 ? 0xffff : (uint64_t)n);
    zip_add(z, 4, end64 ? 0xffffffff : length);
    zip_add(z, 4, end64 ? 0xffffffff : z->directory);
    zip_add(z, 2, 0);
}

/* An archive's members, to be made into one again, all checksums right, when something is changed in them. */
typedef struct zip_parts {
    ft_zip z;
    zip_part part[ZIP_MEMBERS];
    int n;
} zip_parts;

static inline void zip_unpack(zip_parts *parts, const char *name) {
    ck_assert_int_eq(ft_zip_open(&parts->z, name), FT_OK);
    ck_assert_int_le(parts->z.n, ZIP_MEMBERS);
    parts->n = (int)parts->z.n;
    for (int i = 0; i < parts->n; i++) {
        const ft_zip_member *m = &parts->z.member[i];
        uint8_t *p;
        ck_assert_int_eq(ft_zip_read(&parts->z, m, &p), FT_OK);
        parts->part[i] = (zip_part){m->name, p, (size_t)m->size, false, false, false};
    }
}
static inline void zip_repack(const zip_parts *parts, const char *name) {
    static zip_made z;
    zip_make(&z, parts->part, parts->n, false);
    write_bytes(name, z.p, z.n);
}
static inline void zip_free(zip_parts *parts) {
    for (int i = 0; i < parts->n; i++) free((void *)parts->part[i].p);
    ft_zip_close(&parts->z);
}
/* The member whose name ends so. */
static inline zip_part *zip_part_named(zip_parts *parts, const char *end) {
    for (int i = 0; i < parts->n; i++) {
        size_t length = strlen(parts->part[i].name), n = strlen(end);
        if (length >= n && strcmp(parts->part[i].name + length - n, end) == 0) return &parts->part[i];
    }
    ck_abort_msg("there is no member '%s'", end);
}

#endif

/* ZIP archives: the directory at the end, and one member.
 *
 *   { local header, name, extra, data, [descriptor] } ...          the members
 *   { central header, name, extra, comment } ...                   the directory
 *   [ ZIP64 end record, ZIP64 locator ]  end record, comment       the tables' end
 */
#include "train/zip_file.h"

#include <stdlib.h>
#include <string.h>

#include <zlib.h>

enum {
    LOCAL_BYTES = 30,
    CENTRAL_BYTES = 46,
    END_BYTES = 22,
    END64_BYTES = 56,
    LOCATOR_BYTES = 20,
    MAX_COMMENT = 65535,
    MAX_NAME = 1024,
    STORED = 0,
    DEFLATED = 8,
    ENCRYPTED = 1 << 0 | 1 << 6 | 1 << 13, /* flags */
    SIZES_AFTER = 1 << 3,                  /* in a descriptor behind the data */
    EXPANSION = 100,                       /* times; weights hardly shrink */
    EXPANSION_FLOOR = 1 << 24              /* bytes that may come of anything */
};
static const uint32_t LOCAL = 0x04034b50, CENTRAL = 0x02014b50, END = 0x06054b50, END64 = 0x06064b50,
                      LOCATOR = 0x07064b50, IN_ZIP64 = 0xffffffff;

/* Where the directory is. */
typedef struct directory {
    uint64_t n, bytes, offset;
    int64_t end; /* offset of the record behind it */
} directory;

#define DAMAGED "; the file is damaged or cut off: fetch it again"

static ft_err not_whole(const ft_zip *z) {
    FT_FAIL(WEIGHTS,
            "'%s' is cut off or damaged: the ZIP archive has no directory at its end; fetch it again",
            z->file.path);
}

/* Finds the end record, the last thing in the file but for its comment. tail: (n), the end of the file. */
static const uint8_t *find_end(const uint8_t *tail, int64_t n) {
    for (int64_t at = n - END_BYTES; at >= 0; at--)
        if (ft_le32(tail + at) == END && at + END_BYTES + ft_le16(tail + at + 20) == n) return tail + at;
    return NULL;
}

static ft_err read_end64(const ft_zip *z, const uint8_t *locator, directory *d) {
    const char *path = z->file.path;
    uint8_t p[END64_BYTES];
    uint64_t at = ft_le64(locator + 8), room = (uint64_t)d->end - LOCATOR_BYTES;
    FT_REQUIRE(ft_le32(locator + 4) == 0 && ft_le32(locator + 16) <= 1, WEIGHTS,
               "'%s' is one part of a ZIP archive in several; join them first", path);
    FT_REQUIRE(at <= room && room - at >= END64_BYTES, WEIGHTS,
               "'%s': the ZIP64 end record is not there" DAMAGED, path);
    FT_TRY(ft_input_file_read(&z->file, (int64_t)at, sizeof p, p));
    FT_REQUIRE(ft_le32(p) == END64 && ft_le64(p + 4) == room - at - 12, WEIGHTS,
               "'%s': the ZIP64 end record is not there" DAMAGED, path);
    FT_REQUIRE(ft_le32(p + 16) == 0 && ft_le32(p + 20) == 0 && ft_le64(p + 24) == ft_le64(p + 32), WEIGHTS,
               "'%s' is one part of a ZIP archive in several; join them first", path);
    directory wide = {ft_le64(p + 32), ft_le64(p + 40), ft_le64(p + 48), (int64_t)at};
    bool agree = (d->n == 0xffff || d->n == wide.n) && (d->bytes == IN_ZIP64 || d->bytes == wide.bytes) &&
                 (d->offset == IN_ZIP64 || d->offset == wide.offset);
    FT_REQUIRE(agree, WEIGHTS, "'%s': the ZIP archive's two end records differ" DAMAGED, path);
    *d = wide;
    return FT_OK;
}

static ft_err read_end(const ft_zip *z, const uint8_t *tail, int64_t n, directory *d) {
    const char *path = z->file.path;
    const uint8_t *p = find_end(tail, n);
    if (!p) return not_whole(z);
    FT_REQUIRE(ft_le16(p + 4) == 0 && ft_le16(p + 6) == 0 && ft_le16(p + 8) == ft_le16(p + 10), WEIGHTS,
               "'%s' is one part of a ZIP archive in several; join them first", path);
    *d = (directory){ft_le16(p + 10), ft_le32(p + 12), ft_le32(p + 16), z->file.size - n + (p - tail)};
    if (p - tail >= LOCATOR_BYTES && ft_le32(p - LOCATOR_BYTES) == LOCATOR)
        FT_TRY(read_end64(z, p - LOCATOR_BYTES, d));
    FT_REQUIRE(d->offset <= (uint64_t)d->end && d->bytes == (uint64_t)d->end - d->offset, WEIGHTS,
               "'%s': the ZIP archive's directory is not where its end record says" DAMAGED, path);
    FT_REQUIRE(d->n <= d->bytes / CENTRAL_BYTES, WEIGHTS,
               "'%s': the ZIP archive claims %llu members in a directory of %llu bytes" DAMAGED, path,
               (unsigned long long)d->n, (unsigned long long)d->bytes);
    return FT_OK;
}

static ft_err find_directory(const ft_zip *z, directory *d) {
    int64_t most = END_BYTES + MAX_COMMENT + LOCATOR_BYTES, n = z->file.size < most ? z->file.size : most;
    uint8_t *tail = malloc((size_t)n);
    FT_REQUIRE(tail, MEMORY, "no memory for the directory of '%s'", z->file.path);
    ft_err e = ft_input_file_read(&z->file, z->file.size - n, n, tail);
    if (e == FT_OK) e = read_end(z, tail, n, d);
    free(tail);
    return e;
}

/* ---- the directory ---- */

/* The ZIP64 field among the extra fields p (n): 8 bytes each for those of the values that are IN_ZIP64. */
static bool read_wide(const uint8_t *p, int64_t n, uint64_t *const value[], int n_values) {
    bool wanted = false;
    for (int i = 0; i < n_values; i++) wanted |= *value[i] == IN_ZIP64;
    if (!wanted) return true;
    while (n >= 4 && n - 4 >= ft_le16(p + 2)) {
        int64_t bytes = ft_le16(p + 2);
        const uint8_t *at = p + 4, *end = at + bytes;
        if (ft_le16(p) == 1) {
            for (int i = 0; i < n_values; i++) {
                if (*value[i] != IN_ZIP64) continue;
                if (end - at < 8) return false;
                *value[i] = ft_le64(at);
                at += 8;
            }
            return true;
        }
        p = end;
        n -= 4 + bytes;
    }
    return false;
}

static ft_err check_kind(const ft_zip *z, const ft_zip_member *m) {
    const char *path = z->file.path;
    FT_REQUIRE(!(m->flags & ENCRYPTED), WEIGHTS,
               "'%s': '%s' is encrypted; make an archive without a password", path, m->name);
    FT_REQUIRE(m->method == STORED || m->method == DEFLATED, WEIGHTS,
               "'%s': '%s' is compressed by method %d; only stored and deflated members are read", path,
               m->name, m->method);
    FT_REQUIRE(m->method != STORED || m->stored == m->size, WEIGHTS,
               "'%s': '%s' is stored, but its two sizes differ" DAMAGED, path, m->name);
    FT_REQUIRE(m->size <= EXPANSION_FLOOR || m->size / EXPANSION <= m->stored, WEIGHTS,
               "'%s': '%s' claims to unpack from %lld to %lld bytes, which weights never do: refused", path,
               m->name, (long long)m->stored, (long long)m->size);
    return FT_OK;
}

/* One entry; *at moves to the next. p: (n), the directory. */
static ft_err read_entry(const ft_zip *z, const directory *d, const uint8_t *p, int64_t n, int64_t *at,
                         ft_zip_member *m) {
    const char *path = z->file.path;
    const uint8_t *h = p + *at;
    bool there = n - *at >= CENTRAL_BYTES && ft_le32(h) == CENTRAL;
    int64_t name = there ? ft_le16(h + 28) : 0, extra = there ? ft_le16(h + 30) : 0;
    int64_t bytes = CENTRAL_BYTES + name + extra + (there ? ft_le16(h + 32) : 0);
    FT_REQUIRE(there && n - *at >= bytes, WEIGHTS,
               "'%s': the ZIP archive's directory is broken at its byte %lld" DAMAGED, path, (long long)*at);
    const char *text = (const char *)h + CENTRAL_BYTES;
    FT_REQUIRE(name > 0 && name <= MAX_NAME && !memchr(text, 0, (size_t)name), WEIGHTS,
               "'%s': a member of the ZIP archive has an impossible name of %lld bytes" DAMAGED, path,
               (long long)name);
    m->name = strndup(text, (size_t)name);
    FT_REQUIRE(m->name, MEMORY, "no memory for the directory of '%s'", path);
    uint64_t stored = ft_le32(h + 20), size = ft_le32(h + 24), header = ft_le32(h + 42);
    bool wide = read_wide(h + CENTRAL_BYTES + name, extra, (uint64_t *[]){&size, &stored, &header}, 3);
    FT_REQUIRE(ft_le16(h + 34) == 0, WEIGHTS, "'%s' is one part of a ZIP archive in several; join them first",
               path);
    FT_REQUIRE(wide && header < d->offset && stored <= d->offset && size <= INT64_MAX, WEIGHTS,
               "'%s': '%s' is not inside the ZIP archive" DAMAGED, path, m->name);
    m->flags = ft_le16(h + 8);
    m->method = ft_le16(h + 10);
    m->crc = ft_le32(h + 16);
    m->stored = (int64_t)stored;
    m->size = (int64_t)size;
    m->header = (int64_t)header;
    *at += bytes;
    return check_kind(z, m);
}

/* A member's own header: it must say the same, and gives the data's place. */
static ft_err check_local(const ft_zip *z, const directory *d, ft_zip_member *m) {
    const char *path = z->file.path;
    uint8_t h[LOCAL_BYTES + MAX_NAME];
    size_t length = strlen(m->name);
    int64_t bytes = LOCAL_BYTES + (int64_t)length, room = (int64_t)d->offset - m->header;
    FT_REQUIRE(bytes <= room, WEIGHTS, "'%s': '%s' is not inside the ZIP archive" DAMAGED, path, m->name);
    FT_TRY(ft_input_file_read(&z->file, m->header, bytes, h));
    bool same = ft_le32(h) == LOCAL && ft_le16(h + 6) == m->flags && ft_le16(h + 8) == m->method &&
                ft_le16(h + 26) == length && memcmp(h + LOCAL_BYTES, m->name, length) == 0;
    uint32_t crc = ft_le32(h + 14), stored = ft_le32(h + 18), size = ft_le32(h + 22);
    bool after = (m->flags & SIZES_AFTER) && !crc && !stored && !size;
    same &= after || (crc == m->crc && (stored == m->stored || stored == IN_ZIP64) &&
                      (size == m->size || size == IN_ZIP64));
    FT_REQUIRE(same, WEIGHTS,
               "'%s': '%s' has a header of its own that disagrees with the ZIP archive's directory" DAMAGED,
               path, m->name);
    bytes += ft_le16(h + 28);
    FT_REQUIRE(bytes <= room && m->stored <= room - bytes, WEIGHTS,
               "'%s': '%s' is not inside the ZIP archive" DAMAGED, path, m->name);
    m->start = m->header + bytes;
    return FT_OK;
}

static int by_place(const void *a, const void *b) {
    const ft_zip_member *p = a, *q = b;
    return (p->header > q->header) - (p->header < q->header);
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const ft_zip_member *)a)->name, ((const ft_zip_member *)b)->name);
}

/* No byte belongs to two members, and no name; leaves them sorted by name. */
static ft_err check_all(const ft_zip *z) {
    const char *path = z->file.path;
    ft_zip_member *m = z->member;
    qsort(m, (size_t)z->n, sizeof *m, by_place);
    for (int64_t i = 1; i < z->n; i++)
        FT_REQUIRE(m[i - 1].start + m[i - 1].stored <= m[i].header, WEIGHTS,
                   "'%s': '%s' and '%s' overlap in the ZIP archive: refused", path, m[i - 1].name, m[i].name);
    qsort(m, (size_t)z->n, sizeof *m, by_name);
    for (int64_t i = 1; i < z->n; i++)
        FT_REQUIRE(strcmp(m[i - 1].name, m[i].name) != 0, WEIGHTS,
                   "'%s': two members of the ZIP archive are named '%s': refused", path, m[i].name);
    return FT_OK;
}

static ft_err read_entries(ft_zip *z, const directory *d, const uint8_t *p) {
    int64_t at = 0, bytes = (int64_t)d->bytes;
    while (z->n < (int64_t)d->n) {
        ft_zip_member *m = &z->member[z->n++];
        FT_TRY(read_entry(z, d, p, bytes, &at, m));
        FT_TRY(check_local(z, d, m));
    }
    FT_REQUIRE(at == bytes, WEIGHTS, "'%s': the ZIP archive's directory is longer than its members" DAMAGED,
               z->file.path);
    return check_all(z);
}

static ft_err read_directory(ft_zip *z) {
    directory d = {0};
    FT_TRY(find_directory(z, &d));
    FT_REQUIRE(d.n > 0, WEIGHTS, "'%s' is an empty ZIP archive", z->file.path);
    z->member = calloc((size_t)d.n, sizeof *z->member);
    uint8_t *p = malloc((size_t)d.bytes);
    ft_err e =
        z->member && p ? FT_OK : ft_err_set(FT_E_MEMORY, "no memory for the directory of '%s'", z->file.path);
    if (e == FT_OK) e = ft_input_file_read(&z->file, (int64_t)d.offset, (int64_t)d.bytes, p);
    if (e == FT_OK) e = read_entries(z, &d, p);
    free(p);
    return e;
}

ft_err ft_zip_open(ft_zip *z, const char *path) {
    *z = (ft_zip){.file.fd = -1};
    FT_TRY(ft_input_file_open(&z->file, path));
    ft_err e = read_directory(z);
    if (e != FT_OK) ft_zip_close(z);
    return e;
}

void ft_zip_close(ft_zip *z) {
    for (int64_t i = 0; i < z->n; i++) free(z->member[i].name);
    free(z->member);
    ft_input_file_close(&z->file);
    *z = (ft_zip){.file.fd = -1};
}

const ft_zip_member *ft_zip_find(const ft_zip *z, const char *name) {
    const ft_zip_member key = {.name = (char *)name};
    return bsearch(&key, z->member, (size_t)z->n, sizeof key, by_name);
}

const ft_zip_member *ft_zip_find_in_folder(const ft_zip *z, const char *name) {
    for (int64_t i = 0; i < z->n; i++) {
        const char *slash = strchr(z->member[i].name, '/');
        if (slash && strcmp(slash + 1, name) == 0) return &z->member[i];
    }
    return NULL;
}

/* ---- one member ---- */

static ft_err start_inflate(z_stream *s, const char *path) {
    *s = (z_stream){0};
    FT_REQUIRE(inflateInit2(s, -MAX_WBITS) == Z_OK, MEMORY, "no memory to unpack '%s'", path);
    return FT_OK;
}

/* One deflate stream must take all of the input and make just m->size bytes. */
static ft_err unpack(const ft_zip *z, const ft_zip_member *m, uint8_t *to) {
    enum { PIECE = 1 << 16 };
    uint8_t in[PIECE];
    z_stream s;
    FT_TRY(start_inflate(&s, z->file.path));
    int64_t taken = 0, made = 0;
    int status = Z_OK;
    ft_err e = FT_OK;
    while (status == Z_OK && e == FT_OK) {
        if (s.avail_in == 0) {
            int64_t n = m->stored - taken < PIECE ? m->stored - taken : PIECE;
            e = ft_input_file_read(&z->file, m->start + taken, n, in);
            s.next_in = in;
            s.avail_in = (uInt)n;
            taken += n;
        }
        uInt room = (uInt)(m->size - made < 1 << 30 ? m->size - made : 1 << 30);
        s.next_out = to + made;
        s.avail_out = room;
        if (e == FT_OK) status = inflate(&s, Z_NO_FLUSH);
        made += room - s.avail_out;
    }
    bool whole = status == Z_STREAM_END && taken == m->stored && s.avail_in == 0 && made == m->size;
    inflateEnd(&s);
    FT_TRY(e);
    FT_REQUIRE(whole, WEIGHTS, "'%s': '%s' does not unpack to its %lld bytes" DAMAGED, z->file.path, m->name,
               (long long)m->size);
    return FT_OK;
}

static ft_err read_member(const ft_zip *z, const ft_zip_member *m, uint8_t *to) {
    if (m->method == DEFLATED)
        FT_TRY(unpack(z, m, to));
    else
        FT_TRY(ft_input_file_read(&z->file, m->start, m->size, to));
    FT_REQUIRE(crc32_z(0, to, (size_t)m->size) == m->crc, WEIGHTS,
               "'%s': '%s' is damaged: its CRC-32 does not match; fetch the file again", z->file.path,
               m->name);
    return FT_OK;
}

ft_err ft_zip_read(const ft_zip *z, const ft_zip_member *m, uint8_t **bytes) {
    *bytes = NULL;
    uint8_t *p = malloc(m->size ? (size_t)m->size : 1);
    FT_REQUIRE(p, MEMORY, "'%s': no memory for the %lld bytes of '%s'", z->file.path, (long long)m->size,
               m->name);
    ft_err e = read_member(z, m, p);
    if (e != FT_OK)
        free(p);
    else
        *bytes = p;
    return e;
}

/* TensorBoard events. A protocol-buffer field is key = number << 3 | wire type (0 varint, 1 64-bit, 2 bytes,
 * 5 32-bit). */
#include "eval/tfevents.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MAX_TAG = 256, MAX_EVENT = MAX_TAG + 128 };

uint32_t ft_crc32c(const void *data, size_t n) {
    static const uint32_t nibble[16] = {0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1,
                                        0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
                                        0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
                                        0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75};
    const unsigned char *p = data;
    uint32_t crc = ~0u;
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        crc = crc >> 4 ^ nibble[crc & 15];
        crc = crc >> 4 ^ nibble[crc & 15];
    }
    return ~crc;
}

typedef struct {
    unsigned char bytes[MAX_EVENT];
    size_t n;
} message;

static void put_varint(message *m, uint64_t x) {
    for (; x >= 0x80; x >>= 7) m->bytes[m->n++] = (unsigned char)(x | 0x80);
    m->bytes[m->n++] = (unsigned char)x;
}
static void put_fixed(message *m, uint64_t x, int n_bytes) {
    for (int i = 0; i < n_bytes; i++) m->bytes[m->n++] = (unsigned char)(x >> (8 * i));
}
static void put_double(message *m, int field, double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    put_varint(m, (uint64_t)field << 3 | 1);
    put_fixed(m, bits, 8);
}
static void put_float(message *m, int field, float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    put_varint(m, (uint64_t)field << 3 | 5);
    put_fixed(m, bits, 4);
}
static void put_int(message *m, int field, int64_t x) {
    put_varint(m, (uint64_t)field << 3);
    put_varint(m, (uint64_t)x);
}
static void put_bytes(message *m, int field, const void *data, size_t n) {
    put_varint(m, (uint64_t)field << 3 | 2);
    put_varint(m, n);
    memcpy(m->bytes + m->n, data, n);
    m->n += n;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static ft_err io_error(const ft_tfevents *w, int error) {
    FT_FAIL(IO, "cannot write '%s': %s; check the disk", w->path, strerror(error ? error : EIO));
}

static ft_err put_record(ft_tfevents *w, const message *event) {
    message r = {.n = 0};
    put_fixed(&r, event->n, 8);
    for (int part = 0; part < 2; part++) {
        uint32_t crc = part == 0 ? ft_crc32c(r.bytes, 8) : ft_crc32c(event->bytes, event->n);
        put_fixed(&r, (uint32_t)((crc >> 15 | crc << 17) + 0xa282ead8u), 4);
    }
    errno = 0;
    bool ok = fwrite(r.bytes, 1, 12, w->stream) == 12 &&
              fwrite(event->bytes, 1, event->n, w->stream) == event->n &&
              fwrite(r.bytes + 12, 1, 4, w->stream) == 4;
    return ok ? FT_OK : io_error(w, errno);
}

/* The first two records: the version, and a session that starts at a step (event.proto: SessionLog). */
static ft_err put_start(ft_tfevents *w, double time, int64_t step) {
    message version = {.n = 0}, session = {.n = 0}, start = {.n = 0};
    put_double(&version, 1, time);
    put_bytes(&version, 3, "brain.Event:2", 13);
    put_int(&session, 1, 1); /* status START */
    put_double(&start, 1, time);
    put_int(&start, 2, step);
    put_bytes(&start, 7, session.bytes, session.n);
    FT_TRY(put_record(w, &version));
    return put_record(w, &start);
}

ft_err ft_tfevents_open(ft_tfevents *w, const char *folder, int64_t step) {
    *w = (ft_tfevents){0};
    char host[256] = "localhost";
    gethostname(host, sizeof host - 1);
    double time = now();
    if (asprintf(&w->path, "%s/events.out.tfevents.%lld.%s.%d", folder, (long long)time, host,
                 (int)getpid()) < 0) {
        w->path = NULL;
        FT_FAIL(MEMORY, "out of memory while opening an event file in '%s'", folder);
    }
    w->stream = fopen(w->path, "abe");
    if (!w->stream) {
        ft_err e = io_error(w, errno);
        free(w->path);
        *w = (ft_tfevents){0};
        return e;
    }
    ft_err e = put_start(w, time, step);
    if (e == FT_OK) e = ft_tfevents_flush(w);
    if (e != FT_OK) ft_tfevents_close(w);
    return e;
}

ft_err ft_tfevents_scalar(ft_tfevents *w, const char *tag, int64_t step, double value) {
    FT_REQUIRE(strlen(tag) <= MAX_TAG, USAGE, "the tag '%s' is longer than %d bytes; shorten it", tag,
               MAX_TAG);
    message scalar = {.n = 0}, summary = {.n = 0}, event = {.n = 0};
    put_bytes(&scalar, 1, tag, strlen(tag));
    put_float(&scalar, 2, (float)value);
    put_bytes(&summary, 1, scalar.bytes, scalar.n);
    put_double(&event, 1, now());
    put_int(&event, 2, step);
    put_bytes(&event, 5, summary.bytes, summary.n);
    return put_record(w, &event);
}

ft_err ft_tfevents_flush(ft_tfevents *w) {
    return fflush(w->stream) == 0 ? FT_OK : io_error(w, errno);
}

ft_err ft_tfevents_close(ft_tfevents *w) {
    ft_err e = FT_OK;
    if (w->stream) {
        errno = 0;
        bool bad = ferror(w->stream) != 0;
        bad |= fclose(w->stream) != 0;
        if (bad) e = io_error(w, errno);
    }
    free(w->path);
    *w = (ft_tfevents){0};
    return e;
}

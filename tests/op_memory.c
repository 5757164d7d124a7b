/* Guarded memory of the op tests: views with sentinels around and between their rows, blocks with a fence on
 * both sides. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/error.h"
#include "tests/op_memory.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#endif
#endif
#ifndef ASAN_POISON_MEMORY_REGION
#define ASAN_POISON_MEMORY_REGION(p, n)   ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

enum { GUARD = 64, FENCE = 256, FENCE_BYTE = 0xA5 }; /* elements; bytes */

void *ft_test_alloc(size_t bytes) {
    void *p = ft_alloc(bytes ? bytes : 1, 1);
    if (!p) ck_abort_msg("out of memory");
    return p;
}

/* A NaN that no computation makes. */
static ft_real sentinel(void) {
    ft_real x;
#ifdef FT_F64
    const uint64_t bits = 0x7ff8dead0000beefu;
#else
    const uint32_t bits = 0x7fc0beefu;
#endif
    memcpy(&x, &bits, sizeof x);
    return x;
}

void ft_place_open(ft_place *place, ft_shape s, int32_t gap) {
    int64_t rows = ft_shape_rows(s), ld = (int64_t)s.c + gap;
    place->first = GUARD + gap;
    place->n = place->first + (rows - 1) * ld + s.c + GUARD;
    place->base = ft_test_alloc((size_t)place->n * sizeof(ft_real));
    place->before = ft_test_alloc((size_t)place->n * sizeof(ft_real));
    for (int64_t i = 0; i < place->n; i++) place->base[i] = sentinel();
    place->v = (ft_view){place->base + place->first, s.n, s.h, s.w, s.c, ld};
}

void ft_place_close(ft_place *place) {
    free(place->base);
    free(place->before);
}

void ft_place_write(ft_place *place, const double *values) {
    ft_real *row = place->v.p;
    for (int64_t r = 0; r < ft_rows(&place->v); r++, row += place->v.ld)
        for (int32_t k = 0; k < place->v.c; k++) row[k] = (ft_real)*values++;
}

void ft_place_fill_nan(ft_place *place) {
    ft_real *row = place->v.p;
    for (int64_t r = 0; r < ft_rows(&place->v); r++, row += place->v.ld)
        memset(row, 0xFF, (size_t)place->v.c * sizeof(ft_real));
}

ft_real *ft_place_read(const ft_place *place) {
    int32_t c = place->v.c;
    ft_real *all = ft_test_alloc((size_t)ft_place_size(place) * sizeof(ft_real));
    for (int64_t r = 0; r < ft_rows(&place->v); r++)
        memcpy(all + r * c, place->v.p + r * place->v.ld, (size_t)c * sizeof(ft_real));
    return all;
}

int64_t ft_place_differ(const ft_place *a, const ft_place *b) {
    int64_t rows = ft_rows(&a->v), c = a->v.c;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t k = 0; k < c; k++)
            if (memcmp(a->v.p + r * a->v.ld + k, b->v.p + r * b->v.ld + k, sizeof(ft_real)) != 0)
                return r * c + k;
    return -1;
}

/* Calls ASan for each stretch that is not elements; without ASan it does nothing. */
static void set_gaps(const ft_place *place, bool forbidden) {
    if (!forbidden) {
        ASAN_UNPOISON_MEMORY_REGION(place->base, (size_t)place->n * sizeof(ft_real));
        return;
    }
    const ft_view *v = &place->v;
    int64_t rows = ft_rows(v), end = place->first + (rows - 1) * v->ld + v->c;
    ASAN_POISON_MEMORY_REGION(place->base, (size_t)place->first * sizeof(ft_real));
    for (int64_t r = 0; r + 1 < rows; r++)
        ASAN_POISON_MEMORY_REGION(v->p + r * v->ld + v->c, (size_t)(v->ld - v->c) * sizeof(ft_real));
    ASAN_POISON_MEMORY_REGION(place->base + end, (size_t)(place->n - end) * sizeof(ft_real));
}

void ft_place_watch(ft_place *place) {
    if (!place->base) return;
    memcpy(place->before, place->base, (size_t)place->n * sizeof(ft_real));
    set_gaps(place, true);
}

bool ft_place_intact(ft_place *place, bool writable) {
    if (!place->base) return true;
    set_gaps(place, false);
    size_t one = sizeof(ft_real);
    if (!writable) return memcmp(place->before, place->base, (size_t)place->n * one) == 0;
    int64_t last = place->first, rows = ft_rows(&place->v);
    if (memcmp(place->before, place->base, (size_t)last * one) != 0) return false;
    for (int64_t r = 0; r < rows; r++) {
        int64_t from = place->first + r * place->v.ld + place->v.c;
        int64_t to = r + 1 < rows ? from - place->v.c + place->v.ld : place->n;
        if (memcmp(place->before + from, place->base + from, (size_t)(to - from) * one) != 0) return false;
    }
    return true;
}

void ft_block_open(ft_block *block, size_t bytes) {
    *block = (ft_block){.bytes = bytes};
    if (bytes == 0) return;
    block->base = ft_test_alloc(bytes + 2 * FENCE);
    block->p = block->base + FENCE;
    memset(block->base, FENCE_BYTE, bytes + 2 * FENCE);
}

void ft_block_close(ft_block *block) {
    free(block->base);
}

void ft_block_fill_nan(ft_block *block) {
    if (block->bytes) memset(block->p, 0xFF, block->bytes);
}

void ft_block_watch(ft_block *block) {
    if (!block->bytes) return;
    ASAN_POISON_MEMORY_REGION(block->base, FENCE);
    ASAN_POISON_MEMORY_REGION(block->p + block->bytes, FENCE);
}

bool ft_block_intact(ft_block *block) {
    if (!block->bytes) return true;
    ASAN_UNPOISON_MEMORY_REGION(block->base, block->bytes + 2 * FENCE);
    for (size_t i = 0; i < FENCE; i++)
        if ((unsigned char)block->base[i] != FENCE_BYTE ||
            (unsigned char)block->p[block->bytes + i] != FENCE_BYTE)
            return false;
    return true;
}

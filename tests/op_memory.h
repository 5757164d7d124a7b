/* Guarded memory of the op tests (op_memory.c). Poisoned under AddressSanitizer while a call is watched, so
 * that a read outside is caught too. */
#ifndef FACET_TESTS_OP_MEMORY_H
#define FACET_TESTS_OP_MEMORY_H

#include "tensor/view.h"

/* A view in memory of its own. All that is not an element (before, after, between rows) holds a sentinel.
 *
 *     guard | x x x . . | x x x . . | x x x | guard
 */
typedef struct ft_place {
    ft_view v;
    ft_real *base, *before; /* before: a copy from just before a call */
    int64_t n, first;       /* elements in all; index of v.p[0] */
} ft_place;

typedef struct ft_block {
    char *base, *p; /* p: `bytes` usable bytes on a 64-byte boundary, or NULL if 0 */
    size_t bytes;
} ft_block;

/* bytes of zeroed memory; fails the test when there is none. */
void *ft_test_alloc(size_t bytes);

/* ld = c + gap; with a gap the first element is `gap` elements off alignment. */
void ft_place_open(ft_place *place, ft_shape s, int32_t gap);
void ft_place_close(ft_place *place);
/* ft_place_size numbers, contiguous, rounded to ft_real. */
void ft_place_write(ft_place *place, const double *values);
void ft_place_fill_nan(ft_place *place);
/* The elements, contiguous, in memory for the caller to free. */
ft_real *ft_place_read(const ft_place *place);
static inline int64_t ft_place_size(const ft_place *p) {
    return ft_rows(&p->v) * p->v.c;
}
/* The first element in which two places of one shape differ in bits, or -1. */
int64_t ft_place_differ(const ft_place *a, const ft_place *b);
/* Remembers what is there before a call; afterwards: is all that the call may not write as it was? (writable:
 * the elements may differ.) A place that was never opened is intact. */
void ft_place_watch(ft_place *place);
bool ft_place_intact(ft_place *place, bool writable);

void ft_block_open(ft_block *block, size_t bytes);
void ft_block_close(ft_block *block);
void ft_block_fill_nan(ft_block *block);
void ft_block_watch(ft_block *block);
bool ft_block_intact(ft_block *block);

#endif

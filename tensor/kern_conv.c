/* The convolution's inner loops: tiles of pixels x channels whose accumulators never leave the registers.
 *
 *              nr channels (2 vectors)
 *            +-----------+-----------+
 *   pixel 0  |  s0[0]    |  s1[0]    |   s += x * b: x is broadcast from a pixel's row, b is read from the
 * packed panel,
 *   ...      |           |           |   one step per input channel and tap
 *   pixel mr |  s0[mr-1] |  s1[mr-1] |
 *            +-----------+-----------+
 *
 * mr is what the register file holds: 2*mr accumulators, two vectors of b and one of x.
 */
#include "tensor/kern_vector.h"

#if defined(__AVX512F__)
enum { MR = 14 };
#elif defined(__AVX2__)
enum { MR = 6 };
#elif defined(__aarch64__)
enum { MR = 12 };
#else
enum { MR = 5 };
#endif
enum { NR = 2 * VLEN };

/* What is written for one vector of row `row`: n columns from `column` on, from the sums v. */
INLINE vec finished(const ft_conv_tile *t, const ft_real *c, int column, int n, vec v) {
    if (t->accumulate) return load_n(c, n) + v;
    if (t->scale) v *= load_n(t->scale + column, n);
    if (t->shift) v += load_n(t->shift + column, n);
    if (t->relu) v = rectified(v);
    return v;
}
static __attribute__((noinline)) void finish_part(const ft_conv_tile *t, int row, int column, vec v) {
    int n = t->cols - column < VLEN ? t->cols - column : VLEN;
    if (n > 0) store_n(t->c[row] + column, finished(t, t->c[row] + column, column, n, v), n);
}

INLINE void tile_body(const ft_conv_tile *t, const int rows, const bool narrow) {
    vec s0[MR], s1[MR];
    for (int i = 0; i < rows; i++) { /* what is written must be fetched first: meanwhile, not at the end */
        __builtin_prefetch(t->c[i]);
        __builtin_prefetch(t->c[i] + t->cols - 1);
    }
    UNROLL for (int i = 0; i < rows; i++) s0[i] = s1[i] = (vec){0};
    const int32_t kc = t->kc;
    for (int32_t tap = 0; tap < t->taps; tap++) {
        const ft_real *b = t->b[tap], *a[MR];
        UNROLL for (int i = 0; i < rows; i++) a[i] = t->a[tap * rows + i];
        for (int32_t k = 0; k < kc; k++) {
            vec b0 = load(b), b1 = narrow ? (vec){0} : load(b + VLEN);
            b += narrow ? VLEN : NR;
            UNROLL for (int i = 0; i < rows; i++) {
                ft_real x = a[i][k];
                s0[i] += x * b0;
                if (!narrow) s1[i] += x * b1;
            }
        }
    }
    if (t->cols == (narrow ? VLEN : NR)) {
        UNROLL for (int i = 0; i < rows; i++) {
            ft_real *c = t->c[i];
            store(c, finished(t, c, 0, VLEN, s0[i]));
            if (!narrow) store(c + VLEN, finished(t, c + VLEN, VLEN, VLEN, s1[i]));
        }
        return;
    }
    UNROLL for (int i = 0; i < rows; i++) {
        finish_part(t, i, 0, s0[i]);
        if (!narrow) finish_part(t, i, VLEN, s1[i]);
    }
}

/* As tile_body with one tap, for rows that lie evenly; the panel is always whole. */
INLINE void product_body(const ft_product *t, const ft_real *a, ft_real *c, const int rows,
                         const bool narrow) {
    vec s0[MR], s1[MR];
    UNROLL for (int i = 0; i < rows; i++) s0[i] = s1[i] = (vec){0};
    const ft_real *b = t->b;
    const int64_t lda = t->lda;
    for (int32_t k = 0; k < t->kc; k++) {
        vec b0 = load(b), b1 = narrow ? (vec){0} : load(b + VLEN);
        b += narrow ? VLEN : NR;
        UNROLL for (int i = 0; i < rows; i++) {
            ft_real x = a[i * lda + k];
            s0[i] += x * b0;
            if (!narrow) s1[i] += x * b1;
        }
    }
    UNROLL for (int i = 0; i < rows; i++) {
        store(c + i * t->ldc, s0[i]);
        if (!narrow) store(c + i * t->ldc + VLEN, s1[i]);
    }
}

INLINE void wgrad_body(const ft_wgrad_tile *t, const int rows, const bool narrow, const bool part) {
    vec s0[MR], s1[MR];
    const int n0 = t->cols, n1 = t->cols - VLEN;
    for (int i = 0; t->next && i < rows; i++) {
        __builtin_prefetch(t->next + i * t->ldw);
        __builtin_prefetch(t->next + i * t->ldw + VLEN);
    }
    UNROLL for (int i = 0; i < rows; i++) {
        if (!t->accumulate) {
            s0[i] = s1[i] = (vec){0};
            continue;
        }
        s0[i] = part && narrow ? load_part(t->dw + i * t->ldw, n0) : load(t->dw + i * t->ldw);
        s1[i] = narrow ? (vec){0}
                : part ? load_part(t->dw + i * t->ldw + VLEN, n1)
                       : load(t->dw + i * t->ldw + VLEN);
    }
    for (int32_t r = 0; r < t->n_runs; r++) {
        const ft_real *x = t->runs[r].x + t->x_offset, *dy = t->runs[r].dy + t->dy_offset;
        for (int32_t p = 0; p < t->runs[r].count; p++) {
            vec d0 = part && narrow ? load_part(dy, n0) : load(dy);
            vec d1 = narrow ? (vec){0} : part ? load_part(dy + VLEN, n1) : load(dy + VLEN);
            UNROLL for (int i = 0; i < rows; i++) {
                s0[i] += x[i] * d0;
                if (!narrow) s1[i] += x[i] * d1;
            }
            x += t->x_step;
            dy += t->dy_step;
        }
    }
    UNROLL for (int i = 0; i < rows; i++) {
        if (part && narrow)
            store_part(t->dw + i * t->ldw, s0[i], n0);
        else
            store(t->dw + i * t->ldw, s0[i]);
        if (narrow) continue;
        if (part)
            store_part(t->dw + i * t->ldw + VLEN, s1[i], n1);
        else
            store(t->dw + i * t->ldw + VLEN, s1[i]);
    }
}

/* One instance of a body for every number of rows, so that tails are as tight as full tiles. */
#define ROWS_1_TO_14(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)

static void conv_tile(const ft_conv_tile *t) {
    switch (t->rows) {
#define CASE(n)                                   \
    case n:                                       \
        if (t->narrow)                            \
            tile_body(t, n <= MR ? n : 1, true);  \
        else                                      \
            tile_body(t, n <= MR ? n : 1, false); \
        break;
        ROWS_1_TO_14(CASE)
#undef CASE
    }
}

/* The rows are dealt out evenly, so that no tile is a thin remainder. */
static void product(const ft_product *t) {
    int32_t tiles = (t->rows + MR - 1) / MR, first = 0;
    for (int32_t k = 1; k <= tiles; k++) {
        int32_t end = (int32_t)((int64_t)k * t->rows / tiles);
        const ft_real *a = t->a + first * t->lda;
        ft_real *c = t->c + first * t->ldc;
        switch (end - first) {
#define CASE(n)                                            \
    case n:                                                \
        if (t->narrow)                                     \
            product_body(t, a, c, n <= MR ? n : 1, true);  \
        else                                               \
            product_body(t, a, c, n <= MR ? n : 1, false); \
        break;
            ROWS_1_TO_14(CASE)
#undef CASE
        }
        first = end;
    }
}

static void wgrad_tile(const ft_wgrad_tile *t) {
    bool narrow = t->cols <= VLEN, part = t->cols != VLEN && t->cols != NR;
    switch (t->rows) {
#define CASE(n)                                           \
    case n:                                               \
        if (narrow && part)                               \
            wgrad_body(t, n <= MR ? n : 1, true, true);   \
        else if (narrow)                                  \
            wgrad_body(t, n <= MR ? n : 1, true, false);  \
        else if (part)                                    \
            wgrad_body(t, n <= MR ? n : 1, false, true);  \
        else                                              \
            wgrad_body(t, n <= MR ? n : 1, false, false); \
        break;
        ROWS_1_TO_14(CASE)
#undef CASE
    }
}

static void depthwise(ft_real *y, int32_t c, int32_t taps, const ft_real *const *x, const ft_real *const *w,
                      ft_real beta) {
    for (int32_t k = 0; k < c; k += VLEN) {
        int n = c - k < VLEN ? c - k : VLEN;
        vec s = beta != 0 ? load_n(y + k, n) : (vec){0};
        for (int32_t t = 0; t < taps; t++) s += load_n(x[t] + k, n) * load_n(w[t] + k, n);
        store_n(y + k, s, n);
    }
}

const ft_conv_kernels FT_KERN_TABLE(conv) = {
    .mr = MR, .nr = NR, .tile = conv_tile, .product = product, .wgrad = wgrad_tile, .depthwise = depthwise};

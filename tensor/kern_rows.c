/* The row kernels: plain loops over channels that the compiler turns into vectors of the instruction set at
 * hand.
 *
 * Sums keep one accumulator per channel in memory and take four rows at a time, (r0 + r1) + (r2 + r3), so
 * that the accumulator is loaded and stored once for four rows; the order is fixed. Where an output may be an
 * input it is so element by element, which the compiler is told, because its own overlap test would choose
 * scalar code.
 */
#include "tensor/kern_vector.h"

#if defined(__clang__)
#define EACH_ALONE _Pragma("clang loop vectorize(assume_safety)")
#else
#define EACH_ALONE _Pragma("GCC ivdep")
#endif

/* max(v, 0) that keeps NaN, so that a diverged network is seen to have diverged. */
static inline ft_real rectify(ft_real v) {
    return 0 > v ? 0 : v;
}

/* Without gaps the whole matrix is one long row: no remainder at the end of each. */
static int64_t one_row(int64_t *rows, int32_t c, bool no_gaps) {
    if (!no_gaps) return c;
    int64_t n = *rows * c;
    *rows = 1;
    return n;
}

/* The sums read four rows side by side, which the processor's own prefetching does not see through: with
 * every line of theirs they ask for one this far behind it. */
enum { AHEAD = 4096 / sizeof(ft_real) };
INLINE void ask_ahead(const ft_real *p, int64_t ld) {
    UNROLL for (int i = 0; i < 4; i++) __builtin_prefetch(p + i * ld + AHEAD, 0, 2);
}

/* Channels [first, end) of four rows. */
INLINE void add_four_moments(const int32_t first, const int32_t end, const ft_real *x, int64_t ldx,
                             const ft_real *pivot, ft_real *restrict sum, ft_real *restrict squares) {
    const ft_real *x1 = x + ldx, *x2 = x1 + ldx, *x3 = x2 + ldx;
    for (int32_t k = first; k < end; k++) {
        ft_real p = pivot[k], d0 = x[k] - p, d1 = x1[k] - p, d2 = x2[k] - p, d3 = x3[k] - p;
        sum[k] += (d0 + d1) + (d2 + d3);
        squares[k] += (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3);
    }
}

static void moments(int64_t rows, int32_t c, const ft_real *x, int64_t ldx, ft_moment_sums *s) {
    ft_real *restrict pivot = s->pivot, *restrict sum = s->sum, *restrict squares = s->squares;
    int64_t r = 0;
    for (int32_t k = 0; s->fresh && k < c; k++) pivot[k] = x[k];
    s->fresh = false;
    for (; r + 4 <= rows; r += 4, x += 4 * ldx) {
        int32_t k = 0;
        for (; k + LINE <= c; k += LINE) {
            ask_ahead(x + k, ldx);
            add_four_moments(k, k + LINE, x, ldx, pivot, sum, squares);
        }
        add_four_moments(k, c, x, ldx, pivot, sum, squares);
    }
    for (; r < rows; r++, x += ldx)
        for (int32_t k = 0; k < c; k++) {
            ft_real d = x[k] - pivot[k];
            sum[k] += d;
            squares[k] += d * d;
        }
}

static void affine_stream(int64_t rows, int32_t c, const ft_real *x, int64_t ldx, ft_real *y, int64_t ldy,
                          const ft_real *scale, const ft_real *shift, bool relu) {
    for (int64_t r = 0; r < rows; r++, x += ldx, y += ldy) {
        int32_t k = 0;
        for (; k + VLEN <= c; k += VLEN) {
            vec v = load(scale + k) * load(x + k) + load(shift + k);
            stream(y + k, relu ? rectified(v) : v);
        }
        for (; k < c; k++) y[k] = relu ? rectify(scale[k] * x[k] + shift[k]) : scale[k] * x[k] + shift[k];
    }
}

static void affine(int64_t rows, int32_t c, const ft_real *x, int64_t ldx, ft_real *y, int64_t ldy,
                   const ft_real *scale, const ft_real *shift, bool relu, bool past_caches) {
    if (past_caches) {
        affine_stream(rows, c, x, ldx, y, ldy, scale, shift, relu);
        return;
    }
    for (int64_t r = 0; r < rows; r++, x += ldx, y += ldy) {
        if (relu) {
            EACH_ALONE
            for (int32_t k = 0; k < c; k++) y[k] = rectify(scale[k] * x[k] + shift[k]);
        } else {
            EACH_ALONE
            for (int32_t k = 0; k < c; k++) y[k] = scale[k] * x[k] + shift[k];
        }
    }
}

/* dy, or behind a ReLU 0 where that cut. dy is loaded whatever comes out: else the compiler wants masked
 * loads.
 */
static inline ft_real passed(bool relu, ft_real dy, ft_real scale, ft_real x, ft_real shift) {
    return !relu || scale * x + shift > 0 ? dy : 0;
}

/* Channels [first, end) of four rows. */
INLINE void add_four_norm_sums(const bool relu, const int32_t first, const int32_t end, const ft_real *x,
                               int64_t ldx, const ft_real *dy, int64_t lddy, const ft_real *scale,
                               const ft_real *shift, const ft_real *mean, ft_real *restrict sum_dy,
                               ft_real *restrict sum_dyx) {
    const ft_real *x1 = x + ldx, *x2 = x1 + ldx, *x3 = x2 + ldx;
    const ft_real *d1 = dy + lddy, *d2 = d1 + lddy, *d3 = d2 + lddy;
    for (int32_t k = first; k < end; k++) {
        ft_real m = mean[k], s = relu ? scale[k] : 0, t = relu ? shift[k] : 0;
        ft_real g0 = passed(relu, dy[k], s, x[k], t), g1 = passed(relu, d1[k], s, x1[k], t);
        ft_real g2 = passed(relu, d2[k], s, x2[k], t), g3 = passed(relu, d3[k], s, x3[k], t);
        sum_dy[k] += (g0 + g1) + (g2 + g3);
        sum_dyx[k] += (g0 * (x[k] - m) + g1 * (x1[k] - m)) + (g2 * (x2[k] - m) + g3 * (x3[k] - m));
    }
}

INLINE void norm_sums_of(const bool relu, int64_t rows, int32_t c, const ft_real *x, int64_t ldx,
                         const ft_real *dy, int64_t lddy, const ft_real *scale, const ft_real *shift,
                         const ft_real *mean, ft_real *restrict sum_dy, ft_real *restrict sum_dyx) {
    for (int32_t k = 0; k < c; k++) sum_dy[k] = sum_dyx[k] = 0;
    int64_t r = 0;
    for (; r + 4 <= rows; r += 4, x += 4 * ldx, dy += 4 * lddy) {
        int32_t k = 0;
        for (; k + LINE <= c; k += LINE) {
            ask_ahead(x + k, ldx);
            ask_ahead(dy + k, lddy);
            add_four_norm_sums(relu, k, k + LINE, x, ldx, dy, lddy, scale, shift, mean, sum_dy, sum_dyx);
        }
        add_four_norm_sums(relu, k, c, x, ldx, dy, lddy, scale, shift, mean, sum_dy, sum_dyx);
    }
    for (; r < rows; r++, x += ldx, dy += lddy)
        for (int32_t k = 0; k < c; k++) {
            ft_real g = passed(relu, dy[k], relu ? scale[k] : 0, x[k], relu ? shift[k] : 0);
            sum_dy[k] += g;
            sum_dyx[k] += g * (x[k] - mean[k]);
        }
}

static void norm_sums(int64_t rows, int32_t c, const ft_real *x, int64_t ldx, const ft_real *dy, int64_t lddy,
                      const ft_real *scale, const ft_real *shift, const ft_real *mean, ft_real *sum_dy,
                      ft_real *sum_dyx) {
    if (scale)
        norm_sums_of(true, rows, c, x, ldx, dy, lddy, scale, shift, mean, sum_dy, sum_dyx);
    else
        norm_sums_of(false, rows, c, x, ldx, dy, lddy, scale, shift, mean, sum_dy, sum_dyx);
}

static inline __attribute__((always_inline)) void norm_apply_row(const bool relu, int32_t c, const ft_real *x,
                                                                 const ft_real *dy, ft_real *dx,
                                                                 const ft_real *scale, const ft_real *shift,
                                                                 const ft_real *a, const ft_real *b,
                                                                 const ft_real *d, ft_real beta) {
    if (beta == 0) {
        EACH_ALONE
        for (int32_t k = 0; k < c; k++) {
            ft_real g = dy[k], v = x[k];
            g = passed(relu, g, relu ? scale[k] : 0, v, relu ? shift[k] : 0);
            dx[k] = a[k] * g + (b[k] * v + d[k]);
        }
    } else {
        EACH_ALONE
        for (int32_t k = 0; k < c; k++) {
            ft_real g = dy[k], v = x[k];
            g = passed(relu, g, relu ? scale[k] : 0, v, relu ? shift[k] : 0);
            dx[k] = beta * dx[k] + (a[k] * g + (b[k] * v + d[k]));
        }
    }
}

static void norm_apply(int64_t rows, int32_t c, const ft_real *x, int64_t ldx, const ft_real *dy,
                       int64_t lddy, ft_real *dx, int64_t lddx, const ft_real *scale, const ft_real *shift,
                       const ft_real *a, const ft_real *b, const ft_real *d, ft_real beta) {
    for (int64_t r = 0; r < rows; r++, x += ldx, dy += lddy, dx += lddx) {
        if (scale)
            norm_apply_row(true, c, x, dy, dx, scale, shift, a, b, d, beta);
        else
            norm_apply_row(false, c, x, dy, dx, NULL, NULL, a, b, d, beta);
    }
}

static void relu(int64_t rows, int32_t c, const ft_real *x, int64_t ldx, ft_real *y, int64_t ldy) {
    int64_t n = one_row(&rows, c, ldx == c && ldy == c);
    for (int64_t r = 0; r < rows; r++, x += ldx, y += ldy) {
        EACH_ALONE
        for (int64_t k = 0; k < n; k++) y[k] = rectify(x[k]);
    }
}

static void relu_backward(int64_t rows, int32_t c, const ft_real *y, int64_t ldy, const ft_real *dy,
                          int64_t lddy, ft_real *dx, int64_t lddx, ft_real beta) {
    int64_t n = one_row(&rows, c, ldy == c && lddy == c && lddx == c);
    for (int64_t r = 0; r < rows; r++, y += ldy, dy += lddy, dx += lddx) {
        if (beta == 0) {
            EACH_ALONE
            for (int64_t k = 0; k < n; k++) {
                ft_real g = dy[k]; /* loaded whatever y is: else the compiler wants masked loads */
                dx[k] = y[k] > 0 ? g : 0;
            }
        } else {
            EACH_ALONE
            for (int64_t k = 0; k < n; k++) {
                ft_real g = dy[k];
                dx[k] = beta * dx[k] + (y[k] > 0 ? g : 0);
            }
        }
    }
}

static void add(int64_t rows, int32_t c, ft_real alpha, const ft_real *x, int64_t ldx, ft_real *y,
                int64_t ldy, ft_real beta) {
    int64_t n = one_row(&rows, c, ldx == c && ldy == c);
    for (int64_t r = 0; r < rows; r++, x += ldx, y += ldy) {
        if (beta == 0) {
            EACH_ALONE
            for (int64_t k = 0; k < n; k++) y[k] = alpha * x[k];
        } else {
            EACH_ALONE
            for (int64_t k = 0; k < n; k++) y[k] = beta * y[k] + alpha * x[k];
        }
    }
}

const ft_row_kernels FT_KERN_TABLE(row) = {
    .moments = moments,
    .affine = affine,
    .norm_sums = norm_sums,
    .norm_apply = norm_apply,
    .relu = relu,
    .relu_backward = relu_backward,
    .add = add,
};

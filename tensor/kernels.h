/* The inner loops, compiled once per instruction set (kern_*.c) and chosen once by what the processor has.
 *
 * FACET_ISA=base|avx2|avx512 in the environment forces one. Every kern_<family>.c exports exactly one symbol
 * per object, its table, so that no code for a newer processor can leak into an older one's path. Kernels
 * read and write nothing outside the rows and columns they are given.
 */
#ifndef FACET_TENSOR_KERNELS_H
#define FACET_TENSOR_KERNELS_H

#include "tensor/error.h"
#include "tensor/op.h"

/* May what is written from that channel on go past the caches (`stream` below)? Its rows are whole cache
 * lines, and the last cache would not keep it until it is wanted. Never what is read before it is written. */
enum { FT_STREAM_BYTES = 2 << 20 };
static inline bool ft_may_stream(const ft_view *v, int32_t channel) {
    size_t line = 64, row = (size_t)v->ld * sizeof(ft_real);
    return (uintptr_t)(v->p + channel) % line == 0 && row % line == 0 &&
           row * (size_t)ft_rows(v) >= FT_STREAM_BYTES;
}

/* ---- convolution products: kern_conv.c ---- */

enum { FT_TILE_ROWS = 14 }; /* no table's mr is larger */

/* Sums by column of x - pivot and of its square over some rows, to be added to. While fresh the pivot is not
 * set: the first row becomes it. */
typedef struct ft_moment_sums {
    ft_real *pivot, *sum, *squares;
    bool fresh;
} ft_moment_sums;

/* What is done to a sum v on its way out. */
typedef struct ft_finish {
    bool accumulate;              /* v is added to what is there; nothing of what follows */
    const ft_real *scale, *shift; /* v = scale * v + shift by column; NULL: 1 and 0 */
    bool relu;                    /* v = max(v, 0) */
    ft_moment_sums *moments;      /* of what is written; NULL: none */
    bool stream;                  /* writes past the caches; all rows are whole cache lines */
} ft_finish;
/* The part of it for the columns from `column` on. */
static inline ft_finish ft_finish_at(const ft_finish *f, int32_t column) {
    ft_finish part = *f;
    if (part.scale) part.scale += column;
    if (part.shift) part.shift += column;
    return part;
}

/* One tile of C = finish(sum over taps A_t B_t): `rows` pixels by `cols` channels, held in registers
 * throughout. a[t*rows + i] points to the kc inputs of pixel i under tap t (a zero row where it falls into
 * the padding), b[t] to tap t of a packed panel: kc rows of nr numbers (of nr/2 in a narrow panel, cols <=
 * nr/2). */
typedef struct ft_conv_tile {
    int32_t rows, cols, taps;
    int32_t kc;
    const ft_real *const *a; /* [taps][rows] */
    const ft_real *const *b; /* [taps] */
    ft_real *const *c;       /* [rows], each to cols numbers */
    bool narrow;             /* the panel is nr/2 wide */
    ft_finish finish;
} ft_conv_tile;

/* One stretch of pixels for the weight gradient: `count` pixels, x advancing by x_step and dy by dy_step
 * elements. */
typedef struct ft_wgrad_run {
    const ft_real *x, *dy;
    int32_t count;
} ft_wgrad_run;

/* Rows that will be read soon: asked for bit by bit while others are worked on, because all at once they
 * would have to wait for each other. */
typedef struct ft_ahead {
    const ft_real *p; /* the row that is next, from the first channel that will be read on */
    int64_t ld;
    int64_t channels; /* of a row that will be read */
    int64_t channel;  /* of them that is next */
    int64_t step;     /* how many further each time; 0: nothing but one place is asked for */
} ft_ahead;

/* dw[i*ldw + j] (+)= sum over the pixels of all runs x[i] * dy[j] for `rows` input and `cols` output
 * channels.
 */
typedef struct ft_wgrad_tile {
    int32_t rows, cols;
    const ft_wgrad_run *runs;
    int32_t n_runs;
    int64_t x_step, dy_step;
    int64_t x_offset, dy_offset; /* first input and output channel, added to every run's pointers */
    ft_real *dw;
    int64_t ldw;
    bool accumulate;     /* else dw is overwritten */
    const ft_real *next; /* the dw of the tile to come, fetched meanwhile; NULL: unknown */
    ft_ahead *ahead;     /* two, which go one step on with every two pixels */
} ft_wgrad_tile;

/* c[i*ldc + j] = finish(sum over k < kc of a[i*lda + k] b[k*width + j]), j < cols, for any number of rows;
 * the panel b is nr or, if narrow, nr/2 wide. */
typedef struct ft_product {
    int32_t rows, kc, cols;
    const ft_real *a, *b;
    ft_real *c;
    int64_t lda, ldc;
    bool narrow;
    bool fetch;          /* a and c come from memory: ask for them in time */
    const ft_real *next; /* NULL, or c of the next call, which will be read: ask for it meanwhile */
    ft_finish finish;
} ft_product;

typedef struct ft_conv_kernels {
    int32_t mr, nr; /* a tile is at most mr pixels by nr channels; nr/2 is one vector */
    void (*tile)(const ft_conv_tile *t);
    void (*product)(const ft_product *t);
    void (*wgrad)(const ft_wgrad_tile *t);
    /* to[p*step + i*width + j] = from[i*ld + p*width + j]: deals c channels of n pixels out to panels of
     * width mr or nr. */
    void (*deal)(int32_t width, int32_t n, int32_t c, const ft_real *from, int64_t ld, ft_real *to,
                 int64_t step);
    /* y[0..c) = beta*y + sum over taps x_t[0..c) * w_t[0..c): depthwise convolution and its input gradient.
     */
    void (*depthwise)(ft_real *y, int32_t c, int32_t taps, const ft_real *const *x, const ft_real *const *w,
                      ft_real beta);
} ft_conv_kernels;
const ft_conv_kernels *ft_conv_kernels_get(void);

/* ---- Winograd's transforms: kern_winograd.c ---- */

/* d = relu?(scale * d + shift), c numbers each, except where d is `zeros`: there it stays 0. */
typedef struct ft_winograd_start {
    const ft_real *zeros, *scale, *shift;
    bool relu;
} ft_winograd_start;

/* F(m, r) along one axis makes m outputs of r taps from n = m + r - 1 inputs by n multiplications:
 * y = A^T [(G w) . (B^T d)]. Square: along both axes, A^T [(G w G^T) . (B^T d B)] A with n * n points. */
typedef enum ft_winograd_form {
    FT_WINOGRAD_LINE_3, /* F(4, r) along one axis */
    FT_WINOGRAD_LINE_5,
    FT_WINOGRAD_LINE_7,
    FT_WINOGRAD_SQUARE_3, /* along both */
    FT_WINOGRAD_SQUARE_5,
    FT_WINOGRAD_STRIDED, /* 3x3 in steps of 2, along both axes F(3, 2) on the even inputs, F(3, 1) on the odd
                          */
    FT_WINOGRAD_STRIDED_BACK, /* its input gradient, which makes even and odd outputs from the same inputs */
    FT_WINOGRAD_FORMS
} ft_winograd_form;

/* A kernel's loops are unrolled by what these say. */
#define FT_WINOGRAD_CONSTANT static inline __attribute__((always_inline))

/* What a form has along an axis that it transforms. Strided ones have points with the same transformed
 * weight: the points from weights - 1 on all share the last. */
enum { FT_WINOGRAD_MOST_POINTS = 64, FT_WINOGRAD_MOST_OUTPUTS = 36 }; /* along both axes */
FT_WINOGRAD_CONSTANT bool ft_winograd_is_square(ft_winograd_form f) {
    return f >= FT_WINOGRAD_SQUARE_3;
}
FT_WINOGRAD_CONSTANT int32_t ft_winograd_taps(ft_winograd_form f) {
    if (f == FT_WINOGRAD_LINE_5 || f == FT_WINOGRAD_SQUARE_5) return 5;
    return f == FT_WINOGRAD_LINE_7 ? 7 : 3;
}
FT_WINOGRAD_CONSTANT int32_t ft_winograd_points(ft_winograd_form f) {
    return f >= FT_WINOGRAD_STRIDED ? 7 : ft_winograd_taps(f) + 3;
}
FT_WINOGRAD_CONSTANT int32_t ft_winograd_inputs(ft_winograd_form f) {
    return f == FT_WINOGRAD_STRIDED_BACK ? 4 : ft_winograd_points(f);
}
FT_WINOGRAD_CONSTANT int32_t ft_winograd_outputs(ft_winograd_form f) {
    return f == FT_WINOGRAD_STRIDED ? 3 : f == FT_WINOGRAD_STRIDED_BACK ? 6 : 4;
}
FT_WINOGRAD_CONSTANT int32_t ft_winograd_weights(ft_winograd_form f) {
    return f >= FT_WINOGRAD_STRIDED ? 5 : ft_winograd_points(f);
}

/* Everything goes channel by channel; a transformed tile has its points, transformed weights their matrices,
 * `step` elements apart, in row-major order. */
typedef struct ft_winograd_kernels {
    /* v = B^T d B of the inputs. start (may be NULL) is done to them first. */
    void (*data)(ft_winograd_form form, int32_t c, const ft_real *const *d, const ft_winograd_start *start,
                 ft_real *v, int64_t step);
    /* y = finish(A^T p A), the outputs; a NULL y is outside the image. Where there are moments the first is
     * not. */
    void (*output)(ft_winograd_form form, int32_t c, const ft_real *p, int64_t step, ft_real *const *y,
                   const ft_finish *finish);
    /* v = A dy A^T: output's transpose, for the weight gradient. The channels go to panels as wide as
     * ft_conv_kernels' nr, `panel` elements apart. Not STRIDED_BACK, nor weight_gradient. */
    void (*output_gradient)(ft_winograd_form form, int32_t c, const ft_real *const *dy, ft_real *v,
                            int64_t step, int64_t panel);
    /* u = G w G^T of the taps, tap_step elements apart. */
    void (*weight)(ft_winograd_form form, int32_t c, const ft_real *w, int64_t tap_step, ft_real *u,
                   int64_t step);
    /* dw = beta dw + G^T u G: weight's transpose. */
    void (*weight_gradient)(ft_winograd_form form, int32_t c, const ft_real *u, int64_t step, ft_real *dw,
                            int64_t tap_step, ft_real beta);
} ft_winograd_kernels;
const ft_winograd_kernels *ft_winograd_kernels_get(void);

/* ---- row kernels: kern_rows.c ---- */

/* Matrices of `rows` x c with leading dimensions; per-channel vectors have c numbers. */
typedef struct ft_row_kernels {
    void (*moments)(int64_t rows, int32_t c, const ft_real *x, int64_t ldx, ft_moment_sums *s);
    /* y = scale*x + shift by channel, then max(y, 0) if relu. y may be x, unless it goes past the caches. */
    void (*affine)(int64_t rows, int32_t c, const ft_real *x, int64_t ldx, ft_real *y, int64_t ldy,
                   const ft_real *scale, const ft_real *shift, bool relu, bool stream);
    /* sum_dy[k] = sum dy; sum_dyx[k] = sum dy * (x - mean[k]). Overwrites. Behind a ReLU, scale and shift are
     * affine's, and dy counts only where affine's y > 0; else they are NULL. */
    void (*norm_sums)(int64_t rows, int32_t c, const ft_real *x, int64_t ldx, const ft_real *dy, int64_t lddy,
                      const ft_real *scale, const ft_real *shift, const ft_real *mean, ft_real *sum_dy,
                      ft_real *sum_dyx);
    /* dx = beta*dx + a[k]*dy + b[k]*x + d[k], dy as in norm_sums. dx may be dy. */
    void (*norm_apply)(int64_t rows, int32_t c, const ft_real *x, int64_t ldx, const ft_real *dy,
                       int64_t lddy, ft_real *dx, int64_t lddx, const ft_real *scale, const ft_real *shift,
                       const ft_real *a, const ft_real *b, const ft_real *d, ft_real beta);
    /* y = max(x, 0). y may be x. */
    void (*relu)(int64_t rows, int32_t c, const ft_real *x, int64_t ldx, ft_real *y, int64_t ldy);
    /* dx = beta*dx + (y > 0 ? dy : 0). dx may be dy. */
    void (*relu_backward)(int64_t rows, int32_t c, const ft_real *y, int64_t ldy, const ft_real *dy,
                          int64_t lddy, ft_real *dx, int64_t lddx, ft_real beta);
    /* y = beta*y + alpha*x. */
    void (*add)(int64_t rows, int32_t c, ft_real alpha, const ft_real *x, int64_t ldx, ft_real *y,
                int64_t ldy, ft_real beta);
} ft_row_kernels;
const ft_row_kernels *ft_row_kernels_get(void);

/* ---- pooling: kern_pool.c ---- */

/* What one pixel is made of: up to FT_POOL_TAPS pixels of the other side, c channels each. */
enum { FT_POOL_TAPS = 32 };
typedef struct ft_pool_taps {
    int32_t n;
    bool further;                /* to what the result holds already; else it is overwritten */
    bool stream;                 /* max, max_backward: past the caches; the result is whole cache lines */
    const ft_epilogue *prologue; /* max: done to every x_i first; NULL: nothing */
    const ft_real *x[FT_POOL_TAPS];
    const uint16_t *where[FT_POOL_TAPS]; /* max_backward: the places that max left for x[i] */
    int32_t place[FT_POOL_TAPS];         /* max, max_backward: of tap i in the window, at most UINT16_MAX */
    ft_real share[FT_POOL_TAPS];         /* sum */
} ft_pool_taps;
typedef struct ft_pool_kernels {
    /* y = max x_i, where (may be NULL) = the place of the first of equals. A NaN wins. n > 0 or further. */
    void (*max)(const ft_pool_taps *t, int32_t c, ft_real *y, uint16_t *where);
    /* dx = sum of x_i where where_i is place_i. */
    void (*max_backward)(const ft_pool_taps *t, int32_t c, ft_real *dx);
    /* y = sum of share_i * x_i. */
    void (*sum)(const ft_pool_taps *t, int32_t c, ft_real *y);
} ft_pool_kernels;
const ft_pool_kernels *ft_pool_kernels_get(void);

/* ---- the optimisers: kern_update.c ---- */

typedef struct ft_update_kernels {
    /* Sum of min(max(scale*x, -limit), limit)^2 in double; NaN if a scale*x is not finite. */
    double (*squares)(int64_t n, const ft_real *x, ft_real scale, ft_real limit);
} ft_update_kernels;
const ft_update_kernels *ft_update_kernels_get(void);

/* ---- the processor's limit: kern_peak.c ---- */

typedef struct ft_peak_kernels {
    int32_t flops; /* operations in a round */
    /* That many rounds of s = s*a + b; the result means nothing but must be used. 0 < a < 1 keeps it finite.
     */
    ft_real (*chains)(int64_t rounds, ft_real a, ft_real b);
} ft_peak_kernels;
const ft_peak_kernels *ft_peak_kernels_get(void);

/* ---- choice ---- */

/* The instruction set in use: "base", "avx2" or "avx512". */
const char *ft_isa(void);
/* Forces one (NULL: the best, or FACET_ISA). Fails with FT_E_USAGE if the name is unknown or the processor
 * lacks it. Not while a plan runs; plans compiled under another set must not be run. */
ft_err ft_isa_set(const char *name);
/* The i-th set that this processor can run, or NULL past the last. */
const char *ft_isa_available(int32_t i);

/* The name of this object's table, for kern_*.c only. */
#define FT_KERN_PASTE_(family, isa) ft_##family##_kernels_##isa
#define FT_KERN_PASTE(family, isa)  FT_KERN_PASTE_(family, isa)
#define FT_KERN_TABLE(family)       FT_KERN_PASTE(family, FT_ISA)

#endif

/* Antialiased resampling in Pillow's arithmetic (Pillow, src/libImaging/Resample.c: its convention, not its
 * code).
 *
 * Output pixel i of an axis has its centre at c = x0 + (i + 1/2) s, s = (x1 - x0) / n_out, and weighs source
 * pixel j by filter((j + 1/2 - c) / max(s, 1)), normalised to a sum of 1 and rounded to 22 fractional bits.
 * Columns first, then rows, with 8-bit pixels in between; an axis that keeps its size is not touched.
 */
#include "data/resize_pass.h"

#include <math.h>
#include <string.h>

enum { FRACTION_BITS = 32 - 8 - 2, HALF = 1 << (FRACTION_BITS - 1), BLOCK = 64 };

typedef struct axis {
    int32_t n_out, taps; /* taps: the stride of weight; count[i] of them are used */
    int32_t *first, *count, *weight;
    bool identity;
} axis;

static double triangle(double x) {
    double t = fabs(x);
    return t < 1.0 ? 1.0 - t : 0.0;
}

/* Keys' cubic convolution with a = -1/2 */
static double keys(double x) {
    const double a = -0.5;
    double t = fabs(x);
    if (t < 1.0) return ((a + 2.0) * t - (a + 3.0)) * t * t + 1;
    if (t < 2.0) return (((t - 5) * t + 8) * t - 4) * a;
    return 0.0;
}

static int32_t axis_taps(double scale, bool cubic) {
    double support = (cubic ? 2.0 : 1.0) * fmax(scale, 1.0);
    return (int32_t)ceil(support) * 2 + 1;
}

static void axis_fill(axis *a, int32_t n_in, float x0, float x1, bool cubic, double *k) {
    double scale = (double)(x1 - x0) / a->n_out, wide = fmax(scale, 1.0), narrow = 1.0 / wide;
    double support = (cubic ? 2.0 : 1.0) * wide;
    for (int32_t i = 0; i < a->n_out; i++) {
        double centre = (double)x0 + (i + 0.5) * scale, sum = 0;
        int32_t from = (int32_t)(centre - support + 0.5), to = (int32_t)(centre + support + 0.5);
        if (from < 0) from = 0;
        if (to > n_in) to = n_in;
        for (int32_t j = from; j < to; j++) {
            double x = (j - centre + 0.5) * narrow;
            sum += k[j - from] = cubic ? keys(x) : triangle(x);
        }
        for (int32_t j = 0; j < to - from; j++) {
            double w = (sum != 0.0 ? k[j] / sum : k[j]) * (1 << FRACTION_BITS);
            a->weight[(int64_t)i * a->taps + j] = (int32_t)(w < 0 ? w - 0.5 : w + 0.5);
        }
        a->first[i] = from;
        a->count[i] = to - from;
    }
}

static inline uint8_t to_byte(int32_t sum) {
    int32_t v = sum >> FRACTION_BITS;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

static void columns_grey(const axis *a, const uint8_t *row, uint8_t *to) {
    for (int32_t i = 0; i < a->n_out; i++) {
        const int32_t *k = a->weight + (int64_t)i * a->taps;
        const uint8_t *p = row + a->first[i];
        int32_t s = HALF;
        for (int32_t j = 0; j < a->count[i]; j++) s += p[j] * k[j];
        to[i] = to_byte(s);
    }
}

static void columns_rgb(const axis *a, const uint8_t *row, uint8_t *to) {
    for (int32_t i = 0; i < a->n_out; i++) {
        const int32_t *k = a->weight + (int64_t)i * a->taps;
        const uint8_t *p = row + 3 * (int64_t)a->first[i];
        int32_t r = HALF, g = HALF, b = HALF;
        for (int32_t j = 0; j < a->count[i]; j++, p += 3) {
            r += p[0] * k[j];
            g += p[1] * k[j];
            b += p[2] * k[j];
        }
        to[3 * i] = to_byte(r);
        to[3 * i + 1] = to_byte(g);
        to[3 * i + 2] = to_byte(b);
    }
}

/* One output row: to[x] = sum over t of k[t] rows[t*stride + x], for n bytes. */
static inline __attribute__((always_inline)) void
blend_rows(const uint8_t *rows, int64_t stride, const int32_t *k, int32_t taps, int64_t n, uint8_t *to) {
    for (int64_t x = 0; x < n; x += BLOCK) {
        int32_t sum[BLOCK];
        int64_t m = n - x < BLOCK ? n - x : BLOCK;
        for (int j = 0; j < BLOCK; j++) sum[j] = HALF;
        for (int32_t t = 0; t < taps; t++) {
            const uint8_t *p = rows + t * stride + x;
            if (m == BLOCK) /* a constant count, which the compiler turns into whole vectors */
                for (int j = 0; j < BLOCK; j++) sum[j] += p[j] * k[t];
            else
                for (int j = 0; j < m; j++) sum[j] += p[j] * k[t];
        }
        for (int j = 0; j < m; j++) to[x + j] = to_byte(sum[j]);
    }
}

static void blend_rows_base(const uint8_t *rows, int64_t stride, const int32_t *k, int32_t taps, int64_t n,
                            uint8_t *to) {
    blend_rows(rows, stride, k, taps, n, to);
}

/* 32-bit products need AVX2 (or SSE4.1) to be single instructions; the sums are integers, equal everywhere.
 */
#ifdef __x86_64__
__attribute__((target("avx2"))) static void
blend_rows_avx2(const uint8_t *rows, int64_t stride, const int32_t *k, int32_t taps, int64_t n, uint8_t *to) {
    blend_rows(rows, stride, k, taps, n, to);
}
static bool have_avx2(void) {
    return __builtin_cpu_supports("avx2");
}
#else
#define blend_rows_avx2 blend_rows_base
static bool have_avx2(void) {
    return false;
}
#endif

/* Places both axes' tables in the scratch memory; *rest is what follows them, extra bytes long. */
static ft_err make_axes(ft_resizer *r, const ft_image *src, ft_box box, bool cubic, axis *ax, axis *ay,
                        size_t extra, uint8_t **rest) {
    ax->taps = axis_taps((double)(box.x1 - box.x0) / ax->n_out, cubic);
    ay->taps = axis_taps((double)(box.y1 - box.y0) / ay->n_out, cubic);
    size_t n_x = (size_t)ax->n_out, n_y = (size_t)ay->n_out, tx = (size_t)ax->taps, ty = (size_t)ay->taps;
    size_t n_k = tx > ty ? tx : ty;
    double *k = ft_resizer_reserve(r, n_k * sizeof(double) +
                                          (n_x * (tx + 2) + n_y * (ty + 2)) * sizeof(int32_t) + extra);
    FT_REQUIRE(k, MEMORY, "no memory to resize an image of %d x %d to %d x %d", src->w, src->h, ax->n_out,
               ay->n_out);
    int32_t *p = (int32_t *)(k + n_k);
    axis *axes[2] = {ax, ay};
    for (int i = 0; i < 2; i++) {
        axis *a = axes[i];
        a->first = p;
        a->count = a->first + a->n_out;
        a->weight = a->count + a->n_out;
        p = a->weight + (int64_t)a->n_out * a->taps;
    }
    if (!ax->identity) axis_fill(ax, src->w, box.x0, box.x1, cubic, k);
    if (!ay->identity) axis_fill(ay, src->h, box.y0, box.y1, cubic, k);
    *rest = (uint8_t *)p;
    return FT_OK;
}

ft_err ft_resize_filtered(ft_resizer *r, const ft_image *src, ft_box box, bool cubic, ft_image *dst) {
    int64_t c = src->c, src_row = src->w * c, dst_row = dst->w * c;
    axis ax = {.n_out = dst->w, .identity = dst->w == src->w && box.x0 <= 0 && box.x1 >= (float)dst->w};
    axis ay = {.n_out = dst->h, .identity = dst->h == src->h && box.y0 <= 0 && box.y1 >= (float)dst->h};
    if (ax.identity && ay.identity) {
        memcpy(dst->p, src->p, (size_t)(dst_row * dst->h));
        return FT_OK;
    }
    bool both = !ax.identity && !ay.identity;
    size_t between = both ? (size_t)dst_row * (size_t)src->h : 0;
    uint8_t *rows = NULL;
    FT_TRY(make_axes(r, src, box, cubic, &ax, &ay, between, &rows));
    int32_t from = 0, to = src->h; /* the source rows that some output row reads */
    if (!ay.identity) {
        from = ay.first[0];
        to = ay.first[dst->h - 1] + ay.count[dst->h - 1];
    }
    if (!ax.identity) {
        uint8_t *out = both ? rows : dst->p;
        for (int32_t y = from; y < to; y++)
            (c == 3 ? columns_rgb : columns_grey)(&ax, src->p + y * src_row, out + (y - from) * dst_row);
        if (!both) return FT_OK;
    }
    const uint8_t *in = both ? rows : src->p;
    int32_t offset = both ? from : 0;
    bool wide = have_avx2();
    for (int32_t y = 0; y < dst->h; y++)
        (wide ? blend_rows_avx2 : blend_rows_base)(in + (ay.first[y] - offset) * dst_row, dst_row,
                                                   ay.weight + (int64_t)y * ay.taps, ay.count[y], dst_row,
                                                   dst->p + y * dst_row);
    return FT_OK;
}

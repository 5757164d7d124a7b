/* Bilinear resampling between the two nearest pixels of an axis, without antialiasing:
 * output pixel i lies at x = (i + 1/2) s - 1/2 in the box; pixels beyond its edge repeat the edge.
 *
 *   tf      out = top + (bottom - top) fy, top = left + (right - left) fx, in float32; then rounded to 8 bits
 *   opencv  weights of 11 bits; rows keep 19 bits, of which the second pass uses 15
 */
#include "data/resize_pass.h"

#include <math.h>

enum { ONE = 2048 };

typedef struct tap {
    int32_t low, high; /* pixel numbers in the image */
    float f;           /* weight of high */
    int32_t w0, w1;    /* the weights in 1/2048 */
} tap;

/* opencv_area's, whose output pixel i begins at i s and blends where it crosses a pixel's edge. */
static float area_position(int32_t i, double scale, int32_t edge0, int32_t *low) {
    double below = floor(i * scale), f = (i + 1) - (below + 1) / scale;
    *low = edge0 + (int32_t)below;
    return f <= 0 ? 0 : (float)(f - floor(f));
}

static void taps_fill(tap *t, int32_t n_out, float x0, float x1, ft_resize how) {
    bool fixed_point = how != FT_RESIZE_TF;
    int32_t edge0 = (int32_t)floorf(x0), edge1 = (int32_t)ceilf(x1) - 1;
    double scale = (double)(x1 - x0) / n_out;
    for (int32_t i = 0; i < n_out; i++) {
        /* each peer's own precision: it decides which side of a half a weight falls on */
        float x = fixed_point ? (float)((i + 0.5) * scale - 0.5 + (double)x0)
                              : ((float)i + 0.5f) * (float)scale - 0.5f + x0;
        float below = floorf(x), f = x - below;
        int32_t low = (int32_t)below;
        if (how == FT_RESIZE_OPENCV_AREA) f = area_position(i, scale, edge0, &low);
        int32_t high = low + 1;
        t[i].low = low < edge0 ? edge0 : low > edge1 ? edge1 : low;
        t[i].high = high < edge0 ? edge0 : high > edge1 ? edge1 : high;
        t[i].f = f;
        t[i].w0 = (int32_t)lrintf((1.0f - f) * ONE);
        t[i].w1 = (int32_t)lrintf(f * ONE);
    }
}

static void row_float(const tap *t, int32_t n_out, int32_t c, const uint8_t *row, float *to) {
    for (int32_t i = 0; i < n_out; i++) {
        const uint8_t *a = row + (int64_t)t[i].low * c, *b = row + (int64_t)t[i].high * c;
        for (int32_t k = 0; k < c; k++) *to++ = (float)a[k] + ((float)b[k] - (float)a[k]) * t[i].f;
    }
}

static void row_fixed(const tap *t, int32_t n_out, int32_t c, const uint8_t *row, int32_t *to) {
    for (int32_t i = 0; i < n_out; i++) {
        const uint8_t *a = row + (int64_t)t[i].low * c, *b = row + (int64_t)t[i].high * c;
        for (int32_t k = 0; k < c; k++) *to++ = a[k] * t[i].w0 + b[k] * t[i].w1;
    }
}

static void blend_float(const float *top, const float *bottom, float f, int64_t n, uint8_t *to) {
    for (int64_t i = 0; i < n; i++) to[i] = (uint8_t)(top[i] + (bottom[i] - top[i]) * f + 0.5f);
}

static void blend_fixed(const int32_t *top, const int32_t *bottom, const tap *t, int64_t n, uint8_t *to) {
    int32_t w0 = t->w0, w1 = t->w1;
    for (int64_t i = 0; i < n; i++)
        to[i] = (uint8_t)(((w0 * (top[i] >> 4) >> 16) + (w1 * (bottom[i] >> 4) >> 16) + 2) >> 2);
}

/* Two stretched rows are kept, since consecutive output rows mostly share them. */
typedef union row {
    float *f;
    int32_t *i;
} row;

ft_err ft_resize_two_tap(ft_resizer *r, const ft_image *src, ft_box box, ft_resize how, ft_image *dst) {
    bool fixed_point = how != FT_RESIZE_TF;
    int64_t n = (int64_t)dst->w * dst->c, stride = (int64_t)src->w * src->c;
    size_t n_taps = (size_t)dst->w + (size_t)dst->h;
    tap *tx = ft_resizer_reserve(r, n_taps * sizeof(tap) + 2 * (size_t)n * sizeof(float));
    FT_REQUIRE(tx, MEMORY, "no memory to resize an image of %d x %d to %d x %d", src->w, src->h, dst->w,
               dst->h);
    tap *ty = tx + dst->w;
    row rows[2] = {{.f = (float *)(ty + dst->h)}, {.f = (float *)(ty + dst->h) + n}};
    int32_t held[2] = {-1, -1};
    taps_fill(tx, dst->w, box.x0, box.x1, how);
    taps_fill(ty, dst->h, box.y0, box.y1, how);
    for (int32_t y = 0; y < dst->h; y++) {
        if (held[1] == ty[y].low) { /* what was below is now above */
            row t = rows[0];
            rows[0] = rows[1];
            rows[1] = t;
            held[1] = held[0];
            held[0] = ty[y].low;
        }
        int32_t need[2] = {ty[y].low, ty[y].high};
        for (int k = 0; k < 2; k++) {
            if (held[k] == need[k]) continue;
            const uint8_t *p = src->p + need[k] * stride;
            if (fixed_point)
                row_fixed(tx, dst->w, src->c, p, rows[k].i);
            else
                row_float(tx, dst->w, src->c, p, rows[k].f);
            held[k] = need[k];
        }
        uint8_t *to = dst->p + y * n;
        if (fixed_point)
            blend_fixed(rows[0].i, rows[1].i, &ty[y], n, to);
        else
            blend_float(rows[0].f, rows[1].f, ty[y].f, n, to);
    }
    return FT_OK;
}

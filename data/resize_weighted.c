/* Resampling by weights in float32, rows first, rounded to 8 bits at the end:
 *
 *   tf_antialias  tf.image.resize(antialias=True), bilinear: a triangle as wide as the reduction
 *   opencv_area   cv2.resize(INTER_AREA) where both sides shrink: the mean of the pixels that an output pixel
 * covers, those on its edge by the part that is covered
 */
#include "data/resize_pass.h"

#include <math.h>
#include <string.h>

/* Output i is the sum of count[i] pixels from first[i] on, weighted by weight[i * taps ...]. */
typedef struct axis {
    int32_t n_out, taps;
    int32_t *first, *count;
    float *weight;
} axis;

static int32_t axis_taps(double scale) {
    return 2 * (int32_t)ceil(fmax(scale, 1)) + 2;
}

/* What pixel j weighs in an output pixel that reaches from `from` to `to`. */
static double covered(double from, double to, int32_t j) {
    return fmin(to, j + 1) - fmax(from, j);
}

static double triangle(double centre, double wide, int32_t j) {
    return 1 - fabs((j + 0.5 - centre) / wide);
}

static void axis_fill(axis *a, int32_t edge0, int32_t edge1, bool area) {
    double scale = (double)(edge1 - edge0) / a->n_out, wide = fmax(scale, 1);
    for (int32_t i = 0; i < a->n_out; i++) {
        double from = edge0 + i * scale, centre = from + 0.5 * scale, reach = area ? 0.5 * scale : wide,
               sum = 0;
        float *w = a->weight + (int64_t)i * a->taps;
        int32_t j0 = (int32_t)floor(centre - reach), j1 = (int32_t)ceil(centre + reach), n = 0;
        if (j0 < edge0) j0 = edge0;
        if (j1 > edge1) j1 = edge1;
        for (int32_t j = j0; j < j1; j++) {
            double x = area ? covered(from, from + scale, j) : triangle(centre, wide, j);
            if (x <= 1e-9) { /* beside it, up to rounding */
                if (n == 0) j0 = j + 1;
                continue;
            }
            sum += x;
            w[n++] = (float)x;
        }
        a->first[i] = j0;
        a->count[i] = n;
        for (int32_t k = 0; k < n; k++) w[k] = (float)((double)w[k] / sum);
    }
}

static void add_row(const axis *ax, int32_t c, const uint8_t *row, float weight, float *to) {
    for (int32_t i = 0; i < ax->n_out; i++) {
        const float *w = ax->weight + (int64_t)i * ax->taps;
        const uint8_t *p = row + (int64_t)ax->first[i] * c;
        for (int32_t k = 0; k < c; k++) {
            float sum = 0;
            for (int32_t j = 0; j < ax->count[i]; j++) sum += w[j] * (float)p[j * c + k];
            to[i * c + k] += weight * sum;
        }
    }
}

static size_t axis_bytes(int32_t n_out, int32_t taps) {
    return (size_t)n_out * ((size_t)taps + 2) * sizeof(float);
}

/* The axis's tables at p; returns what follows. */
static float *axis_place(axis *a, float *p) {
    a->weight = p;
    a->first = (int32_t *)(p + (int64_t)a->n_out * a->taps);
    a->count = a->first + a->n_out;
    return (float *)(a->count + a->n_out);
}

ft_err ft_resize_weighted(ft_resizer *r, const ft_image *src, ft_box box, bool area, ft_image *dst) {
    int32_t x0 = (int32_t)floorf(box.x0), x1 = (int32_t)ceilf(box.x1), y0 = (int32_t)floorf(box.y0),
            y1 = (int32_t)ceilf(box.y1), n = dst->w * dst->c;
    axis ax = {.n_out = dst->w, .taps = axis_taps((double)(x1 - x0) / dst->w)};
    axis ay = {.n_out = dst->h, .taps = axis_taps((double)(y1 - y0) / dst->h)};
    float *memory = ft_resizer_reserve(r, axis_bytes(ax.n_out, ax.taps) + axis_bytes(ay.n_out, ay.taps) +
                                              (size_t)n * sizeof(float));
    FT_REQUIRE(memory, MEMORY, "no memory to resize an image of %d x %d to %d x %d", src->w, src->h, dst->w,
               dst->h);
    float *sum = axis_place(&ay, axis_place(&ax, memory));
    axis_fill(&ax, x0, x1, area);
    axis_fill(&ay, y0, y1, area);
    bool up = area && x1 - x0 == 2 * dst->w && y1 - y0 == 2 * dst->h; /* OpenCV's rounding of 2 x 2 pixels */
    for (int32_t y = 0; y < dst->h; y++) {
        memset(sum, 0, (size_t)n * sizeof *sum);
        for (int32_t t = 0; t < ay.count[y]; t++)
            add_row(&ax, src->c, src->p + (int64_t)(ay.first[y] + t) * src->w * src->c,
                    ay.weight[(int64_t)y * ay.taps + t], sum);
        uint8_t *to = dst->p + (int64_t)y * n;
        for (int32_t i = 0; i < n; i++) {
            float v = fminf(sum[i], 255);
            to[i] = (uint8_t)(up ? (long)(v + 0.5f) : lrintf(v));
        }
    }
    return FT_OK;
}

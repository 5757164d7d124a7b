/* Random changes of training images: the draws, and the two that move pixels (the inception crop is a
 * resize). */
#include "data/augment.h"

#include "tensor/rng.h"

#include <math.h>
#include <string.h>

static const char *const names[] = {
    [FT_CROP_NONE] = "none", [FT_CROP_RANDOM] = "random", [FT_CROP_INCEPTION] = "inception"};

ft_err ft_crop_parse(const char *name, ft_crop *crop) {
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0) {
            *crop = (ft_crop)i;
            return FT_OK;
        }
    FT_FAIL(CONFIG, "there is no crop \"%s\"; use none, random or inception", name);
}

const char *ft_crop_name(ft_crop crop) {
    return names[crop];
}

bool ft_augment_changes(const ft_augment *a) {
    return a->flip || a->crop != FT_CROP_NONE || a->rotate > 0 || a->shift > 0 || a->scale > 0 ||
           a->shear > 0 || ft_color_changes(&a->color) || a->grey > 0 || a->blur > 0 || a->erase > 0 ||
           ft_mix_changes(&a->mix);
}

ft_err ft_augment_check(const ft_augment *a, int32_t h, int32_t w) {
    int32_t side = h < w ? h : w;
    FT_REQUIRE(a->pad >= 0 && a->pad < side, CONFIG,
               "augment.pad is %d; for inputs of %d x %d it lies between 0 and %d", a->pad, h, w, side - 1);
    FT_REQUIRE(a->rotate >= 0 && a->rotate <= 180, CONFIG,
               "augment.rotate is %g; it lies between 0 and 180 degrees", (double)a->rotate);
    FT_REQUIRE(a->shift >= 0 && a->shift <= 1, CONFIG, "augment.shift is %g; it lies between 0 and 1",
               (double)a->shift);
    FT_REQUIRE(a->scale >= 0 && a->scale < 1, CONFIG,
               "augment.scale is %g; it lies between 0 and 1, 1 excluded", (double)a->scale);
    FT_REQUIRE(a->shear >= 0 && a->shear < 90, CONFIG,
               "augment.shear is %g; it lies between 0 and 90 degrees, 90 excluded", (double)a->shear);
    FT_REQUIRE(a->grey >= 0 && a->grey <= 1, CONFIG, "augment.grey is %g; it lies between 0 and 1",
               (double)a->grey);
    FT_REQUIRE(a->blur >= 0 && a->blur <= 20, CONFIG, "augment.blur is %g; it lies between 0 and 20 pixels",
               (double)a->blur);
    FT_REQUIRE(a->erase >= 0 && a->erase <= 1, CONFIG, "augment.erase is %g; it lies between 0 and 1",
               (double)a->erase);
    FT_TRY(ft_mix_check(&a->mix));
    return ft_color_check(&a->color);
}

uint64_t ft_augment_seed(uint64_t seed, int64_t epoch) {
    return ft_rng_derive(ft_rng_derive_name(seed, "augment"), (uint64_t)epoch);
}

ft_rng ft_augment_batch_rng(uint64_t epoch_seed, int32_t batch) {
    return ft_rng_stream(ft_rng_derive_name(epoch_seed, "mix"), (uint64_t)batch);
}

static ft_box inception_box(ft_rng *rng, int32_t w, int32_t h) {
    enum { ATTEMPTS = 100 };
    const double log_aspect = log(4.0 / 3.0);
    for (int i = 0; i < ATTEMPTS; i++) {
        double area = (0.05 + 0.95 * ft_rng_uniform(rng)) * w * h;
        double aspect = exp((2 * ft_rng_uniform(rng) - 1) * log_aspect);
        double bw = round(sqrt(area * aspect)), bh = round(sqrt(area / aspect));
        if (bw < 1 || bh < 1 || bw > w || bh > h) continue;
        double x = ft_rng_below(rng, (uint32_t)(w - bw) + 1), y = ft_rng_below(rng, (uint32_t)(h - bh) + 1);
        return (ft_box){(float)x, (float)y, (float)(x + bw), (float)(y + bh)};
    }
    return (ft_box){0, 0, (float)w, (float)h};
}

/* Uniform in [-limit, limit]. */
static double either_way(ft_rng *rng, float limit) {
    return (2 * ft_rng_uniform(rng) - 1) * (double)limit;
}

/* The inverse of: lean, enlarge, rotate and shift about the centre. */
static void warp_matrix(ft_rng *rng, const ft_augment *a, int32_t w, int32_t h, double m[6]) {
    const double degree = 3.14159265358979323846 / 180;
    double angle = either_way(rng, a->rotate) * degree, zoom = 1 + either_way(rng, a->scale);
    double tx = either_way(rng, a->shift) * w, ty = either_way(rng, a->shift) * h;
    double cx = (w - 1) / 2.0, cy = (h - 1) / 2.0, co = cos(angle) / zoom, si = sin(angle) / zoom;
    double lean = a->shear > 0 ? tan(either_way(rng, a->shear) * degree) : 0;
    m[0] = co + lean * si;
    m[1] = si - lean * co;
    m[2] = cx - m[0] * (cx + tx) - m[1] * (cy + ty);
    m[3] = -si;
    m[4] = co;
    m[5] = cy + si * (cx + tx) - co * (cy + ty);
}

static void draw_erase(ft_rng *rng, int32_t w, int32_t h, ft_augment_plan *plan) {
    enum { ATTEMPTS = 10 };
    const double low = log(0.3), high = log(3.3);
    for (int i = 0; i < ATTEMPTS; i++) {
        double area = (0.02 + 0.31 * ft_rng_uniform(rng)) * w * h;
        double aspect = exp(low + (high - low) * ft_rng_uniform(rng));
        int32_t bh = (int32_t)lround(sqrt(area * aspect)), bw = (int32_t)lround(sqrt(area / aspect));
        if (bw < 1 || bh < 1 || bw >= w || bh >= h) continue;
        plan->erase_w = bw;
        plan->erase_h = bh;
        plan->erase_x = (int32_t)ft_rng_below(rng, (uint32_t)(w - bw) + 1);
        plan->erase_y = (int32_t)ft_rng_below(rng, (uint32_t)(h - bh) + 1);
        return;
    }
}

ft_augment_plan ft_augment_draw(const ft_augment *a, uint64_t epoch_seed, int32_t sample, int32_t src_w,
                                int32_t src_h, int32_t w, int32_t h) {
    ft_rng rng = ft_rng_stream(epoch_seed, (uint64_t)sample);
    ft_augment_plan plan = {.box = {0, 0, (float)src_w, (float)src_h}};
    uint32_t coin = ft_rng_bits(&rng);
    plan.mirrored = a->flip && coin >> 31;
    if (a->crop == FT_CROP_RANDOM && a->pad > 0) {
        plan.dx = (int32_t)ft_rng_below(&rng, 2 * (uint32_t)a->pad + 1) - a->pad;
        plan.dy = (int32_t)ft_rng_below(&rng, 2 * (uint32_t)a->pad + 1) - a->pad;
    }
    if (a->crop == FT_CROP_INCEPTION) plan.box = inception_box(&rng, src_w, src_h);
    plan.warped = a->rotate > 0 || a->shift > 0 || a->scale > 0 || a->shear > 0;
    if (plan.warped) warp_matrix(&rng, a, w, h, plan.matrix);
    plan.color = ft_color_draw(&a->color, &rng);
    plan.grey = a->grey > 0 && ft_rng_uniform(&rng) < (double)a->grey;
    if (a->blur > 0) plan.blur = (double)a->blur * ft_rng_uniform(&rng);
    if (a->erase > 0 && ft_rng_uniform(&rng) < (double)a->erase) draw_erase(&rng, w, h, &plan);
    return plan;
}

/* i mirrored into 0 .. n-1 at the centres of the edge pixels, which are not repeated. */
static int32_t reflected(int32_t i, int32_t n) {
    if (i < 0) i = -i;
    return i < n ? i : 2 * (n - 1) - i;
}

void ft_image_shift(const ft_image *src, int32_t dx, int32_t dy, bool reflect, ft_image *dst) {
    int32_t w = src->w, h = src->h, c = src->c;
    int64_t stride = (int64_t)w * c;
    int32_t from = dx < 0 ? -dx : 0, to = dx > 0 ? w - dx : w; /* the columns that src has */
    for (int32_t y = 0; y < h; y++) {
        uint8_t *q = dst->p + y * stride;
        bool inside = y + dy >= 0 && y + dy < h;
        if (!inside && !reflect) {
            memset(q, 0, (size_t)stride);
            continue;
        }
        const uint8_t *p = src->p + reflected(y + dy, h) * stride;
        memcpy(q + (int64_t)from * c, p + (int64_t)(from + dx) * c, (size_t)(to - from) * (size_t)c);
        for (int32_t x = 0; x < w; x++) {
            if (x == from) x = to;
            if (x >= w) break;
            const uint8_t *pixel = p + (int64_t)reflected(x + dx, w) * c;
            for (int32_t k = 0; k < c; k++) q[(int64_t)x * c + k] = reflect ? pixel[k] : 0;
        }
    }
}

static int64_t clamped(int64_t i, int32_t n) {
    return i < 0 ? 0 : i >= n ? n - 1 : i;
}

void ft_image_warp(const ft_image *src, const double matrix[6], ft_image *dst) {
    enum { BITS = 32 }; /* fraction of a coordinate; integers give every machine the same pixels */
    int64_t m[6], c = src->c, stride = src->w * c;
    for (int i = 0; i < 6; i++) m[i] = llrint(matrix[i] * 0x1p32);
    for (int32_t y = 0; y < dst->h; y++) {
        uint8_t *q = dst->p + y * (dst->w * c);
        for (int32_t x = 0; x < dst->w; x++) {
            int64_t sx = m[0] * x + m[1] * y + m[2], sy = m[3] * x + m[4] * y + m[5];
            int64_t fx = sx >> (BITS - 8) & 255, fy = sy >> (BITS - 8) & 255;
            int64_t x0 = clamped(sx >> BITS, src->w) * c, x1 = clamped((sx >> BITS) + 1, src->w) * c;
            const uint8_t *above = src->p + clamped(sy >> BITS, src->h) * stride;
            const uint8_t *below = src->p + clamped((sy >> BITS) + 1, src->h) * stride;
            for (int64_t k = 0; k < c; k++) {
                int64_t a = above[x0 + k] * (256 - fx) + above[x1 + k] * fx;
                int64_t b = below[x0 + k] * (256 - fx) + below[x1 + k] * fx;
                *q++ = (uint8_t)((a * (256 - fy) + b * fy + 32768) >> 16);
            }
        }
    }
}

#include "data/mix.h"

#include <math.h>
#include <string.h>

bool ft_mix_changes(const ft_mix *m) {
    return m->mixup > 0 || m->cutmix > 0;
}

ft_err ft_mix_check(const ft_mix *m) {
    const float alphas[] = {m->mixup, m->cutmix};
    for (int i = 0; i < 2; i++)
        FT_REQUIRE(alphas[i] >= 0 && alphas[i] <= 8, CONFIG, "augment.%s is %g; it lies between 0 and 8",
                   i ? "cutmix" : "mixup", (double)alphas[i]);
    return FT_OK;
}

/* Beta(alpha, alpha), by Joehnk's method: good for the small alpha in use. */
static double draw_beta(ft_rng *rng, double alpha) {
    for (;;) {
        double x = pow(ft_rng_uniform(rng), 1 / alpha), y = pow(ft_rng_uniform(rng), 1 / alpha);
        if (x + y > 0 && x + y <= 1) return x / (x + y);
    }
}

typedef struct box {
    int32_t x0, y0, x1, y1;
} box;

static box draw_box(ft_rng *rng, double share, int32_t h, int32_t w) {
    double half = 0.5 * sqrt(1 - share);
    int32_t cx = (int32_t)ft_rng_below(rng, (uint32_t)w), cy = (int32_t)ft_rng_below(rng, (uint32_t)h);
    int32_t rx = (int32_t)(half * w), ry = (int32_t)(half * h);
    return (box){cx - rx < 0 ? 0 : cx - rx, cy - ry < 0 ? 0 : cy - ry, cx + rx > w ? w : cx + rx,
                 cy + ry > h ? h : cy + ry};
}

static void blend(int64_t n, float share, float *x, const float *other) {
    for (int64_t i = 0; i < n; i++) x[i] = share * x[i] + (1 - share) * other[i];
}

static void paste(const box *b, int32_t w, int32_t c, float *x, const float *other) {
    for (int32_t y = b->y0; y < b->y1; y++) {
        int64_t at = ((int64_t)y * w + b->x0) * c;
        memcpy(x + at, other + at, (size_t)(b->x1 - b->x0) * (size_t)c * sizeof *x);
    }
}

float ft_mix_batch(const ft_mix *m, ft_rng *rng, int32_t n, int32_t h, int32_t w, int32_t c, float *x,
                   float *spare) {
    if (n < 2 || !ft_mix_changes(m)) return 1;
    bool cut = m->mixup > 0 && m->cutmix > 0 ? ft_rng_below(rng, 2) == 1 : m->cutmix > 0;
    double share = draw_beta(rng, (double)(cut ? m->cutmix : m->mixup));
    box b = {0};
    if (cut) {
        b = draw_box(rng, share, h, w);
        share = 1 - (double)(b.x1 - b.x0) * (b.y1 - b.y0) / ((double)w * h);
    }
    int64_t size = (int64_t)h * w * c;
    memcpy(spare, x + (n - 1) * size, (size_t)size * sizeof *x); /* the last, before it changes */
    for (int32_t i = n - 1; i >= 0; i--) { /* backwards: the one before is still as it was */
        const float *other = i > 0 ? x + (i - 1) * size : spare;
        if (cut)
            paste(&b, w, c, x + i * size, other);
        else
            blend(size, (float)share, x + i * size, other);
    }
    return (float)share;
}

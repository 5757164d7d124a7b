#include "data/blur.h"

#include <math.h>
#include <string.h>

enum { MAX_REACH = 64 };

static int32_t mirrored(int32_t i, int32_t n) {
    if (i < 0) i = -i;
    return i < n ? i : 2 * (n - 1) - i;
}

/* weight (2 reach + 1); returns reach, below n. */
static int32_t make_kernel(double sigma, int32_t n, float *weight) {
    double reach = fmin(fmin(ceil(3 * sigma), n - 1), MAX_REACH), sum = 0;
    int32_t r = (int32_t)reach;
    for (int32_t i = -r; i <= r; i++) sum += exp(-0.5 * i * i / (sigma * sigma));
    for (int32_t i = -r; i <= r; i++) weight[r + i] = (float)(exp(-0.5 * i * i / (sigma * sigma)) / sum);
    return r;
}

/* to (n, width) from the n rows of x, which lie width apart. */
static void blur_rows(int32_t n, int64_t width, double sigma, const float *x, float *to) {
    float weight[2 * MAX_REACH + 1];
    int32_t r = make_kernel(sigma, n, weight);
    memset(to, 0, (size_t)(n * width) * sizeof *to);
    for (int32_t y = 0; y < n; y++)
        for (int32_t i = -r; i <= r; i++) {
            const float *row = x + mirrored(y + i, n) * width;
            float *out = to + y * width, k = weight[r + i];
            for (int64_t j = 0; j < width; j++) out[j] += k * row[j];
        }
}

void ft_blur(int32_t h, int32_t w, int32_t c, double sigma, float *x, float *spare) {
    blur_rows(h, (int64_t)w * c, sigma, x, spare);
    for (int32_t y = 0; y < h; y++)
        blur_rows(w, c, sigma, spare + (int64_t)y * w * c, x + (int64_t)y * w * c);
}

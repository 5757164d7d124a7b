/* Numbers for the op tests. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/rng.h"
#include "tests/op_harness.h"

/* As many quantiles of the standard normal distribution are drawn without replacement, so that no two are
 * equal; more numbers are sums of three uniform ones, which is quick and nearly as normal. */
enum { MOST_QUANTILES = 1 << 15 };

/* Newton's method on the distribution function, which is concave beyond the start. */
static double normal_quantile(double p) {
    double x = 0;
    for (int i = 0; i < 60; i++) {
        double step = (p - 0.5 * erfc(-x * M_SQRT1_2)) / (exp(-0.5 * x * x) * 0.3989422804014327);
        x += step;
        if (fabs(step) < 1e-9) break;
    }
    return x;
}

/* A number that float holds exactly, so that both builds start from the same. */
static double rounded(double x) {
    return (double)(float)x;
}

static double *make_normals(int64_t n, uint64_t seed) {
    double *p = ft_test_alloc((size_t)n * sizeof *p);
    ft_rng rng = ft_rng_stream(seed, 0);
    if (n > MOST_QUANTILES) {
        for (int64_t i = 0; i < n; i++)
            p[i] = rounded(2 * (ft_rng_uniform(&rng) + ft_rng_uniform(&rng) + ft_rng_uniform(&rng)) - 3);
        return p;
    }
    int32_t *order = ft_test_alloc((size_t)n * sizeof *order);
    for (int32_t i = 0; i < n; i++) order[i] = i;
    ft_rng_shuffle(&rng, order, (int32_t)n);
    for (int64_t i = 0; i < n; i++) {
        double jitter = 0.25 + 0.5 * ft_rng_uniform(&rng);
        p[i] = rounded(normal_quantile((order[i] + jitter) / (double)n));
    }
    free(order);
    return p;
}

/* Every rig of a case, on each instruction set, asks for the same ones. */
double *ft_test_normals(int64_t n, uint64_t seed) {
    enum { KEPT = 16 };
    static struct {
        int64_t n;
        uint64_t seed;
        double *p;
    } kept[KEPT];
    static int oldest;
    int i = 0;
    while (i < KEPT && !(kept[i].p && kept[i].n == n && kept[i].seed == seed)) i++;
    if (i == KEPT) {
        i = oldest;
        oldest = (oldest + 1) % KEPT;
        free(kept[i].p);
        kept[i].n = n;
        kept[i].seed = seed;
        kept[i].p = make_normals(n, seed);
    }
    double *copy = ft_test_alloc((size_t)n * sizeof *copy);
    memcpy(copy, kept[i].p, (size_t)n * sizeof *copy);
    return copy;
}

static double *fill_normal(int64_t n, uint64_t seed) {
    double *p = ft_test_normals(n, seed);
    for (int64_t i = 0; i < n; i++) p[i] = rounded(p[i] + copysign(0.05, p[i]));
    return p;
}

static void fill_simplex(double *p, ft_shape s, ft_rng *rng) {
    for (int64_t r = 0; r < ft_shape_rows(s); r++, p += s.c) {
        double sum = 0;
        for (int32_t k = 0; k < s.c; k++) sum += p[k] = 0.05 + ft_rng_uniform(rng);
        for (int32_t k = 0; k < s.c; k++) p[k] = rounded(p[k] / sum);
    }
}

double *ft_test_fill(ft_fill fill, ft_shape s, int32_t classes, uint64_t seed) {
    int64_t n = ft_shape_size(s);
    if (fill == FT_FILL_NORMAL) return fill_normal(n, seed);
    double *p = ft_test_alloc((size_t)n * sizeof *p);
    ft_rng rng = ft_rng_stream(seed, 0);
    if (fill == FT_FILL_SIMPLEX) {
        fill_simplex(p, s, &rng);
        return p;
    }
    for (int64_t i = 0; i < n; i++) {
        double u = ft_rng_uniform(&rng);
        if (fill == FT_FILL_POSITIVE)
            p[i] = rounded(0.5 + 1.5 * u);
        else if (fill == FT_FILL_BINARY)
            p[i] = u < 0.5;
        else
            p[i] =
                i > 0 && ft_rng_uniform(&rng) < 0.125 ? -1 : floor(u * classes); /* never are all ignored */
    }
    return p;
}

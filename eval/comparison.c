#include "eval/comparison.h"

#include "eval/bootstrap.h"

#include <math.h>
#include <stdlib.h>

double ft_binomial_two_sided(int64_t fewer, int64_t n) {
    double sum = 0, all = lgamma((double)n + 1) - (double)n * log(2);
    for (int64_t i = 0; i <= fewer; i++) /* the smallest terms first */
        sum += exp(all - lgamma((double)i + 1) - lgamma((double)(n - i) + 1));
    return fmin(1, 2 * sum);
}

static void count(ft_comparison *c, int32_t k, const float *a, const float *b, const int32_t *label) {
    for (int64_t i = 0; i < c->n; i++) {
        bool right_a = ft_argmax(a + i * k, k) == label[i], right_b = ft_argmax(b + i * k, k) == label[i];
        c->both_right += right_a && right_b;
        c->only_a += right_a && !right_b;
        c->only_b += right_b && !right_a;
        c->both_wrong += !right_a && !right_b;
    }
    int64_t fewer = c->only_a < c->only_b ? c->only_a : c->only_b;
    c->mcnemar_p = ft_binomial_two_sided(fewer, c->only_a + c->only_b);
}

/* The draws depend on the labels alone: replicate r of both is of the same rows. */
static ft_err differences(ft_comparison *c, const ft_bootstrap *a, const ft_bootstrap *b) {
    int32_t n = a->replicates;
    double *x = ft_alloc((size_t)n, sizeof *x);
    FT_REQUIRE(x, MEMORY, "no memory for %d replicates", n);
    for (int i = 0; i < FT_N_METRICS; i++) {
        for (int32_t r = 0; r < n; r++)
            x[r] = b->values[(int64_t)r * FT_N_METRICS + i] - a->values[(int64_t)r * FT_N_METRICS + i];
        c->difference[i] = ft_metric_value(&c->b, i) - ft_metric_value(&c->a, i);
        c->interval[i] = ft_percentile_interval(x, n, FT_BOOTSTRAP_LEVEL);
    }
    free(x);
    return FT_OK;
}

ft_err ft_comparison_compute(ft_comparison *c, int64_t n, int32_t k, const float *prob_a, const float *prob_b,
                             const int32_t *label, int32_t replicates, uint64_t seed) {
    *c = (ft_comparison){.n = n};
    ft_bootstrap a = {0}, b = {0};
    ft_err e = ft_metrics_compute(&c->a, n, k, prob_a, label);
    if (e == FT_OK) e = ft_metrics_compute(&c->b, n, k, prob_b, label);
    if (e == FT_OK) e = ft_bootstrap_run(&a, n, k, prob_a, label, replicates, seed);
    if (e == FT_OK) e = ft_bootstrap_run(&b, n, k, prob_b, label, replicates, seed);
    if (e == FT_OK) e = differences(c, &a, &b);
    if (e == FT_OK)
        count(c, k, prob_a, prob_b, label);
    else
        ft_comparison_free(c);
    ft_bootstrap_free(&a);
    ft_bootstrap_free(&b);
    return e;
}

void ft_comparison_free(ft_comparison *c) {
    ft_metrics_free(&c->a);
    ft_metrics_free(&c->b);
    *c = (ft_comparison){0};
}

/* Two models on the same rows: is one better, or is it chance? */
#ifndef FACET_EVAL_COMPARISON_H
#define FACET_EVAL_COMPARISON_H

#include "eval/metrics.h"

typedef struct ft_comparison {
    int64_t n, both_right, only_a, only_b, both_wrong; /* rows by who names the class rightly */
    double mcnemar_p; /* two-sided exact probability of so uneven a share of only_a and only_b if both models
                         were equally good: McNemar's test by the binomial distribution (statsmodels' mcnemar,
                         exact=True) */
    ft_metrics a, b;
    double difference[FT_N_METRICS]; /* b - a; NaN where one is undefined */
    ft_interval
        interval[FT_N_METRICS]; /* of the difference: paired bootstrap, both models on the same draws */
} ft_comparison;

/* Of prob_a, prob_b (n, k) and label (n). Release with ft_comparison_free. Errors as ft_metrics_compute; *c
 * then needs no free. */
ft_err ft_comparison_compute(ft_comparison *c, int64_t n, int32_t k, const float *prob_a, const float *prob_b,
                             const int32_t *label, int32_t replicates, uint64_t seed);
void ft_comparison_free(ft_comparison *c);

/* The probability of at most `fewer` heads among n fair coins, twice, at most 1; 1 for n = 0. fewer <= n / 2.
 */
double ft_binomial_two_sided(int64_t fewer, int64_t n);

#endif

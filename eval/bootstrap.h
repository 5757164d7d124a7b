/* How far numbers of a set can be trusted: the bootstrap. The rows are drawn anew with replacement, many
 * times, and the numbers computed of each draw; the middle 95 % of them are the interval (Efron, Tibshirani
 * 1993, chapter 13).
 *
 * Stratified: as many rows of every class are drawn as there are, so a rare class is in each draw. Draws
 * depend on the seed, the classes of the rows and the number of the draw alone; so two models evaluated on
 * the same rows are drawn alike, and their differences can be compared pair by pair.
 *
 * An interval of zero width says that no draw differs, as with no mistake at all; not that the number is
 * certain.
 */
#ifndef FACET_EVAL_BOOTSTRAP_H
#define FACET_EVAL_BOOTSTRAP_H

#include "eval/head_result.h"

/* What all the draws gave: values[r * FT_N_METRICS + metric]. */
typedef struct ft_bootstrap {
    int32_t replicates;
    double *values;
} ft_bootstrap;

/* Of prob (n, k) and label (n), as ft_metrics_compute takes them. FT_E_MEMORY: *b needs no free. */
ft_err ft_bootstrap_run(ft_bootstrap *b, int64_t n, int32_t k, const float *prob, const int32_t *label,
                        int32_t replicates, uint64_t seed);
void ft_bootstrap_free(ft_bootstrap *b);

/* Gives *m, computed of the same rows, its intervals. FT_E_MEMORY: it has none. */
ft_err ft_metrics_intervals(ft_metrics *m, const float *prob, const int32_t *label, int32_t replicates,
                            uint64_t seed);
/* The intervals of the numbers of a head that is not one of classes, in the order of ft_head_numbers, its
 * rows as one stratum. FT_E_MEMORY: there are none. */
ft_err ft_head_intervals(const ft_head_result *h, int32_t replicates, uint64_t seed,
                         ft_interval interval[FT_HEAD_NUMBERS]);

#endif

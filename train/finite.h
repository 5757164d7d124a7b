/* Numbers that are none: found at the step where they appear, and named.
 *
 * After the forward pass the loss is looked at, after the backward pass every gradient, after the update
 * every weight and statistic: 2 x 4 bytes read for each parameter and step, a few milliseconds of
 * Inception-v3's seconds.
 */
#ifndef FACET_TRAIN_FINITE_H
#define FACET_TRAIN_FINITE_H

#include "train/run.h"

/* Whether all n numbers are finite. */
bool ft_all_finite(const ft_real *p, int64_t n);

/* FT_E_NUMERIC names the parameter: the one nearest to the loss whose gradient, or the first whose value, is
 * not finite. */
ft_err ft_finite_gradients(const ft_run *r);
ft_err ft_finite_parameters(const ft_run *r);

/* The loss of the phase's plan, just run on n images with this seed, is not finite: FT_E_NUMERIC names a
 * parameter or else the first node whose output is not. Runs the network once more with all outputs kept;
 * statistics are updated by it. */
ft_err ft_finite_blame(ft_run *r, int32_t n, uint64_t seed);

/* The statistics that a forward pass changes, so that a step can be undone. */
typedef struct ft_statistics {
    ft_real *kept;
    int64_t n;
} ft_statistics;

/* Remembers them; room is made at the first time. FT_E_MEMORY. */
ft_err ft_statistics_keep(ft_statistics *s, const ft_run *r);
void ft_statistics_restore(const ft_statistics *s, ft_run *r);
void ft_statistics_free(ft_statistics *s);

#endif

/* Exponential moving average of the weights, for evaluation: shadow = d shadow + (1 - d) live after every
 * step.
 *
 * TensorFlow's ExponentialMovingAverage with num_updates: d = min(decay, (1 + t) / (10 + t)) in update t = 0,
 * 1, ..., so that the average forgets the untrained start quickly and an early evaluation means something.
 * Give it the trainable weights and the running statistics of batch norm alike: they belong together.
 */
#ifndef FACET_OPTIM_EMA_H
#define FACET_OPTIM_EMA_H

#include "tensor/error.h"
#include "tensor/view.h"

typedef struct ft_ema_array {
    ft_real *p; /* n live numbers; the caller's, outlives the average */
    int64_t n;
} ft_ema_array;

typedef struct ft_ema ft_ema;

/* The average starts as a copy of what is live: load pretrained weights first. decay is in [0, 1): near 1 -
 * 1/steps averaged over. FT_E_USAGE, FT_E_MEMORY; then *out is NULL. */
ft_err ft_ema_new(double decay, int32_t n_arrays, const ft_ema_array arrays[], ft_ema **out);
void ft_ema_free(ft_ema *e); /* NULL is fine; leaves live memory as it is, so swap back first */

/* After every optimiser step; not while swapped. */
void ft_ema_update(ft_ema *e);
/* Exchanges the average and the live numbers, to evaluate or save the average; again, to go on training with
 * the same bits. Plans that prepared something of the weights must be told each time: ft_graph_touch. */
void ft_ema_swap(ft_ema *e);
bool ft_ema_swapped(const ft_ema *e);

/* For checkpoints, not while swapped: with the updates done and every shadow, a new average goes on with the
 * same bits. */
int64_t ft_ema_updates(const ft_ema *e);
void ft_ema_set_updates(ft_ema *e, int64_t updates);
/* The average of array i, arrays[i].n numbers, contiguous, 64-byte aligned. */
ft_real *ft_ema_shadow(ft_ema *e, int32_t i);

#endif

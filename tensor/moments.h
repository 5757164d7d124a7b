/* Means and variances by channel, gathered chunk by chunk while a matrix is written or read.
 *
 * A chunk has [1 + 3c] numbers: how many rows it is (0: none came), then mean and m2 = sum (x - mean)^2 of
 * each channel, then the pivots. While rows are added the places of mean and m2 hold the sums of x - pivot
 * and of its square, the pivot being the chunk's first row. That bounds what cancels in the end: the pivot's
 * own (x - mean)^2 is part of m2, so the square of the sum is at most rows * m2, and the relative error of m2
 * about as many epsilons as the chunk has rows.
 */
#ifndef FACET_TENSOR_MOMENTS_H
#define FACET_TENSOR_MOMENTS_H

#include "tensor/kernels.h"

static inline size_t ft_moments_size(int64_t chunks, int32_t c) {
    return (size_t)(chunks * (1 + 3 * (int64_t)c));
}
static inline ft_real *ft_moments_chunk(const ft_moments *m, int64_t chunk) {
    return m->p + chunk * (1 + 3 * (int64_t)m->c);
}

/* The channels from `channel` on, c of them, of a chunk. */
ft_moment_sums ft_moments_begin(const ft_moments *m, int64_t chunk, int32_t channel, int32_t c);
/* Turns the sums of `rows` rows into mean and m2. */
void ft_moments_end(const ft_moments *m, int64_t chunk, int64_t rows, int32_t c, const ft_moment_sums *s);
/* Of a smaller batch than memory was sized for: nothing came in the chunks from `first` on. */
void ft_moments_skip(const ft_moments *m, int64_t first);

#endif

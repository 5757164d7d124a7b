/* Sums over pixels by channel, and their inverse, an affine map by channel over all pixels. */
#ifndef FACET_LAYERS_COLUMN_SUM_H
#define FACET_LAYERS_COLUMN_SUM_H

#include "tensor/op.h"

/* sum[k] = beta*sum[k] + the sum of column k of v: the gradient of a bias. Chunks of rows by shape, added in
 * their order, in double. scratch: aligned for double. */
void ft_column_sum(const ft_view *v, ft_real *sum, ft_real beta, ft_real *scratch);
/* Elements of scratch for a matrix of `rows` x c. */
size_t ft_column_sum_scratch(int64_t rows, int32_t c);

/* v = scale*v + shift by channel (NULL: 1 and 0), then max(v, 0) if relu. */
void ft_affine_rows(const ft_view *v, const ft_real *scale, const ft_real *shift, bool relu);

#endif

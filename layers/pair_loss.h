/* Losses that are the mean of f(x, y) over the elements of two matrices of one shape.
 *
 *     loss = 1/N * sum f(x, y),  dx = 1/N * df/dx
 *
 * An op gives f and df/dx for a row of c elements; this adds up, in double and in the order of the chunks,
 * and divides.
 */
#ifndef FACET_LAYERS_PAIR_LOSS_H
#define FACET_LAYERS_PAIR_LOSS_H

#include "tensor/op.h"

/* The sum of f over c elements; what it leaves out it takes off *counted, which comes in as c. param is the
 * op's own. */
typedef double ft_pair_sum(int32_t c, const ft_real *x, const ft_real *y, double param, int64_t *counted);
/* dx = scale * df/dx for c elements, or added to dx if add. */
typedef void ft_pair_slope(int32_t c, const ft_real *x, const ft_real *y, double param, ft_real scale,
                           bool add, ft_real *dx);

/* ft_op.shape: inputs 0 and 1 have one shape, output 0 is a number; asks for the scratch that forward wants.
 */
ft_err ft_pair_loss_shape(const ft_build *b, ft_shape out[], ft_mem *mem);
/* Writes the loss (0 if nothing counted) and returns N. */
int64_t ft_pair_loss_forward(const ft_call *call, ft_pair_sum *sum, double param);
/* The gradient of input i: sign * dout/N * slope. Does nothing when it is not wanted. */
void ft_pair_loss_backward(const ft_call *call, int32_t i, ft_pair_slope *slope, double param, int64_t n,
                           int32_t sign);

#endif

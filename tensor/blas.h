/* Products of matrices and vectors of ft_real.
 *
 * The matrix product is OpenBLAS's, kept to one thread: with more, its bits depend on how many there are.
 */
#ifndef FACET_TENSOR_BLAS_H
#define FACET_TENSOR_BLAS_H

#include "tensor/view.h"

/* C = alpha * A' B' + beta * C, all row-major; A' is m x k, B' is k x n, C is m x n. trans_a: A is stored k x
 * m; trans_b: B is stored n x k. A leading dimension is at least the stored matrix's columns and below 2^31.
 * With beta = 0 C may hold garbage, NaN included. Same bits for any number of threads. Not from inside
 * ft_par_for. */
void ft_gemm(bool trans_a, bool trans_b, int32_t m, int32_t n, int32_t k, ft_real alpha, const ft_real *a,
             int64_t lda, const ft_real *b, int64_t ldb, ft_real beta, ft_real *c, int64_t ldc);

/* Sum of x[i] * y[i] over n elements, in an order that depends on n alone. */
ft_real ft_dot(int32_t n, const ft_real *x, const ft_real *y);

#endif

/* What an optimiser's step needs of the whole gradient before anything is changed. */
#include "tensor/kern_vector.h"

#include <math.h>

enum { DOUBLES = VECTOR_BYTES / sizeof(double), CHAINS = 4 };
typedef double wide __attribute__((vector_size(VECTOR_BYTES)));
typedef int64_t wide_mask __attribute__((vector_size(VECTOR_BYTES)));
typedef ft_real narrow
    __attribute__((vector_size(DOUBLES * sizeof(ft_real)), aligned(sizeof(ft_real)), may_alias));

/* The clamped squares of n <= DOUBLES numbers onto *sum, and onto *poison y - y, which is 0 of a number and
 * NaN of a NaN and of an infinity. */
INLINE void add_squares(int n, const ft_real *x, ft_real scale, ft_real limit, bool limited, wide *sum,
                        wide *poison) {
    narrow v = {0};
    if (n == DOUBLES)
        v = *(const narrow *)x;
    else
        memcpy(&v, x, (size_t)n * sizeof *x);
    wide y = __builtin_convertvector(v * scale, wide), top = (wide){0} + (double)limit;
    *poison += y - y;
    if (limited) {
        wide_mask over = (wide_mask)(y > top), under = (wide_mask)(y < -top);
        y = (wide)((over & (wide_mask)top) | (under & (wide_mask)-top) | (~(over | under) & (wide_mask)y));
    }
    *sum += y * y;
}

INLINE double clamped_squares(int64_t n, const ft_real *x, ft_real scale, ft_real limit, bool limited) {
    wide sum[CHAINS] = {{0}}, poison[CHAINS] = {{0}};
    int64_t i = 0;
    for (; i + CHAINS * DOUBLES <= n; i += CHAINS * DOUBLES)
        UNROLL for (int j = 0; j < CHAINS; j++)
            add_squares(DOUBLES, x + i + j * DOUBLES, scale, limit, limited, &sum[j], &poison[j]);
    for (; i < n; i += DOUBLES)
        add_squares(n - i < DOUBLES ? (int)(n - i) : DOUBLES, x + i, scale, limit, limited, &sum[0],
                    &poison[0]);
    wide all = ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((poison[0] + poison[1]) + (poison[2] + poison[3]));
    double total = 0;
    for (int j = 0; j < DOUBLES; j++) total += all[j];
    return total;
}

static double squares(int64_t n, const ft_real *x, ft_real scale, ft_real limit) {
    if (isfinite(limit)) return clamped_squares(n, x, scale, limit, true);
    return clamped_squares(n, x, scale, limit, false);
}

const ft_update_kernels FT_KERN_TABLE(update) = {.squares = squares};

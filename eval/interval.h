/* Intervals of what was drawn many times. */
#ifndef FACET_EVAL_INTERVAL_H
#define FACET_EVAL_INTERVAL_H

#include <stdint.h>
#include <stdio.h>

typedef struct ft_interval {
    double low, high; /* NaN: none */
} ft_interval;

/* How the intervals of results are made, unless something else is asked for. */
enum { FT_BOOTSTRAP_REPLICATES = 1000, FT_BOOTSTRAP_SEED = 1 };
#define FT_BOOTSTRAP_LEVEL 0.95

/* From the quantile (1 - level)/2 to the quantile (1 + level)/2 of x (n), straight between order statistics
 * (numpy's percentile); x is sorted. NaN when one of them is. */
ft_interval ft_percentile_interval(double *x, int32_t n, double level);
/* The same of column `column` of values (n, columns), which stay as they are; scratch (n). */
ft_interval ft_column_interval(const double *values, int32_t n, int32_t columns, int32_t column,
                               double *scratch);

/* As results are written: x alone, or with its interval {"value": x, "low": a, "high": b}. */
void ft_json_interval(FILE *f, double x, ft_interval interval);

#endif

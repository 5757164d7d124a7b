#include "eval/interval.h"

#include "tensor/escape.h"

#include <math.h>
#include <stdlib.h>

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(const double *x, int32_t n, double q) {
    double at = q * (n - 1);
    int32_t i = (int32_t)at;
    return i + 1 < n ? x[i] + (at - i) * (x[i + 1] - x[i]) : x[n - 1];
}

ft_interval ft_percentile_interval(double *x, int32_t n, double level) {
    for (int32_t i = 0; i < n; i++)
        if (isnan(x[i])) return (ft_interval){NAN, NAN};
    qsort(x, (size_t)n, sizeof *x, ascending);
    return (ft_interval){quantile(x, n, (1 - level) / 2), quantile(x, n, (1 + level) / 2)};
}

ft_interval ft_column_interval(const double *values, int32_t n, int32_t columns, int32_t column,
                               double *scratch) {
    for (int32_t r = 0; r < n; r++) scratch[r] = values[(int64_t)r * columns + column];
    return ft_percentile_interval(scratch, n, FT_BOOTSTRAP_LEVEL);
}

void ft_json_interval(FILE *f, double x, ft_interval interval) {
    if (isnan(interval.low)) {
        ft_json_number(f, x);
        return;
    }
    fputs("{\"value\": ", f);
    ft_json_number(f, x);
    fputs(", \"low\": ", f);
    ft_json_number(f, interval.low);
    fputs(", \"high\": ", f);
    ft_json_number(f, interval.high);
    fputc('}', f);
}

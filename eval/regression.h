/* Numbers against numbers, named and defined as scikit-learn's (sklearn.metrics). */
#ifndef FACET_EVAL_REGRESSION_H
#define FACET_EVAL_REGRESSION_H

#include <stdint.h>

typedef struct ft_regression {
    int64_t n;
    double mae, rmse; /* mean absolute error; root of the mean squared one */
    double
        r2; /* 1 - squared errors / squared distances from the truth's mean; NaN if the truth is constant */
    double correlation;                         /* Pearson's; NaN if truth or prediction is constant */
    const char *r2_reason, *correlation_reason; /* why NaN, else NULL */
} ft_regression;

/* Of n >= 1 predictions and truths, in double. */
void ft_regression_compute(ft_regression *r, int64_t n, const float *prediction, const float *truth);

#endif

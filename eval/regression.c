#include "eval/regression.h"

#include <math.h>
#include <stddef.h>

void ft_regression_compute(ft_regression *r, int64_t n, const float *prediction, const float *truth) {
    double sum_p = 0, sum_t = 0, absolute = 0, squared = 0, pp = 0, tt = 0, pt = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = (double)prediction[i] - (double)truth[i];
        sum_p += (double)prediction[i];
        sum_t += (double)truth[i];
        absolute += fabs(d);
        squared += d * d;
    }
    double mean_p = sum_p / (double)n, mean_t = sum_t / (double)n;
    for (int64_t i = 0; i < n; i++) {
        double p = (double)prediction[i] - mean_p, t = (double)truth[i] - mean_t;
        pp += p * p;
        tt += t * t;
        pt += p * t;
    }
    *r = (ft_regression){.n = n, .mae = absolute / (double)n, .rmse = sqrt(squared / (double)n)};
    r->r2_reason = tt > 0 ? NULL : "the truth is the same everywhere";
    r->correlation_reason = r->r2_reason ? r->r2_reason
                            : pp > 0     ? NULL
                                         : "the prediction is the same everywhere";
    r->r2 = r->r2_reason ? NAN : 1 - squared / tt;
    r->correlation = r->correlation_reason ? NAN : pt / sqrt(pp * tt);
}

/* Oracles of normalisation and softmax: Keras's BatchNormalization, PyTorch's normalize and softmax. */
#include <math.h>

#include "layers/args.h"
#include "tests/op_harness.h"

enum { X, GAMMA, BETA, MEAN, VARIANCE };

void ft_oracle_batchnorm(ft_oracle *o) {
    const ft_batchnorm_args *a = o->args;
    ft_shape x = o->in[X].s;
    const double *p = o->in[X].p;
    int64_t rows = ft_shape_rows(x);
    double *y = ft_oracle_out(o, 0, x), *size = ft_oracle_scale(o, 0);
    double *new_mean = o->training ? ft_oracle_state(o, MEAN) : NULL;
    double *new_variance = o->training ? ft_oracle_state(o, VARIANCE) : NULL;
    o->terms = (double)rows;
    for (int32_t k = 0; k < x.c; k++) {
        double mean = 0, variance = 0, magnitude = 0;
        for (int64_t r = 0; r < rows; r++) mean += p[r * x.c + k] / (double)rows;
        for (int64_t r = 0; r < rows; r++) {
            double d = p[r * x.c + k] - mean;
            variance += d * d / (double)rows;
            magnitude += fabs(p[r * x.c + k]) / (double)rows;
        }
        if (o->training) {
            double kept = a->unbiased && rows > 1 ? variance * (double)rows / (double)(rows - 1) : variance;
            new_mean[k] = a->momentum * o->in[MEAN].p[k] + (1 - a->momentum) * mean;
            new_variance[k] = a->momentum * o->in[VARIANCE].p[k] + (1 - a->momentum) * kept;
        } else {
            mean = o->in[MEAN].p[k];
            variance = o->in[VARIANCE].p[k];
            magnitude = fabs(mean);
        }
        double gamma = ft_oracle_has(o, GAMMA) ? o->in[GAMMA].p[k] : 1;
        double beta = ft_oracle_has(o, BETA) ? o->in[BETA].p[k] : 0;
        double factor = gamma / sqrt(variance + a->epsilon);
        for (int64_t r = 0; r < rows; r++) {
            y[r * x.c + k] = factor * (p[r * x.c + k] - mean) + beta;
            size[r * x.c + k] = fabs(factor) * (fabs(p[r * x.c + k]) + magnitude) + fabs(beta);
        }
    }
}

void ft_oracle_l2_normalize(ft_oracle *o) {
    ft_shape x = o->in[0].s;
    double *y = ft_oracle_out(o, 0, x);
    o->terms = x.c;
    for (int64_t r = 0; r < ft_shape_rows(x); r++) {
        const double *p = o->in[0].p + r * x.c;
        double sum = 0;
        for (int32_t k = 0; k < x.c; k++) sum += p[k] * p[k];
        for (int32_t k = 0; k < x.c; k++) y[r * x.c + k] = p[k] / fmax(sqrt(sum), 1e-12);
    }
}

void ft_oracle_softmax(ft_oracle *o) {
    ft_shape x = o->in[0].s;
    double *y = ft_oracle_out(o, 0, x), *size = ft_oracle_scale(o, 0);
    o->terms = x.c;
    for (int64_t r = 0; r < ft_shape_rows(x); r++) {
        const double *p = o->in[0].p + r * x.c;
        double sum = 0, most = -INFINITY;
        for (int32_t k = 0; k < x.c; k++) most = fmax(most, p[k]);
        for (int32_t k = 0; k < x.c; k++) sum += exp(p[k] - most);
        for (int32_t k = 0; k < x.c; k++) {
            double share = exp(p[k] - most) / sum;
            y[r * x.c + k] = share;
            size[r * x.c + k] =
                share * (1 + fabs(p[k] - most)); /* exp turns absolute errors into relative ones */
        }
    }
}

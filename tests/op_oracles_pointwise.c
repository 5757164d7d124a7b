/* Oracles of ops that work element by element or only move elements. */
#include <math.h>

#include "layers/args.h"
#include "tests/op_harness.h"

/* Element by element with an error relative to the element itself. */
static void map(ft_oracle *o, double (*f)(double x, const void *args)) {
    double *y = ft_oracle_out(o, 0, o->in[0].s), *size = ft_oracle_scale(o, 0);
    for (int64_t e = 0; e < ft_shape_size(o->in[0].s); e++) {
        y[e] = f(o->in[0].p[e], o->args);
        size[e] = fabs(y[e]);
    }
}

static double relu(double x, const void *args) {
    (void)args;
    return x > 0 ? x : 0;
}
static double leaky_relu(double x, const void *args) {
    return x > 0 ? x : ((const ft_leaky_relu_args *)args)->slope * x;
}
static double sigmoid(double x, const void *args) {
    (void)args;
    return 1 / (1 + exp(-x));
}
static double hyperbolic_tangent(double x, const void *args) {
    (void)args;
    return tanh(x);
}

void ft_oracle_relu(ft_oracle *o) {
    map(o, relu);
}
void ft_oracle_leaky_relu(ft_oracle *o) {
    map(o, leaky_relu);
}
void ft_oracle_sigmoid(ft_oracle *o) {
    map(o, sigmoid);
}
void ft_oracle_tanh(ft_oracle *o) {
    map(o, hyperbolic_tangent);
}

void ft_oracle_add(ft_oracle *o) {
    double *y = ft_oracle_out(o, 0, o->in[0].s), *size = ft_oracle_scale(o, 0);
    for (int64_t e = 0; e < ft_shape_size(o->in[0].s); e++) {
        y[e] = o->in[0].p[e] + o->in[1].p[e];
        size[e] = fabs(y[e]);
    }
}

void ft_oracle_mul_channel(ft_oracle *o) {
    ft_shape x = o->in[0].s;
    double *y = ft_oracle_out(o, 0, x), *size = ft_oracle_scale(o, 0);
    int64_t e = 0;
    for (int32_t i = 0; i < x.n; i++)
        for (int32_t pixel = 0; pixel < x.h * x.w; pixel++)
            for (int32_t k = 0; k < x.c; k++, e++) {
                y[e] = o->in[0].p[e] * o->in[1].p[i * x.c + k];
                size[e] = fabs(y[e]);
            }
}

void ft_oracle_concat(ft_oracle *o) {
    ft_shape y_shape = o->in[0].s;
    for (int32_t i = 1; i < o->n_in; i++) y_shape.c += o->in[i].s.c;
    double *y = ft_oracle_out(o, 0, y_shape);
    ft_oracle_scale(o, 0); /* 0: copies are exact */
    for (int64_t r = 0; r < ft_shape_rows(y_shape); r++)
        for (int32_t i = 0; i < o->n_in; i++)
            for (int32_t k = 0; k < o->in[i].s.c; k++) *y++ = o->in[i].p[r * o->in[i].s.c + k];
}

void ft_oracle_flatten(ft_oracle *o) {
    ft_shape x = o->in[0].s;
    double *y = ft_oracle_out(o, 0, (ft_shape){x.n, 1, 1, x.h * x.w * x.c});
    ft_oracle_scale(o, 0);
    for (int64_t e = 0; e < ft_shape_size(x); e++) y[e] = o->in[0].p[e];
}

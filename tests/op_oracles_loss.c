/* Oracles of the losses: one number, the mean over what counts. */
#include <math.h>

#include "layers/args.h"
#include "tests/op_harness.h"

/* The weighted mean in `loss`; its magnitude beside it. */
static void finish(ft_oracle *o, double loss, double magnitude, double weight) {
    double *y = ft_oracle_out(o, 0, (ft_shape){1, 1, 1, 1}), *size = ft_oracle_scale(o, 0);
    *y = weight > 0 ? loss / weight : 0;
    *size = weight > 0 ? magnitude / weight : 0;
}

/* PyTorch's cross_entropy(ignore_index=-1, label_smoothing=eps, weight=w): target = (1-eps)*label + eps/c,
 * and the loss of a sample is -sum w_k target_k log softmax_k. The mean is over sum w_label for class
 * numbers, over n for probabilities. */
void ft_oracle_softmax_cross_entropy(ft_oracle *o) {
    double eps = ((const ft_softmax_ce_args *)o->args)->label_smoothing;
    ft_shape x = o->in[0].s;
    bool classes = o->in[1].s.c == 1;
    double loss = 0, magnitude = 0, total = 0;
    o->terms = x.c + x.n;
    o->no_gradient = FT_IN(1) | FT_IN(2);
    for (int32_t i = 0; i < x.n; i++) {
        const double *z = o->in[0].p + (int64_t)i * x.c, *weight = ft_oracle_has(o, 2) ? o->in[2].p : NULL;
        double most = -INFINITY, sum = 0;
        int32_t label = classes ? (int32_t)o->in[1].p[i] : 0;
        if (label == -1) continue;
        for (int32_t k = 0; k < x.c; k++) most = fmax(most, z[k]);
        for (int32_t k = 0; k < x.c; k++) sum += exp(z[k] - most);
        for (int32_t k = 0; k < x.c; k++) {
            double p = classes ? (double)(k == label) : o->in[1].p[(int64_t)i * x.c + k];
            double target = ((1 - eps) * p + eps / x.c) * (weight ? weight[k] : 1);
            loss += target * (most + log(sum) - z[k]);
            magnitude += target * (fabs(most) + log(sum) + fabs(z[k]));
        }
        total += classes && weight ? weight[label] : 1;
    }
    finish(o, loss, magnitude, total);
}

/* Of every row the score of its class, added up. */
void ft_oracle_class_score(ft_oracle *o) {
    ft_shape z = o->in[0].s;
    double sum = 0, magnitude = 0;
    o->terms = z.n;
    o->no_gradient = FT_IN(1);
    for (int32_t i = 0; i < z.n; i++)
        for (int32_t k = 0; k < z.c; k++) {
            double chosen = (double)k == o->in[1].p[i] ? o->in[0].p[(int64_t)i * z.c + k] : 0;
            sum += chosen;
            magnitude += fabs(chosen);
        }
    finish(o, sum, magnitude, 1);
}

void ft_oracle_binary_cross_entropy(ft_oracle *o) {
    int64_t n = ft_shape_size(o->in[0].s);
    double loss = 0, magnitude = 0, total = 0;
    o->terms = (double)n;
    o->no_gradient = FT_IN(1);
    for (int64_t e = 0; e < n; e++) {
        double x = o->in[0].p[e], z = o->in[1].p[e];
        if (z == -1) continue;
        /* -log of the sigmoid of x, and of -x */
        double yes = fmax(-x, 0) + log1p(exp(-fabs(x))), no = fmax(x, 0) + log1p(exp(-fabs(x)));
        loss += z * yes + (1 - z) * no;
        magnitude += fabs(x) + 1;
        total += 1;
    }
    finish(o, loss, magnitude, total);
}

void ft_oracle_mean_squared_error(ft_oracle *o) {
    int64_t n = ft_shape_size(o->in[0].s);
    double loss = 0, magnitude = 0;
    o->terms = (double)n;
    for (int64_t e = 0; e < n; e++) {
        double x = o->in[0].p[e], y = o->in[1].p[e];
        loss += (x - y) * (x - y);
        magnitude += fabs(x - y) * (fabs(x) + fabs(y));
    }
    finish(o, loss, magnitude, (double)n);
}

void ft_oracle_huber(ft_oracle *o) {
    double delta = ((const ft_huber_args *)o->args)->delta;
    int64_t n = ft_shape_size(o->in[0].s);
    double loss = 0, magnitude = 0;
    o->terms = (double)n;
    for (int64_t e = 0; e < n; e++) {
        double x = o->in[0].p[e], y = o->in[1].p[e], d = fabs(x - y);
        loss += d <= delta ? d * d / 2 : delta * (d - delta / 2);
        magnitude += fmin(d, delta) * (fabs(x) + fabs(y)) + delta * delta;
    }
    finish(o, loss, magnitude, (double)n);
}

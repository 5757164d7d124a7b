/* Binary cross entropy of logits, the mean over the N labels that are not -1; as
 * torch.nn.functional.binary_cross_entropy_with_logits.
 *
 *     loss = 1/N * sum max(x, 0) - x*y + log(1 + exp(-|x|)), 0 if N = 0
 *     dx   = 1/N * (sigmoid(x) - y), 0 where the label is -1
 *
 * A label that is neither -1 nor in 0 .. 1 makes the loss and its own gradient NaN: a step cannot fail.
 * Labels get no gradient. Backward reads x, y and, saved, N.
 */
#include "layers/layers.h"
#include "layers/pair_loss.h"

#include <math.h>

/* 0 or NaN. */
static double invalid(ft_real label) {
    return label >= 0 && label <= 1 ? 0 : NAN;
}

static double sum(int32_t c, const ft_real *x, const ft_real *y, double param, int64_t *counted) {
    (void)param;
    double total = 0;
    for (int32_t k = 0; k < c; k++) {
        if (y[k] == -1) {
            --*counted;
            continue;
        }
        double z = (double)x[k];
        total += (z < 0 ? 0 : z) - z * (double)y[k] + log1p(exp(-fabs(z))) + invalid(y[k]);
    }
    return total;
}

static void slope(int32_t c, const ft_real *x, const ft_real *y, double param, ft_real scale, bool add,
                  ft_real *dx) {
    (void)param;
    for (int32_t k = 0; k < c; k++) {
        double e = exp(-fabs((double)x[k])), sigmoid = (x[k] < 0 ? e : 1) / (1 + e);
        double d = y[k] == -1 ? 0 : sigmoid - (double)y[k] + invalid(y[k]);
        dx[k] = (add ? dx[k] : 0) + scale * (ft_real)d;
    }
}

static void forward(const ft_call *call) {
    int64_t n = ft_pair_loss_forward(call, sum, 0);
    if (call->saved) *(int64_t *)call->saved = n;
}

static void backward(const ft_call *call) {
    ft_pair_loss_backward(call, 0, slope, 0, *(const int64_t *)call->saved, 1);
}

static ft_err shape(const ft_build *b, ft_shape out[], ft_mem *mem) {
    if (b->training) mem->saved = sizeof(int64_t);
    return ft_pair_loss_shape(b, out, mem);
}

static const ft_case cases[] = {
    {"17 labels", .in = {{5, 1, 1, 17}, {5, 1, 1, 17}}, .fill = {FT_FILL_NORMAL, FT_FILL_BINARY}},
    {"probabilities", .in = {{3, 1, 1, 48}, {3, 1, 1, 48}}, .fill = {FT_FILL_NORMAL, FT_FILL_SIMPLEX}},
    /* class numbers of two classes: 0, 1 and, ignored, -1 */
    {"some ignored", .in = {{19, 1, 1, 2}, {19, 1, 1, 2}}, .fill = {FT_FILL_NORMAL, FT_FILL_CLASS}},
    {"one label, batch 1", .in = {{1, 1, 1, 1}, {1, 1, 1, 1}}, .fill = {FT_FILL_NORMAL, FT_FILL_BINARY}},
    {"inference", .in = {{7, 1, 1, 2}, {7, 1, 1, 2}}, .fill = {FT_FILL_NORMAL, FT_FILL_CLASS}, .infer = true},
    {"two chunks", .in = {{33, 1, 1, 1000}, {33, 1, 1, 1000}}, .fill = {FT_FILL_NORMAL, FT_FILL_BINARY},
     .large = true},
    {0},
};

const ft_op ft_op_binary_cross_entropy = {
    .name = "binary_cross_entropy",
    .n_in = 2,
    .n_out = 1,
    .flags = FT_LOSS,
    .needs = {FT_IN(0) | FT_IN(1) | FT_SAVED, FT_NO_GRADIENT},
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .cases = cases,
};

ft_val ft_binary_cross_entropy(ft_graph *g, ft_val logits, ft_val labels, const char *name) {
    return ft_apply(g, &ft_op_binary_cross_entropy, name, NULL, 2, (ft_val[]){logits, labels});
}

/* Huber loss: loss = 1/N * sum h(x - y) over all N elements; h(d) = |d| <= delta ? d^2/2 : delta * (|d| -
 * delta/2), as torch.nn.functional.huber_loss.
 *
 *     dx = 1/N * clip(x - y, -delta, delta),  dy = -dx
 *
 * Backward reads x and y.
 */
#include "layers/args.h"
#include "layers/pair_loss.h"

#include <math.h>

static double sum(int32_t c, const ft_real *x, const ft_real *y, double delta, int64_t *counted) {
    (void)counted;
    double total = 0;
    for (int32_t k = 0; k < c; k++) {
        double d = fabs((double)x[k] - (double)y[k]);
        total += d <= delta ? d * d / 2 : delta * (d - delta / 2);
    }
    return total;
}

static void slope(int32_t c, const ft_real *x, const ft_real *y, double delta, ft_real scale, bool add,
                  ft_real *restrict dx) {
    ft_real limit = (ft_real)delta;
    for (int32_t k = 0; k < c; k++) {
        ft_real d = x[k] - y[k];
        d = d > limit ? limit : d < -limit ? -limit : d;
        dx[k] = (add ? dx[k] : 0) + scale * d;
    }
}

static double delta_of(const ft_call *call) {
    return ((const ft_huber_args *)call->args)->delta;
}

static void forward(const ft_call *call) {
    ft_pair_loss_forward(call, sum, delta_of(call));
}

static void backward(const ft_call *call) {
    int64_t n = ft_rows(&call->in[0]) * call->in[0].c;
    ft_pair_loss_backward(call, 0, slope, delta_of(call), n, 1);
    ft_pair_loss_backward(call, 1, slope, delta_of(call), n, -1);
}

static ft_err shape(const ft_build *b, ft_shape out[], ft_mem *mem) {
    double delta = ((const ft_huber_args *)b->args)->delta;
    FT_REQUIRE(delta > 0 && isfinite(delta), GRAPH, "delta must be positive, not %g", delta);
    return ft_pair_loss_shape(b, out, mem);
}

#define DELTA(delta)         \
    &(const ft_huber_args) { \
        delta                \
    }
static const ft_case cases[] = {
    {"delta 1", .in = {{5, 1, 1, 17}, {5, 1, 1, 17}}, .args = DELTA(1)},
    {"delta 0.3", .in = {{2, 5, 7, 3}, {2, 5, 7, 3}}, .args = DELTA(0.3)},
    {"all quadratic", .in = {{3, 1, 1, 48}, {3, 1, 1, 48}}, .args = DELTA(100)},
    {"one channel, batch 1", .in = {{1, 1, 1, 1}, {1, 1, 1, 1}}, .args = DELTA(0.7)},
    {"four chunks", .in = {{4, 31, 33, 13}, {4, 31, 33, 13}}, .args = DELTA(1), .large = true},
    {0},
};

const ft_op ft_op_huber = {
    .name = "huber",
    .n_in = 2,
    .n_out = 1,
    .args_size = sizeof(ft_huber_args),
    .flags = FT_LOSS,
    .needs = {FT_IN(0) | FT_IN(1), FT_IN(0) | FT_IN(1)},
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .cases = cases,
};

ft_val ft_huber(ft_graph *g, ft_val x, ft_val y, float delta, const char *name) {
    ft_huber_args a = {.delta = delta == 0 ? 1 : (double)delta};
    return ft_apply(g, &ft_op_huber, name, &a, 2, (ft_val[]){x, y});
}

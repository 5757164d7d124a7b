/* Mean squared error: loss = 1/N * sum (x - y)^2 over all N elements.
 *
 *     dx = 2/N * (x - y),  dy = -dx
 *
 * Backward reads x and y.
 */
#include "layers/layers.h"
#include "layers/pair_loss.h"

static double sum(int32_t c, const ft_real *x, const ft_real *y, double param, int64_t *counted) {
    (void)param, (void)counted;
    double total = 0;
    for (int32_t k = 0; k < c; k++) {
        double d = (double)x[k] - (double)y[k];
        total += d * d;
    }
    return total;
}

static void slope(int32_t c, const ft_real *x, const ft_real *y, double param, ft_real scale, bool add,
                  ft_real *restrict dx) {
    (void)param;
    for (int32_t k = 0; k < c; k++) dx[k] = (add ? dx[k] : 0) + scale * (2 * (x[k] - y[k]));
}

static void forward(const ft_call *call) {
    ft_pair_loss_forward(call, sum, 0);
}

static void backward(const ft_call *call) {
    int64_t n = ft_rows(&call->in[0]) * call->in[0].c;
    ft_pair_loss_backward(call, 0, slope, 0, n, 1);
    ft_pair_loss_backward(call, 1, slope, 0, n, -1);
}

static const ft_case cases[] = {
    {"17 channels", .in = {{5, 1, 1, 17}, {5, 1, 1, 17}}},
    {"images", .in = {{2, 5, 7, 3}, {2, 5, 7, 3}}},
    {"one channel, batch 1", .in = {{1, 1, 1, 1}, {1, 1, 1, 1}}},
    {"one pixel, 48 channels", .in = {{1, 1, 1, 48}, {1, 1, 1, 48}}},
    {"four chunks", .in = {{4, 31, 33, 13}, {4, 31, 33, 13}}, .large = true},
    {0},
};

const ft_op ft_op_mean_squared_error = {
    .name = "mean_squared_error",
    .n_in = 2,
    .n_out = 1,
    .flags = FT_LOSS,
    .needs = {FT_IN(0) | FT_IN(1), FT_IN(0) | FT_IN(1)},
    .shape = ft_pair_loss_shape,
    .forward = forward,
    .backward = backward,
    .cases = cases,
};

ft_val ft_mean_squared_error(ft_graph *g, ft_val x, ft_val y, const char *name) {
    return ft_apply(g, &ft_op_mean_squared_error, name, NULL, 2, (ft_val[]){x, y});
}

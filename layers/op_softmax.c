/* Softmax of every pixel over its channels: y_k = exp(x_k - m) / sum_j exp(x_j - m), m = max x.
 *
 *     dx = y * (dy - sum(y dy))
 *
 * Backward reads y.
 */
#include "layers/layers.h"
#include "layers/rowwise.h"
#include "tensor/blas.h"

#include <math.h>

static void forward_chunk(void *ctx, int64_t chunk, int32_t thread) {
    const ft_call *call = ctx;
    (void)thread;
    ft_view x = ft_chunk_view(&call->in[0], chunk), y = ft_chunk_view(&call->out[0], chunk);
    for (int64_t r = 0; r < x.n; r++) {
        const ft_real *from = x.p + r * x.ld;
        ft_real *to = y.p + r * y.ld, max = from[0];
        for (int32_t k = 1; k < x.c; k++) max = from[k] > max ? from[k] : max;
        double sum = 0;
        for (int32_t k = 0; k < x.c; k++) {
            double e = exp((double)from[k] - (double)max);
            to[k] = (ft_real)e;
            sum += e;
        }
        ft_real share = (ft_real)(1 / sum);
        for (int32_t k = 0; k < x.c; k++) to[k] *= share;
    }
}

static void backward_chunk(void *ctx, int64_t chunk, int32_t thread) {
    const ft_call *call = ctx;
    (void)thread;
    ft_view y = ft_chunk_view(&call->out[0], chunk), dy = ft_chunk_view(&call->dout[0], chunk);
    ft_view dx = ft_chunk_view(&call->din[0], chunk);
    for (int64_t r = 0; r < y.n; r++) {
        const ft_real *from = y.p + r * y.ld, *g = dy.p + r * dy.ld;
        ft_real *restrict to = dx.p + r * dx.ld, mean = ft_dot(y.c, from, g);
        for (int32_t k = 0; k < y.c; k++) to[k] = (call->beta[0] == 0 ? 0 : to[k]) + from[k] * (g[k] - mean);
    }
}

static void forward(const ft_call *call) {
    ft_par_chunks(call, &call->in[0], forward_chunk);
}

static void backward(const ft_call *call) {
    if (call->din[0].p) ft_par_chunks(call, &call->din[0], backward_chunk);
}

static const ft_case cases[] = {
    {"17 classes", .in = {{5, 1, 1, 17}}},
    {"48 classes, pixels", .in = {{2, 3, 5, 48}}},
    {"3 classes, batch 1", .in = {{1, 1, 1, 3}}},
    {"one class", .in = {{4, 1, 1, 1}}},
    {"ImageNet", .in = {{32, 1, 1, 1000}}, .large = true},
    {0},
};

const ft_op ft_op_softmax = {
    .name = "softmax",
    .n_in = 1,
    .n_out = 1,
    .needs = {FT_OUT(0)},
    .shape = ft_shape_like_input,
    .forward = forward,
    .backward = backward,
    .cases = cases,
};

ft_val ft_softmax(ft_graph *g, ft_val x, const char *name) {
    return ft_apply(g, &ft_op_softmax, name, NULL, 1, &x);
}

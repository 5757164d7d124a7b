/* ReLU: y = max(x, 0) (NaN stays NaN).
 *
 *     dx = y > 0 ? dy : 0
 *
 * Backward reads the output alone, so y may live over x, and dx over dy.
 */
#include "layers/layers.h"
#include "layers/rowwise.h"
#include "tensor/kernels.h"

static void forward_chunk(void *ctx, int64_t chunk, int32_t thread) {
    const ft_call *call = ctx;
    (void)thread;
    ft_view x = ft_chunk_view(&call->in[0], chunk), y = ft_chunk_view(&call->out[0], chunk);
    ft_row_kernels_get()->relu(x.n, x.c, x.p, x.ld, y.p, y.ld);
}

static void backward_chunk(void *ctx, int64_t chunk, int32_t thread) {
    const ft_call *call = ctx;
    (void)thread;
    ft_view y = ft_chunk_view(&call->out[0], chunk), dy = ft_chunk_view(&call->dout[0], chunk);
    ft_view dx = ft_chunk_view(&call->din[0], chunk);
    ft_row_kernels_get()->relu_backward(y.n, y.c, y.p, y.ld, dy.p, dy.ld, dx.p, dx.ld, call->beta[0]);
}

static void forward(const ft_call *call) {
    ft_par_chunks(call, &call->out[0], forward_chunk);
}

static void backward(const ft_call *call) {
    if (call->din[0].p) ft_par_chunks(call, &call->dout[0], backward_chunk);
}

static const ft_case cases[] = {
    {"3 channels", .in = {{2, 5, 7, 3}}},
    {"17 channels", .in = {{3, 4, 9, 17}}},
    {"48 channels, batch 1", .in = {{1, 7, 3, 48}}},
    {"one row", .in = {{1, 1, 1, 33}}},
    {"1x1 map", .in = {{6, 1, 1, 20}}},
    {"one channel", .in = {{2, 3, 5, 1}}},
    {"Inception 35x35", .in = {{4, 35, 35, 288}}, .large = true},
    {0},
};

const ft_op ft_op_relu = {
    .name = "relu",
    .n_in = 1,
    .n_out = 1,
    .inplace = 1,
    .flags = FT_RELU | FT_DIN_OVER_DOUT,
    .needs = {FT_OUT(0)},
    .shape = ft_shape_like_input,
    .forward = forward,
    .backward = backward,
    .cases = cases,
};

ft_val ft_relu(ft_graph *g, ft_val x, const char *name) {
    return ft_apply(g, &ft_op_relu, name, NULL, 1, &x);
}

/* Hyperbolic tangent: y = tanh(x).
 *
 *     dx = dy * (1 - y^2)
 *
 * Backward reads the output alone, so y may live over x, and dx over dy.
 */
#include "layers/layers.h"
#include "layers/rowwise.h"

#include <tgmath.h>

static void forward_chunk(void *ctx, int64_t chunk, int32_t thread) {
    const ft_call *call = ctx;
    (void)thread;
    ft_view x = ft_chunk_view(&call->in[0], chunk), y = ft_chunk_view(&call->out[0], chunk);
    for (int32_t r = 0; r < x.n; r++, x.p += x.ld, y.p += y.ld)
        for (int32_t k = 0; k < x.c; k++) y.p[k] = tanh(x.p[k]);
}

static void backward_chunk(void *ctx, int64_t chunk, int32_t thread) {
    const ft_call *call = ctx;
    (void)thread;
    ft_view y = ft_chunk_view(&call->out[0], chunk), dy = ft_chunk_view(&call->dout[0], chunk);
    ft_view dx = ft_chunk_view(&call->din[0], chunk);
    ft_real beta = call->beta[0];
    for (int32_t r = 0; r < y.n; r++, y.p += y.ld, dy.p += dy.ld, dx.p += dx.ld)
        for (int32_t k = 0; k < y.c; k++) {
            ft_real v = y.p[k], g = dy.p[k] * (1 - v * v);
            dx.p[k] = beta != 0 ? beta * dx.p[k] + g : g;
        }
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
    {"one channel", .in = {{2, 3, 5, 1}}},
    {"several chunks", .in = {{4, 17, 17, 64}}, .large = true},
    {0},
};

const ft_op ft_op_tanh = {
    .name = "tanh",
    .n_in = 1,
    .n_out = 1,
    .inplace = 1,
    .flags = FT_DIN_OVER_DOUT,
    .needs = {FT_OUT(0)},
    .shape = ft_shape_like_input,
    .forward = forward,
    .backward = backward,
    .cases = cases,
};

ft_val ft_tanh(ft_graph *g, ft_val x, const char *name) {
    return ft_apply(g, &ft_op_tanh, name, NULL, 1, &x);
}

/* Leaky ReLU: y = x > 0 ? x : slope * x, with slope > 0.
 *
 *     dx = y > 0 ? dy : slope * dy
 *
 * Backward reads the output alone (slope > 0 keeps the sign), so y may live over x, and dx over dy.
 */
#include "layers/args.h"
#include "layers/layers.h"
#include "layers/rowwise.h"

#include <math.h>

static ft_real slope_of(const ft_call *call) {
    return (ft_real)((const ft_leaky_relu_args *)call->args)->slope;
}

static void forward_chunk(void *ctx, int64_t chunk, int32_t thread) {
    const ft_call *call = ctx;
    (void)thread;
    ft_view x = ft_chunk_view(&call->in[0], chunk), y = ft_chunk_view(&call->out[0], chunk);
    ft_real slope = slope_of(call);
    for (int32_t r = 0; r < x.n; r++, x.p += x.ld, y.p += y.ld)
        for (int32_t k = 0; k < x.c; k++) {
            ft_real v = x.p[k];
            y.p[k] = v > 0 ? v : slope * v;
        }
}

static void backward_chunk(void *ctx, int64_t chunk, int32_t thread) {
    const ft_call *call = ctx;
    (void)thread;
    ft_view y = ft_chunk_view(&call->out[0], chunk), dy = ft_chunk_view(&call->dout[0], chunk);
    ft_view dx = ft_chunk_view(&call->din[0], chunk);
    ft_real slope = slope_of(call), beta = call->beta[0];
    for (int32_t r = 0; r < y.n; r++, y.p += y.ld, dy.p += dy.ld, dx.p += dx.ld)
        for (int32_t k = 0; k < y.c; k++) {
            ft_real g = y.p[k] > 0 ? dy.p[k] : slope * dy.p[k];
            dx.p[k] = beta != 0 ? beta * dx.p[k] + g : g;
        }
}

static void forward(const ft_call *call) {
    ft_par_chunks(call, &call->out[0], forward_chunk);
}

static void backward(const ft_call *call) {
    if (call->din[0].p) ft_par_chunks(call, &call->dout[0], backward_chunk);
}

static ft_err shape(const ft_build *b, ft_shape out[], ft_mem *mem) {
    double slope = ((const ft_leaky_relu_args *)b->args)->slope;
    FT_REQUIRE(slope > 0 && isfinite(slope), GRAPH,
               "the slope must be a positive number, not %g; for a slope of 0 use a plain ReLU", slope);
    return ft_shape_like_input(b, out, mem);
}

static const ft_leaky_relu_args gentle = {0.1}, steep = {1.5};

static const ft_case cases[] = {
    {"3 channels", .in = {{2, 5, 7, 3}}, .args = &gentle},
    {"17 channels", .in = {{3, 4, 9, 17}}, .args = &gentle},
    {"48 channels, slope above 1", .in = {{1, 7, 3, 48}}, .args = &steep},
    {"one row", .in = {{1, 1, 1, 33}}, .args = &gentle},
    {"one channel", .in = {{2, 3, 5, 1}}, .args = &gentle},
    {"Inception 17x17", .in = {{4, 17, 17, 768}}, .args = &gentle, .large = true},
    {0},
};

const ft_op ft_op_leaky_relu = {
    .name = "leaky_relu",
    .n_in = 1,
    .n_out = 1,
    .inplace = 1,
    .args_size = sizeof(ft_leaky_relu_args),
    .flags = FT_DIN_OVER_DOUT,
    .needs = {FT_OUT(0)},
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .cases = cases,
};

ft_val ft_leaky_relu(ft_graph *g, ft_val x, float slope, const char *name) {
    return ft_apply(g, &ft_op_leaky_relu, name, &(ft_leaky_relu_args){(double)slope}, 1, &x);
}

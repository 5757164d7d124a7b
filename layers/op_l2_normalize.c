/* L2 normalisation of every pixel over its channels: y = x / m, m = max(|x|, 1e-12), |x| the root of sum x^2.
 *
 *     dx = (dy - y * sum(y dy)) / |x|   where |x| >= 1e-12, as torch.nn.functional.normalize
 *     dx = dy / 1e-12                   elsewhere: there y is linear in x
 *
 * Backward reads y and, saved, |x|.
 */
#include "layers/layers.h"
#include "layers/rowwise.h"
#include "tensor/blas.h"

#include <math.h>

static const double smallest = 1e-12;

static void forward_chunk(void *ctx, int64_t chunk, int32_t thread) {
    const ft_call *call = ctx;
    (void)thread;
    ft_view x = ft_chunk_view(&call->in[0], chunk), y = ft_chunk_view(&call->out[0], chunk);
    ft_real *saved = call->saved ? (ft_real *)call->saved + ft_chunk_row(chunk, x.c) : NULL;
    for (int64_t r = 0; r < x.n; r++) {
        const ft_real *from = x.p + r * x.ld;
        ft_real *restrict to = y.p + r * y.ld;
        ft_real norm = (ft_real)sqrt((double)ft_dot(x.c, from, from));
        ft_real m = norm < (ft_real)smallest ? (ft_real)smallest : norm;
        for (int32_t k = 0; k < x.c; k++) to[k] = from[k] / m;
        if (saved) saved[r] = norm;
    }
}

static void backward_chunk(void *ctx, int64_t chunk, int32_t thread) {
    const ft_call *call = ctx;
    (void)thread;
    ft_view y = ft_chunk_view(&call->out[0], chunk), dy = ft_chunk_view(&call->dout[0], chunk);
    ft_view dx = ft_chunk_view(&call->din[0], chunk);
    const ft_real *saved = (const ft_real *)call->saved + ft_chunk_row(chunk, y.c);
    for (int64_t r = 0; r < y.n; r++) {
        const ft_real *from = y.p + r * y.ld, *g = dy.p + r * dy.ld;
        ft_real *restrict to = dx.p + r * dx.ld;
        bool clamped = saved[r] < (ft_real)smallest;
        ft_real m = clamped ? (ft_real)smallest : saved[r], along = clamped ? 0 : ft_dot(y.c, from, g);
        for (int32_t k = 0; k < y.c; k++)
            to[k] = (call->beta[0] == 0 ? 0 : to[k]) + (g[k] - from[k] * along) / m;
    }
}

static void forward(const ft_call *call) {
    ft_par_chunks(call, &call->in[0], forward_chunk);
}

static void backward(const ft_call *call) {
    if (call->din[0].p) ft_par_chunks(call, &call->din[0], backward_chunk);
}

static ft_err shape(const ft_build *b, ft_shape out[], ft_mem *mem) {
    if (b->training) mem->saved = (size_t)ft_shape_rows(b->in[0]) * sizeof(ft_real);
    return ft_shape_like_input(b, out, mem);
}

static const ft_case cases[] = {
    {"17 channels", .in = {{5, 1, 1, 17}}},
    {"48 channels, pixels", .in = {{2, 3, 5, 48}}},
    {"3 channels, batch 1", .in = {{1, 1, 1, 3}}},
    {"one channel", .in = {{4, 2, 1, 1}}},
    {"inference", .in = {{5, 1, 1, 33}}, .infer = true},
    {"two chunks", .in = {{19, 1, 1, 1024}}, .large = true},
    {0},
};

const ft_op ft_op_l2_normalize = {
    .name = "l2_normalize",
    .n_in = 1,
    .n_out = 1,
    .needs = {FT_OUT(0) | FT_SAVED},
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .cases = cases,
};

ft_val ft_l2_normalize(ft_graph *g, ft_val x, const char *name) {
    return ft_apply(g, &ft_op_l2_normalize, name, NULL, 1, &x);
}

/* Swish: y = x s(x), s(x) = 1/(1 + exp(-x)). Ramachandran, Zoph, Le, "Searching for activation functions",
 * arXiv 1710.05941.
 *
 * dx = dy (s + y (1 - s)). Backward reads x.
 */
#include "layers/rowwise.h"

#include <math.h>

static ft_real sigmoid(ft_real x) {
    return 1 / (1 + (ft_real)exp((double)-x));
}

static void forward_rows(void *ctx, int64_t chunk, int32_t thread) {
    (void)thread;
    const ft_call *call = ctx;
    ft_view x = ft_chunk_view(&call->in[0], chunk), y = ft_chunk_view(&call->out[0], chunk);
    for (int32_t r = 0; r < x.n; r++)
        for (int32_t k = 0; k < x.c; k++) y.p[r * y.ld + k] = x.p[r * x.ld + k] * sigmoid(x.p[r * x.ld + k]);
}

static void backward_rows(void *ctx, int64_t chunk, int32_t thread) {
    (void)thread;
    const ft_call *call = ctx;
    ft_view x = ft_chunk_view(&call->in[0], chunk), dy = ft_chunk_view(&call->dout[0], chunk),
            dx = ft_chunk_view(&call->din[0], chunk);
    for (int32_t r = 0; r < x.n; r++)
        for (int32_t k = 0; k < x.c; k++) {
            ft_real v = x.p[r * x.ld + k], s = sigmoid(v), d = dy.p[r * dy.ld + k] * (s + v * s * (1 - s)),
                    *to = &dx.p[r * dx.ld + k];
            *to = call->beta[0] != 0 ? *to + d : d;
        }
}

static void forward(const ft_call *call) {
    ft_par_chunks(call, &call->out[0], forward_rows);
}
static void backward(const ft_call *call) {
    if (call->din[0].p) ft_par_chunks(call, &call->din[0], backward_rows);
}

static const ft_case cases[] = {{.label = "odd channels", .in = {{2, 3, 5, 17}}},
                                {.label = "one number", .in = {{1, 1, 1, 1}}},
                                {.label = NULL}};

const ft_op ft_op_swish = {.name = "swish",
                           .n_in = 1,
                           .n_out = 1,
                           .flags = FT_DIN_OVER_DOUT,
                           .needs = {FT_IN(0)},
                           .shape = ft_shape_like_input,
                           .forward = forward,
                           .backward = backward,
                           .cases = cases};

#ifdef FACET_OP_TESTS /* the definition once more, in double, for the op tests */
#include "tests/op_harness.h"
void ft_oracle_swish(ft_oracle *o) {
    double *y = ft_oracle_out(o, 0, o->in[0].s);
    for (int64_t i = 0; i < ft_shape_size(o->in[0].s); i++) y[i] = o->in[0].p[i] / (1 + exp(-o->in[0].p[i]));
}
#endif

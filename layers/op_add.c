/* Addition: y = a + b, same shape.
 *
 *     da = dy, db = dy
 *
 * Backward reads nothing, so y may live over a, and da over dy.
 */
#include "layers/layers.h"
#include "layers/rowwise.h"
#include "tensor/kernels.h"

/* to = beta*to + from, where from may be the same memory as to. */
static void put(ft_view from, ft_view to, ft_real beta) {
    if (beta == 0 && from.p == to.p) return;
    ft_row_kernels_get()->add(from.n, from.c, 1, from.p, from.ld, to.p, to.ld, beta);
}

static void forward_chunk(void *ctx, int64_t chunk, int32_t thread) {
    const ft_call *call = ctx;
    (void)thread;
    ft_view y = ft_chunk_view(&call->out[0], chunk);
    put(ft_chunk_view(&call->in[0], chunk), y, 0);
    put(ft_chunk_view(&call->in[1], chunk), y, 1);
}

static void backward_chunk(void *ctx, int64_t chunk, int32_t thread) {
    const ft_call *call = ctx;
    (void)thread;
    ft_view dy = ft_chunk_view(&call->dout[0], chunk);
    for (int i = 0; i < 2; i++)
        if (call->din[i].p) put(dy, ft_chunk_view(&call->din[i], chunk), call->beta[i]);
}

static void forward(const ft_call *call) {
    ft_par_chunks(call, &call->out[0], forward_chunk);
}

static void backward(const ft_call *call) {
    if (call->din[0].p || call->din[1].p) ft_par_chunks(call, &call->dout[0], backward_chunk);
}

static ft_err shape(const ft_build *b, ft_shape out[], ft_mem *mem) {
    ft_shape x = b->in[0], y = b->n_in > 1 ? b->in[1] : (ft_shape){0};
    FT_REQUIRE(ft_shape_equal(x, y), GRAPH,
               "the two inputs must have the same shape, not (%d, %d, %d, %d) and (%d, %d, %d, %d)", x.n, x.h,
               x.w, x.c, y.n, y.h, y.w, y.c);
    return ft_shape_like_input(b, out, mem);
}

static const ft_case cases[] = {
    {"3 channels", .in = {{2, 5, 7, 3}, {2, 5, 7, 3}}},
    {"17 channels", .in = {{3, 4, 9, 17}, {3, 4, 9, 17}}},
    {"48 channels, batch 1", .in = {{1, 7, 3, 48}, {1, 7, 3, 48}}},
    {"one row", .in = {{1, 1, 1, 33}, {1, 1, 1, 33}}},
    {"Inception 17x17", .in = {{4, 17, 17, 768}, {4, 17, 17, 768}}, .large = true},
    {0},
};

const ft_op ft_op_add = {
    .name = "add",
    .n_in = 2,
    .n_out = 1,
    .inplace = 1,
    .flags = FT_DIN_OVER_DOUT,
    .needs = {0, 0},
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .cases = cases,
};

ft_val ft_add(ft_graph *g, ft_val a, ft_val b, const char *name) {
    return ft_apply(g, &ft_op_add, name, NULL, 2, (ft_val[]){a, b});
}

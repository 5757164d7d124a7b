/* Concatenation by channel: y = [x_0 x_1 ... ], inputs of the same n, h, w side by side.
 *
 *     row of y:   | x_0: c_0 numbers | x_1: c_1 numbers | ... |
 *     dx_i = the columns of dy that are x_i's
 *
 * Backward reads nothing. An input may live in its columns of y, and its gradient in those of dy: then
 * nothing is copied.
 */
#include "layers/layers.h"
#include "layers/rowwise.h"
#include "tensor/kernels.h"

static void copy_columns(ft_view from, ft_view to, ft_real beta) {
    if (from.p != to.p) ft_row_kernels_get()->add(from.n, from.c, 1, from.p, from.ld, to.p, to.ld, beta);
}

/* The columns of v from `first` that are as wide as x. */
static ft_view columns(ft_view v, int64_t first, const ft_view *x) {
    v.p += first;
    v.c = x->c;
    return v;
}

static ft_view rows_of(const ft_view *v, int64_t from, int32_t n) {
    return (ft_view){v->p ? v->p + from * v->ld : NULL, n, 1, 1, v->c, v->ld};
}

static void forward_chunk(void *ctx, int64_t chunk, int32_t thread) {
    const ft_call *call = ctx;
    (void)thread;
    ft_view y = ft_chunk_view(&call->out[0], chunk);
    int64_t row = ft_chunk_row(chunk, y.c), column = 0;
    for (int32_t i = 0; i < call->n_in; column += call->in[i++].c)
        copy_columns(rows_of(&call->in[i], row, y.n), columns(y, column, &call->in[i]), 0);
}

static void backward_chunk(void *ctx, int64_t chunk, int32_t thread) {
    const ft_call *call = ctx;
    (void)thread;
    ft_view dy = ft_chunk_view(&call->dout[0], chunk);
    int64_t row = ft_chunk_row(chunk, dy.c), column = 0;
    for (int32_t i = 0; i < call->n_in; column += call->in[i++].c)
        if (call->din[i].p)
            copy_columns(columns(dy, column, &call->in[i]), rows_of(&call->din[i], row, dy.n), call->beta[i]);
}

static void forward(const ft_call *call) {
    ft_par_chunks(call, &call->out[0], forward_chunk);
}
static void backward(const ft_call *call) {
    ft_par_chunks(call, &call->dout[0], backward_chunk);
}

static ft_err shape(const ft_build *b, ft_shape out[], ft_mem *mem) {
    (void)mem;
    ft_shape x = b->in[0];
    int64_t c = 0;
    for (int32_t i = 0; i < b->n_in; i++) {
        ft_shape s = b->in[i];
        FT_REQUIRE(s.c > 0, GRAPH, "input %d is missing", i);
        FT_REQUIRE(
            s.n == x.n && s.h == x.h && s.w == x.w, GRAPH,
            "input %d of shape (%d, %d, %d, %d) does not fit beside input 0 of shape (%d, %d, %d, %d): "
            "only the channels may differ",
            i, s.n, s.h, s.w, s.c, x.n, x.h, x.w, x.c);
        c += s.c;
    }
    FT_REQUIRE(c <= INT32_MAX, GRAPH, "%lld channels are too many", (long long)c);
    out[0] = (ft_shape){x.n, x.h, x.w, (int32_t)c};
    return FT_OK;
}

static const ft_case cases[] = {
    {"3 + 17 + 48 channels", .in = {{2, 5, 3, 3}, {2, 5, 3, 17}, {2, 5, 3, 48}}},
    {"one input", .in = {{2, 3, 5, 7}}},
    {"1 + 1 channels, batch 1", .in = {{1, 7, 4, 1}, {1, 7, 4, 1}}},
    {"six inputs",
     .in = {{2, 3, 4, 5}, {2, 3, 4, 16}, {2, 3, 4, 1}, {2, 3, 4, 9}, {2, 3, 4, 32}, {2, 3, 4, 3}}},
    {"vectors", .in = {{5, 1, 1, 48}, {5, 1, 1, 17}}},
    {"Inception mixed0", .in = {{4, 35, 35, 64}, {4, 35, 35, 64}, {4, 35, 35, 96}, {4, 35, 35, 32}},
     .large = true},
    {0},
};

const ft_op ft_op_concat = {
    .name = "concat",
    .n_in = FT_MAX_IN,
    .n_out = 1,
    .flags = FT_VARIADIC | FT_CONCAT,
    .needs = {0},
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .cases = cases,
};

ft_val ft_concat(ft_graph *g, int32_t n_in, const ft_val in[], const char *name) {
    return ft_apply(g, &ft_op_concat, name, NULL, n_in, in);
}

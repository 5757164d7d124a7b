/* Dense layer: y = x W + b; x (n,1,1,in), W (in, units), b (units), optional.
 *
 *     dx = dy W',  dW = x' dy,  db = sum of the rows of dy
 *
 * Backward reads W for dx, x for dW, nothing for db.
 */
#include "layers/column_sum.h"
#include "layers/layers.h"
#include "tensor/blas.h"

#include <stdio.h>
#include <string.h>

static void forward(const ft_call *call) {
    const ft_view *x = &call->in[0], *w = &call->in[1], *y = &call->out[0];
    const ft_real *bias = call->n_in > 2 ? call->in[2].p : NULL;
    for (int64_t r = 0; bias && r < y->n; r++) memcpy(y->p + r * y->ld, bias, (size_t)y->c * sizeof *bias);
    ft_gemm(false, false, y->n, y->c, x->c, 1, x->p, x->ld, w->p, w->ld, bias ? 1 : 0, y->p, y->ld);
}

static void backward(const ft_call *call) {
    const ft_view *x = &call->in[0], *w = &call->in[1], *dy = &call->dout[0];
    const ft_view *dx = &call->din[0], *dw = &call->din[1];
    if (dx->p)
        ft_gemm(false, true, dy->n, dx->c, dy->c, 1, dy->p, dy->ld, w->p, w->ld, call->beta[0], dx->p,
                dx->ld);
    if (dw->p)
        ft_gemm(true, false, dw->w, dw->c, dy->n, 1, x->p, x->ld, dy->p, dy->ld, call->beta[1], dw->p,
                dw->ld);
    if (call->n_in > 2 && call->din[2].p) ft_column_sum(dy, call->din[2].p, call->beta[2], call->scratch);
}

static ft_err shape(const ft_build *b, ft_shape out[], ft_mem *mem) {
    ft_shape x = b->in[0], w = b->n_in > 1 ? b->in[1] : (ft_shape){0};
    FT_REQUIRE(x.h == 1 && x.w == 1, GRAPH,
               "takes vectors (n, 1, 1, c), not (%d, %d, %d, %d); put a flatten or a global pool before it",
               x.n, x.h, x.w, x.c);
    FT_REQUIRE(ft_shape_equal(w, (ft_shape){1, 1, x.c, w.c}) && w.c > 0, GRAPH,
               "a kernel of shape (%d, %d, %d, %d) does not fit inputs of shape (%d, %d, %d, %d); it must be "
               "(1, 1, %d, units)",
               w.n, w.h, w.w, w.c, x.n, x.h, x.w, x.c, x.c);
    if (b->n_in > 2 && b->in[2].c > 0) {
        ft_shape v = b->in[2];
        FT_REQUIRE(ft_shape_equal(v, (ft_shape){1, 1, 1, w.c}), GRAPH,
                   "a bias of shape (%d, %d, %d, %d) does not fit a kernel of shape (%d, %d, %d, %d)", v.n,
                   v.h, v.w, v.c, w.n, w.h, w.w, w.c);
    }
    out[0] = (ft_shape){x.n, 1, 1, w.c};
    mem->backward_scratch = ft_column_sum_scratch(x.n, w.c) * sizeof(ft_real);
    return FT_OK;
}

static const ft_case cases[] = {
    {"17 to 3", .in = {{5, 1, 1, 17}, {1, 1, 17, 3}, {1, 1, 1, 3}}},
    {"48 to 300, no bias", .in = {{3, 1, 1, 48}, {1, 1, 48, 300}}},
    {"batch 1", .in = {{1, 1, 1, 67}, {1, 1, 67, 33}, {1, 1, 1, 33}}},
    {"1 to 1", .in = {{4, 1, 1, 1}, {1, 1, 1, 1}, {1, 1, 1, 1}}},
    {"many rows", .in = {{70, 1, 1, 9}, {1, 1, 9, 21}, {1, 1, 1, 21}}},
    {"Inception's logits", .in = {{8, 1, 1, 2048}, {1, 1, 2048, 1001}, {1, 1, 1, 1001}}, .large = true},
    {0},
};

const ft_op ft_op_dense = {
    .name = "dense",
    .n_in = 3,
    .n_out = 1,
    .flags = FT_LINEAR,
    .needs = {FT_IN(1), FT_IN(0), 0},
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .cases = cases,
};

ft_val ft_dense(ft_graph *g, ft_val x, const ft_dense_options *o) {
    static const ft_dense_options defaults;
    if (!o) o = &defaults;
    char node[64], name[96];
    ft_graph_next_name(g, &ft_op_dense, o->name, node);
    ft_shape s = ft_val_shape(g, x);
    if (ft_graph_status(g) != FT_OK) return (ft_val){0};
    if (s.c <= 0) return ft_graph_fail(g, node, "the input is not a value of this graph");
    if (o->units <= 0) return ft_graph_fail(g, node, "needs a positive number of units, not %d", o->units);

    ft_val in[3] = {x, {0}, FT_NONE};
    ft_init init = o->init ? *o->init : (ft_init){.kind = FT_INIT_GLOROT_UNIFORM};
    snprintf(name, sizeof name, "%s/kernel", node);
    in[1] = ft_param_add(g, name, (ft_shape){1, 1, s.c, o->units}, init, FT_TRAINABLE | FT_DECAY);
    if (!o->no_bias) {
        snprintf(name, sizeof name, "%s/bias", node);
        in[2] = ft_param_add(g, name, (ft_shape){1, 1, 1, o->units}, (ft_init){0}, FT_TRAINABLE);
    }
    return ft_apply(g, &ft_op_dense, o->name, NULL, o->no_bias ? 2 : 3, in);
}

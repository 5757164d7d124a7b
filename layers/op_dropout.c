/* Inverted dropout: y = m * x, m = 1/(1 - rate) where element e is kept, else 0 (Srivastava et al., JMLR
 * 2014).
 *
 *     dx = m * dy
 *
 * Element e = row * c + channel is kept when word e % 4 of Philox block (seed, stream 0, e / 4) as a number
 * in [0, 1) is at least rate. Backward draws the mask again and reads nothing else. Without training y = x.
 */
#include "layers/args.h"
#include "layers/layers.h"
#include "layers/rowwise.h"
#include "tensor/kernels.h"
#include "tensor/rng.h"

/* to = beta*to + m * from */
typedef struct masking {
    const ft_call *call;
    const ft_view *from, *to;
    ft_real beta;
} masking;

static void mask_chunk(const masking *m, ft_view x, ft_view y, uint64_t element) {
    double rate = ((const ft_dropout_args *)m->call->args)->rate;
    ft_real keep = (ft_real)(1 / (1 - rate));
    uint32_t word[4];
    ft_rng_block(m->call->seed, 0, element / 4, word);
    for (int32_t r = 0; r < x.n; r++, x.p += x.ld, y.p += y.ld)
        for (int32_t k = 0; k < x.c; k++, element++) {
            if (element % 4 == 0) ft_rng_block(m->call->seed, 0, element / 4, word);
            bool kept = (double)ft_rng_unit(word[element % 4]) >= rate;
            ft_real v = kept ? keep * x.p[k] : 0;
            y.p[k] = m->beta != 0 ? m->beta * y.p[k] + v : v;
        }
}

static void apply_chunk(void *ctx, int64_t chunk, int32_t thread) {
    const masking *m = ctx;
    (void)thread;
    ft_view x = ft_chunk_view(m->from, chunk), y = ft_chunk_view(m->to, chunk);
    if (m->call->training)
        mask_chunk(m, x, y, (uint64_t)ft_chunk_row(chunk, x.c) * (uint64_t)x.c);
    else
        ft_row_kernels_get()->add(x.n, x.c, 1, x.p, x.ld, y.p, y.ld, m->beta);
}

static void apply(const ft_call *call, const ft_view *from, const ft_view *to, ft_real beta) {
    masking m = {.call = call, .from = from, .to = to, .beta = beta};
    if (!call->training && from->p == to->p) return;
    ft_par_for(ft_chunk_count(from), apply_chunk, &m);
}

static void forward(const ft_call *call) {
    apply(call, &call->in[0], &call->out[0], 0);
}

static void backward(const ft_call *call) {
    if (call->din[0].p) apply(call, &call->dout[0], &call->din[0], call->beta[0]);
}

static ft_err shape(const ft_build *b, ft_shape out[], ft_mem *mem) {
    double rate = ((const ft_dropout_args *)b->args)->rate;
    FT_REQUIRE(rate >= 0 && rate < 1, GRAPH, "the dropout rate must be at least 0 and below 1, not %g", rate);
    return ft_shape_like_input(b, out, mem);
}

static const ft_dropout_args none = {0}, fifth = {0.2}, half = {0.5};

static const ft_case cases[] = {
    {"3 channels", .in = {{2, 5, 7, 3}}, .args = &half},
    {"17 channels", .in = {{3, 4, 9, 17}}, .args = &fifth},
    {"one row", .in = {{1, 1, 1, 33}}, .args = &half},
    {"1x1 map", .in = {{6, 1, 1, 48}}, .args = &half},
    {"rate 0", .in = {{2, 3, 2, 5}}, .args = &none},
    {"inference", .in = {{2, 3, 4, 7}}, .args = &half, .infer = true},
    {"several chunks", .in = {{4, 17, 17, 99}}, .args = &fifth},
    {0},
};

const ft_op ft_op_dropout = {
    .name = "dropout",
    .n_in = 1,
    .n_out = 1,
    .inplace = 1,
    .args_size = sizeof(ft_dropout_args),
    .flags = FT_LINEAR | FT_RANDOM | FT_DIN_OVER_DOUT,
    .needs = {0},
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .cases = cases,
};

ft_val ft_dropout(ft_graph *g, ft_val x, float rate, const char *name) {
    return ft_apply(g, &ft_op_dropout, name, &(ft_dropout_args){(double)rate}, 1, &x);
}

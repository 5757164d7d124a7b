#include "layers/pair_loss.h"
#include "layers/rowwise.h"

typedef struct partial {
    double sum;
    int64_t counted;
} partial;

typedef struct pair_pass {
    const ft_call *call;
    ft_pair_sum *sum;
    ft_pair_slope *slope;
    double param;
    ft_real scale;
    int32_t i; /* the input whose gradient it is */
} pair_pass;

static void sum_chunk(void *ctx, int64_t chunk, int32_t thread) {
    const pair_pass *p = ctx;
    (void)thread;
    ft_view x = ft_chunk_view(&p->call->in[0], chunk), y = ft_chunk_view(&p->call->in[1], chunk);
    partial total = {0};
    for (int64_t r = 0; r < x.n; r++) {
        int64_t counted = x.c;
        total.sum += p->sum(x.c, x.p + r * x.ld, y.p + r * y.ld, p->param, &counted);
        total.counted += counted;
    }
    ((partial *)p->call->scratch)[chunk] = total;
}

static void slope_chunk(void *ctx, int64_t chunk, int32_t thread) {
    const pair_pass *p = ctx;
    (void)thread;
    ft_view x = ft_chunk_view(&p->call->in[0], chunk), y = ft_chunk_view(&p->call->in[1], chunk);
    ft_view dx = ft_chunk_view(&p->call->din[p->i], chunk);
    for (int64_t r = 0; r < x.n; r++)
        p->slope(x.c, x.p + r * x.ld, y.p + r * y.ld, p->param, p->scale, p->call->beta[p->i] != 0,
                 dx.p + r * dx.ld);
}

int64_t ft_pair_loss_forward(const ft_call *call, ft_pair_sum *sum, double param) {
    pair_pass p = {.call = call, .sum = sum, .param = param};
    const partial *parts = call->scratch;
    partial total = {0};
    ft_par_for(ft_chunk_count(&call->in[0]), sum_chunk, &p);
    for (int64_t i = 0; i < ft_chunk_count(&call->in[0]); i++) {
        total.sum += parts[i].sum;
        total.counted += parts[i].counted;
    }
    call->out[0].p[0] = total.counted ? (ft_real)(total.sum / (double)total.counted) : 0;
    return total.counted;
}

void ft_pair_loss_backward(const ft_call *call, int32_t i, ft_pair_slope *slope, double param, int64_t n,
                           int32_t sign) {
    if (!call->din[i].p) return;
    double scale = n ? sign * (double)call->dout[0].p[0] / (double)n : 0;
    pair_pass p = {.call = call, .slope = slope, .param = param, .scale = (ft_real)scale, .i = i};
    ft_par_for(ft_chunk_count(&call->din[i]), slope_chunk, &p);
}

ft_err ft_pair_loss_shape(const ft_build *b, ft_shape out[], ft_mem *mem) {
    ft_shape x = b->in[0], y = b->n_in > 1 ? b->in[1] : (ft_shape){0};
    FT_REQUIRE(x.c > 0 && ft_shape_equal(x, y), GRAPH,
               "takes two inputs of one shape, not (%d, %d, %d, %d) and (%d, %d, %d, %d)", x.n, x.h, x.w, x.c,
               y.n, y.h, y.w, y.c);
    out[0] = (ft_shape){1, 1, 1, 1};
    mem->forward_scratch = (size_t)ft_ceil_div(ft_shape_rows(x), ft_par_rows(x.c)) * sizeof(partial);
    return FT_OK;
}

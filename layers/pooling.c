#include "layers/pooling.h"
#include "tensor/kernels.h"
#include "tensor/par.h"

ft_err ft_pool_shape(const ft_build *b, ft_shape out[], ft_geometry *geometry) {
    const ft_window *win = &((const ft_pool_args *)b->args)->win;
    ft_shape x = b->in[0];
    FT_REQUIRE(x.c > 0, GRAPH, "the input is missing");
    FT_REQUIRE(win->dh == 1 && win->dw == 1, GRAPH, "pooling has no dilation, but %d, %d was asked for",
               win->dh, win->dw);
    FT_TRY(ft_window_geometry(win, x.h, x.w, geometry));
    FT_REQUIRE((int64_t)win->kh * win->kw <= UINT16_MAX, GRAPH,
               "a window of %d x %d pixels is too large; use at most %d pixels", win->kh, win->kw,
               UINT16_MAX);
    if (win->padding == FT_PAD_EXPLICIT)
        for (int32_t i = 0; i < 4; i++)
            FT_REQUIRE(win->pad[i] < (i < 2 ? win->kh : win->kw), GRAPH,
                       "padding of %d would leave windows of %d x %d without a single pixel of the image",
                       win->pad[i], win->kh, win->kw);
    out[0] = (ft_shape){x.n, geometry->oh, geometry->ow, x.c};
    return FT_OK;
}

ft_val ft_pool_apply(ft_graph *g, const ft_op *op, ft_val x, const ft_pool *o) {
    static const ft_pool defaults;
    if (!o) o = &defaults;
    ft_pool_args a = {
        .win = {.kh = o->k[0],
                .kw = o->k[1],
                .sh = o->stride[0] ? o->stride[0] : o->k[0],
                .sw = o->stride[1] ? o->stride[1] : o->k[1],
                .dh = 1,
                .dw = 1,
                .padding = (int32_t)o->padding,
                .pad = {o->pad[0], o->pad[1], o->pad[2], o->pad[3]}},
        .count_padding = o->count_padding,
    };
    return ft_apply(g, op, o->name, &a, 1, &x);
}

/* Neighbouring rows share what they read, so a chunk has several; but there are enough for many threads. */
static int64_t chunk_rows(const ft_view *v) {
    int64_t least = ft_par_rows((int64_t)v->w * v->c), fair = ft_ceil_div((int64_t)v->n * v->h, 64);
    return fair < least ? least : fair < 8 * least ? fair : 8 * least;
}

void ft_pool_run(const ft_call *call, const ft_view *x, const ft_view *v,
                 void (*body)(void *pass, int64_t chunk, int32_t thread)) {
    ft_pool_pass pass = {.call = call,
                         .win = ((const ft_pool_args *)call->args)->win,
                         .chunk_rows = chunk_rows(v)};
    if (ft_window_geometry(&pass.win, x->h, x->w, &pass.geometry) != FT_OK)
        return; /* ft_pool_shape took it */
    bool at_once = pass.win.kh * pass.win.kw <= FT_POOL_TAPS, adds = call->beta && call->beta[0] != 0;
    pass.stream = at_once && !adds && ft_may_stream(v, 0);
    ft_par_for(ft_ceil_div((int64_t)v->n * v->h, pass.chunk_rows), body, &pass);
}

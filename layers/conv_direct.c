/* Convolution from its definition: products over gathered pixels (conv_gather.c) and over runs of pixels
 * (conv_wgrad.c). */
#include "layers/conv_method.h"
#include "layers/conv_pass.h"

#include <string.h>

/* A row of zeros stands for the padding; a row of taps of the stem is one run of kw * cin numbers. */
static size_t zeros_size(const ft_conv_group *g) {
    return (size_t)g->cin * (size_t)g->args->win.kw;
}

static size_t prepared_size(const ft_conv_group *g) {
    return ft_conv_packed_size(ft_conv_taps(g), g->cin, g->cout);
}

static size_t pixels_size(const ft_conv_group *g, int32_t kc) {
    return ft_conv_taps(g) == 1 ? ft_pointwise_scratch(kc, g->lanes) : 0;
}

static size_t scratch_size(const ft_conv_group *g, ft_conv_pass pass) {
    switch (pass) {
    case FT_CONV_FORWARD:
        return zeros_size(g) + pixels_size(g, g->cin);
    case FT_CONV_INPUT_GRADIENT:
        return ft_conv_packed_size(ft_conv_taps(g), g->cout, g->cin) + (size_t)g->cout +
               pixels_size(g, g->cout);
    default:
        return ft_conv_wgrad_scratch((int64_t)g->x.n * g->geo.oh, g->geo.ow, ft_conv_taps(g), g->cin, g->cout,
                                     g->lanes);
    }
}

static int64_t moment_chunks(const ft_conv_group *g) {
    int64_t pixels = (int64_t)g->x.n * g->geo.oh * g->geo.ow;
    int64_t gather = ft_gather_chunks(ft_conv_taps(g), pixels),
            pointwise = ft_pointwise_chunks(g->cin, pixels);
    return gather > pointwise ? gather : pointwise;
}

static void prepare(const ft_conv_group *g, ft_real *prepared) {
    ft_conv_pack(prepared, g->w, ft_conv_taps(g), g->cin, g->cout, g->cin * g->ldw, g->ldw, 1);
}

static void forward(const ft_conv_group *g, const ft_view *x, const ft_epilogue *prologue,
                    const ft_real *prepared, const ft_view *y, const ft_epilogue *epilogue) {
    (void)prologue;
    const ft_window *win = &g->args->win;
    memset(g->scratch, 0, zeros_size(g) * sizeof(ft_real));
    ft_gather p = {.src = x,
                   .dst = y,
                   .src_channel = g->x_channel,
                   .dst_channel = g->y_channel,
                   .kc = g->cin,
                   .cols = g->cout,
                   .ystep = 1,
                   .xstep = 1,
                   .gh = g->geo.oh,
                   .gw = g->geo.ow,
                   .sy = win->sh,
                   .sx = win->sw,
                   .taps = ft_conv_taps(g),
                   .packed_taps = ft_conv_taps(g),
                   .packed = prepared,
                   .zeros = g->scratch,
                   .finish = {.scale = epilogue->scale, .shift = epilogue->shift, .relu = epilogue->relu},
                   .moments = g->moments,
                   .scratch = g->scratch + zeros_size(g),
                   .lanes = g->lanes};
    for (int32_t t = 0; t < p.taps; t++) {
        p.dy[t] = t / win->kw * win->dh - g->geo.top;
        p.dx[t] = t % win->kw * win->dw - g->geo.left;
        p.b[t] = t;
    }
    ft_gather_run(&p);
}

/* The taps that reach input pixels of one phase along one axis: those with (p + before - i*d) divisible by s.
 */
static int32_t phase_taps(int32_t p, int32_t before, int32_t k, int32_t s, int32_t d, int32_t index[],
                          int32_t offset[]) {
    int32_t n = 0;
    for (int32_t i = 0; i < k; i++) {
        int32_t at = p + before - i * d;
        if (at % s != 0) continue;
        index[n] = i;
        offset[n++] = at / s;
    }
    return n;
}

/* The pixels (y0 + i*sh, x0 + j*sw). */
static void input_gradient_phase(const ft_conv_group *g, ft_gather *p) {
    const ft_window *win = &g->args->win;
    int32_t iy[FT_MAX_TAPS], oy[FT_MAX_TAPS], ix[FT_MAX_TAPS], ox[FT_MAX_TAPS];
    int32_t ny = phase_taps(p->y0, g->geo.top, win->kh, win->sh, win->dh, iy, oy);
    int32_t nx = phase_taps(p->x0, g->geo.left, win->kw, win->sw, win->dw, ix, ox);
    p->taps = ny * nx;
    for (int32_t t = 0; t < p->taps; t++) {
        p->dy[t] = oy[t / nx];
        p->dx[t] = ox[t % nx];
        p->b[t] = iy[t / nx] * win->kw + ix[t % nx];
    }
    p->gh = (p->dst->h - p->y0 + win->sh - 1) / win->sh;
    p->gw = (p->dst->w - p->x0 + win->sw - 1) / win->sw;
    if (p->taps > 0 || !p->finish.accumulate) ft_gather_run(p);
}

static void input_gradient(const ft_conv_group *g, const ft_view *dy, const ft_view *dx, ft_real beta) {
    const ft_window *win = &g->args->win;
    ft_real *zeros = g->scratch, *packed = zeros + g->cout;
    memset(zeros, 0, (size_t)g->cout * sizeof *zeros);
    ft_conv_pack(packed, g->w, ft_conv_taps(g), g->cout, g->cin, g->cin * g->ldw, 1, g->ldw);
    ft_gather p = {.src = dy,
                   .dst = dx,
                   .src_channel = g->y_channel,
                   .dst_channel = g->x_channel,
                   .kc = g->cout,
                   .cols = g->cin,
                   .ystep = win->sh,
                   .xstep = win->sw,
                   .sy = 1,
                   .sx = 1,
                   .packed_taps = ft_conv_taps(g),
                   .packed = packed,
                   .zeros = zeros,
                   .finish.accumulate = beta != 0,
                   .scratch = packed + ft_conv_packed_size(ft_conv_taps(g), g->cout, g->cin),
                   .lanes = g->lanes};
    for (p.y0 = 0; p.y0 < win->sh && p.y0 < dx->h; p.y0++)
        for (p.x0 = 0; p.x0 < win->sw && p.x0 < dx->w; p.x0++) input_gradient_phase(g, &p);
}

static void weight_gradient(const ft_conv_group *g, const ft_view *x, const ft_epilogue *prologue,
                            const ft_view *dy, ft_real *dw, ft_real beta) {
    (void)prologue;
    ft_conv_wgrad p = {.x = x,
                       .dy = dy,
                       .win = g->args->win,
                       .geo = g->geo,
                       .x_channel = g->x_channel,
                       .dy_channel = g->y_channel,
                       .rows = g->cin,
                       .cols = g->cout,
                       .dw = dw,
                       .ldw = g->ldw,
                       .tap_step = g->cin * g->ldw,
                       .beta = beta,
                       .scratch = g->scratch,
                       .lanes = g->lanes};
    ft_conv_wgrad_run(&p);
}

const ft_conv_method ft_conv_direct = {
    .prepared_size = prepared_size,
    .scratch_size = scratch_size,
    .moment_chunks = moment_chunks,
    .prepare = prepare,
    .forward = forward,
    .input_gradient = input_gradient,
    .weight_gradient = weight_gradient,
};

/* Convolution: y(oy,ox)[k] = b[k] + sum over taps (i,j) and channels c of x(sh*oy - top + dh*i, sw*ox - left
 * + dw*j)[c] w[i][j][c][k].
 *
 * dx(y,x)[c] = sum over the outputs it fed of dy[k] w[i][j][c][k]: the same product over gathered pixels, w
 * transposed, one pass for each phase of the stride. dw[i][j][c][k] = sum over output pixels of x[c] dy[k].
 * db = sum over pixels of dy. Backward of x reads w; of w reads x; of b reads nothing.
 */
#include "layers/args.h"
#include "layers/column_sum.h"
#include "layers/conv_pass.h"
#include "tensor/kernels.h"

#include <stdio.h>
#include <string.h>

enum { X, W, B };

static bool is_depthwise(const ft_conv_args *a, int32_t c, int32_t k) {
    return a->groups > 1 && a->groups == c && k == c;
}

static ft_err shape(const ft_build *b, ft_shape out[], ft_mem *mem) {
    const ft_conv_args *a = b->args;
    ft_shape x = b->in[X], w = b->in[W];
    int32_t taps = w.n * w.h, groups = a->groups;
    ft_geometry geo;
    FT_REQUIRE(groups > 0 && x.c % groups == 0 && w.c % groups == 0, GRAPH,
               "%d groups do not divide %d input and %d output channels", groups, x.c, w.c);
    FT_REQUIRE(w.w == x.c / groups, GRAPH, "the kernel expects %d input channels a group, the input has %d",
               w.w, x.c / groups);
    FT_REQUIRE(w.n == a->win.kh && w.h == a->win.kw, GRAPH, "the kernel is %d x %d, not %d x %d", w.n, w.h,
               a->win.kh, a->win.kw);
    FT_REQUIRE(taps <= FT_MAX_TAPS, GRAPH, "a kernel of %d x %d has more than %d taps", w.n, w.h,
               FT_MAX_TAPS);
    FT_REQUIRE(b->in[B].c == 0 || b->in[B].c == w.c, GRAPH, "the bias has %d numbers for %d filters",
               b->in[B].c, w.c);
    FT_TRY(ft_window_geometry(&a->win, x.h, x.w, &geo));
    out[0] = (ft_shape){x.n, geo.oh, geo.ow, w.c};
    int64_t pixels = ft_shape_rows(out[0]);
    size_t bias = ft_column_sum_scratch(pixels, w.c);
    if (is_depthwise(a, x.c, w.c)) {
        size_t wgrad = ft_depthwise_wgrad_scratch(pixels, taps, x.c);
        mem->backward_scratch = (wgrad > bias ? wgrad : bias) * sizeof(ft_real);
        mem->forward_scratch = (size_t)w.c * sizeof(ft_real);
        return FT_OK;
    }
    int32_t cin = x.c / groups, cout = w.c / groups;
    size_t wgrad = ft_conv_wgrad_scratch(pixels, taps, cin, cout);
    size_t transposed = ft_conv_packed_size(taps, cout, cin) + (size_t)cout;
    size_t most = wgrad > transposed ? wgrad : transposed;
    mem->prepared = ft_conv_packed_size(taps, cin, cout) * (size_t)groups * sizeof(ft_real);
    mem->forward_scratch =
        (size_t)(cin * w.h + w.c) * sizeof(ft_real); /* zeros, and the bias under an epilogue */
    mem->backward_scratch = (most > bias ? most : bias) * sizeof(ft_real);
    return FT_OK;
}

static void prepare(const ft_call *c) {
    const ft_conv_args *a = c->args;
    const ft_view *w = &c->in[W];
    int32_t taps = w->n * w->h, cout = w->c / a->groups;
    if (is_depthwise(a, c->in[X].c, w->c)) return;
    size_t size = ft_conv_packed_size(taps, w->w, cout);
    for (int32_t g = 0; g < a->groups; g++)
        ft_conv_pack((ft_real *)c->prepared + (size_t)g * size, w->p + g * cout, taps, w->w, cout,
                     (int64_t)w->w * w->c, w->c, 1);
}

/* The bias seen through an epilogue: scale*(y + b) + shift = scale*y + (scale*b + shift). NULL when there is
 * neither. */
static const ft_real *whole_shift(const ft_call *c, ft_real *room) {
    const ft_real *bias = c->in[B].p, *scale = c->epilogue ? c->epilogue->scale : NULL;
    const ft_real *shift = c->epilogue ? c->epilogue->shift : NULL;
    if (!bias || c->n_in <= B) return shift;
    if (!c->epilogue) return bias;
    for (int32_t k = 0; k < c->out[0].c; k++)
        room[k] = (scale ? scale[k] : 1) * bias[k] + (shift ? shift[k] : 0);
    return room;
}

static void depthwise_forward(const ft_call *c, const ft_geometry *geo, const ft_real *shift) {
    const ft_conv_args *a = c->args;
    const ft_view *y = &c->out[0];
    const ft_real *scale = c->epilogue ? c->epilogue->scale : NULL;
    bool relu = c->epilogue && c->epilogue->relu;
    ft_depthwise_forward(&c->in[X], c->in[W].p, y, &a->win, geo);
    if (scale || shift || relu) ft_affine_rows(y, scale, shift, relu);
}

static void forward(const ft_call *c) {
    const ft_conv_args *a = c->args;
    const ft_view *x = &c->in[X], *w = &c->in[W], *y = &c->out[0];
    ft_geometry geo;
    if (ft_window_geometry(&a->win, x->h, x->w, &geo) != FT_OK) return; /* cannot be: shape() accepted it */
    int32_t taps = w->n * w->h, cout = w->c / a->groups, zeros = w->w * w->h;
    if (is_depthwise(a, x->c, w->c)) {
        depthwise_forward(c, &geo, whole_shift(c, c->scratch));
        return;
    }
    memset(c->scratch, 0, (size_t)zeros * sizeof(ft_real));
    const ft_real *shift = whole_shift(c, (ft_real *)c->scratch + zeros),
                  *scale = c->epilogue ? c->epilogue->scale : NULL;
    size_t size = ft_conv_packed_size(taps, w->w, cout);
    ft_gather g = {.src = x,
                   .dst = y,
                   .kc = w->w,
                   .cols = cout,
                   .ystep = 1,
                   .xstep = 1,
                   .gh = geo.oh,
                   .gw = geo.ow,
                   .sy = a->win.sh,
                   .sx = a->win.sw,
                   .taps = taps,
                   .packed_taps = taps,
                   .zeros = c->scratch,
                   .relu = c->epilogue && c->epilogue->relu};
    for (int32_t t = 0; t < taps; t++) {
        g.dy[t] = t / w->h * a->win.dh - geo.top;
        g.dx[t] = t % w->h * a->win.dw - geo.left;
        g.b[t] = t;
    }
    for (int32_t k = 0; k < a->groups; k++) {
        g.packed = (const ft_real *)c->prepared + (size_t)k * size;
        g.src_channel = k * w->w;
        g.dst_channel = k * cout;
        g.scale = scale ? scale + g.dst_channel : NULL;
        g.shift = shift ? shift + g.dst_channel : NULL;
        ft_gather_run(&g);
    }
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

static void backward_input(const ft_call *c, const ft_geometry *geo) {
    const ft_conv_args *a = c->args;
    const ft_view *w = &c->in[W], *dx = &c->din[X], *dy = &c->dout[0];
    const ft_window *win = &a->win;
    int32_t taps = w->n * w->h, cout = w->c / a->groups;
    ft_real *zeros = c->scratch, *packed = zeros + cout;
    memset(zeros, 0, (size_t)cout * sizeof *zeros);
    ft_gather g = {.src = dy,
                   .dst = dx,
                   .kc = cout,
                   .cols = w->w,
                   .ystep = win->sh,
                   .xstep = win->sw,
                   .sy = 1,
                   .sx = 1,
                   .packed_taps = taps,
                   .packed = packed,
                   .zeros = zeros,
                   .accumulate = c->beta[X] != 0};
    for (int32_t group = 0; group < a->groups; group++) {
        g.src_channel = group * cout;
        g.dst_channel = group * w->w;
        ft_conv_pack(packed, w->p + group * cout, taps, cout, w->w, (int64_t)w->w * w->c, 1, w->c);
        for (g.y0 = 0; g.y0 < win->sh && g.y0 < dx->h; g.y0++)
            for (g.x0 = 0; g.x0 < win->sw && g.x0 < dx->w; g.x0++) {
                int32_t iy[FT_MAX_TAPS], oy[FT_MAX_TAPS], ix[FT_MAX_TAPS], ox[FT_MAX_TAPS];
                int32_t ny = phase_taps(g.y0, geo->top, win->kh, win->sh, win->dh, iy, oy);
                int32_t nx = phase_taps(g.x0, geo->left, win->kw, win->sw, win->dw, ix, ox);
                g.taps = ny * nx;
                for (int32_t t = 0; t < g.taps; t++) {
                    g.dy[t] = oy[t / nx];
                    g.dx[t] = ox[t % nx];
                    g.b[t] = iy[t / nx] * win->kw + ix[t % nx];
                }
                g.gh = (dx->h - g.y0 + win->sh - 1) / win->sh;
                g.gw = (dx->w - g.x0 + win->sw - 1) / win->sw;
                if (g.taps > 0 || !g.accumulate) ft_gather_run(&g);
            }
    }
}

static void backward_weight(const ft_call *c, const ft_geometry *geo) {
    const ft_conv_args *a = c->args;
    const ft_view *dw = &c->din[W];
    int32_t cin = dw->w, cout = dw->c / a->groups;
    for (int32_t g = 0; g < a->groups; g++) {
        ft_conv_wgrad p = {.x = &c->in[X],
                           .dy = &c->dout[0],
                           .win = a->win,
                           .geo = *geo,
                           .x_channel = g * cin,
                           .dy_channel = g * cout,
                           .rows = cin,
                           .cols = cout,
                           .dw = dw->p + g * cout,
                           .ldw = dw->c,
                           .tap_step = (int64_t)cin * dw->c,
                           .beta = c->beta[W],
                           .scratch = c->scratch};
        ft_conv_wgrad_run(&p);
    }
}

static void backward(const ft_call *c) {
    const ft_conv_args *a = c->args;
    const ft_view *dy = &c->dout[0];
    bool depthwise = is_depthwise(a, c->in[X].c, c->in[W].c);
    ft_geometry geo;
    if (ft_window_geometry(&a->win, c->in[X].h, c->in[X].w, &geo) != FT_OK)
        return; /* cannot be: shape() accepted it */
    if (c->n_in > B && c->din[B].p) ft_column_sum(dy, c->din[B].p, c->beta[B], c->scratch);
    if (c->din[W].p) {
        if (depthwise)
            ft_depthwise_backward_weight(&c->in[X], dy, c->din[W].p, &a->win, &geo, c->beta[W], c->scratch);
        else
            backward_weight(c, &geo);
    }
    if (c->din[X].p) {
        if (depthwise)
            ft_depthwise_backward_input(dy, c->in[W].p, &c->din[X], &a->win, &geo, c->beta[X]);
        else
            backward_input(c, &geo);
    }
}

/* The variadic part begins with the padding's kind. */
#define WINDOW(a, b, c, d, e, f, g, ...)                                                                   \
    &(const ft_conv_args) {                                                                                \
        .win = {.kh = a, .kw = b, .sh = c, .sw = d, .dh = e, .dw = f, .padding = __VA_ARGS__}, .groups = g \
    }
static const ft_case cases[] = {
    {.label = "1x1", .in = {{2, 5, 7, 19}, {1, 1, 19, 33}}, .args = WINDOW(1, 1, 1, 1, 1, 1, 1, FT_PAD_SAME)},
    {.label = "1x1 bias one row",
     .in = {{1, 1, 1, 5}, {1, 1, 5, 3}, {1, 1, 1, 3}},
     .args = WINDOW(1, 1, 1, 1, 1, 1, 1, FT_PAD_VALID)},
    {.label = "3x2 same stride 2x1 bias",
     .in = {{2, 7, 6, 3}, {3, 2, 3, 17}, {1, 1, 1, 17}},
     .args = WINDOW(3, 2, 2, 1, 1, 1, 1, FT_PAD_SAME)},
    {.label = "3x3 same even input stride 2",
     .in = {{1, 8, 6, 4}, {3, 3, 4, 48}},
     .args = WINDOW(3, 3, 2, 2, 1, 1, 1, FT_PAD_SAME)},
    {.label = "1x7 same",
     .in = {{2, 4, 9, 16}, {1, 7, 16, 20}},
     .args = WINDOW(1, 7, 1, 1, 1, 1, 1, FT_PAD_SAME)},
    {.label = "7x1 same small map",
     .in = {{3, 3, 2, 8}, {7, 1, 8, 16}},
     .args = WINDOW(7, 1, 1, 1, 1, 1, 1, FT_PAD_SAME)},
    {.label = "3x3 valid 3 channels (stem)",
     .in = {{2, 9, 11, 3}, {3, 3, 3, 32}},
     .args = WINDOW(3, 3, 2, 2, 1, 1, 1, FT_PAD_VALID)},
    {.label = "2x3 explicit dilated",
     .in = {{2, 7, 9, 5}, {2, 3, 5, 6}},
     .args = WINDOW(2, 3, 1, 2, 2, 3, 1, FT_PAD_EXPLICIT, .pad = {1, 2, 3, 0})},
    {.label = "stride 3 over kernel 2",
     .in = {{2, 8, 7, 4}, {2, 2, 4, 5}},
     .args = WINDOW(2, 2, 3, 3, 1, 1, 1, FT_PAD_VALID)},
    {.label = "2 groups bias",
     .in = {{2, 5, 6, 6}, {3, 3, 3, 34}, {1, 1, 1, 34}},
     .args = WINDOW(3, 3, 2, 2, 1, 1, 2, FT_PAD_SAME)},
    {.label = "depthwise bias",
     .in = {{2, 6, 5, 19}, {3, 2, 1, 19}, {1, 1, 1, 19}},
     .args = WINDOW(3, 2, 2, 2, 1, 1, 19, FT_PAD_SAME)},
    {.label = "depthwise times 2",
     .in = {{1, 4, 5, 3}, {2, 3, 1, 6}},
     .args = WINDOW(2, 3, 1, 1, 1, 1, 3, FT_PAD_SAME)},
    {.label = "many pixels few weights",
     .in = {{3, 33, 35, 2}, {3, 3, 2, 5}, {1, 1, 1, 5}},
     .args = WINDOW(3, 3, 1, 1, 1, 1, 1, FT_PAD_SAME)},
    {.label = "Inception stem",
     .in = {{2, 149, 149, 32}, {3, 3, 32, 32}},
     .args = WINDOW(3, 3, 1, 1, 1, 1, 1, FT_PAD_VALID),
     .large = true},
    {.label = "Inception 5x5",
     .in = {{2, 35, 35, 48}, {5, 5, 48, 64}},
     .args = WINDOW(5, 5, 1, 1, 1, 1, 1, FT_PAD_SAME),
     .large = true},
    {.label = "Inception 7x1",
     .in = {{4, 17, 17, 160}, {7, 1, 160, 192}},
     .args = WINDOW(7, 1, 1, 1, 1, 1, 1, FT_PAD_SAME),
     .large = true},
    {.label = "Inception 3x3 stride 2",
     .in = {{4, 35, 35, 288}, {3, 3, 288, 384}},
     .args = WINDOW(3, 3, 2, 2, 1, 1, 1, FT_PAD_VALID),
     .large = true},
    {0},
};

const ft_op ft_op_conv2d = {
    .name = "conv2d",
    .n_in = 3,
    .n_out = 1,
    .args_size = sizeof(ft_conv_args),
    .flags = FT_LINEAR | FT_EPILOGUE,
    .needs = {FT_IN(W), FT_IN(X), 0},
    .shape = shape,
    .prepare = prepare,
    .forward = forward,
    .backward = backward,
    .cases = cases,
};

ft_val ft_conv2d(ft_graph *g, ft_val x, const ft_conv *o) {
    ft_shape s = ft_val_shape(g, x);
    if (s.c == 0) return (ft_val){0};
    char name[64], param[96];
    ft_graph_next_name(g, &ft_op_conv2d, o->name, name);
    int32_t groups = o->groups ? o->groups : 1;
    if (o->filters <= 0 || o->k[0] <= 0 || o->k[1] <= 0 || groups < 0 || s.c % groups != 0)
        return ft_graph_fail(g, name, "%d filters of %d x %d in %d groups over %d channels make no sense",
                             o->filters, o->k[0], o->k[1], groups, s.c);
    ft_conv_args a = {.win = {.kh = o->k[0],
                              .kw = o->k[1],
                              .sh = o->stride[0] ? o->stride[0] : 1,
                              .sw = o->stride[1] ? o->stride[1] : 1,
                              .dh = o->dilation[0] ? o->dilation[0] : 1,
                              .dw = o->dilation[1] ? o->dilation[1] : 1,
                              .padding = (int32_t)o->padding},
                      .groups = groups};
    memcpy(a.win.pad, o->pad, sizeof a.win.pad);
    ft_init init = o->init ? *o->init : (ft_init){.kind = FT_INIT_GLOROT_UNIFORM};
    snprintf(param, sizeof param, "%s/kernel", name);
    ft_val in[3] = {x,
                    ft_param_add(g, param, (ft_shape){o->k[0], o->k[1], s.c / groups, o->filters}, init,
                                 FT_TRAINABLE | FT_DECAY),
                    FT_NONE};
    snprintf(param, sizeof param, "%s/bias", name);
    if (o->bias) in[B] = ft_param_add(g, param, (ft_shape){1, 1, 1, o->filters}, (ft_init){0}, FT_TRAINABLE);
    return ft_apply(g, &ft_op_conv2d, name, &a, o->bias ? 3 : 2, in);
}

/* Convolution: y(oy,ox)[k] = b[k] + sum over taps (i,j) and channels c of x(sh*oy - top + dh*i, sw*ox - left
 * + dw*j)[c] w[i][j][c][k].
 *
 * dx(y,x)[c] = sum over the outputs it fed of dy[k] w[i][j][c][k]: the same product over gathered pixels, w
 * transposed, one pass for each phase of the stride. dw[i][j][c][k] = sum over output pixels of x[c] dy[k].
 * db = sum over pixels of dy. Backward of x reads w; of w reads x; of b reads nothing.
 */
#include "layers/args.h"
#include "layers/column_sum.h"
#include "layers/conv_method.h"
#include "layers/conv_pass.h"
#include "tensor/kernels.h"
#include "tensor/par.h"

#include <stdio.h>
#include <string.h>

enum { X, W, B };
enum { N_PASSES = FT_CONV_WEIGHT_GRADIENT + 1 };

static bool is_depthwise(const ft_conv_args *a, int32_t c, int32_t k) {
    return a->groups > 1 && a->groups == c && k == c;
}

static const ft_conv_method *choose(const ft_conv_args *a, ft_shape x, ft_shape w, ft_conv_pass pass,
                                    bool direct) {
    return ft_conv_choose(a, x, w, pass, direct).mh > 0 ? &ft_conv_winograd : &ft_conv_direct;
}

static size_t max_size(size_t a, size_t b) {
    return a > b ? a : b;
}

/* Where the input gradient's scratch begins, behind so many elements of the weight gradient's: on a line. */
static size_t input_scratch_at(size_t weight_scratch) {
    return (weight_scratch + 63) / 64 * 64;
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
    ft_conv_group g = {a, geo, x, x.c / groups, w.c / groups, .ldw = w.c, .lanes = b->lanes};
    size_t scratch[N_PASSES];
    for (int pass = 0; pass < N_PASSES; pass++) {
        const ft_conv_method *m = choose(a, x, w, (ft_conv_pass)pass, b->direct);
        if (pass == FT_CONV_FORWARD) mem->moment_chunks = m->moment_chunks(&g);
        scratch[pass] = m->scratch_size(&g, (ft_conv_pass)pass);
        if (pass == FT_CONV_FORWARD) mem->prepared = m->prepared_size(&g) * (size_t)groups * sizeof(ft_real);
    }
    size_t backward = input_scratch_at(scratch[FT_CONV_WEIGHT_GRADIENT]) + scratch[FT_CONV_INPUT_GRADIENT];
    mem->forward_scratch = (scratch[FT_CONV_FORWARD] + (size_t)w.c) * sizeof(ft_real);
    mem->backward_scratch = max_size(backward, bias) * sizeof(ft_real);
    return FT_OK;
}

/* Of a call of which only inputs 0 and 1 need be there. */
static const ft_conv_method *chosen(const ft_call *c, ft_conv_pass pass) {
    const ft_view *x = &c->in[X], *w = &c->in[W];
    return choose(c->args, (ft_shape){c->batch, x->h, x->w, x->c}, (ft_shape){w->n, w->h, w->w, w->c}, pass,
                  c->direct);
}

static ft_conv_group group_of(const ft_call *c, const ft_geometry *geo, int32_t k) {
    const ft_conv_args *a = c->args;
    const ft_view *x = &c->in[X], *w = &c->in[W];
    ft_conv_group g = {a, *geo, {c->batch, x->h, x->w, x->c}, w->w, w->c / a->groups, .ldw = w->c};
    g.x_channel = k * g.cin;
    g.y_channel = k * g.cout;
    g.w = w->p + g.y_channel;
    g.lanes = c->lanes;
    g.scratch = c->scratch;
    return g;
}

static ft_geometry geometry_of(const ft_call *c) {
    ft_geometry geo = {0};
    (void)ft_window_geometry(&((const ft_conv_args *)c->args)->win, c->in[X].h, c->in[X].w,
                             &geo); /* shape() accepted it */
    return geo;
}

static bool takes_prologue(const ft_build *b) {
    const ft_conv_args *a = b->args;
    if (is_depthwise(a, b->in[X].c, b->in[W].c)) return false;
    return choose(a, b->in[X], b->in[W], FT_CONV_FORWARD, b->direct)->takes_prologue &&
           choose(a, b->in[X], b->in[W], FT_CONV_WEIGHT_GRADIENT, b->direct)->takes_prologue;
}

static bool mixes_channels(const ft_build *b) {
    const ft_conv_args *a = b->args;
    const ft_window *win = &a->win;
    ft_geometry geo;
    return win->kh == 1 && win->kw == 1 && win->sh == 1 && win->sw == 1 && a->groups == 1 &&
           b->in[B].c == 0 && ft_window_geometry(win, b->in[X].h, b->in[X].w, &geo) == FT_OK &&
           geo.oh == b->in[X].h && geo.ow == b->in[X].w && geo.top == 0 && geo.left == 0;
}

static void prepare(const ft_call *c) {
    const ft_conv_args *a = c->args;
    if (is_depthwise(a, c->in[X].c, c->in[W].c)) return;
    const ft_conv_method *m = chosen(c, FT_CONV_FORWARD);
    ft_geometry geo = geometry_of(c);
    for (int32_t k = 0; k < a->groups; k++) {
        ft_conv_group g = group_of(c, &geo, k);
        m->prepare(&g, (ft_real *)c->prepared + (size_t)k * m->prepared_size(&g));
    }
}

/* What is done to y on its way out. A bias is seen through the epilogue: scale*(y + b) + shift = scale*y +
 * (scale*b + shift); room has space for that sum. */
static ft_epilogue whole_epilogue(const ft_call *c, ft_real *room) {
    ft_epilogue e = c->epilogue ? *c->epilogue : (ft_epilogue){0};
    const ft_real *bias = c->n_in > B ? c->in[B].p : NULL;
    if (!bias) return e;
    for (int32_t k = 0; k < c->out[0].c; k++)
        room[k] = (e.scale ? e.scale[k] : 1) * bias[k] + (e.shift ? e.shift[k] : 0);
    e.shift = room;
    return e;
}

static void forward(const ft_call *c) {
    const ft_conv_args *a = c->args;
    const ft_view *x = &c->in[X], *y = &c->out[0];
    ft_geometry geo = geometry_of(c);
    ft_epilogue e = whole_epilogue(c, c->scratch);
    if (is_depthwise(a, x->c, c->in[W].c)) {
        ft_depthwise_forward(x, c->in[W].p, y, &a->win, &geo);
        if (e.scale || e.shift || e.relu) ft_affine_rows(y, e.scale, e.shift, e.relu);
        return;
    }
    const ft_conv_method *m = chosen(c, FT_CONV_FORWARD);
    for (int32_t k = 0; k < a->groups; k++) {
        ft_conv_group g = group_of(c, &geo, k);
        ft_epilogue part = {e.scale ? e.scale + g.y_channel : NULL, e.shift ? e.shift + g.y_channel : NULL,
                            e.relu};
        g.scratch += y->c;
        g.moments = c->moments;
        m->forward(&g, x, c->prologue, (const ft_real *)c->prepared + (size_t)k * m->prepared_size(&g), y,
                   &part);
    }
}

static void backward_depthwise(const ft_call *c) {
    const ft_window *win = &((const ft_conv_args *)c->args)->win;
    const ft_view *x = &c->in[X], *dy = &c->dout[0];
    ft_geometry geo = geometry_of(c);
    if (c->din[W].p) ft_depthwise_backward_weight(x, dy, c->din[W].p, win, &geo, c->beta[W], c->scratch);
    if (c->din[X].p) ft_depthwise_backward_input(dy, c->in[W].p, &c->din[X], win, &geo, c->beta[X]);
}

static void backward_weight(void *ctx) {
    const ft_call *c = ctx;
    const ft_conv_args *a = c->args;
    ft_geometry geo = geometry_of(c);
    const ft_conv_method *m = chosen(c, FT_CONV_WEIGHT_GRADIENT);
    for (int32_t k = 0; k < a->groups; k++) {
        ft_conv_group g = group_of(c, &geo, k);
        m->weight_gradient(&g, &c->in[X], c->prologue, &c->dout[0], c->din[W].p + g.y_channel, c->beta[W]);
    }
}

static void backward_input(void *ctx) {
    const ft_call *c = ctx;
    const ft_conv_args *a = c->args;
    ft_geometry geo = geometry_of(c);
    const ft_conv_method *m = chosen(c, FT_CONV_INPUT_GRADIENT);
    for (int32_t k = 0; k < a->groups; k++) {
        ft_conv_group g = group_of(c, &geo, k);
        g.scratch +=
            input_scratch_at(chosen(c, FT_CONV_WEIGHT_GRADIENT)->scratch_size(&g, FT_CONV_WEIGHT_GRADIENT));
        m->input_gradient(&g, &c->dout[0], &c->din[X], c->beta[X]);
    }
}

static void backward(const ft_call *c) {
    const ft_conv_args *a = c->args;
    void *ctx = (void *)(uintptr_t)c;
    const bool to_weight = c->din[W].p, to_input = c->din[X].p;
    if (c->n_in > B && c->din[B].p) ft_column_sum(&c->dout[0], c->din[B].p, c->beta[B], c->scratch);
    if (is_depthwise(a, c->in[X].c, c->in[W].c)) {
        backward_depthwise(c);
    } else if (to_weight && to_input && a->groups == 1) { /* groups have too many loops, and short ones */
        ft_par_both(backward_weight, backward_input, ctx);
    } else {
        if (to_weight) backward_weight(ctx);
        if (to_input) backward_input(ctx);
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
    {.label = "1x1 two groups, pixels a page apart",
     .in = {{1, 1, 3, 1024}, {1, 1, 512, 4}, {1, 1, 1, 4}},
     .args = WINDOW(1, 1, 1, 1, 1, 1, 2, FT_PAD_SAME)},
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
    {.label = "F(4x4, 3x3) odd map and channels, bias",
     .in = {{2, 14, 11, 17}, {3, 3, 17, 19}, {1, 1, 1, 19}},
     .args = WINDOW(3, 3, 1, 1, 1, 1, 1, FT_PAD_SAME)},
    {.label = "F(4x4, 3x3) valid, 48 and 80 channels",
     .in = {{1, 15, 18, 48}, {3, 3, 48, 80}},
     .args = WINDOW(3, 3, 1, 1, 1, 1, 1, FT_PAD_VALID)},
    {.label = "F(4x4, 3x3) two groups, uneven padding",
     .in = {{1, 18, 13, 32}, {3, 3, 16, 36}},
     .args = WINDOW(3, 3, 1, 1, 1, 1, 2, FT_PAD_EXPLICIT, .pad = {2, 0, 1, 2})},
    {.label = "F(4x4, 5x5)",
     .in = {{2, 15, 18, 16}, {5, 5, 16, 34}},
     .args = WINDOW(5, 5, 1, 1, 1, 1, 1, FT_PAD_SAME)},
    {.label = "F(1x4, 1x7)",
     .in = {{3, 9, 17, 18}, {1, 7, 18, 33}},
     .args = WINDOW(1, 7, 1, 1, 1, 1, 1, FT_PAD_SAME)},
    {.label = "F(4x1, 7x1) bias",
     .in = {{2, 17, 14, 33}, {7, 1, 33, 16}, {1, 1, 1, 16}},
     .args = WINDOW(7, 1, 1, 1, 1, 1, 1, FT_PAD_SAME)},
    {.label = "F(1x4, 1x5)",
     .in = {{2, 10, 13, 17}, {1, 5, 17, 16}},
     .args = WINDOW(1, 5, 1, 1, 1, 1, 1, FT_PAD_SAME)},
    {.label = "F(1x4, 1x3)",
     .in = {{4, 9, 8, 40}, {1, 3, 40, 50}},
     .args = WINDOW(1, 3, 1, 1, 1, 1, 1, FT_PAD_SAME)},
    {.label = "F(4x1, 3x1)",
     .in = {{4, 8, 9, 50}, {3, 1, 50, 40}},
     .args = WINDOW(3, 1, 1, 1, 1, 1, 1, FT_PAD_SAME)},
    {.label = "F(3x3, 3x3/2) odd channels, bias",
     .in = {{1, 18, 24, 35}, {3, 3, 35, 37}, {1, 1, 1, 37}},
     .args = WINDOW(3, 3, 2, 2, 1, 1, 1, FT_PAD_VALID)},
    {.label = "F(3x3, 3x3/2) padding all around",
     .in = {{2, 11, 11, 40}, {3, 3, 40, 48}},
     .args = WINDOW(3, 3, 2, 2, 1, 1, 1, FT_PAD_EXPLICIT, .pad = {1, 1, 1, 1})},
    {.label = "F(3x3, 3x3/2) two groups, uneven padding",
     .in = {{1, 11, 11, 64}, {3, 3, 32, 72}},
     .args = WINDOW(3, 3, 2, 2, 1, 1, 2, FT_PAD_EXPLICIT, .pad = {1, 2, 1, 1})},
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
    .takes_prologue = takes_prologue,
    .mixes_channels = mixes_channels,
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

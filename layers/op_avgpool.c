/* Average pooling: y(o) = 1/n(o) * sum of x(i) over the pixels i under window o, n(o) the number of these
 * pixels or, with count_padding, kh*kw.
 *
 *     dx(i) = sum of dy(o) / n(o) over the windows o that hold i
 *
 * Backward reads nothing. Every pixel of dx collects from the windows that hold it, so no two threads write
 * the same one.
 */
#include "layers/column_sum.h"
#include "layers/pooling.h"
#include "tensor/kernels.h"

/* 1/n(o) of the window over pixels ys and xs. */
static ft_real share(const ft_pool_pass *p, ft_span ys, ft_span xs) {
    const ft_pool_args *a = p->call->args;
    int32_t pixels = a->count_padding ? p->win.kh * p->win.kw : (ys.to - ys.from) * (xs.to - xs.from);
    return 1 / (ft_real)pixels;
}

static void add_tap(ft_pool_taps *t, const ft_real *x, ft_real n, int32_t c, ft_real *to) {
    if (t->n == FT_POOL_TAPS) {
        ft_pool_kernels_get()->sum(t, c, to);
        t->n = 0;
        t->further = true;
    }
    t->x[t->n] = x;
    t->share[t->n++] = n;
}

static void forward_rows(void *ctx, int64_t chunk, int32_t thread) {
    const ft_pool_pass *p = ctx;
    const ft_view *x = p->call->in, *y = p->call->out;
    (void)thread;
    ft_row_range rows = ft_pool_rows(p, y, chunk);
    ft_pool_taps t;
    for (int64_t r = rows.from; r < rows.to; r++) {
        const ft_real *image = x->p + r / y->h * x->h * x->w * x->ld;
        ft_span ys = ft_pool_pixels((int32_t)(r % y->h), p->win.kh, p->win.sh, p->geometry.top, x->h);
        for (int32_t ox = 0; ox < y->w; ox++) {
            ft_span xs = ft_pool_pixels(ox, p->win.kw, p->win.sw, p->geometry.left, x->w);
            ft_real *to = y->p + (r * y->w + ox) * y->ld, n = share(p, ys, xs);
            t.n = 0;
            t.further = false;
            for (int32_t iy = ys.from; iy < ys.to; iy++)
                for (int32_t ix = xs.from; ix < xs.to; ix++)
                    add_tap(&t, image + ((int64_t)iy * x->w + ix) * x->ld, n, x->c, to);
            ft_pool_kernels_get()->sum(&t, x->c, to);
        }
    }
}

static void pixel_gradient(const ft_pool_pass *p, int64_t image, ft_span oys, ft_span oxs, ft_real *to) {
    const ft_view *dy = p->call->dout, *dx = p->call->din;
    ft_pool_taps t;
    t.n = 0;
    t.further = p->call->beta[0] != 0;
    for (int32_t oy = oys.from; oy < oys.to; oy++) {
        ft_span ys = ft_pool_pixels(oy, p->win.kh, p->win.sh, p->geometry.top, dx->h);
        const ft_real *row = dy->p + (image * dy->h + oy) * dy->w * dy->ld;
        for (int32_t ox = oxs.from; ox < oxs.to; ox++) {
            ft_span xs = ft_pool_pixels(ox, p->win.kw, p->win.sw, p->geometry.left, dx->w);
            add_tap(&t, row + ox * dy->ld, share(p, ys, xs), dx->c, to);
        }
    }
    ft_pool_kernels_get()->sum(&t, dx->c, to);
}

static void backward_rows(void *ctx, int64_t chunk, int32_t thread) {
    const ft_pool_pass *p = ctx;
    const ft_view *dy = p->call->dout, *dx = p->call->din;
    (void)thread;
    ft_row_range rows = ft_pool_rows(p, dx, chunk);
    for (int64_t r = rows.from; r < rows.to; r++) {
        int32_t iy = (int32_t)(r % dx->h);
        ft_span oys = ft_pool_outputs(iy, p->win.kh, p->win.sh, p->geometry.top, dy->h), oxs = {0, 0};
        for (int32_t ix = 0; ix < dx->w; ix++) {
            oxs = ft_pool_next_outputs(oxs, ix, p->win.kw, p->win.sw, p->geometry.left, dy->w);
            pixel_gradient(p, r / dx->h, oys, oxs, dx->p + (r * dx->w + ix) * dx->ld);
        }
    }
}

static void forward(const ft_call *call) {
    const ft_epilogue *e = call->epilogue;
    ft_pool_run(call, call->in, call->out, forward_rows);
    if (e) ft_affine_rows(call->out, e->scale, e->shift, e->relu);
}

static void backward(const ft_call *call) {
    if (call->din[0].p) ft_pool_run(call, call->din, call->din, backward_rows);
}

static ft_err shape(const ft_build *b, ft_shape out[], ft_mem *mem) {
    (void)mem;
    ft_geometry geometry;
    return ft_pool_shape(b, out, &geometry);
}

#define POOL(kh, kw, sh, sw, ...)              \
    &(const ft_pool_args) {                    \
        {kh, kw, sh, sw, 1, 1, __VA_ARGS__}, 0 \
    }
#define POOL_COUNTING_PADDING(kh, kw, sh, sw, ...) \
    &(const ft_pool_args) {                        \
        {kh, kw, sh, sw, 1, 1, __VA_ARGS__}, 1     \
    }
static const ft_case cases[] = {
    {"Inception 3x3/1 same", .in = {{2, 5, 7, 48}}, .args = POOL(3, 3, 1, 1, FT_PAD_SAME, {0})},
    {"3x3/1 same, padding counted", .in = {{2, 5, 7, 17}},
     .args = POOL_COUNTING_PADDING(3, 3, 1, 1, FT_PAD_SAME, {0})},
    {"5x5/3 valid", .in = {{2, 11, 17, 3}}, .args = POOL(5, 5, 3, 3, FT_PAD_VALID, {0})},
    {"2x3/(3,2) same, gaps between windows", .in = {{1, 8, 11, 3}},
     .args = POOL(2, 3, 3, 2, FT_PAD_SAME, {0})},
    {"4x5/(2,3), padding 0 3 4 1", .in = {{3, 6, 9, 17}},
     .args = POOL(4, 5, 2, 3, FT_PAD_EXPLICIT, {0, 3, 4, 1})},
    {"the same, counted", .in = {{3, 6, 9, 17}},
     .args = POOL_COUNTING_PADDING(4, 5, 2, 3, FT_PAD_EXPLICIT, {0, 3, 4, 1})},
    {"window larger than the image, same", .in = {{2, 3, 2, 5}}, .args = POOL(7, 5, 2, 1, FT_PAD_SAME, {0})},
    {"one channel, batch 1", .in = {{1, 7, 4, 1}}, .args = POOL(2, 2, 2, 2, FT_PAD_VALID, {0})},
    {"Inception 35x35", .in = {{4, 35, 35, 288}}, .args = POOL(3, 3, 1, 1, FT_PAD_SAME, {0}), .large = true},
    {0},
};

const ft_op ft_op_avgpool = {
    .name = "avgpool",
    .n_in = 1,
    .n_out = 1,
    .args_size = sizeof(ft_pool_args),
    .flags = FT_LINEAR | FT_EPILOGUE | FT_MIXES_PIXELS,
    .needs = {0},
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .cases = cases,
};

ft_val ft_avgpool(ft_graph *g, ft_val x, const ft_pool *o) {
    return ft_pool_apply(g, &ft_op_avgpool, x, o);
}

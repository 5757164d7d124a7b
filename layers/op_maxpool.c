/* Max pooling: y(o) = max of x(i) over the pixels i under window o; padding counts as -infinity. A NaN wins.
 *
 *     dx(i) = sum of dy(o) over the windows o whose maximum is at i (the first of equals in row-major order)
 *
 * Backward reads what forward saved: for every output the position of its maximum in the window, ky*kw + kx.
 * Every pixel of dx collects from the windows that hold it, so no two threads write the same one.
 */
#include "layers/pooling.h"
#include "tensor/kernels.h"

/* One window over the image x (h,w,c): its maxima to y (c), their positions, unless NULL, to saved (c). */
static void window_max(const ft_pool_pass *p, const ft_view *x, int32_t oy, int32_t ox, ft_span ys,
                       ft_real *y, uint16_t *saved) {
    const ft_pool_kernels *kernels = ft_pool_kernels_get();
    const ft_span xs = ft_pool_pixels(ox, p->win.kw, p->win.sw, p->geometry.left, x->w);
    int32_t top = oy * p->win.sh - p->geometry.top, left = ox * p->win.sw - p->geometry.left;
    ft_pool_taps t;
    t.n = 0;
    t.further = false;
    t.prologue = p->call->prologue;
    t.stream = p->stream;
    for (int32_t iy = ys.from; iy < ys.to; iy++)
        for (int32_t ix = xs.from; ix < xs.to; ix++) {
            if (t.n == FT_POOL_TAPS) {
                kernels->max(&t, x->c, y, saved);
                t.n = 0;
                t.further = true;
            }
            t.x[t.n] = x->p + ((int64_t)iy * x->w + ix) * x->ld;
            t.place[t.n++] = (iy - top) * p->win.kw + ix - left;
        }
    kernels->max(&t, x->c, y, saved);
}

static void forward_rows(void *ctx, int64_t chunk, int32_t thread) {
    const ft_pool_pass *p = ctx;
    const ft_view *y = p->call->out;
    uint16_t *saved = p->call->saved;
    (void)thread;
    ft_row_range rows = ft_pool_rows(p, y, chunk);
    for (int64_t r = rows.from; r < rows.to; r++) {
        ft_view image = p->call->in[0];
        image.p += r / y->h * image.h * image.w * image.ld;
        int32_t oy = (int32_t)(r % y->h);
        ft_span ys = ft_pool_pixels(oy, p->win.kh, p->win.sh, p->geometry.top, image.h);
        for (int32_t ox = 0; ox < y->w; ox++) {
            int64_t o = r * y->w + ox;
            window_max(p, &image, oy, ox, ys, y->p + o * y->ld, saved ? saved + o * y->c : NULL);
        }
    }
}

/* Pixel (iy, ix) of an image of dx from the windows (oys, oxs) of that image of dy that hold it; `first` is
 * the number of its window 0. */
static void pixel_gradient(const ft_pool_pass *p, int64_t first, int32_t iy, int32_t ix, ft_span oys,
                           ft_span oxs, ft_real *dx) {
    const ft_pool_kernels *kernels = ft_pool_kernels_get();
    const ft_view *dy = p->call->dout;
    const uint16_t *saved = p->call->saved;
    ft_pool_taps t;
    t.n = 0;
    t.further = p->call->beta[0] != 0;
    t.stream = p->stream;
    for (int32_t oy = oys.from; oy < oys.to; oy++)
        for (int32_t ox = oxs.from; ox < oxs.to; ox++) {
            if (t.n == FT_POOL_TAPS) {
                kernels->max_backward(&t, dy->c, dx);
                t.n = 0;
                t.further = true;
            }
            int64_t o = first + (int64_t)oy * dy->w + ox;
            int32_t ky = iy - (oy * p->win.sh - p->geometry.top);
            int32_t kx = ix - (ox * p->win.sw - p->geometry.left);
            t.x[t.n] = dy->p + o * dy->ld;
            t.where[t.n] = saved + o * dy->c;
            t.place[t.n++] = ky * p->win.kw + kx;
        }
    kernels->max_backward(&t, dy->c, dx);
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
            pixel_gradient(p, r / dx->h * dy->h * dy->w, iy, ix, oys, oxs, dx->p + (r * dx->w + ix) * dx->ld);
        }
    }
}

static void forward(const ft_call *call) {
    ft_pool_run(call, call->in, call->out, forward_rows);
}

static bool takes_prologue(const ft_build *b) {
    (void)b;
    return true;
}

static void backward(const ft_call *call) {
    if (call->din[0].p) ft_pool_run(call, call->din, call->din, backward_rows);
}

static ft_err shape(const ft_build *b, ft_shape out[], ft_mem *mem) {
    ft_geometry geometry;
    FT_TRY(ft_pool_shape(b, out, &geometry));
    if (b->training) mem->saved = (size_t)ft_shape_size(out[0]) * sizeof(uint16_t);
    return FT_OK;
}

#define POOL(kh, kw, sh, sw, ...)                    \
    &(const ft_pool_args) {                          \
        .win = { kh, kw, sh, sw, 1, 1, __VA_ARGS__ } \
    }
static const ft_case cases[] = {
    {"Inception 3x3/2", .in = {{2, 9, 13, 17}}, .args = POOL(3, 3, 2, 2, FT_PAD_VALID, {0})},
    {"3x3/1 same", .in = {{2, 5, 7, 48}}, .args = POOL(3, 3, 1, 1, FT_PAD_SAME, {0})},
    {"2x3/(3,2) same, gaps between windows", .in = {{1, 8, 11, 3}},
     .args = POOL(2, 3, 3, 2, FT_PAD_SAME, {0})},
    {"4x5/(2,3), padding 0 3 4 1", .in = {{3, 6, 9, 67}},
     .args = POOL(4, 5, 2, 3, FT_PAD_EXPLICIT, {0, 3, 4, 1})},
    {"window larger than the image, same", .in = {{2, 3, 2, 5}}, .args = POOL(7, 5, 2, 1, FT_PAD_SAME, {0})},
    {"one channel, batch 1", .in = {{1, 7, 4, 1}}, .args = POOL(2, 2, 2, 2, FT_PAD_VALID, {0})},
    {"300 positions", .in = {{1, 16, 21, 3}}, .args = POOL(15, 20, 1, 1, FT_PAD_VALID, {0})},
    {"inference", .in = {{2, 9, 13, 17}}, .args = POOL(3, 3, 2, 2, FT_PAD_SAME, {0}), .infer = true},
    {"Inception 35x35", .in = {{4, 35, 35, 288}}, .args = POOL(3, 3, 2, 2, FT_PAD_VALID, {0}), .large = true},
    {0},
};

const ft_op ft_op_maxpool = {
    .name = "maxpool",
    .n_in = 1,
    .n_out = 1,
    .args_size = sizeof(ft_pool_args),
    .needs = {FT_SAVED},
    .shape = shape,
    .takes_prologue = takes_prologue,
    .forward = forward,
    .backward = backward,
    .cases = cases,
};

ft_val ft_maxpool(ft_graph *g, ft_val x, const ft_pool *o) {
    return ft_pool_apply(g, &ft_op_maxpool, x, o);
}

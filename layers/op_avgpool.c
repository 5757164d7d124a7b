/* Average pooling: y(o) = 1/n(o) * sum of x(i) over the pixels i under window o, n(o) the number of these
 * pixels or, with count_padding, kh*kw.
 *
 *     dx(i) = sum of dy(o) / n(o) over the windows o that hold i
 *
 * Backward reads nothing. Every pixel of dx collects from the windows that hold it, so no two threads write
 * the same one.
 */
#include "layers/pooling.h"
#include "tensor/kernels.h"

#include <string.h>

/* 1/n(o) of the window over pixels ys and xs. */
static ft_real share(const ft_pool_pass *p, ft_span ys, ft_span xs) {
    const ft_pool_args *a = p->call->args;
    int32_t pixels = a->count_padding ? p->win.kh * p->win.kw : (ys.to - ys.from) * (xs.to - xs.from);
    return 1 / (ft_real)pixels;
}

static void forward_rows(void *ctx, int64_t chunk, int32_t thread) {
    const ft_pool_pass *p = ctx;
    const ft_view *x = p->call->in, *y = p->call->out;
    const ft_row_kernels *kernels = ft_row_kernels_get();
    (void)thread;
    ft_row_range rows = ft_pool_rows(p, y, chunk);
    for (int64_t r = rows.from; r < rows.to; r++) {
        const ft_real *image = x->p + r / y->h * x->h * x->w * x->ld;
        ft_span ys = ft_pool_pixels((int32_t)(r % y->h), p->win.kh, p->win.sh, p->geometry.top, x->h);
        for (int32_t ox = 0; ox < y->w; ox++) {
            ft_span xs = ft_pool_pixels(ox, p->win.kw, p->win.sw, p->geometry.left, x->w);
            ft_real *to = y->p + (r * y->w + ox) * y->ld, n = share(p, ys, xs), beta = 0;
            for (int32_t iy = ys.from; iy < ys.to; iy++)
                for (int32_t ix = xs.from; ix < xs.to; ix++, beta = 1)
                    kernels->add(1, x->c, n, image + ((int64_t)iy * x->w + ix) * x->ld, x->ld, to, y->ld,
                                 beta);
        }
    }
}

static void backward_rows(void *ctx, int64_t chunk, int32_t thread) {
    const ft_pool_pass *p = ctx;
    const ft_view *dy = p->call->dout, *dx = p->call->din;
    const ft_row_kernels *kernels = ft_row_kernels_get();
    (void)thread;
    ft_row_range rows = ft_pool_rows(p, dx, chunk);
    for (int64_t r = rows.from; r < rows.to; r++) {
        ft_span oys = ft_pool_outputs((int32_t)(r % dx->h), p->win.kh, p->win.sh, p->geometry.top, dy->h);
        for (int32_t ix = 0; ix < dx->w; ix++) {
            ft_span oxs = ft_pool_outputs(ix, p->win.kw, p->win.sw, p->geometry.left, dy->w);
            ft_real *to = dx->p + (r * dx->w + ix) * dx->ld;
            if (p->call->beta[0] == 0) memset(to, 0, (size_t)dx->c * sizeof *to);
            for (int32_t oy = oys.from; oy < oys.to; oy++) {
                ft_span ys = ft_pool_pixels(oy, p->win.kh, p->win.sh, p->geometry.top, dx->h);
                for (int32_t ox = oxs.from; ox < oxs.to; ox++) {
                    ft_span xs = ft_pool_pixels(ox, p->win.kw, p->win.sw, p->geometry.left, dx->w);
                    int64_t o = (r / dx->h * dy->h + oy) * dy->w + ox;
                    kernels->add(1, dx->c, share(p, ys, xs), dy->p + o * dy->ld, dy->ld, to, dx->ld, 1);
                }
            }
        }
    }
}

static void forward(const ft_call *call) {
    ft_pool_run(call, call->in, call->out, forward_rows);
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
    .flags = FT_LINEAR,
    .needs = {0},
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .cases = cases,
};

ft_val ft_avgpool(ft_graph *g, ft_val x, const ft_pool *o) {
    return ft_pool_apply(g, &ft_op_avgpool, x, o);
}

/* Max pooling: y(o) = max of x(i) over the pixels i under window o; padding counts as -infinity. A NaN wins.
 *
 *     dx(i) = sum of dy(o) over the windows o whose maximum is at i (the first of equals in row-major order)
 *
 * Backward reads what forward saved: for every output the position of its maximum in the window, ky*kw + kx.
 * Every pixel of dx collects from the windows that hold it, so no two threads write the same one.
 */
#include "layers/pooling.h"
#include "tensor/kernels.h"

#include <string.h>

enum { CHANNELS = 64 }; /* of one go: their maxima and positions stay in the first-level cache */

static inline void keep_larger(int32_t c, const ft_real *restrict x, int32_t position, ft_real *restrict best,
                               int32_t *restrict where) {
    for (int32_t k = 0; k < c; k++) {
        bool larger = (x[k] > best[k]) | (x[k] != x[k]);
        best[k] = larger ? x[k] : best[k];
        where[k] = larger ? position : where[k];
    }
}

/* One window over the image x (h,w,c): its maxima to y (c), their positions to saved (c). */
static void window_argmax(const ft_pool_pass *p, const ft_view *x, int32_t oy, int32_t ox, ft_span ys,
                          ft_span xs, ft_real *y, uint16_t *saved) {
    int32_t top = oy * p->win.sh - p->geometry.top, left = ox * p->win.sw - p->geometry.left;
    for (int32_t first = 0; first < x->c; first += CHANNELS) {
        ft_real best[CHANNELS];
        int32_t where[CHANNELS], c = x->c - first < CHANNELS ? x->c - first : CHANNELS;
        const ft_real *corner = x->p + ((int64_t)ys.from * x->w + xs.from) * x->ld + first;
        for (int32_t k = 0; k < c; k++) {
            best[k] = corner[k];
            where[k] = (ys.from - top) * p->win.kw + xs.from - left;
        }
        for (int32_t iy = ys.from; iy < ys.to; iy++)
            for (int32_t ix = xs.from; ix < xs.to; ix++)
                keep_larger(c, x->p + ((int64_t)iy * x->w + ix) * x->ld + first,
                            (iy - top) * p->win.kw + ix - left, best, where);
        memcpy(y + first, best, (size_t)c * sizeof *y);
        for (int32_t k = 0; k < c; k++) saved[first + k] = (uint16_t)where[k];
    }
}

/* The same without positions. */
static void window_max(const ft_view *x, ft_span ys, ft_span xs, ft_real *y) {
    const ft_row_kernels *kernels = ft_row_kernels_get();
    memcpy(y, x->p + ((int64_t)ys.from * x->w + xs.from) * x->ld, (size_t)x->c * sizeof *y);
    for (int32_t iy = ys.from; iy < ys.to; iy++)
        for (int32_t ix = xs.from; ix < xs.to; ix++)
            kernels->max(x->c, x->p + ((int64_t)iy * x->w + ix) * x->ld, y);
}

static void forward_rows(void *ctx, int64_t chunk, int32_t thread) {
    const ft_pool_pass *p = ctx;
    const ft_view *y = p->call->out;
    (void)thread;
    ft_row_range rows = ft_pool_rows(p, y, chunk);
    for (int64_t r = rows.from; r < rows.to; r++) {
        ft_view image = p->call->in[0];
        image.p += r / y->h * image.h * image.w * image.ld;
        int32_t oy = (int32_t)(r % y->h);
        ft_span ys = ft_pool_pixels(oy, p->win.kh, p->win.sh, p->geometry.top, image.h);
        for (int32_t ox = 0; ox < y->w; ox++) {
            ft_span xs = ft_pool_pixels(ox, p->win.kw, p->win.sw, p->geometry.left, image.w);
            int64_t o = r * y->w + ox;
            if (p->call->saved)
                window_argmax(p, &image, oy, ox, ys, xs, y->p + o * y->ld,
                              (uint16_t *)p->call->saved + o * y->c);
            else
                window_max(&image, ys, xs, y->p + o * y->ld);
        }
    }
}

static void add_where(int32_t c, const uint16_t *restrict where, uint16_t position,
                      const ft_real *restrict dy, ft_real *restrict dx) {
    for (int32_t k = 0; k < c; k++) {
        ft_real g = dy[k]; /* loaded whatever the position: else the loop does not become vectors */
        dx[k] += where[k] == position ? g : 0;
    }
}

static void backward_rows(void *ctx, int64_t chunk, int32_t thread) {
    const ft_pool_pass *p = ctx;
    const ft_view *dy = p->call->dout, *dx = p->call->din;
    const uint16_t *saved = p->call->saved;
    (void)thread;
    ft_row_range rows = ft_pool_rows(p, dx, chunk);
    for (int64_t r = rows.from; r < rows.to; r++) {
        int32_t iy = (int32_t)(r % dx->h);
        ft_span oys = ft_pool_outputs(iy, p->win.kh, p->win.sh, p->geometry.top, dy->h);
        for (int32_t ix = 0; ix < dx->w; ix++) {
            ft_span oxs = ft_pool_outputs(ix, p->win.kw, p->win.sw, p->geometry.left, dy->w);
            ft_real *to = dx->p + (r * dx->w + ix) * dx->ld;
            if (p->call->beta[0] == 0) memset(to, 0, (size_t)dx->c * sizeof *to);
            for (int32_t oy = oys.from; oy < oys.to; oy++)
                for (int32_t ox = oxs.from; ox < oxs.to; ox++) {
                    int64_t o = (r / dx->h * dy->h + oy) * dy->w + ox;
                    int32_t ky = iy - (oy * p->win.sh - p->geometry.top);
                    int32_t kx = ix - (ox * p->win.sw - p->geometry.left);
                    add_where(dx->c, saved + o * dx->c, (uint16_t)(ky * p->win.kw + kx), dy->p + o * dy->ld,
                              to);
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
    .forward = forward,
    .backward = backward,
    .cases = cases,
};

ft_val ft_maxpool(ft_graph *g, ft_val x, const ft_pool *o) {
    return ft_pool_apply(g, &ft_op_maxpool, x, o);
}

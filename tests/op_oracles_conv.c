/* Oracles of convolution and the dense layer, from their definitions (PyTorch's Conv2d and Linear; Keras's
 * 'same'). */
#include <math.h>

#include "layers/args.h"
#include "tests/op_harness.h"

/* One axis of a window. 'same' (Keras, TensorFlow): out = ceil(in / stride), and the padding that takes is
 * split evenly with the odd pixel at the end. Explicit (PyTorch): out = floor((in + before + after -
 * dilation*(k-1) - 1) / stride) + 1. */
typedef struct axis {
    int32_t out, before;
} axis;

static axis window_axis(int32_t in, int32_t k, int32_t stride, int32_t dilation, int32_t padding,
                        int32_t before, int32_t after) {
    int32_t reach = dilation * (k - 1) + 1;
    if (padding == FT_PAD_VALID) return (axis){(in - reach) / stride + 1, 0};
    if (padding == FT_PAD_EXPLICIT) return (axis){(in + before + after - reach) / stride + 1, before};
    int32_t out = in / stride + (in % stride != 0);
    int32_t missing = (out - 1) * stride + reach - in;
    return (axis){out, missing > 0 ? missing / 2 : 0};
}

/* Where Winograd's minimal filtering may be at work. Its transforms add and subtract numbers several times
 * the size of what comes out, so that its error is a few times a plain sum's: by design up to ten times,
 * which test_winograd_accuracy measures layer by layer. */
static bool fast_algorithms_apply(const ft_conv_args *a, int32_t cin, int32_t cout) {
    const ft_window *win = &a->win;
    int32_t kh = win->kh, kw = win->kw, most = kh > kw ? kh : kw;
    bool square = kh == kw && (most == 3 || most == 5);
    bool line = (kh == 1 || kw == 1) && (most == 3 || most == 5 || most == 7);
    bool plain = win->sh == 1 && win->sw == 1 && win->dh == 1 && win->dw == 1;
    return plain && (square || line) && cin >= 16 && cout >= 16;
}

/* What one input pixel adds to an output pixel under one tap, and its size. */
static void add_pixel(const double *x, const double *w, int32_t groups, int32_t cin, int32_t cout,
                      double *restrict y, double *restrict size) {
    for (int32_t g = 0; g < groups; g++)
        for (int32_t c = 0; c < cin; c++)
            for (int32_t k = g * cout; k < (g + 1) * cout; k++) {
                double t = x[g * cin + c] * w[c * groups * cout + k];
                y[k] += t;
                size[k] += fabs(t);
            }
}

void ft_oracle_conv2d(ft_oracle *o) {
    const ft_conv_args *a = o->args;
    const ft_window *win = &a->win;
    ft_shape x = o->in[0].s, w = o->in[1].s;
    axis v = window_axis(x.h, win->kh, win->sh, win->dh, win->padding, win->pad[0], win->pad[1]);
    axis u = window_axis(x.w, win->kw, win->sw, win->dw, win->padding, win->pad[2], win->pad[3]);
    double *y = ft_oracle_out(o, 0, (ft_shape){x.n, v.out, u.out, w.c}), *size = ft_oracle_scale(o, 0);
    int32_t cin = x.c / a->groups, cout = w.c / a->groups;
    o->terms = (double)cin * win->kh * win->kw;
    if (!o->direct && fast_algorithms_apply(a, cin, cout)) o->growth = 10;
    for (int32_t i = 0; i < x.n; i++)
        for (int32_t oy = 0; oy < v.out; oy++)
            for (int32_t ox = 0; ox < u.out; ox++, y += w.c, size += w.c) {
                for (int32_t k = 0; k < w.c; k++) {
                    if (ft_oracle_has(o, 2)) y[k] = o->in[2].p[k];
                    size[k] = fabs(y[k]);
                }
                for (int32_t ky = 0; ky < win->kh; ky++)
                    for (int32_t kx = 0; kx < win->kw; kx++) {
                        int32_t iy = oy * win->sh - v.before + ky * win->dh;
                        int32_t ix = ox * win->sw - u.before + kx * win->dw;
                        if (iy < 0 || iy >= x.h || ix < 0 || ix >= x.w) continue;
                        add_pixel(o->in[0].p + (((int64_t)i * x.h + iy) * x.w + ix) * x.c,
                                  o->in[1].p + (int64_t)(ky * win->kw + kx) * cin * w.c, a->groups, cin, cout,
                                  y, size);
                    }
            }
}

void ft_oracle_dense(ft_oracle *o) {
    ft_shape x = o->in[0].s, w = o->in[1].s;
    double *y = ft_oracle_out(o, 0, (ft_shape){x.n, 1, 1, w.c}), *size = ft_oracle_scale(o, 0);
    o->terms = x.c;
    for (int32_t i = 0; i < x.n; i++)
        for (int32_t k = 0; k < w.c; k++, y++, size++) {
            if (ft_oracle_has(o, 2)) *y = o->in[2].p[k];
            *size = fabs(*y);
            for (int32_t c = 0; c < x.c; c++) {
                double t = o->in[0].p[(int64_t)i * x.c + c] * o->in[1].p[(int64_t)c * w.c + k];
                *y += t;
                *size += fabs(t);
            }
        }
}

/* ---- pooling, which has the same windows ---- */

static void pool(ft_oracle *o, bool average) {
    const ft_pool_args *a = o->args;
    const ft_window *win = &a->win;
    ft_shape x = o->in[0].s;
    axis v = window_axis(x.h, win->kh, win->sh, win->dh, win->padding, win->pad[0], win->pad[1]);
    axis u = window_axis(x.w, win->kw, win->sw, win->dw, win->padding, win->pad[2], win->pad[3]);
    double *y = ft_oracle_out(o, 0, (ft_shape){x.n, v.out, u.out, x.c}), *size = ft_oracle_scale(o, 0);
    o->terms = average ? win->kh * win->kw : 1;
    for (int32_t i = 0; i < x.n; i++)
        for (int32_t oy = 0; oy < v.out; oy++)
            for (int32_t ox = 0; ox < u.out; ox++)
                for (int32_t k = 0; k < x.c; k++, y++, size++) {
                    double sum = 0, sum_abs = 0, most = -INFINITY;
                    int32_t inside = 0;
                    for (int32_t ky = 0; ky < win->kh; ky++)
                        for (int32_t kx = 0; kx < win->kw; kx++) {
                            int32_t iy = oy * win->sh - v.before + ky * win->dh;
                            int32_t ix = ox * win->sw - u.before + kx * win->dw;
                            if (iy < 0 || iy >= x.h || ix < 0 || ix >= x.w) continue;
                            double p = o->in[0].p[(((int64_t)i * x.h + iy) * x.w + ix) * x.c + k];
                            inside++;
                            sum += p;
                            sum_abs += fabs(p);
                            most = fmax(most, p);
                        }
                    int32_t count = a->count_padding ? win->kh * win->kw : inside;
                    *y = average ? sum / count : most;
                    *size = average ? sum_abs / count : 0; /* a maximum is exact */
                }
}

void ft_oracle_maxpool(ft_oracle *o) {
    pool(o, false);
}
void ft_oracle_avgpool(ft_oracle *o) {
    pool(o, true);
}

void ft_oracle_global_avgpool(ft_oracle *o) {
    ft_shape x = o->in[0].s;
    double *y = ft_oracle_out(o, 0, (ft_shape){x.n, 1, 1, x.c}), *size = ft_oracle_scale(o, 0);
    int32_t pixels = x.h * x.w;
    o->terms = pixels;
    for (int32_t i = 0; i < x.n; i++)
        for (int32_t p = 0; p < pixels; p++)
            for (int32_t k = 0; k < x.c; k++) {
                double t = o->in[0].p[((int64_t)i * pixels + p) * x.c + k] / pixels;
                y[i * x.c + k] += t;
                size[i * x.c + k] += fabs(t);
            }
}

/* Depthwise convolution, one filter a channel: every pass is a sum of products of rows (conv_pass.h). */
#include "layers/conv_pass.h"
#include "tensor/kernels.h"
#include "tensor/par.h"

#include <string.h>

enum { PIXELS_PER_SPLIT = 1024, MAX_SPLITS = 32 };

typedef struct depthwise_job {
    const ft_view *x, *y; /* the input and output sides of the layer (values or gradients) */
    const ft_real *w;
    ft_real *dw;
    const ft_window *win;
    const ft_geometry *geo;
    ft_real beta;
    int32_t splits;
    const ft_conv_kernels *kern;
} depthwise_job;

static ft_real *pixel(const ft_view *v, int64_t image, int64_t y, int64_t x) {
    return v->p + ((image * v->h + y) * v->w + x) * v->ld;
}

/* One line of the output: each pixel sums over the taps that fall inside. */
static void forward_line(void *ctx, int64_t line, int32_t thread) {
    (void)thread;
    const depthwise_job *job = ctx;
    const ft_window *win = job->win;
    const ft_view *x = job->x, *y = job->y;
    int64_t image = line / y->h, oy = line % y->h;
    const ft_real *px[FT_MAX_TAPS], *pw[FT_MAX_TAPS];
    for (int32_t ox = 0; ox < y->w; ox++) {
        int32_t taps = 0;
        for (int32_t t = 0; t < win->kh * win->kw; t++) {
            int64_t iy = oy * win->sh - job->geo->top + t / win->kw * win->dh;
            int64_t ix = (int64_t)ox * win->sw - job->geo->left + t % win->kw * win->dw;
            if (iy < 0 || iy >= x->h || ix < 0 || ix >= x->w) continue;
            px[taps] = pixel(x, image, iy, ix);
            pw[taps++] = job->w + (int64_t)t * x->c;
        }
        job->kern->depthwise(pixel(y, image, oy, ox), y->c, taps, px, pw, 0);
    }
}

/* One line of the input gradient: each pixel gathers from the outputs it fed. */
static void backward_line(void *ctx, int64_t line, int32_t thread) {
    (void)thread;
    const depthwise_job *job = ctx;
    const ft_window *win = job->win;
    const ft_view *x = job->x, *y = job->y;
    int64_t image = line / x->h, iy = line % x->h;
    const ft_real *py[FT_MAX_TAPS], *pw[FT_MAX_TAPS];
    for (int32_t ix = 0; ix < x->w; ix++) {
        int32_t taps = 0;
        for (int32_t t = 0; t < win->kh * win->kw; t++) {
            int64_t oy = iy + job->geo->top - t / win->kw * win->dh,
                    ox = ix + job->geo->left - t % win->kw * win->dw;
            if (oy < 0 || ox < 0 || oy % win->sh || ox % win->sw || oy / win->sh >= y->h ||
                ox / win->sw >= y->w)
                continue;
            py[taps] = pixel(y, image, oy / win->sh, ox / win->sw);
            pw[taps++] = job->w + (int64_t)t * x->c;
        }
        job->kern->depthwise(pixel(x, image, iy, ix), x->c, taps, py, pw, job->beta);
    }
}

static void weight_split(void *ctx, int64_t split, int32_t thread) {
    (void)thread;
    const depthwise_job *job = ctx;
    const ft_window *win = job->win;
    const ft_view *x = job->x, *y = job->y;
    int32_t taps = win->kh * win->kw;
    ft_real *dw = job->dw + split * taps * x->c;
    int64_t lines = (int64_t)y->n * y->h;
    memset(dw, 0, (size_t)taps * (size_t)x->c * sizeof *dw);
    for (int64_t line = split * lines / job->splits; line < (split + 1) * lines / job->splits; line++)
        for (int32_t t = 0; t < taps; t++) {
            int64_t iy = line % y->h * win->sh - job->geo->top + t / win->kw * win->dh;
            if (iy < 0 || iy >= x->h) continue;
            for (int32_t ox = 0; ox < y->w; ox++) {
                int64_t ix = (int64_t)ox * win->sw - job->geo->left + t % win->kw * win->dw;
                if (ix < 0 || ix >= x->w) continue;
                const ft_real *one_x = pixel(x, line / y->h, iy, ix),
                              *one_dy = pixel(y, line / y->h, line % y->h, ox);
                job->kern->depthwise(dw + (int64_t)t * x->c, x->c, 1, &one_x, &one_dy, 1);
            }
        }
}

void ft_depthwise_forward(const ft_view *x, const ft_real *w, const ft_view *y, const ft_window *win,
                          const ft_geometry *geo) {
    depthwise_job job = {.x = x, .y = y, .w = w, .win = win, .geo = geo, .kern = ft_conv_kernels_get()};
    ft_par_for((int64_t)y->n * y->h, forward_line, &job);
}

void ft_depthwise_backward_input(const ft_view *dy, const ft_real *w, const ft_view *dx, const ft_window *win,
                                 const ft_geometry *geo, ft_real beta) {
    depthwise_job job = {
        .x = dx, .y = dy, .w = w, .win = win, .geo = geo, .beta = beta, .kern = ft_conv_kernels_get()};
    ft_par_for((int64_t)dx->n * dx->h, backward_line, &job);
}

static int32_t n_splits(int64_t pixels) {
    int64_t s = ft_ceil_div(pixels, PIXELS_PER_SPLIT);
    return s > MAX_SPLITS ? MAX_SPLITS : (int32_t)s;
}

size_t ft_depthwise_wgrad_scratch(int64_t pixels, int32_t taps, int32_t c) {
    return (size_t)n_splits(pixels) * (size_t)taps * (size_t)c;
}

void ft_depthwise_backward_weight(const ft_view *x, const ft_view *dy, ft_real *dw, const ft_window *win,
                                  const ft_geometry *geo, ft_real beta, ft_real *scratch) {
    depthwise_job job = {.x = x,
                         .y = dy,
                         .dw = scratch,
                         .win = win,
                         .geo = geo,
                         .splits = n_splits(ft_rows(dy)),
                         .kern = ft_conv_kernels_get()};
    ft_par_for(job.splits, weight_split, &job);
    int64_t size = (int64_t)win->kh * win->kw * x->c;
    for (int64_t i = 0; i < size; i++) {
        ft_real sum = beta != 0 ? dw[i] : 0;
        for (int32_t s = 0; s < job.splits; s++) sum += scratch[s * size + i];
        dw[i] = sum;
    }
}

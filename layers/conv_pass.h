/* The passes that make up convolution: products over gathered pixels (forward and input gradient) and the
 * weight gradient.
 *
 * No im2col: a tile reads its pixels through row pointers, and padding is a pointer to a row of zeros.
 */
#ifndef FACET_LAYERS_CONV_PASS_H
#define FACET_LAYERS_CONV_PASS_H

#include "layers/window.h"
#include "tensor/kernels.h"
#include "tensor/moments.h"
#include "tensor/par.h"

enum { FT_MAX_TAPS = 512, FT_LARGE_TILE = 200 /* products for a pixel or an input channel */ };
enum { FT_LINE = 64 / sizeof(ft_real) /* of the cache */ };

/* AVX-512's is: it works long on what it has loaded, and processors that have it have a second-level cache of
 * 1 MB or more, others often half of that. */
static inline bool ft_has_large_tile(void) {
    const ft_conv_kernels *kern = ft_conv_kernels_get();
    return kern->mr * kern->nr >= FT_LARGE_TILE;
}

/* n rows of p that will be read after so many pixels of the weight gradient, which may be none; if there is
 * more of it than a cache line with every two pixels, the first part. */
static inline ft_ahead ft_ahead_plan(const ft_real *p, int64_t ld, int64_t channels, int64_t n,
                                     int64_t pixels) {
    int64_t lines = n * ft_ceil_div(channels, FT_LINE),
            step = pixels > 0 ? ft_ceil_div(2 * lines * FT_LINE, pixels) : 0;
    if (channels == ld) channels *= n; /* nothing between them: as one */
    return (ft_ahead){p, ld, channels, 0, step < FT_LINE ? step : FT_LINE};
}

/* dst(y0 + ystep*i, x0 + xstep*j) = sum over taps t of src(sy*i + dy[t], sx*j + dx[t]) B_b[t], for i < gh, j
 * < gw. Forward: the whole output, stride in sy, sx. Input gradient: one call for each phase of the stride,
 * with its own taps, so that no multiplication by an inserted zero is ever done. */
typedef struct ft_gather {
    const ft_view *src, *dst;
    int32_t src_channel, kc;   /* first channel and number of channels read */
    int32_t dst_channel, cols; /* first channel and number of channels written */
    int32_t y0, x0, ystep, xstep, gh, gw, sy, sx;
    int32_t taps;
    int32_t dy[FT_MAX_TAPS], dx[FT_MAX_TAPS], b[FT_MAX_TAPS];
    const ft_real *packed;     /* ft_conv_pack's panels */
    int32_t packed_taps;       /* taps in a panel */
    const ft_real *zeros;      /* kc zeros */
    ft_finish finish;          /* by written channel, from dst_channel on */
    const ft_moments *moments; /* of dst, to be gathered where every pixel of it is written; NULL: not */
    ft_real *scratch;          /* ft_pointwise_scratch elements */
    int32_t lanes;             /* threads that scratch was sized for */
} ft_gather;
void ft_gather_run(const ft_gather *g);
/* At most as many chunks of moments come of so many pixels. */
int64_t ft_gather_chunks(int32_t taps, int64_t pixels);

/* Is it a plain product, pixel by pixel? Then that is faster. */
bool ft_is_pointwise(const ft_gather *g);
void ft_pointwise_run(const ft_gather *g);
int64_t ft_pointwise_chunks(int32_t kc, int64_t pixels);
size_t ft_pointwise_scratch(int32_t kc, int32_t lanes);

/* Packs B_t[k][j] = w[t*tap_step + k*k_step + j*j_step], k < kc, j < cols, into panels of nr (a last one of
 * nr/2 when that is enough): [panel][tap][k][column], zeros behind the last column. */
void ft_conv_pack(ft_real *packed, const ft_real *w, int32_t taps, int32_t kc, int32_t cols, int64_t tap_step,
                  int64_t k_step, int64_t j_step);
/* Elements that ft_conv_pack writes. */
size_t ft_conv_packed_size(int32_t taps, int32_t kc, int32_t cols);

/* dw[t][i][j] = beta*dw + sum over output pixels of x(sh*oy - top + dh*ky, ...)[x_channel + i] * dy(oy,
 * ox)[dy_channel + j], i < rows, j < cols; dw has leading dimension ldw and taps kh*kw at distance tap_step.
 */
typedef struct ft_conv_wgrad {
    const ft_view *x, *dy;
    ft_window win;
    ft_geometry geo;
    int32_t x_channel, dy_channel, rows, cols;
    ft_real *dw;
    int64_t ldw, tap_step;
    ft_real beta;
    ft_real *scratch; /* ft_conv_wgrad_scratch elements */
    int32_t lanes;    /* threads that scratch was sized for */
} ft_conv_wgrad;
void ft_conv_wgrad_run(const ft_conv_wgrad *p);
/* Elements of scratch for so many lines of output pixels, each so wide. */
size_t ft_conv_wgrad_scratch(int64_t lines, int32_t width, int32_t taps, int32_t rows, int32_t cols,
                             int32_t lanes);

/* Depthwise convolution with one filter a channel: w is [taps][c]. dw_scratch: ft_depthwise_wgrad_scratch
 * elements. */
void ft_depthwise_forward(const ft_view *x, const ft_real *w, const ft_view *y, const ft_window *win,
                          const ft_geometry *geo);
void ft_depthwise_backward_input(const ft_view *dy, const ft_real *w, const ft_view *dx, const ft_window *win,
                                 const ft_geometry *geo, ft_real beta);
void ft_depthwise_backward_weight(const ft_view *x, const ft_view *dy, ft_real *dw, const ft_window *win,
                                  const ft_geometry *geo, ft_real beta, ft_real *scratch);
size_t ft_depthwise_wgrad_scratch(int64_t pixels, int32_t taps, int32_t c);

#endif

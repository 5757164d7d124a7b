/* Convolution by Winograd's minimal filtering (tensor/kern_winograd.c): the tiles of an image are
 * transformed, the product over channels is taken point by point, and the result transformed back.
 *
 *     x tile --B^T d B--> V[point][tile][cin] --product with U[point][cin][cout]--> P[point][tile][cout]
 * --A^T P A--> y
 *
 * For stride 1, kernels of 3x3, 5x5 and of 3, 5 or 7 along one axis; tiles of 4 outputs along every axis
 * where the kernel is longer than 1. For stride 2, 3x3 alone; tiles of 3 outputs.
 */
#ifndef FACET_LAYERS_CONV_WINOGRAD_H
#define FACET_LAYERS_CONV_WINOGRAD_H

#include "layers/window.h"
#include "tensor/kernels.h"

#include <stdbool.h>

/* Is there a transform for this window? */
bool ft_winograd_supports(const ft_window *win);

/* Tiles along the axes of an h x w output, and what one looks like. */
typedef struct ft_winograd_grid {
    ft_winograd_form form;
    int32_t taps;
    int32_t nh, nw;     /* inputs of a tile */
    int32_t mh, mw;     /* outputs of a tile */
    int32_t sh, sw;     /* inputs from a tile to the next */
    int32_t points;     /* of a tile */
    int32_t weights;    /* matrices of transformed weights */
    int32_t h, w;       /* outputs */
    int32_t y0, x0;     /* of the first tile: 0, or before the image */
    int32_t rows, cols; /* tiles in an image */
    int64_t tiles;      /* in all images */
    int64_t planned;    /* in as many images as memory was sized for */
} ft_winograd_grid;
/* to_input: the input gradient, whose outputs are the convolution's inputs. geo: of the convolution. */
ft_winograd_grid ft_winograd_grid_make(const ft_window *win, const ft_geometry *geo, bool to_input, int32_t n,
                                       int32_t planned_n, int32_t h, int32_t w);

/* U = G w G^T for every pair of channels, as ft_winograd_run wants it: w is [kh*kw][rows][ld]. Forward: kc =
 * rows, cols of ld. transposed, for the input gradient: the taps are reversed, kc = columns, cols = rows. */
void ft_winograd_pack(ft_real *u, const ft_real *w, const ft_winograd_grid *g, int32_t kc, int32_t cols,
                      int64_t ld, bool transposed);
size_t ft_winograd_packed_size(const ft_winograd_grid *g, int32_t kc, int32_t cols);

/* dst(y, x)[dst_channel + j] = sum over taps and k < kc of src(y - top + i, x - left + j)[src_channel + k]
 * w[i][j][k][.]; then finish. With strides, tile (i, j) reads src from (i*sh - top, j*sw - left) on. */
typedef struct ft_winograd_pass {
    const ft_view *src, *dst;
    ft_winograd_grid grid; /* of dst, for its n */
    int32_t top, left;
    int32_t src_channel, kc, dst_channel, cols;
    const ft_winograd_start *start; /* done to src, or NULL; its zeros are these: */
    const ft_real *u;
    const ft_real *zeros; /* kc zeros */
    ft_finish finish;
    const ft_moments *moments; /* of dst, to be gathered; NULL: not */
    ft_real *scratch;          /* ft_winograd_scratch elements */
    int32_t lanes;             /* threads that scratch was sized for */
} ft_winograd_pass;
void ft_winograd_run(const ft_winograd_pass *p);
size_t ft_winograd_scratch(const ft_winograd_grid *g, int32_t kc, int32_t cols, int32_t lanes);
int64_t ft_winograd_chunks(const ft_winograd_grid *g); /* of moments */

/* dw[tap][i][j] = beta*dw + sum over pixels of x(s*y - top + ky, s*x - left + kx)[x_channel + i] dy(y,
 * x)[dy_channel + j], s being the stride; dw is [kh*kw][rows][ldw]. */
typedef struct ft_winograd_wgrad {
    const ft_view *x, *dy;
    ft_winograd_grid grid; /* of dy, for its n */
    int32_t top, left;
    int32_t x_channel, dy_channel, rows, cols;
    const ft_winograd_start *start; /* done to x, or NULL; its zeros are these: */
    const ft_real *zeros;           /* rows and cols zeros at least */
    ft_real *dw;
    int64_t ldw;
    ft_real beta;
    ft_real *scratch; /* ft_winograd_wgrad_scratch elements */
    int32_t lanes;
} ft_winograd_wgrad;
void ft_winograd_wgrad_run(const ft_winograd_wgrad *p);
size_t ft_winograd_wgrad_scratch(const ft_winograd_grid *g, int32_t rows, int32_t cols, int32_t lanes);

/* The points that are multiplied by the same matrix of transformed weights: `rows` times `columns` of them,
 * from point `first` on, the rows `row` points apart. */
typedef struct ft_winograd_point_set {
    int32_t first, rows, columns, row;
} ft_winograd_point_set;
ft_winograd_point_set ft_winograd_points_of(const ft_winograd_grid *g, int32_t matrix);
static inline int32_t ft_winograd_set_size(const ft_winograd_point_set *s) {
    return s->rows * s->columns;
}
static inline int32_t ft_winograd_set_point(const ft_winograd_point_set *s, int32_t i) {
    return s->first + i / s->columns * s->row + i % s->columns;
}

/* Where a tile's outputs begin, and its inputs without padding. */
typedef struct ft_winograd_tile {
    int64_t image;
    int32_t y, x, from_y, from_x;
} ft_winograd_tile;
ft_winograd_tile ft_winograd_tile_at(const ft_winograd_grid *g, int64_t tile);

/* Pointers to the nh x nw pixels of a window whose first is (y0, x0) of an image; zeros outside. */
void ft_winograd_point(const ft_view *v, int64_t image, int32_t y0, int32_t x0, int32_t nh, int32_t nw,
                       int32_t channel, const ft_real *zeros, const ft_real **to);

/* Reads a number of every cache line of that window's pixels, c channels each: what a tile reads is strewn
 * over several rows, and the processor does not see it coming. It drops prefetches that come in such numbers.
 */
void ft_winograd_touch(const ft_view *v, int64_t image, int32_t y0, int32_t x0, int32_t nh, int32_t nw,
                       int32_t channel, int32_t c);

#endif

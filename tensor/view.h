/* Shapes and views: every activation is a row-major matrix whose rows are pixels and whose columns are
 * channels.
 *
 *            channel 0 .. c-1        ld-c others (a neighbour's slice of a shared matrix)
 *   row 0   [ x x x x x x x x x x | . . . . . ]
 *   row 1   [ x x x x x x x x x x | . . . . . ]      row r of pixel (i, y, x) is (i*h + y)*w + x
 *   ...
 * A channel concat is therefore a column offset, a batch is more rows, a dense layer is h = w = 1.
 */
#ifndef FACET_TENSOR_VIEW_H
#define FACET_TENSOR_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef FT_F64
typedef double ft_real; /* the second build of the library, for gradient checks */
#else
typedef float ft_real;
#endif

/* Activations: n images, h x w pixels, c channels. Convolution kernels: n = kh, h = kw, w = cin/groups, c =
 * cout (Keras's HWIO). Dense kernels: w = in, c = out. Vectors: c. c == 0 marks an absent value. */
typedef struct ft_shape {
    int32_t n, h, w, c;
} ft_shape;

typedef struct ft_view {
    ft_real *p; /* pixel r, channel k: p[r*ld + k]; NULL when absent */
    int32_t n, h, w, c;
    int64_t ld; /* in elements, >= c */
} ft_view;

/* The distance of rows in new memory for an activation of more than one pixel: where the rows of c channels
 * would be whole pages apart, all of a column would fall into one set of the first-level cache. */
static inline int64_t ft_row_stride(ft_shape s) {
    const int64_t page = 4096 / sizeof(ft_real), line = 64 / sizeof(ft_real);
    return s.c % page == 0 && (int64_t)s.h * s.w > 1 ? s.c + line : s.c;
}

static inline int64_t ft_shape_rows(ft_shape s) {
    return (int64_t)s.n * s.h * s.w;
}
static inline int64_t ft_shape_size(ft_shape s) {
    return ft_shape_rows(s) * s.c;
}
static inline bool ft_shape_equal(ft_shape a, ft_shape b) {
    return a.n == b.n && a.h == b.h && a.w == b.w && a.c == b.c;
}
static inline int64_t ft_rows(const ft_view *v) {
    return (int64_t)v->n * v->h * v->w;
}
static inline ft_shape ft_view_shape(const ft_view *v) {
    return (ft_shape){v->n, v->h, v->w, v->c};
}

#endif

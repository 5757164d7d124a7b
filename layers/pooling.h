/* What max and average pooling share: (n,h,w,c) -> (n,oh,ow,c) through windows of kh x kw pixels, channel by
 * channel. */
#ifndef FACET_LAYERS_POOLING_H
#define FACET_LAYERS_POOLING_H

#include "layers/args.h"

typedef struct ft_span {
    int32_t from, to; /* from <= i < to */
} ft_span;

/* The pixels of the image under output o along an axis of `in` pixels; never empty after ft_pool_shape. */
static inline ft_span ft_pool_pixels(int32_t o, int32_t k, int32_t s, int32_t before, int32_t in) {
    int32_t first = o * s - before;
    return (ft_span){first > 0 ? first : 0, first + k < in ? first + k : in};
}
/* The outputs whose windows hold pixel i along an axis of `out` outputs; empty between windows that do not
 * touch. */
static inline ft_span ft_pool_outputs(int32_t i, int32_t k, int32_t s, int32_t before, int32_t out) {
    int32_t past = i + before - k, last = (i + before) / s;
    return (ft_span){past < 0 ? 0 : past / s + 1, last < out ? last + 1 : out};
}

/* The same from `last`, that of pixel i - 1 ({0, 0} before the first): a walk along the axis without
 * divisions. */
static inline ft_span ft_pool_next_outputs(ft_span last, int32_t i, int32_t k, int32_t s, int32_t before,
                                           int32_t out) {
    while (last.from < out && last.from * s - before + k <= i) last.from++;
    while (last.to < out && last.to * s - before <= i) last.to++;
    return last;
}

/* ft_op.shape of a pool: every window must hold a pixel of the image and at most 65,535 positions. */
ft_err ft_pool_shape(const ft_build *b, ft_shape out[], ft_geometry *geometry);
/* Adds a node of the pooling op. */
ft_val ft_pool_apply(ft_graph *g, const ft_op *op, ft_val x, const ft_pool *o);

/* One pass over a pool, for the bodies of ft_par_for: chunks of whole image rows. */
typedef struct ft_pool_pass {
    const ft_call *call;
    ft_window win;
    ft_geometry geometry;
    int64_t chunk_rows;
    bool stream; /* v goes past the caches */
} ft_pool_pass;

/* Runs body(pass, chunk, thread) over v, the view that the pass writes: chunks of its n*h rows of w pixels. x
 * has the sizes of the pool's input (in[0] or din[0]). */
void ft_pool_run(const ft_call *call, const ft_view *x, const ft_view *v,
                 void (*body)(void *pass, int64_t chunk, int32_t thread));
/* The rows of v in a chunk, each row r being row r % v->h of image r / v->h. */
typedef struct ft_row_range {
    int64_t from, to;
} ft_row_range;
static inline ft_row_range ft_pool_rows(const ft_pool_pass *p, const ft_view *v, int64_t chunk) {
    int64_t from = chunk * p->chunk_rows, to = from + p->chunk_rows, rows = (int64_t)v->n * v->h;
    return (ft_row_range){from, to < rows ? to : rows};
}

#endif

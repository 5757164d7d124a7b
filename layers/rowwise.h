/* For ops that work row by row: their chunks, and the shape function of those whose output is like input 0.
 */
#ifndef FACET_LAYERS_ROWWISE_H
#define FACET_LAYERS_ROWWISE_H

#include "tensor/op.h"
#include "tensor/par.h"

/* Chunks of v for ft_par_for: stretches of whole rows, cut by shape alone. */
static inline int64_t ft_chunk_count(const ft_view *v) {
    return ft_ceil_div(ft_rows(v), ft_par_rows(v->c));
}

/* The first row of a chunk of a matrix with c channels. */
static inline int64_t ft_chunk_row(int64_t chunk, int32_t c) {
    return chunk * ft_par_rows(c);
}

/* The rows of v in one chunk, as n pixels of 1 x 1. Of an absent view p stays NULL. */
static inline ft_view ft_chunk_view(const ft_view *v, int64_t chunk) {
    int64_t first = ft_chunk_row(chunk, v->c), left = ft_rows(v) - first, rows = ft_par_rows(v->c);
    return (ft_view){.p = v->p ? v->p + first * v->ld : NULL,
                     .n = (int32_t)(left < rows ? left : rows),
                     .h = 1,
                     .w = 1,
                     .c = v->c,
                     .ld = v->ld};
}

/* Runs body(call, chunk, thread) on the chunks of v. */
static inline void ft_par_chunks(const ft_call *call, const ft_view *v,
                                 void (*body)(void *call, int64_t chunk, int32_t thread)) {
    ft_par_for(ft_chunk_count(v), body, (void *)call);
}

/* ft_op.shape of an op whose output 0 has the shape of input 0 and which wants no memory. */
static inline ft_err ft_shape_like_input(const ft_build *b, ft_shape out[], ft_mem *mem) {
    (void)mem;
    FT_REQUIRE(b->in[0].c > 0, GRAPH, "the input is missing");
    out[0] = b->in[0];
    return FT_OK;
}

#endif

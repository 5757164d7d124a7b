/* The plan's own view of the graph: its nodes in the order that is least work.
 *
 * A pool that averages mixes pixels, a 1x1 convolution channels, both linearly: their order does not matter.
 * Behind the convolution the pool has fewer channels to go through, and the convolution reads what its
 * siblings read, so that the pool's wide output need not be kept for the backward pass.
 *
 *     x --pool--> v (c channels) --conv--> y        becomes        x --conv--> v (fewer) --pool--> y
 */
#include "tensor/plan_internal.h"

#include <stdlib.h>
#include <string.h>

static void *copy_of(const void *from, int32_t n, size_t size) {
    void *to = ft_alloc((size_t)n, size);
    if (to && n > 0) memcpy(to, from, (size_t)n * size);
    return to;
}

static int32_t reader_count(const ft_graph *g, int32_t v) {
    int32_t n = 0;
    for (int32_t i = 0; i < g->n_nodes; i++)
        for (int32_t k = 0; k < g->nodes[i].n_in; k++) n += g->nodes[i].in[k].id == v;
    return n;
}

/* The node before `conv` that is better done after it, or NEVER. */
static int32_t better_after(const ft_plan *p, int32_t conv) {
    const ft_graph *g = p->g;
    if (!ft_node_mixes_channels(g, conv)) return NEVER;
    int32_t v = g->nodes[conv].in[0].id, pool = g->values[v].node;
    if (pool < 0 || !(g->nodes[pool].op->flags & FT_MIXES_PIXELS)) return NEVER;
    if (p->values[v].kept || reader_count(g, v) != 1) return NEVER;
    ft_shape x = ft_val_shape(g, g->nodes[pool].in[0]), pooled = g->values[v].shape;
    ft_shape y = g->values[g->nodes[conv].first_out].shape;
    bool as_large = x.h == pooled.h && x.w == pooled.w; /* else the convolution has more pixels to do */
    return as_large && y.c < pooled.c ? pool : NEVER;
}

static void swap(ft_graph *g, int32_t pool, int32_t conv) {
    node *a = &g->nodes[pool], *b = &g->nodes[conv], first = *b, second = *a;
    int32_t v = a->first_out;
    first.in[0] = a->in[0];
    first.first_out = v;
    second.in[0] = (ft_val){v};
    second.first_out = b->first_out;
    second.frozen = first.frozen;
    g->values[v].shape = g->values[b->first_out].shape;
    *a = first;
    *b = second;
}

ft_err plan_order(ft_plan *p) {
    ft_graph *own = &p->own;
    const ft_graph *g = p->source;
    *own = *g;
    own->nodes = copy_of(g->nodes, g->n_nodes, sizeof *g->nodes);
    own->values = copy_of(g->values, g->n_values, sizeof *g->values);
    own->params = copy_of(g->params, g->n_params, sizeof *g->params);
    FT_REQUIRE(own->nodes && own->values && own->params, MEMORY, "no memory for a plan of %d nodes",
               g->n_nodes);
    p->g = own;
    for (int32_t i = 0; i < own->n_nodes; i++) {
        int32_t pool = better_after(p, i);
        if (pool != NEVER) swap(own, pool, i);
    }
    return FT_OK;
}

void plan_order_free(ft_plan *p) {
    free(p->own.nodes);
    free(p->own.values);
    free(p->own.params);
}

/* Where everything lives: lifetimes from needs[], aliases, and one arena.
 *
 *   time ->      F0  F1  F2  F3 | B3  B2  B1
 *   conv1 out    ############################        read again by batch norm's backward
 *   bn1 out          ####                            dead once ReLU has written over it
 *   scratch      #
 *
 * A buffer may share addresses with any other whose lifetime does not touch its own.
 */
#include "tensor/moments.h"
#include "tensor/plan_internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { ALIGN = 64, ARENA_ALIGN = 1 << 21 /* a huge page */ };

/* A new buffer, or NEVER when memory is out (then n_buffers stays). */
static int32_t add_buffer(ft_plan *p, size_t bytes, int32_t first, int32_t last) {
    if (p->n_buffers == p->room_buffers) {
        int32_t room = p->room_buffers ? 2 * p->room_buffers : 256;
        buffer *more = realloc(p->buffers, (size_t)room * sizeof *more);
        if (!more) return NEVER;
        p->buffers = more;
        p->room_buffers = room;
    }
    p->buffers[p->n_buffers] =
        (buffer){.bytes = (bytes + ALIGN - 1) / ALIGN * ALIGN, .first = first, .last = last};
    return p->n_buffers++;
}

static void extend(ft_plan *p, int32_t b, int32_t first, int32_t last) {
    if (b == NEVER) return;
    if (first < p->buffers[b].first) p->buffers[b].first = first;
    if (last > p->buffers[b].last) p->buffers[b].last = last;
}

static int32_t max32(int32_t a, int32_t b) {
    return a > b ? a : b;
}

/* The last step that reads value v where it was first made: forward readers, and backward steps unless they
 * read what is made again. */
static int32_t last_read(const ft_plan *p, int32_t v) {
    int32_t last = p->values[v].kept ? p->n_steps : NEVER;
    for (int32_t i = 0; i < p->g->n_nodes; i++) {
        if (!p->nodes[i].needed) continue;
        for (int32_t k = 0; k < p->g->nodes[i].n_in; k++)
            if (p->g->nodes[i].in[k].id == v) last = max32(last, p->nodes[plan_host(p, i)].forward_step);
        if (!p->values[v].again && plan_backward_reads(p, i, v))
            last = max32(last, p->nodes[i].backward_step);
    }
    return last;
}

static bool backward_reads(const ft_plan *p, int32_t v) {
    return last_read(p, v) >= p->n_forward;
}

/* Is v written by a step of this plan (not fed, not a parameter, not folded away)? */
static bool is_made(const ft_plan *p, int32_t v) {
    int32_t i = p->g->values[v].node;
    if (i < 0 || !p->nodes[i].needed) return false;
    return p->nodes[plan_host(p, i)].last == i && plan_deferred(p, v) == NEVER;
}

static int32_t making_step(const ft_plan *p, int32_t v) {
    return p->nodes[plan_host(p, p->g->values[v].node)].forward_step;
}

/* A new buffer for v or its gradient. What the caller reads has no gaps. */
static ft_err new_place(ft_plan *p, int32_t v, int32_t first, int32_t last, place *at) {
    ft_shape s = plan_shape(p, v);
    int64_t ld = p->values[v].kept || p->g->values[v].input >= 0 ? s.c : ft_row_stride(s);
    size_t bytes = (size_t)(ft_shape_rows(s) * ld) * sizeof(ft_real);
    *at = (place){add_buffer(p, bytes, first, last), 0, ld};
    FT_REQUIRE(at->buffer != NEVER, MEMORY, "no memory for a plan's buffers");
    return FT_OK;
}

/* Gives v a buffer of its own if it has no place yet. */
static ft_err settle(ft_plan *p, int32_t v, int32_t first, int32_t last) {
    place *at = &p->values[v].at;
    if (at->buffer == NEVER) FT_TRY(new_place(p, v, first, last, at));
    extend(p, at->buffer, first, last);
    return FT_OK;
}

/* Is v read once, by the forward step that its alias is made for, and by nothing after it? */
static bool read_once(const ft_plan *p, int32_t v) {
    return !p->values[v].kept && plan_forward_readers(p, v) == 1 && !backward_reads(p, v);
}

/* Inputs of a concat move into their slice of its output; not those still wanted after an in-place op writes
 * over it. */
static void alias_concat(ft_plan *p, const node *nd) {
    const place *out = &p->values[nd->first_out].at;
    bool overwritten = p->values[nd->first_out].overwritten;
    int64_t column = out->column;
    for (int32_t k = 0; k < nd->n_in; k++) {
        int32_t v = nd->in[k].id;
        if (is_made(p, v) && p->values[v].at.buffer == NEVER && (!overwritten || read_once(p, v))) {
            p->values[v].at = (place){out->buffer, column, out->ld};
            p->values[v].overwritten = overwritten;
        }
        column += p->g->values[v].shape.c;
    }
}

/* The input whose memory the op may take over does so if nobody reads it afterwards. */
static void alias_inplace(ft_plan *p, const node *nd) {
    int32_t v = nd->in[nd->op->inplace - 1].id;
    if (v <= 0 || !is_made(p, v) || p->values[v].at.buffer != NEVER || !read_once(p, v)) return;
    if (!ft_shape_equal(plan_shape(p, v), plan_shape(p, nd->first_out))) return;
    p->values[v].at = p->values[nd->first_out].at;
    p->values[v].overwritten = true;
}

/* Consumers before producers, so that an alias of an alias ends in the outermost buffer. */
static ft_err place_values(ft_plan *p) {
    const ft_graph *g = p->g;
    for (int32_t i = g->n_nodes - 1; i >= 0; i--) {
        const node *nd = &g->nodes[i];
        if (!p->nodes[i].needed || !is_made(p, nd->first_out)) continue;
        for (int32_t o = 0; o < nd->op->n_out; o++) {
            int32_t v = nd->first_out + o, made = making_step(p, v);
            FT_TRY(settle(p, v, made, max32(made, last_read(p, v))));
        }
        if (p->spec.isolate || p->nodes[i].host != NEVER) continue;
        if (nd->op->flags & FT_CONCAT) alias_concat(p, nd);
        if (nd->op->inplace) alias_inplace(p, nd);
    }
    for (int32_t v = 1; v < g->n_values;
         v++) /* inputs keep what the caller filled in, for a second run on the same */
        if (g->values[v].input >= 0 && last_read(p, v) != NEVER) FT_TRY(settle(p, v, 0, p->n_steps));
    return FT_OK;
}

/* Second places of what is made again: outermost first, so that the inputs of a concat find theirs in it. */
static ft_err place_remakes(ft_plan *p) {
    const ft_graph *g = p->g;
    for (int32_t i = g->n_nodes - 1; i >= 0; i--) {
        const node *nd = &g->nodes[i];
        int32_t v = nd->first_out, remade = p->nodes[plan_host(p, i)].remake_step;
        plan_value *pv = &p->values[v];
        if (!pv->again) continue;
        int32_t first = remade == NEVER ? p->n_steps : remade, last = NEVER;
        for (int32_t k = 0; k < g->n_nodes; k++)
            if (plan_backward_reads(p, k, v)) last = max32(last, p->nodes[k].backward_step);
        if (pv->again_at.buffer == NEVER) FT_TRY(new_place(p, v, first, last, &pv->again_at));
        extend(p, pv->again_at.buffer, first, max32(first < p->n_steps ? first : NEVER, last));
        int64_t column = pv->again_at.column;
        for (int32_t k = 0; (nd->op->flags & FT_CONCAT) && k < nd->n_in; k++) {
            p->values[nd->in[k].id].again_at = (place){pv->again_at.buffer, column, pv->again_at.ld};
            column += g->values[nd->in[k].id].shape.c;
        }
    }
    return FT_OK;
}

/* The gradient of input k of node nd is written here for the first time: may it live in the gradient of the
 * output? */
static place gradient_alias(const ft_plan *p, int32_t i, int32_t k) {
    const node *nd = &p->g->nodes[i];
    const place none = {.buffer = NEVER};
    int32_t v = nd->in[k].id, times = 0;
    for (int32_t j = 0; j < nd->n_in; j++) times += nd->in[j].id == v;
    const place *dout = &p->values[p->g->nodes[p->nodes[i].last].first_out].grad_at;
    if (p->spec.isolate || times != 1 || dout->buffer == NEVER) return none;
    if (nd->op->flags & FT_CONCAT) {
        int64_t column = dout->column;
        for (int32_t j = 0; j < k; j++) column += p->g->values[nd->in[j].id].shape.c;
        return (place){dout->buffer, column, dout->ld};
    }
    bool same = ft_shape_equal(plan_shape(p, v), plan_shape(p, nd->first_out));
    return k == 0 && same && (nd->op->flags & FT_DIN_OVER_DOUT) ? *dout : none;
}

/* In the order of the backward steps: the first that writes a gradient gives it its place. */
static ft_err place_gradients(ft_plan *p) {
    const ft_graph *g = p->g;
    for (int32_t i = g->n_nodes - 1; i >= 0; i--) {
        const node *nd = &g->nodes[i];
        if (!p->nodes[i].backward) continue;
        for (int32_t k = 0; k < nd->n_in; k++) {
            int32_t v = nd->in[k].id;
            if (v <= 0 || !p->values[v].gradient || p->values[v].first_writer != NEVER) continue;
            p->values[v].first_writer = i;
            p->values[v].first_input = k;
            if (g->values[v].param >= 0) continue; /* outside the arena */
            int32_t first = p->nodes[i].backward_step, made = g->values[v].node;
            const plan_node *maker = made >= 0 ? &p->nodes[plan_host(p, made)] : NULL;
            int32_t last = maker && maker->backward ? maker->backward_step : first;
            if (p->values[v].watched) last = p->n_steps;
            place at = gradient_alias(p, i, k);
            if (at.buffer == NEVER) FT_TRY(new_place(p, v, first, last, &at));
            extend(p, at.buffer, first, last);
            p->values[v].grad_at = at;
        }
    }
    return FT_OK;
}

/* From when a node gathers them to step `reader`. */
static ft_err place_moments(ft_plan *p, int32_t gatherer, int32_t reader) {
    plan_node *pn = &p->nodes[gatherer];
    int32_t c = p->g->values[p->g->nodes[gatherer].first_out].shape.c;
    if (pn->moments == NEVER)
        pn->moments = add_buffer(p, ft_moments_size(pn->mem.moment_chunks, c) * sizeof(ft_real),
                                 pn->forward_step, reader);
    FT_REQUIRE(pn->moments != NEVER, MEMORY, "no memory for a plan's buffers");
    extend(p, pn->moments, pn->forward_step, reader);
    return FT_OK;
}

static ft_err place_working_memory(ft_plan *p) {
    for (int32_t i = 0; i < p->g->n_nodes; i++) {
        plan_node *pn = &p->nodes[i];
        if (pn->forward_step == NEVER) continue;
        int32_t f = pn->forward_step, b = pn->backward_step, end = p->n_steps;
        size_t channels = (size_t)p->g->values[p->g->nodes[i].first_out].shape.c;
        struct {
            int32_t *buffer;
            size_t bytes;
            int32_t first, last;
        } wants[] = {
            {&pn->saved, pn->mem.saved, f, b == NEVER ? f : b},
            {&pn->forward_scratch, pn->mem.forward_scratch, f, f},
            {&pn->backward_scratch, b == NEVER ? 0 : pn->mem.backward_scratch, b, b},
            {&pn->prepared, pn->mem.prepared, pn->constant ? 0 : f, pn->constant ? end : f},
        };
        for (size_t k = 0; k < sizeof wants / sizeof wants[0]; k++) {
            if (wants[k].bytes == 0) continue;
            *wants[k].buffer = add_buffer(p, wants[k].bytes, wants[k].first, wants[k].last);
            FT_REQUIRE(*wants[k].buffer != NEVER, MEMORY, "no memory for a plan's buffers");
        }
        int32_t gatherer = plan_gatherer(p, i);
        if (gatherer != NEVER) FT_TRY(place_moments(p, gatherer, f));
        if (pn->constant) p->stats.prepared_bytes += pn->mem.prepared;
        if (pn->affine != NEVER) { /* scale and shift live in the affine node's own scratch slot */
            p->nodes[pn->affine].forward_scratch = add_buffer(p, 2 * channels * sizeof(ft_real), f, f);
            FT_REQUIRE(p->nodes[pn->affine].forward_scratch != NEVER, MEMORY,
                       "no memory for a plan's buffers");
        }
    }
    return FT_OK;
}

static int by_size(const void *a, const void *b) {
    const buffer *x = *(buffer *const *)a, *y = *(buffer *const *)b;
    if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
    return x < y ? -1 : 1;
}

static int by_offset(const void *a, const void *b) {
    const buffer *x = *(buffer *const *)a, *y = *(buffer *const *)b;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* Largest first, each at the lowest offset where no buffer of overlapping lifetime lies (greedy by size). */
static ft_err pack_arena(ft_plan *p) {
    size_t n = (size_t)p->n_buffers, total = 0;
    buffer **order = ft_alloc(2 * n, sizeof *order), **near = order + n;
    FT_REQUIRE(order, MEMORY, "no memory to place %zu buffers", n);
    for (size_t i = 0; i < n; i++) order[i] = &p->buffers[i];
    qsort(order, n, sizeof *order, by_size);
    for (size_t i = 0; i < n; i++) {
        buffer *b = order[i];
        size_t n_near = 0, at = 0;
        for (size_t j = 0; j < i; j++)
            if (p->spec.isolate || (order[j]->first <= b->last && b->first <= order[j]->last))
                near[n_near++] = order[j];
        qsort(near, n_near, sizeof *near, by_offset);
        for (size_t j = 0; j < n_near && at + b->bytes > near[j]->offset; j++)
            if (near[j]->offset + near[j]->bytes > at) at = near[j]->offset + near[j]->bytes;
        b->offset = at;
        if (at + b->bytes > total) total = at + b->bytes;
        p->stats.naive_bytes += b->bytes;
    }
    free(order);
    p->stats.arena_bytes = total;
    p->arena = aligned_alloc(ARENA_ALIGN, (total / ARENA_ALIGN + 1) *
                                              ARENA_ALIGN); /* not zeroed: nothing reads before it writes */
    FT_REQUIRE(p->arena, MEMORY, "no memory for %.1f MiB of activations; try a smaller batch",
               (double)total / 0x1p20);
#ifdef MADV_HUGEPAGE
    madvise(p->arena, total, MADV_HUGEPAGE); /* advice: fewer misses of the page table's cache */
#endif
    return FT_OK;
}

static ft_err place_parameter_gradients(ft_plan *p) {
    const ft_graph *g = p->g;
    size_t total = 0;
    p->grads = ft_alloc((size_t)g->n_params, sizeof *p->grads);
    FT_REQUIRE(p->grads, MEMORY, "no memory for a plan");
    enum { STEP = ALIGN / sizeof(ft_real) };
    for (int pass = 0; pass < 2; pass++) {
        size_t at = 0;
        for (int32_t i = 0; i < g->n_params; i++) {
            if (!p->values[g->params[i]->val.id].gradient) continue;
            if (pass == 1) p->grads[i] = p->grad_memory + at;
            at += ((size_t)ft_shape_size(g->params[i]->shape) + STEP - 1) / STEP * STEP;
        }
        total = at;
        if (pass == 0) p->grad_memory = ft_alloc(total, sizeof(ft_real));
        FT_REQUIRE(p->grad_memory, MEMORY, "no memory for %zu gradients", total);
    }
    p->stats.grad_bytes = total * sizeof(ft_real);
    for (int32_t i = 0; i < g->n_params; i++)
        p->stats.param_bytes += (size_t)ft_shape_size(g->params[i]->shape) * sizeof(ft_real);
    return FT_OK;
}

ft_err plan_place(ft_plan *p) {
    FT_TRY(place_values(p));
    FT_TRY(place_remakes(p));
    FT_TRY(place_gradients(p));
    FT_TRY(place_working_memory(p));
    FT_TRY(pack_arena(p));
    return place_parameter_gradients(p);
}

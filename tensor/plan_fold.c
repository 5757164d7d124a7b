/* Which nodes become part of another's step, and which values are forgotten after the forward pass and made
 * again when the backward pass wants them.
 */
#include "tensor/plan_internal.h"

int32_t plan_host(const ft_plan *p, int32_t i) {
    return p->nodes[i].host == NEVER ? i : p->nodes[i].host;
}

int32_t plan_forward_readers(const ft_plan *p, int32_t v) {
    int32_t n = 0;
    for (int32_t i = 0; i < p->g->n_nodes; i++)
        for (int32_t k = 0; p->nodes[i].needed && k < p->g->nodes[i].n_in; k++)
            n += p->g->nodes[i].in[k].id == v;
    return n;
}

bool plan_backward_reads(const ft_plan *p, int32_t i, int32_t v) {
    const node *nd = &p->g->nodes[i];
    uint32_t bits = 0;
    if (!p->nodes[i].backward) return false;
    for (int32_t k = 0; k < nd->n_in; k++)
        if (nd->in[k].id == v) bits |= FT_IN(k);
    for (int32_t o = 0; o < nd->op->n_out; o++)
        if (nd->first_out + o == v) bits |= FT_OUT(o);
    for (int32_t k = 0; bits && k < nd->n_in; k++)
        if (nd->in[k].id > 0 && p->values[nd->in[k].id].gradient &&
            (nd->op->needs[(nd->op->flags & FT_VARIADIC) ? 0 : k] & bits))
            return true;
    return false;
}

/* ---- folding ---- */

/* The one needed node that reads v, or NEVER when there are none or several, or v is kept. */
static int32_t only_reader(const ft_plan *p, int32_t v) {
    if (p->values[v].kept || plan_forward_readers(p, v) != 1) return NEVER;
    for (int32_t i = p->g->values[v].node + 1; i < p->g->n_nodes; i++)
        for (int32_t k = 0; p->nodes[i].needed && k < p->g->nodes[i].n_in; k++)
            if (p->g->nodes[i].in[k].id == v) return i;
    return NEVER;
}

static void fold_into(ft_plan *p, int32_t host, int32_t next) {
    p->nodes[host].last = next;
    p->nodes[next].host = host;
}

/* A batch norm that only applies its running statistics, and a ReLU, into the convolution before them. */
static void fold_without_gradient(ft_plan *p, int32_t host) {
    const node *nodes = p->g->nodes;
    plan_node *h = &p->nodes[host];
    if (h->backward || !(nodes[host].op->flags & FT_EPILOGUE)) return;
    int32_t next = only_reader(p, nodes[host].first_out);
    if (next != NEVER && nodes[next].op->affine && !p->nodes[next].training && !p->nodes[next].backward &&
        nodes[next].in[0].id == nodes[host].first_out) {
        h->affine = next;
        fold_into(p, host, next);
        next = only_reader(p, nodes[next].first_out);
    }
    if (next != NEVER && (nodes[next].op->flags & FT_RELU) && !p->nodes[next].backward) {
        h->relu = next;
        fold_into(p, host, next);
    }
}

/* Is input 0 there when the node's backward step runs? */
static bool reads_input(const ft_plan *p, int32_t i) {
    return plan_backward_reads(p, i, p->g->nodes[i].in[0].id);
}

/* A ReLU that trains into the batch norm before it. */
static void fold_with_gradient(ft_plan *p, int32_t host) {
    const node *nodes = p->g->nodes;
    plan_node *h = &p->nodes[host];
    if (!h->backward || !h->training || !(nodes[host].op->flags & FT_RELU_AFTER)) return;
    if (!reads_input(p, host)) return;
    int32_t next = only_reader(p, nodes[host].first_out);
    if (next == NEVER || !(nodes[next].op->flags & FT_RELU) || !p->nodes[next].backward) return;
    h->relu = next;
    fold_into(p, host, next);
    p->nodes[next].backward = false;
    p->values[nodes[host].first_out].gradient = false; /* it never exists: dout is the ReLU's */
}

static bool takes_prologue(const ft_plan *p, int32_t i, int32_t v) {
    const node *nd = &p->g->nodes[i];
    for (int32_t k = 1; k < nd->n_in; k++)
        if (nd->in[k].id == v) return false;
    return ft_node_takes_prologue(p->g, i, p->spec.batch, p->nodes[i].training, p->spec.direct);
}

/* Batch norm and ReLU are left to whoever reads them where all readers can do it on the way in. */
static void defer(ft_plan *p, int32_t host) {
    plan_node *h = &p->nodes[host];
    int32_t v = p->g->nodes[h->last].first_out;
    if (h->host != NEVER || !h->backward || !h->training || !(p->g->nodes[host].op->flags & FT_DEFERS))
        return;
    if (p->values[v].kept || !reads_input(p, host) || plan_forward_readers(p, v) == 0) return;
    for (int32_t i = host + 1; i < p->g->n_nodes; i++)
        for (int32_t k = 0; p->nodes[i].needed && i != h->last && k < p->g->nodes[i].n_in; k++)
            if (p->g->nodes[i].in[k].id == v && !takes_prologue(p, i, v)) return;
    h->deferred = true;
}

int32_t plan_deferred(const ft_plan *p, int32_t v) {
    int32_t i = p->g->values[v].node;
    if (i < 0) return NEVER;
    int32_t host = plan_host(p, i);
    return p->nodes[host].deferred && p->nodes[host].last == i ? host : NEVER;
}

int32_t plan_gatherer(const ft_plan *p, int32_t i) {
    const node *nd = &p->g->nodes[i];
    if (!p->nodes[i].training || !(nd->op->flags & FT_TAKES_MOMENTS)) return NEVER;
    int32_t v = nd->in[0].id, maker = p->g->values[v].node;
    if (maker < 0 || p->g->nodes[maker].first_out != v) return NEVER;
    const plan_node *m = &p->nodes[maker];
    return m->host == NEVER && m->last == maker && m->mem.moment_chunks > 0 ? maker : NEVER;
}

void plan_fold(ft_plan *p) {
    for (int32_t i = 0; i < p->g->n_nodes && !p->spec.isolate; i++) {
        if (!p->nodes[i].needed) continue;
        fold_without_gradient(p, i);
        fold_with_gradient(p, i);
    }
    for (int32_t i = 0; i < p->g->n_nodes && !p->spec.isolate; i++)
        if (p->nodes[i].needed) defer(p, i);
}

/* ---- making again ---- */

/* A concat is made again by making its inputs again in their slices of it; another node from an input that is
 * not itself made again. */
static bool can_be_remade(const ft_plan *p, int32_t v) {
    int32_t i = p->g->values[v].node;
    if (i < 0 || !p->nodes[i].needed || p->values[v].kept || plan_deferred(p, v) != NEVER) return false;
    const node *nd = &p->g->nodes[i];
    if (!(nd->op->flags & FT_CONCAT)) {
        int32_t host = plan_host(p, i);
        return p->nodes[host].last == i && p->nodes[host].training && p->g->nodes[host].op->remake &&
               reads_input(p, host) && !can_be_remade(p, p->g->nodes[host].in[0].id);
    }
    for (int32_t k = 0; k < nd->n_in; k++)
        if (plan_forward_readers(p, nd->in[k].id) != 1 || !can_be_remade(p, nd->in[k].id)) return false;
    return true;
}

static void mark_again(ft_plan *p, int32_t v) {
    const node *nd = &p->g->nodes[p->g->values[v].node];
    p->values[v].again = true;
    for (int32_t k = 0; (nd->op->flags & FT_CONCAT) && k < nd->n_in; k++) mark_again(p, nd->in[k].id);
}

void plan_find_remakes(ft_plan *p) {
    for (int32_t v = 1; v < p->g->n_values && !p->spec.isolate; v++) {
        bool read = false;
        for (int32_t i = 0; i < p->g->n_nodes && !read; i++) read = plan_backward_reads(p, i, v);
        if (read && can_be_remade(p, v)) mark_again(p, v);
    }
}

void plan_list_remakes(ft_plan *p, int32_t v) {
    int32_t i = p->g->values[v].node;
    const node *nd = &p->g->nodes[i];
    if (!(nd->op->flags & FT_CONCAT)) {
        plan_node *h = &p->nodes[plan_host(p, i)];
        if (h->remake_step == NEVER) h->remake_step = p->n_steps++;
        return;
    }
    for (int32_t k = 0; k < nd->n_in; k++) plan_list_remakes(p, nd->in[k].id);
}

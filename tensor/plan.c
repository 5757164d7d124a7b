#include "tensor/par.h"
#include "tensor/plan_internal.h"

#include <stdlib.h>
#include <string.h>

static const value *input_of(const ft_plan *p, const node *nd, int32_t k) {
    return nd->in[k].id > 0 ? &p->g->values[nd->in[k].id] : NULL;
}

int32_t plan_loss_index(const ft_plan *p, int32_t v) {
    for (int32_t i = 0; i < p->spec.n_losses; i++)
        if (p->spec.losses[i].id == v) return i;
    return NEVER;
}

ft_shape plan_shape(const ft_plan *p, int32_t v) {
    ft_shape s = p->g->values[v].shape;
    if (p->g->values[v].batched) s.n = p->spec.batch;
    return s;
}

static ft_err check_spec(const ft_plan *p) {
    const ft_plan_spec *s = &p->spec;
    FT_REQUIRE(s->batch > 0, GRAPH, "a plan needs a batch of at least 1, not %d", s->batch);
    FT_REQUIRE(s->n_losses >= 0 && s->n_losses <= FT_MAX_LOSSES, GRAPH,
               "a plan takes up to %d losses, not %d", FT_MAX_LOSSES, s->n_losses);
    FT_REQUIRE(s->n_losses + s->n_outputs > 0, GRAPH, "a plan needs at least one output or loss");
    FT_REQUIRE(!s->training || s->n_losses > 0, GRAPH, "a training plan needs a loss");
    for (int32_t i = 0; i < s->n_losses; i++) {
        int32_t id = s->losses[i].id;
        FT_REQUIRE(id > 0 && id < p->g->n_values && p->g->values[id].node >= 0, GRAPH,
                   "loss %d is not a value of this graph", i);
        FT_REQUIRE(p->g->nodes[p->g->values[id].node].op->flags & FT_LOSS, GRAPH, "%s is not a loss",
                   ft_val_name(p->g, s->losses[i]));
        FT_REQUIRE(plan_loss_index(p, id) == i, GRAPH, "%s is given twice as a loss",
                   ft_val_name(p->g, s->losses[i]));
    }
    for (int32_t i = 0; i < s->n_outputs; i++)
        FT_REQUIRE(s->outputs[i].id > 0 && s->outputs[i].id < p->g->n_values, GRAPH,
                   "output %d is not a value of this graph", i);
    for (int32_t i = 0; i < s->n_fed; i++) {
        int32_t id = s->fed[i].id;
        FT_REQUIRE(id > 0 && id < p->g->n_values && p->g->values[id].node >= 0, GRAPH,
                   "fed value %d is made by no node of this graph", i);
        FT_REQUIRE(plan_loss_index(p, id) == NEVER, GRAPH, "%s is a loss and cannot be fed",
                   ft_val_name(p->g, s->fed[i]));
    }
    FT_REQUIRE(s->n_watched == 0 || s->training, GRAPH, "only a training plan has gradients to watch");
    for (int32_t i = 0; i < s->n_watched; i++) {
        int32_t id = s->watched[i].id;
        FT_REQUIRE(id > 0 && id < p->g->n_values && p->g->values[id].node >= 0, GRAPH,
                   "watched value %d is made by no node of this graph", i);
    }
    return FT_OK;
}

static void find_kept(ft_plan *p) {
    for (int32_t i = 0; i < p->spec.n_losses; i++) p->values[p->spec.losses[i].id].kept = true;
    for (int32_t i = 0; i < p->spec.n_outputs; i++) p->values[p->spec.outputs[i].id].kept = true;
    for (int32_t i = 0; i < p->spec.n_fed; i++) p->values[p->spec.fed[i].id].kept = true;
    for (int32_t i = 0; i < p->spec.n_watched; i++)
        p->values[p->spec.watched[i].id].kept = p->values[p->spec.watched[i].id].watched = true;
}

/* In the plan's own graph a fed value is an input. */
static void feed(ft_plan *p) {
    for (int32_t i = 0; i < p->spec.n_fed; i++) {
        value *v = &p->own.values[p->spec.fed[i].id];
        v->node = NEVER;
        v->input = 0; /* its name is not asked for */
    }
}

/* Marks every node that an output or a loss depends on. */
static void find_needed(ft_plan *p) {
    const ft_graph *g = p->g;
    for (int32_t v = 1; v < g->n_values; v++)
        if (p->values[v].kept && g->values[v].node >= 0) p->nodes[g->values[v].node].needed = true;
    for (int32_t i = g->n_nodes - 1; i >= 0; i--)
        for (int32_t k = 0; p->nodes[i].needed && k < g->nodes[i].n_in; k++) {
            const value *v = input_of(p, &g->nodes[i], k);
            if (v && v->node >= 0) p->nodes[v->node].needed = true;
        }
}

/* Where a gradient is wanted: of what is trained, of what is watched, and of all between them and the losses.
 */
static ft_err find_wanted(ft_plan *p) {
    const ft_graph *g = p->g;
    for (int32_t v = 1; v < g->n_values; v++) {
        const ft_param *param = g->values[v].param >= 0 ? g->params[g->values[v].param] : NULL;
        p->values[v].wants = param && (param->flags & FT_TRAINABLE) && !param->frozen;
    }
    for (int32_t i = 0; i < g->n_nodes; i++) {
        const node *nd = &g->nodes[i];
        p->nodes[i].training = p->spec.training && !nd->frozen;
        for (int32_t o = 0; o < nd->op->n_out; o++) {
            plan_value *v = &p->values[nd->first_out + o];
            for (int32_t k = 0; v->watched && k < nd->n_in; k++)
                FT_REQUIRE(nd->in[k].id <= 0 || !p->values[nd->in[k].id].wants, GRAPH,
                           "%s is watched, yet something before it is to be trained", nd->name);
            v->wants |= v->watched;
        }
        for (int32_t k = 0; k < nd->n_in; k++)
            if (nd->in[k].id > 0 && p->values[nd->in[k].id].wants)
                for (int32_t o = 0; o < nd->op->n_out; o++) p->values[nd->first_out + o].wants = true;
    }
    for (int32_t i = 0; i < p->spec.n_fed; i++)
        FT_REQUIRE(!p->spec.training || !p->values[p->spec.fed[i].id].wants, GRAPH,
                   "%s is fed, yet something before it is to be trained",
                   ft_val_name(p->source, p->spec.fed[i]));
    return FT_OK;
}

/* A gradient is computed where it is wanted and a loss comes after. */
static ft_err find_gradients(ft_plan *p) {
    const ft_graph *g = p->g;
    FT_TRY(find_wanted(p));
    if (!p->spec.training) return FT_OK;
    for (int32_t i = 0; i < p->spec.n_losses; i++) {
        plan_value *loss = &p->values[p->spec.losses[i].id];
        loss->gradient = loss->wants;
    }
    for (int32_t i = g->n_nodes - 1; i >= 0; i--) {
        const node *nd = &g->nodes[i];
        bool reaches = false;
        for (int32_t o = 0; o < nd->op->n_out; o++) reaches |= p->values[nd->first_out + o].gradient;
        if (!reaches) continue;
        FT_REQUIRE(nd->op->backward, GRAPH,
                   "%s: %s has no gradient, yet something before it is to be trained", nd->name,
                   nd->op->name);
        for (int32_t k = 0; k < nd->n_in; k++) {
            if (nd->in[k].id <= 0 || !p->values[nd->in[k].id].wants) continue;
            FT_REQUIRE(nd->op->needs[k] != FT_NO_GRADIENT, GRAPH,
                       "%s: input %d of %s has no gradient, yet %s before it is to be trained", nd->name, k,
                       nd->op->name, ft_val_name(p->g, nd->in[k]));
            p->values[nd->in[k].id].gradient = p->nodes[i].backward = true;
        }
        /* Behind what is watched even a frozen node keeps what its gradient reads; what it does stays that of
         * inference. */
        if (p->spec.n_watched && p->nodes[i].backward && !(nd->op->flags & (FT_STATEFUL | FT_RANDOM)))
            p->nodes[i].training = true;
    }
    return FT_OK;
}

static ft_err list_steps(ft_plan *p) {
    const ft_graph *g = p->g;
    for (int32_t i = 0; i < g->n_nodes; i++) {
        plan_node *pn = &p->nodes[i];
        if (!pn->needed || pn->host != NEVER) continue;
        ft_shape out[FT_MAX_OUT];
        FT_TRY(ft_node_shape(g, i, p->spec.batch, pn->training, p->spec.direct, out, &pn->mem));
        pn->forward_step = p->n_steps++;
        pn->constant = true;
        for (int32_t k = 0; k < g->nodes[i].n_in; k++) {
            const value *v = input_of(p, &g->nodes[i], k);
            if (v && v->param >= 0 && p->values[g->nodes[i].in[k].id].gradient) pn->constant = false;
        }
        if (pn->training && (g->nodes[i].op->flags & FT_STATEFUL)) pn->constant = false;
    }
    p->n_forward = p->n_steps;
    for (int32_t i = g->n_nodes - 1; i >= 0; i--) {
        if (!p->nodes[i].backward) continue;
        for (int32_t v = 1; v < g->n_values; v++)
            if (p->values[v].again && plan_backward_reads(p, i, v)) plan_list_remakes(p, v);
        p->nodes[i].backward_step = p->n_steps++;
    }
    p->steps = ft_alloc((size_t)p->n_steps, sizeof *p->steps);
    FT_REQUIRE(p->steps, MEMORY, "no memory for %d steps", p->n_steps);
    for (int32_t i = 0; i < g->n_nodes; i++) {
        const plan_node *pn = &p->nodes[i];
        if (pn->forward_step != NEVER) p->steps[pn->forward_step] = (step){.node = i, .kind = FORWARD};
        if (pn->remake_step != NEVER) p->steps[pn->remake_step] = (step){.node = i, .kind = REMAKE};
        if (pn->backward) p->steps[pn->backward_step] = (step){.node = i, .kind = BACKWARD};
    }
    return FT_OK;
}

static ft_err compile(ft_plan *p) {
    const ft_graph *g = p->g;
    FT_TRY(check_spec(p));
    p->nodes = ft_alloc((size_t)g->n_nodes, sizeof *p->nodes);
    p->values = ft_alloc((size_t)g->n_values, sizeof *p->values);
    FT_REQUIRE(p->nodes && p->values, MEMORY, "no memory for a plan of %d nodes", g->n_nodes);
    for (int32_t i = 0; i < g->n_nodes; i++) {
        plan_node *pn = &p->nodes[i];
        pn->host = pn->affine = pn->relu = NEVER;
        pn->forward_step = pn->remake_step = pn->backward_step = NEVER;
        pn->saved = pn->forward_scratch = pn->backward_scratch = pn->prepared = pn->moments = NEVER;
        pn->last = i;
    }
    for (int32_t v = 0; v < g->n_values; v++) {
        p->values[v].at.buffer = p->values[v].again_at.buffer = p->values[v].grad_at.buffer = NEVER;
        p->values[v].first_writer = NEVER;
    }
    find_kept(p);
    FT_TRY(plan_order(p));
    feed(p);
    find_needed(p);
    FT_TRY(find_gradients(p));
    plan_fold(p);
    plan_find_remakes(p);
    FT_TRY(list_steps(p));
    FT_TRY(plan_place(p));
    return plan_fill_steps(p);
}

ft_err ft_compile(ft_graph *g, const ft_plan_spec *spec, ft_plan **out) {
    *out = NULL;
    FT_TRY(ft_graph_status(g));
    ft_plan *p = calloc(1, sizeof *p);
    FT_REQUIRE(p, MEMORY, "no memory for a plan");
    p->g = p->source = g;
    p->spec = *spec;
    p->lanes = ft_threads();
    ft_err e = compile(p);
    p->spec.outputs = p->spec.fed = p->spec.watched = NULL; /* the caller's arrays may be gone after this */
    if (e != FT_OK) {
        ft_plan_free(p);
        return e;
    }
    *out = p;
    return FT_OK;
}

void ft_plan_free(ft_plan *p) {
    if (!p) return;
    plan_order_free(p);
    free(p->nodes);
    free(p->values);
    free(p->buffers);
    free(p->steps);
    free(p->arena);
    free(p->grads);
    free(p->grad_memory);
    free(p);
}

ft_plan_stats ft_plan_get_stats(const ft_plan *p) {
    return p->stats;
}

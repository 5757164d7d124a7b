#include "tensor/plan_internal.h"
#include "tensor/rng.h"

#include <string.h>
#include <time.h>

enum { OFF_IN = 0, OFF_OUT = FT_MAX_IN, OFF_DOUT = OFF_OUT + FT_MAX_OUT, OFF_DIN = OFF_DOUT + FT_MAX_OUT };

static void *buffer_at(const ft_plan *p, int32_t b) {
    return b == NEVER ? NULL : p->arena + p->buffers[b].offset;
}

static ft_view view_at(const ft_plan *p, place at, ft_shape s) {
    ft_view v = {.n = s.n, .h = s.h, .w = s.w, .c = s.c, .ld = at.ld};
    if (at.buffer != NEVER) v.p = (ft_real *)buffer_at(p, at.buffer) + at.column;
    return v;
}

static ft_view value_view(const ft_plan *p, int32_t v) {
    ft_shape s = plan_shape(p, v);
    if (p->g->values[v].param >= 0)
        return (ft_view){p->g->params[p->g->values[v].param]->p, s.n, s.h, s.w, s.c, s.c};
    return view_at(p, p->values[v].at, s);
}

static ft_view gradient_view(const ft_plan *p, int32_t v) {
    ft_shape s = plan_shape(p, v);
    if (!p->values[v].gradient) return (ft_view){0};
    if (p->g->values[v].param >= 0)
        return (ft_view){p->grads[p->g->values[v].param], s.n, s.h, s.w, s.c, s.c};
    int32_t loss = plan_loss_index(p, v);
    if (loss != NEVER) return (ft_view){(ft_real *)&p->seeds[loss], 1, 1, 1, 1, 1};
    return view_at(p, p->values[v].grad_at, s);
}

static void fill_inputs(ft_plan *p, const node *nd, ft_view in[]) {
    for (int32_t k = 0; k < nd->n_in; k++)
        if (nd->in[k].id > 0) in[k] = value_view(p, nd->in[k].id);
}

/* Where the backward pass finds v. */
static ft_view backward_view(const ft_plan *p, int32_t v) {
    return p->values[v].again ? view_at(p, p->values[v].again_at, plan_shape(p, v)) : value_view(p, v);
}

/* Where in[0] was left undone the step reads what it is made from, and is told how. */
static void fill_prologue(ft_plan *p, step *s, const node *nd) {
    int32_t host = nd->in[0].id > 0 ? plan_deferred(p, nd->in[0].id) : NEVER;
    if (host == NEVER) return;
    const ft_real *saved = buffer_at(p, p->nodes[host].saved);
    s->in[0] = value_view(p, p->g->nodes[host].in[0].id);
    s->prologue = (ft_epilogue){saved, saved + s->in[0].c, p->nodes[host].relu != NEVER};
    s->call.prologue = &s->prologue;
}

/* Those that the node gathers for others, or takes from another. */
static void fill_moments(ft_plan *p, step *s) {
    int32_t gatherer = plan_gatherer(p, s->node);
    const plan_node *pn = &p->nodes[gatherer == NEVER ? s->node : gatherer];
    if (pn->moments == NEVER) return;
    s->moments = (ft_moments){buffer_at(p, pn->moments), pn->mem.moment_chunks,
                              gatherer == NEVER ? s->out[0].c : s->in[0].c};
    s->call.moments = &s->moments;
}

static void fill_forward(ft_plan *p, step *s) {
    const node *nd = &p->g->nodes[s->node];
    const plan_node *pn = &p->nodes[s->node];
    const node *last = &p->g->nodes[pn->last];
    fill_inputs(p, nd, s->in);
    for (int32_t k = 0; k < last->op->n_out; k++) {
        s->out[k] = value_view(p, last->first_out + k);
        s->batched[OFF_OUT + k] = p->g->values[last->first_out + k].batched;
    }
    for (int32_t k = 0; k < nd->n_in; k++)
        s->batched[OFF_IN + k] = nd->in[k].id > 0 && p->g->values[nd->in[k].id].batched;
    s->call = (ft_call){.in = s->in,
                        .out = s->out,
                        .batch = s->in[0].n,
                        .lanes = p->lanes,
                        .args = nd->args,
                        .saved = buffer_at(p, pn->saved),
                        .scratch = buffer_at(p, pn->forward_scratch),
                        .prepared = buffer_at(p, pn->prepared),
                        .n_in = nd->n_in,
                        .training = pn->training,
                        .direct = p->spec.direct};
    s->constant = pn->constant;
    fill_prologue(p, s, nd);
    fill_moments(p, s);
    if (pn->affine == NEVER && pn->relu == NEVER) return;
    s->epilogue.relu = pn->relu != NEVER;
    if (pn->affine != NEVER) {
        const node *affine = &p->g->nodes[pn->affine];
        fill_inputs(p, affine, s->affine_in);
        s->affine_call = (ft_call){.in = s->affine_in, .args = affine->args, .n_in = affine->n_in};
        s->scale = buffer_at(p, p->nodes[pn->affine].forward_scratch);
        s->shift = s->scale + s->out[0].c;
        s->epilogue.scale = s->scale;
        s->epilogue.shift = s->shift;
    }
    s->call.epilogue = &s->epilogue;
}

static void fill_backward(ft_plan *p, step *s) {
    const node *nd = &p->g->nodes[s->node];
    const plan_node *pn = &p->nodes[s->node];
    for (int32_t k = 0; k < nd->n_in; k++)
        if (nd->in[k].id > 0) s->in[k] = backward_view(p, nd->in[k].id);
    for (int32_t k = 0; k < nd->op->n_out; k++) {
        int32_t v = nd->first_out + k;
        s->out[k] = backward_view(p, v);
        s->dout[k] = gradient_view(p, p->g->nodes[pn->last].first_out + k);
        s->batched[OFF_OUT + k] = s->batched[OFF_DOUT + k] = p->g->values[v].batched;
    }
    for (int32_t k = 0; k < nd->n_in; k++) {
        int32_t v = nd->in[k].id;
        if (v <= 0) continue;
        s->batched[OFF_IN + k] = s->batched[OFF_DIN + k] = p->g->values[v].batched;
        s->din[k] = gradient_view(p, v);
        bool first = p->values[v].first_writer == s->node && p->values[v].first_input == k;
        s->beta[k] = first ? 0 : 1;
        s->param_beta[k] = first && p->g->values[v].param >= 0;
    }
    s->call = (ft_call){.in = s->in,
                        .out = s->out,
                        .dout = s->dout,
                        .din = s->din,
                        .beta = s->beta,
                        .batch = s->in[0].n,
                        .lanes = p->lanes,
                        .args = nd->args,
                        .saved = buffer_at(p, pn->saved),
                        .scratch = buffer_at(p, pn->backward_scratch),
                        .n_in = nd->n_in,
                        .training = pn->training,
                        .direct = p->spec.direct};
    fill_prologue(p, s, nd);
    s->epilogue.relu = pn->relu != NEVER;
    if (s->epilogue.relu) s->call.epilogue = &s->epilogue;
}

/* Like the forward step, but what it writes lies elsewhere. */
static void fill_remake(ft_plan *p, step *s) {
    fill_forward(p, s);
    int32_t v = p->g->nodes[p->nodes[s->node].last].first_out;
    s->out[0] = view_at(p, p->values[v].again_at, plan_shape(p, v));
    s->call.scratch = s->call.prepared = NULL;
    s->call.moments = NULL;
}

ft_err plan_fill_steps(ft_plan *p) {
    p->stats.forward_steps = p->n_forward;
    p->stats.backward_steps = p->n_steps - p->n_forward;
    for (int32_t i = 0; i < p->g->n_nodes; i++) p->stats.folded += p->nodes[i].host != NEVER;
    for (int32_t i = 0; i < p->n_steps; i++) {
        switch (p->steps[i].kind) {
        case FORWARD:
            fill_forward(p, &p->steps[i]);
            break;
        case REMAKE:
            fill_remake(p, &p->steps[i]);
            break;
        case BACKWARD:
            fill_backward(p, &p->steps[i]);
            break;
        }
    }
    p->n = p->spec.batch;
    return FT_OK;
}

static void set_batch(ft_plan *p, int32_t n) {
    if (p->n == n) return;
    p->n = n;
    for (int32_t i = 0; i < p->n_steps; i++) {
        step *s = &p->steps[i];
        for (int32_t k = 0; k < FT_MAX_IN; k++) {
            if (s->batched[OFF_IN + k]) s->in[k].n = n;
            if (s->batched[OFF_DIN + k]) s->din[k].n = n;
        }
        for (int32_t k = 0; k < FT_MAX_OUT; k++) {
            if (s->batched[OFF_OUT + k]) s->out[k].n = n;
            if (s->batched[OFF_DOUT + k]) s->dout[k].n = n;
        }
    }
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void run_forward(ft_plan *p, step *s) {
    const ft_op *op = p->g->nodes[s->node].op;
    if (op->prepare && (!s->constant || s->prepared_version != p->source->version + 1)) {
        op->prepare(&s->call);
        s->prepared_version = p->source->version + 1;
    }
    if (s->scale) p->g->nodes[p->nodes[s->node].affine].op->affine(&s->affine_call, s->scale, s->shift);
    op->forward(&s->call);
}

static void run(ft_plan *p, int32_t first, int32_t end) {
    for (int32_t i = first; i < end; i++) {
        step *s = &p->steps[i];
        double start = now();
        const ft_op *op = p->g->nodes[s->node].op;
        switch (s->kind) {
        case FORWARD:
            run_forward(p, s);
            break;
        case REMAKE:
            op->remake(&s->call);
            break;
        case BACKWARD:
            op->backward(&s->call);
            break;
        }
        s->seconds += now() - start;
        s->calls++;
    }
}

void ft_plan_forward(ft_plan *p, int32_t n, uint64_t seed) {
    set_batch(p, n);
    for (int32_t i = 0; i < p->n_steps; i++)
        p->steps[i].call.seed = ft_rng_derive(seed, (uint64_t)p->steps[i].node);
    run(p, 0, p->n_forward);
}

void ft_plan_backward(ft_plan *p, ft_real scale, bool accumulate) {
    for (int32_t i = 0; i < p->spec.n_losses; i++) p->seeds[i] = p->spec.loss_weights[i] * scale;
    for (int32_t i = p->n_forward; i < p->n_steps; i++)
        for (int32_t k = 0; k < FT_MAX_IN; k++)
            if (p->steps[i].param_beta[k]) p->steps[i].beta[k] = accumulate ? 1 : 0;
    run(p, p->n_forward, p->n_steps);
}

ft_view ft_plan_value(const ft_plan *p, ft_val v, int32_t n) {
    if (v.id <= 0 || v.id >= p->g->n_values) return (ft_view){0};
    ft_view view = value_view(p, v.id);
    if (p->g->values[v.id].batched) view.n = n;
    return view;
}

ft_view ft_plan_watched(const ft_plan *p, ft_val v, int32_t n) {
    if (v.id <= 0 || v.id >= p->g->n_values || !p->values[v.id].watched) return (ft_view){0};
    ft_view view = gradient_view(p, v.id);
    view.n = n;
    return view;
}

ft_real *ft_plan_grad(const ft_plan *p, const ft_param *param) {
    return p->grads[p->g->values[param->val.id].param];
}

int32_t ft_plan_times(const ft_plan *p, ft_step_time out[], int32_t room) {
    for (int32_t i = 0; i < p->n_steps && i < room; i++) {
        const step *s = &p->steps[i];
        const node *nd = &p->g->nodes[s->node];
        out[i] = (ft_step_time){nd->name, nd->op->name, s->kind != FORWARD, s->seconds, s->calls};
    }
    return p->n_steps;
}

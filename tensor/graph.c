#include "tensor/graph_internal.h"
#include "tensor/par.h"
#include "tensor/rng.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Makes room for one more element in a growing array; false when memory is out. */
static bool grow(void **array, int32_t n, int32_t *room, size_t size) {
    if (n < *room) return true;
    int32_t more = *room ? *room * 2 : 64;
    void *p = realloc(*array, (size_t)more * size);
    if (!p) return false;
    *array = p;
    *room = more;
    return true;
}

ft_err ft_graph_new(ft_graph **out) {
    ft_graph *g = *out = calloc(1, sizeof *g);
    if (!g || !grow((void **)&g->values, 0, &g->room_values, sizeof *g->values)) {
        free(g);
        *out = NULL;
        FT_FAIL(MEMORY, "no memory for a new graph");
    }
    g->values[0] = (value){.node = -1, .param = -1, .input = -1};
    g->n_values = 1;
    return FT_OK;
}

void ft_graph_free(ft_graph *g) {
    if (!g) return;
    for (int32_t i = 0; i < g->n_nodes; i++) free(g->nodes[i].args);
    for (int32_t i = 0; i < g->n_params; i++) {
        free(g->params[i]->p);
        free(g->params[i]);
    }
    free(g->nodes);
    free(g->values);
    free(g->params);
    free(g->inputs);
    free(g->message);
    free(g);
}

ft_err ft_graph_status(const ft_graph *g) {
    return g->status == FT_OK ? FT_OK
                              : ft_err_set(g->status, "%s", g->message ? g->message : "out of memory");
}

/* Remembers this thread's message as the graph's first error. */
static ft_val poison(ft_graph *g, ft_err e) {
    if (g->status == FT_OK) {
        g->status = e;
        g->message = strdup(ft_err_message());
    }
    return (ft_val){0};
}

ft_val ft_graph_fail(ft_graph *g, const char *name, const char *fmt, ...) {
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return poison(g, ft_err_set(FT_E_GRAPH, "%s: %s", name, text));
}

static ft_val add_value(ft_graph *g, value v) {
    if (!grow((void **)&g->values, g->n_values, &g->room_values, sizeof *g->values))
        return poison(g, ft_err_set(FT_E_MEMORY, "no memory for another value"));
    g->values[g->n_values] = v;
    return (ft_val){g->n_values++};
}

ft_val ft_input(ft_graph *g, const char *name, ft_shape s) {
    if (s.h <= 0 || s.w <= 0 || s.c <= 0)
        return ft_graph_fail(g, name,
                             "an input needs a positive height, width and channel count, not %d x %d x %d",
                             s.h, s.w, s.c);
    if (!grow((void **)&g->inputs, g->n_inputs, &g->room_inputs, sizeof *g->inputs))
        return poison(g, ft_err_set(FT_E_MEMORY, "no memory for another input"));
    snprintf(g->inputs[g->n_inputs], sizeof *g->inputs, "%s", name);
    s.n = 1;
    return add_value(g,
                     (value){.shape = s, .node = -1, .param = -1, .input = g->n_inputs++, .batched = true});
}

void ft_graph_limit_params(ft_graph *g, int64_t most) {
    g->most_numbers = most;
}

ft_val ft_param_add(ft_graph *g, const char *name, ft_shape s, ft_init init, uint32_t flags) {
    if (g->status != FT_OK) return (ft_val){0};
    if (ft_graph_find_param(g, name))
        return ft_graph_fail(g, name, "there is already a parameter of that name");
    if (s.n <= 0 || s.h <= 0 || s.w <= 0 || s.c <= 0)
        return ft_graph_fail(g, name, "a parameter cannot have the shape (%d, %d, %d, %d)", s.n, s.h, s.w,
                             s.c);
    int64_t size = ft_shape_size(s);
    if (g->most_numbers > 0 && size > g->most_numbers - g->n_numbers)
        return ft_graph_fail(g, name, "its %lld numbers would make more than the %lld that there can be",
                             (long long)size, (long long)g->most_numbers);
    ft_param *p = calloc(1, sizeof *p);
    if (p) p->p = ft_alloc((size_t)size, sizeof(ft_real));
    if (!p || !p->p || !grow((void **)&g->params, g->n_params, &g->room_params, sizeof *g->params)) {
        if (p) free(p->p);
        free(p);
        return poison(g, ft_err_set(FT_E_MEMORY, "no memory for parameter %s", name));
    }
    snprintf(p->name, sizeof p->name, "%s", name);
    p->shape = s;
    p->init = init;
    p->flags = flags;
    g->params[g->n_params++] = p;
    g->n_numbers += size;
    p->val = add_value(g, (value){.shape = s, .node = -1, .param = g->n_params - 1, .input = -1});
    return p->val;
}

static bool node_exists(const ft_graph *g, const char *name) {
    for (int32_t i = 0; i < g->n_nodes; i++)
        if (strcmp(g->nodes[i].name, name) == 0) return true;
    return false;
}

void ft_graph_next_name(ft_graph *g, const ft_op *op, const char *wanted, char name[64]) {
    if (wanted && *wanted) {
        snprintf(name, 64, "%s", wanted);
        return;
    }
    int32_t k = 1;
    do snprintf(name, 64, "%s_%d", op->name, k++);
    while (node_exists(g, name));
}

static ft_build node_build(const ft_graph *g, const node *nd, int32_t n, bool training, bool direct,
                           ft_shape in[FT_MAX_IN]) {
    memset(in, 0, FT_MAX_IN * sizeof *in);
    for (int32_t i = 0; i < nd->n_in; i++) {
        if (nd->in[i].id < 0) continue;
        const value *v = &g->values[nd->in[i].id];
        in[i] = v->shape;
        if (v->batched) in[i].n = n;
    }
    return (ft_build){.in = in,
                      .n_in = nd->n_in,
                      .args = nd->args,
                      .training = training,
                      .direct = direct,
                      .lanes = ft_threads()};
}

bool ft_node_takes_prologue(const ft_graph *g, int32_t k, int32_t n, bool training, bool direct) {
    const node *nd = &g->nodes[k];
    if (!nd->op->takes_prologue) return false;
    ft_shape in[FT_MAX_IN];
    ft_build b = node_build(g, nd, n, training, direct, in);
    return nd->op->takes_prologue(&b);
}

bool ft_node_mixes_channels(const ft_graph *g, int32_t k) {
    const node *nd = &g->nodes[k];
    if (!nd->op->mixes_channels) return false;
    ft_shape in[FT_MAX_IN];
    ft_build b = node_build(g, nd, 1, false, false, in);
    return nd->op->mixes_channels(&b);
}

ft_err ft_node_shape(const ft_graph *g, int32_t k, int32_t n, bool training, bool direct,
                     ft_shape out[FT_MAX_OUT], ft_mem *mem) {
    const node *nd = &g->nodes[k];
    ft_shape in[FT_MAX_IN];
    ft_build b = node_build(g, nd, n, training, direct, in);
    memset(out, 0, FT_MAX_OUT * sizeof *out);
    *mem = (ft_mem){0};
    ft_err e = nd->op->shape(&b, out, mem);
    return e == FT_OK ? FT_OK : ft_err_prefix(e, "%s", nd->name);
}

/* Takes back the node just added: its arguments are freed, its slot is free again. */
static ft_val drop_last_node(ft_graph *g, ft_err e) {
    free(g->nodes[--g->n_nodes].args);
    return poison(g, e);
}

ft_val ft_apply(ft_graph *g, const ft_op *op, const char *name, const void *args, int32_t n_in,
                const ft_val in[]) {
    if (g->status != FT_OK) return (ft_val){0};
    node nd = {.op = op, .n_in = n_in, .first_out = g->n_values};
    ft_graph_next_name(g, op, name, nd.name);
    if (n_in < 1 || n_in > op->n_in || n_in > FT_MAX_IN)
        return ft_graph_fail(g, nd.name, "%s takes up to %d inputs, not %d", op->name, op->n_in, n_in);
    if (node_exists(g, nd.name)) return ft_graph_fail(g, nd.name, "there is already a node of that name");
    bool batched = false;
    for (int32_t i = 0; i < n_in; i++) {
        if (in[i].id == 0 || (i == 0 && in[i].id < 0) || in[i].id >= g->n_values)
            return ft_graph_fail(g, nd.name, "input %d of %s is not a value of this graph", i, op->name);
        nd.in[i] = in[i];
        if (in[i].id > 0) batched |= g->values[in[i].id].batched;
    }
    if (op->args_size) {
        nd.args = malloc(op->args_size);
        if (nd.args) memcpy(nd.args, args, op->args_size);
    }
    if ((op->args_size && !nd.args) ||
        !grow((void **)&g->nodes, g->n_nodes, &g->room_nodes, sizeof *g->nodes)) {
        free(nd.args);
        return poison(g, ft_err_set(FT_E_MEMORY, "no memory for node %s", nd.name));
    }
    g->nodes[g->n_nodes++] = nd;
    ft_shape out[FT_MAX_OUT];
    ft_mem mem;
    ft_err e = ft_node_shape(g, g->n_nodes - 1, 1, true, false, out, &mem);
    if (e != FT_OK) return drop_last_node(g, e);
    batched = batched && !(op->flags & FT_LOSS);
    for (int32_t k = 0; k < op->n_out; k++) {
        value v = {.shape = out[k], .node = g->n_nodes - 1, .param = -1, .input = -1, .batched = batched};
        if (add_value(g, v).id == 0) return (ft_val){0};
    }
    return (ft_val){nd.first_out};
}

ft_val ft_output(ft_graph *g, ft_val v, int32_t k) {
    if (v.id <= 0) return (ft_val){0};
    const value *made = &g->values[v.id];
    if (made->node < 0 || k < 0 || k >= g->nodes[made->node].op->n_out)
        return ft_graph_fail(g, ft_val_name(g, v), "has no output %d", k);
    return (ft_val){g->nodes[made->node].first_out + k};
}

ft_shape ft_val_shape(const ft_graph *g, ft_val v) {
    return v.id <= 0 || v.id >= g->n_values ? (ft_shape){0} : g->values[v.id].shape;
}

ft_val ft_graph_find(const ft_graph *g, const char *name) {
    for (int32_t i = 0; i < g->n_nodes; i++)
        if (strcmp(g->nodes[i].name, name) == 0) return (ft_val){g->nodes[i].first_out};
    for (int32_t i = 1; i < g->n_values; i++)
        if (g->values[i].input >= 0 && strcmp(g->inputs[g->values[i].input], name) == 0) return (ft_val){i};
    return (ft_val){0};
}

const char *ft_val_name(const ft_graph *g, ft_val v) {
    if (v.id <= 0 || v.id >= g->n_values) return "(none)";
    const value *x = &g->values[v.id];
    if (x->node >= 0) return g->nodes[x->node].name;
    return x->param >= 0 ? g->params[x->param]->name : g->inputs[x->input];
}

int32_t ft_graph_n_params(const ft_graph *g) {
    return g->n_params;
}
ft_param *ft_graph_param(const ft_graph *g, int32_t i) {
    return g->params[i];
}

ft_param *ft_graph_find_param(const ft_graph *g, const char *name) {
    for (int32_t i = 0; i < g->n_params; i++)
        if (strcmp(g->params[i]->name, name) == 0) return g->params[i];
    return NULL;
}

void ft_graph_touch(ft_graph *g) {
    g->version++;
}

typedef struct init_job {
    ft_param *const *params;
    uint64_t seed;
} init_job;

/* Each draws from a stream of its own, so the order does not matter. */
static void init_param(void *ctx, int64_t i_param, int32_t thread) {
    (void)thread;
    const init_job *job = ctx;
    ft_param *p = job->params[i_param];
    ft_rng r = ft_rng_stream(ft_rng_derive_name(job->seed, p->name), 0);
    int64_t size = ft_shape_size(p->shape), field = (int64_t)p->shape.n * p->shape.h;
    double fan_in = (double)(field * p->shape.w), fan_out = (double)(field * p->shape.c);
    double limit = sqrt(6 / (fan_in + fan_out)), deviation = sqrt(2 / fan_in);
    for (int64_t i = 0; i < size; i++) {
        double x = p->init.value;
        switch (p->init.kind) {
        case FT_INIT_CONSTANT:
            break;
        case FT_INIT_GLOROT_UNIFORM:
            x = limit * (2 * ft_rng_uniform(&r) - 1);
            break;
        case FT_INIT_HE_NORMAL:
            x = deviation * ft_rng_normal(&r);
            break;
        case FT_INIT_TRUNCATED_NORMAL:
            do x = ft_rng_normal(&r);
            while (fabs(x) > 2);
            x *= p->init.value;
            break;
        }
        p->p[i] = (ft_real)x;
    }
}

void ft_graph_init(ft_graph *g, uint64_t seed) {
    init_job job = {g->params, seed};
    ft_par_for(g->n_params, init_param, &job);
    ft_graph_touch(g);
}

void ft_graph_freeze(ft_graph *g, ft_val up_to) {
    for (int32_t i = 0; i < g->n_nodes; i++) g->nodes[i].frozen = false;
    for (int32_t i = 0; i < g->n_params; i++) g->params[i]->frozen = false;
    if (up_to.id <= 0 || g->values[up_to.id].node < 0) return;
    g->nodes[g->values[up_to.id].node].frozen = true;
    for (int32_t i = g->values[up_to.id].node; i >= 0; i--) { /* consumers come after producers */
        if (!g->nodes[i].frozen) continue;
        for (int32_t k = 0; k < g->nodes[i].n_in; k++) {
            if (g->nodes[i].in[k].id < 0) continue;
            const value *v = &g->values[g->nodes[i].in[k].id];
            if (v->node >= 0) g->nodes[v->node].frozen = true;
            if (v->param >= 0) g->params[v->param]->frozen = true;
        }
    }
}

void ft_graph_freeze_node(ft_graph *g, int32_t i) {
    node *nd = &g->nodes[i];
    nd->frozen = true;
    for (int32_t k = 0; k < nd->n_in; k++) {
        int32_t param = nd->in[k].id > 0 ? g->values[nd->in[k].id].param : -1;
        if (param >= 0) g->params[param]->frozen = true;
    }
}

int32_t ft_graph_n_nodes(const ft_graph *g) {
    return g->n_nodes;
}

ft_node_info ft_graph_node(const ft_graph *g, int32_t i) {
    const node *nd = &g->nodes[i];
    ft_node_info info = {.name = nd->name,
                         .op = nd->op,
                         .val = {nd->first_out},
                         .out = g->values[nd->first_out].shape,
                         .in = nd->in,
                         .n_in = nd->n_in,
                         .args = nd->args,
                         .frozen = nd->frozen};
    for (int32_t k = 0; k < nd->n_in; k++) {
        if (nd->in[k].id < 0 || g->values[nd->in[k].id].param < 0) continue;
        const ft_param *p = g->params[g->values[nd->in[k].id].param];
        info.n_params += ft_shape_size(p->shape);
        if ((p->flags & FT_TRAINABLE) && !p->frozen) info.n_trainable += ft_shape_size(p->shape);
    }
    return info;
}

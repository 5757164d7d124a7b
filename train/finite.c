#include "train/finite.h"

#include "tensor/par.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 1 << 16 };

typedef struct scan {
    const ft_real *p;
    int64_t n;
    bool *bad; /* by chunk */
} scan;

/* x * 0 is 0 of a finite x, else NaN. */
static void scan_chunk(void *ctx, int64_t chunk, int32_t thread) {
    const scan *s = ctx;
    int64_t first = chunk * CHUNK, end = first + CHUNK < s->n ? first + CHUNK : s->n;
    enum { LANES = 16 };
    ft_real sum[LANES] = {0};
    (void)thread;
    int64_t i = first;
    for (; i + LANES <= end; i += LANES)
        for (int k = 0; k < LANES; k++) sum[k] += s->p[i + k] * 0;
    for (; i < end; i++) sum[0] += s->p[i] * 0;
    for (int k = 1; k < LANES; k++) sum[0] += sum[k];
    s->bad[chunk] = !(sum[0] == 0);
}

bool ft_all_finite(const ft_real *p, int64_t n) {
    int64_t chunks = ft_ceil_div(n, CHUNK);
    bool bad[4096];
    for (int64_t from = 0; from < chunks; from += 4096) {
        int64_t now = chunks - from < 4096 ? chunks - from : 4096;
        scan s = {p + from * CHUNK, n - from * CHUNK, bad};
        ft_par_for(now, scan_chunk, &s);
        for (int64_t k = 0; k < now; k++)
            if (bad[k]) return false;
    }
    return true;
}

ft_err ft_finite_gradients(const ft_run *r) {
    const ft_training_state *s = &r->state;
    for (int32_t i = s->n_optim_params - 1; i >= 0; i--) {
        const ft_param *p = s->optim_params[i];
        FT_REQUIRE(ft_all_finite(r->phase.grads[i], ft_shape_size(p->shape)), NUMERIC,
                   "the gradient of '%s' is not finite", p->name);
    }
    return FT_OK;
}

ft_err ft_finite_parameters(const ft_run *r) {
    for (int32_t i = 0; i < ft_graph_n_params(r->model->g); i++) {
        const ft_param *p = ft_graph_param(r->model->g, i);
        FT_REQUIRE(ft_all_finite(p->p, ft_shape_size(p->shape)), NUMERIC, "'%s' is not finite", p->name);
    }
    return FT_OK;
}

/* ---- whose fault it is ---- */

static void copy_input(const ft_plan *from, ft_plan *to, ft_val v, int32_t n) {
    ft_view a = ft_plan_value(from, v, n), b = ft_plan_value(to, v, n);
    for (int64_t row = 0; a.p && b.p && row < ft_rows(&a); row++)
        memcpy(b.p + row * b.ld, a.p + row * a.ld, (size_t)a.c * sizeof *a.p);
}

static void copy_inputs(ft_run *r, ft_plan *to, int32_t n) {
    copy_input(r->phase.plan, to, r->phase.cut.id > 0 ? r->phase.cut : r->model->input, n);
    copy_input(r->phase.plan, to, r->labels, n);
    for (int32_t k = 0; k < r->model->n_heads; k++) copy_input(r->phase.plan, to, r->head_labels[k], n);
}

static ft_err blame_node(const ft_run *r, const ft_plan *p, int32_t n) {
    const ft_graph *g = r->model->g;
    for (int32_t i = 0; i < ft_graph_n_nodes(g); i++) {
        ft_node_info node = ft_graph_node(g, i);
        ft_view v = ft_plan_value(p, node.val, n);
        for (int64_t row = 0; v.p && row < ft_rows(&v); row++)
            FT_REQUIRE(ft_all_finite(v.p + row * v.ld, v.c), NUMERIC,
                       "the output of '%s' is the first that is not finite, of inputs and weights that are",
                       node.name);
    }
    FT_FAIL(NUMERIC, "no output is without numbers when the step is repeated");
}

ft_err ft_finite_blame(ft_run *r, int32_t n, uint64_t seed) {
    FT_TRY(ft_finite_parameters(r));
    ft_graph *g = r->model->g;
    int32_t n_nodes = ft_graph_n_nodes(g), n_outputs = 0;
    ft_val *outputs = ft_alloc((size_t)n_nodes, sizeof *outputs);
    FT_REQUIRE(outputs, MEMORY, "no memory for a list of nodes");
    for (int32_t i = 0; i < n_nodes; i++) {
        ft_val v = ft_graph_node(g, i).val;
        if (v.id > r->phase.cut.id)
            outputs[n_outputs++] = v; /* what is fed, and what only that is made of, is finite */
    }
    ft_plan_spec spec = {.batch = n,
                         .training = true,
                         .n_losses = 1,
                         .losses = {r->phase.loss},
                         .loss_weights = {1},
                         .n_outputs = n_outputs,
                         .outputs = outputs,
                         .n_fed = r->phase.cut.id > 0,
                         .fed = &r->phase.cut};
    ft_plan *p;
    ft_err e = ft_compile(g, &spec, &p);
    free(outputs);
    FT_TRY(e);
    copy_inputs(r, p, n);
    ft_plan_forward(p, n, seed);
    e = blame_node(r, p, n);
    ft_plan_free(p);
    return e;
}

/* ---- undoing ---- */

static int64_t copy_statistics(const ft_run *r, ft_real *kept, bool back) {
    int64_t at = 0;
    for (int32_t i = 0; i < ft_graph_n_params(r->model->g); i++) {
        ft_param *p = ft_graph_param(r->model->g, i);
        int64_t n = ft_shape_size(p->shape);
        if (p->flags & (FT_TRAINABLE | FT_TRANSIENT)) continue;
        if (kept && back)
            memcpy(p->p, kept + at, (size_t)n * sizeof *kept);
        else if (kept)
            memcpy(kept + at, p->p, (size_t)n * sizeof *kept);
        at += n;
    }
    return at;
}

ft_err ft_statistics_keep(ft_statistics *s, const ft_run *r) {
    if (!s->kept) {
        s->n = copy_statistics(r, NULL, false);
        s->kept = ft_alloc((size_t)s->n + 1, sizeof *s->kept);
        FT_REQUIRE(s->kept, MEMORY, "no memory to remember statistics");
    }
    copy_statistics(r, s->kept, false);
    return FT_OK;
}

void ft_statistics_restore(const ft_statistics *s, ft_run *r) {
    copy_statistics(r, s->kept, true);
    ft_graph_touch(r->model->g);
}

void ft_statistics_free(ft_statistics *s) {
    free(s->kept);
    *s = (ft_statistics){0};
}

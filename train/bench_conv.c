#include "train/bench_conv.h"

#include "tensor/kernels.h"
#include "tensor/par.h"
#include "tensor/rng.h"
#include "train/bench.h"
#include "train/blank_model.h"
#include "train/progress_bar.h"
#include "train/summary.h"

#include <stdlib.h>
#include <string.h>

enum {
    LEAST_CALLS = 12, /* where the machine is shared, few long ones may all be disturbed */
    PEAK_EVERY = 8    /* layers between two measurements of the peak: the clock of a processor drifts */
};
static const double pass_seconds = 0.2;

enum { X, W, B, IN };

/* ---- the network's geometries */

static bool same_geometry(const ft_bench_conv_row *a, const ft_bench_conv_row *b) {
    return ft_shape_equal(a->x, b->x) && ft_shape_equal(a->w, b->w) &&
           memcmp(&a->args, &b->args, sizeof a->args) == 0;
}

static ft_bench_conv_row describe(const ft_model *m, const ft_node_info *node, int32_t batch) {
    ft_bench_conv_row row = {.count = 1,
                             .x = ft_val_shape(m->g, node->in[X]),
                             .w = ft_val_shape(m->g, node->in[W]),
                             .on_image = node->in[X].id == m->input.id,
                             .macs = ft_node_macs(m->g, node) * batch};
    row.x.n = batch;
    memcpy(&row.args, node->args, sizeof row.args);
    strncpy(row.name, node->name, sizeof row.name - 1);
    return row;
}

/* The distinct ones to the front of rows, each with its count; returns how many. *op: theirs. */
static int32_t list_geometries(const ft_model *m, int32_t batch, ft_bench_conv_row *rows, const ft_op **op) {
    int32_t n = 0;
    for (int32_t i = 0; i < ft_graph_n_nodes(m->g); i++) {
        ft_node_info node = ft_graph_node(m->g, i);
        if (strcmp(node.op->name, "conv2d") != 0) continue;
        *op = node.op;
        ft_bench_conv_row row = describe(m, &node, batch);
        int32_t k = 0;
        while (k < n && !same_geometry(&rows[k], &row)) k++;
        if (k < n)
            rows[k].count++;
        else
            rows[n++] = row;
    }
    double all = (double)ft_model_macs(m) * batch;
    for (int32_t k = 0; k < n; k++) rows[k].share = (double)rows[k].macs * rows[k].count / all;
    return n;
}

/* ---- one convolution with its memory */

typedef struct rig {
    const ft_op *op;
    ft_conv_args args;
    ft_view in[IN], din[IN], out, dout;
    ft_real beta[IN];
    ft_mem mem;
    ft_call call;
    void *saved, *forward_scratch, *backward_scratch, *prepared;
} rig;

static ft_view new_view(ft_shape s) {
    return (ft_view){.p = ft_alloc((size_t)ft_shape_size(s), sizeof(ft_real)),
                     .n = s.n,
                     .h = s.h,
                     .w = s.w,
                     .c = s.c,
                     .ld = s.c};
}

/* Normal numbers, of which a large tensor repeats the first ones: the speed does not depend on them. */
static void fill(const ft_view *v, uint64_t stream, bool relu) {
    enum { PERIOD = 65521 };
    ft_rng rng = ft_rng_stream(1, stream);
    int64_t n = ft_rows(v) * v->c;
    for (int64_t i = 0; i < n; i++) {
        v->p[i] = i < PERIOD ? (ft_real)ft_rng_normal(&rng) : v->p[i - PERIOD];
        if (relu && v->p[i] < 0) v->p[i] = 0;
    }
}

static void close_rig(rig *r) {
    for (int i = 0; i < IN; i++) {
        free(r->in[i].p);
        free(r->din[i].p);
    }
    free(r->out.p);
    free(r->dout.p);
    free(r->saved);
    free(r->forward_scratch);
    free(r->backward_scratch);
    free(r->prepared);
}

static ft_err allocate(rig *r, const ft_bench_conv_row *row, ft_shape y) {
    r->in[X] = new_view(row->x);
    r->in[W] = new_view(row->w);
    r->din[X] = new_view(row->x);
    r->din[W] = new_view(row->w);
    r->out = new_view(y);
    r->dout = new_view(y);
    r->saved = ft_alloc(r->mem.saved + 1, 1);
    r->forward_scratch = ft_alloc(r->mem.forward_scratch + 1, 1);
    r->backward_scratch = ft_alloc(r->mem.backward_scratch + 1, 1);
    r->prepared = ft_alloc(r->mem.prepared + 1, 1);
    FT_REQUIRE(r->in[X].p && r->in[W].p && r->din[X].p && r->din[W].p && r->out.p && r->dout.p && r->saved &&
                   r->forward_scratch && r->backward_scratch && r->prepared,
               MEMORY, "no memory for convolution '%s' at batch %d", row->name, row->x.n);
    return FT_OK;
}

static ft_err open_rig(rig *r, const ft_op *op, const ft_bench_conv_row *row, bool direct) {
    *r = (rig){.op = op, .args = row->args};
    ft_shape in[IN] = {row->x, row->w, {0}}, y;
    ft_build build = {
        .in = in, .n_in = B, .args = &r->args, .training = true, .direct = direct, .lanes = ft_threads()};
    FT_TRY(op->shape(&build, &y, &r->mem));
    FT_TRY(allocate(r, row, y));
    fill(&r->in[X], X, true);
    fill(&r->in[W], W, false);
    fill(&r->dout, B, false);
    r->call = (ft_call){.in = r->in,
                        .out = &r->out,
                        .beta = r->beta,
                        .args = &r->args,
                        .saved = r->saved,
                        .prepared = r->prepared,
                        .n_in = B,
                        .training = true,
                        .direct = direct,
                        .batch = row->x.n,
                        .lanes = ft_threads()};
    return FT_OK;
}

static void call_pass(rig *r, ft_conv_pass pass) {
    ft_call c = r->call;
    ft_view din[IN] = {{0}};
    if (pass == FT_CONV_FORWARD) {
        c.scratch = r->forward_scratch;
        if (r->op->prepare) r->op->prepare(&c);
        r->op->forward(&c);
        return;
    }
    int wanted = pass == FT_CONV_INPUT_GRADIENT ? X : W;
    din[wanted] = r->din[wanted];
    c.din = din;
    c.dout = &r->dout;
    c.scratch = r->backward_scratch;
    c.prepared = NULL;
    r->op->backward(&c);
}

/* The best call, after one that is not counted. Backward may read what forward saved, so forward comes first.
 */
static double time_pass(rig *r, ft_conv_pass pass) {
    if (pass != FT_CONV_FORWARD) call_pass(r, FT_CONV_FORWARD);
    call_pass(r, pass);
    double first = ft_clock(), best = 0, end = first;
    for (int i = 0; i < LEAST_CALLS || end - first < pass_seconds; i++) {
        double start = end;
        call_pass(r, pass);
        end = ft_clock();
        if (i == 0 || end - start < best) best = end - start;
    }
    return best;
}

/* ---- all of it */

static void measure_peak(ft_bench_conv *b) {
    double peak = ft_bench_peak(b->threads);
    if (peak > b->peak_gflops) b->peak_gflops = peak;
}

static ft_err time_layer(ft_bench_conv *b, const ft_op *op, const ft_bench_conv_row *layer) {
    const ft_bench_conv_options *o = &b->options;
    rig r;
    ft_err e = open_rig(&r, op, layer, o->direct);
    for (int pass = 0; pass < FT_BENCH_CONV_PASSES && e == FT_OK; pass++) {
        if (!o->passes[pass] || (pass == FT_CONV_INPUT_GRADIENT && layer->on_image)) continue;
        ft_bench_conv_row *row = &b->rows[b->n_rows++];
        *row = *layer;
        row->pass = (ft_conv_pass)pass;
        ft_conv_algorithm_name(ft_conv_choose(&row->args, row->x, row->w, row->pass, o->direct), &row->args,
                               row->algorithm);
        row->seconds = time_pass(&r, row->pass);
    }
    close_rig(&r);
    return e;
}

static ft_err time_network(ft_bench_conv *b, const ft_model *m, ft_bench_conv_row *layers) {
    const ft_op *op = NULL;
    int32_t n = list_geometries(m, b->options.batch, layers, &op);
    b->rows = ft_alloc((size_t)n * FT_BENCH_CONV_PASSES + 1, sizeof *b->rows);
    FT_REQUIRE(b->rows, MEMORY, "no memory for the times of %d convolutions", n);
    for (int32_t i = 0; i < n; i++) {
        if (i % PEAK_EVERY == 0) measure_peak(b);
        FT_TRY(time_layer(b, op, &layers[i]));
    }
    measure_peak(b);
    return FT_OK;
}

ft_err ft_bench_conv_run(const ft_bench_conv_options *o, ft_bench_conv *out) {
    *out = (ft_bench_conv){.options = *o, .threads = ft_threads(), .isa = ft_isa()};
    ft_model *m;
    FT_TRY(ft_blank_model(o->arch, o->size, 1000, &m));
    out->options.size = m->image.h;
    ft_bench_conv_row *layers = ft_alloc((size_t)ft_graph_n_nodes(m->g) + 1, sizeof *layers);
    ft_err e = layers ? time_network(out, m, layers)
                      : ft_err_set(FT_E_MEMORY, "no memory for a list of convolutions");
    free(layers);
    ft_model_free(m);
    if (e != FT_OK) ft_bench_conv_free(out);
    return e;
}

void ft_bench_conv_free(ft_bench_conv *b) {
    free(b->rows);
    *b = (ft_bench_conv){0};
}

const char *ft_bench_conv_pass_name(ft_conv_pass pass) {
    return pass == FT_CONV_FORWARD ? "forward" : pass == FT_CONV_INPUT_GRADIENT ? "input" : "weight";
}

double ft_bench_conv_gflops(const ft_bench_conv_row *row) {
    return 2e-9 * (double)row->macs / row->seconds;
}

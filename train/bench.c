#include "train/bench.h"

#include "optim/optim_state.h"
#include "tensor/kernels.h"
#include "tensor/par.h"
#include "tensor/plan.h"
#include "tensor/rng.h"
#include "train/blank_model.h"
#include "train/summary.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

/* Small enough that the weights stay finite on random data, whatever the network. */
static const double learning_rate = 1e-4;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- the machine's limit */

/* More pieces than threads, so that a thread that starts late costs a piece and not half the run. */
enum { PIECES_PER_THREAD = 8, PEAK_RUNS = 24 };
static const double piece_seconds = 1.5e-3;

typedef struct peak_job {
    int64_t rounds;
    ft_real *results; /* by piece */
} peak_job;

static void peak_piece(void *ctx, int64_t chunk, int32_t thread) {
    const peak_job *job = ctx;
    (void)thread;
    job->results[chunk] = ft_peak_kernels_get()->chains(job->rounds, (ft_real)0.999, (ft_real)0.001);
}

static double timed(int64_t pieces, peak_job *job) {
    double start = now();
    ft_par_for(pieces, peak_piece, job);
    return now() - start;
}

double ft_bench_peak(int32_t threads) {
    ft_real results[PIECES_PER_THREAD], *more = NULL;
    int32_t pieces = threads * PIECES_PER_THREAD, before = ft_threads();
    if (threads > 1) more = ft_alloc((size_t)pieces, sizeof *more);
    if (!more) pieces = PIECES_PER_THREAD;
    peak_job job = {.rounds = 1000, .results = more ? more : results};
    ft_threads_set(threads);
    while (timed(1, &job) < piece_seconds) job.rounds *= 2;
    double best = timed(pieces, &job);
    for (int i = 1; i < PEAK_RUNS; i++) {
        double seconds = timed(pieces, &job);
        if (seconds < best) best = seconds;
    }
    ft_threads_set(before);
    free(more);
    return (double)ft_peak_kernels_get()->flops * (double)job.rounds * pieces / best * 1e-9;
}

/* ---- a network at work */

typedef struct rig {
    ft_model *m;
    ft_plan *plan;
    ft_val labels, loss;
    ft_optim_state *optim;
    const ft_real **grads;
    double update_seconds;
    ft_step_time *before, *after; /* the plan's times after the warm-up and at the end */
    int32_t n_times;
} rig;

static ft_err set_up_optimizer(rig *r) {
    int32_t n = 0, all = ft_graph_n_params(r->m->g);
    ft_optim_param *params = ft_alloc((size_t)all, sizeof *params);
    r->grads = ft_alloc((size_t)all, sizeof *r->grads);
    if (!params || !r->grads) {
        free(params);
        FT_FAIL(MEMORY, "no memory for %d parameters", all);
    }
    for (int32_t i = 0; i < all; i++) {
        ft_param *p = ft_graph_param(r->m->g, i);
        r->grads[n] = ft_plan_grad(r->plan, p);
        if (r->grads[n])
            params[n++] = (ft_optim_param){.name = p->name,
                                           .w = p->p,
                                           .n = ft_shape_size(p->shape),
                                           .decay = p->flags & FT_DECAY,
                                           .lr_multiplier = 1};
    }
    ft_optim_options options = {.hyper = ft_opt_sgd.defaults};
    options.hyper.momentum = 0.9;
    ft_err e = ft_optim_new(&ft_opt_sgd, &options, n, params, &r->optim);
    free(params);
    return e;
}

static void fill_inputs(rig *r, int32_t batch, bool training) {
    ft_rng rng = ft_rng_stream(1, 0);
    ft_view x = ft_plan_value(r->plan, r->m->input, batch);
    for (int64_t i = 0; i < ft_rows(&x); i++)
        for (int32_t k = 0; k < x.c; k++) x.p[i * x.ld + k] = (ft_real)ft_rng_normal(&rng);
    if (!training) return;
    ft_view y = ft_plan_value(r->plan, r->labels, batch);
    for (int32_t i = 0; i < batch; i++)
        y.p[i * y.ld] = (ft_real)ft_rng_below(&rng, (uint32_t)r->m->options.classes);
}

static ft_err set_up(const ft_bench_options *o, rig *r) {
    FT_TRY(ft_blank_model(o->arch, o->size, 1000, &r->m));
    ft_plan_spec spec = {.batch = o->batch, .training = o->training, .direct = o->direct};
    if (o->training) {
        FT_TRY(ft_blank_loss(r->m, &r->labels, &r->loss));
        spec.n_losses = 1;
        spec.losses[0] = r->loss;
        spec.loss_weights[0] = 1;
    } else {
        spec.n_outputs = 1;
        spec.outputs = &r->m->probabilities;
    }
    ft_graph_init(r->m->g, 1);
    FT_TRY(ft_compile(r->m->g, &spec, &r->plan));
    if (o->training) FT_TRY(set_up_optimizer(r));
    fill_inputs(r, o->batch, o->training);
    r->n_times = ft_plan_times(r->plan, NULL, 0);
    r->before = ft_alloc((size_t)r->n_times, sizeof *r->before);
    r->after = ft_alloc((size_t)r->n_times, sizeof *r->after);
    FT_REQUIRE(r->before && r->after, MEMORY, "no memory for the times of %d steps", r->n_times);
    return FT_OK;
}

static void tear_down(rig *r) {
    free(r->before);
    free(r->after);
    free(r->grads);
    ft_optim_free(r->optim);
    ft_plan_free(r->plan);
    ft_model_free(r->m);
}

static ft_err step(rig *r, const ft_bench_options *o, int32_t k) {
    ft_plan_forward(r->plan, o->batch, (uint64_t)k);
    if (!o->training) return FT_OK;
    ft_plan_backward(r->plan, 1, false);
    double start = now();
    FT_TRY(ft_optim_step(r->optim, r->grads, learning_rate, 1, NULL));
    ft_graph_touch(r->m->g);
    r->update_seconds += now() - start;
    return FT_OK;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static ft_err time_steps(rig *r, ft_bench *out) {
    const ft_bench_options *o = &out->options;
    double *seconds = ft_alloc((size_t)o->steps, sizeof *seconds);
    FT_REQUIRE(seconds, MEMORY, "no memory for the times of %d steps", o->steps);
    ft_err e = step(r, o, 0);
    ft_plan_times(r->plan, r->before, r->n_times);
    r->update_seconds = 0;
    for (int32_t i = 0; i < o->steps && e == FT_OK; i++) {
        double start = now();
        e = step(r, o, i + 1);
        seconds[i] = now() - start;
        out->mean_seconds += seconds[i] / o->steps;
    }
    ft_plan_times(r->plan, r->after, r->n_times);
    qsort(seconds, (size_t)o->steps, sizeof *seconds, ascending);
    out->best_seconds = seconds[0];
    out->step_seconds = (seconds[(o->steps - 1) / 2] + seconds[o->steps / 2]) / 2;
    free(seconds);
    return e;
}

/* ---- by layer */

/* Of a convolution in a step: backward has the gradients of the weights and, except on the image, of the
 * input. */
static double conv_flops(const ft_model *m, const ft_profile_row *row, int32_t batch) {
    if (strcmp(row->op, "conv2d") != 0) return 0;
    bool backward = strcmp(row->pass, "backward") == 0;
    for (int32_t i = 0; i < ft_graph_n_nodes(m->g); i++) {
        ft_node_info node = ft_graph_node(m->g, i);
        if (strcmp(node.name, row->name) != 0) continue;
        int products = !backward || node.in[0].id == m->input.id ? 1 : 2;
        return 2.0 * (double)ft_node_macs(m->g, &node) * batch * products;
    }
    return 0;
}

static ft_err list_layers(const rig *r, ft_bench *out) {
    double steps = out->options.steps;
    out->layers = ft_alloc((size_t)r->n_times + 1, sizeof *out->layers);
    FT_REQUIRE(out->layers, MEMORY, "no memory for the times of %d steps", r->n_times);
    out->n_layers = r->n_times;
    ft_profile_rows(r->n_times, r->after, r->before, out->layers);
    for (int32_t i = 0; i < r->n_times; i++) {
        out->layers[i].seconds /= steps;
        out->layers[i].flops = conv_flops(r->m, &out->layers[i], out->options.batch);
    }
    if (out->options.training)
        out->layers[out->n_layers++] = (ft_profile_row){.name = "(all parameters)",
                                                        .op = ft_opt_sgd.name,
                                                        .pass = "update",
                                                        .seconds = r->update_seconds / steps};
    ft_profile_sort(out->n_layers, out->layers);
    return FT_OK;
}

/* ---- all of it */

static ft_err run(rig *r, ft_bench *out) {
    FT_TRY(set_up(&out->options, r));
    out->options.size = r->m->image.h;
    out->macs = ft_model_macs(r->m);
    out->peak_gflops = ft_bench_peak(out->threads);
    FT_TRY(time_steps(r, out));
    double after = ft_bench_peak(out->threads);
    if (after > out->peak_gflops) out->peak_gflops = after;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    out->max_rss_mb = (double)usage.ru_maxrss * 1024 * 1e-6;
    return list_layers(r, out);
}

ft_err ft_bench_run(const ft_bench_options *o, ft_bench *out) {
    *out = (ft_bench){.options = *o, .threads = ft_threads(), .isa = ft_isa()};
    rig r = {0};
    ft_err e = run(&r, out);
    tear_down(&r);
    if (e != FT_OK) ft_bench_free(out);
    return e;
}

void ft_bench_free(ft_bench *b) {
    free(b->layers);
    *b = (ft_bench){0};
}

double ft_bench_images_per_second(const ft_bench *b) {
    return b->options.batch / b->step_seconds;
}

double ft_bench_gflops(const ft_bench *b) {
    return 2 * (double)b->macs * (b->options.training ? 3 : 1) * ft_bench_images_per_second(b) * 1e-9;
}

double ft_bench_outside_convolutions(const ft_bench *b) {
    return 1 - ft_profile_seconds(b->n_layers, b->layers, "conv2d") / b->mean_seconds;
}

#include "train/memory_budget.h"
#include "optim/optim.h"
#include "tensor/par.h"
#include "train/run.h"

#include <stdio.h>

enum {
    PROGRAM = 96 << 20, /* measured */
    OF_AN_IMAGE = 256   /* in the lists of the data set, split and order */
};

int64_t ft_memory_total(const ft_memory *m) {
    return m->program + m->weights + m->average + m->gradients + m->optimizer + m->training + m->validation +
           m->images;
}

/* The arena of validation with batches of that size. */
static ft_err measure_validation(const ft_run *r, const ft_plan_spec *training, int32_t batch,
                                 int64_t *bytes) {
    ft_plan *plan;
    const ft_plan_spec spec = {.batch = batch,
                               .n_outputs = 1,
                               .outputs = &r->model->out.logits,
                               .direct = training->direct};
    *bytes = 0;
    if (r->split.n[FT_PART_VAL] == 0) return FT_OK;
    FT_TRY(ft_compile(r->model->g, &spec, &plan));
    *bytes = (int64_t)ft_plan_get_stats(plan).arena_bytes;
    ft_plan_free(plan);
    return FT_OK;
}

/* Compiles the plan with batches of that size and says what the training takes. */
static ft_err measure(const ft_run *r, const ft_config *c, ft_plan_spec spec, int32_t part, ft_plan **plan,
                      ft_memory *m) {
    int64_t image = ft_shape_size(ft_val_shape(r->model->g, r->model->input)) * (int64_t)sizeof(float);
    int32_t loaders = r->split.n[FT_PART_VAL] > 0 ? 2 : 1;
    spec.batch = part;
    FT_TRY(ft_compile(r->model->g, &spec, plan));
    ft_plan_stats s = ft_plan_get_stats(*plan);
    const ft_optimizer *optimizer = ft_optimizer_find(ft_config_choice(c, "train.optimizer.name"));
    m->program = PROGRAM + (int64_t)r->ds->n * OF_AN_IMAGE;
    m->weights = (int64_t)s.param_bytes;
    m->average = c->train.ema > 0 ? m->weights : 0;
    m->gradients = (int64_t)s.grad_bytes;
    m->optimizer = m->gradients * optimizer->n_slots;
    m->training = (int64_t)s.arena_bytes;
    m->images = loaders * ft_loader_slots(c->data.workers) * c->train.batch * image;
    ft_err e = measure_validation(r, &spec, part, &m->validation);
    if (e == FT_OK) return FT_OK;
    ft_plan_free(*plan);
    *plan = NULL;
    return e;
}

static double mib(int64_t bytes) {
    return (double)bytes / 0x1p20;
}

static ft_err refuse(const ft_config *c, const ft_memory *m) {
    FT_FAIL(CONFIG,
            "memory: %.0f MiB are too little: one image at a time, the training takes %.0f MiB (activations "
            "%.0f, "
            "validation %.0f, weights %.0f, their average %.0f, gradients %.0f, optimizer %.0f, loaded "
            "images %.0f, "
            "the program %.0f); give it more, train less of the network (model.freeze), or set a smaller "
            "data.image.size, a smaller train.batch or another train.optimizer",
            mib(c->memory), mib(ft_memory_total(m)), mib(m->training), mib(m->validation), mib(m->weights),
            mib(m->average), mib(m->gradients), mib(m->optimizer), mib(m->images), mib(m->program));
}

static int32_t less(int32_t mb, int64_t bytes) {
    return bytes >> 20 < mb ? (int32_t)(bytes >> 20) : mb;
}

/* Each cache is there for training and for validation. */
static void fit_caches(ft_config *c, int64_t left) {
    c->train.feature_cache.memory_mb = less(c->train.feature_cache.memory_mb, left / 2);
    if (c->train.feature_cache.use) left -= 2 * ((int64_t)c->train.feature_cache.memory_mb << 20);
    c->data.cache_mb = less(c->data.cache_mb, left / 2);
}

ft_err ft_memory_compile(const ft_run *r, ft_config *c, const ft_plan_spec *spec, ft_plan **plan,
                         ft_memory *m) {
    int32_t part = 0;
    *m = (ft_memory){.parts = 1};
    if (c->memory == 0) return ft_compile(r->model->g, spec, plan);
    for (m->parts = 1; m->parts <= spec->batch; m->parts++) {
        int32_t next = (int32_t)ft_ceil_div(spec->batch, m->parts);
        if (next == part) continue;
        part = next;
        FT_TRY(measure(r, c, *spec, part, plan, m));
        if (ft_memory_total(m) <= c->memory) {
            fit_caches(c, c->memory - ft_memory_total(m));
            return FT_OK;
        }
        ft_plan_free(*plan);
        *plan = NULL;
    }
    return refuse(c, m);
}

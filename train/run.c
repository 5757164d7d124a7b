#include "train/run.h"
#include "tensor/par.h"
#include "tensor/rng.h"

#include <stdlib.h>
#include <string.h>

/* The independent seeds of a run. */
static uint64_t seed_of(const ft_config *c, const char *purpose) {
    return ft_rng_derive_name(c->seed, purpose);
}

ft_err ft_run_split(const ft_config *c, const ft_dataset *ds, ft_split *split) {
    ft_split_spec spec = {.fraction = {c->data.split.train, c->data.split.val, c->data.split.test},
                          .seed = seed_of(c, "split")};
    return ft_split_make(ds, &spec, split);
}

static ft_err open_data(ft_run *r) {
    const ft_config *c = r->config;
    FT_TRY(ft_dataset_open(c->data.path, &r->ds));
    FT_REQUIRE(r->ds->n_classes >= 2, DATA, "%s: has %d class; a classifier needs at least 2", c->data.path,
               r->ds->n_classes);
    FT_TRY(ft_run_split(c, r->ds, &r->split));
    FT_REQUIRE(r->split.n[FT_PART_TRAIN] > 0, DATA, "%s: no image is left to train on", c->data.path);
    return FT_OK;
}

static ft_err build_model(ft_run *r) {
    const ft_config *c = r->config;
    const ft_net *net = ft_net_find(c->model.arch);
    int32_t size = c->data.image.size ? c->data.image.size : net ? net->size : 1;
    int32_t channels = c->data.image.channels ? c->data.image.channels : net ? net->channels : 3;
    ft_preprocess image = {.h = size, .w = size, .c = channels, .center_crop = (float)c->data.center_crop};
    FT_TRY(ft_resize_parse(ft_config_choice(c, "data.image.resize"), &image.resize));
    FT_TRY(ft_normalize_parse(ft_config_choice(c, "data.image.normalize"), &image.normalize));
    FT_TRY(ft_preprocess_check(&image));
    ft_net_options o = {.classes = r->ds->n_classes,
                        .dropout = (float)c->model.head.dropout,
                        .width = (float)c->model.width,
                        .aux_head = c->model.aux_head,
                        .bn_momentum = (float)c->model.bn.momentum,
                        .bn_epsilon = (float)c->model.bn.epsilon};
    FT_TRY(ft_model_new(c->model.arch, &o, &image, (const char *const *)r->ds->class_names, &r->model));
    size_t len;
    FT_TRY(ft_config_to_text(c, &r->model->config, &len));
    r->model->data_fingerprint = r->ds->fingerprint;
    return FT_OK;
}

/* n / (k * count) by class of the training part, scikit-learn's "balanced". */
static void fill_class_weights(const ft_run *r, ft_real *weights) {
    int32_t k = r->ds->n_classes, n = r->split.n[FT_PART_TRAIN];
    memset(weights, 0, (size_t)k * sizeof *weights);
    for (int32_t i = 0; i < n; i++) weights[ft_dataset_label(r->ds, r->split.index[FT_PART_TRAIN][i])] += 1;
    for (int32_t i = 0; i < k; i++) weights[i] = weights[i] > 0 ? (ft_real)n / ((ft_real)k * weights[i]) : 0;
}

static ft_err freeze(ft_run *r) {
    const char *up_to = r->config->model.freeze.up_to;
    if (!*up_to) return FT_OK;
    ft_val v = ft_graph_find(r->model->g, up_to);
    FT_REQUIRE(v.id > 0, CONFIG, "model.freeze.up_to: %s has no node '%s'; 'ft-model summary %s' lists them",
               r->model->net->name, up_to, r->model->net->name);
    ft_graph_freeze(r->model->g, v);
    return FT_OK;
}

/* Losses, initial weights, what is frozen, and the training plan. */
static ft_err compile_training(ft_run *r) {
    const ft_config *c = r->config;
    ft_model *m = r->model;
    ft_graph *g = m->g;
    r->labels = ft_input(g, "labels", (ft_shape){1, 1, 1, 1});
    ft_softmax_ce_options o = {.name = "loss",
                               .label_smoothing = (float)c->train.loss.label_smoothing,
                               .class_weights = FT_NONE};
    if (c->train.loss.class_weights == FT_CONFIG_CLASS_WEIGHTS_BALANCED)
        o.class_weights = ft_param_add(g, "class_weights", (ft_shape){1, 1, 1, r->ds->n_classes},
                                       (ft_init){0}, FT_TRANSIENT);
    r->loss = ft_softmax_cross_entropy(g, m->out.logits, r->labels, &o);
    int32_t n = r->split.n[FT_PART_TRAIN];
    ft_plan_spec spec = {.batch = c->train.batch < n ? c->train.batch : n,
                         .training = true,
                         .direct = c->kernels == FT_CONFIG_KERNELS_DIRECT,
                         .n_losses = 1,
                         .losses = {r->loss},
                         .loss_weights = {1},
                         .n_outputs = 1,
                         .outputs = &m->out.logits};
    if (m->out.aux_logits.id > 0) {
        o.name = "aux_loss";
        spec.losses[1] = ft_softmax_cross_entropy(g, m->out.aux_logits, r->labels, &o);
        spec.loss_weights[1] = (ft_real)c->model.aux_weight;
        spec.n_losses = 2;
    }
    FT_TRY(ft_graph_status(g));
    ft_graph_init(g, seed_of(c, "weights"));
    if (o.class_weights.id > 0) fill_class_weights(r, ft_graph_find_param(g, "class_weights")->p);
    FT_TRY(freeze(r));
    return ft_compile(g, &spec, &r->plan);
}

static ft_hyper hyper_of(const ft_config *c) {
    return (ft_hyper){.lr = c->train.optimizer.lr,
                      .momentum = c->train.optimizer.momentum,
                      .nesterov = c->train.optimizer.nesterov,
                      .rho = c->train.optimizer.decay,
                      .epsilon = c->train.optimizer.epsilon,
                      .beta1 = c->train.optimizer.beta1,
                      .beta2 = c->train.optimizer.beta2,
                      .weight_decay = c->train.optimizer.weight_decay};
}

static ft_err make_optimizer(ft_run *r) {
    const ft_config *c = r->config;
    ft_training_state *s = &r->state;
    int32_t n_params = ft_graph_n_params(r->model->g);
    s->optim_params = ft_alloc((size_t)n_params, sizeof *s->optim_params);
    r->grads = ft_alloc((size_t)n_params, sizeof *r->grads);
    ft_optim_param *params = ft_alloc((size_t)n_params, sizeof *params);
    if (!s->optim_params || !r->grads || !params) {
        free(params);
        FT_FAIL(MEMORY, "no memory for the optimiser");
    }
    for (int32_t i = 0; i < n_params; i++) {
        ft_param *p = ft_graph_param(r->model->g, i);
        ft_real *grad = ft_plan_grad(r->plan, p);
        if (!grad) continue;
        r->grads[s->n_optim_params] = grad;
        params[s->n_optim_params] =
            (ft_optim_param){.name = p->name,
                             .w = p->p,
                             .n = ft_shape_size(p->shape),
                             .lr_multiplier = 1,
                             .decay = c->train.optimizer.decay_all || (p->flags & FT_DECAY)};
        s->optim_params[s->n_optim_params++] = p;
    }
    ft_optim_options o = {.hyper = hyper_of(c),
                          .clip_value = c->train.clip.value,
                          .clip_norm = c->train.clip.norm};
    const ft_optimizer *optimizer = ft_optimizer_find(ft_config_choice(c, "train.optimizer.name"));
    ft_err e = ft_optim_new(optimizer, &o, s->n_optim_params, params, &s->optim);
    free(params);
    return e;
}

/* The average covers all that a model file holds: weights and running statistics. */
static ft_err make_average(ft_run *r) {
    ft_training_state *s = &r->state;
    if (r->config->train.ema <= 0) return FT_OK;
    int32_t n_params = ft_graph_n_params(r->model->g);
    s->ema_params = ft_alloc((size_t)n_params, sizeof *s->ema_params);
    ft_ema_array *arrays = ft_alloc((size_t)n_params, sizeof *arrays);
    if (!s->ema_params || !arrays) {
        free(arrays);
        FT_FAIL(MEMORY, "no memory for the average of the weights");
    }
    for (int32_t i = 0; i < n_params; i++) {
        ft_param *p = ft_graph_param(r->model->g, i);
        if (p->flags & FT_TRANSIENT) continue;
        arrays[s->n_ema_params] = (ft_ema_array){p->p, ft_shape_size(p->shape)};
        s->ema_params[s->n_ema_params++] = p;
    }
    ft_err e = ft_ema_new(r->config->train.ema, s->n_ema_params, arrays, &s->ema);
    free(arrays);
    return e;
}

static ft_err make_schedule(ft_run *r) {
    const ft_config *c = r->config;
    r->schedule = (ft_schedule){.warmup_epochs = c->train.schedule.warmup_epochs,
                                .step_epochs = c->train.schedule.step_epochs,
                                .gamma = c->train.schedule.gamma,
                                .staircase = c->train.schedule.staircase,
                                .power = c->train.schedule.power,
                                .final_lr = c->train.schedule.final_lr,
                                .patience = c->train.schedule.patience,
                                .min_delta = c->train.schedule.min_delta,
                                .higher_is_better = c->train.schedule.monitor != FT_CONFIG_MONITOR_VAL_LOSS};
    FT_TRY(ft_schedule_kind_parse(ft_config_choice(c, "train.schedule.name"), &r->schedule.kind));
    FT_TRY(ft_schedule_check(&r->schedule));
    r->state.progress.plateau = ft_plateau_start(&r->schedule);
    return FT_OK;
}

static ft_err make_loaders(ft_run *r) {
    const ft_config *c = r->config;
    ft_augment augment = {.flip = c->data.augment.flip,
                          .pad = c->data.augment.pad,
                          .rotate = (float)c->data.augment.rotate,
                          .shift = (float)c->data.augment.shift,
                          .scale = (float)c->data.augment.scale};
    FT_TRY(ft_crop_parse(ft_config_choice(c, "data.augment.crop"), &augment.crop));
    FT_TRY(ft_augment_check(&augment, r->model->image.h, r->model->image.w));
    ft_loader_options o = {.image = r->model->image,
                           .training = true,
                           .augment = augment,
                           .batch = c->train.batch,
                           .shuffle = true,
                           .seed = seed_of(c, "images"),
                           .workers = c->data.workers,
                           .cache_mb = c->data.cache_mb};
    FT_TRY(ft_loader_new(r->ds, r->split.index[FT_PART_TRAIN], r->split.n[FT_PART_TRAIN], &o, &r->loader));
    r->batches = ft_loader_batches(r->loader);
    r->steps = ft_ceil_div(r->batches, c->train.accumulate);
    if (r->split.n[FT_PART_VAL] == 0) return FT_OK;
    ft_evaluator_options v = {.batch = c->train.eval_batch ? c->train.eval_batch : c->train.batch,
                              .workers = c->data.workers,
                              .cache_mb = c->data.cache_mb,
                              .direct = c->kernels == FT_CONFIG_KERNELS_DIRECT};
    return ft_evaluator_init(&r->val, r->model, r->ds, r->split.index[FT_PART_VAL], r->split.n[FT_PART_VAL],
                             &v);
}

ft_err ft_run_setup(ft_run *r, const ft_config *config) {
    *r = (ft_run){.config = config};
    ft_err e = open_data(r);
    if (e == FT_OK) e = build_model(r);
    if (e == FT_OK) e = compile_training(r);
    if (e == FT_OK) e = make_optimizer(r);
    if (e == FT_OK) e = make_average(r);
    if (e == FT_OK) e = make_schedule(r);
    if (e == FT_OK) e = make_loaders(r);
    if (e != FT_OK) {
        ft_run_free(r);
        return e;
    }
    ft_progress *p = &r->state.progress;
    p->best = p->stop_best = __builtin_nan("");
    p->best_epoch = -1;
    p->seed = config->seed;
    return FT_OK;
}

void ft_run_free(ft_run *r) {
    ft_loader_free(r->loader);
    ft_evaluator_free(&r->val);
    ft_plan_free(r->plan);
    ft_optim_free(r->state.optim);
    ft_ema_free(r->state.ema);
    free(r->state.optim_params);
    free(r->state.ema_params);
    free(r->grads);
    ft_model_free(r->model);
    ft_split_free(&r->split);
    ft_dataset_free(r->ds);
    *r = (ft_run){0};
}

void ft_run_describe(const ft_run *r, FILE *f) {
    const ft_model *m = r->model;
    ft_plan_stats s = ft_plan_get_stats(r->plan);
    int64_t trainable, all = ft_model_n_parameters(m, &trainable);
    fprintf(f, "data     %s: %d images of %d classes; train %d, validation %d, test %d", r->config->data.path,
            r->ds->n, r->ds->n_classes, r->split.n[FT_PART_TRAIN], r->split.n[FT_PART_VAL],
            r->split.n[FT_PART_TEST]);
    if (r->ds->n_ignored) fprintf(f, "; %d files that are no images passed over", r->ds->n_ignored);
    fprintf(f, "\nnetwork  %s, input %d x %d x %d, %lld parameters, %lld of them trained\n", m->net->name,
            m->image.h, m->image.w, m->image.c, (long long)all, (long long)trainable);
    fprintf(
        f,
        "memory   %.0f MiB for activations (%.0f MiB without sharing), %.0f MiB for weights and gradients\n",
        (double)s.arena_bytes / 0x1p20, (double)s.naive_bytes / 0x1p20,
        (double)(s.param_bytes + s.grad_bytes) / 0x1p20);
}

#include "train/phase.h"
#include "tensor/par.h"
#include "tensor/rng.h"
#include "train/class_weights.h"
#include "train/config_options.h"
#include "train/freeze.h"
#include "train/frozen_cut.h"
#include "train/images.h"
#include "train/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* More numbers for an image, 2 MiB of them, are not worth the disk. */
enum { MOST_FLOATS = 1 << 19 };

/* ---- losses ---- */

/* "loss", of the second phase "loss_2" */
static void phase_name(const ft_run *r, const char *name, char numbered[48]) {
    if (r->phase.number == 0)
        snprintf(numbered, 48, "%s", name);
    else
        snprintf(numbered, 48, "%s_%d", name, r->phase.number + 1);
}

static void fill_class_weights(const ft_run *r, ft_real *weights) {
    const ft_config *c = &r->phase.config;
    int32_t k = r->ds->n_classes, n = r->split.n[FT_PART_TRAIN];
    memset(weights, 0, (size_t)k * sizeof *weights);
    for (int32_t i = 0; i < n; i++) weights[ft_dataset_label(r->ds, r->split.index[FT_PART_TRAIN][i])] += 1;
    if (c->train.loss.class_weights == FT_CONFIG_CLASS_WEIGHTS_BALANCED)
        ft_class_weights_balanced(k, weights);
    else
        ft_class_weights_effective(k, c->train.loss.effective_beta, weights);
}

/* A parameter for each phase, since phases may weigh differently, and all its losses. */
static ft_val class_weights(ft_run *r) {
    ft_graph *g = r->model->g;
    char name[48];
    phase_name(r, "class_weights", name);
    const ft_param *there = ft_graph_find_param(g, name);
    if (there) return there->val;
    ft_val v = ft_param_add(g, name, (ft_shape){1, 1, 1, r->ds->n_classes}, (ft_init){0}, FT_TRANSIENT);
    if (v.id > 0) fill_class_weights(r, ft_graph_find_param(g, name)->p);
    return v;
}

static ft_val add_loss(ft_run *r, ft_val logits, const char *name) {
    const ft_phase *ph = &r->phase;
    char numbered[48];
    phase_name(r, name, numbered);
    ft_softmax_ce_options o = {.name = numbered,
                               .label_smoothing = (float)ph->config.train.loss.label_smoothing,
                               .class_weights = FT_NONE};
    if (ph->config.train.loss.class_weights != FT_CONFIG_CLASS_WEIGHTS_NONE)
        o.class_weights = class_weights(r);
    ft_val there = ft_graph_find(r->model->g, numbered); /* the phase was entered before */
    return there.id > 0 ? there : ft_softmax_cross_entropy(r->model->g, logits, r->labels, &o);
}

static ft_val head_loss(ft_run *r, int32_t k) {
    const ft_head *h = &r->model->heads[k];
    ft_graph *g = r->model->g;
    char plain[32], name[48];
    snprintf(plain, sizeof plain, "head_loss_%d", k + 2);
    phase_name(r, plain, name);
    ft_val there = ft_graph_find(g, name), labels = r->head_labels[k];
    if (there.id > 0) return there;
    if (h->kind == FT_TARGET_NUMBER) return ft_mean_squared_error(g, h->output, labels, name);
    if (h->kind == FT_TARGET_MULTI) return ft_binary_cross_entropy(g, h->output, labels, name);
    ft_softmax_ce_options o = {.name = name,
                               .label_smoothing = (float)r->phase.config.train.loss.label_smoothing,
                               .class_weights = FT_NONE};
    return ft_softmax_cross_entropy(g, h->output, labels, &o);
}

static double head_weight(const ft_config *c, const char *name) {
    char item[FT_CONFIG_NAME_BYTES];
    double weight = 1;
    for (int32_t i = 0; ft_config_item(c->train.loss.head_weights, i, item, &weight); i++)
        if (strcmp(item, name) == 0) return weight;
    return 1;
}

static ft_err add_losses(ft_run *r, ft_plan_spec *spec) {
    ft_phase *ph = &r->phase;
    const ft_net_outputs *out = &r->model->out;
    ph->loss = spec->losses[0] = add_loss(r, out->logits, "loss");
    spec->loss_weights[0] = 1;
    spec->n_losses = 1;
    if (out->aux_logits.id > 0) {
        spec->losses[1] = add_loss(r, out->aux_logits, "aux_loss");
        spec->loss_weights[1] = (ft_real)ph->config.model.aux_weight;
        spec->n_losses = 2;
    }
    for (int32_t k = 0; k < r->model->n_heads; k++) {
        FT_REQUIRE(spec->n_losses < FT_MAX_LOSSES, CONFIG,
                   "data.list.more: %d heads are more than can be trained at a time", r->model->n_heads);
        ft_head *h = &r->model->heads[k];
        h->weight = head_weight(&ph->config, h->name);
        ph->head_losses[k] = spec->losses[spec->n_losses] = head_loss(r, k);
        spec->loss_weights[spec->n_losses++] = (ft_real)h->weight;
    }
    return ft_graph_status(r->model->g);
}

/* ---- features ---- */

static int64_t floats_of(const ft_run *r, ft_val v) {
    return ft_shape_size(ft_val_shape(r->model->g, v));
}

/* Where features come in, in ph->cut; where they could and do not, ph->uncached says why. */
static void find_cut(ft_run *r, const ft_plan_spec *spec, const ft_augment *augment) {
    ft_phase *ph = &r->phase;
    ft_val cut = ft_frozen_cut(r->model->g, r->model->input, spec->n_losses, spec->losses);
    if (cut.id <= 0) return;
    if (!ph->config.train.feature_cache.use)
        ph->uncached = "train.feature_cache.use is false";
    else if (ft_mix_changes(&augment->mix))
        ph->uncached = "the images of a batch are mixed";
    else if (ft_augment_changes(augment) && ph->config.train.feature_cache.variants == 0)
        ph->uncached =
            "images are changed anew in every epoch; train.feature_cache.variants: 2 would keep two of "
            "each";
    else if (floats_of(r, cut) > MOST_FLOATS)
        ph->uncached = "its output is over 2 MiB for each image";
    else
        ph->cut = cut;
}

/* The settings of augmentation as text. */
static void augmentation_text(const ft_config *c, char *text, size_t bytes) {
    size_t len = 0;
    text[0] = '\0';
    for (int row = 0; row < ft_options_count; row++) {
        char value[FT_OPTION_TEXT_BYTES];
        if (strncmp(ft_options[row].key, "data.augment.", 13) != 0) continue;
        ft_option_text(row, c, value);
        int n = snprintf(text + len, bytes - len, "%s=%s\n", ft_options[row].key + 13, value);
        len += n > 0 && (size_t)n < bytes - len ? (size_t)n : 0;
    }
}

static ft_err open_features(ft_run *r, const ft_loader_options *loading, ft_part part, ft_features **out) {
    const ft_config *c = &r->phase.config;
    const char *folder = c->train.feature_cache.path, *cut = ft_val_name(r->model->g, r->phase.cut);
    char path[FT_CONFIG_PATH_BYTES + 160], augmentation[1024];
    if (*folder) /* shared by runs: told apart by the key */
        snprintf(path, sizeof path, "%s/%s_%s_%s_%%s.features", folder, r->model->net->name, cut,
                 ft_part_name(part));
    else
        snprintf(path, sizeof path, "%s/%s_%s.features", c->output, cut, ft_part_name(part));
    augmentation_text(c, augmentation, sizeof augmentation);
    ft_features_options o = {.loading = *loading,
                             .augmentation = augmentation,
                             .direct = c->kernels == FT_CONFIG_KERNELS_DIRECT,
                             .bf16 =
                                 part ==
                                     FT_PART_TRAIN && /* validation's numbers are to be those of ft-eval */
                                 c->train.feature_cache.dtype == FT_CONFIG_DTYPE_BF16,
                             .memory_bytes = (int64_t)c->train.feature_cache.memory_mb << 20,
                             .path = path};
    return ft_features_open(r->model, r->phase.cut, r->ds, r->split.index[part], r->split.n[part], &o, out);
}

/* ---- the training plan ---- */

static ft_err compile_training(ft_run *r, const ft_augment *augment) {
    ft_phase *ph = &r->phase;
    const ft_config *c = &ph->config;
    ft_model *m = r->model;
    int32_t n = r->split.n[FT_PART_TRAIN];
    ft_plan_spec spec = {.batch = c->train.batch < n ? c->train.batch : n,
                         .training = true,
                         .direct = c->kernels == FT_CONFIG_KERNELS_DIRECT,
                         .n_outputs = 1,
                         .outputs = &m->out.logits,
                         .fed = &ph->cut};
    FT_TRY(add_losses(r, &spec));
    FT_TRY(ft_freeze(m, c));
    find_cut(r, &spec, augment);
    spec.n_fed = ph->cut.id > 0;
    FT_TRY(ft_memory_compile(r, &ph->config, &spec, &ph->plan, &ph->memory));
    ph->part = (int32_t)ft_ceil_div(spec.batch, ph->memory.parts);
    return FT_OK;
}

/* ---- optimiser and schedule ---- */

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

static ft_err list_trained(ft_run *r, ft_optim_param *params) {
    const ft_config *c = &r->phase.config;
    ft_training_state *s = &r->state;
    for (int32_t i = 0; i < ft_graph_n_params(r->model->g); i++) {
        ft_param *p = ft_graph_param(r->model->g, i);
        ft_real *grad = ft_plan_grad(r->phase.plan, p);
        if (!grad) continue;
        r->phase.grads[s->n_optim_params] = grad;
        params[s->n_optim_params] =
            (ft_optim_param){.name = p->name,
                             .w = p->p,
                             .n = ft_shape_size(p->shape),
                             .lr_multiplier = ft_lr_multiplier(c, p),
                             .decay = c->train.optimizer.decay_all || (p->flags & FT_DECAY)};
        s->optim_params[s->n_optim_params++] = p;
    }
    FT_REQUIRE(s->n_optim_params > 0, CONFIG,
               "model.freeze: nothing is left to be trained; freeze less of %s", r->model->net->name);
    return FT_OK;
}

static ft_err make_optimizer(ft_run *r) {
    const ft_config *c = &r->phase.config;
    ft_training_state *s = &r->state;
    size_t n_params = (size_t)ft_graph_n_params(r->model->g);
    s->n_optim_params = 0;
    s->optim_params = ft_alloc(n_params, sizeof *s->optim_params);
    r->phase.grads = ft_alloc(n_params, sizeof *r->phase.grads);
    ft_optim_param *params = ft_alloc(n_params, sizeof *params);
    ft_err e = s->optim_params && r->phase.grads && params
                   ? list_trained(r, params)
                   : ft_err_set(FT_E_MEMORY, "no memory for the optimiser");
    ft_optim_options o = {.hyper = hyper_of(c),
                          .clip_value = c->train.clip.value,
                          .clip_norm = c->train.clip.norm};
    const ft_optimizer *optimizer = ft_optimizer_find(ft_config_choice(c, "train.optimizer.name"));
    if (e == FT_OK) e = ft_optim_new(optimizer, &o, s->n_optim_params, params, &s->optim);
    free(params);
    return e;
}

static ft_err make_schedule(ft_phase *ph) {
    const ft_config *c = &ph->config;
    ph->schedule = (ft_schedule){.warmup_epochs = c->train.schedule.warmup_epochs,
                                 .step_epochs = c->train.schedule.step_epochs,
                                 .gamma = c->train.schedule.gamma,
                                 .staircase = c->train.schedule.staircase,
                                 .power = c->train.schedule.power,
                                 .final_lr = c->train.schedule.final_lr,
                                 .patience = c->train.schedule.patience,
                                 .min_delta = c->train.schedule.min_delta,
                                 .higher_is_better = c->train.schedule.monitor != FT_CONFIG_MONITOR_VAL_LOSS};
    FT_TRY(ft_schedule_kind_parse(ft_config_choice(c, "train.schedule.name"), &ph->schedule.kind));
    return ft_schedule_check(&ph->schedule);
}

/* ---- images ---- */

static ft_loader_options loading_of(const ft_run *r, const ft_augment *augment) {
    const ft_config *c = &r->phase.config;
    return (ft_loader_options){.image = r->model->image,
                               .training = true,
                               .augment = *augment,
                               .variants = r->phase.cut.id > 0 ? c->train.feature_cache.variants : 0,
                               .batch = c->train.batch,
                               .shuffle = true,
                               .seed = ft_rng_derive_name(c->seed, "images"),
                               .workers = c->data.workers,
                               .cache_mb = c->data.cache_mb,
                               .quarantine = r->quarantine};
}

static ft_err make_loader(ft_run *r, const ft_augment *augment) {
    ft_phase *ph = &r->phase;
    ft_loader_options o = loading_of(r, augment);
    const ft_config *c = &ph->config;
    o.order = (ft_order_options){.classes = c->data.sampling.classes, .images = c->data.sampling.images};
    FT_TRY(ft_sampling_parse(ft_config_choice(c, "data.sampling.name"), &o.order.how));
    o.numbers_only = ph->cut.id > 0;
    FT_TRY(ft_loader_new(r->ds, r->split.index[FT_PART_TRAIN], r->split.n[FT_PART_TRAIN], &o, &ph->loader));
    ph->batches = ft_loader_batches(ph->loader);
    ph->steps = ft_ceil_div(ph->batches, ph->config.train.accumulate);
    return FT_OK;
}

/* Is the average of what the cut depends on what is live? Averages are what validation sees. */
static ft_err average_is_live(const ft_run *r, bool *same) {
    const ft_training_state *s = &r->state;
    const ft_graph *g = r->model->g;
    *same = true;
    if (!s->ema) return FT_OK;
    bool *before = ft_alloc((size_t)ft_graph_n_params(g), sizeof *before);
    FT_REQUIRE(before, MEMORY, "no memory for a list of parameters");
    ft_err e = ft_params_before(g, r->phase.cut, before);
    for (int32_t i = 0; i < ft_graph_n_params(g); i++)
        for (int32_t k = 0; before[i] && k < s->n_ema_params; k++) {
            const ft_param *p = s->ema_params[k];
            if (p != ft_graph_param(g, i)) continue;
            size_t bytes = (size_t)ft_shape_size(p->shape) * sizeof *p->p;
            if (memcmp(p->p, ft_ema_shadow(s->ema, k), bytes) != 0) *same = false;
        }
    free(before);
    return e;
}

static ft_err prepare_validation(ft_run *r) {
    ft_phase *ph = &r->phase;
    const ft_config *c = &ph->config;
    if (r->split.n[FT_PART_VAL] == 0) return FT_OK;
    bool cached = ph->cut.id > 0 && c->train.eval_views == FT_CONFIG_VIEWS_ONE; /* features are of one view */
    if (cached) FT_TRY(average_is_live(r, &cached));
    if (cached) {
        ft_loader_options loading = {.image = r->model->image,
                                     .workers = c->data.workers,
                                     .quarantine = r->quarantine};
        FT_TRY(open_features(r, &loading, FT_PART_VAL, &ph->val_features));
    }
    ft_evaluator_options o = {.batch = ft_phase_eval_batch(r),
                              .workers = c->data.workers,
                              .cache_mb = c->data.cache_mb,
                              .direct = c->kernels == FT_CONFIG_KERNELS_DIRECT,
                              .views = (ft_views)c->train.eval_views,
                              .features = ph->val_features,
                              .cut = ph->cut,
                              .quarantine = r->quarantine};
    return ft_evaluator_init(&ph->val, r->model, r->ds, r->split.index[FT_PART_VAL], r->split.n[FT_PART_VAL],
                             &o);
}

/* ---- telling ---- */

void ft_phase_describe(const ft_run *r, FILE *f) {
    const ft_phase *ph = &r->phase;
    ft_plan_stats s = ft_plan_get_stats(ph->plan);
    int64_t trainable, all = ft_model_n_parameters(r->model, &trainable);
    int32_t n = ft_config_n_phases(r->config);
    if (n > 1) fprintf(f, "phase    %d of %d, %d epochs\n", ph->number + 1, n, ph->config.train.epochs);
    fprintf(f, "training %lld of %lld parameters, %s\n", (long long)trainable, (long long)all,
            ft_config_choice(&ph->config, "train.optimizer.name"));
    if (ph->cut.id > 0)
        fprintf(f, "frozen   up to %s, whose output is computed once for each image and kept: %.0f kB each\n",
                ft_val_name(r->model->g, ph->cut), (double)floats_of(r, ph->cut) * sizeof(float) / 1e3);
    else if (ph->uncached)
        fprintf(f, "frozen   in part, yet computed anew in every epoch: %s\n", ph->uncached);
    if (r->config->memory)
        fprintf(f, "budget   %.0f of %.0f MiB, besides caches; batches of %d computed in %d part%s\n",
                (double)ft_memory_total(&ph->memory) / 0x1p20, (double)r->config->memory / 0x1p20,
                ph->config.train.batch, ph->memory.parts, ph->memory.parts > 1 ? "s" : "");
    fprintf(
        f,
        "memory   %.0f MiB for activations (%.0f MiB without sharing), %.0f MiB for weights and gradients\n",
        (double)s.arena_bytes / 0x1p20, (double)s.naive_bytes / 0x1p20,
        (double)(s.param_bytes + s.grad_bytes) / 0x1p20);
}

/* ---- coming and going ---- */

ft_err ft_phase_enter(ft_run *r, int32_t number) {
    ft_augment augment;
    ft_phase_leave(r);
    ft_phase *ph = &r->phase;
    ph->number = number;
    FT_TRY(ft_config_phase(r->config, number, &ph->config));
    ft_config_resolve(&ph->config);
    FT_TRY(ft_lr_multipliers_check(r->model, &ph->config));
    FT_TRY(ft_images_augment(&ph->config, &r->model->image, &augment));
    FT_TRY(compile_training(r, &augment));
    FT_TRY(make_optimizer(r));
    FT_TRY(make_schedule(ph));
    return make_loader(r, &augment);
}

ft_err ft_phase_begin(ft_run *r) {
    ft_augment augment;
    FT_TRY(ft_images_augment(&r->phase.config, &r->model->image, &augment));
    ft_loader_options loading = loading_of(r, &augment);
    if (r->phase.cut.id > 0) FT_TRY(open_features(r, &loading, FT_PART_TRAIN, &r->phase.features));
    return prepare_validation(r);
}

void ft_phase_tidy(const ft_run *r) {
    const ft_phase *ph = &r->phase;
    if (*ph->config.train.feature_cache.path) return;
    if (ph->features) unlink(ft_features_path(ph->features));
    if (ph->val_features) unlink(ft_features_path(ph->val_features));
}

int32_t ft_phase_eval_batch(const ft_run *r) {
    const ft_phase *ph = &r->phase;
    const ft_config *c = &ph->config;
    int32_t batch = c->train.eval_batch ? c->train.eval_batch : c->train.batch;
    return c->memory && batch > ph->part ? ph->part : batch;
}

void ft_phase_retire(ft_run *r) {
    ft_phase *ph = &r->phase;
    ft_training_state *s = &r->state;
    ft_loader_free(ph->loader);
    ft_evaluator_free(&ph->val);
    ft_features_free(ph->features);
    ft_features_free(ph->val_features);
    ft_optim_free(s->optim);
    free(s->optim_params);
    free(ph->grads);
    ph->loader = NULL;
    ph->features = ph->val_features = NULL;
    ph->grads = NULL;
    s->optim = NULL;
    s->optim_params = NULL;
    s->n_optim_params = 0;
}

void ft_phase_leave(ft_run *r) {
    ft_phase_retire(r);
    ft_plan_free(r->phase.plan);
    r->phase = (ft_phase){0};
}

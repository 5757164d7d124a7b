#include "train/run.h"
#include "tensor/par.h"
#include "tensor/rng.h"
#include "train/images.h"
#include "train/weight_source.h"

#include <stdlib.h>
#include <string.h>

static ft_err open_data(ft_run *r) {
    const ft_config *c = r->config;
    FT_TRY(ft_images_open(c, c->data.path, &r->ds));
    FT_REQUIRE(r->ds->n_classes >= 2, DATA, "%s: has %d class; a classifier needs at least 2", c->data.path,
               r->ds->n_classes);
    FT_TRY(ft_images_quarantine(c, r->ds, &r->quarantine));
    FT_TRY(ft_images_split(c, r->ds, &r->split));
    FT_REQUIRE(r->split.n[FT_PART_TRAIN] > 0, DATA, "%s: no image is left to train on", c->data.path);
    return FT_OK;
}

/* source: of the first weights; only looked at where there are some. */
static ft_err build_model(ft_run *r, const ft_weight_source *source) {
    const ft_config *c = r->config;
    ft_preprocess image;
    FT_TRY(ft_images_preprocess(c, &image));
    if (*c->model.weights.file) FT_TRY(ft_weight_source_check_image(source, &image));
    ft_net_options o = {.classes = r->ds->n_classes,
                        .dropout = (float)c->model.head.dropout,
                        .width = (float)c->model.width,
                        .aux_head = c->model.aux_head,
                        .count_padding = c->model.count_padding,
                        .bn_momentum = (float)c->model.bn.momentum,
                        .bn_epsilon = (float)c->model.bn.epsilon,
                        .bn_scale = c->model.bn.scale,
                        .bn_unbiased = c->model.bn.unbiased};
    if (*c->model.weights.file) ft_weights_conventions(source->file, &o);
    FT_TRY(ft_model_new(c->model.arch, &o, &image, (const char *const *)r->ds->class_names, &r->model));
    size_t len;
    FT_TRY(ft_config_to_text(c, &r->model->config, &len));
    r->model->data_fingerprint = r->ds->fingerprint;
    return FT_OK;
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

/* Puts the source's numbers in place of the random ones, and keeps what there is to say of it. */
static ft_err import_weights(ft_run *r, const ft_weight_source *source) {
    ft_config_items patterns;
    ft_config_split(r->config->model.weights.allow_missing, &patterns);
    ft_weight_map_options o = {.include_top = r->config->model.weights.include_top,
                               .allow_missing = patterns.at,
                               .n_allow_missing = patterns.n};
    ft_weight_report report;
    ft_err e = ft_weights_apply(source->file, r->model, &o, &report);
    size_t len;
    FILE *text = e == FT_OK ? open_memstream(&r->weights_report, &len) : NULL;
    if (text) {
        ft_weight_report_print(text, &report, false);
        fclose(text);
    }
    if (e == FT_OK && !r->weights_report) e = ft_err_set(FT_E_MEMORY, "no memory to report on the weights");
    ft_weight_report_free(&report);
    return e;
}

/* Does any phase mix images? Their labels are probabilities then. */
static ft_err mixes_images(const ft_config *c, bool *mixes) {
    *mixes = false;
    for (int32_t i = 0; i < ft_config_n_phases(c); i++) {
        ft_config phase;
        FT_TRY(ft_config_phase(c, i, &phase));
        *mixes |= phase.data.augment.mixup > 0 || phase.data.augment.cutmix > 0;
    }
    return FT_OK;
}

/* Inputs for what the heads are to learn. */
static ft_err label_heads(ft_run *r) {
    r->head_labels = ft_alloc((size_t)r->model->n_heads + 1, sizeof *r->head_labels);
    FT_REQUIRE(r->head_labels, MEMORY, "no memory for the labels of heads");
    for (int32_t k = 0; k < r->model->n_heads; k++) {
        char name[32];
        ft_target t = ft_head_target(&r->model->heads[k]);
        snprintf(name, sizeof name, "labels_%d", k + 2);
        r->head_labels[k] = ft_input(r->model->g, name, (ft_shape){1, 1, 1, ft_target_width(&t)});
    }
    return FT_OK;
}

/* The network with its labels and the weights it starts from. */
static ft_err start_model(ft_run *r) {
    const ft_config *c = r->config;
    ft_weight_source source = {0};
    if (*c->model.weights.file)
        FT_TRY(ft_weight_source_open(&source, c->model.weights.file,
                                     ft_config_choice(c, "model.weights.format")));
    ft_err e = build_model(r, &source);
    if (e == FT_OK) {
        bool mixes;
        e = mixes_images(c, &mixes);
        r->labels = ft_input(r->model->g, "labels", (ft_shape){1, 1, 1, mixes ? r->ds->n_classes : 1});
        if (e == FT_OK)
            e = ft_heads_for(r->model, r->ds, r->split.index[FT_PART_TRAIN], r->split.n[FT_PART_TRAIN]);
        if (e == FT_OK && mixes && r->model->n_heads > 0)
            e = ft_err_set(FT_E_CONFIG,
                           "data.augment: mixup and cutmix mix classes, not what data.list.more names");
        if (e == FT_OK) e = label_heads(r);
        if (e == FT_OK) e = ft_graph_status(r->model->g);
    }
    if (e == FT_OK) ft_graph_init(r->model->g, ft_rng_derive_name(c->seed, "weights"));
    if (e == FT_OK && source.file) e = import_weights(r, &source);
    ft_weight_source_close(&source);
    return e;
}

ft_err ft_run_setup(ft_run *r, const ft_config *config) {
    *r = (ft_run){.config = config};
    ft_progress *p = &r->state.progress;
    p->best = __builtin_nan("");
    p->best_epoch = -1;
    p->seed = config->seed;
    ft_err e = open_data(r);
    if (e == FT_OK) e = start_model(r);
    if (e == FT_OK) e = make_average(r);
    if (e == FT_OK) e = ft_phase_enter(r, 0);
    if (e == FT_OK)
        ft_progress_begin_phase(p, 0, &r->phase.schedule);
    else
        ft_run_free(r);
    return e;
}

void ft_run_free(ft_run *r) {
    ft_phase_leave(r);
    ft_ema_free(r->state.ema);
    free(r->state.ema_params);
    free(r->head_labels);
    ft_model_free(r->model);
    free(r->weights_report);
    ft_split_free(&r->split);
    ft_quarantine_free(r->quarantine);
    ft_dataset_free(r->ds);
    *r = (ft_run){0};
}

void ft_run_describe(const ft_run *r, FILE *f) {
    const ft_model *m = r->model;
    fprintf(f, "data     %s: %d images of %d classes; train %d, validation %d, test %d", r->config->data.path,
            r->ds->n, r->ds->n_classes, r->split.n[FT_PART_TRAIN], r->split.n[FT_PART_VAL],
            r->split.n[FT_PART_TEST]);
    if (r->ds->n_ignored)
        fprintf(f, "; %d passed over that are no images or not asked for", r->ds->n_ignored);
    int64_t trainable, all = ft_model_n_parameters(m, &trainable);
    fprintf(f, "\nnetwork  %s, input %d x %d x %d, %lld parameters\n", m->net->name, m->image.h, m->image.w,
            m->image.c, (long long)all);
    if (r->weights_report) fprintf(f, "weights  %s", r->weights_report);
}

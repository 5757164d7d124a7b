#include "train/evaluate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

ft_err ft_evaluator_init(ft_evaluator *e, ft_model *model, const ft_dataset *ds, const int32_t *index,
                         int32_t n, const ft_evaluator_options *o) {
    *e = (ft_evaluator){.model = model,
                        .ds = ds,
                        .index = index,
                        .n = n,
                        .features = o->features,
                        .cut = o->cut,
                        .views = o->views,
                        .quarantine = o->quarantine};
    FT_REQUIRE(model->options.classes >= 2, CONFIG, "a model without classes cannot be evaluated");
    ft_val *outputs = ft_alloc((size_t)model->n_heads + 1, sizeof *outputs);
    FT_REQUIRE(outputs, MEMORY, "no memory for a list of nodes");
    outputs[0] = model->probabilities;
    for (int32_t k = 0; k < model->n_heads; k++) outputs[k + 1] = model->heads[k].prediction;
    ft_plan_spec spec = {.batch = o->batch < n ? o->batch : n,
                         .direct = o->direct,
                         .n_outputs = model->n_heads + 1,
                         .outputs = outputs,
                         .n_fed = o->features != NULL,
                         .fed = &o->cut};
    ft_loader_options loading = {.image = ft_views_load(o->views, &model->image),
                                 .numbers_only = o->features != NULL,
                                 .batch = spec.batch,
                                 .workers = o->workers,
                                 .cache_mb = o->cache_mb,
                                 .quarantine = o->quarantine};
    ft_err err = ft_loader_new(ds, index, n, &loading, &e->loader);
    if (err == FT_OK) err = ft_compile(model->g, &spec, &e->plan);
    free(outputs);
    if (err != FT_OK) ft_evaluator_free(e);
    return err;
}

void ft_evaluator_free(ft_evaluator *e) {
    ft_loader_free(e->loader);
    ft_plan_free(e->plan);
    *e = (ft_evaluator){0};
}

/* ---- further heads ---- */

static ft_err begin_heads(const ft_evaluator *e, ft_evaluation *out) {
    const ft_model *m = e->model;
    out->heads = ft_alloc((size_t)m->n_heads + 1, sizeof *out->heads);
    FT_REQUIRE(out->heads, MEMORY, "no memory for the heads of a model");
    for (; out->n_heads < m->n_heads; out->n_heads++) {
        ft_head_evaluation *h = &out->heads[out->n_heads];
        ft_target t = ft_head_target(&m->heads[out->n_heads]);
        h->width = ft_head_outputs(&m->heads[out->n_heads]);
        for (int i = 0; i < FT_HEAD_NUMBERS; i++) h->interval[i] = (ft_interval){NAN, NAN};
        h->target_width = ft_target_width(&t);
        h->prediction = ft_alloc((size_t)e->n * (size_t)h->width, sizeof *h->prediction);
        h->truth = ft_alloc((size_t)e->n * (size_t)h->target_width, sizeof *h->truth);
        if (!h->prediction || !h->truth) {
            free(h->prediction);
            free(h->truth);
            FT_FAIL(MEMORY, "no memory for the predictions of %d images", e->n);
        }
    }
    return FT_OK;
}

/* Adds the predictions for one view of the batch. */
static void add_heads(ft_evaluator *e, const ft_batch *b, ft_evaluation *out) {
    for (int32_t k = 0; k < out->n_heads; k++) {
        ft_head_evaluation *h = &out->heads[k];
        ft_view y = ft_plan_value(e->plan, e->model->heads[k].prediction, b->n);
        for (int32_t i = 0; i < b->n; i++)
            for (int32_t c = 0; c < h->width; c++)
                h->prediction[(out->n + i) * h->width + c] += y.p[i * y.ld + c];
    }
}

/* Makes means of those sums, numbers in the data's own units, and puts the truth beside them. */
static ft_err keep_heads(ft_evaluator *e, const ft_batch *b, ft_evaluation *out) {
    int32_t width = ft_dataset_target_width(e->ds), at = 0, views = ft_views_count(e->views);
    for (int32_t k = 0; k < out->n_heads; k++) {
        const ft_head *head = &e->model->heads[k];
        ft_head_evaluation *h = &out->heads[k];
        for (int32_t i = 0; i < b->n; i++) {
            float *row = h->prediction + (out->n + i) * h->width;
            for (int32_t c = 0; c < h->width; c++) {
                double v = (double)row[c] / views;
                row[c] = (float)(head->kind == FT_TARGET_NUMBER ? head->mean + head->deviation * v : v);
                FT_REQUIRE(isfinite(row[c]), NUMERIC,
                           "a prediction of '%s' is not a number: the model's weights are broken",
                           head->name);
            }
            memcpy(h->truth + (out->n + i) * h->target_width, b->targets + (int64_t)i * width + at,
                   (size_t)h->target_width * sizeof *h->truth);
        }
        at += h->target_width;
    }
    return FT_OK;
}

static ft_err class_metrics(ft_head_evaluation *h, int64_t n) {
    h->label = ft_alloc((size_t)n, sizeof *h->label);
    FT_REQUIRE(h->label, MEMORY, "no memory for %lld labels", (long long)n);
    for (int64_t i = 0; i < n; i++) h->label[i] = (int32_t)h->truth[i];
    return ft_metrics_compute(&h->classes, n, h->width, h->prediction, h->label);
}

static ft_err end_heads(const ft_evaluator *e, ft_evaluation *out) {
    out->head_results = ft_alloc((size_t)out->n_heads + 1, sizeof *out->head_results);
    FT_REQUIRE(out->head_results, MEMORY, "no memory for the heads of a model");
    for (int32_t k = 0; k < out->n_heads; k++) {
        const ft_head *head = &e->model->heads[k];
        ft_head_evaluation *h = &out->heads[k];
        ft_head_result *result = &out->head_results[k];
        *result = (ft_head_result){.name = head->name,
                                   .class_names = (const char *const *)head->class_names,
                                   .prediction = h->prediction,
                                   .truth = h->truth,
                                   .interval = head->kind == FT_TARGET_CLASS ? NULL : h->interval};
        if (head->kind == FT_TARGET_CLASS) {
            FT_TRY(class_metrics(h, out->n));
            result->classes = &h->classes;
        } else if (head->kind == FT_TARGET_NUMBER) {
            ft_regression_compute(&h->numbers, out->n, h->prediction, h->truth);
            result->numbers = &h->numbers;
        } else {
            FT_TRY(ft_multilabel_compute(&h->multilabel, out->n, h->width, h->prediction, h->truth));
            result->multilabel = &h->multilabel;
        }
    }
    return FT_OK;
}

static double binary_cross_entropy(const ft_head_evaluation *h, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n * h->width; i++) {
        double p = fmin(fmax((double)h->prediction[i], 1e-7), 1 - 1e-7);
        sum -= h->truth[i] > 0.5f ? log(p) : log1p(-p);
    }
    return sum / ((double)n * h->width);
}

static double head_loss(const ft_head *head, const ft_head_evaluation *h, int64_t n) {
    if (head->kind == FT_TARGET_CLASS) return h->classes.log_loss;
    if (head->kind == FT_TARGET_MULTI) return binary_cross_entropy(h, n);
    return pow(h->numbers.rmse / head->deviation, 2);
}

static void free_heads(ft_evaluation *ev) {
    for (int32_t k = 0; k < ev->n_heads; k++) {
        free(ev->heads[k].prediction);
        free(ev->heads[k].truth);
        free(ev->heads[k].label);
        ft_metrics_free(&ev->heads[k].classes);
    }
    free(ev->heads);
    free(ev->head_results);
}

/* ---- all ---- */

/* Runs one view of the batch and adds what is predicted. */
static ft_err add_view(ft_evaluator *e, const ft_batch *b, int32_t view, ft_evaluation *out) {
    ft_view p = ft_plan_value(e->plan, e->model->probabilities, b->n);
    if (e->views == FT_VIEWS_ONE)
        FT_TRY(ft_batch_feed(b, e->features, 0, e->plan, e->features ? e->cut : e->model->input));
    else
        ft_views_take(e->views, view, b, &e->model->image, ft_plan_value(e->plan, e->model->input, b->n).p);
    ft_plan_forward(e->plan, b->n, 0);
    for (int32_t i = 0; i < b->n; i++)
        for (int32_t k = 0; k < out->k; k++) out->prob[(out->n + i) * out->k + k] += p.p[i * p.ld + k];
    add_heads(e, b, out);
    return FT_OK;
}

static ft_err run_batch(ft_evaluator *e, const ft_batch *b, ft_evaluation *out) {
    int32_t views = ft_views_count(e->views);
    for (int32_t view = 0; view < views; view++) FT_TRY(add_view(e, b, view, out));
    for (int32_t i = 0; i < b->n; i++) {
        float *row = out->prob + (out->n + i) * out->k;
        out->label[out->n + i] = (int32_t)b->labels[i];
        out->sample[out->n + i] = b->index[i];
        for (int32_t k = 0; k < out->k; k++) {
            row[k] /= (float)views;
            if (isfinite(row[k])) continue;
            char name[256];
            ft_dataset_name(e->ds, b->index[i], name, sizeof name);
            FT_FAIL(NUMERIC,
                    "the probability of class '%s' for %s is not a number: the model's weights are broken",
                    e->model->class_names[k], name);
        }
    }
    FT_TRY(keep_heads(e, b, out));
    out->n += b->n;
    return FT_OK;
}

static ft_err run_all(ft_evaluator *e, void (*progress)(void *ctx, int64_t done, int64_t n), void *ctx,
                      ft_evaluation *out) {
    out->prob = ft_alloc((size_t)e->n * (size_t)out->k, sizeof *out->prob);
    out->label = ft_alloc((size_t)e->n, sizeof *out->label);
    out->sample = ft_alloc((size_t)e->n, sizeof *out->sample);
    FT_REQUIRE(out->prob && out->label && out->sample, MEMORY, "no memory for the probabilities of %d images",
               e->n);
    FT_TRY(begin_heads(e, out));
    if (e->features) FT_TRY(ft_features_make(e->features, 0, NULL, NULL));
    FT_TRY(ft_loader_start(e->loader, 0, 0));
    for (;;) {
        ft_batch b;
        FT_TRY(ft_loader_next(e->loader, &b));
        if (b.n == 0) break;
        FT_TRY(run_batch(e, &b, out));
        if (progress) progress(ctx, out->n, e->n);
    }
    FT_REQUIRE(out->n > 0, DATA, "none of the %d images to evaluate can be used", e->n);
    FT_TRY(end_heads(e, out));
    FT_TRY(ft_metrics_compute(&out->metrics, out->n, out->k, out->prob, out->label));
    out->loss = out->metrics.log_loss;
    for (int32_t k = 0; k < out->n_heads; k++)
        out->loss += e->model->heads[k].weight * head_loss(&e->model->heads[k], &out->heads[k], out->n);
    return FT_OK;
}

ft_err ft_evaluator_run(ft_evaluator *e, void (*progress)(void *ctx, int64_t done, int64_t n), void *ctx,
                        ft_evaluation *out) {
    *out = (ft_evaluation){.k = e->model->options.classes};
    ft_err err = run_all(e, progress, ctx, out);
    if (err != FT_OK) ft_evaluation_free(out);
    return err;
}

void ft_evaluation_free(ft_evaluation *ev) {
    free(ev->prob);
    free(ev->label);
    free(ev->sample);
    free_heads(ev);
    ft_metrics_free(&ev->metrics);
    *ev = (ft_evaluation){0};
}

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
                        .quarantine = o->quarantine};
    FT_REQUIRE(model->options.classes >= 2, CONFIG, "a model without classes cannot be evaluated");
    ft_plan_spec spec = {.batch = o->batch < n ? o->batch : n,
                         .direct = o->direct,
                         .n_outputs = 1,
                         .outputs = &model->probabilities,
                         .n_fed = o->features != NULL,
                         .fed = &o->cut};
    ft_loader_options loading = {.image = model->image,
                                 .numbers_only = o->features != NULL,
                                 .batch = spec.batch,
                                 .workers = o->workers,
                                 .cache_mb = o->cache_mb,
                                 .quarantine = o->quarantine};
    ft_err err = ft_loader_new(ds, index, n, &loading, &e->loader);
    if (err == FT_OK) err = ft_compile(model->g, &spec, &e->plan);
    if (err != FT_OK) ft_evaluator_free(e);
    return err;
}

void ft_evaluator_free(ft_evaluator *e) {
    ft_loader_free(e->loader);
    ft_plan_free(e->plan);
    *e = (ft_evaluator){0};
}

static ft_err run_batch(ft_evaluator *e, const ft_batch *b, ft_evaluation *out) {
    ft_view p = ft_plan_value(e->plan, e->model->probabilities, b->n);
    FT_TRY(ft_batch_feed(b, e->features, 0, e->plan, e->features ? e->cut : e->model->input));
    ft_plan_forward(e->plan, b->n, 0);
    for (int32_t i = 0; i < b->n; i++) {
        float *row = out->prob + (out->n + i) * out->k;
        memcpy(row, p.p + i * p.ld, (size_t)out->k * sizeof *row);
        out->label[out->n + i] = (int32_t)b->labels[i];
        out->sample[out->n + i] = b->index[i];
        for (int32_t k = 0; k < out->k; k++) {
            if (isfinite(row[k])) continue;
            char name[256];
            ft_dataset_name(e->ds, b->index[i], name, sizeof name);
            FT_FAIL(NUMERIC,
                    "the probability of class '%s' for %s is not a number: the model's weights are broken",
                    e->model->class_names[k], name);
        }
    }
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
    return ft_metrics_compute(&out->metrics, out->n, out->k, out->prob, out->label);
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
    ft_metrics_free(&ev->metrics);
    *ev = (ft_evaluation){0};
}

#include "train/assess.h"

#include "eval/bootstrap.h"
#include "eval/terminal.h"

#include <math.h>
#include <string.h>

ft_assess_options ft_assess_as(const ft_config *c, const ft_split *split, const char *part,
                               ft_quarantine *quarantine) {
    return (
        ft_assess_options){.evaluator = {.batch = c->train.eval_batch ? c->train.eval_batch : c->train.batch,
                                         .workers = c->data.workers,
                                         .direct = c->kernels == FT_CONFIG_KERNELS_DIRECT,
                                         .views = (ft_views)c->train.eval_views,
                                         .quarantine = quarantine},
                           .split = split,
                           .part = part,
                           .replicates = FT_BOOTSTRAP_REPLICATES};
}

typedef void told(void *ctx, int64_t done, int64_t n);

static ft_err evaluate(ft_evaluator *e, ft_model *m, const ft_dataset *ds, const int32_t *index, int32_t n,
                       const ft_assess_options *o, told *progress, void *ctx, ft_evaluation *out) {
    FT_TRY(ft_evaluator_init(e, m, ds, index, n, &o->evaluator));
    ft_err err = ft_evaluator_run(e, progress, ctx, out);
    if (err != FT_OK) ft_evaluator_free(e);
    return err;
}

/* By the probabilities of class 1 on the validation part. */
static ft_err choose_thresholds(ft_model *m, const ft_dataset *ds, const ft_assess_options *o,
                                ft_thresholds *t) {
    const char *val = ft_part_name(FT_PART_VAL);
    bool can =
        m->options.classes == 2 && o->split && o->split->n[FT_PART_VAL] > 0 && strcmp(o->part, val) != 0;
    FT_REQUIRE(can || t->wanted == 0, USAGE,
               "a threshold for a false positive rate needs a model of two classes, and a validation part "
               "other than what is evaluated to choose it on");
    if (!can) return FT_OK;
    ft_evaluator e;
    ft_evaluation ev;
    FT_TRY(evaluate(&e, m, ds, o->split->index[FT_PART_VAL], o->split->n[FT_PART_VAL], o, NULL, NULL, &ev));
    ft_err err = ft_thresholds_choose(t, ev.n, ev.prob + 1, ev.k, ev.label, val);
    ft_evaluation_free(&ev);
    ft_evaluator_free(&e);
    return err;
}

static ft_err add_intervals(ft_evaluation *ev, int32_t replicates) {
    if (replicates == 0) return FT_OK;
    FT_TRY(ft_metrics_intervals(&ev->metrics, ev->prob, ev->label, replicates, FT_BOOTSTRAP_SEED));
    for (int32_t k = 0; k < ev->n_heads; k++) {
        ft_head_evaluation *h = &ev->heads[k];
        const ft_head_result *result = &ev->head_results[k];
        if (result->classes)
            FT_TRY(ft_metrics_intervals(&h->classes, h->prediction, h->label, replicates, FT_BOOTSTRAP_SEED));
        else
            FT_TRY(ft_head_intervals(result, replicates, FT_BOOTSTRAP_SEED, h->interval));
    }
    return FT_OK;
}

ft_err ft_assess(ft_evaluator *e, ft_model *m, const ft_dataset *ds, const int32_t *index, int32_t n,
                 const ft_assess_options *o, told *progress, void *ctx, ft_evaluation *out) {
    ft_thresholds thresholds = {.wanted = o->fpr};
    FT_TRY(choose_thresholds(m, ds, o, &thresholds));
    FT_TRY(evaluate(e, m, ds, index, n, o, progress, ctx, out));
    out->thresholds = thresholds;
    if (thresholds.chosen_on)
        ft_thresholds_apply(&out->thresholds, out->n, out->prob + 1, out->k, out->label);
    ft_err err = add_intervals(out, o->replicates);
    if (err != FT_OK) {
        ft_evaluation_free(out);
        ft_evaluator_free(e);
    }
    return err;
}

ft_err ft_assess_print(FILE *f, const ft_evaluator *e, const ft_evaluation *ev, const char *part) {
    FT_TRY(ft_metrics_print(f, &ev->metrics, (const char *const *)e->model->class_names, part, NAN));
    if (ev->k == 2) ft_thresholds_print(f, &ev->thresholds, e->model->class_names[1]);
    ft_heads_print(f, ev->n_heads, ev->head_results);
    return FT_OK;
}

/* Evaluation: the one code path from a model and a list of samples to probabilities and metrics, for the
 * validation numbers of training and for ft-eval alike.
 */
#ifndef FACET_TRAIN_EVALUATE_H
#define FACET_TRAIN_EVALUATE_H

#include "data/loader.h"
#include "eval/head_result.h"
#include "eval/threshold.h"
#include "tensor/plan.h"
#include "train/features.h"
#include "train/model.h"
#include "train/views.h"

/* A model ready to be evaluated, again and again: an inference plan. */
typedef struct ft_evaluator {
    ft_model *model; /* borrowed */
    ft_plan *plan;
    ft_loader *loader;
    const ft_dataset *ds; /* borrowed */
    const int32_t *index; /* borrowed */
    int32_t n;
    ft_features *features; /* borrowed; NULL: images are loaded */
    ft_val cut;
    ft_views views;
    ft_quarantine *quarantine; /* borrowed; NULL: bad images are errors */
} ft_evaluator;

/* Of a further head of the model. */
typedef struct ft_head_evaluation {
    int32_t width, target_width;
    float *prediction;  /* (n, width): probabilities; or numbers, in the data's own units */
    float *truth;       /* (n, target_width) */
    int32_t *label;     /* (n): the truth of classes */
    ft_metrics classes; /* as the head's kind is, one of these three */
    ft_regression numbers;
    ft_multilabel multilabel;
    ft_interval interval[FT_HEAD_NUMBERS]; /* of the latter two */
} ft_head_evaluation;

typedef struct ft_evaluation {
    int64_t n;
    int32_t k;
    float *prob;     /* (n, k) */
    int32_t *label;  /* (n) */
    int32_t *sample; /* (n): numbers in the data set; bad images are not among them */
    int32_t n_heads;
    ft_head_evaluation *heads;    /* (n_heads) */
    ft_head_result *head_results; /* (n_heads): the same for the writers of results */
    double loss; /* what the history calls val_loss: metrics.log_loss, plain cross-entropy whatever the
                    training minimises; and of further heads their log loss, their binary cross-entropy, or
                    their mean squared error in deviations, each times its weight */
    ft_metrics metrics;
    ft_thresholds thresholds; /* of two classes; chosen by ft_assess */
} ft_evaluation;

typedef struct ft_evaluator_options {
    int32_t batch, workers, cache_mb;
    bool direct;    /* as ft_plan_spec.direct */
    ft_views views; /* of every image, whose predictions' mean counts; one, with features */
    ft_features
        *features; /* of these samples: the network is run from ft_evaluator.cut on; NULL: from images */
    ft_val cut;    /* what they are features of */
    ft_quarantine *quarantine; /* where bad images go; NULL: they are errors */
} ft_evaluator_options;

/* For the n samples of index (kept by the caller). FT_E_DATA, FT_E_CONFIG, FT_E_MEMORY; *e then needs no
 * free. */
ft_err ft_evaluator_init(ft_evaluator *e, ft_model *model, const ft_dataset *ds, const int32_t *index,
                         int32_t n, const ft_evaluator_options *o);
void ft_evaluator_free(ft_evaluator *e);

/* Runs all samples in order with the parameters as they are now; features that are missing are made. progress
 * (may be NULL) is told after every batch. FT_E_DATA (a bad image, or none that is good), FT_E_NUMERIC (a
 * probability that is no number), FT_E_MEMORY; *out then needs no free. */
ft_err ft_evaluator_run(ft_evaluator *e, void (*progress)(void *ctx, int64_t done, int64_t n), void *ctx,
                        ft_evaluation *out);
void ft_evaluation_free(ft_evaluation *ev);

#endif

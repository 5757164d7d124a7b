/* A training run made ready: data, split, model, plans, optimiser, from one configuration. */
#ifndef FACET_TRAIN_RUN_H
#define FACET_TRAIN_RUN_H

#include "data/split.h"
#include "train/checkpoint.h"
#include "train/config.h"
#include "train/evaluate.h"

typedef struct ft_run {
    const ft_config *config; /* resolved and checked; borrowed */
    ft_dataset *ds;
    ft_split split;
    ft_model *model;
    ft_val labels, class_weights, loss;
    ft_plan *plan;     /* training */
    ft_loader *loader; /* of the training part */
    ft_evaluator val;  /* val.plan is NULL without a validation part */
    ft_real **grads;   /* of state.optim_params */
    ft_schedule schedule;
    int64_t batches, steps; /* in an epoch */
    ft_training_state state;
} ft_run;

/* Opens the data, builds the network with its initial weights, compiles, and stands before the first step. On
 * failure *r needs no free. FT_E_CONFIG, FT_E_GRAPH, FT_E_DATA, FT_E_MEMORY. */
ft_err ft_run_setup(ft_run *r, const ft_config *config);
void ft_run_free(ft_run *r);

/* The split that this configuration makes of these data: the same for training and for ft-eval. */
ft_err ft_run_split(const ft_config *config, const ft_dataset *ds, ft_split *split);

/* Prints what will be trained on what: data, split, network, memory. */
void ft_run_describe(const ft_run *r, FILE *f);

#endif

/* A phase of a training: a stretch of epochs with what is frozen, an optimiser, a schedule, augmentation of
 * its own. Weights, statistics, the weights' average and the counts of epochs and steps go on from one phase
 * to the next; the optimiser's memory, the schedule and what early stopping and plateaus remember begin anew.
 *
 * Where a prefix of the network is frozen, its output for every image is computed once and kept
 * (train/features.h), and the phase runs from there on.
 */
#ifndef FACET_TRAIN_PHASE_H
#define FACET_TRAIN_PHASE_H

#include "optim/schedule.h"
#include "train/config.h"
#include "train/evaluate.h"
#include "train/features.h"
#include "train/memory_budget.h"

struct ft_run;

typedef struct ft_phase {
    int32_t number;   /* from 0 */
    ft_config config; /* what holds in it, resolved */
    ft_val loss;
    ft_val head_losses[FT_MAX_LOSSES]; /* (model->n_heads) */
    ft_plan *plan;                     /* training */
    ft_memory memory;
    int32_t part;         /* images computed at a time: of a batch, or what the memory allows */
    ft_val cut;           /* features go in here instead of images to the input; {0}: they do not */
    const char *uncached; /* why a frozen part runs in every epoch; NULL: it does not, or there is none */
    ft_features *features;
    ft_loader *loader; /* of the training part; numbers alone with features */
    ft_evaluator val;  /* val.plan is NULL without a validation part */
    ft_features *val_features;
    ft_real **grads; /* of state.optim_params */
    ft_schedule schedule;
    int64_t batches, steps; /* in an epoch */
} ft_phase;

/* Leaves the phase that r is in, and stands before the first step of phase `number` (0 ... ft_config_n_phases
 * - 1) with the weights as they are: what is frozen, the plan, the optimiser, the schedule. Counts in
 * r->state.progress are left alone. FT_E_CONFIG, FT_E_GRAPH, FT_E_MEMORY; r is then in no phase and can only
 * be freed. */
ft_err ft_phase_enter(struct ft_run *r, int32_t number);
/* Once the weights that the phase starts from are in place: opens the features and prepares validation.
 * FT_E_DATA, FT_E_IO, FT_E_MEMORY, FT_E_GRAPH. */
ft_err ft_phase_begin(struct ft_run *r);
/* When all of its epochs are done: removes the files of features in the run's folder. Those in a folder of
 * their own (train.feature_cache.path) are for other runs, too. */
void ft_phase_tidy(const struct ft_run *r);
void ft_phase_leave(struct ft_run *r);
/* After the last step: gives back what only further steps would need. The plan stays, for its times. */
void ft_phase_retire(struct ft_run *r);
/* Images that evaluation takes at a time. */
int32_t ft_phase_eval_batch(const struct ft_run *r);

/* Prints what the phase trains, what it keeps of the frozen part or why it does not, and what memory it
 * takes.
 */
void ft_phase_describe(const struct ft_run *r, FILE *f);

#endif

/* A training run made ready: data, split, model, from one configuration; and the phase it is in. */
#ifndef FACET_TRAIN_RUN_H
#define FACET_TRAIN_RUN_H

#include "data/split.h"
#include "train/checkpoint.h"
#include "train/phase.h"

typedef struct ft_run {
    const ft_config *config; /* resolved and checked; borrowed */
    ft_dataset *ds;
    ft_quarantine *quarantine; /* NULL: bad images stop the run */
    ft_split split;
    ft_model *model;
    char *weights_report; /* what was imported, as text; NULL: nothing was */
    ft_val labels;        /* (n,1,1,1) class numbers; (n,1,1,classes) probabilities where images are mixed */
    ft_val *head_labels;  /* (model->n_heads), owned: (n,1,1,width) */
    ft_phase phase;       /* the one under way */
    ft_training_state state;
} ft_run;

/* Opens the data, builds the network with its initial weights, and stands before the first step of the first
 * phase. On failure *r needs no free. FT_E_CONFIG, FT_E_GRAPH, FT_E_DATA, FT_E_WEIGHTS, FT_E_IO, FT_E_MEMORY.
 */
ft_err ft_run_setup(ft_run *r, const ft_config *config);
void ft_run_free(ft_run *r);

/* Prints what will be trained on what: data, split, network. ft_phase_describe adds what the phase does. */
void ft_run_describe(const ft_run *r, FILE *f);

#endif

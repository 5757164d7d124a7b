/* The training loop: from a run made ready to a run folder (design: config.yaml, history.csv, last.h5,
 * best.h5, metrics.json, predictions.csv, report.html, TensorBoard events).
 */
#ifndef FACET_TRAIN_TRAINER_H
#define FACET_TRAIN_TRAINER_H

#include "train/run.h"

#include <signal.h>

typedef struct ft_train_options {
    const char *folder;                /* where the run lives */
    bool resume;                       /* go on from the folder's last.h5; without one, start */
    bool overwrite;                    /* start anew although the folder holds a run */
    FILE *log;                         /* progress and one line an epoch; NULL: silent */
    FILE *results;                     /* the final table; NULL: none */
    FILE *profile;                     /* where the time went, at the end and when stopped; NULL: not told */
    const volatile sig_atomic_t *stop; /* not 0: save and return FT_E_STOPPED; may be NULL */
    volatile sig_atomic_t *save;       /* not 0: save and go on, made 0; may be NULL */
    volatile sig_atomic_t *tell;       /* not 0: say to log where the run stands, made 0; may be NULL */
    FILE *fingerprint;                 /* a hash of the weights after each epoch; NULL: none */
} ft_train_options;

/* Trains r to its last epoch, or until early stopping or *stop, and evaluates the best weights on the test
 * part (on the validation part where there is none). What was saved stays valid whatever happens.
 * FT_E_CONFIG: the folder holds a run and neither resume nor overwrite was given, or another training works
 * in it; FT_E_NUMERIC: the loss is no number any more (last.h5 is the last good point); FT_E_STOPPED after
 * saving; FT_E_DATA, FT_E_WEIGHTS, FT_E_IO, FT_E_MEMORY. */
ft_err ft_train_run(ft_run *r, const ft_train_options *o);

#endif

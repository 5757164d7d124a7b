/* What a model is worth on a part of the data, with all that a report says of it: the one path of the end of
 * a training and of ft-eval.
 */
#ifndef FACET_TRAIN_ASSESS_H
#define FACET_TRAIN_ASSESS_H

#include "data/split.h"
#include "train/config.h"
#include "train/evaluate.h"

#include <stdio.h>

typedef struct ft_assess_options {
    ft_evaluator_options evaluator; /* without features */
    const ft_split
        *split; /* whose validation part the thresholds of two classes are chosen on; NULL: none is known */
    const char *part;   /* what is assessed: its name */
    double fpr;         /* a false positive rate to find a threshold for, too; 0: none */
    int32_t replicates; /* of the bootstrap (eval/bootstrap.h); 0: no intervals */
} ft_assess_options;

/* As a training of that configuration does it. */
ft_assess_options ft_assess_as(const ft_config *config, const ft_split *split, const char *part,
                               ft_quarantine *quarantine);

/* Evaluates m on the n samples of index, as *e, which stays for ft_results_write; with intervals, and
 * thresholds chosen on the validation part unless that is what is assessed. FT_E_USAGE: they cannot be, but
 * fpr asks for one; errors as ft_evaluator_init and ft_evaluator_run. *e and *out then need no free. */
ft_err ft_assess(ft_evaluator *e, ft_model *m, const ft_dataset *ds, const int32_t *index, int32_t n,
                 const ft_assess_options *o, void (*progress)(void *ctx, int64_t done, int64_t n), void *ctx,
                 ft_evaluation *out);

/* For a terminal: the numbers of all heads. FT_E_MEMORY. */
ft_err ft_assess_print(FILE *f, const ft_evaluator *e, const ft_evaluation *ev, const char *part);

#endif

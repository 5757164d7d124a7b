/* Several classes at a time: probabilities of each against the truth of each, named and defined as
 * scikit-learn's. A class is predicted from a probability of 0.5 on.
 */
#ifndef FACET_EVAL_MULTILABEL_H
#define FACET_EVAL_MULTILABEL_H

#include "tensor/error.h"

#include <stdint.h>

typedef struct ft_multilabel {
    int64_t n;
    int32_t k;
    double accuracy;                                /* rows with all classes right */
    double hamming_loss;                            /* share of wrong decisions */
    double precision_micro, recall_micro, f1_micro; /* 0 where undefined (zero_division=0) */
    double f1_macro;                                /* mean over the classes, likewise */
    double roc_auc_macro,
        average_precision_macro; /* means over the classes; NaN with one that has a side only */
    const char *reason;          /* of those two; NULL: they are numbers */
} ft_multilabel;

/* Of n >= 1 rows of k classes: prob (n, k), truth (n, k) of 0 and 1. FT_E_MEMORY. */
ft_err ft_multilabel_compute(ft_multilabel *m, int64_t n, int32_t k, const float *prob, const float *truth);

#endif

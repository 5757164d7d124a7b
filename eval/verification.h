/* Verification: are two pictures of one person? Numbers of pairs' scores, of which a higher one says "the
 * same" more.
 *
 * Exact: a threshold at every distinct score, found by sorting. A rate that the pairs cannot show is NaN,
 * with a reason.
 */
#ifndef FACET_EVAL_VERIFICATION_H
#define FACET_EVAL_VERIFICATION_H

#include "eval/interval.h"
#include "tensor/error.h"

#include <stdint.h>

enum { FT_N_FARS = 4, FT_VERIFICATION_FOLDS = 64 };
/* 1e-1, 1e-2, 1e-3, 1e-4 */
extern const double ft_fars[FT_N_FARS];

typedef struct ft_verification {
    int64_t n, n_same;
    double roc_auc;
    double eer; /* where as many different pairs are taken for the same as same ones for different: the curve
                   of the two rates, straight between its points, crosses there */
    double eer_threshold;  /* the score there, between the points likewise */
    double tar[FT_N_FARS]; /* share of the same pairs accepted at the threshold that accepts the most of them
                              with at most ft_fars[k] of the different ones */
    const char *reason;    /* of roc_auc and eer; NULL: they are numbers */
    const char *tar_reason[FT_N_FARS]; /* likewise */
    int32_t replicates;                /* of the bootstrap behind the intervals; 0: none */
    ft_interval roc_auc_interval, eer_interval, tar_interval[FT_N_FARS];
    /* The protocol of Labeled Faces in the Wild: of each fold the accuracy at the threshold that is best on
     * all others (of equally good ones the highest; midway between two scores). */
    int32_t n_folds;
    double accuracy,
        accuracy_error; /* mean over the folds, and its standard error: deviation / sqrt(n_folds) */
    double fold_accuracy[FT_VERIFICATION_FOLDS], fold_threshold[FT_VERIFICATION_FOLDS];
    const char *accuracy_reason; /* why there is no accuracy; NULL: there is */
} ft_verification;

/* Of n pairs: score (n) finite, same (n) 1 or 0, fold (n) in 0 .. n_folds-1, or NULL with n_folds 0.
 * FT_E_USAGE: too many folds; FT_E_MEMORY. */
ft_err ft_verification_compute(int64_t n, const float *score, const int32_t *same, int32_t n_folds,
                               const int32_t *fold, ft_verification *v);

enum { FT_VERIFICATION_DRAWN = 200000 /* pairs beyond which drawing them takes longer than it tells */ };
/* Gives *v, computed of the same pairs, intervals of its rates: the bootstrap (eval/bootstrap.h), pairs of
 * one person and of two drawn apart. Of more than FT_VERIFICATION_DRAWN pairs, or where the rates are
 * undefined, there are none. FT_E_MEMORY. */
ft_err ft_verification_intervals(int64_t n, const float *score, const int32_t *same, int32_t replicates,
                                 uint64_t seed, ft_verification *v);

#endif

/* Ranking numbers of one score against a yes/no truth: ROC curve, area under it, average precision.
 *
 * Exact: a threshold at every distinct score, equal scores moved together, as scikit-learn's roc_curve
 * (drop_intermediate=False), roc_auc_score and average_precision_score do. O(n) by radix sort, bits depend on
 * nothing but the input.
 */
#ifndef FACET_EVAL_RANKING_H
#define FACET_EVAL_RANKING_H

#include "tensor/error.h"

#include <stdint.h>

/* The curve of counts: with threshold threshold[i], tp[i] positives and fp[i] negatives score at least that
 * much. Entry 0 is (0, 0) with threshold +infinity; the last one is (n_neg, n_pos). */
typedef struct ft_ranking {
    int64_t n_points, n_pos, n_neg;
    int32_t *fp, *tp; /* (n_points) */
    float *threshold; /* (n_points), decreasing */
    const uint64_t
        *sorted; /* (n_pos + n_neg): the score's key, the row and whether it is a positive, as packed */
    uint64_t *work;
    int64_t capacity;
} ft_ranking;

/* Room for rankings of up to n scores; release with ft_ranking_free. FT_E_MEMORY: *r needs no free. */
ft_err ft_ranking_init(ft_ranking *r, int64_t n);
void ft_ranking_free(ft_ranking *r);
/* Ranks n <= capacity scores (score i is scores[i*stride], finite); i is a positive when labels[i] ==
 * positive. Replaces the previous ranking in *r. */
void ft_ranking_fill(ft_ranking *r, int64_t n, const float *scores, int64_t stride, const int32_t *labels,
                     int32_t positive);
/* Area under the ROC curve in [0, 1]; NaN without positives or without negatives. */
double ft_ranking_roc_auc(const ft_ranking *r);
/* Average precision (area under the precision-recall steps); NaN without positives. */
double ft_ranking_average_precision(const ft_ranking *r);

/* The same ranking with row i counted weight[i] times (NULL: once), against every class of label apart: area
 * (k) gets for each class b that is not the positive one twice the number of pairs of a positive and a row of
 * b in which the positive scores higher, equal scores counting half. Of a weighted ranking without positives
 * and of one class alone all are 0. Returns the average precision; NaN without positives. */
double ft_ranking_weighted(const ft_ranking *r, const int32_t *label, const uint8_t *weight, int32_t k,
                           int64_t *area);

#endif

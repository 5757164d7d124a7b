/* How good probabilities are, beyond the class they name first. */
#ifndef FACET_EVAL_CALIBRATION_H
#define FACET_EVAL_CALIBRATION_H

#include "tensor/error.h"

#include <stdint.h>

/* Of prob (n, k) and label (n). Mean over the rows of sum_c (p_c - [c is the label])^2; of two classes half
 * of that, which is (p_1 - label)^2 (scikit-learn's brier_score_loss). */
double ft_brier(int64_t n, int32_t k, const float *prob, const int32_t *label);
/* sum_b n_b/n |share of right rows in b - mean confidence in b| over 15 bins of equal width of the largest
 * probability (Guo et al. 2017). */
double ft_calibration_error(int64_t n, int32_t k, const float *prob, const int32_t *label);

/* Area under the ROC curve of every pair of classes, on their rows alone, the mean of both ways round; and
 * the mean of that over all pairs (Hand, Till 2001; scikit-learn's multi_class="ovo", average="macro"). NaN
 * when a class has no row. FT_E_MEMORY. */
ft_err ft_roc_auc_ovo(int64_t n, int32_t k, const float *prob, const int32_t *label, double *auc);

#endif

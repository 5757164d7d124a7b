/* predictions.csv: one row per example with its truth, the prediction and every probability. */
#ifndef FACET_EVAL_PREDICTIONS_H
#define FACET_EVAL_PREDICTIONS_H

#include "eval/head_result.h"

/* Writes (replaces, atomically) path, label, prediction and a column per class named as the class; RFC 4180
 * with LF line ends. Labels and predictions are class names; probabilities read back as the same float.
 * Two columns more for each of the heads (n_heads, may be NULL): label_NAME, prediction_NAME.
 * paths: (n); label: (n), an empty field where it is negative (unknown); prob: (n, k); names: (k).
 * FT_E_IO, FT_E_MEMORY: the file is as it was. */
ft_err ft_predictions_write(const char *path, int64_t n, int32_t k, const char *const *paths,
                            const int32_t *label, const float *prob, const char *const *names,
                            int32_t n_heads, const ft_head_result *heads);

#endif

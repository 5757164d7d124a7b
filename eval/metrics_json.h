/* metrics.json: every number of ft_metrics under scikit-learn's name, in a form that reads back exactly. */
#ifndef FACET_EVAL_METRICS_JSON_H
#define FACET_EVAL_METRICS_JSON_H

#include "eval/head_result.h"
#include "eval/threshold.h"

/* What is written; everything is borrowed. */
typedef struct ft_metrics_file {
    const char *split; /* what was evaluated: "test" */
    int64_t n_bad;     /* images of it that could not be used */
    double loss;       /* what the history calls val_loss; NaN when not computed */
    const ft_metrics *metrics;
    const char *const *class_names;  /* (metrics->k) */
    const ft_thresholds *thresholds; /* NULL, or chosen_on NULL: none */
    const ft_head_result *heads;     /* (n_heads) */
    int32_t n_heads;
} ft_metrics_file;

/* Writes (replaces, atomically) the file at path:
 *   {"split": str, "n": int, "n_bad": int, "loss": x, "accuracy": x, ..., "confusion": [[int]],
 *    "per_class": [{"name", "support", "precision", "recall", "f1", "roc_auc", "average_precision"}],
 *    "calibration": [{"n": int, "accuracy": x, "confidence": x}],
 *    "bootstrap": {"replicates": int, "level": x, "seed": int},
 *    "thresholds": {"chosen_on": "val", "fpr_wanted_at_most": x,
 *                   "max_f1": {"threshold", "accuracy", "precision", "recall", "f1", "fpr", "youden"}},
 *    "heads": {name: {"kind": "number", "mae": x, ...}, name: {"kind": "class", "accuracy": x, ...}},
 *    "undefined": {"roc_auc_ovr_macro": reason, "per_class[3].precision": reason}}
 *
 * A number with an interval is {"value": x, "low": x, "high": x}. A head of classes has its confusion and
 * per_class, too; an empty bin of the calibration n alone. An undefined number is null and has its reason in
 * "undefined" ("heads.age.r2" for instance); what does not apply is left out. FT_E_IO, FT_E_MEMORY: the file
 * is as it was.
 */
ft_err ft_metrics_json_write(const char *path, const ft_metrics_file *m);

#endif

/* metrics.json: every number of ft_metrics under scikit-learn's name, in a form that reads back exactly. */
#ifndef FACET_EVAL_METRICS_JSON_H
#define FACET_EVAL_METRICS_JSON_H

#include "eval/head_result.h"

/* Writes (replaces, atomically) the file at path:
 *   {"split": str, "n": int, "n_bad": int, "loss": x, "accuracy": x, ..., "confusion": [[int]],
 *    "per_class": [{"name", "support", "precision", "recall", "f1", "roc_auc", "average_precision"}],
 *    "heads": {name: {"kind": "number", "mae": x, ...}, name: {"kind": "class", "accuracy": x, ...}},
 *    "undefined": {"roc_auc_ovr_macro": reason, "per_class[3].precision": reason, "heads.age.r2": reason,
 * ...}} A head of classes has its confusion and per_class, too. An undefined number is null and has its
 * reason in "undefined"; numbers that do not apply are left out. names: (m->k) class names; split: what was
 * evaluated ("test"); loss: what the history calls val_loss, NaN when not computed; n_bad: images of it that
 * could not be used; heads (n_heads) may be NULL. FT_E_IO, FT_E_MEMORY: the file is as it was. */
ft_err ft_metrics_json_write(const char *path, const ft_metrics *m, const char *const *names,
                             const char *split, double loss, int64_t n_bad, int32_t n_heads,
                             const ft_head_result *heads);

#endif

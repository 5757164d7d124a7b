/* Classification metrics over a whole set, named and defined as scikit-learn's (sklearn.metrics).
 *
 * - The prediction of a row is its largest probability, the first of equals (numpy.argmax).
 * - Everything is computed in double from the whole set, never averaged over batches.
 * - Macro and weighted averages are over the classes that occur in the truth or the predictions and count an
 * undefined class as 0 (zero_division=0), so they equal scikit-learn's numbers. The class's own entry is NaN
 * with a reason. F1 is 2 tp / (support + predicted), so it is 0, not undefined, for a class that is never
 * predicted but occurs.
 * - balanced_accuracy averages the recall of the classes that occur in the truth.
 * - mcc is 0 when truth or prediction is constant (scikit-learn's convention).
 * - log_loss clips probabilities to [eps, 1-eps], eps = 2^-52 (that of double), then divides each row by its
 * sum.
 * - top_k_accuracy (k of 3, 5, 10) is the share of rows whose truth is among the k most probable classes; it
 * ranks equal probabilities by descending class index, as top_k_accuracy_score does.
 * - roc_auc_ovr_macro and average_precision_macro are means over all k classes; where one class is undefined,
 * so are they, and roc_auc_ovo_macro: the area under the curve of every pair of classes on their rows alone,
 * the mean of both ways round, and of that over all pairs (Hand, Till 2001; multi_class="ovo",
 * average="macro").
 * - brier is the mean over the rows of sum_c (p_c - [c is the label])^2; of two classes half of that, which
 * is (p_1 - label)^2 (brier_score_loss).
 * - calibration_error is sum_b n_b/n |share of right rows in b - mean confidence in b| over the bins of the
 * largest probability (Guo et al. 2017).
 *
 * A number that cannot be computed is NaN and has a reason; one that does not apply (see each) is NaN and has
 * none.
 */
#ifndef FACET_EVAL_METRICS_H
#define FACET_EVAL_METRICS_H

#include "eval/interval.h"
#include "eval/scored.h"

#include <stdbool.h>

/*   name (as in metrics.json)     label */
#define FT_METRICS(X)                                                               \
    X(accuracy, "Accuracy")                                                         \
    X(balanced_accuracy, "Balanced accuracy")                                       \
    X(top_3_accuracy, "Top-3 accuracy") /* these apply to more classes than that */ \
    X(top_5_accuracy, "Top-5 accuracy")                                             \
    X(top_10_accuracy, "Top-10 accuracy")                                           \
    X(precision_macro, "Precision (macro)")                                         \
    X(recall_macro, "Recall (macro)")                                               \
    X(f1_macro, "F1 (macro)")                                                       \
    X(precision_micro, "Precision (micro)")                                         \
    X(recall_micro, "Recall (micro)")                                               \
    X(f1_micro, "F1 (micro)")                                                       \
    X(precision_weighted, "Precision (weighted)")                                   \
    X(recall_weighted, "Recall (weighted)")                                         \
    X(f1_weighted, "F1 (weighted)")                                                 \
    X(precision, "Precision (class 1)") /* these four apply when k == 2 */          \
    X(recall, "Recall (class 1)")                                                   \
    X(f1, "F1 (class 1)")                                                           \
    X(roc_auc, "ROC AUC (class 1)")                                                 \
    X(mcc, "Matthews correlation")                                                  \
    X(kappa, "Cohen's kappa")                                                       \
    X(log_loss, "Log loss")                                                         \
    X(brier, "Brier score")                                                         \
    X(calibration_error, "Calibration error")                                       \
    X(roc_auc_ovr_macro, "ROC AUC (one-vs-rest, macro)")                            \
    X(roc_auc_ovo_macro, "ROC AUC (one-vs-one, macro)")                             \
    X(average_precision_macro, "Average precision (macro)")

#define FT_CLASS_METRICS(X)   \
    X(precision, "Precision") \
    X(recall, "Recall")       \
    X(f1, "F1")               \
    X(roc_auc, "ROC AUC")     \
    X(average_precision, "Avg. precision")

enum {
#define FT_METRIC_ENUM(name, label) FT_METRIC_##name,
    FT_METRICS(FT_METRIC_ENUM)
#undef FT_METRIC_ENUM
        FT_N_METRICS
};
enum {
#define FT_METRIC_ENUM(name, label) FT_CLASS_METRIC_##name,
    FT_CLASS_METRICS(FT_METRIC_ENUM)
#undef FT_METRIC_ENUM
        FT_N_CLASS_METRICS
};

typedef struct ft_class_metrics {
    int32_t support;   /* rows of this class */
    int32_t predicted; /* rows predicted to be of this class */
#define FT_METRIC_FIELD(name, label) double name;
    FT_CLASS_METRICS(FT_METRIC_FIELD)
} ft_class_metrics;

/* Of what the rows of a calibration bin say and are: sums over the rows. */
typedef struct ft_calibration_bin {
    double n, right, confidence;
} ft_calibration_bin;

typedef struct ft_metrics {
    int64_t n;
    int32_t k;
    FT_METRICS(FT_METRIC_FIELD)
#undef FT_METRIC_FIELD
    const char *reason[FT_N_METRICS]; /* why a number is undefined, else NULL; not to be freed */
    int32_t replicates; /* of the bootstrap that made the intervals (eval/bootstrap.h); 0: none */
    ft_interval interval[FT_N_METRICS];
    ft_calibration_bin calibration[FT_CALIBRATION_BINS];
    int32_t *confusion;          /* (k, k): rows truth, columns prediction */
    ft_class_metrics *per_class; /* (k) */
} ft_metrics;

/* Fills *m from prob (n, k) and label (n), labels in 0 .. k-1. 1 <= n < 2^31, k >= 2. Release with
 * ft_metrics_free. FT_E_DATA (a label out of range, n or k too small), FT_E_NUMERIC (a probability that is
 * not finite), FT_E_MEMORY: *m is empty and needs no free. */
ft_err ft_metrics_compute(ft_metrics *m, int64_t n, int32_t k, const float *prob, const int32_t *label);
void ft_metrics_free(ft_metrics *m);

/* The same in pieces, for rows that count weight (n) times each (NULL: once), with room (k x k) that is made
 * once: begin, then count, rank for every class c with what ft_ranking_weighted gave of it, and finish; and
 * again from count on. FT_E_MEMORY: *m needs no free. */
ft_err ft_metrics_begin(ft_metrics *m, int32_t k);
void ft_metrics_count(ft_metrics *m, const ft_scored *s, const uint8_t *weight);
void ft_metrics_rank(ft_metrics *m, int32_t c, const int64_t *area, double average_precision);
void ft_metrics_finish(ft_metrics *m);

/* Index of the largest of p (k), the first of equals. */
int32_t ft_argmax(const float *p, int32_t k);

/* The tables above by index: name, label and value of metric i, for writers that go through all of them. */
const char *ft_metric_name(int i);
const char *ft_metric_label(int i);
double ft_metric_value(const ft_metrics *m, int i);
/* NaN, NaN where the value is undefined or no interval was computed. */
ft_interval ft_metric_interval(const ft_metrics *m, int i);
/* Whether metric i says something for this k. */
bool ft_metric_applies(const ft_metrics *m, int i);

const char *ft_class_metric_name(int i);
const char *ft_class_metric_label(int i);
double ft_class_metric_value(const ft_class_metrics *c, int i);
/* Why metric i of a class is undefined; NULL when it is defined. */
const char *ft_class_metric_reason(const ft_metrics *m, int32_t cls, int i);

/* Class indices with the lowest F1 first, undefined ones last, equals in class order. order: (k). */
void ft_metrics_order_by_f1(const ft_metrics *m, int32_t *order);

#endif

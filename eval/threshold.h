/* Binary decisions: from which probability of class 1 on to say "class 1". A threshold is chosen on one set
 * and told what it is worth on another; chosen on the set that it is judged by, it would look better than it
 * is.
 */
#ifndef FACET_EVAL_THRESHOLD_H
#define FACET_EVAL_THRESHOLD_H

#include "tensor/error.h"

#include <stdbool.h>
#include <stdint.h>

/*    name      label      the most of the false positive rate, or 0: none is asked for */
#define FT_THRESHOLD_RULES(X)                             \
    X(max_f1, "Highest F1", 0)                            \
    X(max_youden, "Highest Youden's J", 0)                \
    X(fpr_10, "False positive rate of 10 % at most", 0.1) \
    X(fpr_1, "False positive rate of 1 % at most", 0.01)  \
    X(fpr_wanted, "False positive rate as wanted", 0) /* where the caller says which */

enum {
#define FT_RULE_ENUM(name, label, fpr) FT_RULE_##name,
    FT_THRESHOLD_RULES(FT_RULE_ENUM)
#undef FT_RULE_ENUM
        FT_N_RULES
};

typedef struct ft_threshold {
    double threshold; /* class 1 from here on; NaN: there is none, see reason */
    double accuracy, precision, recall, f1, fpr, youden; /* at it; NaN where undefined */
    const char *reason;
} ft_threshold;

typedef struct ft_thresholds {
    const char *chosen_on; /* the part's name, static; NULL: none were chosen */
    double wanted;         /* the false positive rate of rule fpr_wanted; 0: that rule does not apply */
    ft_threshold rule[FT_N_RULES];
} ft_thresholds;

/* Chooses of the n >= 1 rows' scores (score i is score[i * stride], finite) those that are best there; of
 * equally good ones the highest. youden: Youden's J = true positive rate - false positive rate. FT_E_MEMORY.
 */
ft_err ft_thresholds_choose(ft_thresholds *t, int64_t n, const float *score, int64_t stride,
                            const int32_t *label, const char *part);
/* What they are worth on these rows. */
void ft_thresholds_apply(ft_thresholds *t, int64_t n, const float *score, int64_t stride,
                         const int32_t *label);

/* The numbers of a threshold by index, for writers: what it is called, what it is, why it is undefined (else
 * NULL). */
enum { FT_N_THRESHOLD_NUMBERS = 7 };
const char *ft_threshold_name(int i);
double ft_threshold_value(const ft_threshold *t, int i);
const char *ft_threshold_reason(const ft_threshold *t, int i);

const char *ft_rule_name(int rule);
bool ft_rule_applies(const ft_thresholds *t, int rule);
const char *ft_rule_label(int rule);

#endif

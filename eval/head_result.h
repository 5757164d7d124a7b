/* What a further head of a model was worth, for the writers of results. Everything is borrowed. */
#ifndef FACET_EVAL_HEAD_RESULT_H
#define FACET_EVAL_HEAD_RESULT_H

#include "eval/metrics.h"
#include "eval/multilabel.h"
#include "eval/regression.h"

enum { FT_HEAD_NUMBERS = 8 /* the most of a head that is not one of classes */ };

typedef struct ft_head_result {
    const char *name;
    /* One of the three tells the kind. */
    const ft_metrics *classes;       /* prediction (n, k) probabilities, truth (n) class numbers */
    const ft_regression *numbers;    /* prediction (n), truth (n) */
    const ft_multilabel *multilabel; /* prediction (n, k) probabilities, truth (n, k) */
    const char *const *class_names;  /* (k); NULL of numbers */
    const float *prediction, *truth;
    const ft_interval
        *interval; /* of the numbers, in their order; NULL: none, or of classes, which have their own */
} ft_head_result;

/* Its headline numbers: calls for each with its name in metrics.json, its label, its interval if it has one,
 * and, if the value is NaN, why. */
typedef void ft_head_number(void *ctx, const char *name, const char *label, double value,
                            ft_interval interval, const char *reason);
void ft_head_numbers(const ft_head_result *h, ft_head_number *call, void *ctx);
/* "class", "number", "multi" */
const char *ft_head_kind(const ft_head_result *h);
/* The truth, or the prediction, of row i as a field of a table: a class, a number, classes with '|' between.
 */
void ft_head_text(const ft_head_result *h, int64_t i, bool truth, char *text, size_t bytes);

#endif

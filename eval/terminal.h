/* The result of an evaluation as text for a terminal, at most 79 columns wide. */
#ifndef FACET_EVAL_TERMINAL_H
#define FACET_EVAL_TERMINAL_H

#include "eval/head_result.h"
#include "eval/threshold.h"

#include <stdio.h>

/* Prints the headline numbers and a table of the classes to f: all of them in their order, or with more than
 * 20 the 20 of lowest F1. names: (m->k); split: what was evaluated; loss: NaN when not computed. "-" stands
 * for an undefined number, with the reason below. FT_E_MEMORY: only the headline was printed. */
ft_err ft_metrics_print(FILE *f, const ft_metrics *m, const char *const *names, const char *split,
                        double loss);
/* Thresholds of two classes, if any were chosen; name: of class 1. */
void ft_thresholds_print(FILE *f, const ft_thresholds *t, const char *name);
/* The headline numbers of further heads (n). */
void ft_heads_print(FILE *f, int32_t n, const ft_head_result *heads);

#endif

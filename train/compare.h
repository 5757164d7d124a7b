/* Two models on the same data: what the results of a comparison leave behind. */
#ifndef FACET_TRAIN_COMPARE_H
#define FACET_TRAIN_COMPARE_H

#include "eval/comparison.h"
#include "train/evaluate.h"

#include <stdio.h>

/* Compares evaluations of the same samples; a sample that only one of them has is left out. FT_E_DATA: none
 * is in both; FT_E_MEMORY. *c then needs no free. */
ft_err ft_compare(const ft_evaluation *a, const ft_evaluation *b, int32_t replicates, ft_comparison *c);

/* Writes comparison.json into the folder. FT_E_IO, FT_E_MEMORY. */
ft_err ft_compare_write(const char *folder, const char *name_a, const char *name_b, const char *split,
                        const ft_comparison *c);
/* For people, at most 79 columns. */
void ft_compare_print(FILE *f, const char *name_a, const char *name_b, const char *split,
                      const ft_comparison *c);

#endif

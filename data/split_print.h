/* What there is to tell of a split: a table, a file, and the images that are on both sides of it. */
#ifndef FACET_DATA_SPLIT_PRINT_H
#define FACET_DATA_SPLIT_PRINT_H

#include "data/split.h"
#include "data/survey.h"

/* Images by class and part, for people. */
void ft_split_print(FILE *f, const ft_dataset *ds, const ft_split *split);
/* Writes (replaces, atomically) a CSV file for data.split.by: list. FT_E_IO, FT_E_MEMORY. */
ft_err ft_split_write(const char *path, const ft_dataset *ds, const ft_split *split);
/* Names pixel-identical images in different parts, the first few of *n_leaks. FT_E_MEMORY. */
ft_err ft_split_print_leaks(FILE *f, const ft_dataset *ds, const ft_split *split, const ft_survey *s,
                            int32_t *n_leaks);

#endif

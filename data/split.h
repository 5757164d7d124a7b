/* Dividing a data set into training, validation and test parts. */
#ifndef FACET_DATA_SPLIT_H
#define FACET_DATA_SPLIT_H

#include "data/dataset.h"

typedef enum ft_part { FT_PART_TRAIN, FT_PART_VAL, FT_PART_TEST, FT_PARTS } ft_part;

/* "train", "val", "test" */
const char *ft_part_name(ft_part part);

/* Fractions of the samples, by part; each 0 to 1, their sum at most 1 (1e-6 of rounding allowed). What is
 * left of 1 stays unused. */
typedef struct ft_split_spec {
    double fraction[FT_PARTS];
    uint64_t seed;
} ft_split_spec;

/* Sample numbers by part, ascending; owned. */
typedef struct ft_split {
    int32_t *index[FT_PARTS]; /* (n[part]) */
    int32_t n[FT_PARTS];
} ft_split;

/* Splits class by class (stratified): each part's share of a class is its exact share rounded down or up
 * (largest remainder; roundings of earlier classes are made up for by later ones, so the parts' totals are
 * right too), except that every class gets a training image when there is a training part. The same seed
 * gives the same split on every machine.
 *
 * Parts that the data set itself fixes (an official test set) are taken whole whatever their fraction; the
 * other fractions then divide the other samples, scaled up by 1 / (1 - the fixed parts' fractions).
 *
 * FT_E_CONFIG for bad fractions; FT_E_DATA when a part with a fraction above 0 gets no image. After a failure
 * *split is empty. */
ft_err ft_split_make(const ft_dataset *ds, const ft_split_spec *spec, ft_split *split);
/* Releases the lists and leaves *split empty. */
void ft_split_free(ft_split *split);

#endif

/* Dividing a data set into training, validation and test parts. */
#ifndef FACET_DATA_SPLIT_H
#define FACET_DATA_SPLIT_H

#include "data/dataset.h"

typedef enum ft_part { FT_PART_TRAIN, FT_PART_VAL, FT_PART_TEST, FT_PARTS } ft_part;

/* "train", "val", "test" */
const char *ft_part_name(ft_part part);

typedef enum ft_split_by {
    FT_SPLIT_STRATIFIED, /* class by class: each part's share of a class is its exact share rounded down or up
                            (largest remainder; roundings of earlier classes are made up for by later ones, so
                            the parts' totals are right too), except that every class gets a training image
                            when there is a training part */
    FT_SPLIT_GROUP, /* groups stay whole; of what that leaves, the sizes of the parts and their shares of the
                       classes come as near to the fractions as giving the groups out one by one, the largest
                       first, brings them */
    FT_SPLIT_HASH,  /* by a hash of each image's file: where an image goes depends on nothing but its content,
                       the fractions and the seed, so images that are added never move others, and copies of
                       a file stay together. The fractions are met on average */
    FT_SPLIT_LIST   /* a CSV file says it: file, part */
} ft_split_by;

/* "stratified", "group", "hash", "list". FT_E_CONFIG lists them; *by is then unchanged. */
ft_err ft_split_by_parse(const char *name, ft_split_by *by);

enum { FT_SPLIT_MAX_FOLDS = 50 };

/* Fractions of the samples, by part; each 0 to 1, their sum at most 1 (1e-6 of rounding allowed). What is
 * left of 1 stays unused. */
typedef struct ft_split_spec {
    double fraction[FT_PARTS];
    ft_split_by by;
    const char *list; /* FT_SPLIT_LIST: the file */
    int32_t folds;    /* 0, or 2 to FT_SPLIT_MAX_FOLDS: what is not test is divided into so many parts of one
                         size, */
    int32_t fold;     /* of which this one (from 0) is validation and the others are training */
    uint64_t seed;
} ft_split_spec;

/* Sample numbers by part, ascending; owned. */
typedef struct ft_split {
    int32_t *index[FT_PARTS]; /* (n[part]) */
    int32_t n[FT_PARTS];
} ft_split;

/* Splits. The same seed gives the same split on every machine.
 *
 * Parts that the data set itself fixes (an official test set) are taken whole whatever their fraction; the
 * other fractions then divide the other samples, scaled up by 1 / (1 - the fixed parts' fractions).
 *
 * FT_E_CONFIG for bad fractions, folds, or groups that the data set has not; FT_E_DATA when a part with a
 * fraction above 0 gets no image, or for a list that does not suit the data set; FT_E_IO, FT_E_MEMORY. After
 * a failure *split is empty. */
ft_err ft_split_make(const ft_dataset *ds, const ft_split_spec *spec, ft_split *split);
/* Releases the lists and leaves *split empty. */
void ft_split_free(ft_split *split);

#endif

/* What is in a data set: every image decoded once. */
#ifndef FACET_DATA_SURVEY_H
#define FACET_DATA_SURVEY_H

#include "data/dataset.h"

#include <stdio.h>

typedef struct ft_survey {
    int32_t n;             /* samples of the data set */
    int32_t *w, *h;        /* (n) pixels; 0: the image is bad */
    char **reason;         /* (n): why it is bad; NULL: it is not */
    int32_t *first;        /* (n): the first sample with the same pixels, itself if it is that; -1: bad */
    int32_t *next;         /* (n): the next sample with the same pixels; -1: none */
    int32_t n_bad, n_grey; /* grey: red, green and blue are equal everywhere */
    int32_t n_repeats;     /* samples that are not their first */
    int32_t n_conflicts;   /* of these: the first one's class is another */
    int32_t *per_class;    /* (ds->n_classes) samples, bad ones included */
    double mean[3],
        deviation[3]; /* of red, green, blue in [0, 1] over the pixels of all good images; 0 without one */
} ft_survey;

/* Called now and then: done of n. */
typedef void ft_survey_told(void *ctx, int64_t done, int64_t n);

/* Decodes all images, on all threads. told may be NULL. A bad image is no failure; FT_E_IO, FT_E_MEMORY are,
 * and *s then needs no free. */
ft_err ft_survey_make(const ft_dataset *ds, ft_survey_told *told, void *ctx, ft_survey *s);
void ft_survey_free(ft_survey *s);

/* For people, and as one JSON object: {"kind", "n", "n_bad", "bad": [{"file", "reason"}], "classes":
 * [{"name", "n"}], "imbalance", "width": {"min", "median", "max"}, "height", "n_grey", "mean": [red, green,
 * blue], "deviation", "n_repeats", "n_conflicts", "repeats": [[file, ...]]}. */
void ft_survey_print(FILE *f, const ft_dataset *ds, const ft_survey *s);
void ft_survey_json(FILE *f, const ft_dataset *ds, const ft_survey *s);

#endif

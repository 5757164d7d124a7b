/* The columns of a list that are targets beside the class; private to data/. */
#ifndef FACET_DATA_LIST_TARGETS_H
#define FACET_DATA_LIST_TARGETS_H

#include "data/csv.h"
#include "data/dataset.h"
#include "data/intern.h"

typedef struct ft_list_column {
    int32_t column;
    ft_intern texts; /* CLASS: the classes; MULTI: the fields */
    ft_intern parts; /* MULTI: the classes */
    uint8_t *member; /* MULTI: (texts.n, parts.n) */
} ft_list_column;

/* Start with {0}. */
typedef struct ft_list_targets {
    int32_t n;
    ft_target *targets;      /* (n): what the data set shows */
    ft_list_column *columns; /* (n) */
    float *value;            /* (samples, n): a number, or that of a text */
    int64_t room;
} ft_list_targets;

/* Finds the columns that specs (n) name in the header c. FT_E_CONFIG, FT_E_MEMORY. */
ft_err ft_list_targets_open(ft_list_targets *t, const ft_csv *c, const char *const *specs, int32_t n);
/* Takes them from a record, for sample i, the next. FT_E_DATA, FT_E_MEMORY. */
ft_err ft_list_targets_add(ft_list_targets *t, const ft_csv *c, int32_t i);
/* After the last of n samples: numbers the classes in their order. FT_E_MEMORY. */
ft_err ft_list_targets_close(ft_list_targets *t, int32_t n);
void ft_list_targets_free(ft_list_targets *t);

void ft_list_targets_get(const ft_list_targets *t, int32_t i, int32_t target, float *out);

#endif

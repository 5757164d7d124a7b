/* Distinct texts, numbered: what a column of a list holds, for instance. */
#ifndef FACET_DATA_INTERN_H
#define FACET_DATA_INTERN_H

#include "tensor/error.h"

#include <stdbool.h>
#include <stdint.h>

/* Start with {0}. */
typedef struct ft_intern {
    char **text; /* (n), owned */
    int32_t n;
    int32_t *slot; /* (n_slots): hash table of numbers; -1: free */
    int32_t n_slots;
} ft_intern;

void ft_intern_free(ft_intern *t);

/* The number of the text, a new one if it was not there. FT_E_MEMORY. */
ft_err ft_intern_add(ft_intern *t, const char *text, int32_t *number);
/* Its number, or -1. */
int32_t ft_intern_find(const ft_intern *t, const char *text);
/* Renumbers: in the order of numbers if all texts are numbers, else bytewise. rank (n): the new number of
 * each old one. FT_E_MEMORY: nothing changes. */
ft_err ft_intern_sort(ft_intern *t, int32_t *rank);

#endif

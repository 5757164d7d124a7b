/* Many short texts in one piece of memory, one after the other, each with its end. */
#ifndef FACET_DATA_TEXTS_H
#define FACET_DATA_TEXTS_H

#include "tensor/error.h"

/* Start with {0}; free(p). */
typedef struct ft_texts {
    char *p;
    size_t n, room; /* bytes used, and there */
} ft_texts;

/* Adds a text, which then stands at p + *at. p moves as it grows. FT_E_MEMORY. */
ft_err ft_texts_add(ft_texts *t, const char *text, size_t *at);

#endif

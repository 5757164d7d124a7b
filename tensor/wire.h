/* What one process hands to another in a stream: numbers and texts. The reader believes nothing: the other
 * side may have been taken over by a hostile file.
 */
#ifndef FACET_TENSOR_WIRE_H
#define FACET_TENSOR_WIRE_H

#include "tensor/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Errors of the stream are left to its ferror(). text NULL: none. */
void ft_wire_put(FILE *to, int64_t x);
void ft_wire_put_text(FILE *to, const char *text);
void ft_wire_put_bytes(FILE *to, const void *p, size_t n);

typedef struct ft_wire {
    FILE *from;
    int64_t left;     /* bytes */
    const char *path; /* of the file it is about, for messages */
    ft_err kind;      /* of what cannot be */
} ft_wire;

/* From the stream's start. */
ft_wire ft_wire_open(FILE *from, const char *path, ft_err kind);
/* All of them fail with wire->kind, or FT_E_MEMORY. */
ft_err ft_wire_take_bytes(ft_wire *w, void *p, int64_t n);
ft_err ft_wire_take(ft_wire *w, int64_t low, int64_t high, int64_t *x);
/* The caller's to free. *text is NULL after a failure, and where there was none, which is a failure unless
 * optional. */
ft_err ft_wire_take_text(ft_wire *w, bool optional, char **text);

#endif

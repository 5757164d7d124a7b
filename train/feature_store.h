/* Rows of numbers in a file, and in memory as well while they fit: what a frozen prefix gives for each image.
 *
 *     header | n entries: what the row was made of, its checksum | n rows
 *
 * A row is there when its entry says so, the checksum is right, and it was made of the content asked for. The
 * entry is written after the row, so a run that is killed loses at most the row under way; one that a lost
 * power supply left half-written fails its checksum and counts as absent. Numbers are those of this machine:
 * a file of a machine with another byte order is started anew.
 */
#ifndef FACET_TRAIN_FEATURE_STORE_H
#define FACET_TRAIN_FEATURE_STORE_H

#include "tensor/error.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct ft_feature_store ft_feature_store;

typedef struct ft_feature_spec {
    uint64_t key; /* of everything that a row depends on besides its image; a file with another key, or
                     of another size, is started anew */
    int64_t rows, floats; /* floats: numbers in a row */
    bool bf16;            /* kept with 8 bits of mantissa, rounded to nearest even: half the size */
    int64_t memory_bytes; /* rows are kept in memory if all fit in; else each is read when it is wanted */
} ft_feature_spec;

/* Opens or makes the file at path, reserving its whole size. FT_E_IO: cannot be made, or the disk is too
 * full; FT_E_MEMORY. *out is then NULL. */
ft_err ft_feature_store_open(const char *path, const ft_feature_spec *spec, ft_feature_store **out);
void ft_feature_store_free(ft_feature_store *s); /* NULL is fine; the file stays */

/* Is the row there, made of that content? */
bool ft_feature_store_has(const ft_feature_store *s, int64_t row, uint64_t content);
/* p: (floats). FT_E_IO: the row is then absent. */
ft_err ft_feature_store_put(ft_feature_store *s, int64_t row, uint64_t content, const float *p);
/* A row that is there. FT_E_IO: the file was damaged meanwhile; the message says to remove it. */
ft_err ft_feature_store_get(const ft_feature_store *s, int64_t row, float *p);

bool ft_feature_store_in_memory(const ft_feature_store *s);
int64_t ft_feature_store_bytes(const ft_feature_store *s); /* of the file */

#endif

/* What is in an HDF5 file and where: the names of all groups and datasets, their attributes, and the places
 * of the datasets' bytes, which are then read without HDF5.
 *
 * A crafted file can break HDF5, so a child reads it (tensor/child.h), sealed, from memory: no file can be
 * opened from within a file. What it hands back is checked here. Refused: soft, external and user-defined
 * links, objects that are neither group nor dataset, groups nested beyond reason, places outside the file.
 *
 * Object names have no leading '/'; "/" is the root. Failures are of the kind given to ft_h5_open, FT_E_IO
 * (the disk failed) or FT_E_MEMORY.
 */
#ifndef FACET_DATA_HDF5_INDEX_H
#define FACET_DATA_HDF5_INDEX_H

#include "tensor/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Little-endian; text of a fixed length. FT_H5_OTHER: anything else, which is not read. */
typedef enum ft_h5_type {
    FT_H5_OTHER,
    FT_H5_F32,
    FT_H5_F64,
    FT_H5_I32,
    FT_H5_I64,
    FT_H5_U8,
    FT_H5_U64,
    FT_H5_TEXT,
    FT_H5_TYPES
} ft_h5_type;
enum { FT_H5_RANK = 6, FT_H5_NAME = 512 /* bytes of an object's whole name */ };

typedef struct ft_h5_attribute {
    char *name;
    ft_h5_type type;
    int64_t n;    /* items; a scalar has one */
    int64_t item; /* bytes of each */
    void *p;      /* (n, item), with a zero byte behind; NULL: of another type */
} ft_h5_attribute;

typedef struct ft_h5_piece {
    int64_t at, bytes; /* in the file */
} ft_h5_piece;

typedef struct ft_h5_object {
    char *name; /* "weights/c1/kernel" */
    bool dataset;
    ft_h5_type type;
    int64_t item; /* bytes of each */
    int32_t rank; /* -1: of no simple shape, or of more than FT_H5_RANK dimensions */
    int64_t dims[FT_H5_RANK];
    int64_t chunk; /* items of a chunk, of a one-dimensional dataset stored in chunks; 0: in one piece */
    int64_t n_pieces, n_attributes;
    ft_h5_piece *piece; /* none: its bytes are not in this file as they are in memory */
    ft_h5_attribute *attribute;
} ft_h5_object;

typedef struct ft_h5_index {
    char *path;
    ft_err kind; /* of what is wrong with the file */
    int fd;
    int64_t size;         /* of the file, bytes */
    ft_h5_object *object; /* (n), sorted by strcmp of their names */
    int64_t n;
} ft_h5_index;

ft_err ft_h5_open(const char *path, ft_err kind, ft_h5_index **out);
void ft_h5_close(ft_h5_index *x); /* NULL is fine */

const ft_h5_object *ft_h5_find(const ft_h5_index *x, const char *name); /* NULL: it is not there */
bool ft_h5_has_attribute(const ft_h5_index *x, const char *object, const char *name);
/* n numbers of exactly this type; their bits survive. */
ft_err ft_h5_get_numbers(const ft_h5_index *x, const char *object, const char *name, ft_h5_type type,
                         int64_t n, void *p);
/* The caller's to free; *out is NULL after a failure. */
ft_err ft_h5_get_string(const ft_h5_index *x, const char *object, const char *name, char **out);

/* Bytes of a dataset's contents. */
int64_t ft_h5_bytes(const ft_h5_object *dataset);
/* Whether its bytes lie in the file in one piece, as they are in memory. */
bool ft_h5_is_plain(const ft_h5_object *dataset);
/* Bytes first ... first + n - 1 of a plain dataset to p; or all of it (ft_h5_bytes). */
ft_err ft_h5_read_part(const ft_h5_index *x, const ft_h5_object *dataset, int64_t first, int64_t n, void *p);
ft_err ft_h5_read(const ft_h5_index *x, const ft_h5_object *dataset, void *p);

/* What the child does with a file in memory (size bytes), and how its answer becomes an index without fd. */
ft_err ft_h5_scan(const void *bytes, int64_t size, const char *path, ft_err kind, FILE *out);
ft_err ft_h5_index_take(FILE *from, const char *path, ft_err kind, int64_t size, ft_h5_index **out);

#endif

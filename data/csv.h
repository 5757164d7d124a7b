/* Records of a CSV (RFC 4180) or TSV file, one at a time, in bounded memory. */
#ifndef FACET_DATA_CSV_H
#define FACET_DATA_CSV_H

#include "tensor/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { FT_CSV_FIELDS = 256, FT_CSV_BYTES = 1 << 16 /* of a record */ };

typedef struct ft_csv {
    FILE *file;
    char separator; /* ',' or '\t' */
    const char *path;
    int64_t line; /* on which the last record began, from 1 */
    int64_t at;   /* the line under way */
    int32_t n;    /* fields of the last record */
    char *field[FT_CSV_FIELDS];
    char text[FT_CSV_BYTES];
} ft_csv;

/* Opens the file at path, which outlives c; TSV if it ends in .tsv. FT_E_IO; *c then needs no closing. */
ft_err ft_csv_open(ft_csv *c, const char *path);
void ft_csv_close(ft_csv *c);

/* The next record: c->n fields, valid until the next call; n is 0 at the end. Blank lines are passed over.
 * FT_E_DATA names the line: a quote that does not end, a zero byte, too many or too long fields; FT_E_IO. */
ft_err ft_csv_next(ft_csv *c);

/* The field of the last record, the header, that is this name; -1: none. */
int32_t ft_csv_find(const ft_csv *c, const char *name);
/* The field of the last record, the header, that is the len bytes at name. FT_E_CONFIG, about the setting
 * `what`, lists the fields there are. */
ft_err ft_csv_column(const ft_csv *c, const char *what, const char *name, size_t len, int32_t *column);

#endif

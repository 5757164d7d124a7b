/* Files of data: opening them, and telling what is a file's own fault (FT_E_DATA) from what is the system's
 * (FT_E_IO). */
#ifndef FACET_DATA_DATA_FILE_H
#define FACET_DATA_DATA_FILE_H

#include "tensor/error.h"

#include <stdint.h>
#include <stdio.h>

/* Opens the regular file at path for reading; *bytes is its size and may be NULL. FT_E_DATA: it is not there,
 * may not be read, or is no file; FT_E_IO, FT_E_MEMORY. */
ft_err ft_data_file_open(const char *path, FILE **file, int64_t *bytes);
/* The whole of a file, of up to a gibibyte, in memory that is the caller's to free. FT_E_DATA also if it is
 * larger. */
ft_err ft_data_file_read(const char *path, uint8_t **bytes, size_t *n);
/* XXH3-64 of a file's content. Errors as ft_data_file_open. */
ft_err ft_data_file_hash(const char *path, uint64_t *hash);

#endif

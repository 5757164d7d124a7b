/* HDF5 as Facet wants it: quiet, without a say in how the process ends, reading from memory. */
#ifndef FACET_DATA_HDF5_START_H
#define FACET_DATA_HDF5_START_H

#include "tensor/error.h"

#include <hdf5.h>
#include <stdint.h>

/* Before anything else of HDF5; any number of times. Errors are not printed. Nothing is tidied up when the
 * process ends: the files are closed, and where a close failed HDF5 1.10 would crash there. FT_E_MEMORY. */
ft_err ft_hdf5_start(void);

/* Closes any handle; fine with a negative one. */
void ft_hdf5_drop(hid_t id);
/* HDF5's own words on the failure of its last call, valid until its next. */
const char *ft_hdf5_reason(void);

/* Maps a file into memory, *size bytes, for reading; munmap releases it. FT_E_MEMORY, or an error of this
 * kind: it is no regular file, or empty. */
ft_err ft_hdf5_map(int fd, const char *path, ft_err kind, void **p, int64_t *size);
/* Opens a file that is in memory, for reading, without copying it: bytes must stay. Negative: it is none, or
 * damaged. */
hid_t ft_hdf5_open_image(const void *bytes, size_t n);

#endif

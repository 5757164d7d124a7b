/* Writing HDF5 files: named float32 datasets, strings and numbers.
 *
 * Of the format a small part is written: contiguous datasets with a checksum (XXH3-64 of their bytes) as an
 * attribute, fixed-length UTF-8 strings, 64-bit numbers, hard links. Metadata is in the layout of HDF5 1.8,
 * whose every piece carries a checksum. So damage anywhere in a file is found (train/h5_read.h). HDF5 does
 * not survive a write that fails or memory that runs out, so a child writes (tensor/child.h).
 *
 * Object names have no leading '/'; "/" is the root. All fail with FT_E_IO or FT_E_MEMORY.
 */
#ifndef FACET_TRAIN_H5_WRITE_H
#define FACET_TRAIN_H5_WRITE_H

#include "data/hdf5_index.h"

#include <hdf5.h>

typedef struct ft_h5 {
    hid_t file;
    const char *path; /* what it is to be, for messages */
} ft_h5;

typedef ft_err ft_h5_fill(ft_h5 *f, const void *ctx);
/* Replaces path, on the disk for good, by a file that fill puts things into. After a failure, fill's own
 * included, path is as it was. plain: in HDF5's oldest layout, without checksums, for other programs. */
ft_err ft_h5_write(const char *path, bool plain, ft_h5_fill *fill, const void *ctx);

/* Makes the group of that name and those above it, where they are not there. */
ft_err ft_h5_group(ft_h5 *f, const char *name);
/* Attributes: n numbers (1: a scalar) of FT_H5_I64, FT_H5_U64 or FT_H5_F64; a string. */
ft_err ft_h5_set_numbers(ft_h5 *f, const char *object, const char *name, ft_h5_type type, int32_t n,
                         const void *data);
ft_err ft_h5_set_string(ft_h5 *f, const char *object, const char *name, const char *value);
/* Datasets, and the groups above; rank <= 4; n strings. */
ft_err ft_h5_write_floats(ft_h5 *f, const char *name, int32_t rank, const int64_t dims[], const float *p);
ft_err ft_h5_write_strings(ft_h5 *f, const char *name, int32_t n, const char *const *strings);

/* For whoever writes with HDF5 itself: the failure of its last call. */
ft_err ft_h5_write_error(const ft_h5 *f, const char *what, const char *name);

#endif

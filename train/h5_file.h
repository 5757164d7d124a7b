/* A thin layer over HDF5: named float32 datasets, strings and numbers, with messages that name file and
 * object.
 *
 * Of the format it writes and accepts a small part: contiguous datasets with a checksum (XXH3-64 of their
 * bytes) as an attribute, fixed-length UTF-8 strings, 64-bit numbers, hard links. Metadata is in the layout
 * of HDF5 1.8, whose every piece carries a checksum. So damage anywhere in a file is found. HDF5 is not
 * thread-safe: one thread at a time.
 *
 * Object names have no leading '/'; "/" is the root. Reading fails with FT_E_WEIGHTS (FT_E_IO: the disk
 * failed), writing with FT_E_IO; all with FT_E_MEMORY. A failure leaves the file open.
 */
#ifndef FACET_TRAIN_H5_FILE_H
#define FACET_TRAIN_H5_FILE_H

#include "tensor/atomic_file.h"

#include <hdf5.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct ft_h5 {
    hid_t file;
    const char *path;      /* the caller's, outlives this */
    ft_atomic_file target; /* of a file being written */
} ft_h5;

/* Opens for reading. After a failure nothing is open. */
ft_err ft_h5_open(ft_h5 *f, const char *path);
/* Starts a file in memory that ft_h5_save puts at path; about expected_bytes long. After a failure nothing is
 * open. */
ft_err ft_h5_create(ft_h5 *f, const char *path, size_t expected_bytes);
/* The same in HDF5's oldest layout, without checksums, for other programs. */
ft_err ft_h5_create_plain(ft_h5 *f, const char *path, size_t expected_bytes);
/* Puts the file in place of path, on the disk for good, and closes it. FT_E_IO: path is as it was; close f.
 */
ft_err ft_h5_save(ft_h5 *f);
/* Closes a file; one being written and not saved is forgotten. Harmless after itself or a failed open. */
void ft_h5_close(ft_h5 *f);

/* Makes the group of that name and those above it, where they are not there. */
ft_err ft_h5_group(ft_h5 *f, const char *name);
bool ft_h5_has(ft_h5 *f, const char *name);

/* Attributes: n numbers (1: a scalar) of exactly this kind; their bits survive. */
typedef enum ft_h5_kind { FT_H5_I64, FT_H5_U64, FT_H5_F64 } ft_h5_kind;
ft_err ft_h5_set_numbers(ft_h5 *f, const char *object, const char *name, ft_h5_kind kind, int32_t n,
                         const void *data);
ft_err ft_h5_get_numbers(ft_h5 *f, const char *object, const char *name, ft_h5_kind kind, int32_t n,
                         void *data);
/* The string got is the caller's to free; *out is NULL after a failure. */
ft_err ft_h5_set_string(ft_h5 *f, const char *object, const char *name, const char *value);
ft_err ft_h5_get_string(ft_h5 *f, const char *object, const char *name, char **out);
bool ft_h5_has_attribute(ft_h5 *f, const char *object, const char *name);

/* Datasets, float32; rank <= 4. Writing makes the groups above. Reading takes a dataset that ft_h5_fits; a
 * checksum that does not match is FT_E_WEIGHTS and leaves p with what was read. */
ft_err ft_h5_write_floats(ft_h5 *f, const char *name, int32_t rank, const int64_t dims[], const float *p);
ft_err ft_h5_read_floats(ft_h5 *f, const char *name, int64_t n, float *p);
/* Whether the dataset is float32 of just these dimensions, stored as this file stores them; if not, why[96]
 * says what it is. */
bool ft_h5_fits(ft_h5 *f, const char *name, int32_t rank, const int64_t dims[], char why[96]);

/* Reads the dataset, whatever it holds, and checks its checksum. FT_E_WEIGHTS, FT_E_MEMORY. */
ft_err ft_h5_verify(ft_h5 *f, const char *name);

/* A dataset of n strings; got: (n) strings in one block, free(*out). */
ft_err ft_h5_write_strings(ft_h5 *f, const char *name, int32_t n, const char *const *strings);
ft_err ft_h5_read_strings(ft_h5 *f, const char *name, int32_t n, char ***out);

/* The names of all datasets, sorted by strcmp. Soft, external and user-defined links are refused, and so are
 * objects that are neither group nor dataset. */
typedef struct ft_h5_names {
    char **name;
    int64_t n, room;
} ft_h5_names;
ft_err ft_h5_list(ft_h5 *f, ft_h5_names *out);
void ft_h5_names_free(ft_h5_names *names);

#endif

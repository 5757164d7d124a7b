/* Reading what train/h5_write.h wrote: datasets with their checksums. (Attributes: data/hdf5_index.h.) All
 * fail with FT_E_WEIGHTS, naming file and object, FT_E_IO or FT_E_MEMORY.
 */
#ifndef FACET_TRAIN_H5_READ_H
#define FACET_TRAIN_H5_READ_H

#include "data/hdf5_index.h"

#define FT_H5_CHECKSUM "checksum" /* attribute of a dataset: XXH3-64 of its bytes */
enum { FT_H5_LONGEST = 1 << 16 }; /* bytes of a string in a dataset */

/* Whether the dataset is float32 of just these dimensions, stored in one piece; if not, why[96] says what it
 * is. */
bool ft_h5_fits(const ft_h5_index *x, const char *name, int32_t rank, const int64_t dims[], char why[96]);
/* A dataset that fits, of n numbers; a checksum that does not match leaves p with what was read. */
ft_err ft_h5_read_floats(const ft_h5_index *x, const char *name, int64_t n, float *p);
/* A dataset of n strings, in one block: free(*out). *out is NULL after a failure. */
ft_err ft_h5_read_strings(const ft_h5_index *x, const char *name, int32_t n, char ***out);
/* Reads the dataset, whatever it holds, and checks its checksum. */
ft_err ft_h5_verify(const ft_h5_index *x, const ft_h5_object *dataset);

#endif

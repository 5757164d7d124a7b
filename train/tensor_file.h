/* A batch of samples in any HDF5 file: one dataset of floating-point numbers, (n,h,w,c), or (h,w,c) for a
 * single sample. Read piece by piece, so it may be larger than the memory.
 */
#ifndef FACET_TRAIN_TENSOR_FILE_H
#define FACET_TRAIN_TENSOR_FILE_H

#include "tensor/error.h"
#include "tensor/view.h"

#include <hdf5.h>

typedef struct ft_tensor_file {
    ft_shape shape; /* n is 1 for a single sample */
    int32_t rank;   /* 3 or 4 */
    hid_t file, dataset;
    const char *where; /* the caller's, outlives this */
} ft_tensor_file;

/* Opens "FILE.h5:/dataset". FT_E_USAGE: not of that form; FT_E_DATA: missing, damaged, not numbers, empty, of
 * another rank. After a failure nothing is open. */
ft_err ft_tensor_open(ft_tensor_file *t, const char *where);
/* Samples first .. first + n - 1 into x (n,h,w,c), as float32. FT_E_DATA. */
ft_err ft_tensor_read(ft_tensor_file *t, int64_t first, int32_t n, float *x);
void ft_tensor_close(ft_tensor_file *t);

#endif

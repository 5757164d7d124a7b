/* A batch of samples in any HDF5 file: one dataset of floating-point numbers, (n,h,w,c), or (h,w,c) for a
 * single sample. Read piece by piece, so it may be larger than the memory; each piece by a child, since a
 * crafted file can break HDF5 (tensor/child.h).
 */
#ifndef FACET_TRAIN_TENSOR_FILE_H
#define FACET_TRAIN_TENSOR_FILE_H

#include "tensor/error.h"
#include "tensor/view.h"

typedef struct ft_tensor_file {
    ft_shape shape; /* n is 1 for a single sample */
    int32_t rank;   /* 3 or 4 */
    int fd;
    const char *where; /* the caller's, outlives this */
} ft_tensor_file;

/* Opens "FILE.h5:/dataset". FT_E_USAGE: not of that form; FT_E_DATA: missing, damaged, not numbers, empty, of
 * another rank; FT_E_MEMORY. After a failure nothing is open. */
ft_err ft_tensor_open(ft_tensor_file *t, const char *where);
/* Samples first .. first + n - 1 into x (n,h,w,c), as float32. FT_E_DATA, FT_E_MEMORY. */
ft_err ft_tensor_read(const ft_tensor_file *t, int64_t first, int32_t n, float *x);
/* Harmless after itself or a failed open. */
void ft_tensor_close(ft_tensor_file *t);

#endif

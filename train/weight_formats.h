/* The readers and writers behind train/weight_file.h, one pair for each kind of file; weight_file.c chooses.
 *
 * A reader takes the file as its kind (what ft_weights_content found) and fails as ft_weight_file_read says:
 * *out is then NULL. A writer fails as ft_weight_file_write says. The readers
 * of HDF5 seal the process they run in, which is a child's (tensor/child.h): HDF5 can be broken by a file.
 */
#ifndef FACET_TRAIN_WEIGHT_FORMATS_H
#define FACET_TRAIN_WEIGHT_FORMATS_H

#include "train/weight_file.h"

ft_err ft_weights_read_keras(const char *path, ft_weight_file **out);      /* HDF5 of Keras 2 or 3 */
ft_err ft_weights_read_keras3_zip(const char *path, ft_weight_file **out); /* .keras */
ft_err ft_weights_read_torch(const char *path, ft_weight_file **out);
ft_err ft_weights_read_safetensors(const char *path, ft_weight_file **out);

ft_err ft_weights_write_keras(const ft_weight_file *f, const char *path);
ft_err ft_weights_write_safetensors(const ft_weight_file *f, const char *path);

/* What a file holds, by its first bytes and, of a ZIP archive, by its members' names. */
typedef enum ft_weights_kind {
    FT_WEIGHTS_HDF5,
    FT_WEIGHTS_KERAS_ZIP,
    FT_WEIGHTS_TORCH_ZIP,
    FT_WEIGHTS_TENSORS, /* safetensors */
} ft_weights_kind;
/* FT_E_WEIGHTS: none of them; the message says what is read, and knows the commonest mistakes. */
ft_err ft_weights_content(const char *path, ft_weights_kind *kind);

#endif

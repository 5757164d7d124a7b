/* Weights of a file in memory: what every format's reader makes and every writer takes.
 *
 * A file is a list of layers in the file's own order, each with its tensors in the file's own order, under
 * the file's own names and in its own axis order; nothing is interpreted here (train/weight_map.h does that).
 * A format without layers (a PyTorch state dict, safetensors) has one layer, named "".
 */
#ifndef FACET_TRAIN_WEIGHT_FILE_H
#define FACET_TRAIN_WEIGHT_FILE_H

#include "tensor/error.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum ft_weight_format {
    FT_WEIGHTS_AUTO,        /* by the file's content */
    FT_WEIGHTS_KERAS,       /* Keras 2 and tf.keras HDF5: of weights, or of a whole model */
    FT_WEIGHTS_KERAS3,      /* Keras 3: .weights.h5 and .keras */
    FT_WEIGHTS_TORCH,       /* a PyTorch state dict: .pth, .pt */
    FT_WEIGHTS_SAFETENSORS, /* with PyTorch's names and axes, or with Facet's */
} ft_weight_format;

/* "auto", "keras", "keras3", "torch", "safetensors". FT_E_USAGE lists them when name is none. */
ft_err ft_weight_format_parse(const char *name, ft_weight_format *format);
const char *ft_weight_format_name(ft_weight_format format);

enum { FT_WEIGHT_RANK = 6 };

typedef struct ft_weight_tensor {
    char *name; /* "conv2d_1/kernel:0", "Mixed_5b.branch1x1.conv.weight" */
    int32_t rank;
    int64_t dims[FT_WEIGHT_RANK], n;
    float *p; /* (n), row-major; other types of the file are converted */
} ft_weight_tensor;

typedef struct ft_weight_layer {
    char *name;       /* "conv2d_1" */
    char *class_name; /* Keras 3's snake-case class ("conv2d", "batch_normalization"); NULL: not known */
    int32_t first, n; /* its tensors: tensor[first] ... tensor[first + n - 1]; n may be 0 */
} ft_weight_layer;

typedef struct ft_weight_file {
    ft_weight_format format; /* never AUTO */
    char *path;
    char
        *producer; /* "Keras 2.2.4 (tensorflow)", "PyTorch": what the file says of its maker; NULL: nothing */
    char *metadata_format; /* safetensors: __metadata__["format"] ("pt", "facet"); NULL: none */
    double bn_epsilon; /* Keras, whole models, and Facet's safetensors: of all batch norms; 0: the file does
                          not say */
    bool count_padding, bn_unbiased; /* Facet's safetensors: as in ft_net_options */
    ft_weight_layer *layer;
    int32_t n_layers, room_layers;
    ft_weight_tensor *tensor;
    int32_t n_tensors, room_tensors;
} ft_weight_file;

/* Reads all of the file at path. FT_E_WEIGHTS says what is wrong with it (cut off, damaged, of another
 * program or version, a tensor of a kind that weights do not have) and what to do; FT_E_IO: it cannot be
 * opened or read; FT_E_MEMORY. *out is then NULL. */
ft_err ft_weight_file_read(const char *path, ft_weight_format format, ft_weight_file **out);
void ft_weight_file_free(ft_weight_file *f); /* NULL is fine */

/* For readers, and for whoever fills one to be written. The names are copied. A tensor belongs to the last
 * layer added; its numbers are to be written to *p. FT_E_WEIGHTS: a rank or size that cannot be;
 * FT_E_MEMORY. */
ft_err ft_weight_file_new(const char *path, ft_weight_format format, ft_weight_file **out);
ft_err ft_weight_file_add_layer(ft_weight_file *f, const char *name, const char *class_name);
ft_err ft_weight_file_add(ft_weight_file *f, const char *name, int32_t rank, const int64_t dims[], float **p);

/* Writes f over path, atomically, in f->format: Keras 2's HDF5 of weights (FT_WEIGHTS_KERAS) or safetensors.
 * FT_E_USAGE: another format; FT_E_IO, path is as it was; FT_E_MEMORY. */
ft_err ft_weight_file_write(const ft_weight_file *f, const char *path);

#endif

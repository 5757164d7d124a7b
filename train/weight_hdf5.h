/* Reading Keras's HDF5 files: attributes of strings, links that are followed nowhere else, datasets as
 * floats. For weight_keras*.c alone. All failures are FT_E_WEIGHTS naming file and object, or FT_E_MEMORY.
 */
#ifndef FACET_TRAIN_WEIGHT_HDF5_H
#define FACET_TRAIN_WEIGHT_HDF5_H

#include "data/hdf5_index.h" /* FT_H5_NAME */
#include "train/weight_formats.h"

#include <hdf5.h>

/* (n) strings, each of its own; free with ft_strings_free. */
typedef struct ft_strings {
    char **at;
    int32_t n;
} ft_strings;
void ft_strings_free(ft_strings *s);

/* Attribute `name` of an object, fixed- or variable-length, a scalar or a list; a list of no strings at all
 * may be of any type. Where it is not there: name0, name1, ... one after the other, as Keras splits what is
 * long. */
ft_err ft_hdf5_strings(const char *path, hid_t object, const char *name, ft_strings *out);
bool ft_hdf5_has_strings(hid_t object, const char *name);
/* A single string, or NULL in *out where there is none. The caller frees it. */
ft_err ft_hdf5_string(const char *path, hid_t object, const char *name, char **out);

/* The names of a group's links, sorted by strcmp. */
ft_err ft_hdf5_links(const char *path, hid_t group, ft_strings *out);
/* Is there an object at that path below group, every part of it a hard link? */
ft_err ft_hdf5_check_links(const char *path, hid_t group, const char *name);
bool ft_hdf5_has_group(hid_t group, const char *name);

/* Adds dataset `name` below group to f under the name shown. */
ft_err ft_hdf5_add(ft_weight_file *f, hid_t group, const char *name, const char *shown);

/* The epsilon of all batch normalisations in a model's configuration (JSON), where they agree; else 0. */
double ft_keras_bn_epsilon(const char *config);

/* Keras 3's layout, in an open file. */
ft_err ft_keras3_read(hid_t file, ft_weight_file *f);

#endif

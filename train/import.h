/* A model from a file of weights, with the preprocessing and the conventions that belong to it; and back. */
#ifndef FACET_TRAIN_IMPORT_H
#define FACET_TRAIN_IMPORT_H

#include "train/model.h"

#include <stdio.h>

typedef struct ft_import_options {
    const char *arch;
    bool no_top;            /* leave the file's classifier out: the model ends at its pooled features */
    bool all;               /* the report has a line for every tensor */
    int32_t size;           /* of the square images; 0: the network's own */
    const char *normalize;  /* NULL: inception, what Keras's and torchvision's Inception weights want */
    const char *class_file; /* names of the classes, a line each; NULL: "class 0", ... */
    int32_t n_allow_missing;
    const char *const *allow_missing;
} ft_import_options;

/* Reads the file at path, of that format ("auto", "keras", ..., "facet"), prints what became of every tensor
 * to report, and gives the model in *out. FT_E_GRAPH: no such network; FT_E_USAGE, FT_E_WEIGHTS, FT_E_DATA
 * (the class names do not fit), FT_E_IO, FT_E_MEMORY. *out is then NULL. */
ft_err ft_import(const char *path, const char *format, const ft_import_options *o, FILE *report,
                 ft_model **out);

/* Writes m's weights to path as keras or safetensors; format NULL: by the ending .h5 or .safetensors.
 * FT_E_USAGE, FT_E_IO (path is as it was), FT_E_MEMORY. */
ft_err ft_export(const ft_model *m, const char *path, const char *format);

#endif

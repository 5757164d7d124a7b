/* Prediction: images or raw numbers in, one line of JSON for each out, and activations of any node on
 * request.
 *
 *     {"file": "a.jpg", "class": "daisy", "probability": 0.9, "probabilities": {"daisy": 0.9, "rose": 0.1}}
 *     {"file": "b.jpg", "error": "..."}
 *     {"sample": 0, "class": ...}
 *
 * With further heads ..., "heads": {"age": 31.5, "race": {"class": "2", "probability": 0.7}}}, with pictures
 * that explain ..., "explanation": "why/1_a.png"}.
 */
#ifndef FACET_TRAIN_PREDICT_H
#define FACET_TRAIN_PREDICT_H

#include "train/model.h"

#include <stdio.h>

typedef struct ft_predict_options {
    int32_t batch;
    int32_t top;      /* probabilities shown, the largest first; 0: all of up to 10 classes, else 5 */
    const char *dump; /* nodes whose output is kept for ft_predictor_save, names between commas; NULL: none */
    const char *explain; /* folder for pictures of what spoke for each image's class; NULL: none */
    const char *layer;   /* as ft_gradcam_new */
    FILE *out;           /* where the lines go; errors of the stream are left to its ferror() */
    void (*complain)(
        ft_err e); /* told, after its line, of every sample that failed; ft_err_message() says why */
} ft_predict_options;

typedef struct ft_predictor ft_predictor;

/* The model is borrowed; its configuration, if it has one, says which kernels. FT_E_CONFIG: that cannot be
 * read; FT_E_USAGE: no node of such a name (the nearest is offered), a node named twice, or
 * neither a classifier in the model nor a node to dump; FT_E_MEMORY. *out is then NULL. */
ft_err ft_predictor_new(ft_model *m, const ft_predict_options *o, ft_predictor **out);
void ft_predictor_free(ft_predictor *p); /* NULL is fine */

/* Image files, prepared as the model's own preprocessing says, decoded on all threads. One that fails gets a
 * line with "error" and the others go on. FT_E_MEMORY. */
ft_err ft_predict_images(ft_predictor *p, int32_t n, char *const paths[]);
/* The samples of a dataset (train/tensor_file.h) as they are. FT_E_USAGE, FT_E_DATA: the dataset, or another
 * shape than the model's; FT_E_MEMORY. */
ft_err ft_predict_tensor(ft_predictor *p, const char *where);
/* What the first sample that got an "error" failed with: FT_E_DATA, FT_E_NUMERIC, ...; FT_OK: none did. */
ft_err ft_predictor_failure(const ft_predictor *p);

/* Writes what the dumped nodes gave for all samples so far that did not fail, in their order: float32
 * datasets (n,h,w,c) named by node, over path, atomically. FT_E_DATA: all of them failed; FT_E_IO,
 * FT_E_MEMORY; path is then as it was. */
ft_err ft_predictor_save(const ft_predictor *p, const char *path);

#endif

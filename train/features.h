/* The features of a data set's images: what the frozen prefix of a network gives for them, computed once and
 * kept (train/feature_store.h).
 *
 *   ft_features_open(model, cut, ds, index, n, &options, &f);
 *   for each epoch:  ft_features_make(f, epoch, ...);         computes those that are not there yet
 *                    ft_features_get(f, epoch, batch.n, batch.index, &view);
 */
#ifndef FACET_TRAIN_FEATURES_H
#define FACET_TRAIN_FEATURES_H

#include "data/loader.h"
#include "tensor/plan.h"
#include "train/model.h"

typedef struct ft_features ft_features;

typedef struct ft_features_options {
    ft_loader_options loading; /* how an image becomes the network's input; with augmentation, its variants (>
                                  0) say how many features there are of each image. batch, shuffle and seed of
                                  the order are not used */
    const char *augmentation;  /* the same as text, for the key; "" without */
    bool direct;               /* as ft_plan_spec.direct */
    bool bf16;
    int64_t memory_bytes;
    const char *path; /* of the file. One with "%s" in it: there goes the key */
} ft_features_options;

/* For the n samples in index (n), with the parameters as they are now: those that the prefix reads must not
 * change. What is not in the file for just these parameters, this preprocessing and these images counts as
 * not there. ds and m outlive it. FT_E_DATA, FT_E_IO, FT_E_MEMORY, FT_E_GRAPH; *out is then NULL. */
ft_err ft_features_open(ft_model *m, ft_val cut, const ft_dataset *ds, const int32_t *index, int32_t n,
                        const ft_features_options *o, ft_features **out);
void ft_features_free(ft_features *f); /* NULL is fine; the file stays */

/* Called after every batch that was made: done of n. Whether to go on. */
typedef bool ft_features_told(void *ctx, int64_t done, int64_t n);

/* Computes what is missing for that epoch. FT_E_STOPPED: told() said so; what was made is kept. FT_E_DATA: an
 * image cannot be read; FT_E_NUMERIC: a feature is no number; FT_E_IO, FT_E_MEMORY. */
ft_err ft_features_make(ft_features *f, int64_t epoch, ft_features_told *told, void *ctx);
/* Features of n samples (of ds; each must be in index) to the rows of *to, a value fed to a plan: (n,h,w,c),
 * ld = c. */
ft_err ft_features_get(const ft_features *f, int64_t epoch, int32_t n, const int32_t samples[],
                       const ft_view *to);

/* Gives a plan its batch: the features of its samples at the value `to`, or where f is NULL its images. */
ft_err ft_batch_feed(const ft_batch *b, const ft_features *f, int64_t epoch, ft_plan *plan, ft_val to);

const char *ft_features_path(const ft_features *f);
/* Bytes on the disk; are they in memory too? */
int64_t ft_features_bytes(const ft_features *f);
bool ft_features_in_memory(const ft_features *f);

#endif

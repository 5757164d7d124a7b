/* Batches of a data set, prepared ahead by worker threads.
 *
 *   ft_loader_new(ds, index, n, &options, &loader);
 *   for each epoch:  ft_loader_start(loader, epoch, 0);
 *                    while (ft_loader_next(loader, &batch) == FT_OK && batch.n > 0) ...
 *   ft_loader_free(loader);
 *
 * Order and every number are a function of (data, options, epoch): the same for any number of workers and for
 * a start in the middle. Each sample comes exactly once an epoch. A loader is used by one thread at a time.
 */
#ifndef FACET_DATA_LOADER_H
#define FACET_DATA_LOADER_H

#include "data/augment.h"
#include "data/dataset.h"
#include "data/order.h"
#include "data/preprocess.h"
#include "data/quarantine.h"

typedef struct ft_loader_options {
    ft_preprocess image;
    bool numbers_only; /* samples' numbers and labels alone, no images: x is NULL and nothing is read */
    bool training;     /* augment applies, image.center_crop does not; otherwise the reverse */
    ft_augment augment;
    int32_t batch;          /* samples, at least 1 */
    bool shuffle;           /* a new order each epoch; otherwise that of the index list */
    ft_order_options order; /* with shuffle: which order */
    bool drop_last;         /* leave a short last batch out */
    uint64_t seed;          /* of the order and of augment */
    int32_t variants;       /* 0: an image is changed anew in every epoch; else as in epoch % variants */
    int32_t workers;  /* threads, 0 to 256; 0: the caller's own thread does the work in ft_loader_next */
    int32_t cache_mb; /* MiB of decoded images to keep between epochs; 0: none. Unused for data in memory, and
                         where images of the input's size would not all fit */
    ft_quarantine *quarantine; /* borrowed: bad images (FT_E_DATA) go there and are left out of their batches;
                                  NULL: they are errors */
} ft_loader_options;

/* Valid until the loader's next start, next or free. */
typedef struct ft_batch {
    int32_t n;           /* samples, fewer where some were bad; 0 at the end of the epoch */
    const float *x;      /* (n, h, w, c) */
    const float *labels; /* (n): class numbers */
    const float
        *targets; /* (n, ft_dataset_target_width): all targets, one after the other; NULL without any */
    const int32_t *index; /* (n): sample numbers in the data set */
    float share;  /* images mixed (data/mix.h): of sample i, the rest is the one before it; 1: none are */
    int32_t next; /* the batch of the epoch that comes next: ft_loader_start there goes on behind this one */
} ft_batch;

typedef struct ft_loader ft_loader;

/* Batches that a loader with so many workers holds at a time. */
static inline int32_t ft_loader_slots(int32_t workers) {
    return workers ? workers + 2 : 1;
}

/* A loader of the n samples in index (n), which is copied; ds must outlive it. Workers start at once and
 * sleep until ft_loader_start. FT_E_CONFIG, FT_E_DATA (n is 0), FT_E_MEMORY; *loader is then NULL. */
ft_err ft_loader_new(const ft_dataset *ds, const int32_t *index, int32_t n, const ft_loader_options *options,
                     ft_loader **loader);
/* Stops the workers, which takes at most a sample each, and releases everything; NULL is fine. */
void ft_loader_free(ft_loader *loader);

/* Batches and samples in an epoch, bad ones included. */
int32_t ft_loader_batches(const ft_loader *loader);
int32_t ft_loader_samples(const ft_loader *loader);
/* Begins an epoch at a batch, 0 .. batches; one under way is abandoned. FT_E_USAGE for another batch; nothing
 * changes. */
ft_err ft_loader_start(ft_loader *loader, int64_t epoch, int32_t first_batch);
/* The next batch, or n = 0 at the end; a batch without a good image is passed over. A bad image is set aside
 * by the call that would have delivered it. Without a quarantine it fails that call, whatever the number of
 * workers, with a message about the first bad sample of the batch; the loader then stands behind the batch
 * and the next call goes on with the following one. After a failure b->n is 0. FT_E_DATA also when too many
 * are bad. */
ft_err ft_loader_next(ft_loader *loader, ft_batch *b);
/* Seconds that ft_loader_next kept its caller since the last start. */
double ft_loader_waited(const ft_loader *loader);

#endif

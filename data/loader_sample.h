/* One sample of a loader, from the data set to floats; private to data/. */
#ifndef FACET_DATA_LOADER_SAMPLE_H
#define FACET_DATA_LOADER_SAMPLE_H

#include "data/image_cache.h"
#include "data/loader.h"

/* What all threads of a loader share and none changes (the cache locks itself). */
typedef struct ft_sampler {
    const ft_dataset *ds;
    ft_loader_options options;
    ft_normalizer normalizer;
    ft_normalizer unit;    /* to [0, 1], for changes of colour */
    ft_image_cache *cache; /* by position, or NULL */
} ft_sampler;

/* One thread's memory. */
typedef struct ft_sampler_scratch {
    ft_resizer resizer;
    ft_image sized[2]; /* of the input's size */
    float *numbers;    /* (h, w, c) */
} ft_sampler_scratch;

/* On failure the scratch is empty. */
ft_err ft_sampler_scratch_init(ft_sampler_scratch *s, const ft_preprocess *p);
void ft_sampler_scratch_free(ft_sampler_scratch *s);

/* Sample number `sample` of the data set, known to the cache as `position`, to x (h, w, c). */
ft_err ft_sampler_make(const ft_sampler *s, ft_sampler_scratch *scratch, uint64_t epoch_seed,
                       int32_t position, int32_t sample, float *x);

#endif

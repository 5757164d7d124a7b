#include "train/bench_images.h"

#include "data/loader.h"
#include "train/progress_bar.h"

#include <stdlib.h>

enum { BATCH = 16 };

static ft_err read_all(ft_loader *loader, int64_t epoch, int64_t *images) {
    FT_TRY(ft_loader_start(loader, epoch, 0));
    for (;;) {
        ft_batch b;
        FT_TRY(ft_loader_next(loader, &b));
        if (b.n == 0) return FT_OK;
        *images += b.n;
    }
}

static ft_err run(ft_loader *loader, double seconds, ft_bench_images *out) {
    int64_t warming = 0;
    FT_TRY(read_all(loader, 0, &warming));
    double start = ft_clock();
    for (int64_t epoch = 1; out->seconds < seconds; epoch++) {
        FT_TRY(read_all(loader, epoch, &out->images));
        out->seconds = ft_clock() - start;
    }
    return FT_OK;
}

ft_err ft_bench_images_run(const char *path, int32_t size, double seconds, ft_bench_images *out) {
    *out = (ft_bench_images){0};
    ft_dataset *ds = NULL;
    ft_loader *loader = NULL;
    FT_TRY(ft_dataset_open(path, NULL, &ds));
    ft_loader_options o = {.image = {.h = size, .w = size, .c = 3, .normalize = FT_NORMALIZE_MEAN_STD},
                           .training = true,
                           .augment = {.flip = true, .crop = FT_CROP_INCEPTION},
                           .batch = BATCH,
                           .shuffle = true};
    ft_preprocess_imagenet(&o.image);
    int32_t *index = ft_alloc((size_t)ds->n, sizeof *index);
    ft_err e = index ? FT_OK : ft_err_set(FT_E_MEMORY, "no memory for a list of %d images", ds->n);
    for (int32_t i = 0; e == FT_OK && i < ds->n; i++) index[i] = i;
    if (e == FT_OK) e = ft_loader_new(ds, index, ds->n, &o, &loader);
    if (e == FT_OK) e = run(loader, seconds, out);
    ft_loader_free(loader);
    free(index);
    ft_dataset_free(ds);
    return e;
}

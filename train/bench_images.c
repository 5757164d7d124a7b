#include "train/bench_images.h"

#include "data/loader.h"
#include "train/progress_bar.h"

#include <stdlib.h>
#include <sys/resource.h>

enum { BATCH = 32, WARMING = 64 };

/* Epoch after epoch until the time is over; the first images are not counted. */
static ft_err run(ft_loader *loader, double seconds, ft_bench_images *out) {
    int64_t read = 0, before = 0;
    double start = 0;
    FT_TRY(ft_loader_start(loader, 0, 0));
    for (int64_t epoch = 1; out->seconds < seconds;) {
        ft_batch b;
        FT_TRY(ft_loader_next(loader, &b));
        if (b.n == 0) FT_TRY(ft_loader_start(loader, epoch++, 0));
        read += b.n;
        if (start == 0 && read >= WARMING) {
            before = read;
            start = ft_clock();
        }
        out->images = read - before;
        out->seconds = start > 0 ? ft_clock() - start : 0;
    }
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    out->max_rss_mb = (double)usage.ru_maxrss * 1024 / 1e6;
    return FT_OK;
}

ft_err ft_bench_images_run(const char *path, const ft_dataset_options *list, int32_t size, int32_t workers,
                           double seconds, ft_bench_images *out) {
    *out = (ft_bench_images){0};
    ft_dataset *ds = NULL;
    ft_loader *loader = NULL;
    FT_TRY(ft_dataset_open(path, list, &ds));
    ft_loader_options o = {.image = {.h = size, .w = size, .c = 3, .normalize = FT_NORMALIZE_MEAN_STD},
                           .training = true,
                           .augment = {.flip = true, .crop = FT_CROP_INCEPTION},
                           .batch = BATCH,
                           .workers = workers,
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

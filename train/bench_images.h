/* How fast images are read: from files to the floats of a training batch. */
#ifndef FACET_TRAIN_BENCH_IMAGES_H
#define FACET_TRAIN_BENCH_IMAGES_H

#include "data/dataset.h"

typedef struct ft_bench_images {
    int64_t images; /* read in the time counted */
    double seconds;
    double max_rss_mb; /* of the process, in units of 10^6 bytes */
} ft_bench_images;

/* Decodes the images of the data set at path, cuts an Inception crop out of each, resizes it as Pillow does
 * to size x size, mirrors half of them and normalises as torchvision does; in batches of 32, again and again
 * for at least so many seconds after the first few, which are not counted. list: how to read a list; may be
 * NULL. workers: as of ft_loader_options; 0: one thread does it all. FT_E_DATA, FT_E_CONFIG, FT_E_IO,
 * FT_E_MEMORY. */
ft_err ft_bench_images_run(const char *path, const ft_dataset_options *list, int32_t size, int32_t workers,
                           double seconds, ft_bench_images *out);

#endif

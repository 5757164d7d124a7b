/* How fast images are read: from files to the floats of a training batch. */
#ifndef FACET_TRAIN_BENCH_IMAGES_H
#define FACET_TRAIN_BENCH_IMAGES_H

#include "tensor/error.h"

#include <stdint.h>
#include <stdio.h>

typedef struct ft_bench_images {
    int64_t images; /* read in the time counted */
    double seconds;
} ft_bench_images;

/* Decodes the images of the data set at path, cuts an Inception crop out of each, resizes it as Pillow does
 * to size x size, mirrors half of them and normalises as torchvision does; on one thread, again and again for
 * at least so many seconds after a pass that is not counted. FT_E_DATA, FT_E_CONFIG, FT_E_IO, FT_E_MEMORY. */
ft_err ft_bench_images_run(const char *path, int32_t size, double seconds, ft_bench_images *out);

#endif

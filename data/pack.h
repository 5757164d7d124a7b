/* Packing a data set into one file, which ft_dataset_open reads: quick to copy, to open and to read. */
#ifndef FACET_DATA_PACK_H
#define FACET_DATA_PACK_H

#include "data/resize.h"

#include "data/dataset.h"

typedef struct ft_pack_options {
    bool decoded;     /* as pixels, so that reading needs no decoding; else as they are in their files */
    int32_t size;     /* with decoded: resized to size x size; 0: not */
    ft_resize resize; /* with size */
} ft_pack_options;

/* Called for every image: number done of ds->n; of one that is left out, why. */
typedef void ft_pack_told(void *ctx, int32_t done, const char *why);

/* Writes (replaces, atomically) the file at path, which ends in .h5; images that are bad (decoded) or not
 * there are left out. *n_packed: images in it. FT_E_DATA: none is good; FT_E_IO, FT_E_MEMORY: path is as it
 * was. */
ft_err ft_pack_write(const ft_dataset *ds, const ft_pack_options *o, const char *path, ft_pack_told *told,
                     void *ctx, int32_t *n_packed);

#endif

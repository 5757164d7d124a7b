/* Mixing the images of a batch, and their labels with them.
 *
 *   mixup    x = share x_i + (1 - share) x_j, share from Beta(alpha, alpha) (Zhang et al. 2018)
 *   cutmix   a box of x_i comes from x_j, share is what is left of x_i; the box has sqrt(1 - share) of the
 * sides, share from Beta(alpha, alpha), and its centre anywhere (Yun et al. 2019)
 *
 * Image j is the one before i, of the first the last, as in torchvision's references; all of a batch have one
 * share.
 */
#ifndef FACET_DATA_MIX_H
#define FACET_DATA_MIX_H

#include "tensor/error.h"
#include "tensor/rng.h"

#include <stdbool.h>

/* alpha of each, 0: never. Where both are above 0, half of the batches get each. */
typedef struct ft_mix {
    float mixup, cutmix;
} ft_mix;

bool ft_mix_changes(const ft_mix *m);
/* FT_E_CONFIG: an alpha below 0 or above 8. */
ft_err ft_mix_check(const ft_mix *m);

/* Mixes x (n, h, w, c) in place; returns share, 1 where nothing was changed. spare: (h, w, c). */
float ft_mix_batch(const ft_mix *m, ft_rng *rng, int32_t n, int32_t h, int32_t w, int32_t c, float *x,
                   float *spare);

#endif

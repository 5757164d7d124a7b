/* A picture of what a network will see: a contact sheet of training images. */
#ifndef FACET_TRAIN_PREVIEW_H
#define FACET_TRAIN_PREVIEW_H

#include "data/image.h"
#include "train/images.h"

/* A row for each of n_images spread over the n samples of index: as evaluation sees it, then as n_variants
 * epochs of training do. sheet is the caller's to free; images that are bad leave their row white.
 * FT_E_CONFIG, FT_E_DATA (none is good), FT_E_MEMORY; *sheet is then empty. */
ft_err ft_preview(const ft_config *config, const ft_dataset *ds, const int32_t *index, int32_t n,
                  int32_t n_images, int32_t n_variants, ft_image *sheet);

#endif

/* The heads of a model in its checkpoint: groups heads/0, heads/1, ... */
#ifndef FACET_TRAIN_CHECKPOINT_HEADS_H
#define FACET_TRAIN_CHECKPOINT_HEADS_H

#include "train/h5_write.h"
#include "train/heads.h"

ft_err ft_heads_write(ft_h5 *f, int32_t n, const ft_head *heads);
/* The heads there are, without values; the caller's to ft_heads_free. FT_E_WEIGHTS, FT_E_IO, FT_E_MEMORY;
 * *heads is then NULL. */
ft_err ft_heads_read(const ft_h5_index *x, int32_t *n, ft_head **heads);

#endif

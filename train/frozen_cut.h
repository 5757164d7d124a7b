/* Where a frozen prefix ends: the value that everything trained sees the images through. */
#ifndef FACET_TRAIN_FROZEN_CUT_H
#define FACET_TRAIN_FROZEN_CUT_H

#include "tensor/graph.h"

/* The last value, in the order of the nodes, that depends on the image and on frozen parameters alone,
 * without chance and without statistics of the batch, and that every path from the image to a loss goes
 * through. Its numbers for an image are the same in every epoch. {0}: there is none. */
ft_val ft_frozen_cut(const ft_graph *g, ft_val image, int32_t n_losses, const ft_val losses[]);

/* Sets before[i] (one for each parameter, all false) where v depends on parameter i. FT_E_MEMORY. */
ft_err ft_params_before(const ft_graph *g, ft_val v, bool before[]);

#endif

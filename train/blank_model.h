/* A network by its name alone, for summaries and timings: classes without real names, no data. */
#ifndef FACET_TRAIN_BLANK_MODEL_H
#define FACET_TRAIN_BLANK_MODEL_H

#include "train/model.h"

/* Builds arch for square images of `size` pixels (0: the network's own) and `classes` classes (0: no top),
 * all parameters zero. FT_E_GRAPH: unknown network (the message lists them) or a size that does not suit it;
 * FT_E_MEMORY. *out is then NULL. */
ft_err ft_blank_model(const char *arch, int32_t size, int32_t classes, ft_model **out);

/* Adds an input "labels" (n,1,1,1) and the cross-entropy of the logits; the model must have a top.
 * FT_E_GRAPH.
 */
ft_err ft_blank_loss(ft_model *m, ft_val *labels, ft_val *loss);

#endif

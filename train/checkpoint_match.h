/* Reading all arrays of a checkpoint, strictly. */
#ifndef FACET_TRAIN_CHECKPOINT_MATCH_H
#define FACET_TRAIN_CHECKPOINT_MATCH_H

#include "train/checkpoint_layout.h"

/* Reads the tensors from an open file. FT_E_WEIGHTS listing what is missing, of another shape,
 * or unexpected (but what lies under "optimizer" only if whole); or naming the tensor that is damaged or not
 * finite. The numbers are then unspecified. */
ft_err ft_tensors_read(const ft_h5_index *x, const ft_tensors *tensors, bool whole);

#endif

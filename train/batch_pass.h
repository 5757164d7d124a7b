/* The forward and backward pass of a batch. */
#ifndef FACET_TRAIN_BATCH_PASS_H
#define FACET_TRAIN_BATCH_PASS_H

#include "train/run.h"

/* Runs batch `micro` of those that make the optimiser's step under way: in parts where the memory asks for
 * that (ft_phase.part), with gradients, losses and counts those of the whole. Adds to *right how many images
 * training classified rightly. FT_E_NUMERIC names where the loss comes from that is no number; FT_E_IO,
 * FT_E_DATA: a feature cannot be had. */
ft_err ft_batch_pass(ft_run *r, const ft_batch *b, int32_t micro, int64_t *right);

#endif

/* A model's parameters as the list that is written to files of weights. */
#ifndef FACET_TRAIN_WEIGHT_EXPORT_H
#define FACET_TRAIN_WEIGHT_EXPORT_H

#include "train/model.h"
#include "train/weight_file.h"

/* FT_WEIGHTS_KERAS: every layer in Keras's order, named and laid out as Keras 2 does; without an auxiliary
 * head, which Keras's networks do not have. FT_WEIGHTS_SAFETENSORS: all parameters under Facet's own names
 * and axes, with the network's conventions. FT_E_USAGE: another format, or conventions that Keras's networks
 * cannot have; FT_E_MEMORY. *out is then NULL. */
ft_err ft_weights_of_model(const ft_model *m, ft_weight_format format, ft_weight_file **out);

#endif

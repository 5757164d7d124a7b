/* What parameters are called and how they lie in files of others; for weight_*.c alone. */
#ifndef FACET_TRAIN_WEIGHT_NAMES_H
#define FACET_TRAIN_WEIGHT_NAMES_H

#include "train/model.h"

enum { FT_WEIGHTS_OF_A_LAYER = 6 };

/* Parameter k of a node in Keras's order: kernel, bias, gamma, beta, moving_mean, moving_variance, of those
 * that there are; NULL past the last. */
ft_param *ft_layer_param(const ft_graph *g, const char *node, int32_t k);
/* "kernel" of "conv2d_1/kernel". */
const char *ft_param_leaf(const ft_param *p);
/* torchvision's name of a parameter of net; false: it has none. */
bool ft_torch_param_name(const ft_net *net, const ft_param *p, char name[160]);
/* The parameter's axes without leading ones, but at least so many. Returns how many. */
int32_t ft_param_dims(const ft_param *p, int32_t least, int64_t dims[4]);

#endif

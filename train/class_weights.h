/* Weights of the classes in a loss, from the numbers of their samples. */
#ifndef FACET_TRAIN_CLASS_WEIGHTS_H
#define FACET_TRAIN_CLASS_WEIGHTS_H

#include "tensor/view.h"

/* In place, of k classes: numbers of samples become weights; 0 stays 0. balanced: samples / (k * count), as
 * scikit-learn's "balanced"; effective: inverse to (1 - beta^count) / (1 - beta), with a mean of 1 over the
 * classes that have samples (Cui et al. 2019, equation 2). */
void ft_class_weights_balanced(int32_t k, ft_real *weights);
void ft_class_weights_effective(int32_t k, double beta, ft_real *weights);

#endif

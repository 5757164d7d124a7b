/* The arguments of the ops that have any, as ft_apply copies them and ft_call.args hands them over.
 *
 * Builders (layers.h) turn their friendly options into these: nothing here has a default, every number means
 * itself.
 */
#ifndef FACET_LAYERS_ARGS_H
#define FACET_LAYERS_ARGS_H

#include "layers/window.h"

typedef struct ft_conv_args {
    ft_window win;
    int32_t groups; /* >= 1 */
} ft_conv_args;

typedef struct ft_pool_args {
    ft_window win;
    int32_t count_padding; /* average only: divide by kh*kw, padding included (PyTorch), not by the real
                              pixels (Keras) */
} ft_pool_args;

typedef struct ft_batchnorm_args {
    double epsilon;   /* added to the variance */
    double momentum;  /* moving = momentum*moving + (1-momentum)*batch */
    int32_t unbiased; /* the moving variance takes n/(n-1) * the batch's */
} ft_batchnorm_args;

typedef struct ft_leaky_relu_args {
    double slope; /* of the line for x < 0 */
} ft_leaky_relu_args;

typedef struct ft_dropout_args {
    double rate; /* in [0, 1) */
} ft_dropout_args;

typedef struct ft_softmax_ce_args {
    double label_smoothing; /* eps: target = (1-eps)*onehot + eps/c */
} ft_softmax_ce_args;

typedef struct ft_huber_args {
    double delta; /* > 0 */
} ft_huber_args;

#endif

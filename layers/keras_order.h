/* The layers of a network as Keras numbers and names them: what its files, and layers[:249], refer to. */
#ifndef FACET_LAYERS_KERAS_ORDER_H
#define FACET_LAYERS_KERAS_ORDER_H

#include "tensor/graph.h"

typedef struct ft_keras_layer {
    char name[64]; /* "conv2d_1", "max_pooling2d_1", "input_1" */
    int32_t node;  /* of the graph; -1: the input */
} ft_keras_layer;

/* The layers between image and output, both included, in the order of Keras's model.layers: by decreasing
 * depth (the longest path to the output), within a depth in the order of the first visit of a walk from the
 * output backwards, inputs in their order (keras/src/ops/function.py). *out has *n; free(*out). FT_E_MEMORY.
 */
ft_err ft_keras_layers(const ft_graph *g, ft_val image, ft_val output, ft_keras_layer **out, int32_t *n);

#endif

/* The inside of a graph, for graph.c and the plan's files alone. */
#ifndef FACET_TENSOR_GRAPH_INTERNAL_H
#define FACET_TENSOR_GRAPH_INTERNAL_H

#include "tensor/graph.h"

typedef struct node {
    const ft_op *op;
    char name[64];
    void *args; /* a copy, op->args_size bytes, or NULL */
    int32_t n_in;
    ft_val in[FT_MAX_IN];
    int32_t first_out; /* value id of output 0; the others follow */
    bool frozen;
} node;

typedef struct value {
    ft_shape shape; /* n = 1 where batched */
    int32_t node;   /* which made it, or -1 */
    int32_t param;  /* which it is, or -1 */
    int32_t input;  /* offset of an input's name in the graph's text, or -1 */
    bool batched;   /* n follows the batch */
} value;

struct ft_graph {
    node *nodes;
    value *values; /* values[0] is the poisoned one */
    ft_param **params;
    char (*inputs)[64];
    int32_t n_nodes, n_values, n_params, n_inputs;
    int32_t room_nodes, room_values, room_params, room_inputs;
    int64_t n_numbers, most_numbers; /* of all parameters; 0: any number */
    uint64_t version;                /* of the parameters' contents */
    ft_err status;
    char *message;
};

/* Shapes and memory of node k for a batch of n; the message carries the node's name. */
ft_err ft_node_shape(const ft_graph *g, int32_t k, int32_t n, bool training, bool direct,
                     ft_shape out[FT_MAX_OUT], ft_mem *mem);
/* What node k says of taking a prologue (ft_op.takes_prologue). */
bool ft_node_takes_prologue(const ft_graph *g, int32_t k, int32_t n, bool training, bool direct);

/* Is node k a matrix product on every pixel by itself (ft_op.mixes_channels)? */
bool ft_node_mixes_channels(const ft_graph *g, int32_t k);

#endif

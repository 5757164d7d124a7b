/* A network as flat arrays, topological by construction.
 *
 * Builders are sticky: one that fails returns the poisoned value {0}, later ones pass it on, and the first
 * error, with the path of its node, surfaces from ft_graph_status and ft_compile. A graph owns its parameters
 * and their memory.
 */
#ifndef FACET_TENSOR_GRAPH_H
#define FACET_TENSOR_GRAPH_H

#include "tensor/op.h"

typedef struct ft_graph ft_graph;
typedef struct ft_val {
    int32_t id; /* 0: poisoned; -1: absent (an optional input) */
} ft_val;
#define FT_NONE ((ft_val){-1})

/* How a parameter starts. fan_in and fan_out follow Keras: receptive field times channels. */
typedef enum ft_init_kind {
    FT_INIT_CONSTANT,         /* value                                                                    */
    FT_INIT_GLOROT_UNIFORM,   /* U(-l, l), l = sqrt(6 / (fan_in + fan_out)): Keras's default              */
    FT_INIT_HE_NORMAL,        /* N(0, 2 / fan_in): PyTorch's kaiming_normal_, fan_in                      */
    FT_INIT_TRUNCATED_NORMAL, /* N(0, value^2) cut at +-2 value: Inception's in TF-slim and torchvision   */
} ft_init_kind;
typedef struct ft_init {
    ft_init_kind kind;
    double value;
} ft_init;

enum ft_param_flags {
    FT_TRAINABLE = 1, /* learned by gradient; without it a statistic or a constant */
    FT_DECAY = 2,     /* a kernel: weight decay applies (it leaves biases and batch norm alone by default) */
    FT_TRANSIENT = 4, /* not part of a checkpoint (class weights) */
};

typedef struct ft_param {
    char name[96]; /* "conv2d_1/kernel" */
    ft_shape shape;
    ft_init init;
    uint32_t flags;
    bool frozen;
    ft_real *p; /* shape elements, contiguous, 64-byte aligned */
    ft_val val;
} ft_param;

ft_err ft_graph_new(ft_graph **out);
void ft_graph_free(ft_graph *g);
/* The first error of any builder so far, with its message; FT_OK if none. */
ft_err ft_graph_status(const ft_graph *g);

/* A value fed from outside: s is the shape of one sample (s.n is taken as 1). */
ft_val ft_input(ft_graph *g, const char *name, ft_shape s);
/* From here on, a parameter with which there would be more than `most` numbers is refused (FT_E_GRAPH) before
 * it takes memory; 0: any number. For networks that a file describes. */
void ft_graph_limit_params(ft_graph *g, int64_t most);
/* A parameter, initialised to zero until ft_graph_init. */
ft_val ft_param_add(ft_graph *g, const char *name, ft_shape s, ft_init init, uint32_t flags);
/* Adds a node and returns its output 0. args is copied (op->args_size bytes). name NULL: "<op>_<k>", k
 * counting the unnamed nodes of that op from 1, as Keras does. Optional inputs that are absent are FT_NONE.
 */
ft_val ft_apply(ft_graph *g, const ft_op *op, const char *name, const void *args, int32_t n_in,
                const ft_val in[]);
/* Output k of the node that made v. */
ft_val ft_output(ft_graph *g, ft_val v, int32_t k);

/* For builders with parameters: the name that the next unnamed node of op will get, written to name[]; and a
 * way to fail. */
void ft_graph_next_name(ft_graph *g, const ft_op *op, const char *wanted, char name[64]);
ft_val ft_graph_fail(ft_graph *g, const char *node, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* One sample's shape (n = 1); {0} for a poisoned or absent value. */
ft_shape ft_val_shape(const ft_graph *g, ft_val v);
/* The value made by the node of that name, or {0}. */
ft_val ft_graph_find(const ft_graph *g, const char *node);
/* The node's name, or the input's or parameter's. */
const char *ft_val_name(const ft_graph *g, ft_val v);

int32_t ft_graph_n_params(const ft_graph *g);
ft_param *ft_graph_param(const ft_graph *g, int32_t i);
ft_param *ft_graph_find_param(const ft_graph *g, const char *name);
/* Tells the plans that parameters were written from outside a plan, so that what they prepared of them is
 * stale. */
void ft_graph_touch(ft_graph *g);
/* Draws every parameter anew from (seed, its name). */
void ft_graph_init(ft_graph *g, uint64_t seed);

/* Freezes v and everything it depends on (v.id = -1: nothing), and thaws all the rest. A frozen parameter
 * gets no gradient; a frozen batch norm uses its running statistics and leaves them alone. Plans compiled
 * before keep what they were. */
void ft_graph_freeze(ft_graph *g, ft_val up_to);

/* Freezes node i as well, wherever it is, with its parameters. */
void ft_graph_freeze_node(ft_graph *g, int32_t i);

/* Nodes in order, for summaries: name, op, first output, parameters. */
typedef struct ft_node_info {
    const char *name;
    const ft_op *op;
    ft_val val;   /* output 0 */
    ft_shape out; /* of one sample */
    int64_t n_params, n_trainable;
    const ft_val *in;
    int32_t n_in;
    const void *args;
    bool frozen;
} ft_node_info;
int32_t ft_graph_n_nodes(const ft_graph *g);
ft_node_info ft_graph_node(const ft_graph *g, int32_t i);

#endif

/* The inside of a plan, for plan*.c alone.
 *
 * Compiling goes through these stages, each a function over the same ft_plan:
 *   plan.c        which nodes are needed, which gradients are wanted, the list of steps
 *   plan_order.c  the plan's own order of the nodes
 *   plan_fold.c   which nodes become part of another's step, which values are made again
 *   plan_place.c  lifetimes, aliases, the arena
 *   plan_run.c    filling in the calls, running them
 */
#ifndef FACET_TENSOR_PLAN_INTERNAL_H
#define FACET_TENSOR_PLAN_INTERNAL_H

#include "tensor/graph_internal.h"
#include "tensor/plan.h"

enum { NEVER = -1 };

/* A stretch of memory with a lifetime in steps: [first, last], both included. */
typedef struct buffer {
    size_t bytes, offset;
    int32_t first, last;
} buffer;

/* Where a value or a gradient lives: column `column` of a buffer with rows of ld elements. */
typedef struct place {
    int32_t buffer; /* NEVER: nowhere */
    int64_t column, ld;
} place;

/* What the plan knows of a node. */
typedef struct plan_node {
    bool needed;   /* an output or a loss depends on it */
    bool training; /* the plan trains and the node is not frozen */
    bool backward; /* it has a backward step */
    bool constant; /* its parameters do not change while the plan runs: prepare only when they were touched */
    int32_t host;  /* the node whose step does this node's work, or NEVER */
    int32_t affine, relu; /* the nodes folded into this one's step, or NEVER */
    bool deferred;        /* its output never exists: every reader makes it on the way in */
    int32_t last;         /* the node whose output this step writes: itself, or the last folded one */
    int32_t forward_step, remake_step, backward_step;
    int32_t saved, forward_scratch, backward_scratch, prepared, moments; /* buffers, or NEVER */
    ft_mem mem;
} plan_node;

typedef struct plan_value {
    bool wants;       /* something trainable lies before it */
    bool gradient;    /* its gradient is computed */
    bool kept;        /* an output or a loss: readable after a run */
    bool watched;     /* so is its gradient */
    bool overwritten; /* an in-place op writes over it once it was read */
    bool again;       /* forgotten after the forward pass and made again for the backward pass */
    place at, again_at, grad_at;
    int32_t first_writer; /* the node whose backward writes the gradient first, or NEVER */
    int32_t first_input;  /* which of that node's inputs */
} plan_value;

typedef enum step_kind { FORWARD, REMAKE, BACKWARD } step_kind;

typedef struct step {
    int32_t node;
    step_kind kind;
    ft_view in[FT_MAX_IN], out[FT_MAX_OUT], dout[FT_MAX_OUT], din[FT_MAX_IN];
    ft_real beta[FT_MAX_IN];
    bool param_beta[FT_MAX_IN]; /* beta is 1 when gradients are accumulated over several backward passes */
    bool batched[2 * (FT_MAX_IN + FT_MAX_OUT)]; /* in, out, dout, din: n follows the batch */
    ft_call call;
    ft_epilogue epilogue, prologue;
    ft_moments moments;
    ft_call affine_call; /* of the folded batch norm */
    ft_view affine_in[FT_MAX_IN];
    ft_real *scale, *shift;
    bool constant;
    uint64_t prepared_version; /* the graph's version when `prepared` was made; 0: never */
    double seconds;
    int64_t calls;
} step;

struct ft_plan {
    const ft_graph *source; /* whose parameters these are */
    ft_graph own;           /* its nodes and values in the plan's order */
    const ft_graph *g;      /* own */
    ft_plan_spec spec;
    plan_node *nodes;
    plan_value *values;
    buffer *buffers;
    int32_t n_buffers, room_buffers;
    step *steps;
    int32_t n_forward, n_steps;
    char *arena;
    ft_real **grads; /* by parameter; NULL where none is wanted */
    ft_real *grad_memory;
    ft_real seeds[FT_MAX_LOSSES]; /* weight * scale of each loss, what dout of a loss points to */
    int32_t lanes;                /* threads that scratch memory is there for */
    int32_t n;                    /* the batch the views are set to */
    ft_plan_stats stats;
};

/* Makes p->own from p->source. Once it is known which values are kept. */
ft_err plan_order(ft_plan *p);
void plan_order_free(ft_plan *p);
void plan_fold(ft_plan *p);
/* The node that defers making v to its readers, or NEVER. */
int32_t plan_deferred(const ft_plan *p, int32_t v);
/* The node that gathers, as it makes input 0 of node i, the moments that i takes of it, or NEVER. Once
 * ft_mem of all nodes is known. */
int32_t plan_gatherer(const ft_plan *p, int32_t i);
void plan_find_remakes(ft_plan *p);
/* Gives a remake step to every node that makes v, or parts of it, again and has none. */
void plan_list_remakes(ft_plan *p, int32_t v);
ft_err plan_place(ft_plan *p);
ft_err plan_fill_steps(ft_plan *p);
/* Does the backward step of node i read v? */
bool plan_backward_reads(const ft_plan *p, int32_t i, int32_t v);
/* How many inputs of needed nodes v is. */
int32_t plan_forward_readers(const ft_plan *p, int32_t v);
/* The node whose steps do the work of node i: itself, or its host. */
int32_t plan_host(const ft_plan *p, int32_t i);
/* Which loss v is, or NEVER. */
int32_t plan_loss_index(const ft_plan *p, int32_t v);
/* Bytes of value v for the plan's batch. */
ft_shape plan_shape(const ft_plan *p, int32_t v);

#endif

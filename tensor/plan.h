/* A plan: a graph made ready to run. Compiling is the only allocation; afterwards a step cannot fail.
 *
 * ft_compile decides which gradients are wanted, lists the forward and backward steps, works out lifetimes
 * from needs[], aliases concats and in-place ops, puts average pools behind narrower 1x1 convolutions, folds
 * batch norm and ReLU into convolutions where nothing trains, and places every buffer in one arena. Several
 * plans may share one graph (training and inference); they see the same parameters.
 */
#ifndef FACET_TENSOR_PLAN_H
#define FACET_TENSOR_PLAN_H

#include "tensor/graph.h"

typedef struct ft_plan ft_plan;

enum { FT_MAX_LOSSES = 8 };

typedef struct ft_plan_spec {
    int32_t batch; /* the largest batch that will be run */
    bool training; /* with a backward pass; ops that behave differently in training do so */
    int32_t n_losses;
    ft_val losses[FT_MAX_LOSSES];
    ft_real loss_weights[FT_MAX_LOSSES];
    int32_t n_outputs; /* values to keep readable after a run, besides the losses */
    const ft_val *outputs;
    int32_t n_fed; /* values of nodes that are given to the plan, as inputs are: what only they depend on is
                      not run. Nothing before them may be trained */
    const ft_val *fed;
    int32_t n_watched; /* of training: values of nodes whose gradients are kept readable after a backward
                          pass, though nothing before them is trained (nothing may be) */
    const ft_val *watched;
    bool direct;  /* no Winograd or Cook-Toom convolutions: slower, and the rounding is the definition's */
    bool isolate; /* for tests: no aliasing, no folding, no shared memory: every buffer has a place of its own
                   */
} ft_plan_spec;

/* On failure *out is NULL and the graph is as it was. The graph must outlive the plan. */
ft_err ft_compile(ft_graph *g, const ft_plan_spec *spec, ft_plan **out);
void ft_plan_free(ft_plan *p);

/* The memory of an input or a fed value to fill (it keeps its contents over runs), or of an output or loss to
 * read after a run, for n samples (n <= batch). */
ft_view ft_plan_value(const ft_plan *p, ft_val v, int32_t n);
/* The gradient of a trainable parameter, shape of the parameter, contiguous; NULL when none is wanted. */
ft_real *ft_plan_grad(const ft_plan *p, const ft_param *param);

/* The gradient of a watched value for n samples, after a backward pass. */
ft_view ft_plan_watched(const ft_plan *p, ft_val v, int32_t n);

/* Runs the forward steps on the first n samples. seed varies by step (dropout). */
void ft_plan_forward(ft_plan *p, int32_t n, uint64_t seed);
/* Runs the backward steps of the last forward. Gradients are of sum(weight * loss) * scale and replace what
 * was there, or add to it when accumulate. Call once after each forward. */
void ft_plan_backward(ft_plan *p, ft_real scale, bool accumulate);

typedef struct ft_plan_stats {
    size_t arena_bytes, naive_bytes; /* with and without sharing memory */
    size_t param_bytes, grad_bytes, prepared_bytes;
    int32_t forward_steps, backward_steps, folded; /* folded: nodes that became part of another's step */
} ft_plan_stats;
ft_plan_stats ft_plan_get_stats(const ft_plan *p);

/* Where the time went: seconds and calls of every step since compile. Timing costs two clock reads a step. */
typedef struct ft_step_time {
    const char *name, *op;
    bool backward;
    double seconds;
    int64_t calls;
} ft_step_time;
int32_t ft_plan_times(const ft_plan *p, ft_step_time out[], int32_t room);

#endif

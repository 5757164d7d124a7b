/* Builders of layers: each adds a node to a graph and returns its value, so that a network reads as maths.
 *
 *     x = ft_relu(g, ft_batchnorm(g, ft_conv2d(g, x, &(ft_conv){.filters = 64, .k = {1, 7}}), NULL));
 *
 * Failures are sticky (tensor/graph.h). A NULL options pointer means the defaults. Zero in an option means
 * its default.
 */
#ifndef FACET_LAYERS_LAYERS_H
#define FACET_LAYERS_LAYERS_H

#include "tensor/graph.h"

typedef enum ft_padding {
    FT_PAD_SAME,     /* out = ceil(in / stride); the odd pixel goes after, as TensorFlow and Keras have it */
    FT_PAD_VALID,    /* no padding */
    FT_PAD_EXPLICIT, /* .pad = {top, bottom, left, right} */
} ft_padding;

/* ---- convolution ---- x (n,h,w,c), kernel (kh,kw,c/groups,filters) -> (n,oh,ow,filters) */
typedef struct ft_conv {
    const char *name;
    int32_t filters;
    int32_t k[2];        /* kh, kw */
    int32_t stride[2];   /* default 1, 1 */
    int32_t dilation[2]; /* default 1, 1 */
    int32_t groups;      /* default 1; groups = c with filters a multiple of c is depthwise */
    ft_padding padding;
    int32_t pad[4];
    bool bias;
    const ft_init *init; /* NULL: Glorot uniform */
} ft_conv;
ft_val ft_conv2d(ft_graph *g, ft_val x, const ft_conv *o);

/* ---- batch normalisation by channel ---- (n,h,w,c) -> the same. Statistics keep the biased variance (Keras
 * 3). */
typedef struct ft_norm {
    const char *name;
    bool scale;     /* with gamma */
    bool no_center; /* without beta */
    float epsilon;  /* 0: 1e-3 */
    float momentum; /* Keras's: moving = momentum*moving + (1-momentum)*batch; 0: 0.99 */
    bool unbiased;  /* keep n/(n-1) * variance in the running statistics, as PyTorch does */
} ft_norm;
ft_val ft_batchnorm(ft_graph *g, ft_val x, const ft_norm *o);

/* ---- element by element ---- */
ft_val ft_relu(ft_graph *g, ft_val x, const char *name);
ft_val ft_leaky_relu(ft_graph *g, ft_val x, float slope, const char *name);
ft_val ft_sigmoid(ft_graph *g, ft_val x, const char *name);
ft_val ft_tanh(ft_graph *g, ft_val x, const char *name);
/* Inverted dropout: in training keeps each element with probability 1 - rate, scaled by 1/(1 - rate). */
ft_val ft_dropout(ft_graph *g, ft_val x, float rate, const char *name);
/* a + b, same shape. */
ft_val ft_add(ft_graph *g, ft_val a, ft_val b, const char *name);
/* x (n,h,w,c) times s (n,1,1,c): squeeze and excitation. */
ft_val ft_mul_channel(ft_graph *g, ft_val x, ft_val s, const char *name);

/* ---- pooling ---- (n,h,w,c) -> (n,oh,ow,c) */
typedef struct ft_pool {
    const char *name;
    int32_t k[2];
    int32_t stride[2]; /* default k */
    ft_padding padding;
    int32_t pad[4];
    bool count_padding; /* average only: divide border windows by kh*kw as PyTorch does by default; else by
                           the real pixels */
} ft_pool;
ft_val ft_maxpool(ft_graph *g, ft_val x, const ft_pool *o);
ft_val ft_avgpool(ft_graph *g, ft_val x, const ft_pool *o);
/* (n,h,w,c) -> (n,1,1,c), the mean over h and w. */
ft_val ft_global_avgpool(ft_graph *g, ft_val x, const char *name);

/* ---- shape ---- */
/* Side by side in channels; all have the same n, h, w. */
ft_val ft_concat(ft_graph *g, int32_t n_in, const ft_val in[], const char *name);
/* (n,h,w,c) -> (n,1,1,h*w*c), in Keras's order (row, column, channel). */
ft_val ft_flatten(ft_graph *g, ft_val x, const char *name);

/* ---- dense ---- (n,1,1,in) -> (n,1,1,units); kernel (in, units) */
typedef struct ft_dense_options {
    const char *name;
    int32_t units;
    bool no_bias;
    const ft_init *init; /* NULL: Glorot uniform */
} ft_dense_options;
ft_val ft_dense(ft_graph *g, ft_val x, const ft_dense_options *o);

/* x / max(|x|_2, 1e-12) over the channels of every pixel. */
ft_val ft_l2_normalize(ft_graph *g, ft_val x, const char *name);
/* exp(x) / sum exp(x) over the channels of every pixel, for inference. */
ft_val ft_softmax(ft_graph *g, ft_val x, const char *name);

/* ---- losses ---- one number, but for the last the mean over what counts */
typedef struct ft_softmax_ce_options {
    const char *name;
    float label_smoothing; /* eps: target = (1-eps)*onehot + eps/c */
    ft_val
        class_weights; /* (1,1,1,c), or {0}/FT_NONE; the mean is weighted: sum w*loss / sum w, as PyTorch's */
} ft_softmax_ce_options;
/* logits (n,1,1,c); labels (n,1,1,1) class numbers, where -1 is ignored, or (n,1,1,c) probabilities. 0 if
 * nothing counts. */
ft_val ft_softmax_cross_entropy(ft_graph *g, ft_val logits, ft_val labels, const ft_softmax_ce_options *o);
/* Multi-label: logits and labels (n,1,1,c), labels in [0, 1] or -1 = ignored; mean over all that counts. */
ft_val ft_binary_cross_entropy(ft_graph *g, ft_val logits, ft_val labels, const char *name);
/* Mean over all elements of (x - y)^2. */
ft_val ft_mean_squared_error(ft_graph *g, ft_val x, ft_val y, const char *name);
/* Mean over all elements of |d| <= delta ? d^2/2 : delta*(|d| - delta/2). delta 0: 1. */
ft_val ft_huber(ft_graph *g, ft_val x, ft_val y, float delta, const char *name);
/* Not to be trained by: the sum over the batch of what each row of scores (n,1,1,c) gives to its class,
 * classes (n,1,1,1), -1 = none. */
ft_val ft_class_score(ft_graph *g, ft_val scores, ft_val classes, const char *name);

#endif

/* Networks: one net_<name>.c each, defining `const ft_net ft_net_<name>`; the list is made from the file
 * names. */
#ifndef FACET_LAYERS_NET_H
#define FACET_LAYERS_NET_H

#include "layers/layers.h"

typedef struct ft_net_options {
    ft_shape image;                /* height, width and channels of one image (n is ignored) */
    int32_t classes;               /* 0: no top, the network ends at its pooled features */
    float dropout;                 /* before the last dense layer */
    float width;                   /* multiplies the channels, where the network allows it; 0: 1 */
    bool aux_head;                 /* a second classifier half-way, for training, where the network has one */
    bool count_padding;            /* average pools divide by padding too: torchvision's weights; Keras's and
                                      TensorFlow's do not */
    float bn_momentum, bn_epsilon; /* 0: the layer's own */
    bool bn_scale, bn_unbiased;    /* as torchvision's: with gamma; unbiased running variances */
    int64_t most_numbers;          /* in all parameters (ft_graph_limit_params); 0: any number */
} ft_net_options;

typedef struct ft_net_outputs {
    ft_val features;   /* (n,1,1,f), pooled */
    ft_val logits;     /* (n,1,1,classes); absent without a top */
    ft_val aux_logits; /* absent without an auxiliary head */
} ft_net_outputs;

typedef struct ft_net {
    const char *name, *summary;
    int32_t size, channels;     /* of an image by default */
    int32_t min_size, max_size; /* height and width that make sense; max 0: any */
    bool has_aux_head, has_width;
    /* Optional: torchvision's name of the module that is this node ("Mixed_5b.branch1x1.conv" of conv2d_6);
     * false: it has none. */
    bool (*torch_name)(const char *node, char name[96]);
    ft_net_outputs (*build)(ft_graph *g, ft_val x, const ft_net_options *o);
} ft_net;

/* Ends with NULL. */
extern const ft_net *const ft_net_list[];
const ft_net *ft_net_find(const char *name);

/* Adds an input "image" and the network to the graph. Fails, naming what would do, if the options do not suit
 * the network or a builder failed. */
ft_err ft_net_build(const ft_net *net, ft_graph *g, const ft_net_options *o, ft_val *image,
                    ft_net_outputs *out);

/* Helpers for builders: convolution without bias, batch norm without gamma, ReLU, named conv2d_<k>,
 * batch_normalization_<k> and activation_<k> as Keras 2 names them, k counting from 1 in order of creation.
 */
typedef struct ft_units {
    ft_graph *g;
    const ft_net_options *o;
    int32_t k; /* units made so far */
} ft_units;
ft_val ft_unit(ft_units *u, ft_val x, int32_t filters, int32_t kh, int32_t kw, int32_t stride,
               ft_padding padding);
/* 3 x 3 average pool of stride 1, 'same', with the border rule of the options. */
ft_val ft_unit_avgpool(ft_units *u, ft_val x);
/* Global average pool "avg_pool", dropout, dense "predictions" (unless classes is 0). */
void ft_net_head(ft_graph *g, ft_val x, const ft_net_options *o, ft_net_outputs *out);

#endif

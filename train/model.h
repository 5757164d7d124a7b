/* A model: a network with everything needed to use it on images: preprocessing and class names. */
#ifndef FACET_TRAIN_MODEL_H
#define FACET_TRAIN_MODEL_H

#include "data/preprocess.h"
#include "layers/net.h"
#include "train/heads.h"

typedef struct ft_model {
    const ft_net *net;
    ft_net_options options; /* with image and classes filled in */
    ft_preprocess image;    /* how a picture becomes the network's input */
    char **class_names;     /* (options.classes), owned */
    ft_graph *g;            /* owned, with all parameters */
    ft_val input;           /* "image" (n,h,w,c) */
    ft_net_outputs out;
    ft_val probabilities; /* (n,1,1,classes), softmax of the logits; absent without a top */
    ft_head *heads;       /* (n_heads), owned: what it tells besides the class */
    int32_t n_heads;
    char *config;              /* of the training it comes from, YAML; owned; NULL: none */
    uint64_t data_fingerprint; /* of the data it was trained on; 0: none */
} ft_model;

/* Builds the network arch with zero parameters. options->image is taken from *image; class_names
 * (options->classes) are copied. FT_E_GRAPH: unknown network (the message lists them) or options that do not
 * suit it; FT_E_MEMORY. *out is then NULL. */
ft_err ft_model_new(const char *arch, const ft_net_options *options, const ft_preprocess *image,
                    const char *const *class_names, ft_model **out);
void ft_model_free(ft_model *m); /* NULL is fine */

/* A hash of all its parameters, statistics included, bit by bit: the same for the same training on the same
 * instruction set, whatever the threads. */
uint64_t ft_model_fingerprint(const ft_model *m);

/* Numbers of the parameters: all, and those that training changes. */
int64_t ft_model_n_parameters(const ft_model *m, int64_t *trainable);

#endif

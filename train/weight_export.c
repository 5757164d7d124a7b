#include "train/weight_export.h"
#include "layers/keras_order.h"
#include "train/weight_names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static ft_err add_param(ft_weight_file *f, const ft_param *p, const char *name, int32_t least) {
    int64_t dims[4];
    int32_t rank = ft_param_dims(p, least, dims);
    float *to;
    FT_TRY(ft_weight_file_add(f, name, rank, dims, &to));
    memcpy(to, p->p, (size_t)ft_shape_size(p->shape) * sizeof *to);
    return FT_OK;
}

/* Axes that Keras's layer has whatever their size. */
static int32_t least_rank(const ft_graph *g, int32_t node, const ft_param *p) {
    if (strcmp(ft_param_leaf(p), "kernel") != 0) return 1;
    return strcmp(ft_graph_node(g, node).op->name, "dense") == 0 ? 2 : 4;
}

static ft_err add_keras(ft_weight_file *f, const ft_model *m) {
    ft_val output = m->out.logits.id > 0 ? m->out.logits : m->out.features;
    ft_keras_layer *layers;
    int32_t n;
    FT_REQUIRE(!m->options.count_padding, USAGE,
               "the average pools of this %s count their padding, which Keras's cannot: its features would "
               "be others "
               "there; export it as safetensors",
               m->net->name);
    FT_REQUIRE(m->n_heads == 0, USAGE,
               "Keras's %s has no place for the %d further heads of this model; export it as safetensors",
               m->net->name, m->n_heads);
    FT_TRY(ft_keras_layers(m->g, m->input, output, &layers, &n));
    ft_err e = FT_OK;
    for (int32_t i = 0; e == FT_OK && i < n; i++) {
        e = ft_weight_file_add_layer(f, layers[i].name, NULL);
        const ft_param *p;
        for (int32_t k = 0;
             e == FT_OK && layers[i].node >= 0 && (p = ft_layer_param(m->g, layers[i].name, k)); k++) {
            char name[160];
            snprintf(name, sizeof name, "%s:0", p->name);
            e = add_param(f, p, name, least_rank(m->g, layers[i].node, p));
        }
    }
    free(layers);
    return e;
}

static ft_err add_own(ft_weight_file *f, const ft_model *m) {
    f->metadata_format = strdup("facet");
    FT_REQUIRE(f->metadata_format, MEMORY, "no memory for a list of weights");
    f->count_padding = m->options.count_padding;
    f->bn_unbiased = m->options.bn_unbiased;
    f->bn_epsilon = (double)m->options.bn_epsilon;
    FT_TRY(ft_weight_file_add_layer(f, "", NULL));
    for (int32_t i = 0; i < ft_graph_n_params(m->g); i++) {
        const ft_param *p = ft_graph_param(m->g, i);
        if (!(p->flags & FT_TRANSIENT)) FT_TRY(add_param(f, p, p->name, 1));
    }
    return FT_OK;
}

ft_err ft_weights_of_model(const ft_model *m, ft_weight_format format, ft_weight_file **out) {
    *out = NULL;
    FT_REQUIRE(format == FT_WEIGHTS_KERAS || format == FT_WEIGHTS_SAFETENSORS, USAGE,
               "weights are exported as keras or safetensors, not as %s", ft_weight_format_name(format));
    FT_TRY(ft_weight_file_new("(a model)", format, out));
    ft_err e = format == FT_WEIGHTS_KERAS ? add_keras(*out, m) : add_own(*out, m);
    if (e != FT_OK) {
        ft_weight_file_free(*out);
        *out = NULL;
    }
    return e;
}

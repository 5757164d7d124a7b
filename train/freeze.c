#include "train/freeze.h"
#include "layers/keras_order.h"
#include "train/nearest.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static ft_err unknown_node(const ft_model *m, const char *key, const char *name) {
    ft_nearest near = {.word = name};
    for (int32_t i = 0; i < ft_graph_n_nodes(m->g); i++) ft_nearest_offer(&near, ft_graph_node(m->g, i).name);
    FT_FAIL(CONFIG, "%s: %s has no node '%s'%s%s%s; 'ft-model summary %s' lists them", key, m->net->name,
            name, near.best ? ", did you mean '" : "", near.best ? near.best : "", near.best ? "'?" : "",
            m->net->name);
}

static ft_err freeze_layers(ft_model *m, int32_t layers) {
    ft_keras_layer *layer;
    int32_t n;
    FT_TRY(
        ft_keras_layers(m->g, m->input, m->out.logits.id > 0 ? m->out.logits : m->out.features, &layer, &n));
    for (int32_t i = 0; i < layers && i < n; i++)
        if (layer[i].node >= 0) ft_graph_freeze_node(m->g, layer[i].node);
    free(layer);
    FT_REQUIRE(layers <= n, CONFIG, "model.freeze.layers: %d, but %s has %d layers in Keras's numbering",
               layers, m->net->name, n);
    return FT_OK;
}

static ft_err freeze_matches(ft_model *m, const char *pattern) {
    bool any = false;
    for (int32_t i = 0; i < ft_graph_n_nodes(m->g); i++) {
        if (fnmatch(pattern, ft_graph_node(m->g, i).name, 0) != 0) continue;
        any = true;
        ft_graph_freeze_node(m->g, i);
    }
    return any ? FT_OK : unknown_node(m, "model.freeze.match", pattern);
}

ft_err ft_freeze(ft_model *m, const ft_config *c) {
    const char *up_to = c->model.freeze.up_to;
    ft_val v = *up_to ? ft_graph_find(m->g, up_to) : FT_NONE;
    if (v.id == 0) return unknown_node(m, "model.freeze.up_to", up_to);
    ft_graph_freeze(m->g, v);
    if (c->model.freeze.layers > 0) FT_TRY(freeze_layers(m, c->model.freeze.layers));
    char pattern[FT_CONFIG_NAME_BYTES];
    for (int32_t i = 0; ft_config_item(c->model.freeze.match, i, pattern, NULL); i++)
        FT_TRY(freeze_matches(m, pattern));
    return FT_OK;
}

/* Is the pattern the parameter's name, or its node's? */
static bool matches(const char *pattern, const ft_param *p) {
    char node[96];
    const char *slash = strrchr(p->name, '/');
    snprintf(node, sizeof node, "%.*s", (int)(slash ? slash - p->name : (long)strlen(p->name)), p->name);
    return fnmatch(pattern, p->name, 0) == 0 || fnmatch(pattern, node, 0) == 0;
}

double ft_lr_multiplier(const ft_config *c, const ft_param *p) {
    double factor = 1, number = 1;
    char pattern[FT_CONFIG_NAME_BYTES];
    for (int32_t i = 0; ft_config_item(c->train.lr_multipliers, i, pattern, &number); i++)
        if (matches(pattern, p)) factor = number;
    return factor;
}

ft_err ft_lr_multipliers_check(const ft_model *m, const ft_config *c) {
    double number;
    char pattern[FT_CONFIG_NAME_BYTES];
    for (int32_t i = 0; ft_config_item(c->train.lr_multipliers, i, pattern, &number); i++) {
        bool any = false;
        for (int32_t k = 0; k < ft_graph_n_params(m->g) && !any; k++)
            any = matches(pattern, ft_graph_param(m->g, k));
        if (!any) return unknown_node(m, "train.lr_multipliers", pattern);
    }
    return FT_OK;
}

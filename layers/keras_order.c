#include "layers/keras_order.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the walk knows of a node; the image comes behind the nodes. */
typedef struct visit {
    int32_t depth, order; /* order of the first visit; -1: not visited */
    int32_t next;         /* input to go on with */
} visit;

typedef struct walk {
    const ft_graph *g;
    ft_val image;
    visit *at;      /* (n_nodes + 1) */
    int32_t *stack; /* (n_nodes + 1) */
    int32_t n_nodes, visited;
} walk;

/* The node that made v, n_nodes for the image, -1 for parameters and other inputs. */
static int32_t maker(const walk *w, ft_val v) {
    if (v.id == w->image.id) return w->n_nodes;
    for (int32_t i = 0; i < w->n_nodes; i++) {
        ft_node_info node = ft_graph_node(w->g, i);
        if (v.id >= node.val.id && v.id < node.val.id + node.op->n_out) return i;
    }
    return -1;
}

/* Depth first, a node before what it reads. */
static void go_back(walk *w, int32_t from) {
    int32_t height = 0;
    w->stack[height++] = from;
    w->at[from].order = w->visited++;
    while (height > 0) {
        int32_t i = w->stack[height - 1];
        visit *v = &w->at[i];
        ft_node_info node = {0};
        if (i < w->n_nodes) node = ft_graph_node(w->g, i);
        if (v->next >= node.n_in) {
            height--;
            continue;
        }
        ft_val in = node.in[v->next++];
        int32_t k = in.id > 0 ? maker(w, in) : -1;
        if (k < 0 || w->at[k].order >= 0) continue;
        w->at[k].order = w->visited++;
        w->stack[height++] = k;
    }
}

/* Consumers come after producers, so one pass from the end knows every depth. */
static void find_depths(walk *w) {
    for (int32_t i = w->n_nodes - 1; i >= 0; i--) {
        if (w->at[i].order < 0) continue;
        ft_node_info node = ft_graph_node(w->g, i);
        for (int32_t k = 0; k < node.n_in; k++) {
            int32_t from = node.in[k].id > 0 ? maker(w, node.in[k]) : -1;
            if (from >= 0 && w->at[from].depth < w->at[i].depth + 1) w->at[from].depth = w->at[i].depth + 1;
        }
    }
}

/* Keras's name for what the graph numbers after its own ops: "maxpool_2" is "max_pooling2d_2". */
static void name_layer(const walk *w, int32_t i, char name[64]) {
    static const char *const classes[][2] = {{"maxpool_", "max_pooling2d_"},
                                             {"avgpool_", "average_pooling2d_"},
                                             {"relu_", "activation_"},
                                             {"batchnorm_", "batch_normalization_"},
                                             {"global_avgpool_", "global_average_pooling2d_"}};
    if (i == w->n_nodes) {
        snprintf(name, 64, "input_1");
        return;
    }
    const char *own = ft_graph_node(w->g, i).name;
    for (size_t k = 0; k < sizeof classes / sizeof *classes; k++) {
        size_t len = strlen(classes[k][0]);
        if (strncmp(own, classes[k][0], len) != 0) continue;
        snprintf(name, 64, "%s%s", classes[k][1], own + len);
        return;
    }
    snprintf(name, 64, "%s", own);
}

/* Insertion by (depth, order): a few hundred layers. */
static void insert(const walk *w, ft_keras_layer *layers, int32_t n, int32_t i) {
    int32_t at = n;
    for (; at > 0; at--) {
        const visit *other = &w->at[layers[at - 1].node < 0 ? w->n_nodes : layers[at - 1].node],
                    *v = &w->at[i];
        if (other->depth > v->depth || (other->depth == v->depth && other->order < v->order)) break;
        layers[at] = layers[at - 1];
    }
    name_layer(w, i, layers[at].name);
    layers[at].node = i == w->n_nodes ? -1 : i;
}

ft_err ft_keras_layers(const ft_graph *g, ft_val image, ft_val output, ft_keras_layer **out, int32_t *n) {
    walk w = {.g = g, .image = image, .n_nodes = ft_graph_n_nodes(g)};
    size_t room = (size_t)w.n_nodes + 1;
    w.at = ft_alloc(room, sizeof *w.at);
    w.stack = ft_alloc(room, sizeof *w.stack);
    *n = 0;
    *out = ft_alloc(room, sizeof **out);
    if (!w.at || !w.stack || !*out) {
        free(w.at);
        free(w.stack);
        free(*out);
        *out = NULL;
        FT_FAIL(MEMORY, "no memory for a list of %d layers", w.n_nodes);
    }
    for (size_t i = 0; i < room; i++) w.at[i].order = -1;
    go_back(&w, maker(&w, output));
    find_depths(&w);
    for (int32_t i = 0; i <= w.n_nodes; i++)
        if (w.at[i].order >= 0) insert(&w, *out, (*n)++, i);
    free(w.at);
    free(w.stack);
    return FT_OK;
}

#include "train/frozen_cut.h"

#include <stdlib.h>

/* What is known of a value, by id. */
typedef struct value_facts {
    bool from_image;     /* depends on the image */
    bool fixed;          /* the same for an image in every epoch; for a parameter: not trained */
    bool needed;         /* a loss depends on it */
    int32_t last_reader; /* the last needed node that reads it, or -1 */
} value_facts;

static int32_t n_values(const ft_graph *g) {
    int32_t last = 0;
    for (int32_t i = 0; i < ft_graph_n_nodes(g); i++) {
        ft_node_info node = ft_graph_node(g, i);
        int32_t end = node.val.id + node.op->n_out;
        if (end > last) last = end;
        for (int32_t k = 0; k < node.n_in; k++)
            if (node.in[k].id >= last) last = node.in[k].id + 1;
    }
    return last + 1;
}

static void find_needed(const ft_graph *g, int32_t n_losses, const ft_val losses[], value_facts *v) {
    for (int32_t i = 0; i < n_losses; i++) v[losses[i].id].needed = true;
    for (int32_t i = ft_graph_n_nodes(g) - 1; i >= 0; i--) {
        ft_node_info node = ft_graph_node(g, i);
        bool needed = false;
        for (int32_t k = 0; k < node.op->n_out; k++) needed |= v[node.val.id + k].needed;
        for (int32_t k = 0; needed && k < node.n_in; k++) {
            value_facts *in = node.in[k].id > 0 ? &v[node.in[k].id] : NULL;
            if (!in) continue;
            in->needed = true;
            if (in->last_reader < i) in->last_reader = i;
        }
    }
}

/* Ops behave in a frozen node as in inference. */
static bool acts_fixed(const ft_node_info *node) {
    return node->frozen || !(node->op->flags & (FT_RANDOM | FT_STATEFUL));
}

static void follow(const ft_node_info *node, value_facts *v) {
    bool from_image = false, fixed = acts_fixed(node);
    for (int32_t k = 0; k < node->n_in; k++) {
        if (node->in[k].id <= 0) continue;
        from_image |= v[node->in[k].id].from_image;
        fixed &= v[node->in[k].id].fixed;
    }
    for (int32_t k = 0; k < node->op->n_out; k++) {
        v[node->val.id + k].from_image = from_image;
        v[node->val.id + k].fixed = fixed;
    }
}

ft_val ft_frozen_cut(const ft_graph *g, ft_val image, int32_t n_losses, const ft_val losses[]) {
    int32_t n = n_values(g);
    value_facts *v = ft_alloc((size_t)n, sizeof *v);
    ft_val cut = {0};
    if (!v || image.id >= n) {
        free(v);
        return cut;
    }
    for (int32_t i = 0; i < n; i++) v[i].last_reader = -1;
    for (int32_t i = 0; i < ft_graph_n_params(g); i++) {
        const ft_param *p = ft_graph_param(g, i);
        if (p->val.id < n) v[p->val.id].fixed = p->frozen || !(p->flags & FT_TRAINABLE);
    }
    v[image.id].from_image = v[image.id].fixed = true;
    find_needed(g, n_losses, losses, v);
    int32_t open_until = v[image.id].last_reader; /* the last reader of what was made before this node */
    for (int32_t i = 0; i < ft_graph_n_nodes(g); i++) {
        ft_node_info node = ft_graph_node(g, i);
        follow(&node, v);
        const value_facts *out = &v[node.val.id];
        if (!out->needed || !out->from_image) continue;
        if (!out->fixed) break;
        if (open_until <= i && node.op->n_out == 1) cut = node.val;
        if (out->last_reader > open_until) open_until = out->last_reader;
    }
    free(v);
    return cut;
}

static void mark_param(const ft_graph *g, ft_val v, bool before[]) {
    for (int32_t i = 0; i < ft_graph_n_params(g); i++)
        if (ft_graph_param(g, i)->val.id == v.id) before[i] = true;
}

ft_err ft_params_before(const ft_graph *g, ft_val v, bool before[]) {
    bool *reached = ft_alloc((size_t)n_values(g), sizeof *reached);
    FT_REQUIRE(reached, MEMORY, "no memory for a list of a network's values");
    reached[v.id] = true;
    for (int32_t i = ft_graph_n_nodes(g) - 1; i >= 0; i--) {
        ft_node_info node = ft_graph_node(g, i);
        bool makes = false;
        for (int32_t k = 0; k < node.op->n_out; k++) makes |= reached[node.val.id + k];
        for (int32_t k = 0; makes && k < node.n_in; k++) {
            if (node.in[k].id <= 0) continue;
            reached[node.in[k].id] = true;
            mark_param(g, node.in[k], before);
        }
    }
    free(reached);
    return FT_OK;
}

#include "train/gradcam.h"

#include "layers/layers.h"
#include "tensor/plan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct ft_gradcam {
    ft_model *m;
    ft_val layer, classes;
    ft_plan *plan;
    ft_real *heat; /* (h, w) of the layer */
};

/* ---- setting up ---- */

/* Which values the logits depend on, by id; the caller's to free. */
static bool *find_ancestors(const ft_model *m) {
    const ft_graph *g = m->g;
    int32_t n = ft_graph_n_nodes(g), last = m->out.logits.id;
    bool *is = ft_alloc((size_t)last + 1, sizeof *is);
    if (!is) return NULL;
    is[last] = true;
    for (int32_t i = n - 1; i >= 0; i--) {
        ft_node_info node = ft_graph_node(g, i);
        if (node.val.id > last || !is[node.val.id]) continue;
        for (int32_t k = 0; k < node.n_in; k++)
            if (node.in[k].id > 0) is[node.in[k].id] = true;
    }
    return is;
}

static ft_err find_layer(ft_gradcam *c, const char *name) {
    const ft_graph *g = c->m->g;
    bool *ancestor = find_ancestors(c->m), found = false;
    FT_REQUIRE(ancestor, MEMORY, "no memory for a list of nodes");
    for (int32_t i = 0; i < ft_graph_n_nodes(g); i++) {
        ft_node_info node = ft_graph_node(g, i);
        bool fits = node.val.id < c->m->out.logits.id && ancestor[node.val.id] && node.out.h * node.out.w > 1;
        if (!fits || (name && strcmp(node.name, name) != 0)) continue;
        c->layer = node.val;
        found = true;
    }
    free(ancestor);
    FT_REQUIRE(found, USAGE, "%s%s%s: an explanation needs a node with pixels on the way to the classes%s",
               name ? "'" : "the network", name ? name : "", name ? "'" : "",
               name ? "; ft-model summary lists the nodes" : "");
    return FT_OK;
}

static ft_err set_up(ft_gradcam *c, const char *layer, bool direct) {
    ft_model *m = c->m;
    FT_REQUIRE(m->out.logits.id > 0, USAGE, "the model has no classifier to explain");
    FT_TRY(find_layer(c, layer));
    c->classes = ft_input(m->g, "explained_class", (ft_shape){1, 1, 1, 1});
    ft_val score = ft_class_score(m->g, m->out.logits, c->classes, "explained_score");
    FT_TRY(ft_graph_status(m->g));
    ft_graph_freeze(m->g, m->out.logits);
    ft_plan_spec spec = {.batch = 1,
                         .training = true,
                         .n_losses = 1,
                         .losses = {score},
                         .loss_weights = {1},
                         .n_watched = 1,
                         .watched = &c->layer,
                         .direct = direct};
    FT_TRY(ft_compile(m->g, &spec, &c->plan));
    ft_shape s = ft_val_shape(m->g, c->layer);
    c->heat = ft_alloc((size_t)(s.h * s.w), sizeof *c->heat);
    FT_REQUIRE(c->heat, MEMORY, "no memory for an explanation");
    return FT_OK;
}

ft_err ft_gradcam_new(ft_model *m, const char *layer, bool direct, ft_gradcam **out) {
    *out = NULL;
    ft_gradcam *c = calloc(1, sizeof *c);
    FT_REQUIRE(c, MEMORY, "no memory for an explanation");
    c->m = m;
    ft_err e = set_up(c, layer, direct);
    if (e == FT_OK)
        *out = c;
    else
        ft_gradcam_free(c);
    return e;
}

void ft_gradcam_free(ft_gradcam *c) {
    if (!c) return;
    ft_plan_free(c->plan);
    free(c->heat);
    free(c);
}

/* ---- heat ---- */

ft_view ft_gradcam_run(ft_gradcam *c, const float *x, int32_t cls) {
    ft_view in = ft_plan_value(c->plan, c->m->input, 1);
    for (int64_t e = 0; e < ft_rows(&in) * in.c; e++) in.p[e] = (ft_real)x[e];
    ft_plan_value(c->plan, c->classes, 1).p[0] = (ft_real)cls;
    ft_plan_forward(c->plan, 1, 0);
    ft_plan_backward(c->plan, 1, false);
    ft_view a = ft_plan_value(c->plan, c->layer, 1), da = ft_plan_watched(c->plan, c->layer, 1);
    int64_t pixels = ft_rows(&a);
    ft_view heat = {.p = c->heat, .n = 1, .h = a.h, .w = a.w, .c = 1, .ld = 1};
    memset(c->heat, 0, (size_t)pixels * sizeof *c->heat);
    for (int32_t k = 0; k < a.c; k++) {
        double weight = 0;
        for (int64_t p = 0; p < pixels; p++) weight += (double)da.p[p * da.ld + k];
        for (int64_t p = 0; p < pixels; p++)
            c->heat[p] += (ft_real)(weight / (double)pixels * (double)a.p[p * a.ld + k]);
    }
    ft_real most = 0;
    for (int64_t p = 0; p < pixels; p++) most = c->heat[p] > most ? c->heat[p] : most;
    for (int64_t p = 0; p < pixels; p++) c->heat[p] = c->heat[p] > 0 ? c->heat[p] / most : 0;
    return heat;
}

/* ---- pictures ---- */

/* Between the heat's pixels, whose centres are at halves. */
static double sample(const ft_view *heat, double y, double x) {
    y = fmin(fmax(y * heat->h - 0.5, 0), heat->h - 1);
    x = fmin(fmax(x * heat->w - 0.5, 0), heat->w - 1);
    int32_t top = (int32_t)y, left = (int32_t)x, below = top + 1 < heat->h ? top + 1 : top,
            right = left + 1 < heat->w ? left + 1 : left;
    double down = y - top, along = x - left;
    const ft_real *upper = heat->p + (int64_t)top * heat->w, *lower = heat->p + (int64_t)below * heat->w;
    return (1 - down) * ((1 - along) * (double)upper[left] + along * (double)upper[right]) +
           down * ((1 - along) * (double)lower[left] + along * (double)lower[right]);
}

/* From nothing by violet and orange to light yellow. */
static void colour(double heat, double rgb[3]) {
    static const double stops[][3] = {{40, 10, 90}, {150, 30, 110}, {235, 100, 50}, {252, 225, 120}};
    double at = heat * 3;
    int i = at >= 2 ? 2 : (int)at;
    for (int k = 0; k < 3; k++) rgb[k] = stops[i][k] + (at - i) * (stops[i + 1][k] - stops[i][k]);
}

void ft_gradcam_overlay(const ft_view *heat, ft_image *im) {
    for (int32_t y = 0; y < im->h; y++)
        for (int32_t x = 0; x < im->w; x++) {
            double h = sample(heat, (y + 0.5) / im->h, (x + 0.5) / im->w), share = 0.25 + 0.4 * h, rgb[3];
            uint8_t *p = im->p + ((int64_t)y * im->w + x) * 3;
            colour(h, rgb);
            for (int k = 0; k < 3; k++) p[k] = (uint8_t)lround((1 - share) * p[k] + share * rgb[k]);
        }
}

#include "layers/net.h"

#include <stdio.h>
#include <string.h>

const ft_net *ft_net_find(const char *name) {
    for (const ft_net *const *n = ft_net_list; *n; n++)
        if (strcmp((*n)->name, name) == 0) return *n;
    return NULL;
}

static ft_err check(const ft_net *net, const ft_net_options *o) {
    int32_t h = o->image.h, w = o->image.w, small = h < w ? h : w, big = h < w ? w : h;
    FT_REQUIRE(small >= net->min_size, GRAPH, "%s needs images of at least %d x %d pixels, not %d x %d",
               net->name, net->min_size, net->min_size, w, h);
    FT_REQUIRE(net->max_size == 0 || big <= net->max_size, GRAPH,
               "%s is made for images of up to %d pixels, not %d x %d; choose a smaller image.size or "
               "another network",
               net->name, net->max_size, w, h);
    FT_REQUIRE(o->image.c > 0 && o->classes >= 0, GRAPH, "%s cannot have %d channels and %d classes",
               net->name, o->image.c, o->classes);
    FT_REQUIRE(!o->aux_head || net->has_aux_head, GRAPH, "%s has no auxiliary head", net->name);
    FT_REQUIRE(o->width == 0 || o->width == 1 || net->has_width, GRAPH, "%s has no width multiplier",
               net->name);
    return FT_OK;
}

ft_err ft_net_build(const ft_net *net, ft_graph *g, const ft_net_options *o, ft_val *image,
                    ft_net_outputs *out) {
    FT_TRY(check(net, o));
    ft_graph_limit_params(g, o->most_numbers);
    *image = ft_input(g, "image", o->image);
    *out = net->build(g, *image, o);
    return ft_graph_status(g);
}

ft_val ft_unit(ft_units *u, ft_val x, int32_t filters, int32_t kh, int32_t kw, int32_t stride,
               ft_padding padding) {
    char conv[32], norm[32], act[32];
    int32_t k = ++u->k;
    snprintf(conv, sizeof conv, "conv2d_%d", k);
    snprintf(norm, sizeof norm, "batch_normalization_%d", k);
    snprintf(act, sizeof act, "activation_%d", k);
    x = ft_conv2d(u->g, x,
                  &(ft_conv){.name = conv,
                             .filters = filters,
                             .k = {kh, kw},
                             .stride = {stride, stride},
                             .padding = padding});
    x = ft_batchnorm(u->g, x,
                     &(ft_norm){.name = norm,
                                .epsilon = u->o->bn_epsilon,
                                .momentum = u->o->bn_momentum,
                                .scale = u->o->bn_scale,
                                .unbiased = u->o->bn_unbiased});
    return ft_relu(u->g, x, act);
}

ft_val ft_unit_avgpool(ft_units *u, ft_val x) {
    return ft_avgpool(u->g, x,
                      &(ft_pool){.k = {3, 3},
                                 .stride = {1, 1},
                                 .padding = FT_PAD_SAME,
                                 .count_padding = u->o->count_padding});
}

void ft_net_head(ft_graph *g, ft_val x, const ft_net_options *o, ft_net_outputs *out) {
    out->features = x = ft_global_avgpool(g, x, "avg_pool");
    out->logits = FT_NONE;
    if (o->classes == 0) return;
    if (o->dropout > 0) x = ft_dropout(g, x, o->dropout, "dropout");
    out->logits = ft_dense(g, x, &(ft_dense_options){.name = "predictions", .units = o->classes});
}

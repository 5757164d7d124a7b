#include "train/weight_names.h"

#include <stdio.h>
#include <string.h>

static const char *const leaves[FT_WEIGHTS_OF_A_LAYER][2] = {{"kernel", "weight"},
                                                             {"bias", "bias"},
                                                             {"gamma", "weight"},
                                                             {"beta", "bias"},
                                                             {"moving_mean", "running_mean"},
                                                             {"moving_variance", "running_var"}};

ft_param *ft_layer_param(const ft_graph *g, const char *node, int32_t k) {
    for (int i = 0; i < FT_WEIGHTS_OF_A_LAYER; i++) {
        char name[128];
        snprintf(name, sizeof name, "%s/%s", node, leaves[i][0]);
        ft_param *p = ft_graph_find_param(g, name);
        if (p && k-- == 0) return p;
    }
    return NULL;
}

const char *ft_param_leaf(const ft_param *p) {
    const char *slash = strrchr(p->name, '/');
    return slash ? slash + 1 : p->name;
}

bool ft_torch_param_name(const ft_net *net, const ft_param *p, char name[160]) {
    const char *leaf = ft_param_leaf(p);
    char node[96], module[96];
    snprintf(node, sizeof node, "%.*s", (int)(leaf - p->name) - 1, p->name);
    if (leaf == p->name || !net->torch_name || !net->torch_name(node, module)) return false;
    for (int i = 0; i < FT_WEIGHTS_OF_A_LAYER; i++)
        if (strcmp(leaf, leaves[i][0]) == 0) {
            snprintf(name, 160, "%s.%s", module, leaves[i][1]);
            return true;
        }
    return false;
}

int32_t ft_param_dims(const ft_param *p, int32_t least, int64_t dims[4]) {
    const int64_t all[4] = {p->shape.n, p->shape.h, p->shape.w, p->shape.c};
    int32_t rank = 4;
    while (rank > least && all[4 - rank] == 1) rank--;
    for (int32_t i = 0; i < rank; i++) dims[i] = all[4 - rank + i];
    return rank;
}

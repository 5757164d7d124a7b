/* Inception-v3: Szegedy, Vanhoucke, Ioffe, Shlens, Wojna, "Rethinking the Inception Architecture for Computer
 * Vision", arXiv 1512.00567. Blocks in the order of the network; names, filters and the order of concats are
 * Keras's.
 */
#include "layers/net.h"

#include <stdio.h>
#include <string.h>

#define CONCAT(g, name, ...) \
    ft_concat(g, (int32_t)(sizeof(ft_val[]){__VA_ARGS__} / sizeof(ft_val)), (ft_val[]){__VA_ARGS__}, name)

static ft_val same(ft_units *u, ft_val x, int32_t filters, int32_t kh, int32_t kw) {
    return ft_unit(u, x, filters, kh, kw, 1, FT_PAD_SAME);
}
static ft_val halve(ft_units *u, ft_val x, int32_t filters) {
    return ft_unit(u, x, filters, 3, 3, 2, FT_PAD_VALID);
}
static ft_val halve_pool(ft_units *u, ft_val x) {
    return ft_maxpool(u->g, x, &(ft_pool){.k = {3, 3}, .stride = {2, 2}, .padding = FT_PAD_VALID});
}

/* Figure 5, with the 5x5 kept: 35 x 35 maps. */
static ft_val block_a(ft_units *u, ft_val x, int32_t pool_filters, const char *name) {
    ft_val one = same(u, x, 64, 1, 1);
    ft_val five = same(u, same(u, x, 48, 1, 1), 64, 5, 5);
    ft_val three = same(u, same(u, same(u, x, 64, 1, 1), 96, 3, 3), 96, 3, 3);
    ft_val pool = same(u, ft_unit_avgpool(u, x), pool_filters, 1, 1);
    return CONCAT(u->g, name, one, five, three, pool);
}

/* Figure 10: the grid goes from 35 to 17. */
static ft_val reduction_a(ft_units *u, ft_val x, const char *name) {
    ft_val three = halve(u, x, 384);
    ft_val dbl = halve(u, same(u, same(u, x, 64, 1, 1), 96, 3, 3), 96);
    return CONCAT(u->g, name, three, dbl, halve_pool(u, x));
}

/* Figure 6: 7 x 7 kernels factorised, 17 x 17 maps. */
static ft_val block_b(ft_units *u, ft_val x, int32_t c, const char *name) {
    ft_val one = same(u, x, 192, 1, 1);
    ft_val seven = same(u, same(u, same(u, x, c, 1, 1), c, 1, 7), 192, 7, 1);
    ft_val dbl = same(u, same(u, same(u, x, c, 1, 1), c, 7, 1), c, 1, 7);
    dbl = same(u, same(u, dbl, c, 7, 1), 192, 1, 7);
    ft_val pool = same(u, ft_unit_avgpool(u, x), 192, 1, 1);
    return CONCAT(u->g, name, one, seven, dbl, pool);
}

/* The grid goes from 17 to 8. */
static ft_val reduction_b(ft_units *u, ft_val x, const char *name) {
    ft_val three = halve(u, same(u, x, 192, 1, 1), 320);
    ft_val seven = halve(u, same(u, same(u, same(u, x, 192, 1, 1), 192, 1, 7), 192, 7, 1), 192);
    return CONCAT(u->g, name, three, seven, halve_pool(u, x));
}

/* Figure 7: expanded filter banks, 8 x 8 maps. */
static ft_val block_c(ft_units *u, ft_val x, const char *first, const char *second, const char *name) {
    ft_val one = same(u, x, 320, 1, 1);
    ft_val three = same(u, x, 384, 1, 1);
    ft_val wide = same(u, three, 384, 1, 3), tall = same(u, three, 384, 3, 1);
    three = CONCAT(u->g, first, wide, tall);
    ft_val dbl = same(u, same(u, x, 448, 1, 1), 384, 3, 3);
    wide = same(u, dbl, 384, 1, 3);
    tall = same(u, dbl, 384, 3, 1);
    dbl = CONCAT(u->g, second, wide, tall);
    ft_val pool = same(u, ft_unit_avgpool(u, x), 192, 1, 1);
    return CONCAT(u->g, name, one, three, dbl, pool);
}

static int32_t at_most_5(int32_t side) {
    return side < 5 ? side : 5;
}

/* The batch-normalised auxiliary classifier on the last 17 x 17 map: its second convolution covers all that
 * the pool leaves. Windows shrink with the map of a small image. */
static ft_val aux_head(ft_graph *g, ft_val x, const ft_net_options *o) {
    static const ft_init small = {FT_INIT_TRUNCATED_NORMAL, 0.01}, tiny = {FT_INIT_TRUNCATED_NORMAL, 0.001};
    ft_norm norm = {.epsilon = o->bn_epsilon,
                    .momentum = o->bn_momentum,
                    .scale = o->bn_scale,
                    .unbiased = o->bn_unbiased};
    ft_shape map = ft_val_shape(g, x);
    x = ft_avgpool(g, x,
                   &(ft_pool){.name = "aux_pool",
                              .k = {at_most_5(map.h), at_most_5(map.w)},
                              .stride = {3, 3},
                              .padding = FT_PAD_VALID});
    x = ft_conv2d(g, x, &(ft_conv){.name = "aux_conv0", .filters = 128, .k = {1, 1}});
    norm.name = "aux_bn0";
    x = ft_relu(g, ft_batchnorm(g, x, &norm), "aux_relu0");
    map = ft_val_shape(g, x);
    x = ft_conv2d(g, x,
                  &(ft_conv){.name = "aux_conv1",
                             .filters = 768,
                             .k = {at_most_5(map.h), at_most_5(map.w)},
                             .padding = FT_PAD_VALID,
                             .init = &small});
    norm.name = "aux_bn1";
    x = ft_relu(g, ft_batchnorm(g, x, &norm), "aux_relu1");
    x = ft_global_avgpool(g, x, "aux_avg_pool");
    return ft_dense(g, x, &(ft_dense_options){.name = "aux_predictions", .units = o->classes, .init = &tiny});
}

static ft_net_outputs build(ft_graph *g, ft_val x, const ft_net_options *o) {
    ft_net_outputs out = {.aux_logits = FT_NONE};
    ft_units units = {.g = g, .o = o}, *u = &units;
    x = halve(u, x, 32);
    x = ft_unit(u, x, 32, 3, 3, 1, FT_PAD_VALID);
    x = halve_pool(u, same(u, x, 64, 3, 3));
    x = ft_unit(u, x, 80, 1, 1, 1, FT_PAD_VALID);
    x = halve_pool(u, ft_unit(u, x, 192, 3, 3, 1, FT_PAD_VALID));
    x = block_a(u, x, 32, "mixed0");
    x = block_a(u, x, 64, "mixed1");
    x = block_a(u, x, 64, "mixed2");
    x = reduction_a(u, x, "mixed3");
    x = block_b(u, x, 128, "mixed4");
    x = block_b(u, x, 160, "mixed5");
    x = block_b(u, x, 160, "mixed6");
    x = block_b(u, x, 192, "mixed7");
    ft_val last17 = x;
    x = reduction_b(u, x, "mixed8");
    x = block_c(u, x, "mixed9_0", "concatenate_1", "mixed9");
    x = block_c(u, x, "mixed9_1", "concatenate_2", "mixed10");
    ft_net_head(g, x, o, &out);
    if (o->aux_head && o->classes) out.aux_logits = aux_head(g, last17, o);
    return out;
}

/* torchvision's blocks: how many of the units each has, and what these are called in it. */
typedef struct torch_block {
    int32_t units;
    const char *const *blocks; /* of this kind, one after the other */
    const char *const *names;  /* (units) */
} torch_block;

#define NAMES(...)          \
    (const char *const[]) { \
        __VA_ARGS__, NULL   \
    }
static const torch_block torch_blocks[] = {
    {1, NAMES("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1", "Conv2d_4a_3x3"),
     NAMES("")},
    {7, NAMES("Mixed_5b", "Mixed_5c", "Mixed_5d"),
     NAMES(".branch1x1", ".branch5x5_1", ".branch5x5_2", ".branch3x3dbl_1", ".branch3x3dbl_2",
           ".branch3x3dbl_3", ".branch_pool")},
    {4, NAMES("Mixed_6a"), NAMES(".branch3x3", ".branch3x3dbl_1", ".branch3x3dbl_2", ".branch3x3dbl_3")},
    {10, NAMES("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"),
     NAMES(".branch1x1", ".branch7x7_1", ".branch7x7_2", ".branch7x7_3", ".branch7x7dbl_1", ".branch7x7dbl_2",
           ".branch7x7dbl_3", ".branch7x7dbl_4", ".branch7x7dbl_5", ".branch_pool")},
    {6, NAMES("Mixed_7a"),
     NAMES(".branch3x3_1", ".branch3x3_2", ".branch7x7x3_1", ".branch7x7x3_2", ".branch7x7x3_3",
           ".branch7x7x3_4")},
    {9, NAMES("Mixed_7b", "Mixed_7c"),
     NAMES(".branch1x1", ".branch3x3_1", ".branch3x3_2a", ".branch3x3_2b", ".branch3x3dbl_1",
           ".branch3x3dbl_2", ".branch3x3dbl_3a", ".branch3x3dbl_3b", ".branch_pool")},
};

/* The module of unit k, from 1. */
static bool torch_unit(int32_t k, const char *part, char name[96]) {
    for (size_t i = 0; k > 0 && i < sizeof torch_blocks / sizeof *torch_blocks; i++) {
        const torch_block *b = &torch_blocks[i];
        for (const char *const *block = b->blocks; *block; block++, k -= b->units) {
            if (k > b->units) continue;
            snprintf(name, 96, "%s%s.%s", *block, b->names[k - 1], part);
            return true;
        }
    }
    return false;
}

static bool torch_name(const char *node, char name[96]) {
    static const char *const others[][2] = {{"predictions", "fc"},
                                            {"aux_conv0", "AuxLogits.conv0.conv"},
                                            {"aux_bn0", "AuxLogits.conv0.bn"},
                                            {"aux_conv1", "AuxLogits.conv1.conv"},
                                            {"aux_bn1", "AuxLogits.conv1.bn"},
                                            {"aux_predictions", "AuxLogits.fc"}};
    int k;
    if (sscanf(node, "conv2d_%d", &k) == 1) return torch_unit(k, "conv", name);
    if (sscanf(node, "batch_normalization_%d", &k) == 1) return torch_unit(k, "bn", name);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strcmp(node, others[i][0]) == 0) {
            snprintf(name, 96, "%s", others[i][1]);
            return true;
        }
    return false;
}

const ft_net ft_net_inception_v3 = {
    .name = "inception_v3",
    .summary = "Inception-v3 (Szegedy et al. 2015), 94 convolutions, 21.8 M parameters without its top",
    .size = 299,
    .channels = 3,
    .min_size = 75,
    .has_aux_head = true,
    .torch_name = torch_name,
    .build = build,
};

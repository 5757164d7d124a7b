/* A small Inception for images of 28 to 112 pixels: the blocks of Inception-v3 (arXiv 1512.00567, figures 5
 * to 7 and 10) at a tenth of the width, one of each kind, with 'same' padding so that small maps survive.
 */
#include "layers/net.h"

#include <math.h>

#define CONCAT(g, name, ...) \
    ft_concat(g, (int32_t)(sizeof(ft_val[]){__VA_ARGS__} / sizeof(ft_val)), (ft_val[]){__VA_ARGS__}, name)

/* Filters under the width multiplier, kept a multiple of 8. */
static int32_t wide(const ft_units *u, int32_t filters) {
    float width = u->o->width > 0 ? u->o->width : 1;
    int32_t n = (int32_t)lroundf((float)filters * width / 8) * 8;
    return n > 8 ? n : 8;
}

static ft_val same(ft_units *u, ft_val x, int32_t filters, int32_t kh, int32_t kw) {
    return ft_unit(u, x, wide(u, filters), kh, kw, 1, FT_PAD_SAME);
}
static ft_val halve(ft_units *u, ft_val x, int32_t filters) {
    return ft_unit(u, x, wide(u, filters), 3, 3, 2, FT_PAD_SAME);
}
static ft_val halve_pool(ft_units *u, ft_val x) {
    return ft_maxpool(u->g, x, &(ft_pool){.k = {3, 3}, .stride = {2, 2}, .padding = FT_PAD_SAME});
}

/* Figure 5, its 5 x 5 replaced by two 3 x 3 in the third branch. */
static ft_val block_a(ft_units *u, ft_val x, const char *name) {
    ft_val one = same(u, x, 32, 1, 1);
    ft_val three = same(u, same(u, x, 32, 1, 1), 32, 3, 3);
    ft_val dbl = same(u, same(u, same(u, x, 16, 1, 1), 32, 3, 3), 32, 3, 3);
    ft_val pool = same(u, ft_unit_avgpool(u, x), 16, 1, 1);
    return CONCAT(u->g, name, one, three, dbl, pool);
}

/* Figure 10. */
static ft_val reduction(ft_units *u, ft_val x, int32_t filters, const char *name) {
    ft_val three = halve(u, x, filters);
    ft_val dbl = halve(u, same(u, same(u, x, 32, 1, 1), 32, 3, 3), 32);
    return CONCAT(u->g, name, three, dbl, halve_pool(u, x));
}

/* Figure 6: 7 x 7 factorised. */
static ft_val block_b(ft_units *u, ft_val x, const char *name) {
    ft_val one = same(u, x, 64, 1, 1);
    ft_val seven = same(u, same(u, same(u, x, 48, 1, 1), 48, 1, 7), 64, 7, 1);
    ft_val dbl = same(u, same(u, same(u, x, 32, 1, 1), 48, 7, 1), 48, 1, 7);
    ft_val pool = same(u, ft_unit_avgpool(u, x), 32, 1, 1);
    return CONCAT(u->g, name, one, seven, dbl, pool);
}

/* Figure 7: expanded filter banks. */
static ft_val block_c(ft_units *u, ft_val x, const char *name) {
    ft_val one = same(u, x, 96, 1, 1);
    ft_val three = same(u, x, 96, 1, 1);
    ft_val row = same(u, three, 64, 1, 3), column = same(u, three, 64, 3, 1);
    ft_val pool = same(u, ft_unit_avgpool(u, x), 32, 1, 1);
    return CONCAT(u->g, name, one, row, column, pool);
}

static ft_net_outputs build(ft_graph *g, ft_val x, const ft_net_options *o) {
    ft_net_outputs out = {.aux_logits = FT_NONE};
    ft_units units = {.g = g, .o = o}, *u = &units;
    ft_shape image = ft_val_shape(g, x);
    bool large = image.h >= 56 && image.w >= 56;
    x = large ? halve(u, x, 16) : same(u, x, 16, 3, 3);
    x = halve_pool(u, same(u, x, 32, 3, 3));
    x = block_a(u, x, "mixed0");
    x = reduction(u, x, 64, "mixed1");
    x = block_b(u, x, "mixed2");
    x = reduction(u, x, 96, "mixed3");
    x = block_c(u, x, "mixed4");
    ft_net_head(g, x, o, &out);
    return out;
}

const ft_net ft_net_inception_mini = {
    .name = "inception_mini",
    .summary = "a small Inception with factorised kernels, for images of 28 to 112 pixels",
    .size = 64,
    .channels = 3,
    .min_size = 28,
    .max_size = 112,
    .has_width = true,
    .build = build,
};

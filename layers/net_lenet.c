/* LeNet-5: LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition", 1998,
 * figure 2, with plain average pools and a softmax at the end, as it is usually rebuilt.
 */
#include "layers/net.h"

static ft_net_outputs build(ft_graph *g, ft_val x, const ft_net_options *o) {
    ft_net_outputs out = {.logits = FT_NONE, .aux_logits = FT_NONE};
    const ft_pool half = {.k = {2, 2}, .padding = FT_PAD_VALID};
    x = ft_tanh(
        g,
        ft_conv2d(g, x,
                  &(ft_conv){.name = "c1", .filters = 6, .k = {5, 5}, .padding = FT_PAD_SAME, .bias = true}),
        NULL);
    x = ft_avgpool(g, x, &half);
    x = ft_tanh(
        g,
        ft_conv2d(
            g, x,
            &(ft_conv){.name = "c3", .filters = 16, .k = {5, 5}, .padding = FT_PAD_VALID, .bias = true}),
        NULL);
    x = ft_flatten(g, ft_avgpool(g, x, &half), NULL);
    x = ft_tanh(g, ft_dense(g, x, &(ft_dense_options){.name = "c5", .units = 120}), NULL);
    x = out.features = ft_tanh(g, ft_dense(g, x, &(ft_dense_options){.name = "f6", .units = 84}), NULL);
    if (o->classes == 0) return out;
    if (o->dropout > 0) x = ft_dropout(g, x, o->dropout, "dropout");
    out.logits = ft_dense(g, x, &(ft_dense_options){.name = "predictions", .units = o->classes});
    return out;
}

const ft_net ft_net_lenet = {
    .name = "lenet",
    .summary = "LeNet-5 (LeCun et al. 1998)",
    .size = 28,
    .channels = 1,
    .min_size = 12,
    .build = build,
};

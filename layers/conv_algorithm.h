/* How each pass of a convolution is computed: directly, or by Winograd's minimal filtering (Cook-Toom) in one
 * or two dimensions (Winograd, "Arithmetic Complexity of Computations", 1980; Lavin and Gray, arXiv
 * 1509.09308).
 */
#ifndef FACET_LAYERS_CONV_ALGORITHM_H
#define FACET_LAYERS_CONV_ALGORITHM_H

#include "layers/args.h"

typedef enum ft_conv_pass {
    FT_CONV_FORWARD,
    FT_CONV_INPUT_GRADIENT,
    FT_CONV_WEIGHT_GRADIENT,
} ft_conv_pass;

/* Outputs of the convolution that a tile stands for along the height and the width; both 0: direct. An axis
 * along which the kernel is 1 has a tile of 1. */
typedef struct ft_conv_algorithm {
    int32_t mh, mw;
} ft_conv_algorithm;

/* The algorithm for that pass of a convolution with input x and kernel w (kh, kw, cin / groups, cout).
 * Depends on shapes alone. direct: never anything else. */
ft_conv_algorithm ft_conv_choose(const ft_conv_args *a, ft_shape x, ft_shape w, ft_conv_pass pass,
                                 bool direct);
/* "direct", "F(4x4, 3x3)", "F(1x4, 1x7)", "F(3x3, 3x3/2)". */
void ft_conv_algorithm_name(ft_conv_algorithm algorithm, const ft_conv_args *a, char name[32]);

#endif

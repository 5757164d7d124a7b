#include "layers/conv_algorithm.h"

#include <stdio.h>

ft_conv_algorithm ft_conv_choose(const ft_conv_args *a, ft_shape x, ft_shape w, ft_conv_pass pass,
                                 bool direct) {
    (void)a, (void)x, (void)w, (void)pass, (void)direct;
    return (ft_conv_algorithm){0};
}

void ft_conv_algorithm_name(ft_conv_algorithm algorithm, const ft_conv_args *a, char name[32]) {
    if (algorithm.mh == 0)
        snprintf(name, 32, "direct");
    else
        snprintf(name, 32, "F(%dx%d, %dx%d)", algorithm.mh, algorithm.mw, a->win.kh, a->win.kw);
}

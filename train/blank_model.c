#include "train/blank_model.h"

#include <stdio.h>
#include <stdlib.h>

ft_err ft_blank_model(const char *arch, int32_t size, int32_t classes, ft_model **out) {
    *out = NULL;
    const ft_net *net = ft_net_find(arch);
    ft_preprocess image = {.h = size, .w = size, .c = net ? net->channels : 3};
    if (net && size == 0) image.h = image.w = net->size;
    char(*text)[24] = ft_alloc((size_t)classes + 1, sizeof *text);
    const char **names = ft_alloc((size_t)classes + 1, sizeof *names);
    ft_err e = FT_E_MEMORY;
    if (!text || !names) {
        ft_err_set(e, "no memory for %d class names", classes);
    } else {
        for (int32_t i = 0; i < classes; i++) {
            snprintf(text[i], sizeof text[i], "class %d", i);
            names[i] = text[i];
        }
        e = ft_model_new(arch, &(ft_net_options){.classes = classes}, &image, names, out);
    }
    free(text);
    free(names);
    return e;
}

ft_err ft_blank_loss(ft_model *m, ft_val *labels, ft_val *loss) {
    *labels = ft_input(m->g, "labels", (ft_shape){1, 1, 1, 1});
    *loss = ft_softmax_cross_entropy(m->g, m->out.logits, *labels, NULL);
    return ft_graph_status(m->g);
}

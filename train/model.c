#include "train/model.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

static ft_err unknown(const char *arch) {
    char known[512] = "";
    for (const ft_net *const *n = ft_net_list; *n; n++) {
        if (*known) strncat(known, ", ", sizeof known - strlen(known) - 1);
        strncat(known, (*n)->name, sizeof known - strlen(known) - 1);
    }
    FT_FAIL(GRAPH, "there is no network '%s'; known: %s", arch, known);
}

static ft_err copy_names(ft_model *m, const char *const *names) {
    m->class_names = ft_alloc((size_t)m->options.classes + 1, sizeof *m->class_names);
    FT_REQUIRE(m->class_names, MEMORY, "no memory for %d class names", m->options.classes);
    for (int32_t i = 0; i < m->options.classes; i++) {
        m->class_names[i] = strdup(names[i]);
        FT_REQUIRE(m->class_names[i], MEMORY, "no memory for %d class names", m->options.classes);
    }
    return FT_OK;
}

static ft_err build(ft_model *m, const char *const *names) {
    FT_TRY(copy_names(m, names));
    FT_TRY(ft_graph_new(&m->g));
    FT_TRY(ft_net_build(m->net, m->g, &m->options, &m->input, &m->out));
    m->probabilities = m->out.logits.id > 0 ? ft_softmax(m->g, m->out.logits, "probabilities") : FT_NONE;
    return ft_graph_status(m->g);
}

ft_err ft_model_new(const char *arch, const ft_net_options *options, const ft_preprocess *image,
                    const char *const *class_names, ft_model **out) {
    *out = NULL;
    const ft_net *net = ft_net_find(arch);
    if (!net) return unknown(arch);
    ft_model *m = calloc(1, sizeof *m);
    FT_REQUIRE(m, MEMORY, "no memory for a model");
    m->net = net;
    m->options = *options;
    m->options.image = (ft_shape){1, image->h, image->w, image->c};
    m->image = *image;
    ft_err e = build(m, class_names);
    if (e != FT_OK) {
        ft_model_free(m);
        return e;
    }
    *out = m;
    return FT_OK;
}

void ft_model_free(ft_model *m) {
    if (!m) return;
    for (int32_t i = 0; m->class_names && i < m->options.classes; i++) free(m->class_names[i]);
    free(m->class_names);
    ft_heads_free(m->n_heads, m->heads);
    free(m->config);
    ft_graph_free(m->g);
    free(m);
}

int64_t ft_model_n_parameters(const ft_model *m, int64_t *trainable) {
    int64_t all = 0;
    *trainable = 0;
    for (int32_t i = 0; i < ft_graph_n_params(m->g); i++) {
        const ft_param *p = ft_graph_param(m->g, i);
        if (p->flags & FT_TRANSIENT) continue;
        all += ft_shape_size(p->shape);
        if ((p->flags & FT_TRAINABLE) && !p->frozen) *trainable += ft_shape_size(p->shape);
    }
    return all;
}

uint64_t ft_model_fingerprint(const ft_model *m) {
    uint64_t hash = 0;
    for (int32_t i = 0; i < ft_graph_n_params(m->g); i++) {
        const ft_param *p = ft_graph_param(m->g, i);
        if (p->flags & FT_TRANSIENT) continue;
        hash = XXH3_64bits_withSeed(p->p, (size_t)ft_shape_size(p->shape) * sizeof *p->p, hash);
    }
    return hash;
}

#include "train/heads.h"

#include "train/model.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int32_t ft_head_outputs(const ft_head *h) {
    return h->kind == FT_TARGET_NUMBER ? 1 : h->n_classes;
}

ft_target ft_head_target(const ft_head *h) {
    return (ft_target){h->name, h->kind, h->n_classes, h->class_names};
}

void ft_heads_free(int32_t n, ft_head *heads) {
    for (int32_t k = 0; k < n; k++) {
        free(heads[k].name);
        for (int32_t c = 0; heads[k].class_names && c < heads[k].n_classes; c++)
            free(heads[k].class_names[c]);
        free(heads[k].class_names);
    }
    free(heads);
}

static ft_err copy_texts(ft_head *to, const ft_head *from) {
    to->name = strdup(from->name);
    to->class_names = ft_alloc((size_t)from->n_classes + 1, sizeof *to->class_names);
    FT_REQUIRE(to->name && to->class_names, MEMORY, "no memory for a head");
    for (int32_t c = 0; c < from->n_classes; c++) {
        to->class_names[c] = strdup(from->class_names[c]);
        FT_REQUIRE(to->class_names[c], MEMORY, "no memory for class names");
    }
    return FT_OK;
}

/* "predictions_<name>", with what cannot be in a node's name replaced. */
static void node_name(const char *what, const char *name, char node[96]) {
    snprintf(node, 96, "%s_%.64s", what, name);
    for (char *p = node; *p; p++)
        if (!isalnum((unsigned char)*p) && *p != '_' && *p != '-') *p = '_';
}

static ft_err build(ft_model *m, ft_head *h) {
    char name[96];
    ft_val x = m->out.features;
    if (m->options.dropout > 0) {
        node_name("dropout", h->name, name);
        x = ft_dropout(m->g, x, m->options.dropout, name);
    }
    node_name("predictions", h->name, name);
    h->output = ft_dense(m->g, x, &(ft_dense_options){.name = name, .units = ft_head_outputs(h)});
    node_name("probabilities", h->name, name);
    h->prediction = h->kind == FT_TARGET_CLASS   ? ft_softmax(m->g, h->output, name)
                    : h->kind == FT_TARGET_MULTI ? ft_sigmoid(m->g, h->output, name)
                                                 : h->output;
    return ft_graph_status(m->g);
}

ft_err ft_model_add_head(ft_model *m, const ft_head *as) {
    FT_REQUIRE(m->options.classes > 0, GRAPH, "a network without its top has no further heads either");
    FT_REQUIRE(as->kind != FT_TARGET_CLASS || as->n_classes >= 2, DATA,
               "the column %s has %d class; a classifier needs at least 2", as->name, as->n_classes);
    for (int32_t k = 0; k < m->n_heads; k++)
        FT_REQUIRE(strcmp(m->heads[k].name, as->name) != 0, GRAPH, "there are two heads '%s'", as->name);
    ft_head *more = realloc(m->heads, (size_t)(m->n_heads + 1) * sizeof *more);
    FT_REQUIRE(more, MEMORY, "no memory for a head");
    m->heads = more;
    ft_head *h = &m->heads[m->n_heads++];
    *h = (ft_head){.kind = as->kind,
                   .n_classes = as->n_classes,
                   .mean = as->mean,
                   .deviation = as->deviation,
                   .weight = as->weight};
    FT_TRY(copy_texts(h, as));
    return build(m, h);
}

static void scale_of(const ft_dataset *ds, int32_t t, const int32_t *index, int32_t n, ft_head *h) {
    double sum = 0, squares = 0;
    for (int32_t i = 0; i < n; i++) {
        float x;
        ft_dataset_target(ds, index[i], t, &x);
        sum += (double)x;
    }
    h->mean = sum / n;
    for (int32_t i = 0; i < n; i++) {
        float x;
        ft_dataset_target(ds, index[i], t, &x);
        squares += ((double)x - h->mean) * ((double)x - h->mean);
    }
    h->deviation = squares > 0 ? sqrt(squares / n) : 1;
}

ft_err ft_heads_for(ft_model *m, const ft_dataset *ds, const int32_t *index, int32_t n) {
    for (int32_t t = 0; t < ds->n_targets; t++) {
        const ft_target *target = &ds->targets[t];
        ft_head h = {.name = target->name,
                     .kind = target->kind,
                     .n_classes = target->n_classes,
                     .class_names = target->class_names,
                     .deviation = 1,
                     .weight = 1};
        if (h.kind == FT_TARGET_NUMBER) scale_of(ds, t, index, n, &h);
        FT_TRY(ft_model_add_head(m, &h));
    }
    return FT_OK;
}

ft_err ft_heads_match(const ft_model *m, const ft_dataset *ds) {
    FT_REQUIRE(m->n_heads == ds->n_targets, DATA,
               "the model has %d heads besides its classes, the data %d columns for them", m->n_heads,
               ds->n_targets);
    for (int32_t k = 0; k < m->n_heads; k++) {
        const ft_head *h = &m->heads[k];
        const ft_target *t = &ds->targets[k];
        FT_REQUIRE(strcmp(h->name, t->name) == 0 && h->kind == t->kind, DATA,
                   "head %d of the model is '%s', the data's is '%s', or of another kind", k + 1, h->name,
                   t->name);
        FT_REQUIRE(h->n_classes == t->n_classes, DATA, "'%s' has %d classes for the model and %d in the data",
                   h->name, h->n_classes, t->n_classes);
        for (int32_t c = 0; c < h->n_classes; c++)
            FT_REQUIRE(strcmp(h->class_names[c], t->class_names[c]) == 0, DATA,
                       "class %d of '%s' is '%s' for the model and '%s' in the data", c, h->name,
                       h->class_names[c], t->class_names[c]);
    }
    return FT_OK;
}

void ft_head_label(const ft_head *h, const float *target, ft_real *label) {
    ft_target t = ft_head_target(h);
    for (int32_t k = 0; k < ft_target_width(&t); k++)
        label[k] = h->kind == FT_TARGET_NUMBER ? (ft_real)(((double)target[k] - h->mean) / h->deviation)
                                               : (ft_real)target[k];
}

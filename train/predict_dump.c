#include "train/predict_dump.h"

#include "train/h5_write.h"
#include "train/nearest.h"

#include <stdlib.h>
#include <string.h>

static ft_err unknown(const ft_graph *g, const char *name) {
    ft_nearest nearest = {.word = name};
    for (int32_t i = 0; i < ft_graph_n_nodes(g); i++) ft_nearest_offer(&nearest, ft_graph_node(g, i).name);
    FT_REQUIRE(!nearest.best, USAGE, "the network has no node '%s'; did you mean %s?", name, nearest.best);
    FT_FAIL(USAGE, "the network has no node '%s'; ft-model summary lists them", name);
}

static ft_err add_node(ft_dump *d, const char *name) {
    ft_val v = ft_graph_find(d->g, name);
    if (v.id <= 0) return unknown(d->g, name);
    for (int32_t i = 0; i < d->n; i++)
        FT_REQUIRE(d->nodes[i].val.id != v.id, USAGE, "the node '%s' is named twice", name);
    d->nodes[d->n++] = (ft_dump_node){.name = ft_val_name(d->g, v), .val = v};
    return FT_OK;
}

ft_err ft_dump_init(ft_dump *d, const ft_graph *g, const char *names) {
    *d = (ft_dump){.g = g};
    if (!names) return FT_OK;
    int32_t n = 1;
    for (const char *c = names; *c; c++) n += *c == ',';
    char *copy = strdup(names), *rest = copy;
    d->nodes = ft_alloc((size_t)n, sizeof *d->nodes);
    ft_err e = copy && d->nodes ? FT_OK : ft_err_set(FT_E_MEMORY, "no memory for %d nodes to dump", n);
    while (rest && e == FT_OK) e = add_node(d, strsep(&rest, ","));
    free(copy);
    return e;
}

void ft_dump_free(ft_dump *d) {
    for (int32_t i = 0; i < d->n; i++) free(d->nodes[i].p);
    free(d->nodes);
    *d = (ft_dump){0};
}

static ft_err make_room(ft_dump *d) {
    if (d->samples < d->room) return FT_OK;
    int64_t room = d->room > 0 ? 2 * d->room : 8;
    for (int32_t i = 0; i < d->n; i++) {
        ft_dump_node *node = &d->nodes[i];
        int64_t size = ft_shape_size(ft_val_shape(d->g, node->val));
        float *p = reallocarray(node->p, (size_t)room, (size_t)size * sizeof *p);
        FT_REQUIRE(p, MEMORY, "no memory for %lld outputs of '%s'", (long long)room, node->name);
        node->p = p;
    }
    d->room = room;
    return FT_OK;
}

ft_err ft_dump_add(ft_dump *d, const ft_plan *plan, int32_t i) {
    FT_TRY(make_room(d));
    for (int32_t k = 0; k < d->n; k++) {
        ft_view v = ft_plan_value(plan, d->nodes[k].val, i + 1);
        int64_t rows = (int64_t)v.h * v.w;
        for (int64_t r = 0; r < rows; r++)
            memcpy(d->nodes[k].p + (d->samples * rows + r) * v.c, v.p + (i * rows + r) * v.ld,
                   (size_t)v.c * sizeof *v.p);
    }
    d->samples++;
    return FT_OK;
}

static ft_err write_all(ft_h5 *f, const void *ctx) {
    const ft_dump *d = ctx;
    for (int32_t i = 0; i < d->n; i++) {
        ft_shape s = ft_val_shape(d->g, d->nodes[i].val);
        FT_TRY(ft_h5_write_floats(f, d->nodes[i].name, 4, (int64_t[]){d->samples, s.h, s.w, s.c},
                                  d->nodes[i].p));
    }
    return FT_OK;
}

ft_err ft_dump_save(const ft_dump *d, const char *path) {
    FT_REQUIRE(d->samples > 0, DATA, "'%s' was not written: nothing could be predicted", path);
    return ft_h5_write(path, false, write_all, d);
}

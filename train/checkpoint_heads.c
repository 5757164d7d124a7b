#include "train/checkpoint_heads.h"
#include "train/h5_read.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_HEADS = 64, MAX_CLASSES = 65536 };

static void group_of(int32_t k, const char *inside, char name[48]) {
    snprintf(name, 48, "heads/%d%s", k, inside);
}

static ft_err write_head(ft_h5 *f, int32_t k, const ft_head *h) {
    char group[48], names[48];
    group_of(k, "", group);
    group_of(k, "/class_names", names);
    const int64_t kind = h->kind, n_classes = h->n_classes;
    FT_TRY(ft_h5_group(f, group));
    FT_TRY(ft_h5_set_string(f, group, "name", h->name));
    FT_TRY(ft_h5_set_numbers(f, group, "kind", FT_H5_I64, 1, &kind));
    FT_TRY(ft_h5_set_numbers(f, group, "classes", FT_H5_I64, 1, &n_classes));
    FT_TRY(ft_h5_set_numbers(f, group, "mean", FT_H5_F64, 1, &h->mean));
    FT_TRY(ft_h5_set_numbers(f, group, "deviation", FT_H5_F64, 1, &h->deviation));
    FT_TRY(ft_h5_set_numbers(f, group, "weight", FT_H5_F64, 1, &h->weight));
    return h->n_classes ? ft_h5_write_strings(f, names, h->n_classes, (const char *const *)h->class_names)
                        : FT_OK;
}

ft_err ft_heads_write(ft_h5 *f, int32_t n, const ft_head *heads) {
    for (int32_t k = 0; k < n; k++) FT_TRY(write_head(f, k, &heads[k]));
    return FT_OK;
}

static ft_err read_head(const ft_h5_index *x, int32_t k, ft_head *h) {
    char group[48], names[48], **texts = NULL;
    int64_t kind, n_classes;
    group_of(k, "", group);
    group_of(k, "/class_names", names);
    FT_TRY(ft_h5_get_string(x, group, "name", &h->name));
    FT_TRY(ft_h5_get_numbers(x, group, "kind", FT_H5_I64, 1, &kind));
    FT_TRY(ft_h5_get_numbers(x, group, "classes", FT_H5_I64, 1, &n_classes));
    FT_TRY(ft_h5_get_numbers(x, group, "mean", FT_H5_F64, 1, &h->mean));
    FT_TRY(ft_h5_get_numbers(x, group, "deviation", FT_H5_F64, 1, &h->deviation));
    FT_TRY(ft_h5_get_numbers(x, group, "weight", FT_H5_F64, 1, &h->weight));
    bool number = kind == FT_TARGET_NUMBER;
    FT_REQUIRE(kind >= 0 && kind <= FT_TARGET_MULTI && n_classes >= !number &&
                   n_classes <= (number ? 0 : MAX_CLASSES) && isfinite(h->mean) && isfinite(h->deviation) &&
                   h->deviation > 0 && isfinite(h->weight) && h->weight >= 0,
               WEIGHTS, "'%s': head %d makes no sense; the file is damaged: use another copy of it", x->path,
               k + 1);
    h->kind = (ft_target_kind)kind;
    if (number) return FT_OK;
    FT_TRY(ft_h5_read_strings(x, names, (int32_t)n_classes, &texts));
    h->class_names = ft_alloc((size_t)n_classes, sizeof *h->class_names);
    h->n_classes = h->class_names ? (int32_t)n_classes : 0;
    bool ok = h->class_names != NULL;
    for (int32_t c = 0; c < h->n_classes; c++) ok &= (h->class_names[c] = strdup(texts[c])) != NULL;
    free(texts);
    FT_REQUIRE(ok, MEMORY, "no memory for class names");
    return FT_OK;
}

ft_err ft_heads_read(const ft_h5_index *x, int32_t *n, ft_head **heads) {
    *n = 0;
    *heads = ft_alloc(MAX_HEADS, sizeof **heads);
    FT_REQUIRE(*heads, MEMORY, "no memory for the heads of a model");
    ft_err e = FT_OK;
    for (; e == FT_OK && *n < MAX_HEADS; ++*n) {
        char group[48];
        group_of(*n, "", group);
        if (!ft_h5_find(x, group)) break;
        e = read_head(x, *n, &(*heads)[*n]);
    }
    if (e != FT_OK) {
        ft_heads_free(*n, *heads);
        *heads = NULL;
        *n = 0;
    }
    return e;
}

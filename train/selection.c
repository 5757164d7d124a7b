#include "train/selection.h"

#include "train/images.h"

#include <stdlib.h>
#include <string.h>

static ft_err select_all(const ft_dataset *ds, ft_selection *s) {
    s->all = ft_alloc((size_t)ds->n, sizeof *s->all);
    FT_REQUIRE(s->all, MEMORY, "no memory for a list of %d images", ds->n);
    for (int32_t i = 0; i < ds->n; i++) s->all[i] = i;
    s->index = s->all;
    s->n = ds->n;
    s->name = "all";
    return FT_OK;
}

static ft_err same_classes(const ft_model *m, const ft_dataset *ds) {
    FT_REQUIRE(m->options.classes == ds->n_classes, DATA, "the model knows %d classes, the data have %d",
               m->options.classes, ds->n_classes);
    for (int32_t i = 0; i < ds->n_classes; i++)
        FT_REQUIRE(strcmp(m->class_names[i], ds->class_names[i]) == 0, DATA,
                   "class %d is '%s' for the model and '%s' in the data", i, m->class_names[i],
                   ds->class_names[i]);
    return ft_heads_match(m, ds);
}

/* The parts of training can be had again when the data are the ones trained on. */
static ft_err select_part(ft_selection *s, const ft_dataset *ds, const ft_config *config, bool same,
                          const char *wanted) {
    ft_part part = FT_PART_TRAIN;
    bool all = wanted ? strcmp(wanted, "all") == 0 : !same;
    while (wanted && part < FT_PARTS && strcmp(wanted, ft_part_name(part)) != 0) part++;
    FT_REQUIRE(all || part < FT_PARTS, USAGE, "--split: '%s' is none of train, val, test, all", wanted);
    FT_REQUIRE(all || same, DATA,
               "these are not the data the model was trained on (or files were added, removed or renamed "
               "since), so its '%s' part cannot "
               "be found again; use --split all",
               wanted);
    if (all) return select_all(ds, s);
    FT_TRY(ft_images_split(config, ds, &s->split));
    if (!wanted) part = s->split.n[FT_PART_TEST] > 0 ? FT_PART_TEST : FT_PART_VAL;
    FT_REQUIRE(s->split.n[part] > 0, DATA, "the '%s' part of this split is empty", ft_part_name(part));
    s->index = s->split.index[part];
    s->n = s->split.n[part];
    s->name = ft_part_name(part);
    return FT_OK;
}

ft_err ft_selection_make(ft_selection *s, const ft_model *m, const ft_dataset *ds, const ft_config *config,
                         const char *wanted) {
    *s = (ft_selection){0};
    FT_TRY(same_classes(m, ds));
    ft_err e = select_part(s, ds, config, m->config && m->data_fingerprint == ds->fingerprint, wanted);
    if (e != FT_OK) ft_selection_free(s);
    return e;
}

void ft_selection_free(ft_selection *s) {
    free(s->all);
    ft_split_free(&s->split);
    *s = (ft_selection){0};
}

/* Which samples of a data set a model is evaluated on. */
#ifndef FACET_TRAIN_SELECTION_H
#define FACET_TRAIN_SELECTION_H

#include "data/split.h"
#include "train/config.h"
#include "train/model.h"

typedef struct ft_selection {
    ft_split split;       /* of the training, where the data are the ones trained on; else empty */
    int32_t *all;         /* 0 .. n-1, where all are selected */
    const int32_t *index; /* (n) */
    int32_t n;
    const char *name; /* "train", "val", "test", "all"; static */
} ft_selection;

/* The part `wanted` of the training's own split, or "all"; NULL: the test part (without one, the validation
 * part) if the data are those trained on, else all. FT_E_USAGE: no such part; FT_E_DATA: other classes or
 * heads than the model's, other data than those of its training, an empty part; FT_E_MEMORY. *s then needs no
 * free. */
ft_err ft_selection_make(ft_selection *s, const ft_model *m, const ft_dataset *ds, const ft_config *config,
                         const char *wanted);
void ft_selection_free(ft_selection *s);

#endif

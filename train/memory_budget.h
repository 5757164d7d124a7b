/* What a training takes of memory, and how its batches are cut so that it takes no more than it may. */
#ifndef FACET_TRAIN_MEMORY_BUDGET_H
#define FACET_TRAIN_MEMORY_BUDGET_H

#include "tensor/plan.h"
#include "train/config.h"

struct ft_run;

/* Bytes. Caches are not counted: they take what is left. */
typedef struct ft_memory {
    int64_t program; /* code, libraries, lists of the images */
    int64_t weights, average, gradients, optimizer;
    int64_t training, validation; /* activations and working memory */
    int64_t images;               /* batches that are loaded ahead */
    int32_t parts;                /* that a batch is computed in */
} ft_memory;

int64_t ft_memory_total(const ft_memory *m);

/* Compiles the training plan for the largest equal parts of spec->batch with which all stays within c->memory
 * (0: the whole batch), and gives the phase's caches what is left, in c. FT_E_CONFIG with the arithmetic: it
 * does not even go image by image; ft_compile's errors. *plan is then NULL. */
ft_err ft_memory_compile(const struct ft_run *r, ft_config *c, const ft_plan_spec *spec, ft_plan **plan,
                         ft_memory *m);

#endif

/* Further heads of a model: what it tells of an image besides its class. Each is a dense layer of its own on
 * the pooled features, "predictions_<name>".
 */
#ifndef FACET_TRAIN_HEADS_H
#define FACET_TRAIN_HEADS_H

#include "data/dataset.h"
#include "tensor/graph.h"

struct ft_model;

typedef struct ft_head {
    char *name; /* the column's; owned */
    ft_target_kind kind;
    int32_t n_classes;      /* 0 of a number */
    char **class_names;     /* (n_classes), owned */
    double mean, deviation; /* of a number: what the network's 0 is, and what its 1 is beyond that */
    double weight;          /* of its loss in the whole */
    ft_val output;          /* (n,1,1,outputs): logits, or the number in those units */
    ft_val prediction;      /* softmax or sigmoid of them; of a number, itself */
} ft_head;

/* Outputs of the network: of a number 1, else n_classes. */
int32_t ft_head_outputs(const ft_head *h);
/* The same as what it is to learn. */
ft_target ft_head_target(const ft_head *h);

/* Adds a head to the model and its graph, before that is initialised; everything of *as but the values is
 * copied. FT_E_DATA: one class only; FT_E_GRAPH: a second head of the name, or no top; FT_E_MEMORY. */
ft_err ft_model_add_head(struct ft_model *m, const ft_head *as);
void ft_heads_free(int32_t n, ft_head *heads);

/* A head for each target of the data, with the mean and deviation of numbers over the n samples of index.
 * Errors as ft_model_add_head. */
ft_err ft_heads_for(struct ft_model *m, const ft_dataset *ds, const int32_t *index, int32_t n);
/* Do the data have just these targets? FT_E_DATA says what differs. */
ft_err ft_heads_match(const struct ft_model *m, const ft_dataset *ds);

/* What the head's loss compares with its output, from the target's numbers: (width) to (width). */
void ft_head_label(const ft_head *h, const float *target, ft_real *label);

#endif

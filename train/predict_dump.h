/* The activations that a prediction keeps, and the file that they are written to. */
#ifndef FACET_TRAIN_PREDICT_DUMP_H
#define FACET_TRAIN_PREDICT_DUMP_H

#include "tensor/plan.h"

typedef struct ft_dump_node {
    const char *name; /* the graph's */
    ft_val val;
    float *p; /* (room,h,w,c), of which n are filled */
} ft_dump_node;

typedef struct ft_dump {
    const ft_graph *g;
    ft_dump_node *nodes; /* (n), owned */
    int32_t n;
    int64_t samples, room;
} ft_dump;

/* names: between commas; NULL: none. FT_E_USAGE: no such node (the nearest is offered), or one named twice;
 * FT_E_MEMORY. In any case ft_dump_free(d). */
ft_err ft_dump_init(ft_dump *d, const ft_graph *g, const char *names);
void ft_dump_free(ft_dump *d);
/* Keeps sample i of the plan's last run. FT_E_MEMORY: d is as it was. */
ft_err ft_dump_add(ft_dump *d, const ft_plan *plan, int32_t i);
/* As ft_predictor_save. */
ft_err ft_dump_save(const ft_dump *d, const char *path);

#endif

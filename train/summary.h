/* What a network is made of: its layers, and what it costs in parameters, arithmetic and memory. */
#ifndef FACET_TRAIN_SUMMARY_H
#define FACET_TRAIN_SUMMARY_H

#include "train/model.h"

#include <stdio.h>

/* Multiply-accumulates of one node for one image: of convolutions and dense layers; 0 for all others, as is
 * customary. */
int64_t ft_node_macs(const ft_graph *g, const ft_node_info *node);
/* Of the whole network. */
int64_t ft_model_macs(const ft_model *m);

typedef struct ft_summary {
    int64_t layers, parameters, trainable;
    int64_t macs; /* per image */
    int32_t batch;
    size_t inference_bytes,
        training_bytes; /* a plan for that batch with its parameters, and the gradients when
                           training (without an optimiser's state); training 0: no top */
} ft_summary;

/* Compiles both plans to learn their memory, so it needs that memory for a moment; adds a loss to the graph.
 * FT_E_MEMORY, FT_E_GRAPH. */
ft_err ft_summary_compute(ft_model *m, int32_t batch, ft_summary *out);

/* A row for each layer: name, operation, output of one image (h, w, c), parameters, inputs. FT_E_MEMORY:
 * nothing was printed. Errors of the stream are left to its ferror(). */
ft_err ft_summary_print_layers(FILE *f, const ft_model *m);
void ft_summary_print(FILE *f, const ft_summary *s);
/* One JSON object: arch and the fields of s by their names. */
void ft_summary_print_json(FILE *f, const char *arch, const ft_summary *s);

#endif

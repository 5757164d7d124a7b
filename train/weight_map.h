/* From the tensors of a file to the parameters of a network.
 *
 * Keras's files are paired by topology (the k-th layer with weights, in Keras's order, with the k-th of the
 * network) and then verified by the numbers in the layers' names; PyTorch's by torchvision's names; Facet's
 * by name. Either everything fits or nothing is changed, and the report names every tensor and parameter.
 */
#ifndef FACET_TRAIN_WEIGHT_MAP_H
#define FACET_TRAIN_WEIGHT_MAP_H

#include "train/model.h"
#include "train/weight_file.h"

#include <stdio.h>

typedef struct ft_weight_map_options {
    bool include_top; /* false: the file's classifier is left out, the network's own keeps its numbers */
    int32_t n_allow_missing;
    const char *const *allow_missing; /* patterns (fnmatch) of parameters that the file may lack */
} ft_weight_map_options;

typedef enum ft_weight_status {
    FT_WEIGHT_MATCHED,
    FT_WEIGHT_LEFT_OUT,   /* of the file, as asked for: the classifier, an auxiliary head, counters */
    FT_WEIGHT_KEPT,       /* of the network, as asked for: keeps its numbers */
    FT_WEIGHT_MISSING,    /* of the network: the file has none */
    FT_WEIGHT_UNEXPECTED, /* of the file: the network has none */
    FT_WEIGHT_SHAPE,      /* they belong together and their shapes differ */
    FT_WEIGHT_STATUSES
} ft_weight_status;

typedef struct ft_weight_row {
    const ft_param *param;          /* NULL: of the file alone */
    const ft_weight_tensor *tensor; /* NULL: of the network alone */
    ft_weight_status status;
} ft_weight_row;

/* rows point into the model and the file. */
typedef struct ft_weight_report {
    ft_weight_row *row;
    int32_t n, count[FT_WEIGHT_STATUSES];
    bool names_checked; /* the layers' numbers were in the file's names, and in the right order */
    const ft_weight_file *file;
} ft_weight_report;

/* What the source of a file takes for granted, put into the options of the network that is to have its
 * weights and into the preprocessing: border rule of average pools, batch norms' epsilon and form. */
void ft_weights_conventions(const ft_weight_file *f, ft_net_options *o);

/* Puts f's numbers into m. FT_E_WEIGHTS: something is missing, unexpected, of another shape, in another
 * order, or not finite; the message says what and what to do, *report (if the pairing got so far) lists all
 * of it, and m is as it was. FT_E_MEMORY. *report is to be freed in any case. */
ft_err ft_weights_apply(const ft_weight_file *f, ft_model *m, const ft_weight_map_options *o,
                        ft_weight_report *report);
void ft_weight_report_free(ft_weight_report *r);
/* Counts, and a line for every row that did not match; all: for every row. */
void ft_weight_report_print(FILE *out, const ft_weight_report *r, bool all);

/* Classes of the classifier in the file: the width of its last matrix; 0: it has none. */
int32_t ft_weights_classes(const ft_weight_file *f);

#endif

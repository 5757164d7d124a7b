/* Where the time of a plan's steps went: by node, by kind of operation, and beside what happens outside the
 * plan. ft-bench and ft-train --profile print the same tables. */
#ifndef FACET_TRAIN_PROFILE_H
#define FACET_TRAIN_PROFILE_H

#include "tensor/plan.h"

#include <stdio.h>

typedef struct ft_profile_row {
    char name[64]; /* of the node, or of the parameters that an update is of */
    const char *op;
    const char *pass; /* "forward", "backward", "update" */
    double seconds;
    double flops; /* in these seconds; 0: not counted */
} ft_profile_row;

/* One row for each of the n steps that ft_plan_times gave: what came since `before` (n; NULL: since compile),
 * without flops. */
void ft_profile_rows(int32_t n, const ft_step_time now[], const ft_step_time before[], ft_profile_row out[]);
void ft_profile_sort(int32_t n, ft_profile_row rows[]); /* slowest first */
/* Seconds of one op's rows, or of all (op NULL). */
double ft_profile_seconds(int32_t n, const ft_profile_row rows[], const char *op);

/* What a table shows. */
typedef struct ft_profile_style {
    const char *heading; /* of the column of times: "ms/step" */
    double unit;         /* that many of it in a second: 1e3 */
    double peak_gflops;  /* for the columns of speeds of rows with flops; 0: no such columns */
    int32_t most;        /* rows of the table by node; 0: all */
} ft_profile_style;

/* A line for each kind of operation and pass, slowest first, with its share of all rows. FT_E_MEMORY: nothing
 * was printed. Errors of the stream are left to its ferror(). */
ft_err ft_profile_print_ops(FILE *f, int32_t n, const ft_profile_row rows[], const ft_profile_style *style);
/* A line for each row, in their order. */
void ft_profile_print_nodes(FILE *f, int32_t n, const ft_profile_row rows[], const ft_profile_style *style);

/* What a training does besides running its plan. */
typedef enum ft_profile_part {
    FT_PROFILE_LOADING,  /* waiting for batches */
    FT_PROFILE_FEATURES, /* making features of the frozen part */
    FT_PROFILE_OPTIMIZER,
    FT_PROFILE_EVALUATION,
    FT_PROFILE_CHECKPOINTS,
    FT_PROFILE_PARTS
} ft_profile_part;

typedef struct ft_profile {
    double seconds[FT_PROFILE_PARTS];
    double total; /* of everything, the plan's steps included */
    int64_t steps;
} ft_profile;

/* The parts, the plan's time by kind of operation, and its 20 slowest steps. FT_E_MEMORY: nothing was
 * printed. */
ft_err ft_profile_print(FILE *f, const ft_profile *p, const ft_plan *plan);

#endif

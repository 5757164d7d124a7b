/* How fast each convolution of a network runs on its own: every distinct geometry, each pass alone. */
#ifndef FACET_TRAIN_BENCH_CONV_H
#define FACET_TRAIN_BENCH_CONV_H

#include "layers/conv_algorithm.h"

#include <stdio.h>

enum { FT_BENCH_CONV_PASSES = FT_CONV_WEIGHT_GRADIENT + 1 };

typedef struct ft_bench_conv_options {
    const char *arch;
    int32_t size; /* of the square images; 0: the network's own */
    int32_t batch;
    bool direct;                       /* as ft_plan_spec.direct */
    bool passes[FT_BENCH_CONV_PASSES]; /* which to time, by ft_conv_pass */
} ft_bench_conv_options;

/* Convolutions that differ in nothing but their numbers, in one pass. */
typedef struct ft_bench_conv_row {
    char name[64]; /* of the first one */
    int32_t count;
    ft_shape x, w; /* x.n is the batch; w (kh, kw, cin / groups, filters) */
    ft_conv_args args;
    bool on_image; /* the input is the image: training has no use for its gradient */
    ft_conv_pass pass;
    char algorithm[32];
    int64_t macs;   /* of one of them, for the batch, computed directly */
    double share;   /* of the network's multiply-accumulates, all of them together, 0 to 1 */
    double seconds; /* of one of them: the best call; forward includes preparing the weights */
} ft_bench_conv_row;

typedef struct ft_bench_conv {
    ft_bench_conv_options options; /* size filled in */
    int32_t threads;
    const char *isa;
    double peak_gflops;      /* the largest of several measured between the layers */
    ft_bench_conv_row *rows; /* (n_rows), in the network's order, the passes of one geometry together */
    int32_t n_rows;
} ft_bench_conv;

/* Times the convolutions on random normal numbers (the input passed through a ReLU), each pass for about 0.2
 * seconds but at least twelve calls. The input gradient of convolutions of the image is left out, as in
 * training. FT_E_GRAPH: unknown network or a size that does not suit it; FT_E_MEMORY. *out then needs no
 * free. */
ft_err ft_bench_conv_run(const ft_bench_conv_options *o, ft_bench_conv *out);
void ft_bench_conv_free(ft_bench_conv *b);

/* "forward", "input", "weight". */
const char *ft_bench_conv_pass_name(ft_conv_pass pass);
/* As if computed directly. */
double ft_bench_conv_gflops(const ft_bench_conv_row *row);

/* A table, and below it each pass of the whole network. Errors of the stream are left to its ferror(). */
void ft_bench_conv_print(FILE *f, const ft_bench_conv *b);
void ft_bench_conv_print_json(FILE *f, const ft_bench_conv *b);

#endif

/* How fast this machine runs a network, measured beside the machine's own limit. */
#ifndef FACET_TRAIN_BENCH_H
#define FACET_TRAIN_BENCH_H

#include "train/profile.h"

/* GFLOP/s of fused multiply-adds on registers (of multiplications and additions where the instruction set in
 * use has none fused), fp32, on that many threads; the best of several runs in a third of a second. */
double ft_bench_peak(int32_t threads);

typedef struct ft_bench_options {
    const char *arch;
    int32_t size; /* of the square images; 0: the network's own */
    int32_t batch, steps;
    bool training; /* forward, backward and a step of SGD with momentum; else forward alone */
    bool direct;   /* as ft_plan_spec.direct */
} ft_bench_options;

typedef struct ft_bench {
    ft_bench_options options; /* size filled in */
    int32_t threads;
    const char *isa;
    int64_t macs;        /* per image, forward */
    double step_seconds; /* the median step */
    double best_seconds, mean_seconds;
    double peak_gflops;     /* on these threads; the larger of one measured before and one after */
    double max_rss_mb;      /* of the process, in units of 10^6 bytes */
    ft_profile_row *layers; /* (n_layers), slowest first, the mean step; flops of convolutions alone, as if
                               computed directly */
    int32_t n_layers;
} ft_bench;

/* Runs steps on random images after one that is not counted. FT_E_GRAPH: unknown network or a size that does
 * not suit it; FT_E_MEMORY; FT_E_NUMERIC. *out then needs no free. */
ft_err ft_bench_run(const ft_bench_options *o, ft_bench *out);
void ft_bench_free(ft_bench *b);

double ft_bench_images_per_second(const ft_bench *b); /* by the median step */
/* 2 operations for each multiply-accumulate of direct convolutions and dense layers, three times that in
 * training, whatever the algorithms in use do. By the median step. */
double ft_bench_gflops(const ft_bench *b);
/* The share of the mean step that is no convolution, 0 to 1. */
double ft_bench_outside_convolutions(const ft_bench *b);

void ft_bench_print(FILE *f, const ft_bench *b);
/* By operation, then by node. FT_E_MEMORY: nothing was printed. */
ft_err ft_bench_print_layers(FILE *f, const ft_bench *b);
/* One JSON object, with an array "layers" if those are wanted. */
void ft_bench_print_json(FILE *f, const ft_bench *b, bool layers);

#endif

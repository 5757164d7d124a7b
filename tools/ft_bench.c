/* ft-bench: how fast this machine is, and how much of that the networks get. */
#include "tensor/kernels.h"
#include "tensor/par.h"
#include "tools/cli.h"
#include "tools/short_waits.h"
#include "train/bench.h"
#include "train/bench_conv.h"
#include "train/bench_images.h"

#include <stdio.h>
#include <string.h>

#define THREADS_OPTION(target)                                                                        \
    {                                                                                                 \
        .name = "threads", .argument = "N", .number = (target), .low = 1, .high = FT_CLI_MAX_THREADS, \
        .help = "Threads to compute with; OMP_NUM_THREADS or all cores by default."                   \
    }
#define ISA_OPTION(target)                                                                            \
    {                                                                                                 \
        .name = "isa", .argument = "NAME", .string = (target),                                        \
        .help = "Instruction set: base, avx2 or avx512; the best one here, or FACET_ISA, by default." \
    }
#define SIZE_OPTION(target)                                                             \
    {                                                                                   \
        .name = "size", .argument = "N", .number = (target), .low = 1, .high = 1 << 14, \
        .help = "Height and width of the images; the network's usual ones by default."  \
    }
#define DIRECT_OPTION(target)                                                             \
    {                                                                                     \
        .name = "direct", .flag = (target),                                               \
        .help = "Computes every convolution from its definition: no Winograd algorithms." \
    }
#define JSON_OPTION(target) \
    { .name = "json", .flag = (target), .help = "Prints one JSON object instead of a table." }

/* ---- peak */

static int peak(int argc, char **argv) {
    int32_t threads = 0;
    const char *isa = NULL;
    bool json = false;
    const ft_cli_option options[] = {THREADS_OPTION(&threads), ISA_OPTION(&isa), JSON_OPTION(&json), {0}};
    const ft_cli cli = {
        .program = "ft-bench peak",
        .usage = "[options]",
        .about =
            "Measures how many floating-point operations the processor does in a second at the very most: "
            "multiplications and additions in fp32 on registers, on all threads together and on one alone.",
        .options = options};
    char **args;
    int status;
    if (!ft_cli_parse(&cli, argc, argv, &args, NULL, &status)) return status;
    ft_err e = ft_isa_set(isa);
    if (e != FT_OK) return ft_cli_fail(e);
    if (threads == 0) threads = ft_threads();
    double all = ft_bench_peak(threads), one = threads > 1 ? ft_bench_peak(1) : all;
    if (json)
        printf(
            "{\"isa\": \"%s\", \"threads\": %d, \"peak_gflops\": %.9g, \"peak_gflops_one_thread\": %.9g}\n",
            ft_isa(), threads, all, one);
    else
        printf("%s, fp32\n  %4d thread%s  %8.1f GFLOP/s\n  %4d thread   %8.1f GFLOP/s\n", ft_isa(), threads,
               threads == 1 ? " " : "s", all, 1, one);
    return ft_cli_end(0);
}

/* ---- model */

typedef struct model_options {
    ft_bench_options bench;
    int32_t threads;
    const char *isa;
    bool json, layers, train, infer;
} model_options;

static ft_err run_model(model_options *o) {
    FT_REQUIRE(!o->train || !o->infer, USAGE, "--train and --infer exclude each other");
    o->bench.training = !o->infer;
    FT_TRY(ft_isa_set(o->isa));
    ft_threads_set(o->threads);
    ft_bench b;
    FT_TRY(ft_bench_run(&o->bench, &b));
    ft_err e = FT_OK;
    if (o->json) {
        ft_bench_print_json(stdout, &b, o->layers);
    } else {
        ft_bench_print(stdout, &b);
        if (o->layers) fputc('\n', stdout);
        if (o->layers) e = ft_bench_print_layers(stdout, &b);
    }
    ft_bench_free(&b);
    return e;
}

static int model(int argc, char **argv) {
    model_options o = {.bench = {.batch = 8, .steps = 10}};
    const ft_cli_option options[] = {
        {.name = "train",
         .flag = &o.train,
         .help = "Times training: forward, backward and a step of SGD with momentum. The default."},
        {.name = "infer", .flag = &o.infer, .help = "Times inference: forward alone."},
        {.name = "batch",
         .argument = "N",
         .number = &o.bench.batch,
         .low = 1,
         .high = 1 << 16,
         .help = "Images in a step; 8 by default."},
        SIZE_OPTION(&o.bench.size),
        {.name = "steps",
         .argument = "K",
         .number = &o.bench.steps,
         .low = 1,
         .high = 1 << 20,
         .help = "Steps to time, after one that is not counted; 10 by default."},
        THREADS_OPTION(&o.threads),
        ISA_OPTION(&o.isa),
        DIRECT_OPTION(&o.bench.direct),
        {.name = "layers", .flag = &o.layers, .help = "Shows where the time goes, by operation and node."},
        JSON_OPTION(&o.json),
        {0}};
    const ft_cli cli = {
        .program = "ft-bench model",
        .usage = "NETWORK [options]",
        .about =
            "Runs a network with random weights on random images and shows images per second (by the median "
            "step), arithmetic per second, and how much that is of the processor's limit measured before and "
            "after. Arithmetic counts 2 operations for every multiply-accumulate of direct convolutions and "
            "dense layers, three times that in training.",
        .notes = "Example:\n  ft-bench model inception_v3 --train --batch 16 --layers\n",
        .options = options,
        .min_args = 1,
        .max_args = 1};
    char **args;
    int status;
    if (!ft_cli_parse(&cli, argc, argv, &args, NULL, &status)) return status;
    o.bench.arch = args[0];
    ft_err e = run_model(&o);
    return e == FT_OK ? ft_cli_end(0) : ft_cli_fail(e);
}

/* ---- conv */

typedef struct conv_options {
    ft_bench_conv_options bench;
    int32_t threads;
    const char *isa, *pass;
    bool json;
} conv_options;

static ft_err choose_passes(conv_options *o) {
    bool any = false;
    for (int pass = 0; pass < FT_BENCH_CONV_PASSES; pass++) {
        o->bench.passes[pass] = !o->pass || strcmp(o->pass, ft_bench_conv_pass_name((ft_conv_pass)pass)) == 0;
        any |= o->bench.passes[pass];
    }
    FT_REQUIRE(any, USAGE, "--pass: '%s' is none of forward, input, weight", o->pass);
    return FT_OK;
}

static ft_err run_conv(conv_options *o) {
    FT_TRY(choose_passes(o));
    FT_TRY(ft_isa_set(o->isa));
    ft_threads_set(o->threads);
    ft_bench_conv b;
    FT_TRY(ft_bench_conv_run(&o->bench, &b));
    if (o->json)
        ft_bench_conv_print_json(stdout, &b);
    else
        ft_bench_conv_print(stdout, &b);
    ft_bench_conv_free(&b);
    return FT_OK;
}

static int conv(int argc, char **argv) {
    conv_options o = {.bench = {.arch = "inception_v3", .batch = 16}};
    const ft_cli_option options[] = {
        {.name = "batch",
         .argument = "N",
         .number = &o.bench.batch,
         .low = 1,
         .high = 1 << 16,
         .help = "Images in a call; 16 by default."},
        SIZE_OPTION(&o.bench.size),
        THREADS_OPTION(&o.threads),
        ISA_OPTION(&o.isa),
        DIRECT_OPTION(&o.bench.direct),
        {.name = "pass",
         .argument = "NAME",
         .string = &o.pass,
         .help = "Times one pass only: forward, input (the input's gradient) or weight (the weights')."},
        JSON_OPTION(&o.json),
        {0}};
    const ft_cli cli = {
        .program = "ft-bench conv",
        .usage = "[NETWORK] [options]",
        .about =
            "Times each of a network's convolutions alone, inception_v3's by default: one row for all of the "
            "same shapes and each pass, with the algorithm chosen, arithmetic per second as if it were "
            "computed directly, and how much that is of the processor's limit measured in the same run.",
        .options = options,
        .max_args = 1};
    char **args;
    int32_t n_args;
    int status;
    if (!ft_cli_parse(&cli, argc, argv, &args, &n_args, &status)) return status;
    if (n_args > 0) o.bench.arch = args[0];
    ft_err e = run_conv(&o);
    return e == FT_OK ? ft_cli_end(0) : ft_cli_fail(e);
}

/* ---- images */

static int images(int argc, char **argv) {
    int32_t size = 299, workers = 0;
    bool json = false;
    ft_dataset_options list = {0};
    const ft_cli_option options[] = {
        SIZE_OPTION(&size),
        {.name = "label",
         .argument = "COLUMN",
         .string = &list.label,
         .help = "PATH is a list with this column of classes and a column file."},
        {.name = "workers",
         .argument = "N",
         .number = &workers,
         .low = 0,
         .high = 256,
         .help = "Threads that read ahead, as data.workers; 0, one thread in all, by default."},
        JSON_OPTION(&json),
        {0}};
    const ft_cli cli = {.program = "ft-bench images",
                        .usage = "PATH [options]",
                        .about = "Reads the images of class folders, or of a list, as training does: "
                                 "decodes, cuts out a random "
                                 "part, resizes it to 299 pixels, mirrors half of them, normalises.",
                        .options = options,
                        .min_args = 1,
                        .max_args = 1};
    char **args;
    int status;
    if (!ft_cli_parse(&cli, argc, argv, &args, NULL, &status)) return status;
    ft_bench_images b;
    ft_err e = ft_bench_images_run(args[0], &list, size, workers, 3, &b);
    if (e != FT_OK) return ft_cli_fail(e);
    if (json)
        printf("{\"size\": %d, \"images\": %lld, \"seconds\": %.9g, \"images_per_second\": %.9g, "
               "\"max_rss_mb\": %.1f}\n",
               size, (long long)b.images, b.seconds, (double)b.images / b.seconds, b.max_rss_mb);
    else
        printf("%lld images of %d pixels in %.2f s: %.1f img/s, %.0f MB at most\n", (long long)b.images, size,
               b.seconds, (double)b.images / b.seconds, b.max_rss_mb);
    return ft_cli_end(0);
}

int main(int argc, char **argv) {
    ft_short_waits(argv);
    static const ft_cli_command commands[] = {
        {"peak", "The processor's limit in floating-point operations per second.", peak},
        {"conv", "Each convolution of a network alone, pass by pass, beside that limit.", conv},
        {"images", "Reading images as training does.", images},
        {"model", "A network's speed in training and inference, beside that limit.", model},
        {0},
    };
    return ft_cli_dispatch("ft-bench",
                           "Measures how fast this machine is, and how much of that the networks get.",
                           commands, argc, argv);
}

/* ft-model: looks into networks and model files, brings weights in and out. */
#include "tools/cli.h"
#include "train/blank_model.h"
#include "train/checkpoint.h"
#include "train/import.h"
#include "train/summary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { UNSET = -1, IMAGENET_CLASSES = 1000 };

typedef struct summary_options {
    int32_t size, classes, batch;
    bool json;
} summary_options;

/* A name of a network, else a file. A wrong name that is no file gets the list of networks. */
static ft_err load(const char *what, const summary_options *o, ft_model **m) {
    bool file = !ft_net_find(what) && (strchr(what, '/') || strstr(what, ".h5") || access(what, F_OK) == 0);
    if (!file) return ft_blank_model(what, o->size, o->classes == UNSET ? IMAGENET_CLASSES : o->classes, m);
    FT_REQUIRE(o->size == 0 && o->classes == UNSET, USAGE,
               "--size and --classes are for a network's name; '%s' has its own", what);
    return ft_checkpoint_read_model(what, m);
}

static ft_err summarise(const char *what, const summary_options *o) {
    ft_model *m;
    FT_TRY(load(what, o, &m));
    ft_summary s;
    ft_err e = o->json ? FT_OK : ft_summary_print_layers(stdout, m);
    if (e == FT_OK) e = ft_summary_compute(m, o->batch, &s);
    if (e == FT_OK && o->json) ft_summary_print_json(stdout, m->net->name, &s);
    if (e == FT_OK && !o->json) ft_summary_print(stdout, &s);
    ft_model_free(m);
    return e;
}

static int summary(int argc, char **argv) {
    summary_options o = {.classes = UNSET, .batch = 1};
    const ft_cli_option options[] = {
        {.name = "size",
         .argument = "N",
         .number = &o.size,
         .low = 1,
         .high = 1 << 14,
         .help =
             "Height and width of the images, for a network's name; the network's usual ones by default."},
        {.name = "classes",
         .argument = "N",
         .number = &o.classes,
         .low = 0,
         .high = 1 << 24,
         .help = "Classes to tell apart, for a network's name; 0: without the classifier; 1000 by default."},
        {.name = "batch",
         .argument = "N",
         .number = &o.batch,
         .low = 1,
         .high = 1 << 16,
         .help = "Images at a time, for the memory; 1 by default."},
        {.name = "json", .flag = &o.json, .help = "Prints the totals alone, as one JSON object."},
        {0}};
    const ft_cli cli = {
        .program = "ft-model summary",
        .usage = "NETWORK|MODEL.h5 [options]",
        .about =
            "Shows the layers of a network, or of the one in a model file that training left, and what it "
            "costs: parameters, multiply-accumulates of its convolutions and dense layers for one image, "
            "and the memory to run it and to train it.",
        .notes = "Examples:\n  ft-model summary inception_v3 --classes 5\n  ft-model summary "
                 "runs/flowers/best.h5\n",
        .options = options,
        .min_args = 1,
        .max_args = 1};
    char **args;
    int status;
    if (!ft_cli_parse(&cli, argc, argv, &args, NULL, &status)) return status;
    ft_err e = summarise(args[0], &o);
    return e == FT_OK ? ft_cli_end(0) : ft_cli_fail(e);
}

static ft_err import_file(char **args, ft_import_options *o, const char *to) {
    ft_model *m;
    FT_REQUIRE(o->arch, USAGE, "say of which network the weights are: --arch inception_v3");
    FT_TRY(ft_import(args[1], args[0], o, stdout, &m));
    ft_err e = to ? ft_checkpoint_write(to, m, NULL) : FT_OK;
    if (e == FT_OK && to) printf("written  %s\n", to);
    ft_model_free(m);
    return e;
}

static int import(int argc, char **argv) {
    ft_import_options o = {0};
    ft_cli_list missing = {0};
    const char *to = NULL;
    const ft_cli_option options[] = {
        {.name = "arch",
         .argument = "NETWORK",
         .string = &o.arch,
         .help = "The network that the weights are of."},
        {.name = "to",
         .argument = "MODEL.h5",
         .string = &to,
         .help = "Model to write; without it only the report is given."},
        {.name = "no-top",
         .flag = &o.no_top,
         .help = "Leaves the file's classifier out: the model ends at its pooled features."},
        {.name = "size",
         .argument = "N",
         .number = &o.size,
         .low = 1,
         .high = 1 << 13,
         .help = "Height and width of the images; the network's usual ones by default."},
        {.name = "normalize",
         .argument = "HOW",
         .string = &o.normalize,
         .help = "What the weights expect of images: inception ([-1, 1], the default), unit ([0, 1]), "
                 "standard or mean_std."},
        {.name = "class-names",
         .argument = "FILE",
         .string = &o.class_file,
         .help = "Names of the classes, a line each."},
        {.name = "allow-missing",
         .argument = "PATTERN",
         .list = &missing,
         .help = "Parameters that the file may lack, as 'aux_*'; may be repeated."},
        {.name = "all", .flag = &o.all, .help = "Lists every tensor, not only those that did not match."},
        {0}};
    const ft_cli cli = {
        .program = "ft-model import",
        .usage = "FORMAT FILE --arch NETWORK [--to MODEL.h5] [options]",
        .about = "Makes a model of the weights in a file of another program and says what became of every "
                 "tensor. Nothing is imported in part: what is missing, unexpected or of another shape is "
                 "an error. FORMAT is auto, keras (HDF5), keras3 (.weights.h5, .keras), torch (.pth), "
                 "safetensors, or facet.",
        .notes = "Example:\n  ft-model import keras inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5 "
                 "--arch inception_v3 \\\n    --no-top --to inception_v3.h5\n",
        .options = options,
        .min_args = 2,
        .max_args = 2};
    char **args;
    int status;
    if (!ft_cli_parse(&cli, argc, argv, &args, NULL, &status)) return status;
    o.allow_missing = missing.item;
    o.n_allow_missing = missing.n;
    ft_err e = import_file(args, &o, to);
    free(missing.item);
    return e == FT_OK ? ft_cli_end(0) : ft_cli_fail(e);
}

static ft_err export_model(const char *path, const char *to, const char *format) {
    ft_model *m;
    FT_REQUIRE(to, USAGE, "say where to: --to FILE.h5 for Keras, --to FILE.safetensors");
    FT_TRY(ft_checkpoint_read_model(path, &m));
    ft_err e = ft_export(m, to, format);
    ft_model_free(m);
    if (e == FT_OK) printf("written  %s\n", to);
    return e;
}

static int export(int argc, char **argv) {
    const char *to = NULL, *format = NULL;
    const ft_cli_option options[] = {
        {.name = "to", .argument = "FILE", .string = &to, .help = "File to write."},
        {.name = "format",
         .argument = "FORMAT",
         .string = &format,
         .help = "keras (HDF5 as Keras 2 writes it) or safetensors; by default what the file's ending says."},
        {0}};
    const ft_cli cli = {
        .program = "ft-model export",
        .usage = "MODEL.h5 --to FILE [options]",
        .about =
            "Writes the weights of a model for other programs. ft-model import gives back the same bits.",
        .options = options,
        .min_args = 1,
        .max_args = 1};
    char **args;
    int status;
    if (!ft_cli_parse(&cli, argc, argv, &args, NULL, &status)) return status;
    ft_err e = export_model(args[0], to, format);
    return e == FT_OK ? ft_cli_end(0) : ft_cli_fail(e);
}

int main(int argc, char **argv) {
    static const ft_cli_command commands[] = {
        {"summary", "The layers of a network and what they cost.", summary},
        {"import", "A model of another program's weights.", import},
        {"export", "A model's weights for other programs.", export},
        {0},
    };
    return ft_cli_dispatch("ft-model", "Looks into networks and model files, brings weights in and out.",
                           commands, argc, argv);
}

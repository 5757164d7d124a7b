/* ft-model: looks into networks and model files. */
#include "tools/cli.h"
#include "train/blank_model.h"
#include "train/checkpoint.h"
#include "train/summary.h"

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

int main(int argc, char **argv) {
    static const ft_cli_command commands[] = {
        {"summary", "The layers of a network and what they cost.", summary},
        {0},
    };
    return ft_cli_dispatch("ft-model", "Looks into networks and model files.", commands, argc, argv);
}

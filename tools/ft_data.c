/* ft-data: what is in a data set, what is wrong with it, how it is divided, and what a network sees of it. */
#include "data/pack.h"
#include "data/split_print.h"
#include "tools/cli.h"
#include "tools/short_waits.h"
#include "train/preview.h"
#include "train/progress_bar.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define SET_OPTION(target)                                                                     \
    {                                                                                          \
        .name = "set", .argument = "KEY=VALUE", .list = (target),                              \
        .help = "Overrides one setting, data.list.label=gender for instance; may be repeated." \
    }
#define ARGUMENTS "PATH [options]"
#define PATH_NOTES                                                                                         \
    "PATH is a data set, as data.path of a configuration, or a configuration (.yaml), whose data section " \
    "is "                                                                                                  \
    "used.\n"

/* A command under way: what its line says, and the data it is about. */
typedef struct command {
    ft_cli_list settings;
    bool json;
    const char *to;
    int32_t n_images, n_variants;
    ft_pack_options pack;
    ft_config config;
    ft_dataset *ds;
    ft_survey survey;
    ft_split split;
} command;

static ft_err open_data(command *d, const char *path) {
    const char *dot = strrchr(path, '.');
    if (dot && (strcasecmp(dot, ".yaml") == 0 || strcasecmp(dot, ".yml") == 0)) {
        FT_TRY(ft_config_read(path, &d->config));
    } else {
        ft_config_defaults(&d->config);
        FT_REQUIRE(strlen(path) < sizeof d->config.data.path, USAGE, "%.64s...: the path is too long", path);
        snprintf(d->config.data.path, sizeof d->config.data.path, "%s", path);
    }
    for (int32_t i = 0; i < d->settings.n; i++) {
        ft_err e = ft_config_set(&d->config, d->settings.item[i]);
        if (e != FT_OK) return ft_err_prefix(e, "--set");
    }
    FT_TRY(ft_config_check(&d->config));
    ft_config_resolve(&d->config);
    return ft_images_open(&d->config, d->config.data.path, &d->ds);
}

/* Reads the command line into d, opens the data, and does the work. */
static int run(const ft_cli *cli, int argc, char **argv, command *d, ft_err (*work)(command *d)) {
    char **args;
    int status;
    if (!ft_cli_parse(cli, argc, argv, &args, NULL, &status)) return status;
    ft_err e = open_data(d, args[0]);
    if (e == FT_OK) e = work(d);
    ft_split_free(&d->split);
    ft_survey_free(&d->survey);
    ft_dataset_free(d->ds);
    return e == FT_OK ? ft_cli_end(0) : ft_cli_fail(e);
}

static void show(void *ctx, int64_t done, int64_t n) {
    ft_progress_bar_update(ctx, done, n, "");
}

static ft_err look_at_all(command *d) {
    ft_progress_bar bar;
    ft_progress_bar_start(&bar, stderr, "decoding", 0);
    ft_err e = ft_survey_make(d->ds, show, &bar, &d->survey);
    ft_progress_bar_clear(&bar);
    return e;
}

/* ---- stats */

static ft_err print_stats(command *d) {
    FT_TRY(look_at_all(d));
    (d->json ? ft_survey_json : ft_survey_print)(stdout, d->ds, &d->survey);
    return FT_OK;
}

static int stats(int argc, char **argv) {
    static command d;
    const ft_cli_option options[] = {SET_OPTION(&d.settings),
                                     {.name = "json",
                                      .flag = &d.json,
                                      .help = "Prints one JSON object, with every repeat."},
                                     {0}};
    const ft_cli cli = {
        .program = "ft-data stats",
        .usage = ARGUMENTS,
        .about = "Decodes all images and tells their number, sizes, colours, mean and deviation, those that "
                 "repeat others, and how the classes are filled.",
        .notes = PATH_NOTES,
        .options = options,
        .min_args = 1,
        .max_args = 1};
    return run(&cli, argc, argv, &d, print_stats);
}

/* ---- check */

static ft_err list_bad(command *d) {
    FT_TRY(look_at_all(d));
    for (int32_t i = 0; i < d->survey.n; i++)
        if (d->survey.reason[i]) printf("%s\n", d->survey.reason[i]);
    if (d->survey.n_bad == 0) fprintf(stderr, "all %d images are good\n", d->survey.n);
    FT_REQUIRE(d->survey.n_bad == 0, DATA, "%d of %d images cannot be used", d->survey.n_bad, d->survey.n);
    return FT_OK;
}

static int check(int argc, char **argv) {
    static command d;
    const ft_cli_option options[] = {SET_OPTION(&d.settings), {0}};
    const ft_cli cli = {
        .program = "ft-data check",
        .usage = ARGUMENTS,
        .about = "Decodes all images and lists those that cannot be used, a line each with the reason. The "
                 "exit status is 3 if there are any.",
        .notes = PATH_NOTES,
        .options = options,
        .min_args = 1,
        .max_args = 1};
    return run(&cli, argc, argv, &d, list_bad);
}

/* ---- split */

static ft_err divide(command *d) {
    int32_t n_leaks;
    FT_TRY(ft_images_split(&d->config, d->ds, &d->split));
    if (d->to) FT_TRY(ft_split_write(d->to, d->ds, &d->split));
    ft_split_print(stdout, d->ds, &d->split);
    FT_TRY(look_at_all(d));
    FT_TRY(ft_split_print_leaks(stdout, d->ds, &d->split, &d->survey, &n_leaks));
    printf("%d images have the pixels of one in another part%s\n", n_leaks,
           n_leaks ? "; data.split.by: hash keeps copies of a file together" : "");
    return FT_OK;
}

static int split(int argc, char **argv) {
    static command d;
    const ft_cli_option options[] = {SET_OPTION(&d.settings),
                                     {.name = "to",
                                      .argument = "FILE.csv",
                                      .string = &d.to,
                                      .help = "Writes it as a list, file and part, for data.split.list."},
                                     {0}};
    const ft_cli cli = {
        .program = "ft-data split",
        .usage = ARGUMENTS,
        .about = "Divides the images as data.split says, tells how many of each class are in which part, and "
                 "names images whose pixels are in two parts.",
        .notes = PATH_NOTES "\nExamples:\n"
                            "  ft-data split faces/ --set data.split.by=hash --to split.csv\n"
                            "  ft-data split faces.csv --set data.list.label=age --set data.split.by=group "
                            "--set data.split.group=person\n",
        .options = options,
        .min_args = 1,
        .max_args = 1};
    return run(&cli, argc, argv, &d, divide);
}

/* ---- pack */

typedef struct packing {
    ft_progress_bar bar;
    int32_t n;
} packing;

static void tell(void *ctx, int32_t done, const char *why) {
    packing *p = ctx;
    if (why) {
        ft_progress_bar_clear(&p->bar);
        fprintf(stderr, "left out %s\n", why);
    }
    ft_progress_bar_update(&p->bar, done, p->n, "");
}

static ft_err pack_all(command *d) {
    ft_pack_options *o = &d->pack;
    FT_REQUIRE(d->to && ft_dataset_is_packed(d->to), USAGE,
               "name the file to write, which ends in .h5: --to FILE.h5");
    packing p = {.n = d->ds->n};
    int32_t n = 0;
    FT_REQUIRE(o->size == 0 || o->decoded, USAGE, "--size: only --decoded images are resized");
    FT_TRY(ft_resize_parse(ft_config_choice(&d->config, "data.image.resize"), &o->resize));
    ft_progress_bar_start(&p.bar, stderr, "packing", 0);
    ft_err e = ft_pack_write(d->ds, o, d->to, tell, &p, &n);
    ft_progress_bar_clear(&p.bar);
    if (e == FT_OK) printf("%s: %d of %d images\n", d->to, n, d->ds->n);
    return e;
}

static int pack(int argc, char **argv) {
    static command d;
    const ft_cli_option options[] = {
        SET_OPTION(&d.settings),
        {.name = "to", .argument = "FILE.h5", .string = &d.to, .help = "The file to write."},
        {.name = "decoded",
         .flag = &d.pack.decoded,
         .help = "Packs pixels, so that reading needs no decoding; by default the files as they are."},
        {.name = "size",
         .argument = "N",
         .number = &d.pack.size,
         .low = 1,
         .high = 8192,
         .help = "With --decoded: resizes to N x N pixels, as data.image.resize says."},
        {0}};
    const ft_cli cli = {
        .program = "ft-data pack",
        .usage = "PATH --to FILE.h5 [options]",
        .about =
            "Puts a data set into one file with checksums, which data.path then names: quick to copy and "
            "to open. Images that cannot be read are left out.",
        .notes = PATH_NOTES,
        .options = options,
        .min_args = 1,
        .max_args = 1};
    return run(&cli, argc, argv, &d, pack_all);
}

/* ---- preview */

static ft_err draw(command *d) {
    ft_image sheet;
    FT_TRY(ft_images_split(&d->config, d->ds, &d->split));
    FT_TRY(ft_preview(&d->config, d->ds, d->split.index[FT_PART_TRAIN], d->split.n[FT_PART_TRAIN],
                      d->n_images, d->n_variants, &sheet));
    ft_err e = ft_image_write_png(&sheet, d->to);
    if (e == FT_OK) printf("%s: %d x %d\n", d->to, sheet.w, sheet.h);
    ft_image_free(&sheet);
    return e;
}

static int preview(int argc, char **argv) {
    static command d = {.n_images = 8, .n_variants = 7, .to = "preview.png"};
    const ft_cli_option options[] = {
        SET_OPTION(&d.settings),
        {.name = "images",
         .argument = "N",
         .number = &d.n_images,
         .low = 1,
         .high = 100,
         .help = "Rows; 8 by default."},
        {.name = "variants",
         .argument = "N",
         .number = &d.n_variants,
         .low = 0,
         .high = 100,
         .help = "Random changes of each; 7 by default."},
        {.name = "to", .argument = "FILE.png", .string = &d.to, .help = "preview.png by default."},
        {0}};
    const ft_cli cli = {
        .program = "ft-data preview",
        .usage = "CONFIG.yaml [options]",
        .about = "Draws what the network will see: a row for each of a few training images, first as "
                 "evaluation sees it, then with the random changes of the first epochs.",
        .notes = PATH_NOTES,
        .options = options,
        .min_args = 1,
        .max_args = 1};
    return run(&cli, argc, argv, &d, draw);
}

int main(int argc, char **argv) {
    ft_short_waits(argv);
    static const ft_cli_command commands[] = {{"stats", "what is in a data set", stats},
                                              {"check", "which images cannot be used, and why", check},
                                              {"split", "how it is divided", split},
                                              {"pack", "one file of all", pack},
                                              {"preview", "what a network sees of it, as a picture", preview},
                                              {0}};
    return ft_cli_dispatch("ft-data", "Looks at data sets before anything is trained on them.", commands,
                           argc, argv);
}

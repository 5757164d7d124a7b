/* ft-eval: evaluates a trained model on a data set. */
#include "eval/terminal.h"
#include "tensor/par.h"
#include "tools/cli.h"
#include "train/checkpoint.h"
#include "train/images.h"
#include "train/progress_bar.h"
#include "train/results.h"
#include "train/verify.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct eval_options {
    const char *model, *data, *split, *report;
    const char *pairs, *layer, *distance;
    bool flip;
    int32_t batch, workers;
} eval_options;

/* What is evaluated: a list of samples and its name. */
typedef struct selection {
    ft_split split;
    int32_t *all; /* 0 .. n-1, for "all" */
    const int32_t *index;
    int32_t n;
    const char *name;
} selection;

static ft_err select_all(const ft_dataset *ds, selection *s) {
    s->all = ft_alloc((size_t)ds->n, sizeof *s->all);
    FT_REQUIRE(s->all, MEMORY, "no memory for a list of %d images", ds->n);
    for (int32_t i = 0; i < ds->n; i++) s->all[i] = i;
    s->index = s->all;
    s->n = ds->n;
    s->name = "all";
    return FT_OK;
}

/* The parts of training can be had again when the data are the ones trained on. */
static ft_err select_samples(const ft_model *m, const ft_dataset *ds, const ft_config *config,
                             const char *wanted, selection *s) {
    bool same = m->config && m->data_fingerprint == ds->fingerprint;
    if ((!wanted && !same) || (wanted && strcmp(wanted, "all") == 0)) return select_all(ds, s);
    ft_part part = FT_PART_TRAIN;
    while (wanted && part < FT_PARTS && strcmp(wanted, ft_part_name(part)) != 0) part++;
    FT_REQUIRE(part < FT_PARTS, USAGE, "--split: '%s' is none of train, val, test, all", wanted);
    FT_REQUIRE(same, DATA,
               "these are not the data the model was trained on (or files were added, removed or renamed "
               "since), so its '%s' part cannot "
               "be found again; use --split all",
               wanted);
    FT_TRY(ft_images_split(config, ds, &s->split));
    if (!wanted) part = s->split.n[FT_PART_TEST] > 0 ? FT_PART_TEST : FT_PART_VAL;
    FT_REQUIRE(s->split.n[part] > 0, DATA, "the '%s' part of this split is empty", ft_part_name(part));
    s->index = s->split.index[part];
    s->n = s->split.n[part];
    s->name = ft_part_name(part);
    return FT_OK;
}

static ft_err same_classes(const ft_model *m, const ft_dataset *ds) {
    FT_REQUIRE(m->options.classes == ds->n_classes, DATA, "the model knows %d classes, the data have %d",
               m->options.classes, ds->n_classes);
    for (int32_t i = 0; i < ds->n_classes; i++)
        FT_REQUIRE(strcmp(m->class_names[i], ds->class_names[i]) == 0, DATA,
                   "class %d is '%s' for the model and '%s' in the data", i, m->class_names[i],
                   ds->class_names[i]);
    return FT_OK;
}

static void show(void *ctx, int64_t done, int64_t n) {
    ft_progress_bar_update(ctx, done, n, "");
}

/* A path in the model's folder. */
static ft_err beside_model(const eval_options *o, const char *name, char path[FT_CONFIG_PATH_BYTES]) {
    char folder[FT_CONFIG_PATH_BYTES];
    const char *slash = strrchr(o->model, '/');
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - o->model) : 1, slash ? o->model : ".");
    return ft_folder_file(path, FT_CONFIG_PATH_BYTES, folder, name);
}

static ft_err report(const eval_options *o, const ft_evaluation *ev, const ft_evaluator *e,
                     const char *split) {
    char folder[FT_CONFIG_PATH_BYTES], history[FT_CONFIG_PATH_BYTES];
    FT_TRY(beside_model(o, "history.csv", history));
    FT_TRY(beside_model(o, "eval", folder));
    const char *to = o->report ? o->report : folder;
    ft_results r = {.evaluation = ev, .of = e, .title = o->model, .split = split, .history_path = history};
    FT_TRY(ft_folder_make(to));
    FT_TRY(ft_results_write(to, &r));
    FT_TRY(ft_metrics_print(stdout, &ev->metrics, (const char *const *)e->model->class_names, split, NAN));
    ft_heads_print(stdout, ev->n_heads, ev->head_results);
    if (e->n > ev->n)
        fprintf(stderr, "left out %lld bad images; %s/quarantine.csv names them\n", (long long)(e->n - ev->n),
                to);
    fprintf(stderr, "written  %s/metrics.json, predictions.csv, report.html\n", to);
    return FT_OK;
}

static ft_err run(const eval_options *o, const ft_config *config, ft_model *m, const ft_dataset *ds,
                  ft_quarantine *quarantine, selection *s) {
    FT_TRY(same_classes(m, ds));
    FT_TRY(ft_heads_match(m, ds));
    FT_TRY(select_samples(m, ds, config, o->split, s));
    int32_t batch = o->batch                   ? o->batch
                    : config->train.eval_batch ? config->train.eval_batch
                                               : config->train.batch;
    ft_evaluator e;
    ft_evaluation ev;
    FT_TRY(ft_evaluator_init(&e, m, ds, s->index, s->n,
                             &(ft_evaluator_options){.batch = batch,
                                                     .workers = o->workers,
                                                     .direct = config->kernels == FT_CONFIG_KERNELS_DIRECT,
                                                     .quarantine = quarantine}));
    ft_progress_bar bar;
    ft_progress_bar_start(&bar, stderr, "evaluating", 0);
    ft_err err = ft_evaluator_run(&e, show, &bar, &ev);
    ft_progress_bar_clear(&bar);
    if (err == FT_OK) {
        err = report(o, &ev, &e, s->name);
        ft_evaluation_free(&ev);
    }
    ft_evaluator_free(&e);
    return err;
}

/* ---- pairs ---- */

static ft_err report_pairs(const eval_options *o, const ft_pairs *p, const float *score) {
    ft_verification v;
    char folder[FT_CONFIG_PATH_BYTES];
    FT_TRY(beside_model(o, "verification", folder));
    const char *to = o->report ? o->report : folder;
    FT_TRY(ft_verification_compute(p->n, score, p->same, p->n_folds, p->fold, &v));
    FT_TRY(ft_folder_make(to));
    FT_TRY(ft_verify_write(to, p, score, &v));
    ft_verification_print(stdout, &v);
    fprintf(stderr, "written  %s/verification.json, scores.csv\n", to);
    return FT_OK;
}

static ft_err verify(const eval_options *o, const ft_config *config, ft_model *m) {
    ft_verify_options v = {.layer = o->layer,
                           .flip = o->flip,
                           .batch = o->batch ? o->batch : 16,
                           .workers = o->workers,
                           .direct = config->kernels == FT_CONFIG_KERNELS_DIRECT};
    ft_pairs pairs;
    float *score;
    FT_TRY(ft_distance_parse(o->distance, &v.distance));
    FT_TRY(ft_pairs_read(o->pairs, &pairs));
    ft_progress_bar bar;
    ft_progress_bar_start(&bar, stderr, "embedding", 0);
    ft_err e = ft_verify_scores(m, &pairs, o->data, &v, show, &bar, &score);
    ft_progress_bar_clear(&bar);
    if (e == FT_OK) e = report_pairs(o, &pairs, score);
    free(score);
    ft_pairs_free(&pairs);
    return e;
}

static ft_err evaluate(const eval_options *o) {
    ft_model *m = NULL;
    ft_dataset *ds = NULL;
    ft_quarantine *quarantine = NULL;
    selection s = {0};
    ft_config config;
    ft_config_defaults(&config);
    ft_err e = ft_checkpoint_read_model(o->model, &m);
    if (e == FT_OK && m->config) e = ft_config_parse(m->config, strlen(m->config), o->model, &config);
    if (e == FT_OK && o->pairs) {
        e = verify(o, &config, m);
        ft_model_free(m);
        return e;
    }
    if (e == FT_OK) e = ft_images_open(&config, o->data, &ds);
    if (e == FT_OK) e = ft_images_quarantine(&config, ds, &quarantine);
    if (e == FT_OK) e = run(o, &config, m, ds, quarantine, &s);
    ft_quarantine_free(quarantine);
    free(s.all);
    ft_split_free(&s.split);
    ft_dataset_free(ds);
    ft_model_free(m);
    return e;
}

int main(int argc, char **argv) {
    eval_options o = {.workers = 1, .distance = "cosine"};
    int32_t threads = 0;
    const ft_cli_option options[] = {
        {.name = "data",
         .argument = "PATH",
         .string = &o.data,
         .help = "The data set, as data.path of a configuration."},
        {.name = "split",
         .argument = "NAME",
         .string = &o.split,
         .help = "train, val, test or all; by default the test part of the training's own split, or all of "
                 "other data."},
        {.name = "report",
         .argument = "DIR",
         .string = &o.report,
         .help =
             "Folder for metrics.json, predictions.csv and report.html; by default eval beside the model."},
        {.name = "pairs",
         .argument = "FILE",
         .string = &o.pairs,
         .help = "Verification of these pairs of pictures in the folder that --data names: LFW's pairs.txt, "
                 "or a CSV file "
                 "with the columns file1, file2, same and fold."},
        {.name = "layer",
         .argument = "NODE",
         .string = &o.layer,
         .help = "With --pairs: the node whose output is the embedding; the pooled features by default."},
        {.name = "distance",
         .argument = "NAME",
         .string = &o.distance,
         .help = "With --pairs: cosine (the default) or euclidean."},
        {.name = "flip",
         .flag = &o.flip,
         .help = "With --pairs: adds the embedding of the mirrored picture."},
        {.name = "batch",
         .argument = "N",
         .number = &o.batch,
         .low = 1,
         .high = 65536,
         .help = "Images at a time; by default as in training."},
        {.name = "workers",
         .argument = "N",
         .number = &o.workers,
         .low = 0,
         .high = 256,
         .help = "Threads that load images; 1 by default."},
        {.name = "threads",
         .argument = "N",
         .number = &threads,
         .low = 1,
         .high = FT_CLI_MAX_THREADS,
         .help = "Threads to compute with; all cores by default."},
        {0}};
    const ft_cli cli = {
        .program = "ft-eval",
        .usage = "MODEL.h5 --data PATH [options]",
        .about = "Evaluates a model (best.h5 or last.h5 of a run) over a whole data set or one part of it.",
        .options = options,
        .min_args = 1,
        .max_args = 1};
    char **args;
    int status;
    if (!ft_cli_parse(&cli, argc, argv, &args, NULL, &status)) return status;
    if (!o.data)
        return ft_cli_fail(
            ft_err_set(FT_E_USAGE, "name the data set: ft-eval %s --data PATH; see --help", args[0]));
    o.model = args[0];
    ft_threads_set(threads);
    ft_err e = evaluate(&o);
    return e == FT_OK ? ft_cli_end(0) : ft_cli_fail(e);
}

/* ft-eval: evaluates a trained model on a data set. */
#include "eval/bootstrap.h"
#include "tensor/par.h"
#include "tools/cli.h"
#include "tools/short_waits.h"
#include "train/assess.h"
#include "train/checkpoint.h"
#include "train/compare.h"
#include "train/images.h"
#include "train/progress_bar.h"
#include "train/results.h"
#include "train/selection.h"
#include "train/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct eval_options {
    const char *model, *other, *data, *split, *report, *views;
    const char *pairs, *layer, *distance, *fpr;
    int32_t batch, workers, replicates;
} eval_options;

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

/* The folder for the results, made: --report, or of that name beside the model. */
static ft_err results_folder(const eval_options *o, const char *name, char path[FT_CONFIG_PATH_BYTES]) {
    FT_TRY(beside_model(o, name, path));
    if (o->report) {
        FT_REQUIRE(strlen(o->report) < FT_CONFIG_PATH_BYTES, USAGE, "--report: the path is too long");
        strcpy(path, o->report);
    }
    return ft_folder_make(path);
}

/* ---- one model ---- */

/* A model with the data as its configuration reads them. */
typedef struct subject {
    const char *path;
    ft_model *model;
    ft_config config;
    ft_dataset *ds;
    ft_quarantine *quarantine;
    ft_evaluator of;
    ft_evaluation ev;
} subject;

static ft_err open_model(subject *s, const char *path) {
    *s = (subject){.path = path};
    ft_config_defaults(&s->config);
    FT_TRY(ft_checkpoint_read_model(path, &s->model));
    return s->model->config ? ft_config_parse(s->model->config, strlen(s->model->config), path, &s->config)
                            : FT_OK;
}

/* The model's configuration was right for its training: what these data lack is not its fault. */
static ft_err open_data(subject *s, const eval_options *o) {
    ft_err e = ft_images_open(&s->config, o->data, &s->ds);
    if (e == FT_E_CONFIG) return ft_err_prefix(FT_E_DATA, "--data");
    if (e != FT_OK) return e;
    return ft_images_quarantine(&s->config, s->ds, &s->quarantine);
}

static void close_subject(subject *s) {
    ft_evaluation_free(&s->ev);
    ft_evaluator_free(&s->of);
    ft_quarantine_free(s->quarantine);
    ft_dataset_free(s->ds);
    ft_model_free(s->model);
}

static ft_err parse_rate(const char *text, double *rate) {
    char *end;
    *rate = strtod(text, &end);
    FT_REQUIRE(end != text && *end == '\0' && *rate > 0 && *rate < 1, USAGE,
               "--fpr: '%s' is not a rate above 0 and below 1, such as 0.05", text);
    return FT_OK;
}

static ft_err assess(subject *s, const eval_options *o, const ft_selection *on) {
    ft_assess_options how =
        ft_assess_as(&s->config, on->split.n[FT_PART_VAL] ? &on->split : NULL, on->name, s->quarantine);
    if (o->batch) how.evaluator.batch = o->batch;
    how.evaluator.workers = o->workers;
    how.replicates = o->other ? 0 : o->replicates;
    if (o->views) FT_TRY(ft_views_parse(o->views, &how.evaluator.views));
    if (o->fpr) FT_TRY(parse_rate(o->fpr, &how.fpr));
    ft_progress_bar bar;
    ft_progress_bar_start(&bar, stderr, "evaluating", 0);
    ft_err e = ft_assess(&s->of, s->model, s->ds, on->index, on->n, &how, show, &bar, &s->ev);
    ft_progress_bar_clear(&bar);
    return e;
}

static ft_err report(const eval_options *o, const subject *s, const char *split) {
    char folder[FT_CONFIG_PATH_BYTES], history[FT_CONFIG_PATH_BYTES];
    FT_TRY(beside_model(o, "history.csv", history));
    FT_TRY(results_folder(o, "eval", folder));
    ft_results r = {.evaluation = &s->ev,
                    .of = &s->of,
                    .title = o->model,
                    .split = split,
                    .history_path = history,
                    .direct = s->config.kernels == FT_CONFIG_KERNELS_DIRECT};
    FT_TRY(ft_results_write(folder, &r));
    FT_TRY(ft_assess_print(stdout, &s->of, &s->ev, split));
    if (s->of.n > s->ev.n)
        fprintf(stderr, "left out %lld bad images; %s/quarantine.csv names them\n",
                (long long)(s->of.n - s->ev.n), folder);
    fprintf(stderr, "written  %s/metrics.json, predictions.csv, report.html\n", folder);
    return FT_OK;
}

/* ---- two models ---- */

static ft_err compare(const eval_options *o, const subject *a, const ft_selection *on) {
    subject b;
    ft_comparison c;
    char folder[FT_CONFIG_PATH_BYTES];
    ft_err e = open_model(&b, o->other);
    if (e == FT_OK) e = open_data(&b, o);
    ft_selection all = {0}; /* whether its classes are the data's */
    if (e == FT_OK) e = ft_selection_make(&all, b.model, b.ds, &b.config, "all");
    ft_selection_free(&all);
    if (e == FT_OK && b.ds->fingerprint != a->ds->fingerprint)
        e = ft_err_set(FT_E_DATA, "%s and %s read different samples from '%s'", o->model, o->other, o->data);
    if (e == FT_OK) e = assess(&b, o, on);
    if (e == FT_OK)
        e = ft_compare(&a->ev, &b.ev, o->replicates ? o->replicates : FT_BOOTSTRAP_REPLICATES, &c);
    if (e == FT_OK) {
        e = results_folder(o, "comparison", folder);
        if (e == FT_OK) e = ft_compare_write(folder, o->model, o->other, on->name, &c);
        if (e == FT_OK) ft_compare_print(stdout, o->model, o->other, on->name, &c);
        if (e == FT_OK) fprintf(stderr, "written  %s/comparison.json\n", folder);
        ft_comparison_free(&c);
    }
    close_subject(&b);
    return e;
}

/* ---- pairs ---- */

static ft_err report_pairs(const eval_options *o, const ft_model *m, const ft_verify_options *how,
                           const ft_pairs *p, const float *score) {
    ft_verification v;
    char folder[FT_CONFIG_PATH_BYTES];
    FT_TRY(ft_verification_compute(p->n, score, p->same, p->n_folds, p->fold, &v));
    FT_TRY(ft_verification_intervals(p->n, score, p->same, o->replicates, FT_BOOTSTRAP_SEED, &v));
    FT_TRY(results_folder(o, "verification", folder));
    FT_TRY(ft_verify_write(folder, p, score, &v));
    FT_TRY(ft_verify_report(folder, o->model, m, o->data, how, p, score, &v));
    ft_verification_print(stdout, &v);
    fprintf(stderr, "written  %s/verification.json, scores.csv, report.html\n", folder);
    return FT_OK;
}

static ft_err verify(const eval_options *o, const ft_config *config, ft_model *m) {
    ft_verify_options v = {.layer = o->layer,
                           .distance = FT_DISTANCE_COSINE,
                           .views = (ft_views)config->train.eval_views,
                           .batch = o->batch ? o->batch : 16,
                           .workers = o->workers,
                           .direct = config->kernels == FT_CONFIG_KERNELS_DIRECT};
    ft_pairs pairs;
    float *score;
    if (o->distance) FT_TRY(ft_distance_parse(o->distance, &v.distance));
    if (o->views) FT_TRY(ft_views_parse(o->views, &v.views));
    FT_TRY(ft_pairs_read(o->pairs, &pairs));
    ft_progress_bar bar;
    ft_progress_bar_start(&bar, stderr, "embedding", 0);
    ft_err e = ft_verify_scores(m, &pairs, o->data, &v, show, &bar, &score);
    ft_progress_bar_clear(&bar);
    if (e == FT_OK) e = report_pairs(o, m, &v, &pairs, score);
    free(score);
    ft_pairs_free(&pairs);
    return e;
}

static ft_err evaluate(const eval_options *o) {
    subject s;
    ft_selection on = {0};
    ft_err e = open_model(&s, o->model);
    if (e == FT_OK && o->pairs) {
        e = verify(o, &s.config, s.model);
    } else {
        if (e == FT_OK) e = open_data(&s, o);
        if (e == FT_OK) e = ft_selection_make(&on, s.model, s.ds, &s.config, o->split);
        if (e == FT_OK) e = assess(&s, o, &on);
        if (e == FT_OK) e = o->other ? compare(o, &s, &on) : report(o, &s, on.name);
    }
    ft_selection_free(&on);
    close_subject(&s);
    return e;
}

/* ---- the command line ---- */

static eval_options given = {.workers = 1, .replicates = FT_BOOTSTRAP_REPLICATES};
static int32_t threads;

static const ft_cli_option options[] = {
    {.name = "data",
     .argument = "PATH",
     .string = &given.data,
     .help = "The data set, as data.path of a configuration."},
    {.name = "split",
     .argument = "NAME",
     .string = &given.split,
     .help = "train, val, test or all; by default the test part of the training's own split, or all of "
             "other data."},
    {.name = "report",
     .argument = "DIR",
     .string = &given.report,
     .help = "Folder for what is written; by default eval (with --pairs verification, of two models "
             "comparison) beside the "
             "model."},
    {.name = "pairs",
     .argument = "FILE",
     .string = &given.pairs,
     .help = "Verification of these pairs of pictures in the folder that --data names: LFW's pairs.txt, "
             "or a CSV file "
             "with the columns file1, file2, same and fold."},
    {.name = "layer",
     .argument = "NODE",
     .string = &given.layer,
     .help = "With --pairs: the node whose output is the embedding; the pooled features by default."},
    {.name = "distance",
     .argument = "NAME",
     .string = &given.distance,
     .help = "With --pairs: cosine (the default) or euclidean."},
    {.name = "views",
     .argument = "NAME",
     .string = &given.views,
     .help = "Views of each image that the mean prediction, or with --pairs the sum of embeddings, is "
             "taken of: one; flip: and its mirror image; "
             "crops: "
             "the centre, four corners and their mirror images. By default as in training."},
    {.name = "fpr",
     .argument = "RATE",
     .string = &given.fpr,
     .help = "Of two classes: a threshold for this false positive rate as well, chosen on the validation "
             "part; for another part of the training's own data."},
    {.name = "bootstrap",
     .argument = "N",
     .number = &given.replicates,
     .low = 0,
     .high = 1000000,
     .help = "Draws behind the 95 % intervals; 1000 by default, 0: no intervals."},
    {.name = "batch",
     .argument = "N",
     .number = &given.batch,
     .low = 1,
     .high = 65536,
     .help = "Images at a time; by default as in training."},
    {.name = "workers",
     .argument = "N",
     .number = &given.workers,
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

static const ft_cli cli = {
    .program = "ft-eval",
    .usage = "MODEL.h5 [OTHER.h5] --data PATH [options]",
    .about = "Evaluates a model (best.h5 or last.h5 of a run) over a whole data set or one part of it; "
             "or compares "
             "two on the same images: how their numbers differ, and whether that may be chance.",
    .options = options,
    .min_args = 1,
    .max_args = 2};

/* Whether the options go together: none is passed over in silence. */
static ft_err check(const eval_options *o) {
    FT_REQUIRE(o->data, USAGE, "name the data set: ft-eval %s --data PATH; see --help", o->model);
    FT_REQUIRE(!o->pairs || !o->other, USAGE, "--pairs takes one model; evaluate each by itself");
    FT_REQUIRE(!o->pairs || (!o->split && !o->fpr), USAGE, "--split and --fpr do not go with --pairs");
    FT_REQUIRE(o->pairs || (!o->layer && !o->distance), USAGE, "--layer and --distance need --pairs");
    FT_REQUIRE(!o->other || !o->fpr, USAGE, "--fpr takes one model; evaluate each by itself");
    return FT_OK;
}

int main(int argc, char **argv) {
    ft_short_waits(argv);
    char **args;
    int32_t n_args;
    int status;
    if (!ft_cli_parse(&cli, argc, argv, &args, &n_args, &status)) return status;
    given.model = args[0];
    given.other = n_args > 1 ? args[1] : NULL;
    ft_threads_set(threads);
    ft_err e = check(&given);
    if (e == FT_OK) e = evaluate(&given);
    return e == FT_OK ? ft_cli_end(0) : ft_cli_fail(e);
}

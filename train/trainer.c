#include "train/trainer.h"
#include "eval/history.h"
#include "eval/tfevents.h"
#include "tensor/atomic_file.h"
#include "tensor/par.h"
#include "tensor/rng.h"
#include "train/assess.h"
#include "train/batch_pass.h"
#include "train/epoch_log.h"
#include "train/finite.h"
#include "train/generations.h"
#include "train/profile.h"
#include "train/progress_bar.h"
#include "train/results.h"
#include "train/run_folder.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_TOLD = 10 /* bad images named in the log at a time */, MOST_SKIPPED = 10, MOST_ROLLED_BACK = 8 };

/* A run under way. */
typedef struct trainer {
    ft_run *r;
    const ft_train_options *o;
    ft_run_folder at;
    int32_t n_bad; /* bad images told of */
    int32_t skipped,
        rolled_back; /* steps without numbers: skipped in a row, and how often the run was put back */
    ft_statistics statistics; /* as they were before the step */
    ft_tfevents events;
    ft_progress_bar bar;
    ft_profile profile;
    double saved_at;   /* clock of the last checkpoint */
    double resumed_at; /* clock since which the epoch's seconds are to be counted */
    int64_t seen,
        right; /* images of this epoch since it was (re)started, and those classified rightly in training */
} trainer;

static bool stop_wanted(const trainer *t) {
    return t->o->stop && *t->o->stop;
}

static double seconds_in_epoch(trainer *t) {
    double now = ft_clock();
    t->r->state.progress.epoch_seconds += now - t->resumed_at;
    t->resumed_at = now;
    return t->r->state.progress.epoch_seconds;
}

/* Counts what has passed since `start` as time of that part. */
static void charge(trainer *t, ft_profile_part part, double start) {
    t->profile.seconds[part] += ft_clock() - start;
}

/* Tells of the images set aside since the last time, and lists them in the folder. */
static ft_err tell_bad_images(trainer *t) {
    const ft_quarantine *q = t->r->quarantine;
    int32_t n = q ? ft_quarantine_count(q) : 0, told = 0;
    if (n == t->n_bad) return FT_OK;
    ft_progress_bar_clear(&t->bar);
    for (int32_t k = t->n_bad; k < n && t->o->log && told < MOST_TOLD; k++, told++) {
        const char *reason;
        char name[256];
        ft_dataset_name(t->r->ds, ft_quarantine_sample(q, k, &reason), name, sizeof name);
        fprintf(t->o->log, "left out %s: %s\n", name, reason);
    }
    if (t->o->log) fprintf(t->o->log, "left out %d bad images so far; %s names them\n", n, t->at.quarantine);
    t->n_bad = n;
    return ft_quarantine_write(q, t->at.quarantine);
}

static ft_err save(trainer *t) {
    double start = ft_clock();
    seconds_in_epoch(t);
    FT_TRY(tell_bad_images(t)); /* --resume reads it, too */
    FT_TRY(ft_generations_write(t->at.last, t->r->config->train.checkpoint.keep, t->r->model, &t->r->state));
    t->saved_at = ft_clock();
    charge(t, FT_PROFILE_CHECKPOINTS, start);
    return FT_OK;
}

/* ---- one step ---- */

static double learning_rate(const ft_run *r, int64_t step) {
    const ft_phase *ph = &r->phase;
    const ft_progress *p = &r->state.progress;
    double lr = ft_schedule_lr(&ph->schedule, ph->config.train.optimizer.lr, step - p->phase_step, ph->steps,
                               ph->steps * ph->config.train.epochs, &p->plateau);
    return p->lr_scale > 0 ? p->lr_scale * lr : lr;
}

/* Forward and backward of up to `accumulate` batches: *images of them, the next batch is *next. */
static ft_err run_batches(trainer *t, int64_t *images, int64_t *next) {
    ft_phase *ph = &t->r->phase;
    const ft_progress *p = &t->r->state.progress;
    for (int32_t micro = 0; micro < ph->config.train.accumulate; micro++) {
        ft_batch b;
        double start = ft_clock();
        FT_TRY(ft_loader_next(ph->loader, &b));
        charge(t, FT_PROFILE_LOADING, start);
        *next = b.next;
        if (b.n == 0) break;
        FT_TRY(ft_batch_pass(t->r, &b, micro, &t->right));
        t->seen += b.n;
        *images += b.n;
    }
    ft_err e = *images ? ft_finite_gradients(t->r) : FT_OK;
    return e == FT_OK
               ? e
               : ft_err_prefix(e, "step %lld (epoch %lld)", (long long)p->step + 1, (long long)p->epoch + 1);
}

static ft_err update(trainer *t, int64_t images) {
    ft_run *r = t->r;
    const ft_phase *ph = &r->phase;
    const ft_progress *p = &r->state.progress;
    double lr = learning_rate(r, p->step), start = ft_clock();
    double scale = ph->config.train.accumulate == 1 ? 1 : (double)ph->config.train.batch / (double)images;
    FT_TRY(ft_optim_step(r->state.optim, (const ft_real *const *)ph->grads, lr, scale, NULL));
    if (r->state.ema) ft_ema_update(r->state.ema);
    ft_graph_touch(r->model->g);
    ft_err e = ft_finite_parameters(r);
    charge(t, FT_PROFILE_OPTIMIZER, start);
    return e == FT_OK ? e
                      : ft_err_prefix(e, "after step %lld (epoch %lld)", (long long)p->step + 1,
                                      (long long)p->epoch + 1);
}

/* Forgets the step under way, of which a number is none. */
static ft_err skip_step(trainer *t) {
    if (++t->skipped > MOST_SKIPPED)
        return ft_err_prefix(FT_E_NUMERIC, "after %d skipped steps in a row", MOST_SKIPPED);
    ft_statistics_restore(&t->statistics, t->r);
    ft_progress_bar_clear(&t->bar);
    if (t->o->log) fprintf(t->o->log, "skipped  %s\n", ft_err_message());
    return FT_OK;
}

/* One optimiser step: up to `accumulate` batches. *done: the epoch has no more batches. */
static ft_err run_step(trainer *t, bool *done) {
    ft_progress *p = &t->r->state.progress;
    bool skips = t->r->config->train.non_finite == FT_CONFIG_NON_FINITE_SKIP;
    int64_t images = 0, next = p->batch;
    if (skips) FT_TRY(ft_statistics_keep(&t->statistics, t->r));
    ft_err e = run_batches(t, &images, &next);
    *done = next >= t->r->phase.batches;
    if (e == FT_E_NUMERIC && skips) {
        FT_TRY(skip_step(t));
    } else {
        FT_TRY(e);
        if (images == 0) return FT_OK;
        FT_TRY(update(t, images));
        t->skipped = 0;
    }
    p->batch = next;
    p->step++;
    t->profile.steps++;
    return FT_OK;
}

/* What was asked for by a signal, between two steps. */
static ft_err heed_signals(trainer *t) {
    const ft_progress *p = &t->r->state.progress;
    if (t->o->tell && *t->o->tell) {
        *t->o->tell = 0;
        if (t->o->log && p->loss_images > 0)
            fprintf(t->o->log,
                    "epoch %lld/%d, step %lld: %lld of %d images, loss %.4f, %.0f s since the last save\n",
                    (long long)p->epoch + 1, t->r->config->train.epochs, (long long)p->step,
                    (long long)p->loss_images, ft_loader_samples(t->r->phase.loader),
                    p->loss_sum / (double)p->loss_images, ft_clock() - t->saved_at);
    }
    if (!t->o->save || !*t->o->save) return FT_OK;
    *t->o->save = 0;
    FT_TRY(save(t));
    if (t->o->log) fprintf(t->o->log, "saved %s at step %lld\n", t->at.last, (long long)p->step);
    return FT_OK;
}

static void show_progress(trainer *t) {
    const ft_progress *p = &t->r->state.progress;
    char text[128];
    if (t->seen == 0) return; /* all were bad */
    snprintf(text, sizeof text, "loss %.4f  acc %.4f", p->loss_sum / (double)p->loss_images,
             (double)t->right / (double)t->seen);
    ft_progress_bar_update(&t->bar, p->loss_images, ft_loader_samples(t->r->phase.loader), text);
}

static bool checkpoint_due(const trainer *t) {
    const ft_config *c = t->r->config; /* the same in all phases */
    int32_t every = c->train.checkpoint.every_steps;
    double minutes = c->train.checkpoint.every_minutes;
    return (every > 0 && t->r->state.progress.step % every == 0) ||
           (minutes > 0 && ft_clock() - t->saved_at >= 60 * minutes);
}

typedef struct making {
    trainer *t;
    int64_t made;
} making;

static bool show_making(void *ctx, int64_t done, int64_t n) {
    making *m = ctx;
    m->made = done;
    ft_progress_bar_update(&m->t->bar, done, n, "");
    return !stop_wanted(m->t);
}

/* Features of a part of the data that are not there yet. */
static ft_err make_features(trainer *t, ft_features *f, ft_part part) {
    if (!f) return FT_OK;
    making m = {.t = t};
    char title[64];
    snprintf(title, sizeof title, "features of %s", ft_part_name(part));
    ft_progress_bar_start(&t->bar, t->o->log, title, 0);
    double start = ft_clock();
    ft_err e = ft_features_make(f, t->r->state.progress.epoch, show_making, &m);
    ft_progress_bar_clear(&t->bar);
    charge(t, FT_PROFILE_FEATURES, start);
    if (e == FT_OK && m.made && t->o->log)
        fprintf(t->o->log, "features of %lld images (%s) in %.1f s, %.1f img/s; %s, %.0f MB%s\n",
                (long long)m.made, ft_part_name(part), ft_clock() - start,
                (double)m.made / (ft_clock() - start), ft_features_path(f),
                (double)ft_features_bytes(f) / 1e6, ft_features_in_memory(f) ? " and in memory" : "");
    return e;
}

/* The rest of the epoch under way. */
static ft_err run_epoch(trainer *t) {
    ft_run *r = t->r;
    ft_progress *p = &r->state.progress;
    char title[64];
    snprintf(title, sizeof title, "epoch %lld/%d", (long long)p->epoch + 1, r->config->train.epochs);
    t->resumed_at = ft_clock();
    t->seen = t->right = 0;
    FT_TRY(make_features(t, r->phase.features, FT_PART_TRAIN));
    FT_TRY(make_features(t, r->phase.val_features, FT_PART_VAL));
    ft_progress_bar_start(&t->bar, t->o->log, title, p->loss_images);
    FT_TRY(ft_loader_start(r->phase.loader, p->epoch, (int32_t)p->batch));
    for (bool done = p->batch >= r->phase.batches; !done;) {
        ft_err e = run_step(t, &done);
        if (e == FT_OK) show_progress(t);
        if (e == FT_OK && stop_wanted(t)) e = FT_E_STOPPED;
        if (e == FT_OK) e = heed_signals(t);
        if (e == FT_OK && !done && checkpoint_due(t)) e = save(t);
        if (e != FT_OK) {
            ft_progress_bar_clear(&t->bar);
            return e;
        }
    }
    ft_progress_bar_clear(&t->bar);
    return FT_OK;
}

/* ---- the end of an epoch ---- */

/* Evaluation uses the average of the weights where there is one. */
static void swap_average(trainer *t) {
    if (!t->r->state.ema) return;
    ft_ema_swap(t->r->state.ema);
    ft_graph_touch(t->r->model->g);
}

static ft_err validate(trainer *t, ft_history_row *row) {
    row->val_loss = row->val_accuracy = row->val_recall = row->val_f1 = row->val_auc = NAN;
    if (!t->r->phase.val.plan) return FT_OK;
    ft_evaluation ev;
    double start = ft_clock();
    FT_TRY(ft_evaluator_run(&t->r->phase.val, NULL, NULL, &ev));
    charge(t, FT_PROFILE_EVALUATION, start);
    row->val_loss = ev.loss;
    row->val_accuracy = ev.metrics.accuracy;
    row->val_recall = ev.metrics.recall_macro;
    row->val_f1 = ev.metrics.f1_macro;
    row->val_auc = ev.metrics.roc_auc_ovr_macro;
    if (t->o->log) ft_tell_heads(t->o->log, &ev);
    ft_evaluation_free(&ev);
    return FT_OK;
}

/* Validates, and keeps the weights if they are the best so far (without a validation part: the latest). */
static ft_err validate_and_keep_best(trainer *t, ft_history_row *row) {
    ft_progress *p = &t->r->state.progress;
    ft_config_monitor monitor = t->r->config->train.checkpoint.monitor;
    FT_TRY(validate(t, row));
    double value = ft_monitored(monitor, row);
    if (t->r->phase.val.plan && !ft_monitored_better(monitor, value, p->best, 0) && p->best_epoch >= 0)
        return FT_OK;
    double start = ft_clock();
    FT_TRY(ft_checkpoint_write(t->at.best, t->r->model, NULL));
    charge(t, FT_PROFILE_CHECKPOINTS, start);
    p->best = value;
    p->best_epoch = p->epoch;
    return FT_OK;
}

static ft_err log_scalars(trainer *t, const ft_history_row *row) {
#define SCALAR(name) FT_TRY(ft_tfevents_scalar(&t->events, #name, row->epoch, row->name));
    FT_HISTORY_COLUMNS(SCALAR)
#undef SCALAR
    return ft_tfevents_flush(&t->events);
}

/* Should training end here? Remembers how long nothing improved. */
static bool stops_early(trainer *t, const ft_history_row *row) {
    const ft_config *c = &t->r->phase.config;
    ft_progress *p = &t->r->state.progress;
    if (c->train.early_stop.monitor == FT_CONFIG_MONITOR_NONE) return false;
    double value = ft_monitored(c->train.early_stop.monitor, row);
    if (ft_monitored_better(c->train.early_stop.monitor, value, p->stop_best,
                            c->train.early_stop.min_delta)) {
        p->stop_best = value;
        p->stop_bad = 0;
    } else
        p->stop_bad++;
    return p->stop_bad >= c->train.early_stop.patience;
}

static ft_err end_epoch(trainer *t) {
    ft_run *r = t->r;
    ft_progress *p = &r->state.progress;
    double seconds = seconds_in_epoch(t);
    FT_REQUIRE(p->loss_images > 0, DATA, "none of the images to train on can be used");
    ft_history_row row = {
        .epoch = p->epoch + 1,
        .lr = learning_rate(r, p->step - 1), /* of the last step, also when it was before a resume */

        .train_loss = p->loss_sum / (double)p->loss_images,
        .images_per_second = (double)p->loss_images / seconds,
        .seconds = seconds};
    swap_average(t);
    ft_err e = validate_and_keep_best(t, &row);
    swap_average(t);
    FT_TRY(e);
    if (t->o->log)
        ft_tell_epoch(t->o->log, &row, r->config->train.epochs, r->phase.val.plan != NULL,
                      p->best_epoch == row.epoch - 1);
    if (t->o->fingerprint)
        fprintf(t->o->fingerprint, "epoch %lld  %016llx\n", (long long)row.epoch,
                (unsigned long long)ft_model_fingerprint(r->model));
    if (stops_early(t, &row) && t->o->log)
        fprintf(t->o->log, "stopping early: %s has not improved for %d epochs\n",
                ft_config_choice(&r->phase.config, "train.early_stop.monitor"), p->stop_bad);
    if (r->phase.schedule.kind == FT_SCHEDULE_PLATEAU)
        ft_plateau_update(&p->plateau, &r->phase.schedule,
                          ft_monitored(r->phase.config.train.schedule.monitor, &row));
    p->epoch++;
    p->batch = p->loss_images = 0;
    p->loss_sum = p->epoch_seconds = 0;
    t->resumed_at = ft_clock();
    FT_TRY(ft_history_append(t->at.history, &row));
    FT_TRY(log_scalars(t, &row));
    return save(t);
}

/* ---- the whole ---- */

static bool phase_finished(const trainer *t) {
    const ft_config *c = &t->r->phase.config;
    const ft_progress *p = &t->r->state.progress;
    bool stopped =
        c->train.early_stop.monitor != FT_CONFIG_MONITOR_NONE && p->stop_bad >= c->train.early_stop.patience;
    return p->epoch - p->phase_epoch >= c->train.epochs || stopped;
}

static bool finished(const trainer *t) {
    return phase_finished(t) && t->r->phase.number + 1 >= ft_config_n_phases(t->r->config);
}

/* Makes the phase ready to run, and tells of it. */
static ft_err begin_phase(trainer *t) {
    if (t->o->log) ft_phase_describe(t->r, t->o->log);
    return ft_phase_begin(t->r);
}

static ft_err next_phase(trainer *t) {
    ft_progress *p = &t->r->state.progress;
    ft_phase_tidy(t->r);
    FT_TRY(ft_phase_enter(t->r, t->r->phase.number + 1));
    ft_progress_begin_phase(p, t->r->phase.number, &t->r->phase.schedule);
    return begin_phase(t);
}

static ft_err write_config(const trainer *t) {
    ft_atomic_file a;
    FT_TRY(ft_atomic_open(&a, t->at.config));
    fputs(t->r->model->config, a.stream);
    return ft_atomic_commit(&a);
}

/* Makes the folder, or finds the run in it, and puts the run where it stopped. */
static ft_err open_folder(trainer *t) {
    bool saved;
    FT_TRY(ft_run_folder_open(&t->at, t->o->folder, t->o->resume, t->o->overwrite, &saved));
    if (t->o->resume && saved) {
        FT_TRY(ft_run_folder_resume(&t->at, t->r, t->o->log));
        if (t->r->quarantine) t->n_bad = ft_quarantine_count(t->r->quarantine);
    } else {
        if (t->o->resume && t->o->log)
            fprintf(t->o->log, "nothing to resume in %s: starting\n", t->o->folder);
        FT_TRY(ft_run_folder_clear(&t->at));
    }
    FT_TRY(write_config(t));
    return ft_tfevents_open(&t->events, t->o->folder, t->r->state.progress.epoch + 1);
}

/* Evaluates the best weights on the test part, or on the validation part. */
static ft_err final_results(trainer *t) {
    ft_run *r = t->r;
    ft_part part = r->split.n[FT_PART_TEST] > 0 ? FT_PART_TEST : FT_PART_VAL;
    if (r->split.n[part] == 0) return FT_OK;
    ft_model *best = NULL;
    ft_evaluator e;
    ft_evaluation ev;
    ft_assess_options o = ft_assess_as(r->config, &r->split, ft_part_name(part), r->quarantine);
    o.evaluator.batch = ft_phase_eval_batch(r);
    if (t->o->profile)
        ft_phase_retire(r);
    else
        ft_phase_leave(r);
    FT_TRY(ft_checkpoint_read_model(t->at.best, &best));
    ft_err err = ft_assess(&e, best, r->ds, r->split.index[part], r->split.n[part], &o, NULL, NULL, &ev);
    if (err == FT_OK) {
        ft_results results = {.evaluation = &ev,
                              .of = &e,
                              .title = t->o->folder,
                              .split = o.part,
                              .history_path = t->at.history,
                              .direct = o.evaluator.direct};
        err = ft_results_write(t->o->folder, &results);
        if (err == FT_OK && t->o->results) err = ft_assess_print(t->o->results, &e, &ev, o.part);
        if (err == FT_OK) err = tell_bad_images(t);
        ft_evaluation_free(&ev);
        ft_evaluator_free(&e);
    }
    ft_model_free(best);
    return err;
}

/* Puts a run whose numbers are none any more back to its last resume point, to go on more carefully; the
 * error if it was put back too often already, or has none. */
static ft_err roll_back(trainer *t) {
    ft_run *r = t->r;
    char why[1024];
    snprintf(why, sizeof why, "%s", ft_err_message());
    if (t->rolled_back++ >= MOST_ROLLED_BACK || !ft_generations_exist(t->at.last)) return FT_E_NUMERIC;
    double scale = (r->state.progress.lr_scale > 0 ? r->state.progress.lr_scale : 1) / 2;
    int32_t phase = r->phase.number;
    if (t->o->log) fprintf(t->o->log, "rolling back to go on with %g of the learning rate: %s\n", scale, why);
    FT_TRY(ft_run_folder_resume(&t->at, r, t->o->log));
    r->state.progress.lr_scale = scale;
    return r->phase.number == phase ? FT_OK : begin_phase(t);
}

static ft_err train(trainer *t) {
    t->saved_at = ft_clock();
    if (!phase_finished(t)) FT_TRY(begin_phase(t));
    while (!finished(t)) {
        ft_err e = phase_finished(t) ? next_phase(t) : FT_OK;
        if (e == FT_OK) e = run_epoch(t);
        if (e == FT_E_NUMERIC && t->r->config->train.non_finite == FT_CONFIG_NON_FINITE_ROLLBACK) {
            FT_TRY(roll_back(t));
            continue;
        }
        if (e == FT_OK) e = end_epoch(t);
        if (e == FT_OK && stop_wanted(t) && !finished(t)) e = FT_E_STOPPED;
        if (e == FT_E_STOPPED) {
            FT_TRY(save(t));
            FT_FAIL(STOPPED, "stopped at epoch %lld, step %lld; %s is saved, go on with --resume",
                    (long long)t->r->state.progress.epoch + 1, (long long)t->r->state.progress.step,
                    t->at.last);
        }
        FT_TRY(e);
    }
    ft_phase_tidy(t->r);
    double start = ft_clock();
    FT_TRY(final_results(t));
    charge(t, FT_PROFILE_EVALUATION, start);
    return FT_OK;
}

static ft_err train_and_profile(trainer *t) {
    double start = ft_clock();
    ft_err e = train(t);
    t->profile.total = ft_clock() - start;
    if (t->o->profile && (e == FT_OK || e == FT_E_STOPPED)) {
        ft_err printed = ft_profile_print(t->o->profile, &t->profile, t->r->phase.plan);
        if (printed != FT_OK) e = printed;
    }
    if (e == FT_OK) return ft_tfevents_close(&t->events);
    char message[1024]; /* it is the one to report, whatever else fails */
    snprintf(message, sizeof message, "%s", ft_err_message());
    tell_bad_images(t);
    ft_tfevents_close(&t->events);
    return ft_err_set(e, "%s", message);
}

ft_err ft_train_run(ft_run *r, const ft_train_options *o) {
    trainer t = {.r = r, .o = o, .at.lock = -1};
    ft_err e = open_folder(&t);
    if (e == FT_OK) e = train_and_profile(&t);
    ft_run_folder_close(&t.at);
    ft_statistics_free(&t.statistics);
    return e;
}

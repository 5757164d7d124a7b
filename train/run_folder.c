#include "train/run_folder.h"

#include "eval/history.h"
#include "train/generations.h"
#include "train/results.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

enum { PATIENCE = 20 /* tenths of a second: a process that was just killed takes a moment to let go */ };

static ft_err lock_folder(ft_run_folder *f, const char *path) {
    f->lock = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->lock < 0) return FT_OK;
    for (int tenth = 0; tenth < PATIENCE; tenth++) {
        if (flock(f->lock, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
            return FT_OK; /* some file systems cannot */
        usleep(100000);
    }
    FT_FAIL(
        CONFIG,
        "%s: another training works in this folder; wait for it, stop it, or write elsewhere with --out DIR",
        path);
}

static ft_err find(ft_run_folder *f, const char *path, bool resume, bool overwrite, bool *saved) {
    FT_TRY(ft_folder_file(f->last, sizeof f->last, path, "last.h5"));
    FT_TRY(ft_folder_file(f->best, sizeof f->best, path, "best.h5"));
    FT_TRY(ft_folder_file(f->history, sizeof f->history, path, "history.csv"));
    FT_TRY(ft_folder_file(f->config, sizeof f->config, path, "config.yaml"));
    FT_TRY(ft_folder_file(f->quarantine, sizeof f->quarantine, path, "quarantine.csv"));
    FT_TRY(ft_folder_make(path));
    FT_TRY(lock_folder(f, path));
    *saved = ft_generations_exist(f->last);
    bool holds_a_run = *saved || access(f->best, F_OK) == 0;
    FT_REQUIRE(!holds_a_run || resume || overwrite, CONFIG,
               "%s: there is a run in this folder; --resume goes on with it, --out DIR writes elsewhere, "
               "--overwrite starts anew",
               path);
    return FT_OK;
}

ft_err ft_run_folder_open(ft_run_folder *f, const char *path, bool resume, bool overwrite, bool *saved) {
    *f = (ft_run_folder){.lock = -1};
    ft_err e = find(f, path, resume, overwrite, saved);
    if (e != FT_OK) ft_run_folder_close(f);
    return e;
}

void ft_run_folder_close(ft_run_folder *f) {
    if (f->lock >= 0) close(f->lock);
    f->lock = -1;
}

ft_err ft_run_folder_resume(const ft_run_folder *f, ft_run *r, FILE *log) {
    ft_progress there;
    char path[4096], why[1024];
    FT_TRY(ft_generations_find(f->last, path, why));
    if (*why && log) fprintf(log, "%s; going on from the one before, %s\n", why, path);
    FT_TRY(ft_checkpoint_read_progress(path, &there));
    FT_REQUIRE(there.phase < ft_config_n_phases(r->config), WEIGHTS,
               "cannot resume from '%s': it is in phase %lld, and the configuration has %d", path,
               (long long)there.phase + 1, ft_config_n_phases(r->config));
    if (there.phase != r->phase.number) FT_TRY(ft_phase_enter(r, (int32_t)there.phase));
    FT_TRY(ft_checkpoint_resume(path, r->model, &r->state));
    if (r->quarantine) FT_TRY(ft_quarantine_read(r->quarantine, f->quarantine));
    const ft_progress *p = &r->state.progress;
    if (log)
        fprintf(log, "resumed  %s: epoch %lld, batch %lld, step %lld\n", path, (long long)p->epoch + 1,
                (long long)p->batch, (long long)p->step);
    return FT_OK;
}

ft_err ft_run_folder_clear(const ft_run_folder *f) {
    FT_TRY(ft_history_write(f->history, NULL, 0));
    ft_generations_remove(f->last);
    unlink(f->quarantine);
    return FT_OK;
}

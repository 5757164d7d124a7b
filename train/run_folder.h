/* The folder of a run: where its files are, and that one training at a time works in it. */
#ifndef FACET_TRAIN_RUN_FOLDER_H
#define FACET_TRAIN_RUN_FOLDER_H

#include "train/run.h"

typedef struct ft_run_folder {
    char last[FT_CONFIG_PATH_BYTES], best[FT_CONFIG_PATH_BYTES], history[FT_CONFIG_PATH_BYTES],
        config[FT_CONFIG_PATH_BYTES], quarantine[FT_CONFIG_PATH_BYTES];
    int lock; /* the folder, locked for as long as this process lives; -1: it is not */
} ft_run_folder;

/* Makes the folder, locks it, and finds out whether there is a resume point (train/generations.h).
 * FT_E_CONFIG: it holds a run and neither resume nor overwrite is wanted, or another training works in it;
 * FT_E_IO. *f then needs no close. */
ft_err ft_run_folder_open(ft_run_folder *f, const char *path, bool resume, bool overwrite, bool *saved);
void ft_run_folder_close(ft_run_folder *f);

/* Puts the run where the newest resume point that is not damaged stands; log (may be NULL) is told which.
 * FT_E_WEIGHTS, FT_E_IO, FT_E_MEMORY. */
ft_err ft_run_folder_resume(const ft_run_folder *f, ft_run *r, FILE *log);
/* Removes what an earlier run left that this one, which starts anew, would go on with; writes an empty
 * history. FT_E_IO. */
ft_err ft_run_folder_clear(const ft_run_folder *f);

#endif

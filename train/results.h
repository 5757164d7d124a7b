/* What an evaluation leaves in a folder: metrics.json, predictions.csv, report.html. */
#ifndef FACET_TRAIN_RESULTS_H
#define FACET_TRAIN_RESULTS_H

#include "train/evaluate.h"

typedef struct ft_results {
    const ft_evaluation *evaluation;
    const ft_evaluator *of;
    const char *title;        /* the run's or the model's name */
    const char *split;        /* "test" */
    const char *history_path; /* history.csv for the training curves; NULL or missing: none */
    bool direct;              /* as ft_plan_spec.direct */
} ft_results;

/* Writes the three files, and quarantine.csv if there were bad images, each replaced atomically, into the
 * folder, which exists. FT_E_IO, FT_E_MEMORY. */
ft_err ft_results_write(const char *folder, const ft_results *r);

enum { FT_DATE_BYTES = 32 };
/* Now, as reports say it: "2026-01-31 14:05". */
void ft_date_now(char date[FT_DATE_BYTES]);

/* Makes the folder and those above it. FT_E_IO when that fails or something else has its name. */
ft_err ft_folder_make(const char *path);
/* "<folder>/<name>" into buffer. FT_E_CONFIG when it does not fit. */
ft_err ft_folder_file(char *buffer, size_t bytes, const char *folder, const char *name);

#endif

/* report.html: the result of a training or evaluation as one self-contained page (no script, nothing
 * fetched). */
#ifndef FACET_EVAL_REPORT_H
#define FACET_EVAL_REPORT_H

#include "eval/head_result.h"
#include "eval/history.h"
#include "eval/threshold.h"

/* An image that could not be used, and why. */
typedef struct ft_report_bad {
    const char *path, *reason;
} ft_report_bad;

/* What an example looks like: JPEG files. */
typedef struct ft_report_picture {
    int64_t row;
    const unsigned char *image,
        *heat; /* heat: the same with what spoke for the prediction coloured in; NULL: none */
    size_t image_bytes, heat_bytes;
} ft_report_picture;

/* All that the page shows. Everything is borrowed; text is UTF-8 and escaped by the writer. A text that is
 * NULL is left out. */
typedef struct ft_report {
    const char *title; /* the run's name */
    const char *split; /* what was evaluated: "test" */

    const ft_metrics *metrics;
    double loss;                    /* NaN when not computed */
    const char *const *class_names; /* (k) */

    const float *prob;        /* (n, k), what the metrics were computed from */
    const int32_t *label;     /* (n) */
    const char *const *paths; /* (n) */

    const ft_thresholds *thresholds;   /* NULL, or chosen_on NULL: none */
    const ft_report_picture *pictures; /* (n_pictures), by rising row: of ft_report_rows */
    int32_t n_pictures;

    const ft_history_row *history; /* (n_history); none: no training curves */
    int64_t n_history;

    const ft_head_result *heads; /* (n_heads) */
    int32_t n_heads;

    const ft_report_bad *bad; /* (n_bad): images left out */
    int32_t n_bad;

    const char *model;       /* architecture or model file */
    const char *version;     /* of Facet */
    const char *fingerprint; /* of the data */
    const char *seed, *date;
    const char *config; /* the effective configuration, shown as it is */
} ft_report;

enum {
    FT_REPORT_MISTAKES = 24,
    FT_REPORT_UNCERTAIN = 12,
    FT_REPORT_ROWS = FT_REPORT_MISTAKES + FT_REPORT_UNCERTAIN
};
/* The examples whose pictures the page wants, by rising row without repeats; returns how many there are. */
int32_t ft_report_rows(const ft_metrics *m, const float *prob, const int32_t *label,
                       int64_t rows[FT_REPORT_ROWS]);

/* Writes (replaces, atomically) the page. FT_E_IO, FT_E_MEMORY: the file is as it was. */
ft_err ft_report_write(const char *path, const ft_report *r);

#endif

/* report.html of a verification, as one self-contained page (eval/report.h). */
#ifndef FACET_EVAL_VERIFICATION_REPORT_H
#define FACET_EVAL_VERIFICATION_REPORT_H

#include "eval/report.h"
#include "eval/verification.h"

/* Everything is borrowed. */
typedef struct ft_verification_report {
    const char *title, *model; /* the model's file, its architecture */
    const char *layer;         /* what the embeddings are */
    const char *distance;
    const ft_verification *result;
    const float *score;                /* (n) */
    const int32_t *same;               /* (n) */
    const int32_t *a, *b;              /* (n): files */
    const char *const *files;          /* names */
    const ft_report_picture *pictures; /* (n_pictures): row is the file's number */
    int32_t n_pictures;
    const char *version, *date;
} ft_verification_report;

enum { FT_WORST_PAIRS = 12 };
/* The pairs of one person with the lowest scores, then those of two with the highest, FT_WORST_PAIRS of each
 * at most; their numbers to pair, how many of each to n_same and n_different. */
void ft_verification_worst(int64_t n, const float *score, const int32_t *same,
                           int64_t pair[2 * FT_WORST_PAIRS], int32_t *n_same, int32_t *n_different);

/* Writes (replaces, atomically) the page. FT_E_IO, FT_E_MEMORY: the file is as it was. */
ft_err ft_verification_report_write(const char *path, const ft_verification_report *r);

#endif

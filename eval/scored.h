/* Rows of a classification made ready to be counted: what each of them adds to the metrics, so that they can
 * be counted again and again with other weights (eval/bootstrap.h). */
#ifndef FACET_EVAL_SCORED_H
#define FACET_EVAL_SCORED_H

#include "tensor/error.h"

#include <stdint.h>

enum { FT_CALIBRATION_BINS = 15 };

typedef struct ft_scored {
    int64_t n;
    int32_t k;
    const float *prob;    /* (n, k), borrowed */
    const int32_t *label; /* (n), borrowed */
    int32_t *predicted;   /* (n): the class of largest probability, the first of equals */
    int32_t *ahead;       /* (n): classes that rank before the truth; of equals the later ones do */
    double
        *log_loss;   /* (n): -log of the truth's probability, clipped to [eps, 1 - eps], over the row's sum */
    double *squares; /* (n): sum over c of (p_c - [c is the truth])^2; of two classes half of that */
    uint8_t *bin;    /* (n): 0 .. FT_CALIBRATION_BINS-1, of equal width, by the largest probability */
} ft_scored;

/* FT_E_DATA: a label out of range, less than one row or two classes; FT_E_NUMERIC: a probability that is not
 * finite; FT_E_MEMORY. *s then needs no free. */
ft_err ft_scored_init(ft_scored *s, int64_t n, int32_t k, const float *prob, const int32_t *label);
void ft_scored_free(ft_scored *s);

#endif

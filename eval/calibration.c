#include "eval/calibration.h"

#include "eval/metrics.h"
#include "eval/ranking.h"

#include <math.h>
#include <stdlib.h>

double ft_brier(int64_t n, int32_t k, const float *prob, const int32_t *label) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        for (int32_t c = 0; c < k; c++) {
            double d = (double)prob[i * k + c] - (c == label[i]);
            if (k > 2 || c == 1) sum += d * d;
        }
    return sum / (double)n;
}

double ft_calibration_error(int64_t n, int32_t k, const float *prob, const int32_t *label) {
    enum { BINS = 15 };
    double right[BINS] = {0}, sure[BINS] = {0}, error = 0;
    for (int64_t i = 0; i < n; i++) {
        int32_t c = ft_argmax(prob + i * k, k);
        double p = (double)prob[i * k + c];
        int b = (int)ceil(p * BINS) - 1;
        b = b < 0 ? 0 : b >= BINS ? BINS - 1 : b;
        right[b] += c == label[i];
        sure[b] += p;
    }
    for (int b = 0; b < BINS; b++) error += fabs(right[b] - sure[b]);
    return error / (double)n;
}

/* ---- one against one ---- */

typedef struct pairing {
    int32_t k;
    const float *prob;
    int64_t *start; /* (k + 1): the rows of each class */
    int64_t *row;   /* (n), by class */
    float *score;   /* (n), scratch */
    int32_t *is;    /* (n), scratch */
    ft_ranking ranking;
} pairing;

/* Area of the curve of class a's probability among the rows of a and b. */
static double one_way(pairing *p, int32_t a, int32_t b) {
    int64_t m = 0;
    for (int side = 0; side < 2; side++) {
        int32_t c = side ? b : a;
        for (int64_t i = p->start[c]; i < p->start[c + 1]; i++, m++) {
            p->score[m] = p->prob[p->row[i] * p->k + a];
            p->is[m] = side == 0;
        }
    }
    ft_ranking_fill(&p->ranking, m, p->score, 1, p->is, 1);
    return ft_ranking_roc_auc(&p->ranking);
}

static void sort_rows(pairing *p, int64_t n, const int32_t *label) {
    for (int64_t i = 0; i < n; i++) p->start[label[i] + 1]++;
    for (int32_t c = 0; c < p->k; c++) p->start[c + 1] += p->start[c];
    for (int64_t i = 0; i < n; i++) p->row[p->start[label[i]]++] = i;
    for (int32_t c = p->k; c > 0; c--) p->start[c] = p->start[c - 1];
    p->start[0] = 0;
}

ft_err ft_roc_auc_ovo(int64_t n, int32_t k, const float *prob, const int32_t *label, double *auc) {
    size_t m = (size_t)n;
    pairing p = {.k = k,
                 .prob = prob,
                 .start = ft_alloc((size_t)k + 1, sizeof *p.start),
                 .row = ft_alloc(m, sizeof *p.row),
                 .score = ft_alloc(m, sizeof *p.score),
                 .is = ft_alloc(m, sizeof *p.is)};
    ft_err e = p.start && p.row && p.score && p.is
                   ? ft_ranking_init(&p.ranking, n)
                   : ft_err_set(FT_E_MEMORY, "no memory to rank %lld rows", (long long)n);
    if (e == FT_OK) {
        double sum = 0;
        sort_rows(&p, n, label);
        for (int32_t a = 0; a < k; a++)
            for (int32_t b = a + 1; b < k; b++) sum += (one_way(&p, a, b) + one_way(&p, b, a)) / 2;
        *auc = sum / ((double)k * (k - 1) / 2);
        ft_ranking_free(&p.ranking);
    }
    free(p.start);
    free(p.row);
    free(p.score);
    free(p.is);
    return e;
}

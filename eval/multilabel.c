#include "eval/multilabel.h"

#include "eval/ranking.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

static double ratio(double a, double b) {
    return b > 0 ? a / b : 0;
}

static void decisions(ft_multilabel *m, const float *prob, const float *truth) {
    double tp = 0, fp = 0, fn = 0, exact = 0, f1 = 0;
    for (int64_t i = 0; i < m->n; i++) {
        bool all = true;
        for (int32_t c = 0; c < m->k; c++)
            all &= (prob[i * m->k + c] >= 0.5f) == (truth[i * m->k + c] > 0.5f);
        exact += all;
    }
    for (int32_t c = 0; c < m->k; c++) {
        double right = 0, said = 0, is = 0;
        for (int64_t i = 0; i < m->n; i++) {
            bool p = prob[i * m->k + c] >= 0.5f, t = truth[i * m->k + c] > 0.5f;
            right += p && t;
            said += p;
            is += t;
        }
        tp += right;
        fp += said - right;
        fn += is - right;
        f1 += ratio(2 * right, said + is);
    }
    m->accuracy = exact / (double)m->n;
    m->hamming_loss = (fp + fn) / ((double)m->n * m->k);
    m->precision_micro = ratio(tp, tp + fp);
    m->recall_micro = ratio(tp, tp + fn);
    m->f1_micro = ratio(2 * tp, 2 * tp + fp + fn);
    m->f1_macro = f1 / m->k;
}

ft_err ft_multilabel_compute(ft_multilabel *m, int64_t n, int32_t k, const float *prob, const float *truth) {
    *m = (ft_multilabel){.n = n, .k = k};
    decisions(m, prob, truth);
    ft_ranking r;
    int32_t *labels = malloc((size_t)n * sizeof *labels);
    FT_REQUIRE(labels, MEMORY, "no memory for %lld labels", (long long)n);
    ft_err e = ft_ranking_init(&r, n);
    double auc = 0, precision = 0;
    for (int32_t c = 0; c < k && e == FT_OK; c++) {
        for (int64_t i = 0; i < n; i++) labels[i] = truth[i * k + c] > 0.5f;
        ft_ranking_fill(&r, n, prob + c, k, labels, 1);
        auc += ft_ranking_roc_auc(&r);
        precision += ft_ranking_average_precision(&r);
    }
    free(labels);
    if (e != FT_OK) return e;
    ft_ranking_free(&r);
    m->roc_auc_macro = auc / k;
    m->average_precision_macro = precision / k;
    if (isnan(auc) || isnan(precision)) {
        m->roc_auc_macro = m->average_precision_macro = NAN;
        m->reason = "a class is in all or in none of the examples";
    }
    return FT_OK;
}

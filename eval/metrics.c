/* Classification metrics: one pass for the confusion matrix and log loss, then one ranking per class. */
#include "eval/metrics.h"

#include "eval/calibration.h"
#include "eval/ranking.h"

#include <float.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>

enum { MOST_PAIRED = 100 /* classes that are ranked pair by pair */ };

static const char NO_TRUTH[] = "no example of this class in the set";
static const char NO_PREDICTION[] = "this class is never predicted";
static const char NEITHER[] = "this class occurs neither in the truth nor in the predictions";
static const char ALL_TRUTH[] = "every example in the set is of this class";

int32_t ft_argmax(const float *p, int32_t k) {
    int32_t best = 0;
    for (int32_t c = 1; c < k; c++)
        if (p[c] > p[best]) best = c;
    return best;
}

double ft_top_k_accuracy(int64_t n, int32_t k, const float *prob, const int32_t *label, int32_t top) {
    int64_t hits = 0;
    for (int64_t i = 0; i < n; i++) {
        const float *p = prob + i * k;
        int32_t y = label[i], ahead = 0;
        for (int32_t c = 0; c < k; c++) ahead += p[c] > p[y] || (p[c] == p[y] && c > y);
        hits += ahead < top;
    }
    return (double)hits / (double)n;
}

static double clip(double p) {
    return p < DBL_EPSILON ? DBL_EPSILON : p > 1 - DBL_EPSILON ? 1 - DBL_EPSILON : p;
}

/* Fills confusion, supports and log_loss. */
static ft_err count(ft_metrics *m, const float *prob, const int32_t *label) {
    int32_t k = m->k;
    double loss = 0;
    for (int64_t i = 0; i < m->n; i++) {
        const float *p = prob + i * k;
        FT_REQUIRE(label[i] >= 0 && label[i] < k, DATA,
                   "label %d of example %lld is not in 0..%d; give one class number per example", label[i],
                   (long long)i, k - 1);
        double sum = 0;
        for (int32_t c = 0; c < k; c++) {
            FT_REQUIRE(
                isfinite(p[c]), NUMERIC,
                "the probability of class %d for example %lld is %g; the network's output is not finite", c,
                (long long)i, (double)p[c]);
            sum += clip(p[c]);
        }
        loss -= log(clip(p[label[i]]) / sum);
        int32_t predicted = ft_argmax(p, k);
        m->confusion[(int64_t)label[i] * k + predicted]++;
        m->per_class[label[i]].support++;
        m->per_class[predicted].predicted++;
    }
    m->log_loss = loss / (double)m->n;
    return FT_OK;
}

static double ratio(double a, double b) {
    return b > 0 ? a / b : NAN;
}
static double or_zero(double x) {
    return isnan(x) ? 0 : x;
}

static void from_confusion(ft_metrics *m) {
    int64_t hits = 0, n_present = 0, n_true = 0;
    double precision = 0, recall = 0, f1 = 0, w_precision = 0, w_recall = 0, w_f1 = 0, n = (double)m->n;
    for (int32_t c = 0; c < m->k; c++) {
        ft_class_metrics *q = &m->per_class[c];
        double tp = m->confusion[(int64_t)c * m->k + c], support = q->support;
        hits += m->confusion[(int64_t)c * m->k + c];
        n_true += support > 0;
        n_present += support + q->predicted > 0;
        q->precision = ratio(tp, q->predicted);
        q->recall = ratio(tp, support);
        q->f1 = ratio(2 * tp, support + q->predicted);
        precision += or_zero(q->precision);
        recall += or_zero(q->recall);
        f1 += or_zero(q->f1);
        w_precision += support * or_zero(q->precision);
        w_recall += support * or_zero(q->recall);
        w_f1 += support * or_zero(q->f1);
    }
    m->accuracy = m->precision_micro = m->recall_micro = m->f1_micro = (double)hits / n;
    m->balanced_accuracy = recall / (double)n_true;
    m->precision_macro = precision / (double)n_present;
    m->recall_macro = recall / (double)n_present;
    m->f1_macro = f1 / (double)n_present;
    m->precision_weighted = w_precision / n;
    m->recall_weighted = w_recall / n;
    m->f1_weighted = w_f1 / n;
}

/* Agreement beyond chance. With t, p the marginal counts of truth and prediction:
 *   mcc   = (hits n - t.p) / sqrt((n^2 - t.t)(n^2 - p.p))      Gorodkin, Comp. Biol. Chem. 28 (2004)
 *   kappa = (hits n - t.p) / (n^2 - t.p)                       Cohen, Educ. Psych. Meas. 20 (1960) */
static void agreement(ft_metrics *m) {
    int64_t tp = 0, tt = 0, pp = 0, hits = 0, n = m->n;
    for (int32_t c = 0; c < m->k; c++) {
        int64_t t = m->per_class[c].support, p = m->per_class[c].predicted;
        tp += t * p;
        tt += t * t;
        pp += p * p;
        hits += m->confusion[(int64_t)c * m->k + c];
    }
    double above_chance = (double)(hits * n - tp), spread = (double)(n * n - tt) * (double)(n * n - pp);
    m->mcc = spread > 0 ? above_chance / sqrt(spread) : 0;
    m->kappa = ratio(above_chance, (double)(n * n - tp));
    if (isnan(m->kappa))
        m->reason[FT_METRIC_kappa] = "truth and predictions are one and the same class throughout";
}

static ft_err rank_classes(ft_metrics *m, const float *prob, const int32_t *label) {
    ft_ranking r;
    FT_TRY(ft_ranking_init(&r, m->n));
    double auc = 0, ap = 0;
    for (int32_t c = 0; c < m->k; c++) {
        ft_class_metrics *q = &m->per_class[c];
        ft_ranking_fill(&r, m->n, prob + c, m->k, label, c);
        auc += q->roc_auc = ft_ranking_roc_auc(&r);
        ap += q->average_precision = ft_ranking_average_precision(&r);
    }
    ft_ranking_free(&r);
    m->roc_auc_ovr_macro = auc / m->k;
    m->average_precision_macro = ap / m->k;
    if (isnan(auc)) m->reason[FT_METRIC_roc_auc_ovr_macro] = "not every class occurs in the set";
    if (isnan(ap)) m->reason[FT_METRIC_average_precision_macro] = "not every class occurs in the set";
    return FT_OK;
}

static void binary(ft_metrics *m) {
    const ft_class_metrics *q = &m->per_class[1];
    m->precision = q->precision;
    m->recall = q->recall;
    m->f1 = q->f1;
    m->roc_auc = q->roc_auc;
    m->reason[FT_METRIC_precision] = ft_class_metric_reason(m, 1, FT_CLASS_METRIC_precision);
    m->reason[FT_METRIC_recall] = ft_class_metric_reason(m, 1, FT_CLASS_METRIC_recall);
    m->reason[FT_METRIC_f1] = ft_class_metric_reason(m, 1, FT_CLASS_METRIC_f1);
    m->reason[FT_METRIC_roc_auc] = ft_class_metric_reason(m, 1, FT_CLASS_METRIC_roc_auc);
}

static ft_err probabilities(ft_metrics *m, const float *prob, const int32_t *label) {
    m->brier = ft_brier(m->n, m->k, prob, label);
    m->calibration_error = ft_calibration_error(m->n, m->k, prob, label);
    m->roc_auc_ovo_macro = NAN;
    if (!ft_metric_applies(m, FT_METRIC_roc_auc_ovo_macro)) return FT_OK;
    m->reason[FT_METRIC_roc_auc_ovo_macro] = m->reason[FT_METRIC_roc_auc_ovr_macro];
    return ft_roc_auc_ovo(m->n, m->k, prob, label, &m->roc_auc_ovo_macro);
}

static ft_err compute(ft_metrics *m, const float *prob, const int32_t *label) {
    m->confusion = ft_alloc((size_t)m->k * (size_t)m->k, sizeof *m->confusion);
    m->per_class = ft_alloc((size_t)m->k, sizeof *m->per_class);
    FT_REQUIRE(m->confusion && m->per_class, MEMORY, "out of memory for the metrics of %d classes", m->k);
    FT_TRY(count(m, prob, label));
    from_confusion(m);
    agreement(m);
    FT_TRY(rank_classes(m, prob, label));
    m->top_5_accuracy = m->k > 5 ? ft_top_k_accuracy(m->n, m->k, prob, label, 5) : NAN;
    m->precision = m->recall = m->f1 = m->roc_auc = NAN;
    if (m->k == 2) binary(m);
    return probabilities(m, prob, label);
}

ft_err ft_metrics_compute(ft_metrics *m, int64_t n, int32_t k, const float *prob, const int32_t *label) {
    *m = (ft_metrics){.n = n, .k = k};
    FT_REQUIRE(n > 0, DATA, "no example to evaluate; the set is empty");
    FT_REQUIRE(n <= INT32_MAX, DATA, "%lld examples are more than metrics can count (2147483647)",
               (long long)n);
    FT_REQUIRE(k >= 2, DATA, "classification metrics need two classes or more, got %d", k);
    ft_err e = compute(m, prob, label);
    if (e != FT_OK) ft_metrics_free(m);
    return e;
}

void ft_metrics_free(ft_metrics *m) {
    free(m->confusion);
    free(m->per_class);
    *m = (ft_metrics){0};
}

typedef struct {
    const char *name, *label;
    size_t offset;
} metric_row;

static const metric_row metric_rows[] = {
#define ROW(name, label) {#name, label, offsetof(ft_metrics, name)},
    FT_METRICS(ROW)
#undef ROW
};
static const metric_row class_rows[] = {
#define ROW(name, label) {#name, label, offsetof(ft_class_metrics, name)},
    FT_CLASS_METRICS(ROW)
#undef ROW
};

const char *ft_metric_name(int i) {
    return metric_rows[i].name;
}
const char *ft_metric_label(int i) {
    return metric_rows[i].label;
}
double ft_metric_value(const ft_metrics *m, int i) {
    return *(const double *)((const char *)m + metric_rows[i].offset);
}
bool ft_metric_applies(const ft_metrics *m, int i) {
    if (i == FT_METRIC_top_5_accuracy) return m->k > 5;
    if (i == FT_METRIC_roc_auc_ovo_macro) return m->k <= MOST_PAIRED;
    if (i >= FT_METRIC_precision && i <= FT_METRIC_roc_auc) return m->k == 2;
    return true;
}

const char *ft_class_metric_name(int i) {
    return class_rows[i].name;
}
const char *ft_class_metric_label(int i) {
    return class_rows[i].label;
}
double ft_class_metric_value(const ft_class_metrics *c, int i) {
    return *(const double *)((const char *)c + class_rows[i].offset);
}
const char *ft_class_metric_reason(const ft_metrics *m, int32_t cls, int i) {
    const ft_class_metrics *q = &m->per_class[cls];
    switch (i) {
    case FT_CLASS_METRIC_precision:
        return q->predicted ? NULL : NO_PREDICTION;
    case FT_CLASS_METRIC_f1:
        return q->support || q->predicted ? NULL : NEITHER;
    case FT_CLASS_METRIC_roc_auc:
        return !q->support ? NO_TRUTH : q->support == m->n ? ALL_TRUTH : NULL;
    default:
        return q->support ? NULL : NO_TRUTH;
    }
}

static int by_f1(const void *a, const void *b, void *metrics) {
    const ft_metrics *m = metrics;
    int32_t i = *(const int32_t *)a, j = *(const int32_t *)b;
    double x = m->per_class[i].f1, y = m->per_class[j].f1;
    x = isnan(x) ? INFINITY : x;
    y = isnan(y) ? INFINITY : y;
    return x < y ? -1 : x > y ? 1 : (i > j) - (i < j);
}

void ft_metrics_order_by_f1(const ft_metrics *m, int32_t *order) {
    for (int32_t c = 0; c < m->k; c++) order[c] = c;
    qsort_r(order, (size_t)m->k, sizeof *order, by_f1, (void *)m);
}

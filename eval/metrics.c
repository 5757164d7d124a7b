/* Classification metrics: one pass for the confusion matrix and the sums, then one ranking per class. */
#include "eval/metrics.h"

#include "eval/ranking.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { N_TOPS = 3 };
static const int32_t tops[N_TOPS] = {3, 5, 10}; /* of top_3_accuracy and so on */

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

static void calibration_error(ft_metrics *m) {
    m->calibration_error = 0;
    for (int b = 0; b < FT_CALIBRATION_BINS; b++)
        m->calibration_error += fabs(m->calibration[b].right - m->calibration[b].confidence) / (double)m->n;
}

ft_err ft_metrics_begin(ft_metrics *m, int32_t k) {
    *m = (ft_metrics){.k = k};
    m->confusion = ft_alloc((size_t)k * (size_t)k, sizeof *m->confusion);
    m->per_class = ft_alloc((size_t)k, sizeof *m->per_class);
    if (m->confusion && m->per_class) return FT_OK;
    ft_metrics_free(m);
    FT_FAIL(MEMORY, "out of memory for the metrics of %d classes", k);
}

static double top_accuracy(const ft_metrics *m, int t, const double *in_top) {
    return m->k > tops[t] ? in_top[t] / (double)m->n : NAN;
}

void ft_metrics_count(ft_metrics *m, const ft_scored *s, const uint8_t *weight) {
    int32_t k = m->k;
    double loss = 0, squares = 0, in_top[N_TOPS] = {0};
    *m = (ft_metrics){.k = k, .confusion = m->confusion, .per_class = m->per_class};
    memset(m->confusion, 0, (size_t)k * (size_t)k * sizeof *m->confusion);
    memset(m->per_class, 0, (size_t)k * sizeof *m->per_class);
    for (int64_t i = 0; i < s->n; i++) {
        int32_t w = weight ? weight[i] : 1, y = s->label[i], predicted = s->predicted[i];
        ft_calibration_bin *bin = &m->calibration[s->bin[i]];
        m->n += w;
        m->confusion[(int64_t)y * k + predicted] += w;
        m->per_class[y].support += w;
        m->per_class[predicted].predicted += w;
        loss += w * s->log_loss[i];
        squares += w * s->squares[i];
        for (int t = 0; t < N_TOPS; t++) in_top[t] += s->ahead[i] < tops[t] ? w : 0;
        bin->n += w;
        bin->right += y == predicted ? w : 0;
        bin->confidence += w * (double)s->prob[i * k + predicted];
    }
    m->log_loss = loss / (double)m->n;
    m->brier = squares / (double)m->n;
    m->top_3_accuracy = top_accuracy(m, 0, in_top);
    m->top_5_accuracy = top_accuracy(m, 1, in_top);
    m->top_10_accuracy = top_accuracy(m, 2, in_top);
    from_confusion(m);
    agreement(m);
    calibration_error(m);
}

void ft_metrics_rank(ft_metrics *m, int32_t c, const int64_t *area, double average_precision) {
    ft_class_metrics *q = &m->per_class[c];
    double positives = q->support, all = 0;
    for (int32_t b = 0; b < m->k; b++) {
        all += (double)area[b];
        if (b != c) m->roc_auc_ovo_macro += ratio((double)area[b], 2 * positives * m->per_class[b].support);
    }
    q->roc_auc = ratio(all, 2 * positives * ((double)m->n - positives));
    q->average_precision = average_precision;
    m->roc_auc_ovr_macro += q->roc_auc;
    m->average_precision_macro += q->average_precision;
}

void ft_metrics_finish(ft_metrics *m) {
    static const int means[] = {FT_METRIC_roc_auc_ovr_macro, FT_METRIC_roc_auc_ovo_macro,
                                FT_METRIC_average_precision_macro};
    m->roc_auc_ovr_macro /= m->k;
    m->average_precision_macro /= m->k;
    m->roc_auc_ovo_macro /= (double)m->k * (m->k - 1);
    for (size_t i = 0; i < sizeof means / sizeof *means; i++)
        if (isnan(ft_metric_value(m, means[i]))) m->reason[means[i]] = "not every class occurs in the set";
    m->precision = m->recall = m->f1 = m->roc_auc = NAN;
    if (m->k == 2) binary(m);
}

static ft_err rank_classes(ft_metrics *m, const ft_scored *s) {
    ft_ranking r;
    int64_t *area = ft_alloc((size_t)m->k, sizeof *area);
    FT_REQUIRE(area, MEMORY, "out of memory for the metrics of %d classes", m->k);
    ft_err e = ft_ranking_init(&r, s->n);
    for (int32_t c = 0; c < m->k && e == FT_OK; c++) {
        ft_ranking_fill(&r, s->n, s->prob + c, s->k, s->label, c);
        double precision = ft_ranking_weighted(&r, s->label, NULL, m->k, area);
        ft_metrics_rank(m, c, area, precision);
    }
    if (e == FT_OK) ft_ranking_free(&r);
    free(area);
    return e;
}

ft_err ft_metrics_compute(ft_metrics *m, int64_t n, int32_t k, const float *prob, const int32_t *label) {
    *m = (ft_metrics){0};
    ft_scored s;
    FT_TRY(ft_scored_init(&s, n, k, prob, label));
    ft_err e = ft_metrics_begin(m, k);
    if (e == FT_OK) {
        ft_metrics_count(m, &s, NULL);
        e = rank_classes(m, &s);
    }
    ft_scored_free(&s);
    if (e == FT_OK)
        ft_metrics_finish(m);
    else
        ft_metrics_free(m);
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
ft_interval ft_metric_interval(const ft_metrics *m, int i) {
    bool none = m->replicates == 0 || isnan(ft_metric_value(m, i));
    return none ? (ft_interval){NAN, NAN} : m->interval[i];
}
bool ft_metric_applies(const ft_metrics *m, int i) {
    if (i >= FT_METRIC_top_3_accuracy && i <= FT_METRIC_top_10_accuracy)
        return m->k > tops[i - FT_METRIC_top_3_accuracy];
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

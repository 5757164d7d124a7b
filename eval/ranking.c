/* Ranking numbers: one descending sort, then running counts.
 *
 *   ROC AUC = sum_i (fp_i - fp_{i-1}) (tp_i + tp_{i-1}) / (2 n_pos n_neg)
 *             trapezoids; the sum is an exact integer
 *   AP      = sum_i (tp_i - tp_{i-1}) / n_pos * tp_i / (tp_i + fp_i)
 *
 * A row is sorted as 64 bits: | key of the score, 32 | row, 31 | positive, 1 |.
 */
#include "eval/ranking.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DIGIT_BITS = 11, N_DIGITS = 1 << DIGIT_BITS };

ft_err ft_ranking_init(ft_ranking *r, int64_t n) {
    *r = (ft_ranking){.capacity = n};
    size_t points = (size_t)n + 1;
    r->fp = ft_alloc(points, sizeof *r->fp);
    r->tp = ft_alloc(points, sizeof *r->tp);
    r->threshold = ft_alloc(points, sizeof *r->threshold);
    r->work = ft_alloc(points, 2 * sizeof(uint64_t));
    if (r->fp && r->tp && r->threshold && r->work) return FT_OK;
    ft_ranking_free(r);
    FT_FAIL(MEMORY, "out of memory for ranking %lld scores", (long long)n);
}

void ft_ranking_free(ft_ranking *r) {
    free(r->fp);
    free(r->tp);
    free(r->threshold);
    free(r->work);
    *r = (ft_ranking){0};
}

/* Bits whose unsigned order is the descending order of the floats; +0 and -0 get the same ones. */
static uint32_t descending_key(float x) {
    float y = x + 0.0f;
    uint32_t bits;
    memcpy(&bits, &y, sizeof bits);
    return bits >> 31 ? bits : ~(bits | 0x80000000u);
}

static float key_score(uint32_t key) {
    uint32_t bits = key >> 31 ? key : ~(key | 0x80000000u);
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Sorts a (n) by its upper 32 bits; b (n) is scratch. Returns the one that holds the result. */
static uint64_t *radix_sort(uint64_t *a, uint64_t *b, int64_t n) {
    for (int shift = 32; shift < 64; shift += DIGIT_BITS) {
        int64_t start[N_DIGITS + 1] = {0};
        for (int64_t i = 0; i < n; i++) start[(a[i] >> shift) % N_DIGITS + 1]++;
        for (int d = 0; d < N_DIGITS; d++) start[d + 1] += start[d];
        for (int64_t i = 0; i < n; i++) b[start[(a[i] >> shift) % N_DIGITS]++] = a[i];
        uint64_t *t = a;
        a = b;
        b = t;
    }
    return a;
}

void ft_ranking_fill(ft_ranking *r, int64_t n, const float *scores, int64_t stride, const int32_t *labels,
                     int32_t positive) {
    uint64_t *rows = r->work;
    for (int64_t i = 0; i < n; i++)
        rows[i] =
            (uint64_t)descending_key(scores[i * stride]) << 32 | (uint64_t)i << 1 | (labels[i] == positive);
    rows = radix_sort(rows, rows + n, n);
    r->sorted = rows;

    int32_t tp = 0, fp = 0;
    int64_t p = 0;
    r->fp[0] = r->tp[0] = 0;
    r->threshold[0] = INFINITY;
    for (int64_t i = 0; i < n; i++) {
        if (rows[i] & 1)
            tp++;
        else
            fp++;
        if (i + 1 < n && rows[i] >> 32 == rows[i + 1] >> 32) continue;
        p++;
        r->fp[p] = fp;
        r->tp[p] = tp;
        r->threshold[p] = key_score((uint32_t)(rows[i] >> 32));
    }
    r->n_points = p + 1;
    r->n_pos = tp;
    r->n_neg = fp;
}

double ft_ranking_roc_auc(const ft_ranking *r) {
    if (r->n_pos == 0 || r->n_neg == 0) return NAN;
    int64_t area = 0;
    for (int64_t i = 1; i < r->n_points; i++)
        area += (int64_t)(r->fp[i] - r->fp[i - 1]) * ((int64_t)r->tp[i] + r->tp[i - 1]);
    return (double)area / (2.0 * (double)r->n_pos * (double)r->n_neg);
}

double ft_ranking_average_precision(const ft_ranking *r) {
    if (r->n_pos == 0) return NAN;
    double sum = 0;
    for (int64_t i = 1; i < r->n_points; i++)
        sum += (double)(r->tp[i] - r->tp[i - 1]) * r->tp[i] / ((double)r->tp[i] + r->fp[i]);
    return sum / (double)r->n_pos;
}

static int64_t row_of(uint64_t packed) {
    return (int64_t)((packed & UINT32_MAX) >> 1);
}

double ft_ranking_weighted(const ft_ranking *r, const int32_t *label, const uint8_t *weight, int32_t k,
                           int64_t *area) {
    int64_t n = r->n_pos + r->n_neg, tp = 0, fp = 0;
    double precision = 0;
    memset(area, 0, (size_t)k * sizeof *area);
    for (int64_t i = 0, end; i < n; i = end) { /* a stretch of equal scores */
        int64_t positives = 0, negatives = 0;
        for (end = i; end < n && r->sorted[end] >> 32 == r->sorted[i] >> 32; end++) {
            int64_t w = weight ? weight[row_of(r->sorted[end])] : 1;
            *(r->sorted[end] & 1 ? &positives : &negatives) += w;
        }
        for (int64_t j = i; negatives && j < end; j++) {
            int64_t row = row_of(r->sorted[j]);
            if (!(r->sorted[j] & 1)) area[label[row]] += (weight ? weight[row] : 1) * (2 * tp + positives);
        }
        tp += positives;
        fp += negatives;
        if (positives) precision += (double)positives * (double)tp / ((double)tp + (double)fp);
    }
    return tp ? precision / (double)tp : NAN;
}

#include "eval/scored.h"

#include "eval/metrics.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

static double clip(double p) {
    return p < DBL_EPSILON ? DBL_EPSILON : p > 1 - DBL_EPSILON ? 1 - DBL_EPSILON : p;
}

static ft_err check_row(const ft_scored *s, int64_t i) {
    FT_REQUIRE(s->label[i] >= 0 && s->label[i] < s->k, DATA,
               "label %d of example %lld is not in 0..%d; give one class number per example", s->label[i],
               (long long)i, s->k - 1);
    for (int32_t c = 0; c < s->k; c++)
        FT_REQUIRE(isfinite(s->prob[i * s->k + c]), NUMERIC,
                   "the probability of class %d for example %lld is %g; the network's output is not finite",
                   c, (long long)i, (double)s->prob[i * s->k + c]);
    return FT_OK;
}

static void score_row(ft_scored *s, int64_t i) {
    const float *p = s->prob + i * s->k;
    int32_t y = s->label[i], ahead = 0;
    double sum = 0, squares = 0;
    for (int32_t c = 0; c < s->k; c++) {
        double d = (double)p[c] - (c == y);
        sum += clip(p[c]);
        ahead += p[c] > p[y] || (p[c] == p[y] && c > y);
        if (s->k > 2 || c == 1) squares += d * d;
    }
    s->predicted[i] = ft_argmax(p, s->k);
    s->ahead[i] = ahead;
    s->log_loss[i] = -log(clip(p[y]) / sum);
    s->squares[i] = squares;
    int bin = (int)ceil((double)p[s->predicted[i]] * FT_CALIBRATION_BINS) - 1;
    s->bin[i] = (uint8_t)(bin < 0 ? 0 : bin >= FT_CALIBRATION_BINS ? FT_CALIBRATION_BINS - 1 : bin);
}

static ft_err score(ft_scored *s) {
    size_t n = (size_t)s->n;
    s->predicted = ft_alloc(n, sizeof *s->predicted);
    s->ahead = ft_alloc(n, sizeof *s->ahead);
    s->log_loss = ft_alloc(n, sizeof *s->log_loss);
    s->squares = ft_alloc(n, sizeof *s->squares);
    s->bin = ft_alloc(n, sizeof *s->bin);
    FT_REQUIRE(s->predicted && s->ahead && s->log_loss && s->squares && s->bin, MEMORY,
               "out of memory for the scores of %lld examples", (long long)s->n);
    for (int64_t i = 0; i < s->n; i++) {
        FT_TRY(check_row(s, i));
        score_row(s, i);
    }
    return FT_OK;
}

ft_err ft_scored_init(ft_scored *s, int64_t n, int32_t k, const float *prob, const int32_t *label) {
    *s = (ft_scored){.n = n, .k = k, .prob = prob, .label = label};
    FT_REQUIRE(n > 0, DATA, "no example to evaluate; the set is empty");
    FT_REQUIRE(n <= INT32_MAX, DATA, "%lld examples are more than metrics can count (2147483647)",
               (long long)n);
    FT_REQUIRE(k >= 2, DATA, "classification metrics need two classes or more, got %d", k);
    ft_err e = score(s);
    if (e != FT_OK) ft_scored_free(s);
    return e;
}

void ft_scored_free(ft_scored *s) {
    free(s->predicted);
    free(s->ahead);
    free(s->log_loss);
    free(s->squares);
    free(s->bin);
    *s = (ft_scored){0};
}

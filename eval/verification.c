#include "eval/verification.h"

#include "eval/ranking.h"
#include "tensor/par.h"
#include "tensor/rng.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

const double ft_fars[FT_N_FARS] = {1e-1, 1e-2, 1e-3, 1e-4};

/* ---- rates ---- */

/* False accepts rise and false rejects fall along the curve; they are equal between points i - 1 and i. */
static void equal_error(const ft_ranking *r, ft_verification *v) {
    double neg = (double)r->n_neg, pos = (double)r->n_pos;
    int64_t i = 1;
    while (r->fp[i] / neg < 1 - r->tp[i] / pos) i++;
    double fa0 = r->fp[i - 1] / neg, fr0 = 1 - r->tp[i - 1] / pos, fa1 = r->fp[i] / neg,
           fr1 = 1 - r->tp[i] / pos;
    double along = (fr0 - fa0) / ((fr0 - fa0) + (fa1 - fr1));
    v->eer = fa0 + along * (fa1 - fa0);
    double t0 = (double)r->threshold[i - 1], t1 = (double)r->threshold[i];
    v->eer_threshold = isinf(t0) ? t1 : t0 + along * (t1 - t0);
}

static void accept_rates(const ft_ranking *r, ft_verification *v) {
    for (int k = 0; k < FT_N_FARS; k++) {
        double most = ft_fars[k] * (double)r->n_neg;
        if (most < 1 - 1e-9) {
            v->tar_reason[k] = "too few different pairs to show so low a rate";
            continue;
        }
        int64_t i = 0;
        while (i + 1 < r->n_points && r->fp[i + 1] <= most + 1e-9) i++;
        v->tar[k] = (double)r->tp[i] / (double)r->n_pos;
    }
}

static void rates(const ft_ranking *r, ft_verification *v) {
    if (r->n_pos == 0 || r->n_neg == 0) {
        v->reason = r->n_pos == 0 ? "no pair is of one person" : "no pair is of two persons";
        for (int k = 0; k < FT_N_FARS; k++) v->tar_reason[k] = v->reason;
        return;
    }
    v->roc_auc = ft_ranking_roc_auc(r);
    equal_error(r, v);
    accept_rates(r, v);
}

/* ---- folds ---- */

/* The threshold with the most right decisions; scores of at least it are "the same". */
static double best_threshold(const ft_ranking *r) {
    int64_t best = 0, most = -1;
    for (int64_t i = 0; i < r->n_points; i++) {
        int64_t right = r->tp[i] + (r->n_neg - r->fp[i]);
        if (right <= most) continue;
        most = right;
        best = i;
    }
    if (best == 0) return INFINITY;
    if (best == r->n_points - 1) return -INFINITY;
    return 0.5 * ((double)r->threshold[best] + (double)r->threshold[best + 1]);
}

typedef struct pairs {
    int64_t n;
    const float *score;
    const int32_t *same, *fold;
} pairs;

/* Ranks the pairs that are not of fold k; others (n), labels (n): scratch. */
static void rank_others(const pairs *p, int32_t k, float *others, int32_t *labels, ft_ranking *r) {
    int64_t m = 0;
    for (int64_t i = 0; i < p->n; i++) {
        if (p->fold[i] == k) continue;
        others[m] = p->score[i];
        labels[m++] = p->same[i];
    }
    ft_ranking_fill(r, m, others, 1, labels, 1);
}

static double accuracy_of(const pairs *p, int32_t k, double threshold, int64_t *n) {
    int64_t right = 0;
    *n = 0;
    for (int64_t i = 0; i < p->n; i++) {
        if (p->fold[i] != k) continue;
        right += ((double)p->score[i] >= threshold) == (p->same[i] == 1);
        ++*n;
    }
    return (double)right / (double)*n;
}

static void folds(const pairs *p, float *others, int32_t *labels, ft_ranking *r, ft_verification *v) {
    double sum = 0, squares = 0;
    int32_t m = v->n_folds;
    for (int32_t k = 0; k < m; k++) {
        int64_t n;
        rank_others(p, k, others, labels, r);
        v->fold_threshold[k] = best_threshold(r);
        v->fold_accuracy[k] = accuracy_of(p, k, v->fold_threshold[k], &n);
        if (n == 0) {
            v->accuracy_reason = "a fold has no pair";
            return;
        }
        sum += v->fold_accuracy[k];
    }
    v->accuracy = sum / m;
    for (int32_t k = 0; k < m; k++) squares += pow(v->fold_accuracy[k] - v->accuracy, 2);
    v->accuracy_error = sqrt(squares / (m - 1) / m);
}

ft_err ft_verification_compute(int64_t n, const float *score, const int32_t *same, int32_t n_folds,
                               const int32_t *fold, ft_verification *v) {
    *v = (ft_verification){.n = n, .n_folds = n_folds, .roc_auc = NAN, .eer = NAN, .eer_threshold = NAN};
    v->roc_auc_interval = v->eer_interval = (ft_interval){NAN, NAN};
    for (int k = 0; k < FT_N_FARS; k++) {
        v->tar[k] = NAN;
        v->tar_interval[k] = (ft_interval){NAN, NAN};
    }
    v->accuracy = v->accuracy_error = NAN;
    FT_REQUIRE(n_folds <= FT_VERIFICATION_FOLDS, USAGE, "%d folds are more than %d", n_folds,
               FT_VERIFICATION_FOLDS);
    for (int64_t i = 0; i < n; i++) v->n_same += same[i] == 1;
    ft_ranking r;
    FT_TRY(ft_ranking_init(&r, n));
    ft_ranking_fill(&r, n, score, 1, same, 1);
    rates(&r, v);
    if (n_folds < 2) v->accuracy_reason = "no folds";
    bool folded = n_folds >= 2;
    float *others = folded ? malloc((size_t)n * sizeof *others + 1) : NULL;
    int32_t *labels = folded ? malloc((size_t)n * sizeof *labels + 1) : NULL;
    ft_err e = FT_OK;
    if (folded && others && labels)
        folds(&(pairs){n, score, same, fold}, others, labels, &r, v);
    else if (folded)
        e = ft_err_set(FT_E_MEMORY, "no memory for %lld pairs", (long long)n);
    free(others);
    free(labels);
    ft_ranking_free(&r);
    return e;
}

/* ---- intervals ---- */

enum { N_RATES = 2 + FT_N_FARS };

typedef struct drawing {
    int64_t n, n_same;
    const float *score; /* (n): of the same pairs, then of the different ones */
    uint64_t seed;
    float *drawn;        /* (threads, n) */
    int32_t *label;      /* (n) */
    ft_ranking *ranking; /* (threads) */
    double *values;      /* (replicates, N_RATES) */
} drawing;

static void draw_pairs(void *ctx, int64_t replicate, int32_t thread) {
    drawing *d = ctx;
    float *drawn = d->drawn + thread * d->n;
    double *values = d->values + replicate * N_RATES;
    ft_rng g = ft_rng_stream(d->seed, (uint64_t)replicate);
    for (int64_t i = 0; i < d->n; i++) {
        int64_t first = i < d->n_same ? 0 : d->n_same, of = i < d->n_same ? d->n_same : d->n - d->n_same;
        drawn[i] = d->score[first + ft_rng_below(&g, (uint32_t)of)];
    }
    ft_verification v = {.eer = NAN};
    for (int k = 0; k < FT_N_FARS; k++) v.tar[k] = NAN;
    ft_ranking_fill(&d->ranking[thread], d->n, drawn, 1, d->label, 1);
    rates(&d->ranking[thread], &v);
    values[0] = v.roc_auc;
    values[1] = v.eer;
    for (int k = 0; k < FT_N_FARS; k++) values[2 + k] = v.tar[k];
}

static void take_intervals(const drawing *d, int32_t replicates, double *scratch, ft_verification *v) {
    v->replicates = replicates;
    v->roc_auc_interval = ft_column_interval(d->values, replicates, N_RATES, 0, scratch);
    v->eer_interval = ft_column_interval(d->values, replicates, N_RATES, 1, scratch);
    for (int k = 0; k < FT_N_FARS; k++)
        v->tar_interval[k] = ft_column_interval(d->values, replicates, N_RATES, 2 + k, scratch);
}

ft_err ft_verification_intervals(int64_t n, const float *score, const int32_t *same, int32_t replicates,
                                 uint64_t seed, ft_verification *v) {
    if (n > FT_VERIFICATION_DRAWN || v->reason || replicates == 0) return FT_OK;
    size_t threads = (size_t)ft_threads(), all = (size_t)n, ready = 0;
    float *sorted = ft_alloc(all, sizeof *sorted);
    double *scratch = ft_alloc((size_t)replicates, sizeof *scratch);
    drawing d = {.n = n,
                 .n_same = v->n_same,
                 .score = sorted,
                 .seed = seed,
                 .drawn = ft_alloc(threads * all, sizeof *d.drawn),
                 .label = ft_alloc(all, sizeof *d.label),
                 .ranking = ft_alloc(threads, sizeof *d.ranking),
                 .values = ft_alloc((size_t)replicates * N_RATES, sizeof *d.values)};
    bool room = sorted && scratch && d.drawn && d.label && d.ranking && d.values;
    ft_err e = room ? FT_OK : ft_err_set(FT_E_MEMORY, "no memory to draw %lld pairs", (long long)n);
    for (; e == FT_OK && ready < threads; ready += e == FT_OK) e = ft_ranking_init(&d.ranking[ready], n);
    if (e == FT_OK) {
        int64_t at[] = {v->n_same, 0}; /* where the next different, and the next same one goes */
        for (int64_t i = 0; i < n; i++) sorted[at[same[i] == 1]++] = score[i];
        for (int64_t i = 0; i < v->n_same; i++) d.label[i] = 1;
        ft_par_for(replicates, draw_pairs, &d);
        take_intervals(&d, replicates, scratch, v);
    }
    for (size_t t = 0; t < ready; t++) ft_ranking_free(&d.ranking[t]);
    free(sorted);
    free(scratch);
    free(d.drawn);
    free(d.label);
    free(d.ranking);
    free(d.values);
    return e;
}

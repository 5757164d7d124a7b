/* The bootstrap. A draw is a weight for every row: how often it was drawn. Each class is sorted once for many
 * draws. */
#include "eval/bootstrap.h"

#include "eval/ranking.h"
#include "tensor/par.h"
#include "tensor/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 256 << 20 /* of the draws that are under way at a time */ };

/* ---- draws ---- */

typedef struct bootstrap {
    const ft_scored *scored;
    uint64_t seed;
    int32_t *first, *row; /* (k + 1), (n): the rows by class */
    int32_t now, start;   /* draws start .. start + now - 1 are under way */
    uint8_t *weight;      /* (now, n) */
    ft_metrics *metrics;  /* (now) */
    int64_t *area;        /* (now, k) */
    ft_ranking ranking;
    int32_t class;  /* that is being ranked */
    double *values; /* (replicates, FT_N_METRICS) */
} bootstrap;

static void sort_rows(bootstrap *b) {
    const ft_scored *s = b->scored;
    for (int64_t i = 0; i < s->n; i++) b->first[s->label[i] + 1]++;
    for (int32_t c = 0; c < s->k; c++) b->first[c + 1] += b->first[c];
    for (int64_t i = 0; i < s->n; i++) b->row[b->first[s->label[i]]++] = (int32_t)i;
    for (int32_t c = s->k; c > 0; c--) b->first[c] = b->first[c - 1];
    b->first[0] = 0;
}

/* Draws, and counts what was drawn. */
static void draw(void *ctx, int64_t d, int32_t thread) {
    bootstrap *b = ctx;
    const ft_scored *s = b->scored;
    uint8_t *weight = b->weight + d * s->n;
    ft_rng g = ft_rng_stream(b->seed, (uint64_t)(b->start + d));
    (void)thread;
    memset(weight, 0, (size_t)s->n);
    for (int32_t c = 0; c < s->k; c++) {
        const int32_t *rows = b->row + b->first[c];
        uint32_t n = (uint32_t)(b->first[c + 1] - b->first[c]);
        for (uint32_t i = 0; i < n; i++)
            weight[rows[ft_rng_below(&g, n)]]++; /* 255 times one row: 1 in 255! */
    }
    ft_metrics_count(&b->metrics[d], s, weight);
}

static void rank(void *ctx, int64_t d, int32_t thread) {
    bootstrap *b = ctx;
    const ft_scored *s = b->scored;
    int64_t *area = b->area + d * s->k;
    (void)thread;
    double precision = ft_ranking_weighted(&b->ranking, s->label, b->weight + d * s->n, s->k, area);
    ft_metrics_rank(&b->metrics[d], b->class, area, precision);
}

static void run_draws(bootstrap *b) {
    const ft_scored *s = b->scored;
    ft_par_for(b->now, draw, b);
    for (b->class = 0; b->class < s->k; b->class ++) {
        ft_ranking_fill(&b->ranking, s->n, s->prob + b->class, s->k, s->label, b->class);
        ft_par_for(b->now, rank, b);
    }
    for (int32_t d = 0; d < b->now; d++) {
        double *to = b->values + (int64_t)(b->start + d) * FT_N_METRICS;
        ft_metrics_finish(&b->metrics[d]);
        for (int i = 0; i < FT_N_METRICS; i++) to[i] = ft_metric_value(&b->metrics[d], i);
    }
}

/* Room for as many draws at a time as memory allows, up to `most`; *room of them. */
static ft_err make_room(bootstrap *b, int32_t most, int32_t *room) {
    size_t n = (size_t)b->scored->n, k = (size_t)b->scored->k;
    size_t each = n + k * k * sizeof(int32_t) + k * (sizeof(int64_t) + sizeof(ft_class_metrics));
    size_t fit = MOST_BYTES / each + 1;
    int32_t wanted = fit < (size_t)most ? (int32_t)fit : most;
    b->first = ft_alloc(k + 1, sizeof *b->first);
    b->row = ft_alloc(n, sizeof *b->row);
    b->weight = ft_alloc((size_t)wanted * n, sizeof *b->weight);
    b->metrics = ft_alloc((size_t)wanted, sizeof *b->metrics);
    b->area = ft_alloc((size_t)wanted * k, sizeof *b->area);
    FT_REQUIRE(b->first && b->row && b->weight && b->metrics && b->area, MEMORY,
               "no memory for the intervals of %lld examples", (long long)n);
    for (; *room < wanted; ++*room) FT_TRY(ft_metrics_begin(&b->metrics[*room], b->scored->k));
    return ft_ranking_init(&b->ranking, b->scored->n);
}

ft_err ft_bootstrap_run(ft_bootstrap *out, int64_t n, int32_t k, const float *prob, const int32_t *label,
                        int32_t replicates, uint64_t seed) {
    *out = (ft_bootstrap){.replicates = replicates};
    ft_scored scored;
    FT_TRY(ft_scored_init(&scored, n, k, prob, label));
    bootstrap b = {.scored = &scored, .seed = seed};
    int32_t room = 0;
    b.values = out->values = ft_alloc((size_t)replicates * FT_N_METRICS, sizeof *out->values);
    ft_err e = out->values ? make_room(&b, replicates, &room)
                           : ft_err_set(FT_E_MEMORY, "no memory for %d replicates", replicates);
    if (e == FT_OK) {
        sort_rows(&b);
        for (; b.start < replicates; b.start += b.now) {
            b.now = replicates - b.start < room ? replicates - b.start : room;
            run_draws(&b);
        }
        ft_ranking_free(&b.ranking);
    }
    for (int32_t d = 0; d < room; d++) ft_metrics_free(&b.metrics[d]);
    free(b.first);
    free(b.row);
    free(b.weight);
    free(b.metrics);
    free(b.area);
    ft_scored_free(&scored);
    if (e != FT_OK) ft_bootstrap_free(out);
    return e;
}

void ft_bootstrap_free(ft_bootstrap *b) {
    free(b->values);
    *b = (ft_bootstrap){0};
}

ft_err ft_metrics_intervals(ft_metrics *m, const float *prob, const int32_t *label, int32_t replicates,
                            uint64_t seed) {
    ft_bootstrap b;
    FT_TRY(ft_bootstrap_run(&b, m->n, m->k, prob, label, replicates, seed));
    double *scratch = ft_alloc((size_t)replicates, sizeof *scratch);
    ft_err e = scratch ? FT_OK : ft_err_set(FT_E_MEMORY, "no memory for %d replicates", replicates);
    for (int i = 0; i < FT_N_METRICS && e == FT_OK; i++)
        m->interval[i] = ft_column_interval(b.values, replicates, FT_N_METRICS, i, scratch);
    if (e == FT_OK) m->replicates = replicates;
    free(scratch);
    ft_bootstrap_free(&b);
    return e;
}

/* ---- other heads ---- */

typedef struct head_draws {
    const ft_head_result *h;
    int64_t n;
    int32_t width; /* numbers in a row */
    uint64_t seed;
    float *prediction, *truth; /* (threads, n, width): the rows drawn */
    double *values;            /* (replicates, FT_HEAD_NUMBERS) */
    ft_err *err;               /* (threads) */
} head_draws;

typedef struct collected {
    double *to;
    int n;
} collected;

static void collect(void *ctx, const char *name, const char *label, double value, ft_interval interval,
                    const char *reason) {
    collected *c = ctx;
    (void)name, (void)label, (void)interval, (void)reason;
    c->to[c->n++] = value;
}

static void draw_head(void *ctx, int64_t d, int32_t thread) {
    head_draws *b = ctx;
    float *p = b->prediction + thread * b->n * b->width, *t = b->truth + thread * b->n * b->width;
    ft_rng g = ft_rng_stream(b->seed, (uint64_t)d);
    for (int64_t i = 0; i < b->n; i++) {
        int64_t row = ft_rng_below(&g, (uint32_t)b->n);
        memcpy(p + i * b->width, b->h->prediction + row * b->width, (size_t)b->width * sizeof *p);
        memcpy(t + i * b->width, b->h->truth + row * b->width, (size_t)b->width * sizeof *t);
    }
    ft_regression numbers;
    ft_multilabel multilabel;
    ft_head_result drawn = {0};
    if (b->h->numbers) {
        ft_regression_compute(&numbers, b->n, p, t);
        drawn.numbers = &numbers;
    } else {
        ft_err e = ft_multilabel_compute(&multilabel, b->n, b->width, p, t);
        if (e != FT_OK) {
            b->err[thread] = e;
            return;
        }
        drawn.multilabel = &multilabel;
    }
    ft_head_numbers(&drawn, collect, &(collected){b->values + d * FT_HEAD_NUMBERS, 0});
}

ft_err ft_head_intervals(const ft_head_result *h, int32_t replicates, uint64_t seed,
                         ft_interval interval[FT_HEAD_NUMBERS]) {
    head_draws b = {.h = h, .seed = seed, .n = h->numbers ? h->numbers->n : h->multilabel->n};
    b.width = h->numbers ? 1 : h->multilabel->k;
    size_t threads = (size_t)ft_threads(), cells = threads * (size_t)b.n * (size_t)b.width;
    b.prediction = ft_alloc(cells, sizeof *b.prediction);
    b.truth = ft_alloc(cells, sizeof *b.truth);
    b.values = ft_alloc((size_t)replicates * FT_HEAD_NUMBERS, sizeof *b.values);
    b.err = ft_alloc(threads, sizeof *b.err);
    double *scratch = ft_alloc((size_t)replicates, sizeof *scratch);
    bool room = b.prediction && b.truth && b.values && b.err && scratch;
    ft_err e = room ? FT_OK : ft_err_set(FT_E_MEMORY, "no memory for %d replicates", replicates);
    if (room) ft_par_for(replicates, draw_head, &b);
    for (size_t t = 0; room && t < threads; t++)
        if (b.err[t] != FT_OK) e = ft_err_set(b.err[t], "no memory for %d replicates", replicates);
    for (int i = 0; e == FT_OK && i < FT_HEAD_NUMBERS; i++)
        interval[i] = ft_column_interval(b.values, replicates, FT_HEAD_NUMBERS, i, scratch);
    free(b.prediction);
    free(b.truth);
    free(b.values);
    free(b.err);
    free(scratch);
    return e;
}

#include "data/survey.h"

#include "tensor/par.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { BLOCK = 256 /* images between two looks at the progress */ };

typedef struct sums {
    uint64_t x[3], squares[3], pixels;
    bool grey;
} sums;

typedef struct job {
    const ft_dataset *ds;
    ft_survey *s;
    XXH128_hash_t *hash; /* (n) of the pixels */
    int32_t start;       /* of the block */
    sums sums[BLOCK];
    ft_err err[BLOCK];
} job;

static sums add_up(const ft_image *im) {
    sums t = {.pixels = (uint64_t)im->w * (uint64_t)im->h, .grey = true};
    for (uint64_t i = 0; i < t.pixels; i++) {
        const uint8_t *p = im->p + 3 * i;
        for (int k = 0; k < 3; k++) {
            t.x[k] += p[k];
            t.squares[k] += (uint64_t)p[k] * p[k];
        }
        t.grey &= p[0] == p[1] && p[1] == p[2];
    }
    return t;
}

/* Of the size and the pixels. */
static XXH128_hash_t hash_pixels(const ft_image *im) {
    uint64_t seed = (uint64_t)(uint32_t)im->w << 32 | (uint32_t)im->h;
    return XXH3_128bits_withSeed(im->p, (size_t)im->w * (size_t)im->h * 3, seed);
}

static void look(void *ctx, int64_t at, int32_t thread) {
    (void)thread;
    job *j = ctx;
    int32_t i = j->start + (int32_t)at;
    ft_image im;
    j->sums[at] = (sums){0};
    j->err[at] = ft_dataset_read(j->ds, i, (ft_image_want){.c = 3}, &im);
    if (j->err[at] != FT_OK) {
        j->s->reason[i] = strdup(ft_err_message());
        return;
    }
    j->s->w[i] = im.w;
    j->s->h[i] = im.h;
    j->hash[i] = hash_pixels(&im);
    j->sums[at] = add_up(&im);
    ft_image_free(&im);
}

/* Adds the block's images up in their order. */
static ft_err collect(job *j, int32_t n, sums *all) {
    for (int32_t at = 0; at < n; at++) {
        int32_t i = j->start + at;
        const sums *t = &j->sums[at];
        j->s->per_class[ft_dataset_label(j->ds, i)]++;
        if (j->err[at] != FT_OK) {
            FT_REQUIRE(j->s->reason[i], MEMORY, "no memory for the reasons of bad images");
            if (j->err[at] != FT_E_DATA) return ft_err_set(j->err[at], "%s", j->s->reason[i]);
            j->s->n_bad++;
        }
        for (int k = 0; k < 3; k++) {
            all->x[k] += t->x[k];
            all->squares[k] += t->squares[k];
        }
        all->pixels += t->pixels;
        j->s->n_grey += t->grey;
    }
    return FT_OK;
}

/* ---- repeats ---- */

typedef struct keyed {
    XXH128_hash_t hash;
    int32_t i;
} keyed;

static int by_hash(const void *a, const void *b) {
    const keyed *x = a, *y = b;
    int order = XXH128_cmp(&x->hash, &y->hash);
    return order ? order : x->i < y->i ? -1 : 1;
}

static ft_err find_repeats(const job *j) {
    ft_survey *s = j->s;
    keyed *sorted = malloc((size_t)s->n * sizeof *sorted);
    FT_REQUIRE(sorted, MEMORY, "no memory to compare %d images", s->n);
    int32_t n = 0;
    for (int32_t i = 0; i < s->n; i++) {
        s->first[i] = s->next[i] = -1;
        if (!s->reason[i]) sorted[n++] = (keyed){j->hash[i], i};
    }
    qsort(sorted, (size_t)n, sizeof *sorted, by_hash);
    for (int32_t k = 0; k < n; k++) {
        int32_t i = sorted[k].i;
        bool repeats = k > 0 && XXH128_isEqual(sorted[k].hash, sorted[k - 1].hash);
        s->first[i] = repeats ? s->first[sorted[k - 1].i] : i;
        if (!repeats) continue;
        s->next[sorted[k - 1].i] = i;
        s->n_repeats++;
        s->n_conflicts += ft_dataset_label(j->ds, i) != ft_dataset_label(j->ds, s->first[i]);
    }
    free(sorted);
    return FT_OK;
}

/* ---- the whole ---- */

static ft_err run(job *j, ft_survey_told *told, void *ctx) {
    sums all = {0};
    ft_survey *s = j->s;
    for (; j->start < s->n; j->start += BLOCK) {
        int32_t n = s->n - j->start < BLOCK ? s->n - j->start : BLOCK;
        ft_par_for(n, look, j);
        FT_TRY(collect(j, n, &all));
        if (told) told(ctx, j->start + n, s->n);
    }
    for (int k = 0; k < 3 && all.pixels; k++) {
        double n = (double)all.pixels, mean = (double)all.x[k] / n;
        s->mean[k] = mean / 255;
        s->deviation[k] = sqrt(fmax((double)all.squares[k] / n - mean * mean, 0)) / 255;
    }
    return find_repeats(j);
}

ft_err ft_survey_make(const ft_dataset *ds, ft_survey_told *told, void *ctx, ft_survey *s) {
    size_t n = (size_t)ds->n;
    *s = (ft_survey){.n = ds->n,
                     .w = ft_alloc(n, sizeof *s->w),
                     .h = ft_alloc(n, sizeof *s->h),
                     .reason = ft_alloc(n, sizeof *s->reason),
                     .first = ft_alloc(n, sizeof *s->first),
                     .next = ft_alloc(n, sizeof *s->next),
                     .per_class = ft_alloc((size_t)ds->n_classes, sizeof *s->per_class)};
    job *j = ft_alloc(1, sizeof *j);
    XXH128_hash_t *hash = ft_alloc(n, sizeof *hash);
    ft_err e = s->w && s->h && s->reason && s->first && s->next && s->per_class && j && hash
                   ? FT_OK
                   : ft_err_set(FT_E_MEMORY, "no memory to look at %d images", ds->n);
    if (e == FT_OK) {
        *j = (job){.ds = ds, .s = s, .hash = hash};
        e = run(j, told, ctx);
    }
    free(hash);
    free(j);
    if (e != FT_OK) ft_survey_free(s);
    return e;
}

void ft_survey_free(ft_survey *s) {
    for (int32_t i = 0; s->reason && i < s->n; i++) free(s->reason[i]);
    free(s->w);
    free(s->h);
    free(s->reason);
    free(s->first);
    free(s->next);
    free(s->per_class);
    *s = (ft_survey){0};
}

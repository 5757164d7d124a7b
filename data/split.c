/* Stratified splits. Seats of a class with m samples: floor(m f) for each part (and for "unused"), then the
 * seats left go one each to the parts with the largest remainder plus what earlier classes' rounding owes
 * them.
 */
#include "data/split.h"

#include "tensor/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { UNUSED = FT_PARTS, SHARES = FT_PARTS + 1 };

static const char *const part_names[FT_PARTS] = {"train", "val", "test"};

const char *ft_part_name(ft_part part) {
    return part_names[part];
}

void ft_split_free(ft_split *split) {
    for (int p = 0; p < FT_PARTS; p++) free(split->index[p]);
    *split = (ft_split){0};
}

static ft_err check_spec(const ft_split_spec *spec) {
    double sum = 0;
    for (int p = 0; p < FT_PARTS; p++) {
        double f = spec->fraction[p];
        FT_REQUIRE(f >= 0 && f <= 1, CONFIG, "data.split.%s is %g; a fraction lies between 0 and 1",
                   part_names[p], f);
        sum += f;
    }
    FT_REQUIRE(sum <= 1 + 1e-6, CONFIG, "the fractions of data.split sum to %g; they may sum to 1 at most",
               sum);
    return FT_OK;
}

/* Where the data set puts a sample itself; UNUSED: nowhere, the fractions decide. Official training images
 * may be divided further (into train and val). */
static int fixed_part(const ft_dataset *ds, int32_t i) {
    switch (ft_dataset_fixed(ds, i)) {
    case FT_FIXED_VAL:
        return FT_PART_VAL;
    case FT_FIXED_TEST:
        return FT_PART_TEST;
    default:
        return UNUSED;
    }
}

/* The fractions of the samples that no part owns; share (SHARES). */
static void free_shares(const ft_split_spec *spec, const int32_t n_fixed[FT_PARTS], double share[SHARES]) {
    double taken = 0, sum = 0;
    for (int p = 0; p < FT_PARTS; p++)
        if (n_fixed[p]) taken += spec->fraction[p];
    bool any = taken < 1 - 1e-6; /* otherwise only the fixed parts were asked for */
    for (int p = 0; p < FT_PARTS; p++)
        sum += share[p] = any && !n_fixed[p] ? spec->fraction[p] / (1 - taken) : 0;
    share[UNUSED] = sum > 1 - 1e-6 ? 0 : 1 - sum;
    if (share[UNUSED] <= 0) /* a sum within rounding of 1 means 1 */
        for (int p = 0; p < FT_PARTS; p++) share[p] /= sum;
}

/* Divides m samples of a class; debt (SHARES) is carried from class to class. */
static void divide_class(int32_t m, const double share[SHARES], double debt[SHARES], int32_t seats[SHARES]) {
    int32_t left = m;
    double rest[SHARES];
    for (int p = 0; p < SHARES; p++) {
        double exact = m * share[p];
        seats[p] = (int32_t)floor(exact + 1e-9); /* 10 * 0.3 must not lose a seat to rounding */
        rest[p] = fmax(exact - seats[p], 0);
        left -= seats[p];
    }
    bool served[SHARES] = {0};
    for (; left > 0; left--) {
        int best = -1;
        for (int p = 0; p < SHARES; p++) {
            if (served[p] || rest[p] <= 1e-9) continue;
            if (best < 0 || rest[p] + debt[p] > rest[best] + debt[best] + 1e-9) best = p;
        }
        if (best < 0) best = FT_PART_TRAIN;
        served[best] = true;
        seats[best]++;
    }
    if (share[FT_PART_TRAIN] > 0 && seats[FT_PART_TRAIN] == 0) {
        int most = FT_PART_VAL;
        for (int p = FT_PART_VAL; p < SHARES; p++)
            if (seats[p] > seats[most]) most = p;
        seats[most]--;
        seats[FT_PART_TRAIN]++;
    }
    for (int p = 0; p < SHARES; p++) debt[p] += m * share[p] - seats[p];
}

/* The free samples grouped by class: those of class k at order[start[k]] .. order[start[k+1] - 1]. */
static void group_by_class(const ft_dataset *ds, int32_t *start, int32_t *order) {
    memset(start, 0, ((size_t)ds->n_classes + 1) * sizeof *start);
    for (int32_t i = 0; i < ds->n; i++)
        if (fixed_part(ds, i) == UNUSED) start[ft_dataset_label(ds, i) + 1]++;
    for (int32_t k = 0; k < ds->n_classes; k++) start[k + 1] += start[k];
    for (int32_t i = 0; i < ds->n; i++)
        if (fixed_part(ds, i) == UNUSED) order[start[ft_dataset_label(ds, i)]++] = i;
    for (int32_t k = ds->n_classes; k > 0; k--) start[k] = start[k - 1];
    start[0] = 0;
}

/* Writes the part of every sample to part (ds->n). */
static void assign(const ft_dataset *ds, const double share[SHARES], uint64_t seed, const int32_t *start,
                   int32_t *order, uint8_t *part) {
    double debt[SHARES] = {0};
    seed = ft_rng_derive_name(seed, "split");
    for (int32_t k = 0; k < ds->n_classes; k++) {
        int32_t m = start[k + 1] - start[k], *member = order + start[k], seats[SHARES];
        if (m == 0) continue;
        ft_rng rng = ft_rng_stream(seed, (uint64_t)k);
        ft_rng_shuffle(&rng, member, m);
        divide_class(m, share, debt, seats);
        for (int p = 0; p < SHARES; p++)
            for (int32_t i = 0; i < seats[p]; i++) part[*member++] = (uint8_t)p;
    }
}

static ft_err collect(const ft_dataset *ds, const ft_split_spec *spec, const uint8_t *part, ft_split *split) {
    int32_t n[SHARES] = {0};
    for (int32_t i = 0; i < ds->n; i++) n[part[i]]++;
    for (int p = 0; p < FT_PARTS; p++) {
        FT_REQUIRE(n[p] > 0 || !(spec->fraction[p] > 0), DATA,
                   "the %s part gets no image: %d images in %d classes are too few for data.split.%s = %g",
                   part_names[p], ds->n, ds->n_classes, part_names[p], spec->fraction[p]);
        split->index[p] = malloc((size_t)(n[p] ? n[p] : 1) * sizeof(int32_t));
        FT_REQUIRE(split->index[p], MEMORY, "no memory for a split of %d images", ds->n);
    }
    for (int32_t i = 0; i < ds->n; i++)
        if (part[i] != UNUSED) split->index[part[i]][split->n[part[i]]++] = i;
    return FT_OK;
}

ft_err ft_split_make(const ft_dataset *ds, const ft_split_spec *spec, ft_split *split) {
    *split = (ft_split){0};
    FT_TRY(check_spec(spec));
    int32_t n_fixed[FT_PARTS] = {0};
    for (int32_t i = 0; i < ds->n; i++) {
        int p = fixed_part(ds, i);
        if (p != UNUSED) n_fixed[p]++;
    }
    double share[SHARES];
    free_shares(spec, n_fixed, share);
    int32_t *start = malloc(((size_t)ds->n_classes + 1) * sizeof *start);
    int32_t *order = malloc(((size_t)ds->n + 1) * sizeof *order);
    uint8_t *part = malloc((size_t)ds->n + 1);
    ft_err e =
        start && order && part ? FT_OK : ft_err_set(FT_E_MEMORY, "no memory for a split of %d images", ds->n);
    if (e == FT_OK) {
        for (int32_t i = 0; i < ds->n; i++) part[i] = (uint8_t)fixed_part(ds, i);
        group_by_class(ds, start, order);
        assign(ds, share, spec->seed, start, order, part);
        e = collect(ds, spec, part, split);
    }
    free(start);
    free(order);
    free(part);
    if (e != FT_OK) ft_split_free(split);
    return e;
}

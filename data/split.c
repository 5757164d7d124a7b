#include "data/split.h"

#include "data/split_kinds.h"
#include "tensor/rng.h"

#include <stdlib.h>
#include <string.h>

enum { UNUSED = FT_PARTS };

static const char *const part_names[FT_PARTS] = {"train", "val", "test"};

const char *ft_part_name(ft_part part) {
    return part_names[part];
}

ft_err ft_split_by_parse(const char *name, ft_split_by *by) {
    static const char *const names[] = {"stratified", "group", "hash", "list"};
    for (int i = 0; i < 4; i++)
        if (strcmp(name, names[i]) == 0) {
            *by = (ft_split_by)i;
            return FT_OK;
        }
    FT_FAIL(CONFIG, "data.split.by: '%s' is none of stratified, group, hash, list", name);
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
    FT_REQUIRE(spec->folds == 0 || (spec->folds >= 2 && spec->folds <= FT_SPLIT_MAX_FOLDS), CONFIG,
               "data.split.folds is %d; it is 0 or lies between 2 and %d", spec->folds, FT_SPLIT_MAX_FOLDS);
    FT_REQUIRE(spec->fold >= 0 && spec->fold < (spec->folds ? spec->folds : 1), CONFIG,
               "data.split.fold is %d; of %d folds the first is 0", spec->fold, spec->folds);
    return FT_OK;
}

/* Where the data set puts a sample itself, or FT_SPLIT_FREE. Official training images may be divided further
 * (into train and val). */
static uint8_t fixed_part(const ft_dataset *ds, int32_t i) {
    switch (ft_dataset_fixed(ds, i)) {
    case FT_FIXED_VAL:
        return FT_PART_VAL;
    case FT_FIXED_TEST:
        return FT_PART_TEST;
    default:
        return FT_SPLIT_FREE;
    }
}

/* The fractions of the samples that no part owns; share (FT_PARTS + 1), the last is for those not used. */
static void free_shares(const ft_split_spec *spec, const int32_t n_fixed[FT_PARTS], double *share) {
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

/* Bins are the parts and what is not used; or the folds, test, and what is not used. */
static ft_split_bins make_bins(const ft_split_spec *spec, const double *share) {
    ft_split_bins bins = {.full = -1};
    if (spec->folds == 0) {
        bins.n = FT_PARTS + 1;
        memcpy(bins.share, share, (size_t)bins.n * sizeof *share);
        bins.full = FT_PART_TRAIN;
        return bins;
    }
    for (; bins.n < spec->folds; bins.n++)
        bins.share[bins.n] = (share[FT_PART_TRAIN] + share[FT_PART_VAL]) / spec->folds;
    bins.share[bins.n++] = share[FT_PART_TEST];
    bins.share[bins.n++] = share[UNUSED];
    return bins;
}

static uint8_t part_of_bin(const ft_split_spec *spec, uint8_t bin) {
    if (spec->folds == 0) return bin;
    if (bin < spec->folds) return bin == spec->fold ? FT_PART_VAL : FT_PART_TRAIN;
    return bin == spec->folds ? FT_PART_TEST : UNUSED;
}

/* Writes the part of every sample, or UNUSED, to part (ds->n). */
static ft_err assign(const ft_dataset *ds, const ft_split_spec *spec, uint8_t *part) {
    int32_t n_fixed[FT_PARTS] = {0};
    for (int32_t i = 0; i < ds->n; i++) {
        part[i] = fixed_part(ds, i);
        if (part[i] != FT_SPLIT_FREE) n_fixed[part[i]]++;
    }
    uint8_t *bin = malloc((size_t)ds->n + 1);
    FT_REQUIRE(bin, MEMORY, "no memory for a split of %d images", ds->n);
    memcpy(bin, part, (size_t)ds->n);
    double share[FT_PARTS + 1];
    free_shares(spec, n_fixed, share);
    ft_split_bins bins = make_bins(spec, share);
    ft_err e = FT_OK;
    if (spec->by == FT_SPLIT_STRATIFIED)
        e = ft_split_stratified(ds, &bins, spec->seed, bin);
    else if (spec->by == FT_SPLIT_GROUP)
        e = ft_split_grouped(ds, &bins, spec->seed, bin);
    else if (spec->by == FT_SPLIT_HASH)
        e = ft_split_hashed(ds, &bins, spec->seed, bin);
    else
        e = ft_split_listed(ds, spec->list, part);
    for (int32_t i = 0; i < ds->n && e == FT_OK; i++) {
        if (part[i] != FT_SPLIT_FREE) continue;
        part[i] = bin[i] == FT_SPLIT_FREE ? UNUSED : part_of_bin(spec, bin[i]);
    }
    free(bin);
    return e;
}

static ft_err collect(const ft_dataset *ds, const ft_split_spec *spec, const uint8_t *part, ft_split *split) {
    int32_t n[FT_PARTS + 1] = {0};
    for (int32_t i = 0; i < ds->n; i++) n[part[i]]++;
    for (int p = 0; p < FT_PARTS; p++) {
        FT_REQUIRE(n[p] > 0 || !(spec->fraction[p] > 0) || spec->by == FT_SPLIT_LIST, DATA,
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
    uint8_t *part = malloc((size_t)ds->n + 1);
    FT_REQUIRE(part, MEMORY, "no memory for a split of %d images", ds->n);
    ft_err e = assign(ds, spec, part);
    if (e == FT_OK) e = collect(ds, spec, part, split);
    free(part);
    if (e != FT_OK) ft_split_free(split);
    return e;
}

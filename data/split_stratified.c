/* Stratified splits. Seats of a class with m samples: floor(m f) for each bin, then the seats left go one
 * each to the bins with the largest remainder plus what earlier classes' rounding owes them.
 */
#include "data/split_kinds.h"
#include "tensor/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Divides m samples of a class; debt is carried from class to class. */
static void divide_class(int32_t m, const ft_split_bins *bins, double *debt, int32_t *seats) {
    int32_t left = m;
    double rest[FT_SPLIT_MAX_BINS];
    for (int p = 0; p < bins->n; p++) {
        double exact = m * bins->share[p];
        seats[p] = (int32_t)floor(exact + 1e-9); /* 10 * 0.3 must not lose a seat to rounding */
        rest[p] = fmax(exact - seats[p], 0);
        left -= seats[p];
    }
    bool served[FT_SPLIT_MAX_BINS] = {0};
    for (; left > 0; left--) {
        int best = -1;
        for (int p = 0; p < bins->n; p++) {
            if (served[p] || rest[p] <= 1e-9) continue;
            if (best < 0 || rest[p] + debt[p] > rest[best] + debt[best] + 1e-9) best = p;
        }
        if (best < 0) best = bins->full < 0 ? 0 : bins->full;
        served[best] = true;
        seats[best]++;
    }
    int full = bins->full;
    if (full >= 0 && bins->share[full] > 0 && seats[full] == 0) {
        int most = full == 0 ? 1 : 0;
        for (int p = most; p < bins->n; p++)
            if (p != full && seats[p] > seats[most]) most = p;
        seats[most]--;
        seats[full]++;
    }
    for (int p = 0; p < bins->n; p++) debt[p] += m * bins->share[p] - seats[p];
}

/* The free samples grouped by class: those of class k at order[start[k]] .. order[start[k+1] - 1]. */
static void group_by_class(const ft_dataset *ds, const uint8_t *bin, int32_t *start, int32_t *order) {
    memset(start, 0, ((size_t)ds->n_classes + 1) * sizeof *start);
    for (int32_t i = 0; i < ds->n; i++)
        if (bin[i] == FT_SPLIT_FREE) start[ft_dataset_label(ds, i) + 1]++;
    for (int32_t k = 0; k < ds->n_classes; k++) start[k + 1] += start[k];
    for (int32_t i = 0; i < ds->n; i++)
        if (bin[i] == FT_SPLIT_FREE) order[start[ft_dataset_label(ds, i)]++] = i;
    for (int32_t k = ds->n_classes; k > 0; k--) start[k] = start[k - 1];
    start[0] = 0;
}

ft_err ft_split_stratified(const ft_dataset *ds, const ft_split_bins *bins, uint64_t seed, uint8_t *bin) {
    int32_t *start = malloc(((size_t)ds->n_classes + 1 + (size_t)ds->n) * sizeof *start);
    FT_REQUIRE(start, MEMORY, "no memory for a split of %d images", ds->n);
    int32_t *order = start + ds->n_classes + 1;
    group_by_class(ds, bin, start, order);
    double debt[FT_SPLIT_MAX_BINS] = {0};
    seed = ft_rng_derive_name(seed, "split");
    for (int32_t k = 0; k < ds->n_classes; k++) {
        int32_t m = start[k + 1] - start[k], *member = order + start[k], seats[FT_SPLIT_MAX_BINS];
        if (m == 0) continue;
        ft_rng rng = ft_rng_stream(seed, (uint64_t)k);
        ft_rng_shuffle(&rng, member, m);
        divide_class(m, bins, debt, seats);
        for (int p = 0; p < bins->n; p++)
            for (int32_t i = 0; i < seats[p]; i++) bin[*member++] = (uint8_t)p;
    }
    free(start);
    return FT_OK;
}

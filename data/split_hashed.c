/* Splits by content: a hash of the seed and the file's hash, as a number in [0, 1), falls into one bin's
 * interval. Training's comes last, after validation's, after test's: a validation part that is made larger
 * takes images of the training part alone.
 */
#include "data/split_kinds.h"
#include "tensor/par.h"
#include "tensor/rng.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

typedef struct job {
    const ft_dataset *ds;
    uint64_t *hash; /* (ds->n) */
    uint8_t *err;   /* (ds->n): ft_err */
} job;

static void hash_one(void *ctx, int64_t i, int32_t thread) {
    (void)thread;
    job *j = ctx;
    j->err[i] = (uint8_t)ft_dataset_content(j->ds, (int32_t)i, &j->hash[i]);
}

/* Of the file; of its name where that cannot be had, for the quarantine to decide on. */
static ft_err hash_all(job *j) {
    ft_par_for(j->ds->n, hash_one, j);
    for (int32_t i = 0; i < j->ds->n; i++) {
        if (j->err[i] == FT_OK) continue;
        ft_err e = ft_dataset_content(j->ds, i, &j->hash[i]); /* again, for the message */
        if (e != FT_OK && e != FT_E_DATA) return e;
        char name[4096];
        ft_dataset_name(j->ds, i, name, sizeof name);
        if (e != FT_OK) j->hash[i] = XXH3_64bits(name, strlen(name));
    }
    return FT_OK;
}

static uint8_t bin_of(const ft_split_bins *bins, double u) {
    int32_t last = 0;
    for (int32_t b = bins->n - 1; b >= 0; b--) {
        if (!(bins->share[b] > 0)) continue;
        last = b;
        if (u < bins->share[b]) break;
        u -= bins->share[b];
    }
    return (uint8_t)last;
}

ft_err ft_split_hashed(const ft_dataset *ds, const ft_split_bins *bins, uint64_t seed, uint8_t *bin) {
    job j = {ds, malloc((size_t)ds->n * sizeof *j.hash), malloc((size_t)ds->n)};
    ft_err e =
        j.hash && j.err ? hash_all(&j) : ft_err_set(FT_E_MEMORY, "no memory for a split of %d images", ds->n);
    seed = ft_rng_derive_name(seed, "split hash");
    for (int32_t i = 0; e == FT_OK && i < ds->n; i++) {
        if (bin[i] != FT_SPLIT_FREE) continue;
        uint64_t mixed = XXH3_64bits_withSeed(&j.hash[i], sizeof j.hash[i], seed);
        bin[i] = bin_of(bins, (double)(mixed >> 11) * 0x1p-53);
    }
    free(j.hash);
    free(j.err);
    return e;
}

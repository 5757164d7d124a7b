/* The kinds of splits; private to data/. Each gives the free samples out to bins: shares of them that become
 * parts of the split, folds, or nothing.
 */
#ifndef FACET_DATA_SPLIT_KINDS_H
#define FACET_DATA_SPLIT_KINDS_H

#include "data/split.h"

enum {
    FT_SPLIT_MAX_BINS = FT_SPLIT_MAX_FOLDS + 2,
    FT_SPLIT_FREE = 255 /* the bin of a sample that has none yet */
};

typedef struct ft_split_bins {
    int32_t n;
    double share[FT_SPLIT_MAX_BINS]; /* (n), of the free samples; their sum is 1 */
    int32_t full; /* the bin that every class must be in, and that gets what rounding leaves; -1: none */
} ft_split_bins;

/* Writes the bin of every free sample to bin (ds->n). FT_E_MEMORY and what is said of each. */
ft_err ft_split_stratified(const ft_dataset *ds, const ft_split_bins *bins, uint64_t seed, uint8_t *bin);
/* FT_E_CONFIG: the data set has no groups. */
ft_err ft_split_grouped(const ft_dataset *ds, const ft_split_bins *bins, uint64_t seed, uint8_t *bin);
/* FT_E_IO. A file that is not there or may not be read counts by its name. */
ft_err ft_split_hashed(const ft_dataset *ds, const ft_split_bins *bins, uint64_t seed, uint8_t *bin);
/* What a file says: parts here, not bins; samples that it does not name are left free. FT_E_DATA, FT_E_IO. */
ft_err ft_split_listed(const ft_dataset *ds, const char *path, uint8_t *part);

#endif

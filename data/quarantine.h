/* Images that cannot be used: set aside by name with the reason, so that work goes on without them. The order
 * of the others does not change. One quarantine serves all loaders of a data set.
 */
#ifndef FACET_DATA_QUARANTINE_H
#define FACET_DATA_QUARANTINE_H

#include "data/dataset.h"

typedef struct ft_quarantine ft_quarantine;

/* For the samples of ds, which outlives it. More than max_share (0 to 1) of them in it are an error.
 * FT_E_MEMORY; *q is then NULL. */
ft_err ft_quarantine_new(const ft_dataset *ds, double max_share, ft_quarantine **q);
void ft_quarantine_free(ft_quarantine *q); /* NULL is fine */

/* Sets a sample aside, once. reason: a message of ft_dataset_read; the path in front of it is cut off. To be
 * called by one thread at a time. FT_E_DATA: that is one too many, and it is in all the same; FT_E_MEMORY: it
 * is not in. */
ft_err ft_quarantine_add(ft_quarantine *q, int32_t sample, const char *reason);
/* May be asked from any thread, at any time. */
bool ft_quarantine_has(const ft_quarantine *q, int32_t sample);

/* How many; and the k-th in order of discovery. The reason is borrowed until the quarantine is freed. */
int32_t ft_quarantine_count(const ft_quarantine *q);
int32_t ft_quarantine_sample(const ft_quarantine *q, int32_t k, const char **reason);

/* Writes (replaces, atomically) the CSV file at path: file, reason. FT_E_IO, FT_E_MEMORY. */
ft_err ft_quarantine_write(const ft_quarantine *q, const char *path);
/* Adds what such a file holds, as far as the data set has it; no file is an empty one. FT_E_DATA, FT_E_IO,
 * FT_E_MEMORY. */
ft_err ft_quarantine_read(ft_quarantine *q, const char *path);

#endif

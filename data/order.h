/* In which order an epoch shows the samples. A function of (labels, options, seed, epoch): the same on every
 * machine.
 *
 *   shuffle      every sample once; of joined data (ft_dataset_join) each as often as its source's weight
 * says: of a weight of 2.5 twice, and half of the source's samples, others in each epoch, a third time
 *   balanced     as many as there are samples, every class as often: the images of small classes come several
 * times, of large ones only some come; within a class each comes again only after all others did identities
 * batches of P classes with K images of each (P x K sampling, Hermans et al. 2017), for losses that compare
 * images; classes with fewer than K repeat theirs
 */
#ifndef FACET_DATA_ORDER_H
#define FACET_DATA_ORDER_H

#include "data/dataset.h"

typedef enum ft_sampling { FT_SAMPLING_SHUFFLE, FT_SAMPLING_BALANCED, FT_SAMPLING_IDENTITIES } ft_sampling;

/* "shuffle", "balanced", "identities". FT_E_CONFIG lists them; *how is then unchanged. */
ft_err ft_sampling_parse(const char *name, ft_sampling *how);

typedef struct ft_order_options {
    ft_sampling how;
    int32_t classes, images; /* FT_SAMPLING_IDENTITIES: P and K, at least 1 */
} ft_order_options;

typedef struct ft_order ft_order;

/* For the n samples in index (n), of which only labels and sources are read, now. FT_E_CONFIG: weights
 * without shuffle, fewer classes than o->classes, or fewer samples than a batch; FT_E_MEMORY. *out is then
 * NULL. */
ft_err ft_order_new(const ft_dataset *ds, const int32_t *index, int32_t n, const ft_order_options *o,
                    ft_order **out);
void ft_order_free(ft_order *o); /* NULL is fine */

/* Samples in an epoch. */
int32_t ft_order_length(const ft_order *o);
/* Positions in index, to position (ft_order_length). */
void ft_order_draw(ft_order *o, uint64_t seed, int64_t epoch, int32_t *position);

#endif

/* "Did you mean ...": the known name nearest to a wrong one. */
#ifndef FACET_TRAIN_NEAREST_H
#define FACET_TRAIN_NEAREST_H

#include <stddef.h>

/* Start with {.word = what was asked for}, offer every known name, read best. */
typedef struct ft_nearest {
    const char *word;
    const char *best; /* NULL: none is near enough to suggest */
    size_t distance;  /* of best */
} ft_nearest;

/* Takes name, which must outlive n, if it is nearer than the best so far and differs by a slip of the pen:
 * few letters inserted, deleted, replaced or swapped with the next for the length of the word. */
void ft_nearest_offer(ft_nearest *n, const char *name);

#endif

/* The few heaviest of many. */
#ifndef FACET_EVAL_HEAVIEST_H
#define FACET_EVAL_HEAVIEST_H

#include <stdint.h>

typedef struct ft_ranked {
    double weight;
    int64_t at;
} ft_ranked;

/* Keeps the room heaviest items in falling order, the first of equals first; returns how many there are now.
 */
static inline int ft_keep_heaviest(ft_ranked *list, int n, int room, ft_ranked item) {
    if (n == room && item.weight <= list[n - 1].weight) return n;
    int i = n < room ? n++ : n - 1;
    for (; i > 0 && list[i - 1].weight < item.weight; i--) list[i] = list[i - 1];
    list[i] = item;
    return n;
}

#endif

/* Parameters cut into stretches of a fixed size: what one thread works on at a time, whatever the number of
 * threads. */
#ifndef FACET_OPTIM_STRETCH_H
#define FACET_OPTIM_STRETCH_H

#include <stdint.h>

enum {
    FT_STRETCH = 32768
}; /* long enough for the processor to fetch ahead, which it does at two thirds at 4096 */

typedef struct ft_stretch {
    int32_t array, n;
    int64_t at; /* first element in its array */
} ft_stretch;

static inline int64_t ft_stretch_count(int64_t n) {
    return (n + FT_STRETCH - 1) / FT_STRETCH;
}

/* Writes the ft_stretch_count(n) stretches of one array of n elements; returns the place behind the last. */
static inline ft_stretch *ft_stretch_list(ft_stretch *out, int32_t array, int64_t n) {
    for (int64_t at = 0; at < n; at += FT_STRETCH) {
        int64_t rest = n - at;
        *out++ =
            (ft_stretch){.array = array, .n = (int32_t)(rest < FT_STRETCH ? rest : FT_STRETCH), .at = at};
    }
    return out;
}

/* Elements to set aside for an array of n, so that the next starts on a cache line. */
static inline int64_t ft_stretch_room(int64_t n) {
    return (n + 15) / 16 * 16;
}

#endif

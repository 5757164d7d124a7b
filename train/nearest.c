#include "train/nearest.h"

#include <stdbool.h>
#include <string.h>

enum { LONGEST = 64 };

/* d[i] of three rows of the table: between the first i letters of word and the first k, k - 1, k - 2 of name.
 */
static size_t edit_distance(const char *word, size_t n, const char *name) {
    size_t rows[3][LONGEST + 1], *d = rows[0], *before = rows[1], *two_before = rows[2];
    for (size_t i = 0; i <= n; i++) d[i] = i;
    for (size_t k = 1; name[k - 1]; k++) {
        size_t *free_row = two_before;
        two_before = before, before = d, d = free_row;
        d[0] = k;
        for (size_t i = 1; i <= n; i++) {
            d[i] = before[i - 1] + (word[i - 1] != name[k - 1]);
            if (d[i - 1] + 1 < d[i]) d[i] = d[i - 1] + 1;
            if (before[i] + 1 < d[i]) d[i] = before[i] + 1;
            bool swapped = i > 1 && k > 1 && word[i - 1] == name[k - 2] && word[i - 2] == name[k - 1];
            if (swapped && two_before[i - 2] + 1 < d[i]) d[i] = two_before[i - 2] + 1;
        }
    }
    return d[n];
}

void ft_nearest_offer(ft_nearest *n, const char *name) {
    size_t length = strlen(n->word);
    if (length > LONGEST) return;
    size_t distance = edit_distance(n->word, length, name);
    if (distance >= (length < 5 ? 2 : (length + 1) / 3 + 1)) return;
    if (n->best && distance >= n->distance) return;
    n->best = name;
    n->distance = distance;
}

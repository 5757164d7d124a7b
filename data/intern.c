#include "data/intern.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

void ft_intern_free(ft_intern *t) {
    for (int32_t i = 0; i < t->n; i++) free(t->text[i]);
    free(t->text);
    free(t->slot);
    *t = (ft_intern){0};
}

/* Where the text is, or would be. */
static int32_t place_of(const ft_intern *t, const char *text) {
    uint32_t mask = (uint32_t)t->n_slots - 1, at = (uint32_t)XXH3_64bits(text, strlen(text)) & mask;
    while (t->slot[at] >= 0 && strcmp(t->text[t->slot[at]], text) != 0) at = (at + 1) & mask;
    return (int32_t)at;
}

int32_t ft_intern_find(const ft_intern *t, const char *text) {
    return t->n_slots ? t->slot[place_of(t, text)] : -1;
}

static void fill_table(ft_intern *t) {
    memset(t->slot, 0xff, (size_t)t->n_slots * sizeof *t->slot);
    for (int32_t i = 0; i < t->n; i++) t->slot[place_of(t, t->text[i])] = i;
}

/* The table is at most half full. */
static ft_err grow(ft_intern *t) {
    FT_REQUIRE(t->n_slots < 1 << 30, DATA, "more different texts than can be numbered");
    int32_t n = t->n_slots ? 2 * t->n_slots : 64;
    char **text = realloc(t->text, (size_t)(n / 2) * sizeof *text);
    if (text) t->text = text;
    int32_t *slot = text ? malloc((size_t)n * sizeof *slot) : NULL;
    FT_REQUIRE(slot, MEMORY, "no memory for %d different texts", n / 2);
    free(t->slot);
    t->slot = slot;
    t->n_slots = n;
    fill_table(t);
    return FT_OK;
}

ft_err ft_intern_add(ft_intern *t, const char *text, int32_t *number) {
    *number = ft_intern_find(t, text);
    if (*number >= 0) return FT_OK;
    if (2 * t->n >= t->n_slots) FT_TRY(grow(t));
    char *kept = strdup(text);
    FT_REQUIRE(kept, MEMORY, "no memory for a text");
    t->slot[place_of(t, text)] = t->n;
    t->text[t->n] = kept;
    *number = t->n++;
    return FT_OK;
}

static bool is_number(const char *text) {
    char *end;
    strtod(text, &end);
    return end != text && *end == '\0';
}

static int by_number(const void *a, const void *b) {
    const char *s = *(char *const *)a, *t = *(char *const *)b;
    double x = strtod(s, NULL), y = strtod(t, NULL);
    return x < y ? -1 : x > y ? 1 : strcmp(s, t);
}

static int by_bytes(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

ft_err ft_intern_sort(ft_intern *t, int32_t *rank) {
    size_t n = (size_t)t->n;
    char **before = malloc((n + 1) * sizeof *before);
    FT_REQUIRE(before, MEMORY, "no memory to sort %d texts", t->n);
    bool numbers = true;
    for (size_t i = 0; i < n; i++) {
        before[i] = t->text[i];
        numbers &= is_number(t->text[i]);
    }
    if (n) qsort(t->text, n, sizeof *t->text, numbers ? by_number : by_bytes);
    if (n) fill_table(t);
    for (size_t i = 0; i < n; i++) rank[i] = ft_intern_find(t, before[i]);
    free(before);
    return FT_OK;
}

/* Grouped splits: the groups in order of size (those of one size by chance), each to the bin where it brings
 * the counts nearest to what they should be. How far a count is off is its difference squared over what there
 * is in all: of each class, and of all samples together.
 */
#include "data/split_kinds.h"
#include "tensor/rng.h"

#include <stdlib.h>
#include <string.h>

typedef struct group {
    int32_t start, n; /* of its samples in the order */
    int32_t place;    /* by chance */
} group;

typedef struct grouping {
    const ft_dataset *ds;
    const ft_split_bins *bins;
    group *groups; /* (ds->n_groups + ds->n): after those with a number, one for each sample without */
    int32_t n;
    int32_t *order;   /* (ds->n): free samples, by group */
    double *all;      /* (n_classes + 1): free samples of each class, and of all */
    double *given;    /* (bins->n, n_classes + 1): those that have a bin */
    int32_t *tally;   /* (n_classes): those of the group under way; 0 between groups */
    int32_t *classes; /* (n_classes): that are in it, n_in */
    int32_t n_in;
} grouping;

static group *group_of(grouping *s, int32_t i) {
    int32_t g = ft_dataset_group(s->ds, i);
    return &s->groups[g >= 0 ? g : s->ds->n_groups + i];
}

/* Counts the free samples, and puts them in the order of their groups. */
static void sort_samples(grouping *s, const uint8_t *bin) {
    int32_t k = s->ds->n_classes, at = 0;
    for (int32_t i = 0; i < s->ds->n; i++) {
        if (bin[i] != FT_SPLIT_FREE) continue;
        group_of(s, i)->n++;
        s->all[ft_dataset_label(s->ds, i)]++;
        s->all[k]++;
    }
    for (int32_t g = 0; g < s->n; g++) {
        s->groups[g].start = at;
        at += s->groups[g].n;
        s->groups[g].n = 0;
    }
    for (int32_t i = 0; i < s->ds->n; i++) {
        if (bin[i] != FT_SPLIT_FREE) continue;
        group *g = group_of(s, i);
        s->order[g->start + g->n++] = i;
    }
}

static int largest_first(const void *a, const void *b) {
    const group *x = a, *y = b;
    return x->n != y->n ? (x->n < y->n ? 1 : -1) : x->place < y->place ? -1 : 1;
}

static ft_err sort_groups(grouping *s, uint64_t seed) {
    int32_t *place = malloc((size_t)s->n * sizeof *place);
    FT_REQUIRE(place, MEMORY, "no memory for a split of %d images", s->ds->n);
    for (int32_t g = 0; g < s->n; g++) place[g] = g;
    ft_rng rng = ft_rng_stream(ft_rng_derive_name(seed, "split groups"), 0);
    ft_rng_shuffle(&rng, place, s->n);
    for (int32_t g = 0; g < s->n; g++) s->groups[g].place = place[g];
    free(place);
    qsort(s->groups, (size_t)s->n, sizeof *s->groups, largest_first);
    return FT_OK;
}

/* What adding m to a count that should become share * all does to its square distance, over all. */
static double change(double given, double m, double share, double all) {
    return m * (2 * (given - share * all) + m) / all;
}

static int32_t best_bin(const grouping *s, const group *g) {
    int32_t k = s->ds->n_classes, best = -1;
    double least = 0;
    for (int32_t b = 0; b < s->bins->n; b++) {
        double share = s->bins->share[b], *given = s->given + (int64_t)b * (k + 1);
        if (!(share > 0)) continue;
        double cost = change(given[k], g->n, share, s->all[k]);
        for (int32_t c = 0; c < s->n_in; c++)
            cost += change(given[s->classes[c]], s->tally[s->classes[c]], share, s->all[s->classes[c]]);
        if (best < 0 || cost < least) {
            best = b;
            least = cost;
        }
    }
    return best;
}

static void give(grouping *s, const group *g, uint8_t *bin) {
    const int32_t *member = s->order + g->start;
    int32_t k = s->ds->n_classes;
    s->n_in = 0;
    for (int32_t i = 0; i < g->n; i++) {
        int32_t c = ft_dataset_label(s->ds, member[i]);
        if (s->tally[c]++ == 0) s->classes[s->n_in++] = c;
    }
    int32_t best = best_bin(s, g);
    double *given = s->given + (int64_t)best * (k + 1);
    for (int32_t i = 0; i < g->n; i++) bin[member[i]] = (uint8_t)best;
    given[k] += g->n;
    for (int32_t c = 0; c < s->n_in; c++) {
        given[s->classes[c]] += s->tally[s->classes[c]];
        s->tally[s->classes[c]] = 0;
    }
}

ft_err ft_split_grouped(const ft_dataset *ds, const ft_split_bins *bins, uint64_t seed, uint8_t *bin) {
    FT_REQUIRE(
        ds->n_groups > 0, CONFIG,
        "data.split.by is group, and these data have no groups; data.split.group names the column of a list "
        "that says what belongs together");
    size_t k = (size_t)ds->n_classes;
    grouping s = {.ds = ds, .bins = bins, .n = ds->n_groups + ds->n};
    s.groups = ft_alloc((size_t)s.n, sizeof *s.groups);
    s.order = ft_alloc((size_t)ds->n, sizeof *s.order);
    s.all = ft_alloc(k + 1, sizeof *s.all);
    s.given = ft_alloc((k + 1) * (size_t)bins->n, sizeof *s.given);
    s.tally = ft_alloc(k, sizeof *s.tally);
    s.classes = ft_alloc(k, sizeof *s.classes);
    ft_err e = s.groups && s.order && s.all && s.given && s.tally && s.classes
                   ? FT_OK
                   : ft_err_set(FT_E_MEMORY, "no memory for a split of %d images", ds->n);
    if (e == FT_OK) {
        sort_samples(&s, bin);
        e = sort_groups(&s, seed);
    }
    for (int32_t g = 0; e == FT_OK && g < s.n && s.groups[g].n > 0; g++) give(&s, &s.groups[g], bin);
    free(s.groups);
    free(s.order);
    free(s.all);
    free(s.given);
    free(s.tally);
    free(s.classes);
    return e;
}

#include "data/order.h"

#include "tensor/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct ft_order {
    ft_order_options options;
    int32_t n, length;
    int32_t n_classes; /* those that have a sample */
    int32_t *start;    /* (n_classes + 1): where each one's members begin */
    int32_t *member;   /* (n): positions, by class; drawing puts those of a class in another order */
    int32_t *class_order, *cursor; /* (n_classes) */
    int32_t n_sources;             /* above 0: FT_SAMPLING_SHUFFLE of sources with weights */
    const float *weights;          /* (n_sources) */
    int32_t *source_start;         /* (n_sources + 1): where each one's members begin */
};

ft_err ft_sampling_parse(const char *name, ft_sampling *how) {
    static const char *const names[] = {"shuffle", "balanced", "identities"};
    for (int i = 0; i < 3; i++)
        if (strcmp(name, names[i]) == 0) {
            *how = (ft_sampling)i;
            return FT_OK;
        }
    FT_FAIL(CONFIG, "data.sampling.name: '%s' is none of shuffle, balanced, identities", name);
}

/* Members by class, classes without one left out. */
static ft_err group_members(ft_order *o, const ft_dataset *ds, const int32_t *index) {
    int32_t *at = ft_alloc((size_t)ds->n_classes + 1, sizeof *at);
    FT_REQUIRE(at, MEMORY, "no memory for the order of %d images", o->n);
    for (int32_t i = 0; i < o->n; i++) at[ft_dataset_label(ds, index[i]) + 1]++;
    for (int32_t k = 0; k < ds->n_classes; k++) {
        if (at[k + 1] > 0) o->start[++o->n_classes] = at[k] + at[k + 1];
        at[k + 1] += at[k];
    }
    for (int32_t i = 0; i < o->n; i++) o->member[at[ft_dataset_label(ds, index[i])]++] = i;
    free(at);
    return FT_OK;
}

/* Members by source. */
static ft_err group_by_source(ft_order *o, const ft_dataset *ds, const int32_t *index) {
    o->n_sources = ds->n_sources;
    o->weights = ds->source_weights;
    o->source_start = ft_alloc((size_t)ds->n_sources + 1, sizeof *o->source_start);
    int32_t *at = ft_alloc((size_t)ds->n_sources + 1, sizeof *at);
    if (!o->source_start || !at) {
        free(at);
        FT_FAIL(MEMORY, "no memory for the order of %d images", o->n);
    }
    for (int32_t i = 0; i < o->n; i++) at[ft_dataset_source(ds, index[i]) + 1]++;
    for (int32_t k = 0; k < ds->n_sources; k++) o->source_start[k + 1] = at[k + 1] += at[k];
    for (int32_t i = 0; i < o->n; i++) o->member[at[ft_dataset_source(ds, index[i])]++] = i;
    free(at);
    return FT_OK;
}

static int32_t source_size(const ft_order *o, int32_t k) {
    return o->source_start[k + 1] - o->source_start[k];
}

/* Samples of source k in an epoch. */
static int32_t source_share(const ft_order *o, int32_t k) {
    return (int32_t)lround((double)o->weights[k] * source_size(o, k));
}

static ft_err set_length(ft_order *o) {
    o->length = o->n;
    if (o->options.how == FT_SAMPLING_SHUFFLE && o->n_sources > 0) {
        double length = 0;
        for (int32_t k = 0; k < o->n_sources; k++) length += source_share(o, k);
        FT_REQUIRE(length >= 1 && length < INT32_MAX, CONFIG,
                   "data.join: with these weights an epoch would have %.0f images", length);
        o->length = (int32_t)length;
    }
    if (o->options.how != FT_SAMPLING_IDENTITIES) return FT_OK;
    int32_t classes = o->options.classes;
    int64_t batch = (int64_t)classes * o->options.images;
    FT_REQUIRE(classes <= o->n_classes, CONFIG,
               "data.sampling.classes is %d, but the training images have %d classes only", classes,
               o->n_classes);
    FT_REQUIRE(batch <= o->n, CONFIG,
               "data.sampling: %d classes of %d images each are more than the %d there are", classes,
               o->options.images, o->n);
    o->length = (int32_t)(o->n / batch * batch);
    return FT_OK;
}

ft_err ft_order_new(const ft_dataset *ds, const int32_t *index, int32_t n, const ft_order_options *options,
                    ft_order **out) {
    *out = NULL;
    for (int32_t k = 0; k < ds->n_sources; k++)
        FT_REQUIRE(options->how == FT_SAMPLING_SHUFFLE || ds->source_weights[k] == 1, CONFIG,
                   "data.join: weights other than 1 count with data.sampling: shuffle only");
    ft_order *o = calloc(1, sizeof *o);
    FT_REQUIRE(o, MEMORY, "no memory for the order of %d images", n);
    size_t most = (size_t)(n < ds->n_classes ? n : ds->n_classes) + 1;
    *o = (ft_order){.options = *options,
                    .n = n,
                    .start = ft_alloc(most, sizeof(int32_t)),
                    .member = ft_alloc((size_t)n, sizeof(int32_t)),
                    .class_order = ft_alloc(most, sizeof(int32_t)),
                    .cursor = ft_alloc(most, sizeof(int32_t))};
    ft_err e = o->start && o->member && o->class_order && o->cursor
                   ? FT_OK
                   : ft_err_set(FT_E_MEMORY, "no memory for the order of %d images", n);
    bool by_source = options->how == FT_SAMPLING_SHUFFLE && ds->n_sources > 0;
    if (e == FT_OK) e = by_source ? group_by_source(o, ds, index) : group_members(o, ds, index);
    if (e == FT_OK) e = set_length(o);
    if (e != FT_OK)
        ft_order_free(o);
    else
        *out = o;
    return e;
}

void ft_order_free(ft_order *o) {
    if (!o) return;
    free(o->start);
    free(o->member);
    free(o->class_order);
    free(o->cursor);
    free(o->source_start);
    free(o);
}

int32_t ft_order_length(const ft_order *o) {
    return o->length;
}

/* The next member of class k; after the last one they come again, in a new order. */
static int32_t next_member(ft_order *o, int32_t k, ft_rng *rng) {
    int32_t size = o->start[k + 1] - o->start[k], *members = o->member + o->start[k];
    if (o->cursor[k] == size) {
        ft_rng_shuffle(rng, members, size);
        o->cursor[k] = 0;
    }
    return members[o->cursor[k]++];
}

static int by_value(const void *a, const void *b) {
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return x < y ? -1 : x > y;
}

/* As ft_order_new left them, whatever was drawn before; every class begins with a new order. */
static void reset(ft_order *o) {
    for (int32_t k = 0; k < o->n_classes; k++) {
        int32_t size = o->start[k + 1] - o->start[k];
        qsort(o->member + o->start[k], (size_t)size, sizeof *o->member, by_value);
        o->cursor[k] = size;
        o->class_order[k] = k;
    }
}

static void draw_balanced(ft_order *o, ft_rng *rng, int64_t epoch, int32_t *position) {
    int32_t at = 0, each = o->n / o->n_classes, left = o->n % o->n_classes;
    for (int32_t k = 0; k < o->n_classes; k++) { /* one more for some classes, others in the next epoch */
        int32_t m = each + ((k + epoch) % o->n_classes < left);
        for (int32_t i = 0; i < m; i++) position[at++] = next_member(o, k, rng);
    }
    ft_rng_shuffle(rng, position, o->length);
}

static void draw_identities(ft_order *o, ft_rng *rng, int32_t *position) {
    int32_t classes = o->options.classes, images = o->options.images, next = o->n_classes;
    for (int32_t at = 0; at < o->length;) {
        if (next + classes > o->n_classes) { /* too few are left for a batch of different ones */
            ft_rng_shuffle(rng, o->class_order, o->n_classes);
            next = 0;
        }
        for (int32_t c = 0; c < classes; c++, next++) {
            int32_t k = o->class_order[next], size = o->start[k + 1] - o->start[k];
            if (size - o->cursor[k] < images) o->cursor[k] = size; /* as few twice in a batch as can be */
            for (int32_t i = 0; i < images; i++) position[at++] = next_member(o, k, rng);
        }
    }
}

/* Of each source a window of its share into its members again and again, in an order that stays; the window
 * moves on from epoch to epoch, so that all come equally often. */
static void draw_sources(const ft_order *o, uint64_t seed, int64_t epoch, int32_t *position) {
    for (int32_t k = 0, at = 0; k < o->n_sources; k++) {
        int32_t size = source_size(o, k), share = source_share(o, k), first = at;
        if (size == 0) continue;
        ft_rng rng = ft_rng_stream(ft_rng_derive_name(seed, "source"), (uint64_t)k);
        int32_t *members = o->member + o->source_start[k];
        qsort(members, (size_t)size, sizeof *members, by_value);
        ft_rng_shuffle(&rng, members, size);
        int64_t from = epoch * share % size;
        while (at - first < share) position[at++] = members[from++ % size];
    }
}

void ft_order_draw(ft_order *o, uint64_t seed, int64_t epoch, int32_t *position) {
    ft_rng rng = ft_rng_stream(ft_rng_derive_name(seed, "shuffle"), (uint64_t)epoch);
    if (o->options.how == FT_SAMPLING_SHUFFLE) {
        for (int32_t i = 0; i < o->n && o->n_sources == 0; i++) position[i] = i;
        if (o->n_sources > 0) draw_sources(o, seed, epoch, position);
        ft_rng_shuffle(&rng, position, o->length);
        return;
    }
    reset(o);
    if (o->options.how == FT_SAMPLING_BALANCED)
        draw_balanced(o, &rng, epoch, position);
    else
        draw_identities(o, &rng, position);
}

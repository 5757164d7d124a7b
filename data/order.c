#include "data/order.h"

#include "tensor/rng.h"

#include <stdlib.h>
#include <string.h>

struct ft_order {
    ft_order_options options;
    int32_t n, length;
    int32_t n_classes; /* those that have a sample */
    int32_t *start;    /* (n_classes + 1): where each one's members begin */
    int32_t *member;   /* (n): positions, by class; drawing puts those of a class in another order */
    int32_t *class_order, *cursor; /* (n_classes) */
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

static ft_err set_length(ft_order *o) {
    o->length = o->n;
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
                   ? group_members(o, ds, index)
                   : ft_err_set(FT_E_MEMORY, "no memory for the order of %d images", n);
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

void ft_order_draw(ft_order *o, uint64_t seed, int64_t epoch, int32_t *position) {
    ft_rng rng = ft_rng_stream(ft_rng_derive_name(seed, "shuffle"), (uint64_t)epoch);
    if (o->options.how == FT_SAMPLING_SHUFFLE) {
        for (int32_t i = 0; i < o->n; i++) position[i] = i;
        ft_rng_shuffle(&rng, position, o->n);
        return;
    }
    reset(o);
    if (o->options.how == FT_SAMPLING_BALANCED)
        draw_balanced(o, &rng, epoch, position);
    else
        draw_identities(o, &rng, position);
}

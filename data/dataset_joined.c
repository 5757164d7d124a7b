/* Several data sets as one: samples one source after the other, classes by name. */
#include "data/dataset_kind.h"
#include "data/intern.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct source {
    ft_dataset *ds;
    char *name;     /* in front of its samples' names */
    int32_t *class; /* (ds->n_classes): the joined class of each of its own */
    int32_t first;  /* its first sample's number in the whole */
    int32_t groups; /* groups of the sources before */
} source;

typedef struct joined {
    ft_dataset base;
    source *sources; /* (base.n_sources) */
    float *weights;  /* base.source_weights */
    ft_intern classes;
} joined;

/* The source of sample *i, and its number there. */
static const source *locate(const ft_dataset *ds, int32_t *i) {
    const joined *j = (const joined *)ds;
    int32_t low = 0, high = ds->n_sources - 1;
    while (low < high) { /* the last that begins at or before it */
        int32_t middle = (low + high + 1) / 2;
        if (j->sources[middle].first <= *i)
            low = middle;
        else
            high = middle - 1;
    }
    *i -= j->sources[low].first;
    return &j->sources[low];
}

static int32_t joined_label(const ft_dataset *ds, int32_t i) {
    const source *s = locate(ds, &i);
    return s->class[ft_dataset_label(s->ds, i)];
}
static int32_t joined_group(const ft_dataset *ds, int32_t i) {
    const source *s = locate(ds, &i);
    int32_t g = ft_dataset_group(s->ds, i);
    return g < 0 ? g : s->groups + g;
}
static int32_t joined_source(const ft_dataset *ds, int32_t i) {
    return (int32_t)(locate(ds, &i) - ((const joined *)ds)->sources);
}
static ft_fixed joined_fixed(const ft_dataset *ds, int32_t i) {
    const source *s = locate(ds, &i);
    return ft_dataset_fixed(s->ds, i);
}
static void joined_name(const ft_dataset *ds, int32_t i, char *buffer, size_t bytes) {
    const source *s = locate(ds, &i);
    int n = snprintf(buffer, bytes, "%s/", s->name);
    if (n > 0 && (size_t)n < bytes) ft_dataset_name(s->ds, i, buffer + n, bytes - (size_t)n);
}
static ft_err joined_read(const ft_dataset *ds, int32_t i, ft_image_want want, ft_image *out) {
    const source *s = locate(ds, &i);
    return ft_dataset_read(s->ds, i, want, out);
}
static ft_err joined_bytes(const ft_dataset *ds, int32_t i, uint8_t **bytes, size_t *n) {
    const source *s = locate(ds, &i);
    return ft_dataset_bytes(s->ds, i, bytes, n);
}
static ft_err joined_content(const ft_dataset *ds, int32_t i, uint64_t *hash) {
    const source *s = locate(ds, &i);
    return ft_dataset_content(s->ds, i, hash);
}

static void joined_free(ft_dataset *ds) {
    joined *j = (joined *)ds;
    for (int32_t k = 0; k < ds->n_sources; k++) {
        ft_dataset_free(j->sources[k].ds);
        free(j->sources[k].name);
        free(j->sources[k].class);
    }
    free(j->sources);
    free(j->weights);
    ft_intern_free(&j->classes); /* base.class_names are its texts */
    free(j);
}

static const ft_dataset_ops joined_ops = {.kind = "joined",
                                          .label = joined_label,
                                          .group = joined_group,
                                          .source = joined_source,
                                          .fixed = joined_fixed,
                                          .name = joined_name,
                                          .read = joined_read,
                                          .bytes = joined_bytes,
                                          .content = joined_content,
                                          .free = joined_free};

/* Gives every class of every source its number: in the order of all names, as one list's would be. */
static ft_err join_classes(joined *j) {
    ft_dataset *ds = &j->base;
    for (int32_t k = 0; k < ds->n_sources; k++) {
        source *s = &j->sources[k];
        s->class = ft_alloc((size_t)s->ds->n_classes, sizeof *s->class);
        FT_REQUIRE(s->class, MEMORY, "no memory for class names");
        for (int32_t c = 0; c < s->ds->n_classes; c++)
            FT_TRY(ft_intern_add(&j->classes, s->ds->class_names[c], &s->class[c]));
    }
    int32_t *rank = ft_alloc((size_t)j->classes.n, sizeof *rank);
    FT_REQUIRE(rank, MEMORY, "no memory for class names");
    ft_err e = ft_intern_sort(&j->classes, rank);
    for (int32_t k = 0; e == FT_OK && k < ds->n_sources; k++)
        for (int32_t c = 0; c < j->sources[k].ds->n_classes; c++)
            j->sources[k].class[c] = rank[j->sources[k].class[c]];
    free(rank);
    ds->class_names = j->classes.text;
    ds->n_classes = j->classes.n;
    return e;
}

static ft_err add_source(joined *j, const char *path, float weight, const ft_dataset_options *o) {
    ft_dataset *ds = &j->base;
    source *s = &j->sources[ds->n_sources];
    s->name = strdup(path);
    FT_REQUIRE(s->name, MEMORY, "no memory to open the data");
    size_t len = strlen(s->name);
    while (len > 1 && s->name[len - 1] == '/') s->name[--len] = '\0';
    ft_err e = ft_dataset_open(path, o, &s->ds);
    if (e != FT_OK) {
        free(s->name);
        return e;
    }
    FT_REQUIRE(s->ds->n <= INT32_MAX - 1 - ds->n, DATA, "%s: more images than can be numbered", path);
    s->first = ds->n;
    s->groups = ds->n_groups;
    j->weights[ds->n_sources++] = weight;
    ds->n += s->ds->n;
    ds->n_groups += s->ds->n_groups;
    ds->n_ignored += s->ds->n_ignored;
    ds->in_memory &= s->ds->in_memory;
    ds->fingerprint = ft_hash_number(ds->fingerprint, s->ds->fingerprint);
    return FT_OK;
}

ft_err ft_dataset_join(int32_t n, const char *const *paths, const float *weights, const ft_dataset_options *o,
                       ft_dataset **ds) {
    *ds = NULL;
    joined *j = calloc(1, sizeof *j);
    FT_REQUIRE(j, MEMORY, "no memory to open the data");
    j->base = (ft_dataset){.ops = &joined_ops, .in_memory = true, .fingerprint = FT_HASH_START};
    j->sources = ft_alloc((size_t)n, sizeof *j->sources);
    j->base.source_weights = j->weights = ft_alloc((size_t)n, sizeof *j->weights);
    ft_err e = j->sources && j->weights ? FT_OK : ft_err_set(FT_E_MEMORY, "no memory to open the data");
    for (int32_t k = 0; k < n && e == FT_OK; k++) e = add_source(j, paths[k], weights[k], o);
    if (e == FT_OK) e = join_classes(j);
    if (e != FT_OK)
        joined_free(&j->base);
    else
        *ds = &j->base;
    return e;
}

#include "train/features.h"
#include "tensor/kernels.h"
#include "tensor/par.h"
#include "train/feature_store.h"
#include "train/frozen_cut.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { BATCH = 16 }; /* images at a time through the prefix */

struct ft_features {
    ft_model *model;
    ft_val cut;
    const ft_dataset *ds;
    ft_loader_options loading;
    bool direct;
    int32_t n, variants;
    int32_t *index;    /* (n) */
    int32_t *position; /* (ds->n) in index; -1: not in it */
    uint64_t *content; /* (n) of the images */
    ft_feature_store *store;
    char *path;
};

/* ---- the key ---- */

static void add_text(XXH3_state_t *h, const char *text) {
    XXH3_64bits_update(h, text, strlen(text) + 1);
}

/* Numbers by their text, so that padding and byte order play no part. */
__attribute__((format(printf, 2, 3))) static void add_numbers(XXH3_state_t *h, const char *format, ...) {
    char text[512];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    add_text(h, text);
}

static ft_err key_of(const ft_features *f, const char *augmentation, uint64_t *key) {
    const ft_graph *g = f->model->g;
    const ft_preprocess *p = &f->loading.image;
    const ft_net_options *o = &f->model->options;
    XXH3_state_t *h = XXH3_createState();
    bool *before = ft_alloc((size_t)ft_graph_n_params(g), sizeof *before);
    if (!h || !before) {
        XXH3_freeState(h);
        free(before);
        FT_FAIL(MEMORY, "no memory for the key of the features");
    }
    XXH3_64bits_reset(h);
    add_text(h, FACET_VERSION);
    add_text(h, ft_isa());
    add_text(h, f->model->net->name);
    add_text(h, ft_val_name(g, f->cut));
    add_text(h, ft_resize_name(p->resize));
    add_text(h, ft_normalize_name(p->normalize));
    add_numbers(h, "%d %d %a %a", f->direct, o->count_padding, (double)o->width, (double)o->bn_epsilon);
    add_numbers(h, "%d %d %d %d", p->h, p->w, p->c, p->scaled_decode);
    for (int k = 0; k < 3; k++) add_numbers(h, "%a %a", (double)p->mean[k], (double)p->std[k]);
    add_numbers(h, "%a", f->loading.training ? 1. : (double)p->center_crop);
    add_numbers(h, "%d %llu", f->variants, f->variants ? (unsigned long long)f->loading.seed : 0);
    add_text(h, f->variants ? augmentation : "");
    ft_err e = ft_params_before(g, f->cut, before);
    for (int32_t i = 0; i < ft_graph_n_params(g); i++) {
        const ft_param *param = ft_graph_param(g, i);
        if (!before[i]) continue;
        add_text(h, param->name);
        XXH3_64bits_update(h, param->p, (size_t)ft_shape_size(param->shape) * sizeof *param->p);
    }
    *key = XXH3_64bits_digest(h);
    XXH3_freeState(h);
    free(before);
    return e;
}

/* ---- opening ---- */

typedef struct content_job {
    ft_features *f;
    bool *bad; /* (n): those that cannot be read */
} content_job;

static void hash_image(void *ctx, int64_t i, int32_t thread) {
    (void)thread;
    content_job *job = ctx;
    job->bad[i] = ft_dataset_content(job->f->ds, job->f->index[i], &job->f->content[i]) != FT_OK;
}

static ft_err hash_images(ft_features *f) {
    content_job job = {f, ft_alloc((size_t)f->n, sizeof *job.bad)};
    FT_REQUIRE(job.bad, MEMORY, "no memory for the features of %d images", f->n);
    ft_par_for(f->n, hash_image, &job);
    ft_err e = FT_OK;
    for (int32_t i = 0; i < f->n && e == FT_OK; i++) {
        if (!job.bad[i]) continue;
        e = ft_dataset_content(f->ds, f->index[i], &f->content[i]); /* again, for the message */
        if (e == FT_E_DATA && f->loading.quarantine)
            e = ft_quarantine_add(f->loading.quarantine, f->index[i], ft_err_message());
    }
    free(job.bad);
    return e;
}

static ft_err take_index(ft_features *f, const int32_t *index) {
    f->index = ft_alloc((size_t)f->n, sizeof *f->index);
    f->position = ft_alloc((size_t)f->ds->n, sizeof *f->position);
    f->content = ft_alloc((size_t)f->n, sizeof *f->content);
    FT_REQUIRE(f->index && f->position && f->content, MEMORY, "no memory for the features of %d images",
               f->n);
    for (int32_t i = 0; i < f->ds->n; i++) f->position[i] = -1;
    for (int32_t i = 0; i < f->n; i++) {
        f->index[i] = index[i];
        f->position[index[i]] = i;
    }
    return FT_OK;
}

static ft_err open_store(ft_features *f, const ft_features_options *o) {
    uint64_t key = 0;
    FT_TRY(key_of(f, o->augmentation, &key));
    const char *at = strstr(o->path, "%s");
    int length = at ? (int)(at - o->path) : (int)strlen(o->path);
    char hex[24] = "";
    if (at) snprintf(hex, sizeof hex, "%016llx", (unsigned long long)key);
    FT_REQUIRE(asprintf(&f->path, "%.*s%s%s", length, o->path, hex, at ? at + 2 : "") >= 0, MEMORY,
               "no memory for the name of the features' file");
    int32_t variants = f->variants ? f->variants : 1;
    ft_feature_spec spec = {.key = key,
                            .rows = (int64_t)f->n * variants,
                            .floats = ft_shape_size(ft_val_shape(f->model->g, f->cut)),
                            .bf16 = o->bf16,
                            .memory_bytes = o->memory_bytes};
    return ft_feature_store_open(f->path, &spec, &f->store);
}

ft_err ft_features_open(ft_model *m, ft_val cut, const ft_dataset *ds, const int32_t *index, int32_t n,
                        const ft_features_options *o, ft_features **out) {
    *out = NULL;
    ft_features *f = calloc(1, sizeof *f);
    FT_REQUIRE(f, MEMORY, "no memory for features");
    *f = (ft_features){.model = m,
                       .cut = cut,
                       .ds = ds,
                       .loading = o->loading,
                       .direct = o->direct,
                       .n = n,
                       .variants = o->loading.variants};
    f->loading.shuffle = f->loading.drop_last = false;
    f->loading.cache_mb = 0;
    f->loading.batch = BATCH;
    ft_err e = take_index(f, index);
    if (e == FT_OK) e = hash_images(f);
    if (e == FT_OK) e = open_store(f, o);
    if (e != FT_OK)
        ft_features_free(f);
    else
        *out = f;
    return e;
}

void ft_features_free(ft_features *f) {
    if (!f) return;
    ft_feature_store_free(f->store);
    free(f->index);
    free(f->position);
    free(f->content);
    free(f->path);
    free(f);
}

/* ---- making ---- */

static int32_t variant_of(const ft_features *f, int64_t epoch) {
    return f->variants ? (int32_t)(epoch % f->variants) : 0;
}

static int64_t row_of(const ft_features *f, int32_t variant, int32_t position) {
    return (int64_t)variant * f->n + position;
}

static ft_err keep_batch(ft_features *f, int32_t variant, const ft_batch *b, const ft_view *made) {
    int64_t floats = ft_rows(made) / made->n * made->c;
    for (int32_t i = 0; i < b->n; i++) {
        const ft_real *row = made->p + i * floats;
        int32_t position = f->position[b->index[i]];
        for (int64_t k = 0; k < floats; k++) {
            if (isfinite(row[k])) continue;
            char name[256];
            ft_dataset_name(f->ds, b->index[i], name, sizeof name);
            FT_FAIL(NUMERIC,
                    "%s: what the frozen part of the network makes of it is not a number: its "
                    "weights are broken, or the image is",
                    name);
        }
        FT_TRY(ft_feature_store_put(f->store, row_of(f, variant, position), f->content[position], row));
    }
    return FT_OK;
}

/* All that the loader gives, through the prefix. */
static ft_err run(ft_features *f, ft_plan *plan, ft_loader *loader, int64_t epoch, int64_t n,
                  ft_features_told *told, void *ctx) {
    FT_TRY(ft_loader_start(loader, epoch, 0));
    for (;;) {
        ft_batch b;
        FT_TRY(ft_loader_next(loader, &b));
        if (b.n == 0) return FT_OK;
        ft_view x = ft_plan_value(plan, f->model->input, b.n), made = ft_plan_value(plan, f->cut, b.n);
        memcpy(x.p, b.x, (size_t)(ft_rows(&x) * x.c) * sizeof *x.p);
        ft_plan_forward(plan, b.n, 0);
        FT_TRY(keep_batch(f, variant_of(f, epoch), &b, &made));
        int64_t done = (int64_t)b.next * BATCH;
        if (told && !told(ctx, done < n ? done : n, n))
            FT_FAIL(STOPPED, "stopped while the features were made; those that are made are kept");
    }
}

ft_err ft_features_make(ft_features *f, int64_t epoch, ft_features_told *told, void *ctx) {
    int32_t *missing = ft_alloc((size_t)f->n, sizeof *missing), n = 0, variant = variant_of(f, epoch);
    FT_REQUIRE(missing, MEMORY, "no memory for a list of %d images", f->n);
    for (int32_t i = 0; i < f->n; i++)
        if (!ft_feature_store_has(f->store, row_of(f, variant, i), f->content[i])) missing[n++] = f->index[i];
    ft_plan_spec spec = {.batch = n < BATCH ? n : BATCH,
                         .n_outputs = 1,
                         .outputs = &f->cut,
                         .direct = f->direct};
    ft_loader *loader = NULL;
    ft_plan *plan = NULL;
    ft_err e = n ? ft_loader_new(f->ds, missing, n, &f->loading, &loader) : FT_OK;
    if (e == FT_OK && n) e = ft_compile(f->model->g, &spec, &plan);
    if (e == FT_OK && n) e = run(f, plan, loader, epoch, n, told, ctx);
    ft_plan_free(plan);
    ft_loader_free(loader);
    free(missing);
    return e;
}

ft_err ft_features_get(const ft_features *f, int64_t epoch, int32_t n, const int32_t samples[],
                       const ft_view *to) {
    int64_t floats = ft_rows(to) / to->n * to->c;
    int32_t variant = variant_of(f, epoch);
    for (int32_t i = 0; i < n; i++)
        FT_TRY(
            ft_feature_store_get(f->store, row_of(f, variant, f->position[samples[i]]), to->p + i * floats));
    return FT_OK;
}

ft_err ft_batch_feed(const ft_batch *b, const ft_features *f, int64_t epoch, ft_plan *plan, ft_val to) {
    ft_view x = ft_plan_value(plan, to, b->n);
    if (f) return ft_features_get(f, epoch, b->n, b->index, &x);
    memcpy(x.p, b->x, (size_t)(ft_rows(&x) * x.c) * sizeof *x.p);
    return FT_OK;
}

const char *ft_features_path(const ft_features *f) {
    return f->path;
}
int64_t ft_features_bytes(const ft_features *f) {
    return ft_feature_store_bytes(f->store);
}
bool ft_features_in_memory(const ft_features *f) {
    return ft_feature_store_in_memory(f->store);
}

/* The loader: a ring of batches that workers fill and the caller empties, both in order.
 *
 *      released        out           claim                    end
 *   ------|-------------|---------------|----------------------|      batch numbers of an epoch
 *         | given to    | filled, or    | not begun
 *         | the caller  | being filled  |
 *   batch k lives in slot k % n_slots; claim - released <= n_slots bounds the memory.
 */
#include "data/loader.h"

#include "data/loader_sample.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_WORKERS = 256, MESSAGE_BYTES = 1024 };

typedef struct bad_sample {
    int32_t sample;
    char *reason; /* owned; NULL: no memory for it */
} bad_sample;

typedef struct slot {
    float *x, *labels; /* (batch, h, w, c), (batch) */
    float *targets;    /* (batch, target width) */
    int32_t *index;    /* (batch) */
    int32_t n;
    float share;     /* ft_batch.share */
    bad_sample *bad; /* (batch), of these n_bad; NULL without a quarantine */
    int32_t n_bad;
    bool ready;
    ft_err err;
    char message[MESSAGE_BYTES];
} slot;

struct ft_loader {
    ft_sampler sampler;
    int32_t n, n_batches, n_slots;
    int32_t length; /* samples in an epoch */
    int64_t sample_floats;
    int32_t target_width;
    int32_t *index;             /* (n): sample numbers */
    int32_t *order;             /* (length): this epoch's positions in index */
    ft_order *drawing;          /* NULL without shuffle */
    slot *slots;                /* (n_slots) */
    ft_sampler_scratch scratch; /* the caller's own, without workers */
    pthread_t *threads;
    int32_t n_threads;

    pthread_mutex_t lock; /* guards what follows, and slot.ready */
    pthread_cond_t work, done;
    int32_t claim, out, released, end;
    int32_t n_active; /* workers filling a slot */
    bool quit;

    atomic_bool abandon; /* workers leave their batch at the next sample */
    uint64_t epoch_seed; /* written only while no worker is active */
    double waited;
};

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void forget_bad(slot *s) {
    while (s->n_bad > 0) free(s->bad[--s->n_bad].reason);
}

/* Puts the sample at that position into the slot, unless it is bad. */
static void add_sample(ft_loader *l, ft_sampler_scratch *scratch, slot *s, int32_t position) {
    const ft_quarantine *quarantine = l->sampler.options.quarantine;
    int32_t sample = l->index[position];
    if (quarantine && ft_quarantine_has(quarantine, sample)) return;
    ft_err e = s->x ? ft_sampler_make(&l->sampler, scratch, l->epoch_seed, position, sample,
                                      s->x + s->n * l->sample_floats)
                    : FT_OK;
    if (e == FT_OK) {
        float *target = s->targets + (int64_t)s->n * l->target_width;
        for (int32_t t = 0; t < l->sampler.ds->n_targets; t++) {
            ft_dataset_target(l->sampler.ds, sample, t, target);
            target += ft_target_width(&l->sampler.ds->targets[t]);
        }
        s->index[s->n] = sample;
        s->labels[s->n++] = (float)ft_dataset_label(l->sampler.ds, sample);
    } else if (quarantine && e == FT_E_DATA) {
        s->bad[s->n_bad++] = (bad_sample){sample, strdup(ft_err_message())};
    } else {
        s->err = e;
        strncpy(s->message, ft_err_message(), sizeof s->message - 1);
    }
}

/* Fills the slot of batch k; failures stay in the slot. */
static void fill_batch(ft_loader *l, ft_sampler_scratch *scratch, int32_t k) {
    slot *s = &l->slots[k % l->n_slots];
    int32_t size = l->sampler.options.batch, from = k * size,
            n = l->length - from < size ? l->length - from : size;
    s->n = 0;
    s->err = FT_OK;
    forget_bad(s);
    for (int32_t i = 0; i < n && s->err == FT_OK; i++) {
        if (atomic_load_explicit(&l->abandon, memory_order_relaxed)) return;
        add_sample(l, scratch, s, l->order[from + i]);
    }
    const ft_loader_options *o = &l->sampler.options;
    s->share = 1;
    if (s->err != FT_OK || !s->x || !o->training || !ft_mix_changes(&o->augment.mix)) return;
    ft_rng rng = ft_augment_batch_rng(l->epoch_seed, k);
    s->share =
        ft_mix_batch(&o->augment.mix, &rng, s->n, o->image.h, o->image.w, o->image.c, s->x, scratch->numbers);
}

static bool can_claim(const ft_loader *l) {
    return l->claim < l->end && l->claim - l->released < l->n_slots;
}

static void *work(void *arg) {
    ft_loader *l = arg;
    ft_sampler_scratch scratch;
    ft_err ready = ft_sampler_scratch_init(&scratch, &l->sampler.options.image);
    pthread_mutex_lock(&l->lock);
    for (;;) {
        while (!l->quit && !can_claim(l)) pthread_cond_wait(&l->work, &l->lock);
        if (l->quit) break;
        int32_t k = l->claim++;
        slot *s = &l->slots[k % l->n_slots];
        l->n_active++;
        pthread_mutex_unlock(&l->lock);
        if (ready == FT_OK) {
            fill_batch(l, &scratch, k);
        } else {
            s->err = ready;
            strncpy(s->message, ft_err_message(), sizeof s->message - 1);
        }
        pthread_mutex_lock(&l->lock);
        l->n_active--;
        s->ready = true;
        pthread_cond_signal(&l->done); /* only the caller waits for it */
    }
    pthread_mutex_unlock(&l->lock);
    ft_sampler_scratch_free(&scratch);
    return NULL;
}

static ft_err check(const ft_dataset *ds, const int32_t *index, int32_t n, const ft_loader_options *o) {
    FT_TRY(ft_preprocess_check(&o->image));
    FT_TRY(ft_augment_check(&o->augment, o->image.h, o->image.w));
    FT_REQUIRE(o->batch >= 1, CONFIG, "the batch size is %d; it must be at least 1", o->batch);
    FT_REQUIRE(o->workers >= 0 && o->workers <= MAX_WORKERS, CONFIG,
               "data.workers is %d; it lies between 0 and %d", o->workers, MAX_WORKERS);
    FT_REQUIRE(o->cache_mb >= 0, CONFIG, "data.cache_mb is %d; it must not be negative", o->cache_mb);
    FT_REQUIRE(n >= 1, DATA, "there are no images to load");
    FT_REQUIRE(!o->shuffle || o->order.how != FT_SAMPLING_IDENTITIES ||
                   (int64_t)o->order.classes * o->order.images == o->batch,
               CONFIG, "data.sampling: %d classes of %d images each make no batch of train.batch: %d",
               o->order.classes, o->order.images, o->batch);
    FT_REQUIRE(!o->drop_last || n >= o->batch, CONFIG,
               "%d images are fewer than a batch of %d, and short batches are dropped; lower the batch size",
               n, o->batch);
    for (int32_t i = 0; i < n; i++)
        FT_REQUIRE(index[i] >= 0 && index[i] < ds->n, USAGE, "sample %d does not exist; the data set has %d",
                   index[i], ds->n);
    return FT_OK;
}

static ft_err allocate(ft_loader *l, const int32_t *index) {
    const ft_loader_options *o = &l->sampler.options;
    size_t batch = (size_t)(o->batch < l->n ? o->batch : l->n), floats = (size_t)l->sample_floats;
    l->index = malloc((size_t)l->n * sizeof *l->index);
    l->order = malloc((size_t)l->length * sizeof *l->order);
    l->slots = calloc((size_t)l->n_slots, sizeof *l->slots);
    bool ok = l->index && l->order && l->slots;
    for (int32_t i = 0; ok && i < l->n_slots; i++) {
        slot *s = &l->slots[i];
        if (!o->numbers_only) s->x = ft_alloc(batch, floats * sizeof(float));
        s->labels = ft_alloc(batch, sizeof(float));
        s->index = ft_alloc(batch, sizeof(int32_t));
        s->targets = ft_alloc(batch, (size_t)(l->target_width + 1) * sizeof(float));
        if (o->quarantine) s->bad = ft_alloc(batch, sizeof *s->bad);
        ok = (s->x || o->numbers_only) && s->labels && s->targets && s->index && (s->bad || !o->quarantine);
    }
    FT_REQUIRE(ok, MEMORY,
               "no memory for %d batches of %zu images of %d x %d x %d; lower the batch size or data.workers",
               l->n_slots, batch, o->image.h, o->image.w, o->image.c);
    memcpy(l->index, index, (size_t)l->n * sizeof *index);
    int64_t budget = (int64_t)o->cache_mb << 20;
    if (budget >= l->n * l->sample_floats && budget > 0 && !l->sampler.ds->in_memory)
        FT_TRY(ft_image_cache_new(l->n, budget, &l->sampler.cache));
    return o->workers == 0 ? ft_sampler_scratch_init(&l->scratch, &o->image) : FT_OK;
}

/* Workers take no signals: those are for the thread that trains. */
static ft_err start_threads(ft_loader *l) {
    int32_t n = l->sampler.options.workers;
    if (n == 0) return FT_OK;
    l->threads = calloc((size_t)n, sizeof *l->threads);
    FT_REQUIRE(l->threads, MEMORY, "no memory for %d workers", n);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int bad = 0;
    while (!bad && l->n_threads < n)
        if ((bad = pthread_create(&l->threads[l->n_threads], NULL, work, l)) == 0) l->n_threads++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    FT_REQUIRE(!bad, MEMORY, "cannot start worker %d of %d: %s; lower data.workers", l->n_threads + 1, n,
               strerror(bad));
    return FT_OK;
}

ft_err ft_loader_new(const ft_dataset *ds, const int32_t *index, int32_t n, const ft_loader_options *options,
                     ft_loader **loader) {
    *loader = NULL;
    FT_TRY(check(ds, index, n, options));
    ft_loader *l = calloc(1, sizeof *l);
    FT_REQUIRE(l, MEMORY, "no memory for a loader");
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->work, NULL);
    pthread_cond_init(&l->done, NULL);
    l->sampler = (ft_sampler){.ds = ds, .options = *options};
    if (options->numbers_only) l->sampler.options.workers = l->sampler.options.cache_mb = 0;
    ft_normalizer_init(&l->sampler.normalizer, &options->image);
    ft_normalizer_init(&l->sampler.unit, &(ft_preprocess){.normalize = FT_NORMALIZE_UNIT});
    l->n = l->length = n;
    ft_err e = options->shuffle ? ft_order_new(ds, index, n, &options->order, &l->drawing) : FT_OK;
    if (l->drawing) l->length = ft_order_length(l->drawing);
    l->n_batches = l->length / options->batch + (l->length % options->batch && !options->drop_last);
    l->n_slots = ft_loader_slots(l->sampler.options.workers);
    l->target_width = ft_dataset_target_width(ds);
    l->sample_floats = (int64_t)options->image.h * options->image.w * options->image.c;
    if (e == FT_OK) e = allocate(l, index);
    if (e == FT_OK) e = start_threads(l);
    if (e != FT_OK)
        ft_loader_free(l);
    else
        *loader = l;
    return e;
}

void ft_loader_free(ft_loader *loader) {
    if (!loader) return;
    ft_loader *l = loader;
    pthread_mutex_lock(&l->lock);
    l->quit = true;
    atomic_store(&l->abandon, true);
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->lock);
    for (int32_t i = 0; i < l->n_threads; i++) pthread_join(l->threads[i], NULL);
    free(l->threads);
    for (int32_t i = 0; l->slots && i < l->n_slots; i++) {
        free(l->slots[i].x);
        free(l->slots[i].labels);
        free(l->slots[i].targets);
        free(l->slots[i].index);
        forget_bad(&l->slots[i]);
        free(l->slots[i].bad);
    }
    free(l->slots);
    free(l->index);
    free(l->order);
    ft_order_free(l->drawing);
    ft_image_cache_free(l->sampler.cache);
    ft_sampler_scratch_free(&l->scratch);
    pthread_cond_destroy(&l->done);
    pthread_cond_destroy(&l->work);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

int32_t ft_loader_batches(const ft_loader *loader) {
    return loader->n_batches;
}

int32_t ft_loader_samples(const ft_loader *loader) {
    return loader->length;
}

double ft_loader_waited(const ft_loader *loader) {
    return loader->waited;
}

ft_err ft_loader_start(ft_loader *loader, int64_t epoch, int32_t first_batch) {
    ft_loader *l = loader;
    const ft_loader_options *o = &l->sampler.options;
    FT_REQUIRE(first_batch >= 0 && first_batch <= l->n_batches, USAGE,
               "the epoch cannot begin at batch %d; it has %d batches", first_batch, l->n_batches);
    pthread_mutex_lock(&l->lock);
    l->end = 0; /* nothing to claim */
    atomic_store(&l->abandon, true);
    while (l->n_active > 0) pthread_cond_wait(&l->done, &l->lock);
    atomic_store(&l->abandon, false);
    for (int32_t i = 0; i < l->n_slots; i++) l->slots[i].ready = false;
    for (int32_t i = 0; i < l->length && !l->drawing; i++) l->order[i] = i;
    if (l->drawing) ft_order_draw(l->drawing, o->seed, epoch, l->order);
    l->epoch_seed = ft_augment_seed(o->seed, o->variants ? epoch % o->variants : epoch);
    l->claim = l->out = l->released = first_batch;
    l->end = l->n_batches;
    l->waited = 0;
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->lock);
    return FT_OK;
}

/* Takes batch l->out, filled by a worker or here. */
static slot *take_slot(ft_loader *l) {
    slot *s = &l->slots[l->out % l->n_slots];
    double before = seconds();
    pthread_mutex_lock(&l->lock);
    if (l->released < l->out) { /* the caller is done with the previous batch */
        l->released = l->out;
        pthread_cond_signal(&l->work);
    }
    if (l->n_threads == 0) {
        l->claim++;
        fill_batch(l, &l->scratch, l->out);
        s->ready = true;
    }
    while (!s->ready) pthread_cond_wait(&l->done, &l->lock);
    s->ready = false;
    l->out++;
    pthread_mutex_unlock(&l->lock);
    l->waited += seconds() - before;
    return s;
}

static ft_err set_aside(ft_loader *l, slot *s) {
    for (int32_t i = 0; i < s->n_bad; i++)
        FT_TRY(ft_quarantine_add(l->sampler.options.quarantine, s->bad[i].sample,
                                 s->bad[i].reason ? s->bad[i].reason : "no memory for the reason"));
    return FT_OK;
}

ft_err ft_loader_next(ft_loader *loader, ft_batch *b) {
    *b = (ft_batch){0};
    while (loader->out < loader->end) {
        slot *s = take_slot(loader);
        FT_TRY(set_aside(loader, s));
        if (s->err != FT_OK) return ft_err_set(s->err, "%s", s->message);
        if (s->n == 0) continue;
        *b = (ft_batch){.n = s->n,
                        .x = s->x,
                        .labels = s->labels,
                        .targets = loader->target_width ? s->targets : NULL,
                        .index = s->index,
                        .share = s->share,
                        .next = loader->out};
        return FT_OK;
    }
    b->next = loader->end;
    return FT_OK;
}

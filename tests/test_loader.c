/* Augmentation and the loader: the same batches for any number of workers and any start, errors where they
 * belong. */
#include "data/augment.h"
#include "data/image_cache.h"
#include "data/loader.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- a data set of computed images, some of which can be broken ---- */

enum { N = 53, H = 9, W = 11, CLASSES = 5 };

typedef struct fake {
    ft_dataset base;
    int32_t broken[2]; /* samples that fail to read; -1: none */
    useconds_t delay;  /* a slow disk */
    _Atomic int32_t n_reads;
} fake;

static int32_t fake_label(const ft_dataset *ds, int32_t i) {
    (void)ds;
    return i % CLASSES;
}

static void fake_name(const ft_dataset *ds, int32_t i, char *buffer, size_t n) {
    (void)ds;
    snprintf(buffer, n, "fake/%d.png", i);
}

static uint8_t fake_pixel(int32_t i, int64_t k) {
    return (uint8_t)(i * 131 + k * 17 + k * k % 91);
}

static ft_err fake_read(const ft_dataset *ds, int32_t i, ft_image_want want, ft_image *out) {
    fake *f = (fake *)(uintptr_t)ds;
    f->n_reads++;
    *out = (ft_image){0};
    if (f->delay) usleep(f->delay);
    if (i == f->broken[0] || i == f->broken[1]) FT_FAIL(DATA, "fake/%d.png: broken on purpose", i);
    int32_t extra = i % 4; /* different sizes */
    FT_TRY(ft_image_alloc(out, W + extra, H + 2 * extra, want.c));
    int64_t n = (int64_t)out->w * out->h * out->c;
    for (int64_t k = 0; k < n; k++) out->p[k] = fake_pixel(i, k);
    return FT_OK;
}

static const ft_dataset_ops fake_ops = {.kind = "fake",
                                        .label = fake_label,
                                        .name = fake_name,
                                        .read = fake_read};

static fake make_fake(void) {
    return (fake){.base = {.ops = &fake_ops, .n = N, .n_classes = CLASSES}, .broken = {-1, -1}};
}

static const ft_loader_options basic = {
    .image = {.h = H, .w = W, .c = 3, .normalize = FT_NORMALIZE_INCEPTION},
    .training = true,
    .augment = {.flip = true, .crop = FT_CROP_RANDOM, .pad = 2},
    .batch = 8,
    .shuffle = true,
    .seed = 5};

enum { FLOATS = H * W * 3, BATCHES = (N + 7) / 8 };

static ft_loader *make_loader(fake *ds, ft_loader_options o) {
    int32_t index[N];
    for (int32_t i = 0; i < N; i++) index[i] = N - 1 - i;
    ft_loader *l;
    ft_err e = ft_loader_new(&ds->base, index, N, &o, &l);
    ck_assert_msg(e == FT_OK, "%s", ft_err_message());
    return l;
}

/* What an epoch delivered, in order. */
typedef struct epoch {
    int32_t n, index[N];
    float labels[N], x[N * FLOATS];
} epoch;

static void run_epoch(ft_loader *l, int64_t number, int32_t first, epoch *e) {
    e->n = 0;
    ck_assert_int_eq(ft_loader_start(l, number, first), FT_OK);
    for (;;) {
        ft_batch b;
        ck_assert_int_eq(ft_loader_next(l, &b), FT_OK);
        if (b.n == 0) break;
        ck_assert_int_le(e->n + b.n, N);
        memcpy(e->index + e->n, b.index, (size_t)b.n * sizeof(int32_t));
        memcpy(e->labels + e->n, b.labels, (size_t)b.n * sizeof(float));
        memcpy(e->x + e->n * FLOATS, b.x, (size_t)b.n * FLOATS * sizeof(float));
        e->n += b.n;
    }
}

static void same_epochs(const epoch *a, const epoch *b) {
    ck_assert_int_eq(a->n, b->n);
    ck_assert_mem_eq(a->index, b->index, (size_t)a->n * sizeof(int32_t));
    ck_assert_mem_eq(a->labels, b->labels, (size_t)a->n * sizeof(float));
    ck_assert_mem_eq(a->x, b->x, (size_t)a->n * FLOATS * sizeof(float));
}

static epoch reference, other;

/* ---- the loader ---- */

static const ft_augment augments[] = {
    {0},
    {.flip = true, .crop = FT_CROP_RANDOM, .pad = 2},
    {.crop = FT_CROP_RANDOM, .pad = 3, .reflect = true, .rotate = 10, .shift = 0.1f, .scale = 0.1f},
    {.flip = true, .crop = FT_CROP_INCEPTION},
    {.flip = true, .color = {.color = FT_COLOR_INCEPTION}},
};

START_TEST(any_number_of_workers) {
    ft_loader_options o = basic;
    o.augment = augments[_i];
    fake ds = make_fake();
    ft_loader *l = make_loader(&ds, o);
    run_epoch(l, 3, 0, &reference);
    ft_loader_free(l);
    for (o.workers = 0; o.workers <= 4; o.workers++)
        for (o.cache_mb = 0; o.cache_mb <= 1; o.cache_mb++) {
            l = make_loader(&ds, o);
            run_epoch(l, 2, 0, &other); /* another epoch before, for the cache */
            ck_assert_mem_ne(other.index, reference.index, sizeof other.index);
            ck_assert_mem_ne(other.x, reference.x, sizeof other.x);
            run_epoch(l, 3, 0, &other);
            same_epochs(&reference, &other);
            ft_loader_free(l);
        }
}
END_TEST

START_TEST(resume_in_the_middle) {
    fake ds = make_fake();
    for (int32_t workers = 0; workers <= 3; workers++) {
        ft_loader_options o = basic;
        o.workers = workers;
        ft_loader *l = make_loader(&ds, o);
        run_epoch(l, 1, 0, &reference);
        for (int32_t first = 0; first <= BATCHES; first++) {
            ft_batch b; /* leave an epoch while workers are at it */
            ck_assert_int_eq(ft_loader_start(l, 0, 2), FT_OK);
            ck_assert_int_eq(ft_loader_next(l, &b), FT_OK);
            run_epoch(l, 1, first, &other);
            int32_t skipped = first * 8 < N ? first * 8 : N;
            ck_assert_int_eq(other.n, N - skipped);
            ck_assert_mem_eq(other.index, reference.index + skipped, (size_t)other.n * sizeof(int32_t));
            ck_assert_mem_eq(other.x, reference.x + skipped * FLOATS,
                             (size_t)other.n * FLOATS * sizeof(float));
        }
        ck_assert_int_eq(ft_loader_start(l, 1, BATCHES + 1), FT_E_USAGE);
        ck_assert_int_eq(ft_loader_start(l, 1, -1), FT_E_USAGE);
        ft_loader_free(l);
    }
}
END_TEST

START_TEST(each_sample_once) {
    fake ds = make_fake();
    ft_loader *l = make_loader(&ds, basic);
    ck_assert_int_eq(ft_loader_batches(l), BATCHES);
    ft_batch b;
    ck_assert_int_eq(ft_loader_next(l, &b), FT_OK); /* not started: nothing to deliver */
    ck_assert_int_eq(b.n, 0);
    for (int64_t e = 0; e < 3; e++) {
        run_epoch(l, e, 0, &other);
        ck_assert_int_eq(other.n, N);
        int32_t seen[N] = {0};
        for (int32_t i = 0; i < N; i++) {
            seen[other.index[i]]++;
            ck_assert(fabsf(other.labels[i] - (float)(other.index[i] % CLASSES)) <= 0);
        }
        for (int32_t i = 0; i < N; i++) ck_assert_int_eq(seen[i], 1);
    }
    ck_assert_int_eq(ft_loader_next(l, &b), FT_OK); /* the end stays the end */
    ck_assert_int_eq(b.n, 0);
    ft_loader_free(l);
}
END_TEST

START_TEST(numbers_only) { /* the same samples in the same order, and nothing is read */
    fake ds = make_fake(), unread = make_fake();
    ft_loader_options o = basic;
    ft_loader *l = make_loader(&ds, o);
    run_epoch(l, 3, 2, &reference);
    ft_loader_free(l);
    o.numbers_only = true;
    o.workers = 2;
    o.cache_mb = 8;
    l = make_loader(&unread, o);
    ck_assert_int_eq(ft_loader_start(l, 3, 2), FT_OK);
    int32_t n = 0;
    for (ft_batch b; ft_loader_next(l, &b) == FT_OK && b.n > 0; n += b.n) {
        ck_assert_ptr_null(b.x);
        ck_assert_mem_eq(b.index, reference.index + n, (size_t)b.n * sizeof *b.index);
        ck_assert_mem_eq(b.labels, reference.labels + n, (size_t)b.n * sizeof *b.labels);
    }
    ck_assert_int_eq(n, reference.n);
    ck_assert_int_eq(unread.n_reads, 0);
    ft_loader_free(l);
}
END_TEST

START_TEST(batch_sizes) {
    fake ds = make_fake();
    for (int drop = 0; drop < 2; drop++) {
        ft_loader_options o = basic;
        o.workers = 2;
        o.drop_last = drop;
        ft_loader *l = make_loader(&ds, o);
        ck_assert_int_eq(ft_loader_batches(l), drop ? 6 : 7);
        ck_assert_int_eq(ft_loader_start(l, 0, 0), FT_OK);
        int32_t n = 0, last = 0;
        for (ft_batch b; ft_loader_next(l, &b) == FT_OK && b.n; n++) last = b.n;
        ck_assert_int_eq(n, drop ? 6 : 7);
        ck_assert_int_eq(last, drop ? 8 : N % 8);
        ft_loader_free(l);
    }
}
END_TEST

/* No chance at all: order as given, the whole image resized, numbers from the definition. */
START_TEST(plain_pixels) {
    fake ds = make_fake();
    ft_loader_options o = basic;
    o.shuffle = false;
    o.training = false; /* then augment is not applied */
    ft_loader *l = make_loader(&ds, o);
    run_epoch(l, 0, 0, &other);
    for (int32_t i = 0; i < N; i++) ck_assert_int_eq(other.index[i], N - 1 - i);
    ft_resizer r = {0};
    for (int32_t i = 0; i < N; i++) {
        ft_image im;
        float x[FLOATS];
        ck_assert_int_eq(ft_dataset_read(&ds.base, other.index[i], (ft_image_want){.c = 3}, &im), FT_OK);
        ck_assert_int_eq(ft_preprocess_image(&o.image, &r, &im, x), FT_OK);
        ck_assert_mem_eq(x, other.x + i * FLOATS, sizeof x);
        if (other.index[i] % 4 == 0) /* of the input's size already */
            for (int k = 0; k < FLOATS; k++) ck_assert(fabsf(x[k] - ((float)im.p[k] / 127.5f - 1)) <= 1e-6f);
        ft_image_free(&im);
    }
    ft_resizer_free(&r);
    ft_loader_free(l);
}
END_TEST

START_TEST(bad_image) {
    for (int32_t workers = 0; workers <= 4; workers++) {
        fake ds = make_fake();
        ft_loader_options o = basic;
        o.workers = workers;
        o.cache_mb = 1;
        ft_loader *l = make_loader(&ds, o);
        run_epoch(l, 9, 0, &reference);
        ft_loader_free(l);
        /* two bad ones in batch 3: the message is about the first in order */
        ds.broken[0] = reference.index[3 * 8 + 5];
        ds.broken[1] = reference.index[3 * 8 + 2];
        l = make_loader(&ds, o);
        ck_assert_int_eq(ft_loader_start(l, 9, 0), FT_OK);
        for (int32_t k = 0; k < BATCHES; k++) {
            ft_batch b;
            ft_err e = ft_loader_next(l, &b);
            ck_assert_int_eq(e, k == 3 ? FT_E_DATA : FT_OK);
            if (k == 3) {
                char name[64];
                snprintf(name, sizeof name, "fake/%d.png: broken", ds.broken[1]);
                ck_assert_msg(strstr(ft_err_message(), name) != NULL, "%s", ft_err_message());
                ck_assert_int_eq(b.n, 0);
            } else {
                ck_assert_mem_eq(b.index, reference.index + k * 8, (size_t)b.n * sizeof(int32_t));
                ck_assert_mem_eq(b.x, reference.x + k * 8 * FLOATS, (size_t)b.n * FLOATS * sizeof(float));
            }
        }
        ft_loader_free(l);
    }
}
END_TEST

START_TEST(free_while_running) {
    fake ds = make_fake();
    ds.delay = 200;
    for (int i = 0; i < 30; i++) {
        ft_loader_options o = basic;
        o.workers = 1 + i % 4;
        o.cache_mb = i % 2;
        ft_loader *l = make_loader(&ds, o);
        if (i % 5 != 4) ck_assert_int_eq(ft_loader_start(l, i, 0), FT_OK);
        ft_batch b;
        for (int k = 0; k < i % 3; k++) ck_assert_int_eq(ft_loader_next(l, &b), FT_OK);
        if (i % 7 == 0) ck_assert_int_eq(ft_loader_start(l, i, 1), FT_OK);
        ft_loader_free(l);
    }
    ft_loader_free(NULL);
}
END_TEST

START_TEST(bounded_prefetch) { /* workers + 2 batches, however long the caller takes */
    fake ds = make_fake();
    ft_loader_options o = basic;
    o.workers = 2;
    o.batch = 2;
    ft_loader *l = make_loader(&ds, o);
    ck_assert_int_eq(ft_loader_start(l, 0, 0), FT_OK);
    ft_batch b;
    ck_assert_int_eq(ft_loader_next(l, &b), FT_OK);
    for (int i = 0; i < 5000 && ds.n_reads < 4 * 2; i++) usleep(1000);
    usleep(20000); /* would they go on? */
    ck_assert_int_eq(ds.n_reads, 4 * 2);
    ft_loader_free(l);
}
END_TEST

START_TEST(cache_saves_reading) {
    fake ds = make_fake();
    ft_loader_options o = basic;
    o.workers = 2;
    o.cache_mb = 1;
    ft_loader *l = make_loader(&ds, o);
    for (int64_t e = 0; e < 4; e++) run_epoch(l, e, 0, &other);
    ck_assert_int_eq(ds.n_reads, N);
    ft_loader_free(l);
    ft_image_cache *cache; /* a budget for one and a half images */
    ck_assert_int_eq(ft_image_cache_new(2, 150, &cache), FT_OK);
    ft_image im, got;
    for (int32_t i = 0; i < 2; i++) {
        ck_assert_int_eq(ft_image_alloc(&im, 10, 10, 1), FT_OK);
        ck_assert(ft_image_cache_put(cache, i, &im) == (i == 0));
        ck_assert(!ft_image_cache_put(cache, i, &im));
        ck_assert(ft_image_cache_get(cache, i, &got) == (i == 0));
        if (i == 1) ft_image_free(&im);
    }
    ft_image_cache_free(cache);
}
END_TEST

START_TEST(waiting_is_counted) {
    fake ds = make_fake();
    ds.delay = 2000;
    for (int32_t workers = 0; workers <= 1; workers++) {
        ft_loader_options o = basic;
        o.workers = workers;
        ft_loader *l = make_loader(&ds, o);
        ft_batch b;
        ck_assert_int_eq(ft_loader_start(l, 0, 0), FT_OK);
        ck_assert(!(ft_loader_waited(l) > 0));
        ck_assert_int_eq(ft_loader_next(l, &b), FT_OK);
        ck_assert(ft_loader_waited(l) >=
                  (workers ? 1e-9 : 8 * 0.002)); /* 8 images, all of them in the call */
        ft_loader_free(l);
    }
}
END_TEST

START_TEST(bad_options) {
    fake ds = make_fake();
    const int32_t index[3] = {0, 1, N};
    ft_loader *l;
    ft_loader_options bad[6];
    for (int i = 0; i < 6; i++) bad[i] = basic;
    bad[0].batch = 0;
    bad[1].workers = -1;
    bad[2].image.w = 0;
    bad[3].augment.pad = H;
    bad[4].cache_mb = -1;
    bad[5].drop_last = true; /* two images, batches of eight */
    for (int i = 0; i < 6; i++) {
        ck_assert_int_eq(ft_loader_new(&ds.base, index, 2, &bad[i], &l), FT_E_CONFIG);
        ck_assert_ptr_null(l);
    }
    ck_assert_int_eq(ft_loader_new(&ds.base, index, 0, &basic, &l), FT_E_DATA);
    ck_assert_int_eq(ft_loader_new(&ds.base, index, 3, &basic, &l), FT_E_USAGE);
}
END_TEST

/* ---- augmentation ---- */

START_TEST(draws) {
    ft_augment a = {
        .flip = true, .crop = FT_CROP_RANDOM, .pad = 2, .rotate = 10, .shift = 0.1f, .scale = 0.2f};
    int32_t mirrored = 0, at[5][5] = {{0}};
    enum { DRAWS = 5000 };
    uint64_t seed = ft_augment_seed(1, 2);
    for (int32_t i = 0; i < DRAWS; i++) {
        ft_augment_plan p = ft_augment_draw(&a, seed, i, 40, 30, 20, 20),
                        q = ft_augment_draw(&a, seed, i, 40, 30, 20, 20);
        ck_assert_mem_eq(&p.matrix, &q.matrix, sizeof p.matrix);
        ck_assert(p.mirrored == q.mirrored && p.dx == q.dx && p.dy == q.dy);
        ck_assert(p.dx >= -2 && p.dx <= 2 && p.dy >= -2 && p.dy <= 2);
        mirrored += p.mirrored;
        at[p.dy + 2][p.dx + 2]++;
        double zoom = 1 / sqrt(p.matrix[0] * p.matrix[0] + p.matrix[1] * p.matrix[1]);
        double angle = atan2(p.matrix[1], p.matrix[0]) * 180 / 3.14159265358979;
        ck_assert(zoom >= 0.8 - 1e-6 && zoom <= 1.2 + 1e-6 && fabs(angle) <= 10 + 1e-6);
    }
    ck_assert(abs(mirrored - DRAWS / 2) < 180); /* 5 standard deviations */
    for (int i = 0; i < 25; i++) ck_assert(abs(at[i / 5][i % 5] - DRAWS / 25) < 75);
    ft_augment_plan p = ft_augment_draw(&a, ft_augment_seed(1, 3), 0, 40, 30, 20, 20);
    ft_augment_plan q = ft_augment_draw(&a, seed, 0, 40, 30, 20, 20);
    ck_assert_mem_ne(&p.matrix, &q.matrix, sizeof p.matrix);
}
END_TEST

START_TEST(inception_boxes) {
    ft_augment a = {.crop = FT_CROP_INCEPTION};
    double mean_area = 0;
    enum { DRAWS = 3000 };
    for (int32_t i = 0; i < DRAWS; i++) {
        ft_box b = ft_augment_draw(&a, 77, i, 400, 300, 20, 20).box;
        double w = (double)(b.x1 - b.x0), h = (double)(b.y1 - b.y0), area = w * h / (400 * 300);
        ck_assert(b.x0 >= 0 && b.y0 >= 0 && b.x1 <= 400 && b.y1 <= 300);
        ck_assert(area >= 0.049 && area <= 1 && w / h >= 0.74 && w / h <= 1.36);
        mean_area += area / DRAWS;
    }
    ck_assert(mean_area > 0.4 && mean_area < 0.53);             /* 0.525, less what does not fit */
    ft_box b = ft_augment_draw(&a, 77, 1, 1000, 1, 20, 20).box; /* no box fits a line but small ones */
    ck_assert(b.x1 > b.x0 && b.y1 > b.y0);
}
END_TEST

START_TEST(shifting) {
    uint8_t p[20], q[20];
    for (int i = 0; i < 20; i++) p[i] = (uint8_t)(i + 1);
    ft_image src = {.p = p, .w = 5, .h = 4, .c = 1}, dst = {.p = q, .w = 5, .h = 4, .c = 1};
    for (int dy = -3; dy <= 3; dy++)
        for (int dx = -4; dx <= 4; dx++)
            for (int reflect = 0; reflect < 2; reflect++) {
                memset(q, 99, sizeof q);
                ft_image_shift(&src, dx, dy, reflect, &dst);
                for (int y = 0; y < 4; y++)
                    for (int x = 0; x < 5; x++) {
                        int sx = abs(x + dx), sy = abs(y + dy), want;
                        bool outside = x + dx < 0 || x + dx > 4 || y + dy < 0 || y + dy > 3;
                        if (sx > 4) sx = 8 - sx;
                        if (sy > 3) sy = 6 - sy;
                        want = outside && !reflect ? 0 : p[sy * 5 + sx];
                        ck_assert_int_eq(q[y * 5 + x], want);
                    }
            }
}
END_TEST

START_TEST(warping) {
    enum { S = 9 };
    uint8_t p[S * S * 3], q[S * S * 3];
    for (int i = 0; i < S * S; i++)
        for (int k = 0; k < 3; k++) p[3 * i + k] = (uint8_t)(20 + 9 * (i % S) + 7 * (i / S) + 30 * k);
    ft_image src = {.p = p, .w = S, .h = S, .c = 3}, dst = {.p = q, .w = S, .h = S, .c = 3};
    ft_image_warp(&src, (double[]){1, 0, 0, 0, 1, 0}, &dst);
    ck_assert_mem_eq(p, q, sizeof p);
    ft_image_warp(&src, (double[]){0, 1, 0, -1, 0, S - 1}, &dst); /* a quarter turn */
    for (int y = 0; y < S; y++)
        for (int x = 0; x < S; x++) ck_assert_int_eq(q[3 * (y * S + x)], p[3 * ((S - 1 - x) * S + y)]);
    /* a plane stays one under bilinear interpolation, where the source is not left */
    const double m[6] = {0.9, 0.2, 0.3, -0.15, 0.95, 1.1};
    ft_image_warp(&src, m, &dst);
    int inside = 0;
    for (int y = 0; y < S; y++)
        for (int x = 0; x < S; x++) {
            double sx = m[0] * x + m[1] * y + m[2], sy = m[3] * x + m[4] * y + m[5];
            if (sx < 0 || sx > S - 1 || sy < 0 || sy > S - 1) continue;
            inside++;
            for (int k = 0; k < 3; k++)
                ck_assert(fabs(20 + 9 * sx + 7 * sy + 30 * k - q[3 * (y * S + x) + k]) <= 0.6);
        }
    ck_assert_int_gt(inside, 50);
    ft_image_warp(&src, (double[]){1, 0, -100, 0, 1, 100}, &dst); /* far outside: the corner repeated */
    ck_assert_int_eq(q[0], p[3 * (S - 1) * S]);
}
END_TEST

/* A face turned, moved and enlarged about its centre: the plan's matrix undoes exactly that. */
START_TEST(warp_matrix_about_the_centre) {
    ft_augment a = {.rotate = 30};
    for (int32_t i = 0; i < 20; i++) {
        ft_augment_plan p = ft_augment_draw(&a, 5, i, 50, 40, 21, 11);
        ck_assert(p.warped);
        ck_assert(fabs(p.matrix[0] * 10 + p.matrix[1] * 5 + p.matrix[2] - 10) <= 1e-9); /* the centre stays */
        ck_assert(fabs(p.matrix[3] * 10 + p.matrix[4] * 5 + p.matrix[5] - 5) <= 1e-9);
        ck_assert(fabs(p.matrix[0] * p.matrix[4] - p.matrix[1] * p.matrix[3] - 1) <= 1e-9); /* a rotation */
    }
    ft_augment_plan none = ft_augment_draw(&(ft_augment){0}, 5, 0, 50, 40, 21, 11);
    ck_assert(!none.warped && !none.mirrored && none.dx == 0 && none.dy == 0);
    ft_crop crop;
    ck_assert_int_eq(ft_crop_parse("inception", &crop), FT_OK);
    ck_assert_int_eq(crop, FT_CROP_INCEPTION);
    ck_assert_str_eq(ft_crop_name(FT_CROP_RANDOM), "random");
    ck_assert_int_eq(ft_crop_parse("centre", &crop), FT_E_CONFIG);
    ck_assert_int_eq(ft_augment_check(&(ft_augment){.scale = 1}, 9, 9), FT_E_CONFIG);
    ck_assert_int_eq(ft_augment_check(&(ft_augment){.rotate = NAN}, 9, 9), FT_E_CONFIG);
}
END_TEST

int main(void) {
    Suite *s = suite_create("loader");
    TCase *loader = tcase_create("loader"), *augment = tcase_create("augment");
    tcase_set_timeout(loader, 60);
    tcase_add_loop_test(loader, any_number_of_workers, 0, sizeof augments / sizeof augments[0]);
    tcase_add_test(loader, resume_in_the_middle);
    tcase_add_test(loader, each_sample_once);
    tcase_add_test(loader, numbers_only);
    tcase_add_test(loader, batch_sizes);
    tcase_add_test(loader, plain_pixels);
    tcase_add_test(loader, bad_image);
    tcase_add_test(loader, free_while_running);
    tcase_add_test(loader, bounded_prefetch);
    tcase_add_test(loader, cache_saves_reading);
    tcase_add_test(loader, waiting_is_counted);
    tcase_add_test(loader, bad_options);
    tcase_add_test(augment, draws);
    tcase_add_test(augment, inception_boxes);
    tcase_add_test(augment, shifting);
    tcase_add_test(augment, warping);
    tcase_add_test(augment, warp_matrix_about_the_centre);
    suite_add_tcase(s, loader);
    suite_add_tcase(s, augment);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}

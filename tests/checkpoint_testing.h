/* What the tests of checkpoints share: a training run full of numbers, and files. */
#ifndef FACET_TESTS_CHECKPOINT_TESTING_H
#define FACET_TESTS_CHECKPOINT_TESTING_H

#include "tests/file_testing.h"
#include "train/checkpoint.h"

#include <hdf5.h>
#include <math.h>

/* ---- a run to save ---- */

enum { CLASSES = 4, MAX_PARAMS = 512 };
static const char *const class_names[CLASSES] = {"cat", "dog", "\xc3\xa9l\xc3\xa9phant d'Afrique", ""};

typedef struct run {
    ft_model *m;
    ft_training_state s;
    ft_param *trainable[MAX_PARAMS], *all[MAX_PARAMS];
} run;

typedef struct run_options {
    const char *arch, *optimizer;
    bool average;
    uint64_t seed;
} run_options;
static const run_options small = {"lenet", "sgd", true, 1};

static inline float noise(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (float)(int32_t)(*state >> 33) / (float)(1 << 30) - 1;
}
static inline void fill(float *p, int64_t n, uint64_t *state) {
    for (int64_t i = 0; i < n; i++) p[i] = noise(state);
}

static inline ft_preprocess image_of(const char *arch) {
    bool lenet = strcmp(arch, "lenet") == 0, large = strcmp(arch, "inception_v3") == 0;
    return (ft_preprocess){.h = large   ? 75
                                : lenet ? 28
                                        : 32,
                           .w = large   ? 75
                                : lenet ? 14
                                        : 28,
                           .c = lenet ? 1 : 3,
                           .resize = FT_RESIZE_PIL_BICUBIC,
                           .normalize = FT_NORMALIZE_MEAN_STD,
                           .mean = {0.1f, 0.2f, 0.3f},
                           .std = {0.4f, 0.5f, 0.6f},
                           .center_crop = 0.875f,
                           .scaled_decode = true};
}

static inline ft_model *new_model(const char *arch, int32_t classes, uint64_t seed) {
    const ft_net_options options = {
        .classes = classes, .dropout = 0.3f, .width = 1, .count_padding = true, .bn_epsilon = 1e-5f};
    const ft_preprocess image = image_of(arch);
    ft_model *m;
    ck_assert_msg(ft_model_new(arch, &options, &image, class_names, &m) == FT_OK, "%s", ft_err_message());
    for (int32_t i = 0; i < ft_graph_n_params(m->g); i++)
        fill(ft_graph_param(m->g, i)->p, ft_shape_size(ft_graph_param(m->g, i)->shape), &seed);
    return m;
}

static inline void list_params(run *r) {
    for (int32_t i = 0; i < ft_graph_n_params(r->m->g); i++) {
        ft_param *p = ft_graph_param(r->m->g, i);
        ck_assert_int_lt(r->s.n_ema_params, MAX_PARAMS);
        if (p->flags & FT_TRANSIENT) continue;
        r->all[r->s.n_ema_params++] = p;
        if (p->flags & FT_TRAINABLE) r->trainable[r->s.n_optim_params++] = p;
    }
}

static inline void new_optimizer(run *r, const run_options *o) {
    const ft_optimizer *optimizer = ft_optimizer_find(o->optimizer);
    const ft_optim_options options = {.hyper = optimizer->defaults};
    ft_optim_param params[MAX_PARAMS];
    for (int32_t i = 0; i < r->s.n_optim_params; i++) {
        const ft_param *p = r->trainable[i];
        params[i] = (ft_optim_param){p->name, p->p, ft_shape_size(p->shape), false, 1};
    }
    ck_assert_int_eq(ft_optim_new(optimizer, &options, r->s.n_optim_params, params, &r->s.optim), FT_OK);
}

static inline void new_average(run *r) {
    ft_ema_array arrays[MAX_PARAMS];
    for (int32_t i = 0; i < r->s.n_ema_params; i++)
        arrays[i] = (ft_ema_array){r->all[i]->p, ft_shape_size(r->all[i]->shape)};
    ck_assert_int_eq(ft_ema_new(0.99, r->s.n_ema_params, arrays, &r->s.ema), FT_OK);
}

/* Everything filled with numbers that follow from the seed. */
static inline void new_run(run *r, const run_options *o) {
    uint64_t state = o->seed + 1000;
    *r = (run){.m = new_model(o->arch, CLASSES, o->seed)};
    list_params(r);
    new_optimizer(r, o);
    if (o->average) new_average(r);
    for (int32_t i = 0; i < r->s.n_optim_params; i++)
        for (int32_t k = 0; k < ft_optim_n_slots(r->s.optim); k++)
            fill(ft_optim_slot(r->s.optim, i, k), ft_shape_size(r->trainable[i]->shape), &state);
    for (int32_t i = 0; o->average && i < r->s.n_ema_params; i++)
        fill(ft_ema_shadow(r->s.ema, i), ft_shape_size(r->all[i]->shape), &state);
    r->s.ema_params = r->all;
    r->s.optim_params = r->trainable;
    r->m->config = strdup("seed: 7\n# \xe2\x82\xac\n");
    r->m->data_fingerprint = UINT64_C(0x8000000000000001);
    ft_optim_set_steps(r->s.optim, (int64_t)o->seed * 1000003);
    if (o->average) ft_ema_set_updates(r->s.ema, (int64_t)o->seed * 999);
    r->s.progress = (ft_progress){.epoch = 3,
                                  .batch = 17,
                                  .step = INT64_C(5000000000),
                                  .plateau = {INFINITY, 0.1, 2},
                                  .best = NAN,
                                  .best_epoch = -1,
                                  .stop_best = -INFINITY,
                                  .stop_bad = 4,
                                  .loss_sum = 1.0 / 3,
                                  .loss_images = 544,
                                  .epoch_seconds = 12.5,
                                  .seed = UINT64_MAX};
}

static inline void free_run(run *r) {
    ft_optim_free(r->s.optim);
    ft_ema_free(r->s.ema);
    ft_model_free(r->m);
}

static inline bool same_bits(const float *a, const float *b, int64_t n) {
    return memcmp(a, b, (size_t)n * sizeof *a) == 0;
}

static inline bool same_model(const ft_model *a, const ft_model *b) {
    const ft_preprocess *p = &a->image, *q = &b->image;
    const ft_net_options *o = &a->options, *u = &b->options;
    if (a->net != b->net || o->classes != u->classes || !ft_shape_equal(o->image, u->image)) return false;
    if (o->dropout != u->dropout || o->width != u->width || o->aux_head != u->aux_head ||
        o->count_padding != u->count_padding || o->bn_momentum != u->bn_momentum ||
        o->bn_epsilon != u->bn_epsilon)
        return false;
    if (p->h != q->h || p->w != q->w || p->c != q->c || p->resize != q->resize ||
        p->normalize != q->normalize || !same_bits(p->mean, q->mean, 3) || !same_bits(p->std, q->std, 3) ||
        p->center_crop != q->center_crop || p->scaled_decode != q->scaled_decode)
        return false;
    for (int32_t i = 0; i < o->classes; i++)
        if (strcmp(a->class_names[i], b->class_names[i]) != 0) return false;
    for (int32_t i = 0; i < ft_graph_n_params(a->g); i++) {
        const ft_param *x = ft_graph_param(a->g, i), *y = ft_graph_param(b->g, i);
        if (!same_bits(x->p, y->p, ft_shape_size(x->shape))) return false;
    }
    return true;
}

static inline bool same_state(run *a, run *b) {
    const ft_progress *p = &a->s.progress, *q = &b->s.progress;
    const double x[6] = {p->plateau.best, p->plateau.factor, p->best,
                         p->stop_best,    p->loss_sum,       p->epoch_seconds};
    const double y[6] = {q->plateau.best, q->plateau.factor, q->best,
                         q->stop_best,    q->loss_sum,       q->epoch_seconds};
    if (memcmp(x, y, sizeof x) != 0 || p->epoch != q->epoch || p->batch != q->batch || p->step != q->step ||
        p->plateau.bad_epochs != q->plateau.bad_epochs || p->best_epoch != q->best_epoch ||
        p->stop_bad != q->stop_bad || p->loss_images != q->loss_images || p->seed != q->seed)
        return false;
    if (ft_optim_steps(a->s.optim) != ft_optim_steps(b->s.optim)) return false;
    for (int32_t i = 0; i < a->s.n_optim_params; i++)
        for (int32_t k = 0; k < ft_optim_n_slots(a->s.optim); k++)
            if (!same_bits(ft_optim_slot(a->s.optim, i, k), ft_optim_slot(b->s.optim, i, k),
                           ft_shape_size(a->trainable[i]->shape)))
                return false;
    if (!a->s.ema) return !b->s.ema;
    for (int32_t i = 0; i < a->s.n_ema_params; i++)
        if (!same_bits(ft_ema_shadow(a->s.ema, i), ft_ema_shadow(b->s.ema, i),
                       ft_shape_size(a->all[i]->shape)))
            return false;
    return ft_ema_updates(a->s.ema) == ft_ema_updates(b->s.ema);
}

/* ---- files ---- */

static inline void write_run(const run_options *o) {
    run r;
    new_run(&r, o);
    ck_assert_msg(ft_checkpoint_write(path, r.m, &r.s) == FT_OK, "%s", ft_err_message());
    free_run(&r);
}

static inline void assert_unreadable(const char *name, const char *part) {
    ft_model *m;
    ck_assert_int_eq(ft_checkpoint_read_model(name, &m), FT_E_WEIGHTS);
    ck_assert_ptr_null(m);
    assert_message(name);
    assert_message(part);
}

static inline void all_closed(void) {
    ck_assert_int_eq(H5Fget_obj_count(H5F_OBJ_ALL, H5F_OBJ_ALL), 0);
}

#endif

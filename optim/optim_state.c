/* A step is two passes over the gradient in the same stretches: one adds up squares and finds NaN and
 * infinities, the other, knowing the norm, updates. Only after the first has found nothing wrong is anything
 * written.
 */
#include "optim/optim_state.h"

#include "optim/stretch.h"
#include "tensor/kernels.h"
#include "tensor/par.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 4096 };

struct ft_optim_state {
    const ft_optimizer *optimizer;
    ft_optim_options options;
    ft_optim_param *params; /* [n_params] */
    ft_real *slots;         /* all slots of all parameters, one memory */
    ft_real **slot;         /* [n_params][n_slots] into it */
    ft_stretch *stretches;  /* [n_stretches], by parameter */
    double *squares; /* [n_stretches]: sum of the squares of each; NaN where an element is not finite */
    int64_t n_stretches, steps;
    int32_t n_params;
};

typedef struct pass {
    ft_optim_state *s;
    const ft_real *const *grads;
    double lr;
    ft_real scale, limit, factor; /* g' = clamp(scale g, limit) factor */
} pass;

static ft_err check_options(const ft_optim_options *o) {
    const ft_hyper *h = &o->hyper;
    const struct {
        const char *name;
        double value, below;
    } ranges[] = {{"momentum", h->momentum, 1},
                  {"rho", h->rho, 1},
                  {"beta1", h->beta1, 1},
                  {"beta2", h->beta2, 1},
                  {"epsilon", h->epsilon, INFINITY},
                  {"weight decay", h->weight_decay, INFINITY},
                  {"clip_value", o->clip_value, INFINITY},
                  {"clip_norm", o->clip_norm, INFINITY}};
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        FT_REQUIRE(ranges[i].value >= 0 && ranges[i].value < ranges[i].below, USAGE,
                   "optimiser: %s is %g; it must be at least 0 and less than %g", ranges[i].name,
                   ranges[i].value, ranges[i].below);
    FT_REQUIRE(!h->nesterov || h->momentum > 0, USAGE,
               "optimiser: Nesterov's momentum needs a momentum above 0; set one, or nesterov to false");
    return FT_OK;
}

static ft_err check_params(int32_t n_params, const ft_optim_param params[]) {
    FT_REQUIRE(n_params > 0, USAGE, "optimiser: there is no trainable parameter; freeze less of the network");
    for (int32_t i = 0; i < n_params; i++) {
        FT_REQUIRE(params[i].n > 0 && params[i].w, USAGE, "optimiser: the parameter %s has no weights",
                   params[i].name);
        FT_REQUIRE(params[i].lr_multiplier >= 0 && isfinite(params[i].lr_multiplier), USAGE,
                   "optimiser: the learning rate multiplier of %s is %g; it must be a number from 0 on",
                   params[i].name, params[i].lr_multiplier);
    }
    return FT_OK;
}

static void place_slots(ft_optim_state *s) {
    ft_real *p = s->slots;
    const int32_t n_slots = s->optimizer->n_slots;
    for (int32_t i = 0; i < s->n_params; i++)
        for (int32_t k = 0; k < n_slots; k++) {
            s->slot[i * n_slots + k] = p;
            for (int64_t j = 0; j < s->params[i].n; j++) p[j] = (ft_real)s->optimizer->slot_init[k];
            p += ft_stretch_room(s->params[i].n);
        }
}

ft_err ft_optim_new(const ft_optimizer *optimizer, const ft_optim_options *options, int32_t n_params,
                    const ft_optim_param params[], ft_optim_state **out) {
    *out = NULL;
    FT_TRY(check_options(options));
    FT_TRY(check_params(n_params, params));
    int64_t room = 0, n_stretches = 0;
    for (int32_t i = 0; i < n_params; i++) {
        room += ft_stretch_room(params[i].n) * optimizer->n_slots;
        n_stretches += ft_stretch_count(params[i].n);
    }
    ft_optim_state *s = calloc(1, sizeof *s);
    if (s) {
        *s = (ft_optim_state){.optimizer = optimizer,
                              .options = *options,
                              .n_params = n_params,
                              .n_stretches = n_stretches};
        s->params = ft_alloc((size_t)n_params, sizeof *s->params);
        s->slots = ft_alloc((size_t)room, sizeof *s->slots);
        s->slot = ft_alloc((size_t)n_params * (size_t)optimizer->n_slots, sizeof *s->slot);
        s->stretches = ft_alloc((size_t)n_stretches, sizeof *s->stretches);
        s->squares = ft_alloc((size_t)n_stretches, sizeof *s->squares);
    }
    if (!s || !s->params || !s->slots || !s->slot || !s->stretches || !s->squares) {
        ft_optim_free(s);
        FT_FAIL(MEMORY, "optimiser: no memory for %lld numbers of %s's state", (long long)room,
                optimizer->name);
    }
    memcpy(s->params, params, (size_t)n_params * sizeof *params);
    ft_stretch *end = s->stretches;
    for (int32_t i = 0; i < n_params; i++) end = ft_stretch_list(end, i, params[i].n);
    place_slots(s);
    *out = s;
    return FT_OK;
}

void ft_optim_free(ft_optim_state *s) {
    if (!s) return;
    free(s->params);
    free(s->slots);
    free(s->slot);
    free(s->stretches);
    free(s->squares);
    free(s);
}

static inline ft_real clamp(ft_real x, ft_real limit) {
    ft_real y = x < limit ? x : limit; /* in this form minps and maxps */
    return y > -limit ? y : -limit;
}

static void add_squares(void *ctx, int64_t chunk, int32_t thread) {
    (void)thread;
    const pass *p = ctx;
    const ft_stretch *b = &p->s->stretches[chunk];
    p->s->squares[chunk] =
        ft_update_kernels_get()->squares(b->n, p->grads[b->array] + b->at, p->scale, p->limit);
}

static ft_err gradient_norm(pass *p, double *norm) {
    const ft_optim_state *s = p->s;
    ft_par_for(s->n_stretches, add_squares, p);
    double sum = 0;
    for (int64_t i = 0; i < s->n_stretches; i++) {
        sum += s->squares[i];
        FT_REQUIRE(
            isfinite(sum), NUMERIC,
            "step %lld: the gradient of %s holds a NaN or an infinity; no weight was changed. Lower the "
            "learning rate, clip the gradient, or look at the data of this batch",
            (long long)s->steps + 1, s->params[s->stretches[i].array].name);
    }
    *norm = sqrt(sum);
    return FT_OK;
}

/* Optimisers need not know of scales and limits: what is left of the gradient stays in the nearest cache. */
static void update_piece(const pass *p, ft_update u) {
    ft_real final[PIECE];
    if (p->scale != 1 || p->factor != 1 || isfinite(p->limit)) {
        for (int64_t i = 0; i < u.n; i++) final[i] = clamp(u.g[i] * p->scale, p->limit) * p->factor;
        u.g = final;
    }
    p->s->optimizer->update(&u);
}

static void update_stretch(void *ctx, int64_t chunk, int32_t thread) {
    (void)thread;
    const pass *p = ctx;
    const ft_optim_state *s = p->s;
    const ft_stretch *b = &s->stretches[chunk];
    const ft_optim_param *param = &s->params[b->array];
    const ft_optimizer *optimizer = s->optimizer;

    ft_hyper hyper = s->options.hyper;
    hyper.lr = p->lr * param->lr_multiplier;
    if (!param->decay) hyper.weight_decay = 0;
    ft_update u = {.hyper = &hyper, .t = s->steps + 1};
    for (int64_t at = b->at, end = b->at + b->n; at < end; at += u.n) {
        u.n = end - at < PIECE ? end - at : PIECE;
        u.w = param->w + at;
        u.g = p->grads[b->array] + at;
        for (int32_t k = 0; k < optimizer->n_slots; k++)
            u.slot[k] = s->slot[b->array * optimizer->n_slots + k] + at;
        update_piece(p, u);
    }
}

ft_err ft_optim_step(ft_optim_state *s, const ft_real *const grads[], double lr, double grad_scale,
                     double *norm) {
    FT_REQUIRE(lr >= 0 && isfinite(lr), USAGE,
               "optimiser: the learning rate is %g; it must be a number from 0 on", lr);
    FT_REQUIRE(grad_scale > 0 && isfinite(grad_scale), USAGE,
               "optimiser: the gradient's scale is %g; it must be a number above 0", grad_scale);
    const ft_optim_options *o = &s->options;
    pass p = {.s = s,
              .grads = grads,
              .lr = lr,
              .scale = (ft_real)grad_scale,
              .limit = (ft_real)(o->clip_value > 0 ? o->clip_value : INFINITY),
              .factor = 1};
    double length = 0;
    FT_TRY(gradient_norm(&p, &length));
    if (o->clip_norm > 0) {
        double factor = o->clip_norm / (length + 1e-6);
        p.factor = (ft_real)(factor < 1 ? factor : 1);
    }
    ft_par_for(s->n_stretches, update_stretch, &p);
    s->steps++;
    if (norm) *norm = length;
    return FT_OK;
}

const ft_optimizer *ft_optim_optimizer(const ft_optim_state *s) {
    return s->optimizer;
}
int64_t ft_optim_steps(const ft_optim_state *s) {
    return s->steps;
}
void ft_optim_set_steps(ft_optim_state *s, int64_t steps) {
    s->steps = steps;
}
int32_t ft_optim_n_slots(const ft_optim_state *s) {
    return s->optimizer->n_slots;
}
ft_real *ft_optim_slot(ft_optim_state *s, int32_t i, int32_t k) {
    return s->slot[i * s->optimizer->n_slots + k];
}

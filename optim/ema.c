#include "optim/ema.h"

#include "optim/stretch.h"
#include "tensor/par.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct ft_ema {
    double decay;
    ft_ema_array *arrays;  /* [n_arrays] */
    ft_real **shadow;      /* [n_arrays] into memory */
    ft_real *memory;       /* all shadows */
    ft_stretch *stretches; /* [n_stretches] */
    int64_t n_stretches, updates;
    ft_real fresh; /* 1 - d of the update under way */
    bool swapped;
};

ft_err ft_ema_new(double decay, int32_t n_arrays, const ft_ema_array arrays[], ft_ema **out) {
    *out = NULL;
    FT_REQUIRE(decay >= 0 && decay < 1, USAGE,
               "weight average: the decay is %g; it must be at least 0 and less than 1", decay);
    FT_REQUIRE(n_arrays > 0, USAGE, "weight average: there is nothing to average");
    int64_t room = 0, n_stretches = 0;
    for (int32_t i = 0; i < n_arrays; i++) {
        room += ft_stretch_room(arrays[i].n);
        n_stretches += ft_stretch_count(arrays[i].n);
    }
    ft_ema *e = calloc(1, sizeof *e);
    if (e) {
        e->arrays = ft_alloc((size_t)n_arrays, sizeof *e->arrays);
        e->shadow = ft_alloc((size_t)n_arrays, sizeof *e->shadow);
        e->memory = ft_alloc((size_t)room, sizeof *e->memory);
        e->stretches = ft_alloc((size_t)n_stretches, sizeof *e->stretches);
    }
    if (!e || !e->arrays || !e->shadow || !e->memory || !e->stretches) {
        ft_ema_free(e);
        FT_FAIL(MEMORY, "weight average: no memory for %lld numbers", (long long)room);
    }
    e->decay = decay;
    e->n_stretches = n_stretches;
    memcpy(e->arrays, arrays, (size_t)n_arrays * sizeof *arrays);
    ft_real *p = e->memory;
    ft_stretch *end = e->stretches;
    for (int32_t i = 0; i < n_arrays; i++) {
        e->shadow[i] = p;
        memcpy(p, arrays[i].p, (size_t)arrays[i].n * sizeof *p);
        p += ft_stretch_room(arrays[i].n);
        end = ft_stretch_list(end, i, arrays[i].n);
    }
    *out = e;
    return FT_OK;
}

void ft_ema_free(ft_ema *e) {
    if (!e) return;
    free(e->arrays);
    free(e->shadow);
    free(e->memory);
    free(e->stretches);
    free(e);
}

/* Written as a step towards the live value: with d and 1 - d rounded apart, their sum would not be 1, and
 * thousands of updates would make the average drift off in scale. */
static void average_stretch(void *ctx, int64_t chunk, int32_t thread) {
    (void)thread;
    const ft_ema *e = ctx;
    const ft_stretch *s = &e->stretches[chunk];
    ft_real *restrict shadow = e->shadow[s->array] + s->at;
    const ft_real *restrict live = e->arrays[s->array].p + s->at;
    const ft_real fresh = e->fresh;
    for (int32_t i = 0; i < s->n; i++) shadow[i] += fresh * (live[i] - shadow[i]);
}

void ft_ema_update(ft_ema *e) {
    assert(!e->swapped);
    double t = (double)e->updates, d = (1 + t) / (10 + t);
    e->fresh = (ft_real)(1 - (d < e->decay ? d : e->decay));
    ft_par_for(e->n_stretches, average_stretch, e);
    e->updates++;
}

static void swap_stretch(void *ctx, int64_t chunk, int32_t thread) {
    (void)thread;
    const ft_ema *e = ctx;
    const ft_stretch *s = &e->stretches[chunk];
    ft_real *restrict shadow = e->shadow[s->array] + s->at;
    ft_real *restrict live = e->arrays[s->array].p + s->at;
    for (int32_t i = 0; i < s->n; i++) {
        ft_real x = live[i];
        live[i] = shadow[i];
        shadow[i] = x;
    }
}

void ft_ema_swap(ft_ema *e) {
    ft_par_for(e->n_stretches, swap_stretch, e);
    e->swapped = !e->swapped;
}

bool ft_ema_swapped(const ft_ema *e) {
    return e->swapped;
}
int64_t ft_ema_updates(const ft_ema *e) {
    return e->updates;
}
void ft_ema_set_updates(ft_ema *e, int64_t updates) {
    e->updates = updates;
}
ft_real *ft_ema_shadow(ft_ema *e, int32_t i) {
    return e->shadow[i];
}

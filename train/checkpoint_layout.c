/* The tables of a checkpoint's attributes, and the list of its arrays. */
#include "train/checkpoint_layout.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(ft_real) == sizeof(float), "checkpoints belong to the float32 build");

enum { MAX_CLASSES = 65536, MAX_SIDE = 8192, MAX_WIDTH = 16 }; /* the last two as in the configuration */

#define F(kind, name, member, n, min, max) SINCE(1, kind, name, member, n, min, max)
#define SINCE(version, kind, name, member, n, min, max) \
    { name, FT_FIELD_##kind, n, offsetof(ft_model, member), min, max, version }
const ft_field ft_model_fields[] = {
    F(I32, "classes", options.classes, 1, 0, MAX_CLASSES),
    F(F32, "dropout", options.dropout, 1, 0, 1),
    F(F32, "width", options.width, 1, 0, MAX_WIDTH),
    F(BOOL, "aux_head", options.aux_head, 1, 0, 1),
    F(BOOL, "count_padding", options.count_padding, 1, 0, 1),
    F(F32, "bn_momentum", options.bn_momentum, 1, 0, 1),
    F(F32, "bn_epsilon", options.bn_epsilon, 1, 0, 1),
    SINCE(2, BOOL, "bn_scale", options.bn_scale, 1, 0, 1),
    SINCE(2, BOOL, "bn_unbiased", options.bn_unbiased, 1, 0, 1),
    F(I32, "image_height", image.h, 1, 1, MAX_SIDE),
    F(I32, "image_width", image.w, 1, 1, MAX_SIDE),
    F(I32, "image_channels", image.c, 1, 1, 3),
    F(F32, "mean", image.mean, 3, -FLT_MAX, FLT_MAX),
    F(F32, "std", image.std, 3, -FLT_MAX, FLT_MAX),
    F(F32, "center_crop", image.center_crop, 1, 0, 1),
    F(BOOL, "scaled_decode", image.scaled_decode, 1, 0, 1),
    F(U64, "data_fingerprint", data_fingerprint, 1, 0, 0),
    {.name = NULL},
};
#undef F
#undef SINCE

#define F(kind, name, member) SINCE(1, kind, name, member)
#define SINCE(version, kind, name, member) \
    { name, FT_FIELD_##kind, 1, offsetof(ft_progress, member), INT32_MIN, INT32_MAX, version }
const ft_field ft_progress_fields[] = {
    F(I64, "epoch", epoch),
    F(I64, "batch", batch),
    F(I64, "step", step),
    SINCE(2, I64, "phase", phase),
    SINCE(2, I64, "phase_epoch", phase_epoch),
    SINCE(2, I64, "phase_step", phase_step),
    F(F64, "plateau_best", plateau.best),
    F(F64, "plateau_factor", plateau.factor),
    F(I32, "plateau_bad_epochs", plateau.bad_epochs),
    F(F64, "best", best),
    F(I64, "best_epoch", best_epoch),
    F(F64, "stop_best", stop_best),
    F(I32, "stop_bad", stop_bad),
    F(F64, "loss_sum", loss_sum),
    F(I64, "loss_images", loss_images),
    F(F64, "epoch_seconds", epoch_seconds),
    F(U64, "seed", seed),
    SINCE(4, F64, "lr_scale", lr_scale),
    {.name = NULL},
};
#undef F
#undef SINCE

/* ---- numbers ---- */

typedef union number {
    int64_t i;
    uint64_t u;
    double d;
} number;

static ft_h5_type kind_in_file(const ft_field *field) {
    switch (field->kind) {
    case FT_FIELD_U64:
        return FT_H5_U64;
    case FT_FIELD_F32:
    case FT_FIELD_F64:
        return FT_H5_F64;
    default:
        return FT_H5_I64;
    }
}

static number get(const ft_field *field, const void *base, int32_t i) {
    const char *p = (const char *)base + field->offset;
    switch (field->kind) {
    case FT_FIELD_BOOL:
        return (number){.i = ((const bool *)p)[i]};
    case FT_FIELD_I32:
        return (number){.i = ((const int32_t *)p)[i]};
    case FT_FIELD_F32:
        return (number){.d = (double)((const float *)p)[i]};
    case FT_FIELD_I64:
        return (number){.i = ((const int64_t *)p)[i]};
    case FT_FIELD_U64:
        return (number){.u = ((const uint64_t *)p)[i]};
    case FT_FIELD_F64:
        break;
    }
    return (number){.d = ((const double *)p)[i]};
}

static void put(const ft_field *field, void *base, int32_t i, number v) {
    char *p = (char *)base + field->offset;
    switch (field->kind) {
    case FT_FIELD_BOOL:
        ((bool *)p)[i] = v.i != 0;
        break;
    case FT_FIELD_I32:
        ((int32_t *)p)[i] = (int32_t)v.i;
        break;
    case FT_FIELD_F32:
        ((float *)p)[i] = (float)v.d;
        break;
    case FT_FIELD_I64:
        ((int64_t *)p)[i] = v.i;
        break;
    case FT_FIELD_U64:
        ((uint64_t *)p)[i] = v.u;
        break;
    case FT_FIELD_F64:
        ((double *)p)[i] = v.d;
        break;
    }
}

static bool in_range(const ft_field *field, number v) {
    if (field->kind >= FT_FIELD_I64) return true;
    double x = field->kind == FT_FIELD_F32 ? v.d : (double)v.i;
    return x >= field->min && x <= field->max;
}

ft_err ft_fields_write(ft_h5 *f, const char *object, const ft_field *fields, const void *base) {
    for (const ft_field *field = fields; field->name; field++) {
        number v[3];
        for (int32_t i = 0; i < field->n; i++) v[i] = get(field, base, i);
        FT_TRY(ft_h5_set_numbers(f, object, field->name, kind_in_file(field), field->n, v));
    }
    return FT_OK;
}

ft_err ft_fields_read(const ft_h5_index *x, const char *object, const ft_field *fields, int64_t version,
                      void *base) {
    for (const ft_field *field = fields; field->name; field++) {
        number v[3];
        if (field->since > version) continue; /* base is zero there */
        FT_TRY(ft_h5_get_numbers(x, object, field->name, kind_in_file(field), field->n, v));
        for (int32_t i = 0; i < field->n; i++) {
            FT_REQUIRE(in_range(field, v[i]), WEIGHTS,
                       "'%s': the attribute '%s' is %.9g; it lies between %.9g and %.9g", x->path,
                       field->name, field->kind == FT_FIELD_F32 ? v[i].d : (double)v[i].i, field->min,
                       field->max);
            put(field, base, i, v[i]);
        }
    }
    return FT_OK;
}

/* As few digits as tell this float from all others. */
static int digits_of(float v) {
    char text[32];
    for (int digits = 6; digits < 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)v);
        if (strtof(text, NULL) == v) return digits;
    }
    return 9;
}

static void print(const ft_field *field, const void *base, char text[96]) {
    size_t len = 0;
    for (int32_t i = 0; i < field->n; i++) {
        number v = get(field, base, i);
        if (i) len += (size_t)snprintf(text + len, 96 - len, ", ");
        char *end = text + len;
        size_t room = 96 - len;
        if (field->kind == FT_FIELD_F32)
            len += (size_t)snprintf(end, room, "%.*g", digits_of((float)v.d), v.d);
        else if (field->kind == FT_FIELD_F64)
            len += (size_t)snprintf(end, room, "%.17g", v.d);
        else if (field->kind == FT_FIELD_U64)
            len += (size_t)snprintf(end, room, "%llu", (unsigned long long)v.u);
        else
            len += (size_t)snprintf(end, room, "%lld", (long long)v.i);
    }
}

const ft_field *ft_fields_differ(const ft_field *fields, const void *a, const void *b, char text_a[96],
                                 char text_b[96]) {
    for (const ft_field *field = fields; field->name; field++)
        for (int32_t i = 0; i < field->n; i++) {
            if (get(field, a, i).u == get(field, b, i).u) continue;
            print(field, a, text_a);
            print(field, b, text_b);
            return field;
        }
    return NULL;
}

/* ---- arrays ---- */

static void add(ft_tensors *list, const char *group, const ft_param *p, float *data, bool optional) {
    ft_tensor *t = &list->at[list->n++];
    const int32_t dims[4] = {p->shape.n, p->shape.h, p->shape.w, p->shape.c};
    *t = (ft_tensor){.p = data,
                     .n = ft_shape_size(p->shape),
                     .finite = strncmp(group, "optimizer", 9) != 0, /* a mean square may overflow for good */
                     .optional = optional};
    snprintf(t->path, sizeof t->path, "%s/%s", group, p->name);
    int32_t first = 0;
    while (first < 3 && dims[first] == 1) first++;
    for (int32_t i = first; i < 4; i++) t->dims[t->rank++] = dims[i];
}

static void add_state(ft_tensors *out, const ft_training_state *s) {
    const ft_optimizer *o = ft_optim_optimizer(s->optim);
    for (int32_t i = 0; s->ema && i < s->n_ema_params; i++)
        add(out, "average", s->ema_params[i], ft_ema_shadow(s->ema, i), false);
    for (int32_t k = 0; k < o->n_slots; k++) {
        char group[64];
        snprintf(group, sizeof group, "optimizer/%s", o->slot_names[k]);
        for (int32_t i = 0; i < s->n_optim_params; i++)
            add(out, group, s->optim_params[i], ft_optim_slot(s->optim, i, k), false);
    }
}

ft_err ft_tensors_list(const ft_model *m, const ft_training_state *state, bool average, ft_tensors *out) {
    int32_t n = ft_graph_n_params(m->g);
    int64_t room = 2 * (int64_t)n;
    if (state) room += state->n_ema_params + (int64_t)FT_MAX_SLOTS * state->n_optim_params;
    *out = (ft_tensors){.at = ft_alloc((size_t)room + 1, sizeof *out->at)};
    FT_REQUIRE(out->at, MEMORY, "no memory for a list of %lld parameters", (long long)room);
    for (int32_t i = 0; i < n; i++) {
        const ft_param *p = ft_graph_param(m->g, i);
        if (!(p->flags & FT_TRANSIENT)) add(out, "weights", p, p->p, false);
    }
    for (int32_t i = 0; average && !state && i < n; i++) {
        const ft_param *p = ft_graph_param(m->g, i);
        if (!(p->flags & FT_TRANSIENT)) add(out, "average", p, p->p, true);
    }
    if (state) add_state(out, state);
    return FT_OK;
}

ft_err ft_tensor_check(const ft_tensor *t, const char *path, ft_err kind) {
    for (int64_t i = 0; t->finite && i < t->n; i++)
        if (!isfinite(t->p[i]))
            return ft_err_set(kind,
                              "'%s': number %lld of '%s' is %g: training had diverged; go back to an earlier "
                              "checkpoint or lower the learning rate",
                              path, (long long)i, t->path, (double)t->p[i]);
    return FT_OK;
}

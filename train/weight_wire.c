#include "train/weight_wire.h"

#include "tensor/wire.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- writing ---- */

static void put_layer(FILE *to, const ft_weight_file *f, const ft_weight_layer *layer) {
    ft_wire_put_text(to, layer->name);
    ft_wire_put_text(to, layer->class_name);
    ft_wire_put(to, layer->n);
    for (int32_t i = layer->first; i < layer->first + layer->n; i++) {
        const ft_weight_tensor *t = &f->tensor[i];
        ft_wire_put_text(to, t->name);
        ft_wire_put(to, t->rank);
        for (int32_t k = 0; k < t->rank; k++) ft_wire_put(to, t->dims[k]);
        ft_wire_put_bytes(to, t->p, (size_t)t->n * sizeof *t->p);
    }
}

void ft_weight_wire_write(const ft_weight_file *f, FILE *to) {
    ft_wire_put(to, f->format);
    ft_wire_put_text(to, f->producer);
    ft_wire_put_text(to, f->metadata_format);
    ft_wire_put_bytes(to, &f->bn_epsilon, sizeof f->bn_epsilon);
    ft_wire_put(to, f->count_padding);
    ft_wire_put(to, f->bn_unbiased);
    ft_wire_put(to, f->n_layers);
    for (int32_t i = 0; i < f->n_layers; i++) put_layer(to, f, &f->layer[i]);
}

/* ---- reading ---- */

static ft_err take_tensor(ft_wire *w, ft_weight_file *f) {
    char *name;
    int64_t rank, dims[FT_WEIGHT_RANK], n = 1;
    float *p = NULL;
    FT_TRY(ft_wire_take_text(w, false, &name));
    ft_err e = ft_wire_take(w, 0, FT_WEIGHT_RANK, &rank);
    for (int64_t k = 0; e == FT_OK && k < rank; k++) {
        e = ft_wire_take(w, 0, w->left, &dims[k]);
        if (e == FT_OK && (__builtin_mul_overflow(n, dims[k], &n) || n > w->left / (int64_t)sizeof(float)))
            e = ft_err_set(FT_E_WEIGHTS, "'%s': '%s' is larger than what was read", w->path, name);
    }
    if (e == FT_OK) e = ft_weight_file_add(f, name, (int32_t)rank, dims, &p);
    if (e == FT_OK) e = ft_wire_take_bytes(w, p, n * (int64_t)sizeof *p);
    free(name);
    return e;
}

static ft_err take_layer(ft_wire *w, ft_weight_file *f) {
    char *name = NULL, *class_name = NULL;
    int64_t n = 0;
    ft_err e = ft_wire_take_text(w, false, &name);
    if (e == FT_OK) e = ft_wire_take_text(w, true, &class_name);
    if (e == FT_OK) e = ft_wire_take(w, 0, w->left, &n);
    if (e == FT_OK) e = ft_weight_file_add_layer(f, name, class_name);
    for (int64_t i = 0; i < n && e == FT_OK; i++) e = take_tensor(w, f);
    free(name);
    free(class_name);
    return e;
}

static ft_err take_all(ft_wire *w, ft_weight_file *f) {
    int64_t format, flag, n;
    FT_TRY(ft_wire_take(w, FT_WEIGHTS_KERAS, FT_WEIGHTS_SAFETENSORS, &format));
    f->format = (ft_weight_format)format;
    FT_TRY(ft_wire_take_text(w, true, &f->producer));
    FT_TRY(ft_wire_take_text(w, true, &f->metadata_format));
    FT_TRY(ft_wire_take_bytes(w, &f->bn_epsilon, sizeof f->bn_epsilon));
    FT_TRY(ft_wire_take(w, 0, 1, &flag));
    f->count_padding = flag;
    FT_TRY(ft_wire_take(w, 0, 1, &flag));
    f->bn_unbiased = flag;
    FT_TRY(ft_wire_take(w, 0, w->left, &n));
    for (int64_t i = 0; i < n; i++) FT_TRY(take_layer(w, f));
    return FT_OK;
}

ft_err ft_weight_wire_read(FILE *from, const char *path, ft_weight_file **out) {
    ft_wire w = ft_wire_open(from, path, FT_E_WEIGHTS);
    *out = NULL;
    FT_TRY(ft_weight_file_new(path, FT_WEIGHTS_AUTO, out));
    ft_err e = take_all(&w, *out);
    if (e == FT_OK) return FT_OK;
    ft_weight_file_free(*out);
    *out = NULL;
    return e;
}

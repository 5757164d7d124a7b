#include "train/weight_wire.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- writing ---- */

static void put(FILE *to, int64_t x) {
    fwrite(&x, sizeof x, 1, to);
}

/* Its length, or -1 for NULL, and the text. */
static void put_text(FILE *to, const char *text) {
    put(to, text ? (int64_t)strlen(text) : -1);
    if (text) fwrite(text, 1, strlen(text), to);
}

static void put_layer(FILE *to, const ft_weight_file *f, const ft_weight_layer *layer) {
    put_text(to, layer->name);
    put_text(to, layer->class_name);
    put(to, layer->n);
    for (int32_t i = layer->first; i < layer->first + layer->n; i++) {
        const ft_weight_tensor *t = &f->tensor[i];
        put_text(to, t->name);
        put(to, t->rank);
        for (int32_t k = 0; k < t->rank; k++) put(to, t->dims[k]);
        fwrite(t->p, sizeof *t->p, (size_t)t->n, to);
    }
}

void ft_weight_wire_write(const ft_weight_file *f, FILE *to) {
    put(to, f->format);
    put_text(to, f->producer);
    put_text(to, f->metadata_format);
    fwrite(&f->bn_epsilon, sizeof f->bn_epsilon, 1, to);
    put(to, f->count_padding);
    put(to, f->bn_unbiased);
    put(to, f->n_layers);
    for (int32_t i = 0; i < f->n_layers; i++) put_layer(to, f, &f->layer[i]);
}

/* ---- reading ---- */

typedef struct wire {
    FILE *from;
    int64_t left; /* bytes */
    const char *path;
} wire;

static ft_err take(wire *w, void *p, int64_t n) {
    FT_REQUIRE(n <= w->left && fread(p, 1, (size_t)n, w->from) == (size_t)n, WEIGHTS,
               "'%s': reading it ended half-way; it is damaged, or made to do harm", w->path);
    w->left -= n;
    return FT_OK;
}

static ft_err take_number(wire *w, int64_t low, int64_t high, int64_t *x) {
    FT_TRY(take(w, x, sizeof *x));
    FT_REQUIRE(*x >= low && *x <= high, WEIGHTS,
               "'%s': reading it gave what cannot be; it is damaged, or made to do harm", w->path);
    return FT_OK;
}

/* The caller's to free; NULL where there was none, which is an error unless optional. */
static ft_err take_text(wire *w, bool optional, char **text) {
    int64_t n;
    *text = NULL;
    FT_TRY(take_number(w, optional ? -1 : 0, w->left, &n));
    if (n < 0) return FT_OK;
    *text = calloc((size_t)n + 1, 1);
    FT_REQUIRE(*text, MEMORY, "no memory for the weights of '%s'", w->path);
    ft_err e = take(w, *text, n);
    if (e == FT_OK) return FT_OK;
    free(*text);
    *text = NULL;
    return e;
}

static ft_err take_tensor(wire *w, ft_weight_file *f) {
    char *name;
    int64_t rank, dims[FT_WEIGHT_RANK], n = 1;
    float *p = NULL;
    FT_TRY(take_text(w, false, &name));
    ft_err e = take_number(w, 0, FT_WEIGHT_RANK, &rank);
    for (int64_t k = 0; e == FT_OK && k < rank; k++) {
        e = take_number(w, 0, w->left, &dims[k]);
        if (e == FT_OK && (__builtin_mul_overflow(n, dims[k], &n) || n > w->left / (int64_t)sizeof(float)))
            e = ft_err_set(FT_E_WEIGHTS, "'%s': '%s' is larger than what was read", w->path, name);
    }
    if (e == FT_OK) e = ft_weight_file_add(f, name, (int32_t)rank, dims, &p);
    if (e == FT_OK) e = take(w, p, n * (int64_t)sizeof *p);
    free(name);
    return e;
}

static ft_err take_layer(wire *w, ft_weight_file *f) {
    char *name = NULL, *class_name = NULL;
    int64_t n = 0;
    ft_err e = take_text(w, false, &name);
    if (e == FT_OK) e = take_text(w, true, &class_name);
    if (e == FT_OK) e = take_number(w, 0, w->left, &n);
    if (e == FT_OK) e = ft_weight_file_add_layer(f, name, class_name);
    for (int64_t i = 0; i < n && e == FT_OK; i++) e = take_tensor(w, f);
    free(name);
    free(class_name);
    return e;
}

static ft_err take_all(wire *w, ft_weight_file *f) {
    int64_t format, flag, n;
    FT_TRY(take_number(w, FT_WEIGHTS_KERAS, FT_WEIGHTS_SAFETENSORS, &format));
    f->format = (ft_weight_format)format;
    FT_TRY(take_text(w, true, &f->producer));
    FT_TRY(take_text(w, true, &f->metadata_format));
    FT_TRY(take(w, &f->bn_epsilon, sizeof f->bn_epsilon));
    FT_TRY(take_number(w, 0, 1, &flag));
    f->count_padding = flag;
    FT_TRY(take_number(w, 0, 1, &flag));
    f->bn_unbiased = flag;
    FT_TRY(take_number(w, 0, w->left, &n));
    for (int64_t i = 0; i < n; i++) FT_TRY(take_layer(w, f));
    return FT_OK;
}

ft_err ft_weight_wire_read(FILE *from, const char *path, ft_weight_file **out) {
    wire w = {.from = from, .path = path};
    *out = NULL;
    if (fseeko(from, 0, SEEK_END) == 0) w.left = ftello(from);
    rewind(from);
    FT_TRY(ft_weight_file_new(path, FT_WEIGHTS_AUTO, out));
    ft_err e = take_all(&w, *out);
    if (e == FT_OK) return FT_OK;
    ft_weight_file_free(*out);
    *out = NULL;
    return e;
}

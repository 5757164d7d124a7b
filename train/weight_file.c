/* Files of weights: the list of their tensors, and the choice of who reads and writes them. */
#include "train/weight_formats.h"

#include "tensor/child.h"
#include "train/weight_wire.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *const names[] = {[FT_WEIGHTS_AUTO] = "auto",
                                    [FT_WEIGHTS_KERAS] = "keras",
                                    [FT_WEIGHTS_KERAS3] = "keras3",
                                    [FT_WEIGHTS_TORCH] = "torch",
                                    [FT_WEIGHTS_SAFETENSORS] = "safetensors"};
enum { N_FORMATS = sizeof names / sizeof *names };

ft_err ft_weight_format_parse(const char *name, ft_weight_format *format) {
    for (int i = 0; i < N_FORMATS; i++) {
        if (strcmp(name, names[i]) != 0) continue;
        *format = (ft_weight_format)i;
        return FT_OK;
    }
    FT_FAIL(USAGE, "there is no format of weights '%s'; there are auto, keras, keras3, torch and safetensors",
            name);
}

const char *ft_weight_format_name(ft_weight_format format) {
    return names[format];
}

/* ---- the list ---- */

ft_err ft_weight_file_new(const char *path, ft_weight_format format, ft_weight_file **out) {
    *out = NULL;
    ft_weight_file *f = calloc(1, sizeof *f);
    if (f) f->path = strdup(path);
    if (!f || !f->path) {
        free(f);
        FT_FAIL(MEMORY, "no memory for the weights of '%s'", path);
    }
    f->format = format;
    *out = f;
    return FT_OK;
}

void ft_weight_file_free(ft_weight_file *f) {
    if (!f) return;
    for (int32_t i = 0; i < f->n_layers; i++) {
        free(f->layer[i].name);
        free(f->layer[i].class_name);
    }
    for (int32_t i = 0; i < f->n_tensors; i++) {
        free(f->tensor[i].name);
        free(f->tensor[i].p);
    }
    free(f->layer);
    free(f->tensor);
    free(f->path);
    free(f->producer);
    free(f->metadata_format);
    free(f);
}

/* Room for one more of the n items of this size in *list. */
static ft_err make_room(const ft_weight_file *f, void **list, int32_t n, int32_t *room, size_t item) {
    if (n < *room) return FT_OK;
    FT_REQUIRE(n <= INT32_MAX / 2, WEIGHTS, "'%s' has too many tensors", f->path);
    int32_t more = n ? 2 * n : 64;
    void *p = reallocarray(*list, (size_t)more, item);
    FT_REQUIRE(p, MEMORY, "no memory for the weights of '%s'", f->path);
    *list = p;
    *room = more;
    return FT_OK;
}

ft_err ft_weight_file_add_layer(ft_weight_file *f, const char *name, const char *class_name) {
    FT_TRY(make_room(f, (void **)&f->layer, f->n_layers, &f->room_layers, sizeof *f->layer));
    ft_weight_layer layer = {.name = strdup(name),
                             .class_name = class_name ? strdup(class_name) : NULL,
                             .first = f->n_tensors};
    if (!layer.name || (class_name && !layer.class_name)) {
        free(layer.name);
        free(layer.class_name);
        FT_FAIL(MEMORY, "no memory for the weights of '%s'", f->path);
    }
    f->layer[f->n_layers++] = layer;
    return FT_OK;
}

ft_err ft_weight_file_add(ft_weight_file *f, const char *name, int32_t rank, const int64_t dims[],
                          float **p) {
    assert(f->n_layers > 0);
    *p = NULL;
    FT_REQUIRE(rank >= 0 && rank <= FT_WEIGHT_RANK, WEIGHTS,
               "'%s': '%s' has %d dimensions; weights have at most %d", f->path, name, rank, FT_WEIGHT_RANK);
    ft_weight_tensor t = {.rank = rank, .n = 1};
    for (int32_t i = 0; i < rank; i++) {
        FT_REQUIRE(dims[i] >= 0 && !__builtin_mul_overflow(t.n, dims[i], &t.n) &&
                       t.n <= PTRDIFF_MAX / (int64_t)sizeof(float),
                   WEIGHTS, "'%s': '%s' has a dimension of %lld, which cannot be", f->path, name,
                   (long long)dims[i]);
        t.dims[i] = dims[i];
    }
    FT_TRY(make_room(f, (void **)&f->tensor, f->n_tensors, &f->room_tensors, sizeof *f->tensor));
    t.name = strdup(name);
    t.p = ft_alloc((size_t)t.n, sizeof *t.p);
    if (!t.name || !t.p) {
        free(t.name);
        free(t.p);
        FT_FAIL(MEMORY, "'%s': no memory for the %lld numbers of '%s'", f->path, (long long)t.n, name);
    }
    f->tensor[f->n_tensors++] = t;
    f->layer[f->n_layers - 1].n++;
    *p = t.p;
    return FT_OK;
}

/* ---- reading and writing ---- */

static const struct {
    ft_weight_format format;
    const char *what;
    ft_err (*read)(const char *path, ft_weight_file **out);
} kinds[] = {
    [FT_WEIGHTS_HDF5] = {FT_WEIGHTS_KERAS, "Keras's HDF5", ft_weights_read_keras},
    [FT_WEIGHTS_KERAS_ZIP] = {FT_WEIGHTS_KERAS3, "Keras 3's .keras", ft_weights_read_keras3_zip},
    [FT_WEIGHTS_TORCH_ZIP] = {FT_WEIGHTS_TORCH, "PyTorch's ZIP archive", ft_weights_read_torch},
    [FT_WEIGHTS_TENSORS] = {FT_WEIGHTS_SAFETENSORS, "safetensors", ft_weights_read_safetensors},
};

/* A file from elsewhere may break HDF5: a child reads it. Facet's own readers are fuzzed instead. */
typedef struct reading {
    const char *path;
    ft_weights_kind kind;
} reading;

static ft_err read_in_child(void *ctx, FILE *out) {
    const reading *r = ctx;
    ft_weight_file *f;
    FT_TRY(kinds[r->kind].read(r->path, &f));
    ft_weight_wire_write(f, out);
    ft_weight_file_free(f);
    return FT_OK;
}

static ft_err read_kind(const char *path, ft_weights_kind kind, ft_weight_file **out) {
    if (kind != FT_WEIGHTS_HDF5 && kind != FT_WEIGHTS_KERAS_ZIP) return kinds[kind].read(path, out);
    struct stat st;
    FILE *result;
    char what[4200];
    int64_t bytes = stat(path, &st) == 0 ? st.st_size : 0;
    snprintf(what, sizeof what, "'%s'", path);
    const ft_child_task task = {.work = read_in_child,
                                .ctx = &(reading){path, kind},
                                .what = what,
                                .hint = "it is damaged, or made to do harm",
                                .broken = FT_E_WEIGHTS,
                                /* packed numbers grow, half ones to whole ones; and there is a copy of all in
                                 * what is handed back */
                                .memory = (INT64_C(1) << 30) + 16 * bytes,
                                .seconds = (int32_t)(10 + bytes / 2000000)};
    FT_TRY(ft_child_run(&task, &result));
    ft_err e = ft_weight_wire_read(result, path, out);
    fclose(result);
    return e;
}

ft_err ft_weight_file_read(const char *path, ft_weight_format format, ft_weight_file **out) {
    *out = NULL;
    ft_weights_kind kind;
    FT_TRY(ft_weights_content(path, &kind));
    bool keras = kind == FT_WEIGHTS_HDF5 && (format == FT_WEIGHTS_KERAS || format == FT_WEIGHTS_KERAS3);
    FT_REQUIRE(format == FT_WEIGHTS_AUTO || format == kinds[kind].format || keras, WEIGHTS,
               "'%s' is not of the format %s: it holds %s; give the format %s, or auto", path, names[format],
               kinds[kind].what, names[kinds[kind].format]);
    FT_TRY(read_kind(path, kind, out));
    ft_weight_format is = (*out)->format;
    if (format == FT_WEIGHTS_AUTO || format == is) return FT_OK;
    ft_weight_file_free(*out);
    *out = NULL;
    FT_FAIL(WEIGHTS, "'%s' is not of the format %s: it has the layout of %s; give that, or auto", path,
            names[format], names[is]);
}

ft_err ft_weight_file_write(const ft_weight_file *f, const char *path) {
    if (f->format == FT_WEIGHTS_KERAS) return ft_weights_write_keras(f, path);
    if (f->format == FT_WEIGHTS_SAFETENSORS) return ft_weights_write_safetensors(f, path);
    FT_FAIL(USAGE, "cannot write '%s': weights are written as keras or safetensors, not as %s", path,
            names[f->format]);
}

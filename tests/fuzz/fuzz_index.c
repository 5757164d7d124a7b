/* What a child that an HDF5 file has taken over may hand back as that file's index. */
#include "data/hdf5_index.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* Fills room for as many of the type. */
static void use_numbers(const ft_h5_index *x, const char *object, const ft_h5_attribute *a) {
    static const size_t sizes[FT_H5_TYPES] = {
        [FT_H5_F32] = sizeof(float),   [FT_H5_F64] = sizeof(double), [FT_H5_I32] = sizeof(int32_t),
        [FT_H5_I64] = sizeof(int64_t), [FT_H5_U8] = sizeof(uint8_t), [FT_H5_U64] = sizeof(uint64_t)};
    if (sizes[a->type] == 0) return;
    void *numbers = calloc((size_t)a->n + 1, sizes[a->type]);
    (void)ft_h5_get_numbers(x, object, a->name, a->type, a->n, numbers);
    free(numbers);
}

/* All of it is there and hangs together. */
static void use(const ft_h5_index *x) {
    for (int64_t i = 0; i < x->n; i++) {
        const ft_h5_object *o = &x->object[i];
        if (strcmp(ft_h5_find(x, o->name)->name, o->name) != 0) abort();
        if (i > 0 && strcmp(x->object[i - 1].name, o->name) > 0) abort();
        if (o->rank > FT_H5_RANK || ft_h5_bytes(o) < 0) abort();
        for (int64_t k = 0; k < o->n_pieces; k++)
            if (o->piece[k].at < 0 || o->piece[k].bytes < 0 || o->piece[k].at + o->piece[k].bytes > x->size)
                abort();
        if (ft_h5_is_plain(o) && ft_h5_bytes(o) > x->size) abort();
        for (int64_t k = 0; k < o->n_attributes; k++) {
            const ft_h5_attribute *a = &o->attribute[k];
            char *text, *copy = a->p ? malloc((size_t)(a->n * a->item) + 1) : NULL;
            if (a->p) memcpy(copy, a->p, (size_t)(a->n * a->item) + 1);
            free(copy);
            use_numbers(x, o->name, a);
            if (ft_h5_get_string(x, o->name, a->name, &text) == FT_OK) free(text);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n) {
    ft_h5_index *x;
    if (n == 0) return -1;
    FILE *f = fmemopen((void *)(uintptr_t)p, n, "rb");
    if (!f) abort();
    ft_err e = ft_h5_index_take(f, "index", FT_E_WEIGHTS, 100000, &x);
    fclose(f);
    if (e == FT_OK) use(x);
    if ((e == FT_OK) != (x != NULL) || (e != FT_OK && e != FT_E_WEIGHTS && e != FT_E_MEMORY)) abort();
    ft_h5_close(x);
    return 0;
}

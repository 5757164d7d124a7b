/* What the tests of weight files share. */
#ifndef FACET_TESTS_WEIGHT_TESTING_H
#define FACET_TESTS_WEIGHT_TESTING_H

#include "tests/file_testing.h"
#include "train/weight_file.h"

#include <stdbool.h>

static inline bool same_tensors(const ft_weight_file *a, const ft_weight_file *b) {
    if (a->n_tensors != b->n_tensors || a->n_layers != b->n_layers) return false;
    for (int32_t i = 0; i < a->n_tensors; i++) {
        const ft_weight_tensor *s = &a->tensor[i], *t = &b->tensor[i];
        if (strcmp(s->name, t->name) != 0 || s->rank != t->rank || s->n != t->n ||
            memcmp(s->dims, t->dims, sizeof s->dims) != 0 ||
            memcmp(s->p, t->p, (size_t)s->n * sizeof *s->p) != 0)
            return false;
    }
    return true;
}

static inline ft_weight_file *read_weights(const char *name) {
    ft_weight_file *f;
    ck_assert_msg(ft_weight_file_read(name, FT_WEIGHTS_AUTO, &f) == FT_OK, "%s", ft_err_message());
    ck_assert_str_eq(f->path, name);
    return f;
}

/* The tensor of that name; there must be just these dims (rank). */
static inline const float *tensor_of(const ft_weight_file *f, const char *name, int32_t rank,
                                     const int64_t dims[]) {
    for (int32_t i = 0; i < f->n_tensors; i++) {
        const ft_weight_tensor *t = &f->tensor[i];
        if (strcmp(t->name, name) != 0) continue;
        int64_t n = 1;
        ck_assert_int_eq(t->rank, rank);
        for (int32_t k = 0; k < rank; k++) {
            ck_assert_int_eq(t->dims[k], dims[k]);
            n *= dims[k];
        }
        ck_assert_int_eq(t->n, n);
        return t->p;
    }
    ck_abort_msg("there is no tensor '%s'", name);
}

/* The file at path is refused, with its name and this part in the message. */
static inline void assert_refused(const char *part) {
    ft_weight_file *f = (ft_weight_file *)folder;
    ft_err e = ft_weight_file_read(path, FT_WEIGHTS_AUTO, &f);
    ck_assert_msg(e == FT_E_WEIGHTS, "'%s': read with error %d", part, (int)e);
    ck_assert_ptr_null(f);
    assert_message(path);
    assert_message(part);
}

/* The file at path is refused or read as wanted (NULL: as anything); returns whether it is refused. */
static inline bool refused_or_same(const ft_weight_file *want) {
    ft_weight_file *f;
    ft_err e = ft_weight_file_read(path, FT_WEIGHTS_AUTO, &f);
    ck_assert_msg(e == FT_OK || e == FT_E_WEIGHTS, "%s", ft_err_message());
    ck_assert((e == FT_OK) == (f != NULL));
    if (f && want) ck_assert(same_tensors(f, want));
    ft_weight_file_free(f);
    return e != FT_OK;
}

#endif

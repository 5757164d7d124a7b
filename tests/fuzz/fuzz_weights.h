/* For readers of weights: what they give is whole, or nothing. */
#ifndef FACET_TESTS_FUZZ_WEIGHTS_H
#define FACET_TESTS_FUZZ_WEIGHTS_H

#include "tests/fuzz/fuzz_file.h"
#include "train/weight_formats.h"

/* Whole weights, or an error that a file can cause. Takes w. */
static inline void fuzz_weights(ft_err e, ft_weight_file *w) {
    if (e != FT_OK && e != FT_E_WEIGHTS && e != FT_E_MEMORY) abort();
    if ((e == FT_OK) != (w != NULL)) abort();
    for (int32_t t = 0; w && t < w->n_tensors; t++) {
        int64_t n = 1;
        for (int32_t r = 0; r < w->tensor[t].rank; r++) n *= w->tensor[t].dims[r];
        if (n != w->tensor[t].n || (n > 0 && !w->tensor[t].p)) abort();
        uint8_t any = 0; /* all of it is there */
        for (size_t i = 0; i < (size_t)n * sizeof(float); i++) any |= ((const uint8_t *)w->tensor[t].p)[i];
        if (any == 1 && n == INT64_MAX) abort();
    }
    ft_weight_file_free(w);
}

#endif

/* For readers of weights: what they give is whole, or nothing. */
#ifndef FACET_TESTS_FUZZ_WEIGHTS_H
#define FACET_TESTS_FUZZ_WEIGHTS_H

#include "tests/fuzz/fuzz_file.h"
#include "train/weight_formats.h"

static volatile uint8_t fuzz_seen;

/* Whole weights, or an error that a file can cause. Takes w. */
static inline void fuzz_weights(ft_err e, ft_weight_file *w) {
    if (e != FT_OK && e != FT_E_WEIGHTS && e != FT_E_MEMORY) abort();
    if ((e == FT_OK) != (w != NULL)) abort();
    for (int32_t t = 0; w && t < w->n_tensors; t++) {
        int64_t n = 1;
        for (int32_t r = 0; r < w->tensor[t].rank; r++) n *= w->tensor[t].dims[r];
        if (n != w->tensor[t].n || (n > 0 && !w->tensor[t].p)) abort();
        for (size_t i = 0; i < (size_t)n * sizeof(float); i++) /* all of it is there */
            fuzz_seen = ((const uint8_t *)w->tensor[t].p)[i];
    }
    ft_weight_file_free(w);
}

#endif

/* The three image fuzzers: each decodes what begins as its kind of file does, in both ways a caller may want
 * it. */
#ifndef FACET_TESTS_FUZZ_IMAGE_H
#define FACET_TESTS_FUZZ_IMAGE_H

#include "data/image.h"

#include <stdlib.h>
#include <string.h>

/* -1: not of the kind, and nothing for the corpus. */
static inline int fuzz_image(const uint8_t *p, size_t n, const char *magic, size_t n_magic) {
    if (n < n_magic || memcmp(p, magic, n_magic) != 0) return -1;
    static const ft_image_want wants[] = {{.c = 3}, {.c = 1, .min_side = 8}};
    for (int k = 0; k < 2; k++) {
        ft_image im;
        ft_err e = ft_image_decode(p, n, "fuzzed", wants[k], &im);
        if (e != FT_OK && e != FT_E_DATA) abort();
        if ((e == FT_OK) != (im.p != NULL)) abort();
        if (e != FT_OK) continue;
        if (im.w < 1 || im.h < 1 || im.c != wants[k].c || (int64_t)im.w * im.h > FT_IMAGE_MAX_PIXELS) abort();
        uint64_t sum = 0; /* every pixel is there, and has a value */
        for (int64_t i = 0; i < (int64_t)im.w * im.h * im.c; i++) sum += im.p[i];
        if (sum == UINT64_MAX) abort();
        ft_image_free(&im);
    }
    return 0;
}

#endif

/* Images: memory, recognition by content, reading from a file, grey and RGB. */
#include "data/image.h"

#include "data/data_file.h"
#include "data/image_decode.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

ft_err ft_image_check_size(const char *name, int64_t w, int64_t h) {
    FT_REQUIRE(w > 0 && h > 0, DATA, "%s: the image has no pixels (%lld x %lld); replace or remove the file",
               name, (long long)w, (long long)h);
    FT_REQUIRE(w <= INT32_MAX && h <= INT32_MAX && w <= FT_IMAGE_MAX_PIXELS / h, DATA,
               "%s: the image claims %lld x %lld pixels, more than the limit of %d; scale it down or remove "
               "the file",
               name, (long long)w, (long long)h, FT_IMAGE_MAX_PIXELS);
    return FT_OK;
}

ft_err ft_image_alloc(ft_image *im, int32_t w, int32_t h, int32_t c) {
    *im = (ft_image){0};
    FT_TRY(ft_image_check_size("image", w, h));
    FT_REQUIRE(c == 1 || c == 3, USAGE, "an image has 1 or 3 channels, not %d", c);
    uint8_t *p = malloc((size_t)w * (size_t)h * (size_t)c);
    FT_REQUIRE(p, MEMORY, "no memory for an image of %d x %d x %d", w, h, c);
    *im = (ft_image){.p = p, .w = w, .h = h, .c = c};
    return FT_OK;
}

void ft_image_free(ft_image *im) {
    free(im->p);
    *im = (ft_image){0};
}

void ft_image_rgb_to_grey(const uint8_t *rgb, uint8_t *grey, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        const uint8_t *q = rgb + 3 * i;
        grey[i] = (uint8_t)((19595u * q[0] + 38470u * q[1] + 7471u * q[2] + 32768u) >> 16);
    }
}

void ft_image_grey_to_rgb(const uint8_t *restrict grey, uint8_t *restrict rgb, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        rgb[3 * i] = grey[i];
        rgb[3 * i + 1] = grey[i];
        rgb[3 * i + 2] = grey[i];
    }
}

typedef ft_err (*decoder)(const ft_image_bytes *, ft_image_want, ft_image *);

/* A kind of file: the bytes it has at an offset, and its decoder, or NULL when it is only known by name. */
typedef struct signature {
    const char *kind;
    size_t at, n;
    const char *bytes;
    decoder decode;
} signature;

static const signature signatures[] = {
    {"JPEG", 0, 3, "\xff\xd8\xff", ft_jpeg_decode},
    {"PNG", 0, 8, "\x89PNG\r\n\x1a\n", ft_png_decode},
    {"PBM", 0, 2, "P1", ft_pnm_decode},
    {"PGM", 0, 2, "P2", ft_pnm_decode},
    {"PPM", 0, 2, "P3", ft_pnm_decode},
    {"PBM", 0, 2, "P4", ft_pnm_decode},
    {"PGM", 0, 2, "P5", ft_pnm_decode},
    {"PPM", 0, 2, "P6", ft_pnm_decode},
    {"GIF", 0, 4, "GIF8", NULL},
    {"BMP", 0, 2, "BM", NULL},
    {"WebP", 8, 4, "WEBP", ft_webp_decode},
    {"TIFF", 0, 4, "II*\0", NULL},
    {"TIFF", 0, 4, "MM\0*", NULL},
    {"HEIF or AVIF", 4, 4, "ftyp", NULL},
};

static const signature *recognise(const uint8_t *p, size_t n) {
    for (size_t i = 0; i < sizeof signatures / sizeof signatures[0]; i++) {
        const signature *s = &signatures[i];
        if (n >= s->at + s->n && memcmp(p + s->at, s->bytes, s->n) == 0) return s;
    }
    return NULL;
}

ft_err ft_image_decode(const uint8_t *bytes, size_t n, const char *name, ft_image_want want, ft_image *out) {
    *out = (ft_image){0};
    FT_REQUIRE(want.c == 1 || want.c == 3, USAGE, "%s: an image can be read with 1 or 3 channels, not %d",
               name, want.c);
    FT_REQUIRE(n > 0, DATA, "%s: the file is empty; replace or remove it", name);
    const signature *s = recognise(bytes, n);
    FT_REQUIRE(s, DATA,
               "%s: not an image of a known kind (JPEG, PNG, WebP, PGM, PPM); replace or remove the file",
               name);
    FT_REQUIRE(s->decode, DATA,
               "%s: the file is a %s image, which is not supported; convert it to JPEG or PNG", name,
               s->kind);
    ft_err e = s->decode(&(ft_image_bytes){.p = bytes, .n = n, .name = name}, want, out);
    return e == FT_E_MEMORY ? ft_err_prefix(e, "%s", name) : e;
}

ft_err ft_image_load(const char *path, ft_image_want want, ft_image *out) {
    *out = (ft_image){0};
    uint8_t *bytes = NULL;
    size_t n = 0;
    FT_TRY(ft_data_file_read(path, &bytes, &n));
    ft_err e = ft_image_decode(bytes, n, path, want, out);
    free(bytes);
    return e;
}

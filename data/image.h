/* 8-bit images in memory and their decoders: JPEG, PNG, WebP, PNM (PBM, PGM, PPM). The kind is told by the
 * content, never by the file's name. And writers of PNG and JPEG.
 */
#ifndef FACET_DATA_IMAGE_H
#define FACET_DATA_IMAGE_H

#include "tensor/error.h"

#include <stdint.h>

/* Interleaved rows without padding: channel k of pixel (x, y) is p[(y*w + x)*c + k]. c is 1 (grey) or 3
 * (RGB). */
typedef struct ft_image {
    uint8_t *p; /* (h, w, c), owned; NULL when empty */
    int32_t w, h, c;
} ft_image;

/* Larger images are refused before their pixels are allocated: 178,956,970, Pillow's limit against bombs.
 * Fuzzers, which would spend their time on such images, set it lower. */
#ifndef FT_IMAGE_MAX_PIXELS
#define FT_IMAGE_MAX_PIXELS 178956970
#endif

/* How a caller wants an image. */
typedef struct ft_image_want {
    int32_t
        c; /* 1 or 3: grey becomes RGB by copying, RGB becomes grey as Pillow's convert('L') (ITU-R 601) */
    int32_t min_side; /* 0: full size. Otherwise a JPEG may be decoded at 1/2, 1/4 or 1/8 as long as both
                         sides stay at least this long; other kinds ignore it */
} ft_image_want;

/* Memory for w x h pixels of c channels, uninitialised. FT_E_DATA above FT_IMAGE_MAX_PIXELS, FT_E_MEMORY.
 * After a failure *im is empty. */
ft_err ft_image_alloc(ft_image *im, int32_t w, int32_t h, int32_t c);
/* Releases the pixels and leaves *im empty; an empty image is fine. */
void ft_image_free(ft_image *im);

/* Decodes n bytes; name stands in messages only. Colours follow Pillow's convert('RGB'): alpha is dropped, 16
 * bits keep their upper 8, CMYK is taken as Adobe's inverted one. A JPEG is turned upright by its EXIF
 * orientation. FT_E_DATA: unknown, unsupported, truncated, corrupt or too large, and which. After a failure
 * *out is empty. */
ft_err ft_image_decode(const uint8_t *bytes, size_t n, const char *name, ft_image_want want, ft_image *out);
/* The same from a file. FT_E_DATA also when the file is missing or may not be read, FT_E_IO when reading
 * fails.
 */
ft_err ft_image_load(const char *path, ft_image_want want, ft_image *out);

/* Writes (replaces, atomically) the PNG file at path. FT_E_IO, FT_E_MEMORY. */
ft_err ft_image_write_png(const ft_image *im, const char *path);

/* The image as a JPEG file (quality 1 to 100) in memory, the caller's to free. FT_E_MEMORY: *bytes is NULL.
 */
ft_err ft_image_encode_jpeg(const ft_image *im, int quality, uint8_t **bytes, size_t *n);

/* n RGB pixels to grey: (19595 R + 38470 G + 7471 B + 32768) >> 16, Pillow's rounding of ITU-R 601. rgb (n,
 * 3), grey (n); they may be the same memory. */
void ft_image_rgb_to_grey(const uint8_t *rgb, uint8_t *grey, int64_t n);
/* n grey pixels to RGB. grey (n), rgb (n, 3), distinct memory. */
void ft_image_grey_to_rgb(const uint8_t *grey, uint8_t *rgb, int64_t n);

#endif

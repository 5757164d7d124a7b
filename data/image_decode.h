/* What the decoders share; private to data/. Each takes a whole file in memory and leaves *out empty on
 * failure. */
#ifndef FACET_DATA_IMAGE_DECODE_H
#define FACET_DATA_IMAGE_DECODE_H

#include "data/image.h"

typedef struct ft_image_bytes {
    const uint8_t *p;
    size_t n;
    const char *name; /* of the file, for messages */
} ft_image_bytes;

ft_err ft_jpeg_decode(const ft_image_bytes *in, ft_image_want want, ft_image *out);
ft_err ft_png_decode(const ft_image_bytes *in, ft_image_want want, ft_image *out);
ft_err ft_webp_decode(const ft_image_bytes *in, ft_image_want want, ft_image *out);
ft_err ft_pnm_decode(const ft_image_bytes *in, ft_image_want want, ft_image *out);

/* Checks a size read from a file's header before anything is allocated for it. */
ft_err ft_image_check_size(const char *name, int64_t w, int64_t h);
/* The orientation 1..8 in the n bytes of an EXIF (APP1) segment; 1 (upright) when there is none or it is
 * malformed. */
int ft_exif_orientation(const uint8_t *p, size_t n);
/* Turns the image so that orientation 1..8 becomes upright. On failure *im is unchanged. */
ft_err ft_image_upright(ft_image *im, int orientation);

#endif

/* Images as bytes of JPEG and PNG files, for tests. */
#ifndef FACET_TESTS_IMAGE_TESTING_H
#define FACET_TESTS_IMAGE_TESTING_H

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <jpeglib.h>
#include <spng.h>

typedef struct file_bytes {
    uint8_t *p;
    size_t n;
} file_bytes;

/* c: 1 grey, 3 RGB, 4 CMYK; orientation: EXIF's, 0: none. The bytes are the caller's to free. */
static inline file_bytes write_jpeg(const uint8_t *p, int w, int h, int c, int quality, int orientation) {
    struct jpeg_compress_struct j;
    struct jpeg_error_mgr err;
    unsigned char *out = NULL;
    unsigned long n = 0;
    j.err = jpeg_std_error(&err);
    jpeg_create_compress(&j);
    jpeg_mem_dest(&j, &out, &n);
    j.image_width = (JDIMENSION)w;
    j.image_height = (JDIMENSION)h;
    j.input_components = c;
    j.in_color_space = c == 1 ? JCS_GRAYSCALE : c == 3 ? JCS_RGB : JCS_CMYK;
    jpeg_set_defaults(&j);
    jpeg_set_quality(&j, quality, TRUE);
    j.comp_info[0].h_samp_factor = j.comp_info[0].v_samp_factor = 1; /* colours at full size */
    jpeg_start_compress(&j, TRUE);
    if (orientation) {
        uint8_t exif[] = {'E', 'x', 'i', 'f', 0, 0, 'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1,
                          1,   18,  0,   3,   0, 0, 0,   1,   0, 0,  0, 0, 0, 0, 0, 0};
        exif[25] = (uint8_t)orientation;
        jpeg_write_marker(&j, JPEG_APP0 + 1, exif, sizeof exif);
    }
    while (j.next_scanline < j.image_height) {
        JSAMPROW row = (JSAMPROW)(uintptr_t)(p + j.next_scanline * (size_t)(w * c));
        jpeg_write_scanlines(&j, &row, 1);
    }
    jpeg_finish_compress(&j);
    jpeg_destroy_compress(&j);
    return (file_bytes){out, n};
}

/* fmt SPNG_FMT_RAW: big-endian samples. */
static inline file_bytes write_png(const void *p, size_t n, uint32_t w, uint32_t h, int type, int depth,
                                   bool interlaced, struct spng_plte *palette) {
    spng_ctx *ctx = spng_ctx_new(SPNG_CTX_ENCODER);
    struct spng_ihdr head = {.width = w,
                             .height = h,
                             .bit_depth = (uint8_t)depth,
                             .color_type = (uint8_t)type,
                             .interlace_method = interlaced};
    spng_set_option(ctx, SPNG_ENCODE_TO_BUFFER, 1);
    ck_assert_int_eq(spng_set_ihdr(ctx, &head), 0);
    if (palette) ck_assert_int_eq(spng_set_plte(ctx, palette), 0);
    ck_assert_int_eq(spng_encode_image(ctx, p, n, SPNG_FMT_RAW, SPNG_ENCODE_FINALIZE), 0);
    int err = 0;
    file_bytes out;
    out.p = spng_get_png_buffer(ctx, &out.n, &err);
    ck_assert_int_eq(err, 0);
    spng_ctx_free(ctx);
    return out;
}

#endif

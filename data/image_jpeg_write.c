#include "data/image.h"

#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h> /* jpeglib.h needs FILE */
#include <stdlib.h>

#include <jpeglib.h>

typedef struct writer {
    struct jpeg_compress_struct cinfo;
    struct jpeg_error_mgr errors;
    jmp_buf jump;
} writer;

static void give_up(j_common_ptr cinfo) {
    writer *w = cinfo->client_data;
    longjmp(w->jump, 1);
}

static void compress(writer *w, const ft_image *im, int quality, uint8_t **bytes, unsigned long *n) {
    jpeg_create_compress(&w->cinfo);
    jpeg_mem_dest(&w->cinfo, bytes, n);
    w->cinfo.image_width = (JDIMENSION)im->w;
    w->cinfo.image_height = (JDIMENSION)im->h;
    w->cinfo.input_components = im->c;
    w->cinfo.in_color_space = im->c == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(&w->cinfo);
    jpeg_set_quality(&w->cinfo, quality, TRUE);
    jpeg_start_compress(&w->cinfo, TRUE);
    while (w->cinfo.next_scanline < w->cinfo.image_height) {
        JSAMPROW row = im->p + (size_t)w->cinfo.next_scanline * (size_t)im->w * (size_t)im->c;
        jpeg_write_scanlines(&w->cinfo, &row, 1);
    }
    jpeg_finish_compress(&w->cinfo);
}

ft_err ft_image_encode_jpeg(const ft_image *im, int quality, uint8_t **bytes, size_t *n) {
    unsigned long size = 0;
    *bytes = NULL;
    writer *w = calloc(1, sizeof *w);
    FT_REQUIRE(w, MEMORY, "no memory to write a JPEG file");
    w->cinfo.err = jpeg_std_error(&w->errors);
    w->cinfo.client_data = w;
    w->errors.error_exit = give_up;
    bool failed = setjmp(w->jump) != 0;
    if (!failed) compress(w, im, quality, bytes, &size);
    jpeg_destroy_compress(&w->cinfo);
    free(w);
    if (failed) {
        free(*bytes);
        *bytes = NULL;
        FT_FAIL(MEMORY, "no memory to write a JPEG file of %d x %d pixels", im->w, im->h);
    }
    *n = size;
    return FT_OK;
}

/* JPEG by libjpeg-turbo's libjpeg interface. libjpeg reports damage as "warnings" and goes on with grey
 * pixels; here they are errors, except the harmless ones that sloppy but complete files raise.
 */
#include "data/image_decode.h"

#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h> /* jpeglib.h needs FILE */
#include <stdlib.h>

#include <jerror.h>
#include <jpeglib.h>

/* A progressive file may hold thousands of passes over the picture in few bytes: a denial of service. */
enum { MAX_SCANS = 500, ROWS = 16 };

typedef struct reader {
    struct jpeg_decompress_struct cinfo;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf jump;
    char reason[JMSG_LENGTH_MAX];
    bool failed_here; /* the message is already set (memory, size) */
    ft_err err;
    ft_image image;
    uint8_t *wide; /* ROWS rows in the file's own channels, when these are not the wanted ones */
} reader;

static void give_up(j_common_ptr cinfo) {
    reader *r = cinfo->client_data;
    cinfo->err->format_message(cinfo, r->reason);
    longjmp(r->jump, 1);
}

static void on_message(j_common_ptr cinfo, int level) {
    if (level >= 0) return;
    switch (cinfo->err->msg_code) {
    case JWRN_EXTRANEOUS_DATA: /* padding between markers, written by some cameras */
    case JWRN_TOO_MUCH_DATA:
    case JWRN_ADOBE_XFORM:
    case JWRN_JFIF_MAJOR:
    case JWRN_BOGUS_PROGRESSION:
        return;
    default:
        give_up(cinfo);
    }
}

static void on_output(j_common_ptr cinfo) {
    (void)cinfo;
}

static void on_progress(j_common_ptr cinfo) {
    reader *r = cinfo->client_data;
    if (!cinfo->is_decompressor || r->cinfo.input_scan_number <= MAX_SCANS) return;
    snprintf(r->reason, sizeof r->reason, "more than %d scans", MAX_SCANS);
    longjmp(r->jump, 1);
}

static void stop_with(reader *r, ft_err e) {
    r->failed_here = true;
    r->err = e;
    longjmp(r->jump, 1);
}

/* Adobe writes CMYK inverted (255 = no ink); Pillow assumes it always. cmyk (n, 4) -> rgb (n, 3), in place
 * allowed. */
static void cmyk_to_rgb(const uint8_t *cmyk, uint8_t *rgb, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        uint32_t k = cmyk[4 * i + 3];
        for (int64_t j = 0; j < 3; j++) {
            uint32_t t = (255u - cmyk[4 * i + j]) * k + 128u;
            rgb[3 * i + j] = (uint8_t)(k - ((t + (t >> 8)) >> 8)); /* k - ink * k / 255, rounded */
        }
    }
}

static void choose_scale(struct jpeg_decompress_struct *cinfo, int32_t min_side) {
    cinfo->scale_num = 1;
    cinfo->scale_denom = 1;
    if (min_side <= 0) return;
    JDIMENSION side = cinfo->image_width < cinfo->image_height ? cinfo->image_width : cinfo->image_height;
    for (unsigned d = 8; d > 1; d /= 2)
        if ((side + d - 1) / d >= (JDIMENSION)min_side) {
            cinfo->scale_denom = d;
            return;
        }
}

static void choose_colours(struct jpeg_decompress_struct *cinfo, int32_t c) {
    switch (cinfo->jpeg_color_space) {
    case JCS_GRAYSCALE:
        cinfo->out_color_space = c == 1 ? JCS_GRAYSCALE : JCS_RGB;
        break;
    case JCS_CMYK:
    case JCS_YCCK:
        cinfo->out_color_space = JCS_CMYK;
        break;
    default:
        cinfo->out_color_space = JCS_RGB;
        break;
    }
}

static int orientation_of(const struct jpeg_decompress_struct *cinfo) {
    for (jpeg_saved_marker_ptr m = cinfo->marker_list; m; m = m->next) {
        int o = ft_exif_orientation(m->data, m->data_length);
        if (o != 1) return o;
    }
    return 1;
}

static void read_rows(reader *r, int32_t c) {
    struct jpeg_decompress_struct *cinfo = &r->cinfo;
    int components = cinfo->output_components;
    size_t wide_bytes = (size_t)cinfo->output_width * (size_t)components;
    size_t row_bytes = (size_t)cinfo->output_width * (size_t)c;
    bool direct = components == c;
    if (!direct && !(r->wide = malloc(wide_bytes * ROWS)))
        stop_with(r, ft_err_set(FT_E_MEMORY, "no memory for rows of a JPEG image"));
    while (cinfo->output_scanline < cinfo->output_height) {
        uint8_t *to = r->image.p + cinfo->output_scanline * row_bytes;
        JSAMPROW rows[ROWS];
        JDIMENSION want = cinfo->output_height - cinfo->output_scanline;
        if (want > ROWS) want = ROWS;
        for (JDIMENSION i = 0; i < want; i++)
            rows[i] = direct ? to + i * row_bytes : r->wide + i * wide_bytes;
        JDIMENSION got = jpeg_read_scanlines(cinfo, rows, want);
        if (direct) continue;
        int64_t n = (int64_t)got * cinfo->output_width;
        if (components == 4) cmyk_to_rgb(r->wide, c == 3 ? to : r->wide, n);
        if (c == 1) ft_image_rgb_to_grey(r->wide, to, n);
    }
}

static void decode(reader *r, const ft_image_bytes *in, ft_image_want want) {
    struct jpeg_decompress_struct *cinfo = &r->cinfo;
    jpeg_create_decompress(cinfo);
    cinfo->progress = &r->progress;
    jpeg_mem_src(cinfo, in->p, (unsigned long)in->n);
    jpeg_save_markers(cinfo, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(cinfo, TRUE);
    ft_err e = ft_image_check_size(in->name, cinfo->image_width, cinfo->image_height);
    if (e != FT_OK) stop_with(r, e);
    choose_scale(cinfo, want.min_side);
    choose_colours(cinfo, want.c);
    int orientation = orientation_of(cinfo);
    jpeg_start_decompress(cinfo);
    e = ft_image_alloc(&r->image, (int32_t)cinfo->output_width, (int32_t)cinfo->output_height, want.c);
    if (e != FT_OK) stop_with(r, e);
    read_rows(r, want.c);
    jpeg_finish_decompress(cinfo);
    e = ft_image_upright(&r->image, orientation);
    if (e != FT_OK) stop_with(r, e);
}

ft_err ft_jpeg_decode(const ft_image_bytes *in, ft_image_want want, ft_image *out) {
    *out = (ft_image){0};
    reader *r = calloc(1, sizeof *r);
    FT_REQUIRE(r, MEMORY, "no memory for a JPEG decoder");
    r->cinfo.err = jpeg_std_error(&r->errors);
    r->cinfo.client_data = r;
    r->errors.error_exit = give_up;
    r->errors.emit_message = on_message;
    r->errors.output_message = on_output;
    r->progress.progress_monitor = on_progress;
    if (setjmp(r->jump) == 0) {
        decode(r, in, want);
        *out = r->image;
        r->image = (ft_image){0};
    } else if (r->errors.msg_code == JERR_OUT_OF_MEMORY) {
        r->err = ft_err_set(FT_E_MEMORY, "no memory to decode a JPEG image");
    } else if (!r->failed_here) {
        r->err = ft_err_set(FT_E_DATA, "%s: damaged or unsupported JPEG: %s; replace or remove the file",
                            in->name, r->reason);
    }
    ft_err e = r->err;
    jpeg_destroy_decompress(&r->cinfo);
    ft_image_free(&r->image);
    free(r->wide);
    free(r);
    return e;
}

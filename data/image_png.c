/* PNG by libspng: palettes become RGB, alpha and transparent colours are dropped, 16 bits keep the upper 8,
 * interlacing is undone; gamma and profiles are ignored, as Pillow's convert('RGB') does.
 */
#include "data/image_decode.h"

#include <stdbool.h>
#include <stdlib.h>

#include <spng.h>

/* Texts and profiles can be compressed bombs too. */
enum { MAX_CHUNK_BYTES = 64 << 20 };

static ft_err decode(spng_ctx *ctx, const ft_image_bytes *in, ft_image_want want, ft_image *out) {
    struct spng_ihdr head;
    int bad = spng_set_image_limits(ctx, INT32_MAX, INT32_MAX);
    if (!bad) bad = spng_set_chunk_limits(ctx, MAX_CHUNK_BYTES, MAX_CHUNK_BYTES);
#ifdef FACET_FUZZ /* which guesses no checksums */
    if (!bad) bad = spng_set_crc_action(ctx, SPNG_CRC_USE, SPNG_CRC_USE);
#endif
    if (!bad) bad = spng_set_png_buffer(ctx, in->p, in->n);
    if (!bad) bad = spng_get_ihdr(ctx, &head);
    if (!bad) {
        FT_TRY(ft_image_check_size(in->name, head.width, head.height));
        bool grey = head.color_type == SPNG_COLOR_TYPE_GRAYSCALE && head.bit_depth <= 8;
        FT_TRY(ft_image_alloc(out, (int32_t)head.width, (int32_t)head.height, grey ? 1 : 3));
        size_t bytes = (size_t)out->w * (size_t)out->h * (size_t)out->c;
        bad = spng_decode_image(ctx, out->p, bytes, grey ? SPNG_FMT_G8 : SPNG_FMT_RGB8, 0);
        if (!bad) bad = spng_decode_chunks(ctx); /* up to the end mark, or the file is cut off */
    }
    FT_REQUIRE(!bad, DATA, "%s: damaged or unsupported PNG: %s; replace or remove the file", in->name,
               spng_strerror(bad));
    if (out->c == want.c) return FT_OK;
    int64_t n = (int64_t)out->w * out->h;
    if (want.c == 1) {
        ft_image_rgb_to_grey(out->p, out->p, n);
        out->c = 1;
        return FT_OK;
    }
    ft_image rgb;
    FT_TRY(ft_image_alloc(&rgb, out->w, out->h, 3));
    ft_image_grey_to_rgb(out->p, rgb.p, n);
    ft_image_free(out);
    *out = rgb;
    return FT_OK;
}

ft_err ft_png_decode(const ft_image_bytes *in, ft_image_want want, ft_image *out) {
    *out = (ft_image){0};
    spng_ctx *ctx = spng_ctx_new(0);
    FT_REQUIRE(ctx, MEMORY, "no memory for a PNG decoder");
    ft_err e = decode(ctx, in, want, out);
    spng_ctx_free(ctx);
    if (e != FT_OK) ft_image_free(out);
    return e;
}

/* WebP by libwebp: alpha is dropped, as Pillow's convert('RGB') does; animations are refused. */
#include "data/image_decode.h"

#include <webp/decode.h>

ft_err ft_webp_decode(const ft_image_bytes *in, ft_image_want want, ft_image *out) {
    WebPBitstreamFeatures head;
    FT_REQUIRE(WebPGetFeatures(in->p, in->n, &head) == VP8_STATUS_OK, DATA,
               "%s: damaged WebP; replace or remove the file", in->name);
    FT_REQUIRE(!head.has_animation, DATA, "%s: the file is an animated WebP; convert it to JPEG or PNG",
               in->name);
    FT_TRY(ft_image_check_size(in->name, head.width, head.height));
    FT_TRY(ft_image_alloc(out, head.width, head.height, 3));
    size_t row = (size_t)out->w * 3;
    if (!WebPDecodeRGBInto(in->p, in->n, out->p, row * (size_t)out->h, (int)row)) {
        ft_image_free(out);
        FT_FAIL(DATA, "%s: damaged or cut off WebP; replace or remove the file", in->name);
    }
    if (want.c == 1) {
        ft_image_rgb_to_grey(out->p, out->p, (int64_t)out->w * out->h);
        out->c = 1;
    }
    return FT_OK;
}

#include "data/image.h"
#include "tensor/atomic_file.h"

#include <spng.h>

static int encode(spng_ctx *ctx, const ft_image *im, FILE *file) {
    struct spng_ihdr head = {.width = (uint32_t)im->w,
                             .height = (uint32_t)im->h,
                             .bit_depth = 8,
                             .color_type =
                                 im->c == 1 ? SPNG_COLOR_TYPE_GRAYSCALE : SPNG_COLOR_TYPE_TRUECOLOR};
    int bad = spng_set_png_file(ctx, file);
    if (!bad) bad = spng_set_ihdr(ctx, &head);
    size_t bytes = (size_t)im->w * (size_t)im->h * (size_t)im->c;
    if (!bad) bad = spng_encode_image(ctx, im->p, bytes, SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE);
    return bad;
}

ft_err ft_image_write_png(const ft_image *im, const char *path) {
    ft_atomic_file a;
    spng_ctx *ctx = spng_ctx_new(SPNG_CTX_ENCODER);
    FT_REQUIRE(ctx, MEMORY, "%s: no memory to write a PNG file", path);
    ft_err e = ft_atomic_open(&a, path);
    if (e == FT_OK) {
        int bad = encode(ctx, im, a.stream);
        if (bad) {
            ft_atomic_abort(&a);
            e = ft_err_set(bad == SPNG_EMEM ? FT_E_MEMORY : FT_E_IO, "%s: cannot be written: %s", path,
                           spng_strerror(bad));
        } else {
            e = ft_atomic_commit(&a);
        }
    }
    spng_ctx_free(ctx);
    return e;
}

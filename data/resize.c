/* Resampling: names, checks and scratch memory. */
#include "data/resize.h"

#include "data/resize_pass.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {[FT_RESIZE_PIL] = "pil",
                                    [FT_RESIZE_PIL_BICUBIC] = "pil_bicubic",
                                    [FT_RESIZE_TF] = "tf",
                                    [FT_RESIZE_OPENCV] = "opencv",
                                    [FT_RESIZE_TF_ANTIALIAS] = "tf_antialias",
                                    [FT_RESIZE_TF_NEAREST] = "tf_nearest",
                                    [FT_RESIZE_OPENCV_AREA] = "opencv_area"};

ft_err ft_resize_parse(const char *name, ft_resize *how) {
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0) {
            *how = (ft_resize)i;
            return FT_OK;
        }
    FT_FAIL(CONFIG,
            "there is no resize method \"%s\"; use pil, pil_bicubic, tf, tf_antialias, tf_nearest, opencv or "
            "opencv_area",
            name);
}

const char *ft_resize_name(ft_resize how) {
    return names[how];
}

ft_box ft_box_whole(const ft_image *im) {
    return (ft_box){0, 0, (float)im->w, (float)im->h};
}

void ft_resizer_free(ft_resizer *r) {
    free(r->memory);
    *r = (ft_resizer){0};
}

void *ft_resizer_reserve(ft_resizer *r, size_t bytes) {
    if (bytes <= r->bytes) return r->memory;
    ft_resizer_free(r);
    r->memory = ft_alloc(bytes, 1);
    if (r->memory) r->bytes = bytes;
    return r->memory;
}

/* In float32, as TensorFlow's kernel: it decides on which side of a border a centre falls. */
static int32_t nearest_of(int32_t i, int32_t n_out, int32_t edge0, int32_t edge1) {
    float scale = (float)(edge1 - edge0) / (float)n_out;
    int32_t j = edge0 + (int32_t)floorf(((float)i + 0.5f) * scale);
    return j < edge1 ? j : edge1 - 1;
}

static void resize_nearest(const ft_image *src, ft_box box, ft_image *dst) {
    int32_t x0 = (int32_t)floorf(box.x0), x1 = (int32_t)ceilf(box.x1), y0 = (int32_t)floorf(box.y0),
            y1 = (int32_t)ceilf(box.y1), c = src->c;
    for (int32_t y = 0; y < dst->h; y++) {
        const uint8_t *row = src->p + (int64_t)nearest_of(y, dst->h, y0, y1) * src->w * c;
        uint8_t *to = dst->p + (int64_t)y * dst->w * c;
        for (int32_t x = 0; x < dst->w; x++)
            memcpy(to + x * c, row + nearest_of(x, dst->w, x0, x1) * c, (size_t)c);
    }
}

/* opencv_area averages only where both sides shrink. */
static bool shrinks(ft_box box, const ft_image *dst) {
    return box.x1 - box.x0 >= (float)dst->w && box.y1 - box.y0 >= (float)dst->h;
}

ft_err ft_image_resize(ft_resizer *r, const ft_image *src, ft_box box, ft_resize how, ft_image *dst) {
    FT_REQUIRE(dst->w > 0 && dst->h > 0 && dst->c == src->c && (src->c == 1 || src->c == 3), USAGE,
               "cannot resize %d x %d x %d to %d x %d x %d", src->w, src->h, src->c, dst->w, dst->h, dst->c);
    FT_REQUIRE(box.x0 >= 0 && box.x0 < box.x1 && box.x1 <= (float)src->w && box.y0 >= 0 && box.y0 < box.y1 &&
                   box.y1 <= (float)src->h,
               USAGE, "the box (%g, %g, %g, %g) does not lie in an image of %d x %d", (double)box.x0,
               (double)box.y0, (double)box.x1, (double)box.y1, src->w, src->h);
    if (how == FT_RESIZE_PIL || how == FT_RESIZE_PIL_BICUBIC)
        return ft_resize_filtered(r, src, box, how == FT_RESIZE_PIL_BICUBIC, dst);
    if (how == FT_RESIZE_TF_ANTIALIAS || (how == FT_RESIZE_OPENCV_AREA && shrinks(box, dst)))
        return ft_resize_weighted(r, src, box, how == FT_RESIZE_OPENCV_AREA, dst);
    if (how != FT_RESIZE_TF_NEAREST) return ft_resize_two_tap(r, src, box, how, dst);
    resize_nearest(src, box, dst);
    return FT_OK;
}

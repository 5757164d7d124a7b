/* Resampling: names, checks and scratch memory. */
#include "data/resize.h"

#include "data/resize_pass.h"

#include <stdlib.h>
#include <string.h>

static const char *const names[] = {[FT_RESIZE_PIL] = "pil",
                                    [FT_RESIZE_PIL_BICUBIC] = "pil_bicubic",
                                    [FT_RESIZE_TF] = "tf",
                                    [FT_RESIZE_OPENCV] = "opencv"};

ft_err ft_resize_parse(const char *name, ft_resize *how) {
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0) {
            *how = (ft_resize)i;
            return FT_OK;
        }
    FT_FAIL(CONFIG, "there is no resize method \"%s\"; use pil, pil_bicubic, tf or opencv", name);
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

ft_err ft_image_resize(ft_resizer *r, const ft_image *src, ft_box box, ft_resize how, ft_image *dst) {
    FT_REQUIRE(dst->w > 0 && dst->h > 0 && dst->c == src->c && (src->c == 1 || src->c == 3), USAGE,
               "cannot resize %d x %d x %d to %d x %d x %d", src->w, src->h, src->c, dst->w, dst->h, dst->c);
    FT_REQUIRE(box.x0 >= 0 && box.x0 < box.x1 && box.x1 <= (float)src->w && box.y0 >= 0 && box.y0 < box.y1 &&
                   box.y1 <= (float)src->h,
               USAGE, "the box (%g, %g, %g, %g) does not lie in an image of %d x %d", (double)box.x0,
               (double)box.y0, (double)box.x1, (double)box.y1, src->w, src->h);
    bool filtered = how == FT_RESIZE_PIL || how == FT_RESIZE_PIL_BICUBIC;
    if (filtered) return ft_resize_filtered(r, src, box, how == FT_RESIZE_PIL_BICUBIC, dst);
    return ft_resize_two_tap(r, src, box, how == FT_RESIZE_OPENCV, dst);
}

/* One sample: read or cached -> sized -> augmented -> normalised. */
#include "data/loader_sample.h"

#include "data/blur.h"

#include <stdlib.h>
#include <string.h>

ft_err ft_sampler_scratch_init(ft_sampler_scratch *s, const ft_preprocess *p) {
    *s = (ft_sampler_scratch){0};
    for (int i = 0; i < 2; i++) {
        ft_err e = ft_image_alloc(&s->sized[i], p->w, p->h, p->c);
        if (e != FT_OK) {
            ft_sampler_scratch_free(s);
            return e;
        }
    }
    s->numbers = ft_alloc((size_t)p->h * (size_t)p->w, (size_t)p->c * sizeof *s->numbers);
    if (s->numbers) return FT_OK;
    ft_sampler_scratch_free(s);
    FT_FAIL(MEMORY, "no memory for an image of %d x %d x %d", p->w, p->h, p->c);
}

void ft_sampler_scratch_free(ft_sampler_scratch *s) {
    ft_resizer_free(&s->resizer);
    for (int i = 0; i < 2; i++) ft_image_free(&s->sized[i]);
    free(s->numbers);
    s->numbers = NULL;
}

/* The inception crop needs the original; everything else starts from the input's size. */
static bool wants_original(const ft_loader_options *o) {
    return o->training && o->augment.crop == FT_CROP_INCEPTION;
}

/* The part that no chance enters, and that may be cached: an image of the caller's. */
static ft_err make_base(const ft_sampler *s, ft_sampler_scratch *scratch, int32_t sample, ft_image *base) {
    const ft_loader_options *o = &s->options;
    const ft_preprocess *p = &o->image;
    /* a crop of 5 % of the area has sides of 22 %: twice the reserve keeps most of them sharp */
    FT_TRY(ft_dataset_read(s->ds, sample, ft_preprocess_want(p, wants_original(o) ? 2 : 1), base));
    if (wants_original(o)) return FT_OK;
    ft_box box = o->training ? ft_box_whole(base) : ft_preprocess_box(p, base);
    bool whole = box.x0 <= 0 && box.y0 <= 0 && box.x1 >= (float)base->w && box.y1 >= (float)base->h;
    if (whole && base->w == p->w && base->h == p->h) return FT_OK;
    ft_image sized;
    ft_err e = ft_image_alloc(&sized, p->w, p->h, p->c);
    if (e == FT_OK && (e = ft_image_resize(&scratch->resizer, base, box, p->resize, &sized)) != FT_OK)
        ft_image_free(&sized);
    ft_image_free(base);
    if (e == FT_OK) *base = sized;
    return e;
}

/* Numbers from pixels: by the table, or with what is done to them on the way. */
static void make_numbers(const ft_sampler *s, ft_sampler_scratch *scratch, const ft_augment_plan *plan,
                         const ft_image *im, float *x) {
    const ft_preprocess *p = &s->options.image;
    if (plan->color.n == 0 && !plan->grey && !(plan->blur > 0)) {
        ft_normalizer_apply(&s->normalizer, im, plan->mirrored, x);
        return;
    }
    int64_t pixels = (int64_t)p->w * p->h;
    ft_normalizer_apply(&s->unit, im, plan->mirrored, x);
    ft_color_apply(&plan->color, pixels, p->c, x);
    if (plan->grey) ft_color_to_grey(pixels, p->c, x);
    if (plan->blur > 0) ft_blur(p->h, p->w, p->c, plan->blur, x, scratch->numbers);
    ft_normalizer_apply_floats(&s->normalizer, pixels, p->c, x);
}

static ft_err augment(const ft_sampler *s, ft_sampler_scratch *scratch, uint64_t epoch_seed, int32_t sample,
                      const ft_image *base, float *x) {
    const ft_preprocess *p = &s->options.image;
    const ft_augment *a = &s->options.augment;
    ft_augment_plan plan = ft_augment_draw(a, epoch_seed, sample, base->w, base->h, p->w, p->h);
    ft_image *here = &scratch->sized[0], *spare = &scratch->sized[1];
    const ft_image *im = base;
    if (a->crop == FT_CROP_INCEPTION) {
        FT_TRY(ft_image_resize(&scratch->resizer, im, plan.box, p->resize, here));
        im = here;
    }
    if (a->crop == FT_CROP_RANDOM && (plan.dx || plan.dy)) {
        ft_image_shift(im, plan.dx, plan.dy, a->reflect, here);
        im = here;
    }
    if (plan.warped) {
        ft_image_warp(im, plan.matrix, spare);
        im = spare;
    }
    make_numbers(s, scratch, &plan, im, x);
    for (int32_t y = 0; y < plan.erase_h; y++)
        memset(x + ((int64_t)(plan.erase_y + y) * p->w + plan.erase_x) * p->c, 0,
               (size_t)plan.erase_w * (size_t)p->c * sizeof *x);
    return FT_OK;
}

ft_err ft_sampler_make(const ft_sampler *s, ft_sampler_scratch *scratch, uint64_t epoch_seed,
                       int32_t position, int32_t sample, float *x) {
    ft_image base;
    bool borrowed = s->cache && ft_image_cache_get(s->cache, position, &base);
    if (!borrowed) {
        FT_TRY(make_base(s, scratch, sample, &base));
        borrowed = s->cache && ft_image_cache_put(s->cache, position, &base);
    }
    ft_err e = FT_OK;
    if (s->options.training)
        e = augment(s, scratch, epoch_seed, sample, &base, x);
    else
        ft_normalizer_apply(&s->normalizer, &base, false, x);
    if (!borrowed) ft_image_free(&base);
    return e;
}

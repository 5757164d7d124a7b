#include "train/pictures.h"

#include <math.h>
#include <stdlib.h>

enum { SIDE = 224 /* pixels: twice what the page gives it, for dense screens */, QUALITY = 82 };

ft_err ft_picture_shot(const ft_image *im, const ft_preprocess *how, int32_t side, const ft_view *heat,
                       ft_image *shot) {
    ft_box box = ft_preprocess_box(how, im);
    double w = (double)box.x1 - (double)box.x0, h = (double)box.y1 - (double)box.y0,
           shrink = fmin(1, side / fmax(w, h));
    ft_image small = {0};
    ft_resizer r = {0};
    *shot = (ft_image){0};
    FT_TRY(ft_image_alloc(&small, (int32_t)fmax(1, round(w * shrink)), (int32_t)fmax(1, round(h * shrink)),
                          im->c));
    ft_err e = ft_image_resize(&r, im, box, FT_RESIZE_PIL, &small);
    ft_resizer_free(&r);
    if (e == FT_OK && small.c == 1) {
        e = ft_image_alloc(shot, small.w, small.h, 3);
        if (e == FT_OK) ft_image_grey_to_rgb(small.p, shot->p, (int64_t)small.w * small.h);
        ft_image_free(&small);
    } else if (e == FT_OK) {
        *shot = small;
    } else {
        ft_image_free(&small);
    }
    if (e == FT_OK && heat) ft_gradcam_overlay(heat, shot);
    return e;
}

static ft_err add_shot(const ft_image *im, const ft_preprocess *how, const ft_view *heat,
                       const unsigned char **bytes, size_t *n) {
    ft_image shot;
    uint8_t *jpeg = NULL;
    FT_TRY(ft_picture_shot(im, how, SIDE, heat, &shot));
    ft_err e = ft_image_encode_jpeg(&shot, QUALITY, &jpeg, n);
    ft_image_free(&shot);
    *bytes = jpeg;
    return e;
}

static ft_err take(const ft_image *im, const ft_preprocess *how, ft_gradcam *cam, int32_t predicted, float *x,
                   ft_report_picture *p) {
    FT_TRY(add_shot(im, how, NULL, &p->image, &p->image_bytes));
    if (!cam) return FT_OK;
    ft_resizer r = {0};
    ft_err e = ft_preprocess_image(how, &r, im, x);
    ft_resizer_free(&r);
    if (e != FT_OK) return e;
    ft_view heat = ft_gradcam_run(cam, x, predicted);
    return add_shot(im, how, &heat, &p->heat, &p->heat_bytes);
}

ft_err ft_pictures_make(const ft_dataset *ds, const ft_preprocess *how, ft_gradcam *cam, int32_t n,
                        const int64_t *row, const int32_t *sample, const int32_t *predicted,
                        ft_report_picture **pictures) {
    ft_report_picture *made = ft_alloc((size_t)n, sizeof *made);
    float *x = ft_alloc((size_t)how->h * (size_t)how->w * (size_t)how->c, sizeof *x);
    ft_err e = made && x ? FT_OK : ft_err_set(FT_E_MEMORY, "no memory for %d pictures", n);
    for (int32_t i = 0; i < n && e == FT_OK; i++) {
        ft_image im;
        made[i].row = row[i];
        ft_err read = ft_dataset_read(ds, sample[i], ft_preprocess_want(how, 1), &im);
        if (read == FT_OK) e = take(&im, how, cam, cam ? predicted[i] : -1, x, &made[i]);
        if (read == FT_E_MEMORY) e = read;
        ft_image_free(&im);
    }
    free(x);
    if (e != FT_OK) {
        ft_pictures_free(n, made);
        made = NULL;
    }
    *pictures = made;
    return e;
}

void ft_pictures_free(int32_t n, ft_report_picture *pictures) {
    for (int32_t i = 0; pictures && i < n; i++) {
        free((void *)(uintptr_t)pictures[i].image);
        free((void *)(uintptr_t)pictures[i].heat);
    }
    free(pictures);
}

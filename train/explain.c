#include "train/explain.h"

#include "train/pictures.h"
#include "train/results.h"

#include <stdio.h>
#include <string.h>

enum { SIDE = 1024 /* pixels at most */ };

ft_err ft_explainer_init(ft_explainer *e, ft_model *m, const char *folder, const char *layer, bool direct) {
    *e = (ft_explainer){.m = m, .folder = folder};
    FT_TRY(ft_gradcam_new(m, layer, direct, &e->cam));
    ft_err err = ft_folder_make(folder);
    if (err != FT_OK) ft_explainer_free(e);
    return err;
}

void ft_explainer_free(ft_explainer *e) {
    ft_gradcam_free(e->cam);
    *e = (ft_explainer){0};
}

ft_err ft_explain_image(ft_explainer *e, const char *path, const float *x, int32_t cls) {
    const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path, *dot = strrchr(base, '.');
    int length = dot && dot > base ? (int)(dot - base) : (int)strlen(base);
    ft_image im, shot;
    char name[512];
    snprintf(name, sizeof name, "%d_%.*s.png", ++e->n, length < 400 ? length : 400, base);
    FT_TRY(ft_folder_file(e->last, sizeof e->last, e->folder, name));
    ft_view heat = ft_gradcam_run(e->cam, x, cls);
    FT_TRY(ft_image_load(path, ft_preprocess_want(&e->m->image, 1), &im));
    ft_err err = ft_picture_shot(&im, &e->m->image, SIDE, &heat, &shot);
    ft_image_free(&im);
    if (err != FT_OK) return err;
    err = ft_image_write_png(&shot, e->last);
    ft_image_free(&shot);
    return err;
}

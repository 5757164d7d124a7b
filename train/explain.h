/* Pictures that explain predictions: what in each image spoke for its class (train/gradcam.h), as PNG files.
 */
#ifndef FACET_TRAIN_EXPLAIN_H
#define FACET_TRAIN_EXPLAIN_H

#include "train/gradcam.h"

typedef struct ft_explainer {
    ft_model *m; /* borrowed */
    ft_gradcam *cam;
    const char *folder; /* borrowed; exists */
    int32_t n;          /* written so far */
    char last[4096];    /* the path of the last one */
} ft_explainer;

/* Makes the folder. layer: as ft_gradcam_new. FT_E_USAGE, FT_E_IO, FT_E_MEMORY: *e needs no free. */
ft_err ft_explainer_init(ft_explainer *e, ft_model *m, const char *folder, const char *layer, bool direct);
void ft_explainer_free(ft_explainer *e);

/* Writes "<folder>/<number>_<the file's name without its ending>.png" of the image at path, prepared as x
 * (h,w,c), for class cls. FT_E_DATA, FT_E_IO, FT_E_MEMORY. */
ft_err ft_explain_image(ft_explainer *e, const char *path, const float *x, int32_t cls);

#endif

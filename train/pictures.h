/* The pictures of a report: examples small, and the same with what spoke for the prediction coloured in. */
#ifndef FACET_TRAIN_PICTURES_H
#define FACET_TRAIN_PICTURES_H

#include "eval/report.h"
#include "train/gradcam.h"

/* Of the n rows, whose samples these are and which were taken for the classes predicted; *pictures (n) is
 * released by ft_pictures_free. cam NULL: without the heat (and predicted may be, too). One that cannot be
 * read any more is left empty. FT_E_MEMORY: *pictures is NULL. */
ft_err ft_pictures_make(const ft_dataset *ds, const ft_preprocess *how, ft_gradcam *cam, int32_t n,
                        const int64_t *row, const int32_t *sample, const int32_t *predicted,
                        ft_report_picture **pictures);
void ft_pictures_free(int32_t n, ft_report_picture *pictures);

/* The part of im that the network sees, in RGB, with neither side over `side` pixels, and the heat over it if
 * there is one. The caller frees *shot. FT_E_MEMORY. */
ft_err ft_picture_shot(const ft_image *im, const ft_preprocess *how, int32_t side, const ft_view *heat,
                       ft_image *shot);

#endif

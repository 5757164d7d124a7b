/* The views of an image that a prediction may be the mean of (test-time augmentation).
 *
 * one:   the image as evaluation prepares it
 * flip:  it and its mirror image
 * crops: five windows of 7/8 of the image's sides, or of model.image's center_crop if there is one: the
 * centre and the four corners; each of them and its mirror image (Krizhevsky et al. 2012: ten)
 */
#ifndef FACET_TRAIN_VIEWS_H
#define FACET_TRAIN_VIEWS_H

#include "data/loader.h"

typedef enum ft_views { FT_VIEWS_ONE, FT_VIEWS_FLIP, FT_VIEWS_CROPS } ft_views;

/* "one", "flip", "crops". FT_E_USAGE lists them; *views is then unchanged. */
ft_err ft_views_parse(const char *name, ft_views *views);
int32_t ft_views_count(ft_views views);
/* How images are to be loaded for the views of a network that takes them as *net says. */
ft_preprocess ft_views_load(ft_views views, const ft_preprocess *net);
/* View `view` of the batch's images, which were loaded so, to x (n, net->h, net->w, net->c). */
void ft_views_take(ft_views views, int32_t view, const ft_batch *b, const ft_preprocess *net, float *x);

#endif

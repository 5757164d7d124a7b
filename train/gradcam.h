/* What in an image speaks for a class: Grad-CAM (Selvaraju et al. 2017), for any network.
 *
 *     weight_k = mean over the pixels of d score / d A_k      A: a layer's output (h,w,c), score: the class's
 * logit heat     = relu(sum_k weight_k A_k), over its largest
 */
#ifndef FACET_TRAIN_GRADCAM_H
#define FACET_TRAIN_GRADCAM_H

#include "data/image.h"
#include "train/model.h"

typedef struct ft_gradcam ft_gradcam;

/* For the output of the node `layer`; NULL: of the last one with more than one pixel. From now on the model
 * is frozen: not to be trained. direct: as ft_plan_spec.direct. FT_E_USAGE: no such node, one without pixels
 * or not before the classes; FT_E_GRAPH, FT_E_MEMORY. *out is then NULL. */
ft_err ft_gradcam_new(ft_model *m, const char *layer, bool direct, ft_gradcam **out);
void ft_gradcam_free(ft_gradcam *g); /* NULL is fine */

/* The heat (1,h,w,1) of class cls in an image x prepared for the network (h,w,c): 0 to 1, valid until the
 * next run; all 0 where nothing speaks for the class. */
ft_view ft_gradcam_run(ft_gradcam *g, const float *x, int32_t cls);

/* Colours in what the heat is of: im, RGB, shows what the network saw, at any size. */
void ft_gradcam_overlay(const ft_view *heat, ft_image *im);

#endif

/* The ways of resampling behind ft_image_resize; private to data/. src, box and dst are already checked.
 */
#ifndef FACET_DATA_RESIZE_PASS_H
#define FACET_DATA_RESIZE_PASS_H

#include "data/resize.h"

/* Grows r to at least bytes (64-byte aligned, contents lost) and returns its memory, or NULL. */
void *ft_resizer_reserve(ft_resizer *r, size_t bytes);
/* The antialiased filters (pil, pil_bicubic). */
ft_err ft_resize_filtered(ft_resizer *r, const ft_image *src, ft_box box, bool cubic, ft_image *dst);
/* Two taps an axis: tf, opencv, and opencv_area where a side does not shrink. */
ft_err ft_resize_two_tap(ft_resizer *r, const ft_image *src, ft_box box, ft_resize how, ft_image *dst);
/* Weighted sums in float32: tf_antialias, and opencv_area where both sides shrink. */
ft_err ft_resize_weighted(ft_resizer *r, const ft_image *src, ft_box box, bool area, ft_image *dst);

#endif

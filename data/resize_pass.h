/* The two ways of resampling behind ft_image_resize; private to data/. src, box and dst are already checked.
 */
#ifndef FACET_DATA_RESIZE_PASS_H
#define FACET_DATA_RESIZE_PASS_H

#include "data/resize.h"

/* Grows r to at least bytes (64-byte aligned, contents lost) and returns its memory, or NULL. */
void *ft_resizer_reserve(ft_resizer *r, size_t bytes);
/* The antialiased filters (pil, pil_bicubic). */
ft_err ft_resize_filtered(ft_resizer *r, const ft_image *src, ft_box box, bool cubic, ft_image *dst);
/* Two taps an axis (tf, opencv). */
ft_err ft_resize_two_tap(ft_resizer *r, const ft_image *src, ft_box box, bool fixed_point, ft_image *dst);

#endif

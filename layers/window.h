/* Sliding windows: the geometry that convolution and pooling share. */
#ifndef FACET_LAYERS_WINDOW_H
#define FACET_LAYERS_WINDOW_H

#include "layers/layers.h"

typedef struct ft_window {
    int32_t kh, kw, sh, sw, dh, dw; /* kernel, stride, dilation */
    int32_t padding;                /* ft_padding */
    int32_t pad[4];                 /* top, bottom, left, right, for FT_PAD_EXPLICIT */
} ft_window;

typedef struct ft_geometry {
    int32_t oh, ow;
    int32_t top, left; /* padding before the first row and column */
} ft_geometry;

/* Output size for an h x w input; fails with FT_E_GRAPH if the window does not fit or a number is out of
 * range. 'same' as TensorFlow: out = ceil(in/s), total = max(0, (out-1)*s + (k-1)*d + 1 - in), before =
 * total/2. */
ft_err ft_window_geometry(const ft_window *win, int32_t h, int32_t w, ft_geometry *out);

#endif

/* Resampling of 8-bit images in the conventions of the libraries that a network's pixels came from:
 *
 *   pil           Pillow's BILINEAR: a triangle as wide as the reduction (antialiased), 22-bit weights,
 *                 8 bits between the passes; equal to Pillow bit for bit, as torchvision on PIL images is
 *   pil_bicubic   Pillow's BICUBIC (Keys, a = -0.5), likewise
 *   tf            tf.image.resize, bilinear: half-pixel centres, not antialiased, float32, rounded to 8 bits
 *   tf_antialias  the same with antialias=True
 *   tf_nearest    the same with method="nearest": the pixel at the centre. Pillow's NEAREST, and so Keras's
 *                 load_img, but where a centre falls on a border between pixels
 *   opencv        cv2.resize(INTER_LINEAR): half-pixel centres, not antialiased, 11-bit weights
 *   opencv_area   cv2.resize(INTER_AREA): the mean of what is covered; to enlarge, pixels with blended seams
 */
#ifndef FACET_DATA_RESIZE_H
#define FACET_DATA_RESIZE_H

#include "data/image.h"

#include <stdbool.h>

typedef enum ft_resize {
    FT_RESIZE_PIL,
    FT_RESIZE_PIL_BICUBIC,
    FT_RESIZE_TF,
    FT_RESIZE_OPENCV,
    FT_RESIZE_TF_ANTIALIAS,
    FT_RESIZE_TF_NEAREST,
    FT_RESIZE_OPENCV_AREA
} ft_resize;

/* The names above. FT_E_CONFIG lists them when name is none; *how is then unchanged. */
ft_err ft_resize_parse(const char *name, ft_resize *how);
const char *ft_resize_name(ft_resize how);

/* Part of an image in pixel edges: 0 <= x0 < x1 <= w, 0 <= y0 < y1 <= h. */
typedef struct ft_box {
    float x0, y0, x1, y1;
} ft_box;

/* The whole of an image. */
ft_box ft_box_whole(const ft_image *im);

/* Scratch memory of one thread, reused from call to call. Start with {0}; it grows as needed. */
typedef struct ft_resizer {
    void *memory;
    size_t bytes;
} ft_resizer;

void ft_resizer_free(ft_resizer *r);

/* Resamples the box of src onto all of dst, whose memory, w and h the caller provides; dst->c == src->c,
 * distinct memory. pil*: pixels outside the box count where the filter reaches them (Pillow's resize(box=));
 * the others: the image ends at the box (crop, then resize), at whole pixels. FT_E_USAGE for an empty or
 * outlying box, FT_E_MEMORY; dst's pixels are then unchanged. */
ft_err ft_image_resize(ft_resizer *r, const ft_image *src, ft_box box, ft_resize how, ft_image *dst);

#endif

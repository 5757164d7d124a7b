/* Random changes of colour, on numbers in [0, 1] (rows of c = 1 or 3). What happens to an image is drawn
 * first.
 *
 *   inception   Szegedy et al.'s training distortion as TensorFlow's models have it (research/inception,
 *               image_processing.distort_color): brightness +-32/255, saturation x 0.5 to 1.5, hue +-0.2,
 *               contrast x 0.5 to 1.5, in this order or, for half of the images, with contrast second
 *   jitter      torchvision's ColorJitter: any of brightness, contrast, saturation, hue in a random order
 *
 * A grey image has neither saturation nor hue.
 */
#ifndef FACET_DATA_COLOR_H
#define FACET_DATA_COLOR_H

#include "tensor/error.h"
#include "tensor/rng.h"

#include <stdbool.h>

typedef enum ft_color { FT_COLOR_NONE, FT_COLOR_INCEPTION } ft_color;

/* "none", "inception". FT_E_CONFIG lists them; *color is then unchanged. */
ft_err ft_color_parse(const char *name, ft_color *color);

/* All zero: nothing is changed. */
typedef struct ft_color_options {
    ft_color color;
    float brightness, contrast, saturation; /* factors within this of 1, none below 0 */
    float hue;                              /* turns: the circle's fraction, up to 0.5 either way */
} ft_color_options;

bool ft_color_changes(const ft_color_options *o);
/* FT_E_CONFIG names the field that makes no sense. */
ft_err ft_color_check(const ft_color_options *o);

typedef enum ft_color_op {
    FT_COLOR_ADD,              /* x + by */
    FT_COLOR_CHANNEL_CONTRAST, /* m + by (x - m), m each channel's mean: tf.image.adjust_contrast */
    FT_COLOR_HSV_SATURATION,   /* s * by in HSV, s at most 1: tf.image.adjust_saturation */
    FT_COLOR_TURN_HUE,         /* h + by in HSV: tf.image.adjust_hue, torchvision's adjust_hue */
    FT_COLOR_SCALE,            /* by x: torchvision's adjust_brightness */
    FT_COLOR_GREY_CONTRAST, /* m + by (x - m), m the mean of the grey image: torchvision's adjust_contrast */
    FT_COLOR_GREY_SATURATION, /* g + by (x - g), g the pixel's grey: torchvision's adjust_saturation */
} ft_color_op;

/* What chance decided for one image, in order. */
typedef struct ft_color_plan {
    int32_t n;
    struct {
        ft_color_op op;
        float by;
    } step[8];
} ft_color_plan;
ft_color_plan ft_color_draw(const ft_color_options *o, ft_rng *rng);

/* Every pixel of x (pixels, c) becomes its grey, by ITU-R 601's weights (torchvision's rgb_to_grayscale). */
void ft_color_to_grey(int64_t pixels, int32_t c, float *x);

/* Does that to x (pixels, c), in [0, 1] before and after. TensorFlow's steps keep what goes beyond until the
 * end, torchvision's cut it off at each. */
void ft_color_apply(const ft_color_plan *plan, int64_t pixels, int32_t c, float *x);

#endif

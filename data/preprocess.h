/* From an image to a network's input: what part of it, at what size, in what numbers. Evaluation and
 * prediction use this alone; training puts augment.h between the size and the numbers.
 */
#ifndef FACET_DATA_PREPROCESS_H
#define FACET_DATA_PREPROCESS_H

#include "data/resize.h"

typedef enum ft_normalize {
    FT_NORMALIZE_UNIT,      /* x / 255: [0, 1] */
    FT_NORMALIZE_INCEPTION, /* x / 127.5 - 1: [-1, 1], Keras's and TF-slim's Inception */
    FT_NORMALIZE_STANDARD,  /* (x - mean) / max(std, 1/sqrt(h*w*c)) of each image,
                               tf.image.per_image_standardization */
    FT_NORMALIZE_MEAN_STD   /* (x / 255 - mean[k]) / std[k] in channel k, torchvision's Normalize */
} ft_normalize;

/* "unit", "inception", "standard", "mean_std". FT_E_CONFIG lists them when name is none; *how is then
 * unchanged. */
ft_err ft_normalize_parse(const char *name, ft_normalize *how);
const char *ft_normalize_name(ft_normalize how);

typedef struct ft_preprocess {
    int32_t h, w, c; /* the network's input; c is 1 or 3 */
    ft_resize resize;
    ft_normalize normalize;
    float mean[3], std[3]; /* for FT_NORMALIZE_MEAN_STD, of pixels in [0, 1]; std > 0 */
    float center_crop;     /* evaluation: the fraction of each side kept around the centre; 0 or 1: all */
    bool scaled_decode;    /* decode large JPEGs at 1/2, 1/4 or 1/8 where at least twice the input's size is
                              left: much faster, pixels differ a little from a full decode */
} ft_preprocess;

/* Sets mean and std to ImageNet's, by which torchvision normalises. */
void ft_preprocess_imagenet(ft_preprocess *p);
/* FT_E_CONFIG names the field that makes no sense. */
ft_err ft_preprocess_check(const ft_preprocess *p);
/* How to read an image for it; reserve >= 1: how much larger than the input the decoded image must be. */
ft_image_want ft_preprocess_want(const ft_preprocess *p, int32_t reserve);
/* The part of im that evaluation sees: whole, or the centre as tf.image.central_crop rounds it. */
ft_box ft_preprocess_box(const ft_preprocess *p, const ft_image *im);

/* Numbers for bytes: table[k][v] is what value v of channel k becomes. */
typedef struct ft_normalizer {
    ft_normalize how;
    float table[3][256];
} ft_normalizer;

void ft_normalizer_init(ft_normalizer *z, const ft_preprocess *p);
/* im (h, w, c) to x (h, w, c), rows reversed left to right when mirrored. z itself is not changed, so threads
 * may share it. */
void ft_normalizer_apply(const ft_normalizer *z, const ft_image *im, bool mirrored, float *x);

/* The same for numbers x (pixels, c) in [0, 1], in place, of an image whose colours were changed. */
void ft_normalizer_apply_floats(const ft_normalizer *z, int64_t pixels, int32_t c, float *x);

/* The way back, to look at it: x (h, w, c) to im (h, w, c), what is beyond 0 and 255 cut off. Of STANDARD,
 * which cannot be undone, the darkest number becomes 0 and the lightest 255. */
void ft_normalizer_undo(const ft_normalizer *z, const float *x, ft_image *im);

/* All of it for one image, as evaluation does: im -> x (p->h, p->w, p->c). im->c == p->c. r: the thread's
 * scratch. */
ft_err ft_preprocess_image(const ft_preprocess *p, ft_resizer *r, const ft_image *im, float *x);

#endif

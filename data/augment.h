/* Random changes of training images. What happens to an image depends on (seed, epoch, sample number) alone.
 *
 *   crop inception:     a box of the original, resized   \
 *   crop random, none:  the whole, resized; pad and cut  /  -> warp (rotate, shift, scale, shear) -> flip
 *                       -> colour -> grey -> blur -> (numbers) -> erase -> mix (data/mix.h) with others of
 * the batch
 */
#ifndef FACET_DATA_AUGMENT_H
#define FACET_DATA_AUGMENT_H

#include "data/color.h"
#include "data/mix.h"
#include "data/resize.h"

typedef enum ft_crop {
    FT_CROP_NONE,
    FT_CROP_RANDOM,   /* pad the resized image on all sides, cut the input's size out of it (torchvision's
                         RandomCrop) */
    FT_CROP_INCEPTION /* a box of 5 to 100 % of the area, sides 3:4 to 4:3 (Szegedy et al. 2015): area
                         uniform, aspect log-uniform, 100 attempts, else the whole image (torchvision's
                         RandomResizedCrop otherwise) */
} ft_crop;

/* "none", "random", "inception". FT_E_CONFIG lists them when name is none; *crop is then unchanged. */
ft_err ft_crop_parse(const char *name, ft_crop *crop);
const char *ft_crop_name(ft_crop crop);

/* All zero: nothing is changed. */
typedef struct ft_augment {
    bool flip; /* mirror left to right half of the time */
    ft_crop crop;
    int32_t pad;  /* FT_CROP_RANDOM: pixels on each side, black (torchvision's default) */
    bool reflect; /* FT_CROP_RANDOM: pad with the mirrored image instead */
    float rotate; /* degrees: turn by up to this much either way */
    float shift;  /* fraction of a side: move by up to this much each way */
    float scale; /* fraction: enlarge by 1 - scale to 1 + scale; all three repeat the edge where nothing is */
    float shear; /* degrees: lean by up to this much either way */
    ft_color_options color;
    float grey;  /* the share of images that lose their colours */
    float blur;  /* pixels: blur with a deviation of up to this much */
    float erase; /* the share of images of which a rectangle is erased (Zhong et al. 2017, torchvision's
                    RandomErasing: 2 to 33 % of the area, sides 0.3 to 3.3, 10 attempts, zeros in the
                    network's numbers) */
    ft_mix mix;
} ft_augment;

/* FT_E_CONFIG names the field that makes no sense for inputs of h x w. */
ft_err ft_augment_check(const ft_augment *a, int32_t h, int32_t w);

/* Does it change anything? */
bool ft_augment_changes(const ft_augment *a);

/* What chance decided for one image. */
typedef struct ft_augment_plan {
    bool mirrored, warped;
    ft_box box;       /* FT_CROP_INCEPTION: of the original */
    int32_t dx, dy;   /* FT_CROP_RANDOM: where the cut begins in the resized image, -pad .. pad */
    double matrix[6]; /* warped: the resized image's point that shows at (x, y) is
                         (m0 x + m1 y + m2, m3 x + m4 y + m5), pixel centres at integers */
    ft_color_plan color;
    bool grey;
    double blur;                                /* deviation; 0: none */
    int32_t erase_x, erase_y, erase_w, erase_h; /* erase_w 0: nothing */
} ft_augment_plan;

/* The seed of an epoch's changes. */
uint64_t ft_augment_seed(uint64_t seed, int64_t epoch);
/* The generator of what is done to a whole batch. */
ft_rng ft_augment_batch_rng(uint64_t epoch_seed, int32_t batch);
/* Draws for the given sample: original size src_w x src_h, input size w x h. */
ft_augment_plan ft_augment_draw(const ft_augment *a, uint64_t epoch_seed, int32_t sample, int32_t src_w,
                                int32_t src_h, int32_t w, int32_t h);

/* dst(x, y) = src(x + dx, y + dy), black or mirrored outside. Equal sizes and channels, distinct memory. */
void ft_image_shift(const ft_image *src, int32_t dx, int32_t dy, bool reflect, ft_image *dst);
/* dst(x, y) = src at matrix * (x, y, 1), bilinear to 1/256 pixel, edges repeated. Equal sizes and channels,
 * distinct memory. */
void ft_image_warp(const ft_image *src, const double matrix[6], ft_image *dst);

#endif

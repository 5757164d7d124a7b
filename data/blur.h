/* Gaussian blur of numbers. */
#ifndef FACET_DATA_BLUR_H
#define FACET_DATA_BLUR_H

#include <stdint.h>

/* Blurs x (h, w, c) in place with deviation sigma > 0 in pixels, the image mirrored at its edges (which are
 * not repeated). The kernel reaches ceil(3 sigma) to each side, but not beyond the mirrored image, and its
 * sum is 1: torchvision's gaussian_blur with that kernel_size. spare: (h, w, c). */
void ft_blur(int32_t h, int32_t w, int32_t c, double sigma, float *x, float *spare);

#endif

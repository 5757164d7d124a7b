/* Decoded images kept between epochs, up to a budget of bytes. Which images are kept depends on who comes
 * first; what is read does not, since a kept image equals a newly decoded one. All functions may be called
 * from several threads.
 */
#ifndef FACET_DATA_IMAGE_CACHE_H
#define FACET_DATA_IMAGE_CACHE_H

#include "data/image.h"

#include <stdbool.h>

typedef struct ft_image_cache ft_image_cache;

/* Room for images numbered 0 .. n-1 with budget bytes of pixels in all. FT_E_MEMORY; *cache is then NULL. */
ft_err ft_image_cache_new(int32_t n, int64_t budget, ft_image_cache **cache);
/* Releases it with its images; NULL is fine. */
void ft_image_cache_free(ft_image_cache *cache);
/* Image i, borrowed until the cache is freed; false when it is not kept. */
bool ft_image_cache_get(ft_image_cache *cache, int32_t i, ft_image *im);
/* Offers image i. True: the cache owns the pixels now and *im may be read until the cache is freed. False:
 * the budget is spent or i is there already, and *im stays the caller's. */
bool ft_image_cache_put(ft_image_cache *cache, int32_t i, const ft_image *im);

#endif

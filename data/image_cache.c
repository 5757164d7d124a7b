/* Decoded images kept between epochs. */
#include "data/image_cache.h"

#include <pthread.h>
#include <stdlib.h>

struct ft_image_cache {
    pthread_mutex_t lock;
    int64_t left; /* bytes */
    int32_t n;
    ft_image *image; /* (n), empty where none is kept */
};

ft_err ft_image_cache_new(int32_t n, int64_t budget, ft_image_cache **cache) {
    *cache = NULL;
    ft_image_cache *k = calloc(1, sizeof *k);
    ft_image *image = calloc((size_t)n + 1, sizeof *image);
    if (!k || !image) {
        free(k);
        free(image);
        FT_FAIL(MEMORY, "no memory for a cache of %d images", n);
    }
    pthread_mutex_init(&k->lock, NULL);
    k->left = budget;
    k->n = n;
    k->image = image;
    *cache = k;
    return FT_OK;
}

void ft_image_cache_free(ft_image_cache *cache) {
    if (!cache) return;
    for (int32_t i = 0; i < cache->n; i++) ft_image_free(&cache->image[i]);
    free(cache->image);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

bool ft_image_cache_get(ft_image_cache *cache, int32_t i, ft_image *im) {
    pthread_mutex_lock(&cache->lock);
    *im = cache->image[i];
    pthread_mutex_unlock(&cache->lock);
    return im->p != NULL;
}

bool ft_image_cache_put(ft_image_cache *cache, int32_t i, const ft_image *im) {
    int64_t bytes = (int64_t)im->w * im->h * im->c;
    pthread_mutex_lock(&cache->lock);
    bool keep = !cache->image[i].p && bytes <= cache->left;
    if (keep) {
        cache->image[i] = *im;
        cache->left -= bytes;
    }
    pthread_mutex_unlock(&cache->lock);
    return keep;
}

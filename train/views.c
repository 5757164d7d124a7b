#include "train/views.h"

#include <math.h>
#include <string.h>

static const char *const names[] = {"one", "flip", "crops"};
static const int32_t counts[] = {1, 2, 10};

ft_err ft_views_parse(const char *name, ft_views *views) {
    for (int i = 0; i < 3; i++)
        if (strcmp(name, names[i]) == 0) {
            *views = (ft_views)i;
            return FT_OK;
        }
    FT_FAIL(USAGE, "--views: '%s' is none of one, flip, crops", name);
}

int32_t ft_views_count(ft_views views) {
    return counts[views];
}

ft_preprocess ft_views_load(ft_views views, const ft_preprocess *net) {
    ft_preprocess load = *net;
    if (views != FT_VIEWS_CROPS) return load;
    bool cropped = net->center_crop > 0 && net->center_crop < 1;
    double share = cropped ? (double)net->center_crop : 7.0 / 8;
    load.h = (int32_t)lround(net->h / share);
    load.w = (int32_t)lround(net->w / share);
    load.center_crop = 0;
    return load;
}

void ft_views_take(ft_views views, int32_t view, const ft_batch *b, const ft_preprocess *net, float *x) {
    ft_preprocess load = ft_views_load(views, net);
    int32_t spare_h = load.h - net->h, spare_w = load.w - net->w, place = view / 2, c = net->c;
    int32_t top = place == 0 ? spare_h / 2 : place > 2 ? spare_h : 0;
    int32_t left = place == 0 ? spare_w / 2 : place % 2 ? 0 : spare_w;
    bool mirrored = view % 2;
    for (int64_t row = 0; row < (int64_t)b->n * net->h; row++) {
        const float *from = b->x + ((row / net->h * load.h + top + row % net->h) * load.w + left) * c;
        float *to = x + row * net->w * c;
        for (int32_t i = 0; mirrored && i < net->w; i++)
            memcpy(to + (int64_t)i * c, from + (int64_t)(net->w - 1 - i) * c, (size_t)c * sizeof *x);
        if (!mirrored) memcpy(to, from, (size_t)(net->w * c) * sizeof *x);
    }
}

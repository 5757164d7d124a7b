/* The deterministic way from an image to a network's input. */
#include "data/preprocess.h"

#include <math.h>
#include <string.h>

static const char *const names[] = {[FT_NORMALIZE_UNIT] = "unit",
                                    [FT_NORMALIZE_INCEPTION] = "inception",
                                    [FT_NORMALIZE_STANDARD] = "standard",
                                    [FT_NORMALIZE_MEAN_STD] = "mean_std"};

ft_err ft_normalize_parse(const char *name, ft_normalize *how) {
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0) {
            *how = (ft_normalize)i;
            return FT_OK;
        }
    FT_FAIL(CONFIG, "there is no normalisation \"%s\"; use unit, inception, standard or mean_std", name);
}

const char *ft_normalize_name(ft_normalize how) {
    return names[how];
}

void ft_preprocess_imagenet(ft_preprocess *p) {
    static const float mean[3] = {0.485f, 0.456f, 0.406f}, std[3] = {0.229f, 0.224f, 0.225f};
    for (int k = 0; k < 3; k++) {
        p->mean[k] = mean[k];
        p->std[k] = std[k];
    }
}

ft_err ft_preprocess_check(const ft_preprocess *p) {
    enum { MAX_SIDE = 16384 };
    FT_REQUIRE(p->h >= 1 && p->h <= MAX_SIDE && p->w >= 1 && p->w <= MAX_SIDE, CONFIG,
               "the input size %d x %d does not lie between 1 and %d", p->h, p->w, MAX_SIDE);
    FT_REQUIRE(p->c == 1 || p->c == 3, CONFIG, "the input has %d channels; images have 1 (grey) or 3 (RGB)",
               p->c);
    FT_REQUIRE(p->center_crop >= 0 && p->center_crop <= 1, CONFIG,
               "center_crop is %g; it lies between 0 and 1", (double)p->center_crop);
    for (int32_t k = 0; k < p->c && p->normalize == FT_NORMALIZE_MEAN_STD; k++)
        FT_REQUIRE(p->std[k] > 0 && isfinite(p->std[k]) && isfinite(p->mean[k]), CONFIG,
                   "normalisation by mean %g and std %g in channel %d: std must be positive",
                   (double)p->mean[k], (double)p->std[k], k);
    return FT_OK;
}

ft_image_want ft_preprocess_want(const ft_preprocess *p, int32_t reserve) {
    int32_t side = p->h > p->w ? p->h : p->w;
    return (ft_image_want){.c = p->c, .min_side = p->scaled_decode ? 2 * side * reserve : 0};
}

ft_box ft_preprocess_box(const ft_preprocess *p, const ft_image *im) {
    if (p->center_crop <= 0 || p->center_crop >= 1) return ft_box_whole(im);
    int32_t x = (int32_t)((im->w - im->w * (double)p->center_crop) / 2);
    int32_t y = (int32_t)((im->h - im->h * (double)p->center_crop) / 2);
    return (ft_box){(float)x, (float)y, (float)(im->w - x), (float)(im->h - y)};
}

void ft_normalizer_init(ft_normalizer *z, const ft_preprocess *p) {
    *z = (ft_normalizer){.how = p->normalize};
    for (int k = 0; k < 3; k++)
        for (int v = 0; v < 256; v++) {
            float x = (float)v, *to = &z->table[k][v];
            switch (p->normalize) {
            case FT_NORMALIZE_UNIT:
                *to = x / 255.0f;
                break;
            case FT_NORMALIZE_INCEPTION:
                *to = x / 127.5f - 1.0f;
                break;
            case FT_NORMALIZE_MEAN_STD:
                *to = k < p->c ? (x / 255.0f - p->mean[k]) / p->std[k] : 0;
                break;
            case FT_NORMALIZE_STANDARD:
                break; /* one table an image */
            }
        }
}

/* The table of one image from its own mean and deviation; table (256). */
static void standard_table(const ft_image *im, float *table) {
    int64_t n = (int64_t)im->w * im->h * im->c;
    uint64_t sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += im->p[i];
        squares += (uint64_t)im->p[i] * im->p[i];
    }
    double mean = (double)sum / (double)n;
    double variance = fmax((double)squares / (double)n - mean * mean, 0.0);
    double std = fmax(sqrt(variance), 1.0 / sqrt((double)n));
    for (int v = 0; v < 256; v++) table[v] = (float)((v - mean) / std);
}

static void row_grey(const float *table, const uint8_t *p, int32_t w, bool mirrored, float *x) {
    if (mirrored)
        for (int32_t i = 0; i < w; i++) x[i] = table[p[w - 1 - i]];
    else
        for (int32_t i = 0; i < w; i++) x[i] = table[p[i]];
}

static void row_rgb(const float *const t[3], const uint8_t *p, int32_t w, bool mirrored, float *x) {
    int64_t step = mirrored ? -3 : 3;
    if (mirrored) p += 3 * (int64_t)(w - 1);
    for (int32_t i = 0; i < w; i++, p += step, x += 3) {
        x[0] = t[0][p[0]];
        x[1] = t[1][p[1]];
        x[2] = t[2][p[2]];
    }
}

void ft_normalizer_apply(const ft_normalizer *z, const ft_image *im, bool mirrored, float *x) {
    float own[256];
    const float *t[3] = {z->table[0], z->table[1], z->table[2]};
    if (z->how == FT_NORMALIZE_STANDARD) {
        standard_table(im, own);
        t[0] = t[1] = t[2] = own;
    }
    int64_t stride = (int64_t)im->w * im->c;
    for (int32_t y = 0; y < im->h; y++) {
        if (im->c == 3)
            row_rgb(t, im->p + y * stride, im->w, mirrored, x + y * stride);
        else
            row_grey(t[0], im->p + y * stride, im->w, mirrored, x + y * stride);
    }
}

void ft_normalizer_apply_floats(const ft_normalizer *z, int64_t pixels, int32_t c, float *x) {
    float scale[3], shift[3];
    for (int k = 0; k < 3; k++) { /* the tables are straight lines */
        shift[k] = z->table[k][0];
        scale[k] = z->table[k][255] - z->table[k][0];
    }
    if (z->how == FT_NORMALIZE_STANDARD) {
        double n = (double)(pixels * c), sum = 0, squares = 0;
        for (int64_t i = 0; i < pixels * c; i++) {
            sum += (double)x[i];
            squares += (double)x[i] * (double)x[i];
        }
        double mean = sum / n, std = 255 * sqrt(fmax(squares / n - mean * mean, 0.0));
        std = fmax(std, 1.0 / sqrt(n));
        for (int k = 0; k < 3; k++) {
            scale[k] = (float)(255 / std);
            shift[k] = (float)(-255 * mean / std);
        }
    }
    for (int64_t i = 0; i < pixels; i++)
        for (int32_t k = 0; k < c; k++) x[i * c + k] = x[i * c + k] * scale[k] + shift[k];
}

void ft_normalizer_undo(const ft_normalizer *z, const float *x, ft_image *im) {
    int64_t n = (int64_t)im->w * im->h * im->c;
    float low[3], high[3]; /* what 0 and 255 had become */
    for (int k = 0; k < 3; k++) {
        low[k] = z->table[k][0];
        high[k] = z->table[k][255];
    }
    if (z->how == FT_NORMALIZE_STANDARD) {
        float least = x[0], most = x[0];
        for (int64_t i = 0; i < n; i++) {
            least = fminf(least, x[i]);
            most = fmaxf(most, x[i]);
        }
        for (int k = 0; k < 3; k++) {
            low[k] = least;
            high[k] = most > least ? most : least + 1;
        }
    }
    for (int64_t i = 0; i < n; i++) {
        int64_t k = i % im->c;
        float v = 255 * (x[i] - low[k]) / (high[k] - low[k]);
        im->p[i] = (uint8_t)lroundf(fminf(fmaxf(v, 0), 255));
    }
}

ft_err ft_preprocess_image(const ft_preprocess *p, ft_resizer *r, const ft_image *im, float *x) {
    FT_TRY(ft_preprocess_check(p));
    FT_REQUIRE(im->c == p->c, USAGE, "an image of %d channels for an input of %d", im->c, p->c);
    ft_image sized;
    FT_TRY(ft_image_alloc(&sized, p->w, p->h, p->c));
    ft_err e = ft_image_resize(r, im, ft_preprocess_box(p, im), p->resize, &sized);
    if (e == FT_OK) {
        ft_normalizer z;
        ft_normalizer_init(&z, p);
        ft_normalizer_apply(&z, &sized, false, x);
    }
    ft_image_free(&sized);
    return e;
}

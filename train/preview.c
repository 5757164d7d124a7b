#include "train/preview.h"

#include "data/loader.h"
#include "tensor/rng.h"

#include <stdlib.h>
#include <string.h>

enum { GAP = 4 /* white pixels between images */ };

typedef struct preview {
    const ft_dataset *ds;
    ft_loader_options options;
    ft_normalizer normalizer;
    int32_t n;       /* rows */
    int32_t *sample; /* (n) */
    ft_image tile, *sheet;
} preview;

static void place(preview *p, int32_t row, int32_t column) {
    int32_t w = p->tile.w, h = p->tile.h, c = p->tile.c;
    for (int32_t y = 0; y < h; y++) {
        const uint8_t *from = p->tile.p + (int64_t)y * w * c;
        uint8_t *to =
            p->sheet->p + (((int64_t)row * (h + GAP) + GAP + y) * p->sheet->w + column * (w + GAP) + GAP) * 3;
        if (c == 3)
            memcpy(to, from, (size_t)w * 3);
        else
            ft_image_grey_to_rgb(from, to, w);
    }
}

static int32_t row_of(const preview *p, int32_t sample) {
    int32_t row = 0;
    while (p->sample[row] != sample) row++;
    return row;
}

/* One column: the images as that epoch sees them. */
static ft_err fill_column(preview *p, ft_loader *loader, int64_t epoch, int32_t column) {
    int32_t n = 0;
    FT_TRY(ft_loader_start(loader, epoch, 0));
    for (ft_batch b;; n += b.n) {
        FT_TRY(ft_loader_next(loader, &b));
        if (b.n == 0) break;
        for (int32_t i = 0; i < b.n; i++) {
            ft_normalizer_undo(&p->normalizer, b.x + (int64_t)i * p->tile.w * p->tile.h * p->tile.c,
                               &p->tile);
            place(p, row_of(p, b.index[i]), column);
        }
    }
    FT_REQUIRE(n > 0, DATA, "none of the %d images can be used", p->n);
    return FT_OK;
}

static ft_err fill(preview *p, int32_t n_variants) {
    ft_loader *loader = NULL;
    ft_err e = FT_OK;
    for (int32_t column = 0; column <= n_variants && e == FT_OK; column++) {
        if (column < 2) { /* evaluation, then training */
            ft_loader_free(loader);
            p->options.training = column == 1;
            e = ft_loader_new(p->ds, p->sample, p->n, &p->options, &loader);
        }
        if (e == FT_OK) e = fill_column(p, loader, column - 1, column);
    }
    ft_loader_free(loader);
    return e;
}

static ft_err prepare(preview *p, const ft_config *c, const int32_t *index, int32_t n, int32_t n_variants) {
    ft_loader_options *o = &p->options;
    FT_TRY(ft_images_preprocess(c, &o->image));
    FT_TRY(ft_images_augment(c, &o->image, &o->augment));
    FT_TRY(ft_images_quarantine(c, p->ds, &o->quarantine));
    o->batch = p->n; /* so that images can be mixed */
    o->seed = ft_rng_derive_name(c->seed, "images");
    ft_normalizer_init(&p->normalizer, &o->image);
    p->sample = ft_alloc((size_t)p->n, sizeof *p->sample);
    FT_REQUIRE(p->sample, MEMORY, "no memory for a list of %d images", p->n);
    for (int32_t i = 0; i < p->n; i++) p->sample[i] = index[(int64_t)i * n / p->n];
    FT_TRY(ft_image_alloc(&p->tile, o->image.w, o->image.h, o->image.c));
    FT_TRY(ft_image_alloc(p->sheet, (n_variants + 1) * (p->tile.w + GAP) + GAP,
                          p->n * (p->tile.h + GAP) + GAP, 3));
    memset(p->sheet->p, 255, (size_t)p->sheet->w * (size_t)p->sheet->h * 3);
    return FT_OK;
}

ft_err ft_preview(const ft_config *config, const ft_dataset *ds, const int32_t *index, int32_t n,
                  int32_t n_images, int32_t n_variants, ft_image *sheet) {
    *sheet = (ft_image){0};
    preview p = {.ds = ds, .n = n_images < n ? n_images : n, .sheet = sheet};
    FT_REQUIRE(p.n > 0, DATA, "there are no images to show");
    ft_err e = prepare(&p, config, index, n, n_variants);
    if (e == FT_OK) e = fill(&p, n_variants);
    ft_quarantine_free(p.options.quarantine);
    ft_image_free(&p.tile);
    free(p.sample);
    if (e != FT_OK) ft_image_free(sheet);
    return e;
}

#include "train/images.h"

#include "layers/net.h"
#include "tensor/rng.h"

#include <string.h>

enum { MAX_SOURCES = 64 };

ft_err ft_images_split(const ft_config *c, const ft_dataset *ds, ft_split *split) {
    ft_split_spec spec = {.fraction = {c->data.split.train, c->data.split.val, c->data.split.test},
                          .list = c->data.split.list,
                          .folds = c->data.split.folds,
                          .fold = c->data.split.fold,
                          .seed = ft_rng_derive_name(c->seed, "split")};
    FT_TRY(ft_split_by_parse(ft_config_choice(c, "data.split.by"), &spec.by));
    return ft_split_make(ds, &spec, split);
}

ft_err ft_images_open(const ft_config *c, const char *path, ft_dataset **ds) {
    ft_config_items where, more;
    ft_config_split(c->data.list.where, &where);
    ft_config_split(c->data.list.more, &more);
    ft_dataset_options o = {.label = c->data.list.label,
                            .file = c->data.list.file,
                            .folder = c->data.list.folder,
                            .split = c->data.list.split,
                            .group = c->data.split.group,
                            .more = more.at,
                            .n_more = more.n,
                            .where = where.at,
                            .n_where = where.n};
    if (!*c->data.join || strcmp(path, c->data.path) != 0) {
        FT_TRY(ft_dataset_open(path, &o, ds));
        if ((*ds)->n_targets == more.n) return FT_OK;
        ft_dataset_free(*ds);
        *ds = NULL;
        FT_FAIL(CONFIG, "%s: data.list.more names columns, which only a list (.csv, .tsv) has", path);
    }
    FT_REQUIRE(more.n == 0, CONFIG, "data.list.more: joined data have no further columns");
    const char *paths[MAX_SOURCES] = {path};
    char joined[MAX_SOURCES][FT_CONFIG_NAME_BYTES];
    float weights[MAX_SOURCES] = {1};
    int32_t n = 1;
    for (double weight = 1; ft_config_item(c->data.join, n - 1, joined[n], &weight); n++) {
        FT_REQUIRE(n + 1 < MAX_SOURCES, CONFIG, "data.join: more than %d data sets", MAX_SOURCES - 2);
        paths[n] = joined[n];
        weights[n] = (float)weight;
    }
    return ft_dataset_join(n, paths, weights, &o, ds);
}

ft_err ft_images_quarantine(const ft_config *c, const ft_dataset *ds, ft_quarantine **quarantine) {
    *quarantine = NULL;
    if (c->data.bad_images.policy == FT_CONFIG_BAD_FAIL) return FT_OK;
    return ft_quarantine_new(ds, c->data.bad_images.max_share, quarantine);
}

ft_err ft_images_preprocess(const ft_config *c, ft_preprocess *image) {
    const ft_net *net = ft_net_find(c->model.arch);
    int32_t size = c->data.image.size ? c->data.image.size : net ? net->size : 1;
    int32_t channels = c->data.image.channels ? c->data.image.channels : net ? net->channels : 3;
    *image = (ft_preprocess){.h = size,
                             .w = size,
                             .c = channels,
                             .center_crop = (float)c->data.center_crop,
                             .scaled_decode = c->data.image.scaled_decode};
    FT_TRY(ft_resize_parse(ft_config_choice(c, "data.image.resize"), &image->resize));
    FT_TRY(ft_normalize_parse(ft_config_choice(c, "data.image.normalize"), &image->normalize));
    if (image->normalize == FT_NORMALIZE_MEAN_STD) ft_preprocess_imagenet(image);
    return ft_preprocess_check(image);
}

ft_err ft_images_augment(const ft_config *c, const ft_preprocess *image, ft_augment *augment) {
    *augment =
        (ft_augment){.flip = c->data.augment.flip,
                     .pad = c->data.augment.pad,
                     .rotate = (float)c->data.augment.rotate,
                     .shift = (float)c->data.augment.shift,
                     .scale = (float)c->data.augment.scale,
                     .shear = (float)c->data.augment.shear,
                     .grey = (float)c->data.augment.grey,
                     .blur = (float)c->data.augment.blur,
                     .erase = (float)c->data.augment.erase,
                     .mix = {.mixup = (float)c->data.augment.mixup, .cutmix = (float)c->data.augment.cutmix},
                     .color = {.brightness = (float)c->data.augment.brightness,
                               .contrast = (float)c->data.augment.contrast,
                               .saturation = (float)c->data.augment.saturation,
                               .hue = (float)c->data.augment.hue}};
    FT_TRY(ft_color_parse(ft_config_choice(c, "data.augment.color"), &augment->color.color));
    FT_TRY(ft_crop_parse(ft_config_choice(c, "data.augment.crop"), &augment->crop));
    return ft_augment_check(augment, image->h, image->w);
}

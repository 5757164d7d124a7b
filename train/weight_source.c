#include "train/weight_source.h"
#include "data/hdf5_index.h"
#include "train/checkpoint.h"
#include "train/weight_export.h"

#include <stdlib.h>
#include <string.h>

/* An HDF5 file with Facet's mark. */
static bool is_own(const char *path) {
    ft_h5_index *x;
    if (ft_h5_open(path, FT_E_WEIGHTS, &x) != FT_OK) return false;
    bool own = ft_h5_has_attribute(x, "/", "facet_version");
    ft_h5_close(x);
    return own;
}

static ft_err open_own(ft_weight_source *s, const char *path) {
    FT_TRY(ft_checkpoint_read_model(path, &s->model));
    FT_TRY(ft_weights_of_model(s->model, FT_WEIGHTS_SAFETENSORS, &s->file));
    char *name = strdup(path), *producer = strdup("Facet");
    FT_REQUIRE(name && producer, MEMORY, "%s: no memory for its weights", path);
    free(s->file->path);
    s->file->path = name;
    s->file->producer = producer;
    return FT_OK;
}

ft_err ft_weight_source_open(ft_weight_source *s, const char *path, const char *format) {
    ft_weight_format known = FT_WEIGHTS_AUTO;
    *s = (ft_weight_source){0};
    bool own = strcmp(format, "facet") == 0;
    if (!own) FT_TRY(ft_weight_format_parse(format, &known));
    ft_err e = own || (known == FT_WEIGHTS_AUTO && is_own(path)) ? open_own(s, path)
                                                                 : ft_weight_file_read(path, known, &s->file);
    if (e != FT_OK) ft_weight_source_close(s);
    return e;
}

void ft_weight_source_close(ft_weight_source *s) {
    ft_weight_file_free(s->file);
    ft_model_free(s->model);
    *s = (ft_weight_source){0};
}

ft_err ft_weight_source_check_image(const ft_weight_source *s, const ft_preprocess *image) {
    if (!s->model) return FT_OK;
    const ft_preprocess *was = &s->model->image;
    FT_REQUIRE(was->normalize == image->normalize, CONFIG,
               "model.weights.file: %s saw its images normalised by '%s', data.image.normalize is '%s'; set "
               "the same",
               s->file->path, ft_normalize_name(was->normalize), ft_normalize_name(image->normalize));
    FT_REQUIRE(was->c == image->c, CONFIG,
               "model.weights.file: %s takes images of %d channels, data.image.channels is %d; set the same",
               s->file->path, was->c, image->c);
    return FT_OK;
}

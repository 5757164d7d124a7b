#include "train/import.h"
#include "train/weight_export.h"
#include "train/weight_source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_CLASSES = 65536, NAME_BYTES = 1024 };

/* ---- names of classes ---- */

typedef struct class_names {
    char **at;
    int32_t n;
} class_names;

static void free_names(class_names *c) {
    for (int32_t i = 0; i < c->n; i++) free(c->at[i]);
    free(c->at);
}

static ft_err add_name(class_names *c, const char *name) {
    c->at[c->n] = strdup(name);
    FT_REQUIRE(c->at[c->n], MEMORY, "no memory for %d class names", c->n);
    c->n++;
    return FT_OK;
}

static ft_err read_names(const char *path, class_names *c) {
    char line[NAME_BYTES];
    FILE *f = fopen(path, "r");
    FT_REQUIRE(f, IO, "%s: cannot be opened: %s", path, strerror(errno));
    ft_err e = FT_OK;
    while (e == FT_OK && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\r\n")] = '\0';
        if (c->n == MOST_CLASSES)
            e = ft_err_set(FT_E_DATA, "%s: more than %d lines", path, MOST_CLASSES);
        else
            e = add_name(c, line);
    }
    fclose(f);
    return e;
}

/* n names: those of the file, or numbers. */
static ft_err name_classes(const char *file, int32_t n, class_names *c) {
    c->at = calloc(MOST_CLASSES, sizeof *c->at);
    FT_REQUIRE(c->at && n <= MOST_CLASSES, MEMORY, "no memory for %d class names", n);
    if (file) FT_TRY(read_names(file, c));
    FT_REQUIRE(!file || c->n == n, DATA, "%s: has %d lines, but the network tells %d classes apart", file,
               c->n, n);
    for (int32_t i = 0; !file && i < n; i++) {
        char name[24];
        snprintf(name, sizeof name, "class %d", i);
        FT_TRY(add_name(c, name));
    }
    return FT_OK;
}

/* ---- the model ---- */

static ft_err prepare_image(const ft_import_options *o, const ft_net *net, ft_preprocess *image) {
    int32_t size = o->size ? o->size : net->size;
    *image = (ft_preprocess){.h = size, .w = size, .c = net->channels};
    FT_TRY(ft_normalize_parse(o->normalize ? o->normalize : "inception", &image->normalize));
    if (image->normalize == FT_NORMALIZE_MEAN_STD) ft_preprocess_imagenet(image);
    return ft_preprocess_check(image);
}

static ft_err make_model(const ft_weight_source *s, const ft_import_options *o, ft_model **out) {
    const ft_net *net = ft_net_find(o->arch);
    ft_preprocess image = {.h = 1, .w = 1, .c = 3};
    ft_net_options options = {.classes = o->no_top ? 0 : ft_weights_classes(s->file), .width = 1};
    if (!net) return ft_model_new(o->arch, &options, &image, NULL, out); /* which says what there is */
    FT_TRY(prepare_image(o, net, &image));
    FT_REQUIRE(o->no_top || options.classes > 0, WEIGHTS,
               "%s: has no classifier; --no-top takes the network without one", s->file->path);
    ft_weights_conventions(s->file, &options);
    class_names names = {0};
    ft_err e = name_classes(o->no_top ? NULL : o->class_file, options.classes, &names);
    if (e == FT_OK) e = ft_model_new(o->arch, &options, &image, (const char *const *)names.at, out);
    free_names(&names);
    if (e == FT_OK) ft_graph_init((*out)->g, 1); /* what may be missing starts like a new network's */
    return e;
}

ft_err ft_import(const char *path, const char *format, const ft_import_options *o, FILE *report,
                 ft_model **out) {
    ft_weight_source source;
    ft_weight_report found = {0};
    *out = NULL;
    FT_TRY(ft_weight_source_open(&source, path, format));
    ft_weight_map_options map = {.include_top = !o->no_top,
                                 .n_allow_missing = o->n_allow_missing,
                                 .allow_missing = o->allow_missing};
    ft_err e = make_model(&source, o, out);
    if (e == FT_OK) {
        e = ft_weights_apply(source.file, *out, &map, &found);
        if (found.file) ft_weight_report_print(report, &found, o->all);
        ft_weight_report_free(&found);
    }
    if (e == FT_OK && !source.model)
        fprintf(report, "images are expected as '%s' (%s); average pools %s their padding\n",
                ft_normalize_name((*out)->image.normalize),
                o->normalize ? "as asked for" : "what ImageNet's weights for this network were trained with",
                (*out)->options.count_padding ? "count" : "do not count");
    ft_weight_source_close(&source);
    if (e != FT_OK) {
        ft_model_free(*out);
        *out = NULL;
    }
    return e;
}

ft_err ft_export(const ft_model *m, const char *path, const char *format) {
    ft_weight_format as = FT_WEIGHTS_AUTO;
    const char *dot = strrchr(path, '.');
    if (format)
        FT_TRY(ft_weight_format_parse(format, &as));
    else if (dot && (strcmp(dot, ".h5") == 0 || strcmp(dot, ".hdf5") == 0))
        as = FT_WEIGHTS_KERAS;
    else if (dot && strcmp(dot, ".safetensors") == 0)
        as = FT_WEIGHTS_SAFETENSORS;
    FT_REQUIRE(as != FT_WEIGHTS_AUTO, USAGE,
               "'%s' does not end in .h5 or .safetensors; say --format keras or safetensors", path);
    ft_weight_file *f;
    FT_TRY(ft_weights_of_model(m, as, &f));
    ft_err e = ft_weight_file_write(f, path);
    ft_weight_file_free(f);
    return e;
}

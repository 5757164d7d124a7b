/* Data sets: finding out the kind, and what all kinds share. */
#include "data/dataset.h"

#include "data/dataset_kind.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

ft_err ft_dataset_open(const char *path, const ft_dataset_options *o, ft_dataset **ds) {
    static const ft_dataset_options usual = {0};
    *ds = NULL;
    struct stat st;
    if (stat(path, &st) != 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            FT_FAIL(DATA, "%s: there is no such folder; data.path must name a folder of data", path);
        FT_FAIL(IO, "%s: %s", path, strerror(errno));
    }
    if (S_ISREG(st.st_mode) && ft_dataset_is_list(path))
        return ft_dataset_open_list(path, o ? o : &usual, ds);
    if (S_ISREG(st.st_mode) && ft_dataset_is_packed(path)) return ft_dataset_open_packed(path, ds);
    FT_REQUIRE(
        S_ISDIR(st.st_mode), DATA,
        "%s: this is a file; give a folder that holds one sub-folder of images per class, or IDX files, or a "
        "list that ends in .csv or .tsv, or a packed data set, .h5",
        path);
    if (ft_dataset_is_idx(path)) return ft_dataset_open_idx(path, ds);
    return ft_dataset_open_folder(path, ds);
}

void ft_dataset_free(ft_dataset *ds) {
    if (ds) ds->ops->free(ds);
}

int32_t ft_dataset_label(const ft_dataset *ds, int32_t i) {
    return ds->ops->label(ds, i);
}

int32_t ft_target_width(const ft_target *t) {
    return t->kind == FT_TARGET_MULTI ? t->n_classes : 1;
}

int32_t ft_dataset_target_width(const ft_dataset *ds) {
    int32_t width = 0;
    for (int32_t t = 0; t < ds->n_targets; t++) width += ft_target_width(&ds->targets[t]);
    return width;
}

void ft_dataset_target(const ft_dataset *ds, int32_t i, int32_t t, float *out) {
    ds->ops->target(ds, i, t, out);
}

int32_t ft_dataset_group(const ft_dataset *ds, int32_t i) {
    return ds->ops->group ? ds->ops->group(ds, i) : -1;
}

int32_t ft_dataset_source(const ft_dataset *ds, int32_t i) {
    return ds->ops->source ? ds->ops->source(ds, i) : 0;
}

ft_fixed ft_dataset_fixed(const ft_dataset *ds, int32_t i) {
    return ds->ops->fixed(ds, i);
}

void ft_dataset_name(const ft_dataset *ds, int32_t i, char *buffer, size_t bytes) {
    ds->ops->name(ds, i, buffer, bytes);
}

ft_err ft_dataset_read(const ft_dataset *ds, int32_t i, ft_image_want want, ft_image *out) {
    return ds->ops->read(ds, i, want, out);
}

ft_err ft_dataset_bytes(const ft_dataset *ds, int32_t i, uint8_t **bytes, size_t *n) {
    return ds->ops->bytes(ds, i, bytes, n);
}

ft_err ft_dataset_content(const ft_dataset *ds, int32_t i, uint64_t *hash) {
    return ds->ops->content(ds, i, hash);
}

void ft_dataset_free_classes(ft_dataset *ds) {
    for (int32_t k = 0; ds->class_names && k < ds->n_classes; k++) free(ds->class_names[k]);
    free(ds->class_names);
    ds->class_names = NULL;
    ds->n_classes = 0;
}

char *ft_path_join(const char *a, const char *b) {
    size_t n_a = strlen(a), n_b = strlen(b);
    while (n_a > 1 && a[n_a - 1] == '/') n_a--;
    char *s = malloc(n_a + n_b + 2);
    if (!s) return NULL;
    memcpy(s, a, n_a);
    s[n_a] = '/';
    memcpy(s + n_a + 1, b, n_b + 1);
    return s;
}

uint64_t ft_hash_bytes(uint64_t hash, const void *bytes, size_t n) {
    const uint8_t *p = bytes;
    for (size_t i = 0; i < n; i++) hash = (hash ^ p[i]) * 0x100000001b3u;
    return hash;
}

uint64_t ft_hash_text(uint64_t hash, const char *text) {
    return ft_hash_bytes(hash, text, strlen(text) + 1);
}

uint64_t ft_hash_number(uint64_t hash, uint64_t number) {
    uint8_t b[8];
    for (int i = 0; i < 8; i++) b[i] = (uint8_t)(number >> (8 * i));
    return ft_hash_bytes(hash, b, sizeof b);
}

/* Files as a data set without classes: all are of the one class "". */
#include "data/data_file.h"
#include "data/dataset_kind.h"
#include "data/pairs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_PATH = 4096 };

typedef struct files {
    ft_dataset base;
    const char *folder;
    const ft_intern *files;
} files;

static int32_t files_label(const ft_dataset *ds, int32_t i) {
    (void)ds, (void)i;
    return 0;
}
static ft_fixed files_fixed(const ft_dataset *ds, int32_t i) {
    (void)ds, (void)i;
    return FT_FIXED_NONE;
}
static void files_name(const ft_dataset *ds, int32_t i, char *buffer, size_t bytes) {
    snprintf(buffer, bytes, "%s", ((const files *)ds)->files->text[i]);
}
static ft_err path_of(const files *f, int32_t i, char path[MAX_PATH]) {
    const char *name = f->files->text[i];
    bool whole = *name == '/';
    int n = snprintf(path, MAX_PATH, "%s%s%s", whole ? "" : f->folder, whole ? "" : "/", name);
    FT_REQUIRE(n > 0 && n < MAX_PATH, DATA, "%.200s...: the path is too long", name);
    return FT_OK;
}
static ft_err files_read(const ft_dataset *ds, int32_t i, ft_image_want want, ft_image *out) {
    char path[MAX_PATH];
    *out = (ft_image){0};
    FT_TRY(path_of((const files *)ds, i, path));
    return ft_image_load(path, want, out);
}
static ft_err files_bytes(const ft_dataset *ds, int32_t i, uint8_t **bytes, size_t *n) {
    char path[MAX_PATH];
    FT_TRY(path_of((const files *)ds, i, path));
    return ft_data_file_read(path, bytes, n);
}
static ft_err files_content(const ft_dataset *ds, int32_t i, uint64_t *hash) {
    char path[MAX_PATH];
    FT_TRY(path_of((const files *)ds, i, path));
    return ft_data_file_hash(path, hash);
}
static void files_free(ft_dataset *ds) {
    ft_dataset_free_classes(ds);
    free(ds);
}

static const ft_dataset_ops files_ops = {.kind = "files",
                                         .label = files_label,
                                         .fixed = files_fixed,
                                         .name = files_name,
                                         .read = files_read,
                                         .bytes = files_bytes,
                                         .content = files_content,
                                         .free = files_free};

static ft_err check_there(const files *f) {
    int32_t missing = 0, first = -1;
    char path[MAX_PATH];
    for (int32_t i = 0; i < f->base.n; i++) {
        FT_TRY(path_of(f, i, path));
        if (access(path, F_OK) == 0) continue;
        if (missing++ == 0) first = i;
    }
    FT_REQUIRE(missing == 0, DATA, "%d of the %d pictures are not there, %s of the folder %s for instance",
               missing, f->base.n, f->files->text[first], f->folder);
    return FT_OK;
}

ft_err ft_dataset_of_files(const char *folder, const ft_intern *names, ft_dataset **ds) {
    *ds = NULL;
    files *f = calloc(1, sizeof *f);
    char **classes = calloc(1, sizeof *classes);
    if (classes) *classes = strdup("");
    if (!f || !classes || !*classes) {
        free(f);
        free(classes);
        FT_FAIL(MEMORY, "no memory for a list of %d files", names->n);
    }
    *f = (files){.base = {.ops = &files_ops, .n = names->n, .n_classes = 1, .class_names = classes},
                 .folder = folder,
                 .files = names};
    ft_err e = check_there(f);
    if (e != FT_OK)
        files_free(&f->base);
    else
        *ds = &f->base;
    return e;
}

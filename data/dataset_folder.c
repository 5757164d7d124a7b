/* Class folders: PATH/CLASS/image. Sub-folders of a class and files with other names than an image's are
 * passed over and counted; hidden ones are passed over. What has an image's name is an image, bad or not:
 * reading it will tell.
 */
#include "data/data_file.h"
#include "data/dataset_kind.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { MAX_PATH = 4096 };

#define EXTENSIONS ".jpg .jpeg .png .webp .pgm .ppm .pnm .pbm"
/* Images that cannot be read: better refused by name than passed over. */
#define UNREADABLE " .gif .bmp .tif .tiff .heic .avif .jp2"

typedef struct sample {
    char *file; /* in its class folder */
    int32_t label;
} sample;

typedef struct folder {
    ft_dataset base;
    char *path;
    sample *samples; /* (base.n) */
    int64_t n_room;
} folder;

static int32_t folder_label(const ft_dataset *ds, int32_t i) {
    return ((const folder *)ds)->samples[i].label;
}

static ft_fixed folder_fixed(const ft_dataset *ds, int32_t i) {
    (void)ds, (void)i;
    return FT_FIXED_NONE;
}

static void folder_name(const ft_dataset *ds, int32_t i, char *buffer, size_t bytes) {
    const sample *s = &((const folder *)ds)->samples[i];
    snprintf(buffer, bytes, "%s/%s", ds->class_names[s->label], s->file);
}

static ft_err sample_path(const ft_dataset *ds, int32_t i, char path[MAX_PATH]) {
    const folder *f = (const folder *)ds;
    const sample *s = &f->samples[i];
    int n = snprintf(path, MAX_PATH, "%s/%s/%s", f->path, ds->class_names[s->label], s->file);
    FT_REQUIRE(n > 0 && n < MAX_PATH, DATA, "%s/%s/%s: the path is too long", f->path,
               ds->class_names[s->label], s->file);
    return FT_OK;
}

static ft_err folder_read(const ft_dataset *ds, int32_t i, ft_image_want want, ft_image *out) {
    *out = (ft_image){0};
    char path[MAX_PATH];
    FT_TRY(sample_path(ds, i, path));
    return ft_image_load(path, want, out);
}

static ft_err folder_bytes(const ft_dataset *ds, int32_t i, uint8_t **bytes, size_t *n) {
    char path[MAX_PATH];
    FT_TRY(sample_path(ds, i, path));
    return ft_data_file_read(path, bytes, n);
}

static ft_err folder_content(const ft_dataset *ds, int32_t i, uint64_t *hash) {
    char path[MAX_PATH];
    FT_TRY(sample_path(ds, i, path));
    return ft_data_file_hash(path, hash);
}

static void folder_free(ft_dataset *ds) {
    folder *f = (folder *)ds;
    for (int32_t i = 0; i < ds->n; i++) free(f->samples[i].file);
    free(f->samples);
    free(f->path);
    ft_dataset_free_classes(ds);
    free(f);
}

static const ft_dataset_ops folder_ops = {.kind = "class folders",
                                          .label = folder_label,
                                          .fixed = folder_fixed,
                                          .name = folder_name,
                                          .read = folder_read,
                                          .bytes = folder_bytes,
                                          .content = folder_content,
                                          .free = folder_free};

/* The names in a directory that are not hidden, sorted bytewise. */
typedef struct listing {
    char **name;
    int32_t n, n_room;
} listing;

static void listing_free(listing *l) {
    for (int32_t i = 0; i < l->n; i++) free(l->name[i]);
    free(l->name);
    *l = (listing){0};
}

static int by_bytes(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static ft_err listing_add(listing *l, const char *path, const char *name) {
    if (l->n == l->n_room) {
        FT_REQUIRE(l->n_room < INT32_MAX / 2, DATA, "%s: too many files in one folder", path);
        int32_t room = l->n_room ? 2 * l->n_room : 64;
        char **p = realloc(l->name, (size_t)room * sizeof *p);
        FT_REQUIRE(p, MEMORY, "%s: no memory to list the folder", path);
        l->name = p;
        l->n_room = room;
    }
    char *copy = strdup(name);
    FT_REQUIRE(copy, MEMORY, "%s: no memory to list the folder", path);
    l->name[l->n++] = copy;
    return FT_OK;
}

static ft_err listing_read(const char *path, listing *l) {
    *l = (listing){0};
    DIR *d = opendir(path);
    FT_REQUIRE(d, IO, "%s: cannot list the folder: %s", path, strerror(errno));
    ft_err e = FT_OK;
    errno = 0;
    for (struct dirent *entry; e == FT_OK && (entry = readdir(d)); errno = 0)
        if (entry->d_name[0] != '.') e = listing_add(l, path, entry->d_name);
    if (e == FT_OK && errno) e = ft_err_set(FT_E_IO, "%s: cannot list the folder: %s", path, strerror(errno));
    closedir(d);
    if (e != FT_OK)
        listing_free(l);
    else if (l->n)
        qsort(l->name, (size_t)l->n, sizeof l->name[0], by_bytes);
    return e;
}

static bool has_image_name(const char *name) {
    const char *dot = strrchr(name, '.');
    if (!dot) return false;
    size_t n = strlen(dot);
    for (const char *p = EXTENSIONS UNREADABLE; *p;) {
        size_t m = strcspn(p, " ");
        if (m == n && strncasecmp(p, dot, n) == 0) return true;
        p += m + (p[m] == ' ');
    }
    return false;
}

static ft_err add_sample(folder *f, const char *file, int32_t label, int64_t bytes) {
    if (f->base.n == f->n_room) {
        FT_REQUIRE(f->n_room < INT32_MAX / 2, DATA, "%s: more images than can be numbered", f->path);
        int64_t room = f->n_room ? 2 * f->n_room : 256;
        sample *p = realloc(f->samples, (size_t)room * sizeof *p);
        FT_REQUIRE(p, MEMORY, "%s: no memory for %lld samples", f->path, (long long)room);
        f->samples = p;
        f->n_room = room;
    }
    char *copy = strdup(file);
    FT_REQUIRE(copy, MEMORY, "%s: no memory for a file name", f->path);
    f->samples[f->base.n++] = (sample){.file = copy, .label = label};
    uint64_t *hash = &f->base.fingerprint;
    *hash = ft_hash_number(ft_hash_text(*hash, file), (uint64_t)bytes);
    return FT_OK;
}

static ft_err add_files(folder *f, const char *path, int32_t label, const listing *files) {
    int32_t before = f->base.n, ignored = f->base.n_ignored;
    for (int32_t i = 0; i < files->n; i++) {
        char *file = ft_path_join(path, files->name[i]);
        FT_REQUIRE(file, MEMORY, "%s: no memory for a file name", path);
        struct stat st;
        bool there = stat(file, &st) == 0;
        ft_err e = FT_OK;
        if (has_image_name(files->name[i]) && (!there || S_ISREG(st.st_mode)))
            e = add_sample(f, files->name[i], label, there ? st.st_size : 0);
        else
            f->base.n_ignored++;
        free(file);
        if (e != FT_OK) return e;
    }
    FT_REQUIRE(f->base.n > before, DATA,
               "%s: the class folder holds no image (%d other files); images end in " EXTENSIONS
               "; add some or remove the folder",
               path, f->base.n_ignored - ignored);
    return FT_OK;
}

/* One entry of the top folder: a class when it is a folder. */
static ft_err add_entry(folder *f, char *name) {
    char *path = ft_path_join(f->path, name);
    FT_REQUIRE(path, MEMORY, "%s: no memory for a file name", f->path);
    struct stat st;
    listing files = {0};
    ft_err e = FT_OK;
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        f->base.n_ignored++;
    } else {
        int32_t label = f->base.n_classes;
        f->base.fingerprint = ft_hash_text(f->base.fingerprint, name);
        e = (f->base.class_names[label] = strdup(name)) ? FT_OK
                                                        : ft_err_set(FT_E_MEMORY, "%s: no memory", path);
        if (e == FT_OK) f->base.n_classes++;
        if (e == FT_OK) e = listing_read(path, &files);
        if (e == FT_OK) e = add_files(f, path, label, &files);
    }
    listing_free(&files);
    free(path);
    return e;
}

static ft_err fill(folder *f, const char *path) {
    f->path = strdup(path);
    FT_REQUIRE(f->path, MEMORY, "%s: no memory to open the data", path);
    listing entries;
    FT_TRY(listing_read(path, &entries));
    f->base.class_names = calloc((size_t)entries.n + 1, sizeof(char *));
    ft_err e = f->base.class_names ? FT_OK : ft_err_set(FT_E_MEMORY, "%s: no memory for class names", path);
    for (int32_t i = 0; e == FT_OK && i < entries.n; i++) e = add_entry(f, entries.name[i]);
    listing_free(&entries);
    if (e != FT_OK) return e;
    FT_REQUIRE(
        f->base.n_classes > 0, DATA,
        "%s: the folder has no class folders; put the images of each class into a sub-folder of its name",
        path);
    return FT_OK;
}

ft_err ft_dataset_open_folder(const char *path, ft_dataset **ds) {
    *ds = NULL;
    folder *f = calloc(1, sizeof *f);
    FT_REQUIRE(f, MEMORY, "%s: no memory to open the data", path);
    f->base.ops = &folder_ops;
    f->base.fingerprint = FT_HASH_START;
    ft_err e = fill(f, path);
    if (e != FT_OK)
        folder_free(&f->base);
    else
        *ds = &f->base;
    return e;
}

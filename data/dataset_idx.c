/* IDX files (LeCun's MNIST page), plain or gzipped: big-endian 32-bit words
 *
 *   images  0x00000803, n, h, w, then n*h*w grey bytes          labels  0x00000801, n, then n bytes
 *
 * A "train" pair must be there; a "t10k" pair beside it is the official test part. Both are kept in memory.
 */
#include "data/dataset_kind.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>
#include <zlib.h>

enum { MAGIC_LABELS = 0x801, MAGIC_IMAGES = 0x803, MAX_SIDE = 65535, MAX_CLASS_FILE = 1 << 20 };

/* One file's numbers. */
typedef struct idx_file {
    char name[64]; /* in the folder */
    int32_t n, h, w;
    uint8_t *p; /* (n, h, w), or (n) labels with h = w = 1 */
} idx_file;

typedef struct idx_part {
    idx_file images, labels;
} idx_part;

typedef struct idx {
    ft_dataset base;
    idx_part part[2]; /* train, test; the second empty when there is none */
} idx;

/* The part and the number in it of sample *i. */
static const idx_part *locate(const ft_dataset *ds, int32_t *i) {
    const idx *d = (const idx *)ds;
    if (*i < d->part[0].images.n) return &d->part[0];
    *i -= d->part[0].images.n;
    return &d->part[1];
}

static int32_t idx_label(const ft_dataset *ds, int32_t i) {
    const idx_part *p = locate(ds, &i);
    return p->labels.p[i];
}

static ft_fixed idx_fixed(const ft_dataset *ds, int32_t i) {
    const idx *d = (const idx *)ds;
    if (!d->part[1].images.p) return FT_FIXED_NONE;
    return i < d->part[0].images.n ? FT_FIXED_TRAIN : FT_FIXED_TEST;
}

static void idx_name(const ft_dataset *ds, int32_t i, char *buffer, size_t bytes) {
    const idx_part *p = locate(ds, &i);
    snprintf(buffer, bytes, "%s[%d]", p->images.name, i);
}

static ft_err idx_read(const ft_dataset *ds, int32_t i, ft_image_want want, ft_image *out) {
    const idx_file *f = &locate(ds, &i)->images;
    FT_TRY(ft_image_alloc(out, f->w, f->h, want.c));
    int64_t n = (int64_t)f->w * f->h;
    const uint8_t *p = f->p + i * n;
    if (want.c == 3)
        ft_image_grey_to_rgb(p, out->p, n);
    else
        memcpy(out->p, p, (size_t)n);
    return FT_OK;
}

/* As a PGM file. */
static ft_err idx_bytes(const ft_dataset *ds, int32_t i, uint8_t **bytes, size_t *n) {
    const idx_file *f = &locate(ds, &i)->images;
    char head[64];
    size_t n_head = (size_t)snprintf(head, sizeof head, "P5 %d %d 255\n", f->w, f->h);
    size_t pixels = (size_t)f->w * (size_t)f->h;
    *n = n_head + pixels;
    *bytes = malloc(*n);
    FT_REQUIRE(*bytes, MEMORY, "no memory for an image of %d x %d", f->w, f->h);
    memcpy(*bytes, head, n_head);
    memcpy(*bytes + n_head, f->p + (int64_t)i * (int64_t)pixels, pixels);
    return FT_OK;
}

static ft_err idx_content(const ft_dataset *ds, int32_t i, uint64_t *hash) {
    const idx_file *f = &locate(ds, &i)->images;
    int64_t n = (int64_t)f->w * f->h;
    *hash = XXH3_64bits(f->p + i * n, (size_t)n);
    return FT_OK;
}

static void idx_free(ft_dataset *ds) {
    idx *d = (idx *)ds;
    for (int k = 0; k < 2; k++) {
        free(d->part[k].images.p);
        free(d->part[k].labels.p);
    }
    ft_dataset_free_classes(ds);
    free(d);
}

static const ft_dataset_ops idx_ops = {.kind = "IDX",
                                       .label = idx_label,
                                       .fixed = idx_fixed,
                                       .name = idx_name,
                                       .read = idx_read,
                                       .bytes = idx_bytes,
                                       .content = idx_content,
                                       .free = idx_free};

/* Finds PREFIX-WHAT-KIND-ubyte in its spellings; false when none is there. name has 64 bytes. */
static bool find_file(const char *folder, const char *prefix, const char *what, const char *kind,
                      char *name) {
    for (int i = 0; i < 4; i++) {
        snprintf(name, 64, "%s-%s%c%s-ubyte%s", prefix, what, i & 2 ? '.' : '-', kind, i & 1 ? ".gz" : "");
        char *path = ft_path_join(folder, name);
        bool there = path && access(path, F_OK) == 0;
        free(path);
        if (there) return true;
    }
    snprintf(name, 64, "%s-%s-%s-ubyte[.gz]", prefix, what, kind);
    return false;
}

bool ft_dataset_is_idx(const char *path) {
    char name[64];
    return find_file(path, "train", "images", "idx3", name) ||
           find_file(path, "t10k", "images", "idx3", name);
}

static uint32_t word(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static ft_err read_exactly(gzFile g, const char *path, uint8_t *to, int64_t n, const char *what) {
    for (int64_t done = 0; done < n;) {
        int64_t step = n - done < 1 << 24 ? n - done : 1 << 24;
        int got = gzread(g, to + done, (unsigned)step);
        if (got > 0) {
            done += got;
            continue;
        }
        int code;
        const char *why = gzerror(g, &code);
        if (got == 0 || code == Z_BUF_ERROR)
            FT_FAIL(DATA, "%s: truncated IDX file: %lld of %lld bytes of %s; fetch the file again", path,
                    (long long)done, (long long)n, what);
        FT_FAIL(DATA, "%s: damaged IDX file: %s; fetch the file again", path,
                code == Z_ERRNO ? strerror(errno) : why);
    }
    return FT_OK;
}

/* Reads an open file; file_bytes bounds what its header may claim (deflate shrinks 1032 times at most). */
static ft_err read_open(gzFile g, const char *path, int64_t file_bytes, uint32_t magic, idx_file *f) {
    uint8_t head[16];
    int n_words = magic == MAGIC_IMAGES ? 4 : 2;
    const char *what = magic == MAGIC_IMAGES ? "images" : "labels";
    FT_TRY(read_exactly(g, path, head, 4 * n_words, "the header"));
    FT_REQUIRE(word(head) == magic, DATA,
               "%s: not an IDX file of %s: it begins with 0x%08x instead of 0x%08x", path, what, word(head),
               magic);
    uint32_t n = word(head + 4), h = n_words == 4 ? word(head + 8) : 1,
             w = n_words == 4 ? word(head + 12) : 1;
    FT_REQUIRE(n >= 1 && n <= INT32_MAX && h >= 1 && h <= MAX_SIDE && w >= 1 && w <= MAX_SIDE, DATA,
               "%s: damaged IDX file: the header claims %u %s of %u x %u", path, n, what, h, w);
    int64_t most = file_bytes * (gzdirect(g) ? 1 : 1040), pixels = (int64_t)h * w;
    FT_REQUIRE(pixels <= FT_IMAGE_MAX_PIXELS && (int64_t)n <= most / pixels, DATA,
               "%s: truncated IDX file: the header claims %u %s of %u x %u, more than %lld bytes can hold",
               path, n, what, h, w, (long long)file_bytes);
    int64_t bytes = (int64_t)n * pixels;
    f->p = malloc((size_t)bytes);
    FT_REQUIRE(f->p, MEMORY, "%s: no memory for %lld bytes of %s", path, (long long)bytes, what);
    f->n = (int32_t)n;
    f->h = (int32_t)h;
    f->w = (int32_t)w;
    FT_TRY(read_exactly(g, path, f->p, bytes, what));
    uint8_t more;
    FT_REQUIRE(gzread(g, &more, 1) == 0, DATA,
               "%s: damaged IDX file: it goes on after the %u %s of its header", path, n, what);
    return FT_OK;
}

static ft_err read_file(const char *folder, uint32_t magic, idx_file *f) {
    char *path = ft_path_join(folder, f->name);
    FT_REQUIRE(path, MEMORY, "%s: no memory for a file name", folder);
    struct stat st;
    gzFile g = stat(path, &st) == 0 ? gzopen(path, "rb") : NULL;
    ft_err e;
    if (!g) {
        e = ft_err_set(FT_E_IO, "%s: cannot open: %s", path, strerror(errno));
    } else {
        gzbuffer(g, 1 << 17);
        e = read_open(g, path, st.st_size, magic, f);
        gzclose(g);
    }
    free(path);
    return e;
}

static ft_err read_pair(const char *folder, const char *prefix, bool required, idx_part *p) {
    bool images = find_file(folder, prefix, "images", "idx3", p->images.name);
    bool labels = find_file(folder, prefix, "labels", "idx1", p->labels.name);
    if (!required && !images && !labels) return FT_OK;
    FT_REQUIRE(images && labels, DATA, "%s: %s is missing%s%s; images and labels come in pairs", folder,
               images ? p->labels.name : p->images.name, images || labels ? " beside " : "",
               images ? p->images.name : (labels ? p->labels.name : ""));
    FT_TRY(read_file(folder, MAGIC_IMAGES, &p->images));
    FT_TRY(read_file(folder, MAGIC_LABELS, &p->labels));
    FT_REQUIRE(p->images.n == p->labels.n, DATA,
               "%s: %d images in %s but %d labels in %s; the files are no pair", folder, p->images.n,
               p->images.name, p->labels.n, p->labels.name);
    return FT_OK;
}

static ft_err add_class(ft_dataset *ds, const char *where, const char *name) {
    for (int32_t k = 0; k < ds->n_classes; k++)
        FT_REQUIRE(strcmp(ds->class_names[k], name), DATA,
                   "%s: the class name \"%s\" stands in lines %d and %d", where, name, k + 1,
                   ds->n_classes + 1);
    FT_REQUIRE(ds->n_classes < 256, DATA, "%s: more than 256 class names, which is all an IDX label can tell",
               where);
    char *copy = strdup(name);
    FT_REQUIRE(copy, MEMORY, "%s: no memory for class names", where);
    ds->class_names[ds->n_classes++] = copy;
    return FT_OK;
}

static ft_err read_class_file(ft_dataset *ds, const char *path, FILE *f) {
    char line[1024];
    int32_t n_blank = 0;
    while (fgets(line, sizeof line, f)) {
        size_t n = strcspn(line, "\r\n");
        FT_REQUIRE(line[n] || feof(f), DATA, "%s: line %d is too long for a class name", path,
                   ds->n_classes + 1);
        line[n] = 0;
        if (n == 0) {
            n_blank++;
            continue;
        }
        FT_REQUIRE(!n_blank, DATA, "%s: line %d is blank; every line names a class", path, ds->n_classes + 1);
        FT_TRY(add_class(ds, path, line));
    }
    FT_REQUIRE(!ferror(f), IO, "%s: %s", path, strerror(errno));
    FT_REQUIRE(ds->n_classes > 0, DATA, "%s: no class names in the file; write one a line or remove it",
               path);
    return FT_OK;
}

/* classes.txt, or the numbers up to the largest training label. */
static ft_err name_classes(idx *d, const char *folder) {
    ft_dataset *ds = &d->base;
    ds->class_names = calloc(256, sizeof(char *));
    char *path = ft_path_join(folder, "classes.txt");
    ft_err e =
        ds->class_names && path ? FT_OK : ft_err_set(FT_E_MEMORY, "%s: no memory for class names", folder);
    FILE *f = e == FT_OK ? fopen(path, "r") : NULL;
    if (f) {
        e = read_class_file(ds, path, f);
        fclose(f);
    } else if (e == FT_OK && errno != ENOENT) {
        e = ft_err_set(FT_E_IO, "%s: cannot open: %s", path, strerror(errno));
    } else if (e == FT_OK) {
        int32_t largest = 0;
        const idx_file *labels = &d->part[0].labels;
        for (int32_t i = 0; i < labels->n; i++) largest = labels->p[i] > largest ? labels->p[i] : largest;
        for (int32_t k = 0; e == FT_OK && k <= largest; k++) {
            char number[16];
            snprintf(number, sizeof number, "%d", k);
            e = add_class(ds, folder, number);
        }
    }
    free(path);
    return e;
}

static ft_err check_labels(const idx *d, const char *folder) {
    for (int k = 0; k < 2; k++) {
        const idx_file *f = &d->part[k].labels;
        for (int32_t i = 0; i < f->n; i++)
            FT_REQUIRE(f->p[i] < d->base.n_classes, DATA,
                       "%s/%s: label %d of sample %d is out of range: there are %d classes (0 to %d)", folder,
                       f->name, f->p[i], i, d->base.n_classes, d->base.n_classes - 1);
    }
    return FT_OK;
}

static uint64_t fingerprint(const idx *d) {
    uint64_t hash = FT_HASH_START;
    for (int32_t k = 0; k < d->base.n_classes; k++) hash = ft_hash_text(hash, d->base.class_names[k]);
    for (int k = 0; k < 2; k++) {
        const idx_part *p = &d->part[k];
        hash = ft_hash_number(hash, (uint64_t)p->images.n);
        hash = ft_hash_number(hash, (uint64_t)p->images.h << 32 | (uint64_t)p->images.w);
        hash = ft_hash_bytes(hash, p->labels.p, (size_t)p->labels.n);
    }
    return hash;
}

static ft_err fill(idx *d, const char *path) {
    FT_TRY(read_pair(path, "train", true, &d->part[0]));
    FT_TRY(read_pair(path, "t10k", false, &d->part[1]));
    int64_t n = (int64_t)d->part[0].images.n + d->part[1].images.n;
    FT_REQUIRE(n <= INT32_MAX, DATA, "%s: more images than can be numbered", path);
    d->base.n = (int32_t)n;
    FT_TRY(name_classes(d, path));
    FT_TRY(check_labels(d, path));
    d->base.fingerprint = fingerprint(d);
    return FT_OK;
}

ft_err ft_dataset_open_idx(const char *path, ft_dataset **ds) {
    *ds = NULL;
    idx *d = calloc(1, sizeof *d);
    FT_REQUIRE(d, MEMORY, "%s: no memory to open the data", path);
    d->base.ops = &idx_ops;
    d->base.in_memory = true;
    ft_err e = fill(d, path);
    if (e != FT_OK)
        idx_free(&d->base);
    else
        *ds = &d->base;
    return e;
}

/* A list of images: PATH.csv or PATH.tsv with a header line, an image a line. Columns say the file (relative
 * to the list's folder), the class, and, if wanted, the part of the split and the group; conditions on
 * columns choose the lines.
 */
#include "data/csv.h"
#include "data/data_file.h"
#include "data/dataset_kind.h"
#include "data/intern.h"
#include "data/list_targets.h"
#include "data/texts.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { MAX_PATH = 4096, MAX_CONDITIONS = 32, MAX_CLASSES = 65536 };

typedef struct sample {
    size_t file;    /* without its folder: offset in the text */
    int32_t folder; /* of the file: number in the folders */
    int32_t class, group;
    uint8_t fixed; /* ft_fixed */
} sample;

typedef struct list {
    ft_dataset base;
    char *folder;
    sample *samples; /* (base.n) */
    int64_t room;
    int32_t n_there; /* images that exist */
    ft_texts names;  /* of the files */
    ft_intern classes, groups;
    ft_list_targets targets;
    ft_intern folders; /* of the files, "a/b/" or "" */
} list;

/* ---- samples ---- */

static int32_t list_label(const ft_dataset *ds, int32_t i) {
    return ((const list *)ds)->samples[i].class;
}

static int32_t list_group(const ft_dataset *ds, int32_t i) {
    return ((const list *)ds)->samples[i].group;
}

static void list_target(const ft_dataset *ds, int32_t i, int32_t t, float *out) {
    ft_list_targets_get(&((const list *)ds)->targets, i, t, out);
}

static ft_fixed list_fixed(const ft_dataset *ds, int32_t i) {
    return (ft_fixed)((const list *)ds)->samples[i].fixed;
}

static void list_name(const ft_dataset *ds, int32_t i, char *buffer, size_t bytes) {
    const list *l = (const list *)ds;
    const sample *s = &l->samples[i];
    snprintf(buffer, bytes, "%s%s", l->folders.text[s->folder], l->names.p + s->file);
}

static ft_err path_of(const list *l, const sample *s, char path[MAX_PATH]) {
    const char *folder = l->folders.text[s->folder], *file = l->names.p + s->file;
    bool whole = *folder == '/';
    int n = snprintf(path, MAX_PATH, "%s%s%s%s", whole ? "" : l->folder, whole ? "" : "/", folder, file);
    FT_REQUIRE(n > 0 && n < MAX_PATH, DATA, "%s/%.200s%.200s...: the path is too long", l->folder, folder,
               file);
    return FT_OK;
}

static ft_err list_read(const ft_dataset *ds, int32_t i, ft_image_want want, ft_image *out) {
    const list *l = (const list *)ds;
    char path[MAX_PATH];
    *out = (ft_image){0};
    FT_TRY(path_of(l, &l->samples[i], path));
    return ft_image_load(path, want, out);
}

static ft_err list_bytes(const ft_dataset *ds, int32_t i, uint8_t **bytes, size_t *n) {
    const list *l = (const list *)ds;
    char path[MAX_PATH];
    FT_TRY(path_of(l, &l->samples[i], path));
    return ft_data_file_read(path, bytes, n);
}

static ft_err list_content(const ft_dataset *ds, int32_t i, uint64_t *hash) {
    const list *l = (const list *)ds;
    char path[MAX_PATH];
    FT_TRY(path_of(l, &l->samples[i], path));
    return ft_data_file_hash(path, hash);
}

static void list_free(ft_dataset *ds) {
    list *l = (list *)ds;
    free(l->folder);
    free(l->samples);
    free(l->names.p);
    ft_intern_free(&l->classes); /* base.class_names are its texts */
    ft_intern_free(&l->groups);
    ft_intern_free(&l->folders);
    ft_list_targets_free(&l->targets);
    free(l);
}

static const ft_dataset_ops list_ops = {.kind = "list",
                                        .label = list_label,
                                        .group = list_group,
                                        .target = list_target,
                                        .fixed = list_fixed,
                                        .name = list_name,
                                        .read = list_read,
                                        .bytes = list_bytes,
                                        .content = list_content,
                                        .free = list_free};

/* ---- columns and conditions ---- */

typedef struct condition {
    int32_t column;
    char op[3];
    const char *value;
} condition;

typedef struct columns {
    int32_t file, label, split, group; /* split, group -1: none */
    condition where[MAX_CONDITIONS];
    int32_t n_where;
} columns;

/* "age>=12" */
static ft_err parse_condition(const ft_csv *c, const char *text, condition *k) {
    size_t len = strcspn(text, "=!<>");
    const char *op = text + len;
    size_t n = strspn(op, "=!<>");
    static const char *const known[] = {"=", "!=", "<", "<=", ">", ">="};
    bool is_known = false;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        is_known |= strlen(known[i]) == n && memcmp(known[i], op, n) == 0;
    FT_REQUIRE(len > 0 && is_known, CONFIG,
               "data.list.where: '%s' is no condition; write column=value, or with !=, <, <=, >, >=", text);
    memcpy(k->op, op, n);
    k->op[n] = '\0';
    k->value = op + n;
    return ft_csv_column(c, "data.list.where", text, len, &k->column);
}

static ft_err find_columns(const ft_csv *c, const ft_dataset_options *o, columns *k) {
    FT_REQUIRE(o->label && *o->label, CONFIG,
               "%s: a list needs data.list.label, the column that holds the class", c->path);
    const char *file = o->file && *o->file ? o->file : "file";
    FT_TRY(ft_csv_column(c, "data.list.file", file, strlen(file), &k->file));
    FT_TRY(ft_csv_column(c, "data.list.label", o->label, strlen(o->label), &k->label));
    k->split = k->group = -1;
    if (o->split && *o->split)
        FT_TRY(ft_csv_column(c, "data.list.split", o->split, strlen(o->split), &k->split));
    if (o->group && *o->group)
        FT_TRY(ft_csv_column(c, "data.split.group", o->group, strlen(o->group), &k->group));
    FT_REQUIRE(o->n_where <= MAX_CONDITIONS, CONFIG, "data.list.where: more than %d conditions",
               MAX_CONDITIONS);
    for (k->n_where = 0; k->n_where < o->n_where; k->n_where++)
        FT_TRY(parse_condition(c, o->where[k->n_where], &k->where[k->n_where]));
    return FT_OK;
}

static ft_err number_of(const ft_csv *c, const char *text, double *x) {
    char *end;
    *x = strtod(text, &end);
    FT_REQUIRE(end != text && *end == '\0', DATA,
               "%s:%lld: '%.64s' is no number, which data.list.where compares", c->path, (long long)c->line,
               text);
    return FT_OK;
}

static ft_err holds(const ft_csv *c, const condition *k, bool *out) {
    const char *value = c->field[k->column];
    double a, b;
    if (k->op[0] == '=' || k->op[0] == '!') {
        *out = (strcmp(value, k->value) == 0) == (k->op[0] == '=');
        return FT_OK;
    }
    FT_TRY(number_of(c, value, &a));
    FT_TRY(number_of(c, k->value, &b));
    *out = k->op[0] == '<' ? a < b : a > b;
    if (k->op[1] == '=') *out |= a == b;
    return FT_OK;
}

static ft_err part_of(const ft_csv *c, const char *text, uint8_t *fixed) {
    static const char *const names[] = {"train", "val", "test"};
    for (int i = 0; i < 3; i++)
        if (strcmp(text, names[i]) == 0) {
            *fixed = (uint8_t)(FT_FIXED_TRAIN + i);
            return FT_OK;
        }
    FT_FAIL(DATA, "%s:%lld: '%.64s' in the column of parts; it says train, val or test", c->path,
            (long long)c->line, text);
}

/* ---- lines ---- */

/* The folder that a file's path begins with, with its slash. */
static ft_err add_folder(list *l, const char *file, int32_t *number) {
    char folder[MAX_PATH];
    const char *slash = strrchr(file, '/');
    size_t n = slash ? (size_t)(slash - file) + 1 : 0;
    FT_REQUIRE(n < sizeof folder, DATA, "%.200s...: the path is too long", file);
    memcpy(folder, file, n);
    folder[n] = '\0';
    return ft_intern_add(&l->folders, folder, number);
}

static ft_err add_sample(list *l, const ft_csv *c, const columns *k) {
    if (l->base.n == l->room) {
        FT_REQUIRE(l->room < INT32_MAX / 2, DATA, "%s: more images than can be numbered", c->path);
        l->room = l->room ? 2 * l->room : 1024;
        sample *p = realloc(l->samples, (size_t)l->room * sizeof *p);
        FT_REQUIRE(p, MEMORY, "no memory for a list of images");
        l->samples = p;
    }
    const char *file = c->field[k->file], *label = c->field[k->label];
    FT_REQUIRE(*file && *label, DATA, "%s:%lld: no %s", c->path, (long long)c->line,
               *file ? "label" : "file");
    sample s = {.fixed = FT_FIXED_NONE, .group = -1};
    char path[MAX_PATH];
    struct stat st;
    FT_TRY(add_folder(l, file, &s.folder));
    FT_TRY(ft_texts_add(&l->names, file + strlen(l->folders.text[s.folder]), &s.file));
    FT_TRY(path_of(l, &s, path));
    bool there = stat(path, &st) == 0; /* if not, reading it will tell */
    l->n_there += there;
    if (k->split >= 0) FT_TRY(part_of(c, c->field[k->split], &s.fixed));
    FT_TRY(ft_intern_add(&l->classes, label, &s.class));
    FT_REQUIRE(l->classes.n <= MAX_CLASSES, DATA,
               "%s: more than %d different labels; is data.list.label the right column?", c->path,
               MAX_CLASSES);
    if (k->group >= 0 && *c->field[k->group]) FT_TRY(ft_intern_add(&l->groups, c->field[k->group], &s.group));
    FT_TRY(ft_list_targets_add(&l->targets, c, l->base.n));
    l->samples[l->base.n++] = s;
    uint64_t *hash = &l->base.fingerprint;
    *hash = ft_hash_number(ft_hash_text(ft_hash_text(*hash, file), label), there ? (uint64_t)st.st_size : 0);
    if (k->split >= 0) *hash = ft_hash_text(*hash, c->field[k->split]);
    if (k->group >= 0) *hash = ft_hash_text(*hash, c->field[k->group]);
    for (int32_t t = 0; t < l->targets.n; t++)
        *hash = ft_hash_text(*hash, c->field[l->targets.columns[t].column]);
    return FT_OK;
}

static ft_err read_lines(list *l, ft_csv *c, const ft_dataset_options *o) {
    columns k = {0};
    FT_TRY(ft_csv_next(c));
    FT_REQUIRE(c->n > 0, DATA, "%s: the list is empty; its first line names the columns", c->path);
    int32_t n_columns = c->n;
    FT_TRY(find_columns(c, o, &k));
    FT_TRY(ft_list_targets_open(&l->targets, c, o->more, o->n_more));
    for (int32_t t = 0; t < o->n_more; t++)
        l->base.fingerprint = ft_hash_text(l->base.fingerprint, o->more[t]);
    for (;;) {
        FT_TRY(ft_csv_next(c));
        if (c->n == 0) return FT_OK;
        FT_REQUIRE(c->n == n_columns, DATA, "%s:%lld: %d fields where the header has %d", c->path,
                   (long long)c->line, c->n, n_columns);
        bool wanted = true;
        for (int32_t i = 0; i < k.n_where && wanted; i++) FT_TRY(holds(c, &k.where[i], &wanted));
        if (wanted)
            FT_TRY(add_sample(l, c, &k));
        else
            l->base.n_ignored++;
    }
}

/* ---- classes and groups ---- */

/* Numbers the classes and groups in their order, which until here were numbered as they came. */
static ft_err sort_names(list *l, const char *path) {
    ft_dataset *ds = &l->base;
    FT_REQUIRE(ds->n > 0, DATA, "%s: no line meets data.list.where", path);
    char first[MAX_PATH];
    list_name(ds, 0, first, sizeof first);
    FT_REQUIRE(
        l->n_there > 0, DATA,
        "%s: none of its images is there, '%s' of %s for instance; data.list.file and data.list.folder "
        "say where they are",
        path, first, l->folder);
    int32_t *rank = malloc((size_t)(l->classes.n + l->groups.n + 1) * sizeof *rank);
    FT_REQUIRE(rank, MEMORY, "%s: no memory for class names", path);
    int32_t *group_rank = rank + l->classes.n;
    ft_err e = ft_intern_sort(&l->classes, rank);
    if (e == FT_OK) e = ft_intern_sort(&l->groups, group_rank);
    for (int32_t i = 0; e == FT_OK && i < ds->n; i++) {
        sample *s = &l->samples[i];
        s->class = rank[s->class];
        if (s->group >= 0) s->group = group_rank[s->group];
    }
    free(rank);
    ds->class_names = l->classes.text;
    ds->n_classes = l->classes.n;
    ds->n_groups = l->groups.n;
    ds->n_targets = l->targets.n;
    ds->targets = l->targets.targets;
    return e == FT_OK ? ft_list_targets_close(&l->targets, ds->n) : e;
}

bool ft_dataset_is_list(const char *path) {
    const char *dot = strrchr(path, '.');
    return dot && (strcasecmp(dot, ".csv") == 0 || strcasecmp(dot, ".tsv") == 0);
}

ft_err ft_dataset_open_list(const char *path, const ft_dataset_options *o, ft_dataset **ds) {
    *ds = NULL;
    list *l = calloc(1, sizeof *l);
    ft_csv *c = malloc(sizeof *c);
    const char *slash = strrchr(path, '/');
    if (l) l->folder = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
    if (l && l->folder && o->folder && *o->folder) {
        char *of_images = *o->folder == '/' ? strdup(o->folder) : ft_path_join(l->folder, o->folder);
        free(l->folder);
        l->folder = of_images;
    }
    if (!l || !c || !l->folder) {
        free(l);
        free(c);
        FT_FAIL(MEMORY, "%s: no memory to open the data", path);
    }
    l->base.ops = &list_ops;
    l->base.fingerprint = FT_HASH_START;
    ft_err e = ft_csv_open(c, path);
    if (e == FT_OK) {
        e = read_lines(l, c, o);
        ft_csv_close(c);
    }
    if (e == FT_OK) e = sort_names(l, path);
    free(c);
    if (e != FT_OK)
        list_free(&l->base);
    else
        *ds = &l->base;
    return e;
}

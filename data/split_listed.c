/* Splits that a CSV or TSV file says: columns file and part (train, val, test). */
#include "data/csv.h"
#include "data/intern.h"
#include "data/split_kinds.h"

#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 4096, UNNAMED = FT_SPLIT_FREE };

/* Which part each name of the file has. */
typedef struct listing {
    ft_intern names;
    uint8_t *part; /* (names.n) */
    int32_t room;
} listing;

static ft_err find_columns(const ft_csv *c, int32_t *file, int32_t *part) {
    *file = ft_csv_find(c, "file");
    *part = ft_csv_find(c, "part");
    FT_REQUIRE(*file >= 0 && *part >= 0, DATA,
               "%s: the first line must name the columns file and part (train, val, test)", c->path);
    return FT_OK;
}

static ft_err add_line(listing *l, const ft_csv *c, const char *file, const char *part) {
    int32_t p = 0, n = l->names.n, number;
    while (p < FT_PARTS && strcmp(part, ft_part_name((ft_part)p)) != 0) p++;
    FT_REQUIRE(p < FT_PARTS, DATA, "%s:%lld: '%.64s' is none of train, val, test", c->path,
               (long long)c->line, part);
    FT_TRY(ft_intern_add(&l->names, file, &number));
    FT_REQUIRE(number == n, DATA, "%s:%lld: '%.200s' is listed twice", c->path, (long long)c->line, file);
    if (number >= l->room) {
        int32_t room = l->room ? 2 * l->room : 256;
        uint8_t *more = realloc(l->part, (size_t)room);
        FT_REQUIRE(more, MEMORY, "%s: no memory to read it", c->path);
        l->part = more;
        l->room = room;
    }
    l->part[number] = (uint8_t)p;
    return FT_OK;
}

static ft_err read_list(ft_csv *c, listing *l) {
    int32_t file, part, n_columns;
    FT_TRY(ft_csv_next(c));
    FT_TRY(find_columns(c, &file, &part));
    n_columns = c->n;
    for (;;) {
        FT_TRY(ft_csv_next(c));
        if (c->n == 0) return FT_OK;
        FT_REQUIRE(c->n == n_columns, DATA, "%s:%lld: %d fields where the header has %d", c->path,
                   (long long)c->line, c->n, n_columns);
        FT_TRY(add_line(l, c, c->field[file], c->field[part]));
    }
}

/* Every name must be an image's, so that a list of other data is not taken for this one's. */
static ft_err apply(const ft_dataset *ds, const char *path, listing *l, uint8_t *part) {
    bool *found = calloc((size_t)l->names.n + 1, sizeof *found);
    FT_REQUIRE(found, MEMORY, "%s: no memory to read it", path);
    for (int32_t i = 0; i < ds->n; i++) {
        char name[NAME_BYTES];
        ft_dataset_name(ds, i, name, sizeof name);
        int32_t number = ft_intern_find(&l->names, name);
        if (number < 0) continue;
        found[number] = true;
        if (part[i] == UNNAMED) part[i] = l->part[number];
    }
    int32_t missing = 0;
    while (missing < l->names.n && found[missing]) missing++;
    free(found);
    FT_REQUIRE(missing == l->names.n, DATA, "%s: '%.200s' is no image of these data", path,
               l->names.text[missing]);
    return FT_OK;
}

ft_err ft_split_listed(const ft_dataset *ds, const char *path, uint8_t *part) {
    FT_REQUIRE(path && *path, CONFIG, "data.split.by is list, and data.split.list names no file");
    listing l = {0};
    ft_csv *c = malloc(sizeof *c);
    FT_REQUIRE(c, MEMORY, "%s: no memory to read it", path);
    ft_err e = ft_csv_open(c, path);
    if (e == FT_OK) {
        e = read_list(c, &l);
        ft_csv_close(c);
    }
    if (e == FT_OK) e = apply(ds, path, &l, part);
    free(c);
    ft_intern_free(&l.names);
    free(l.part);
    return e;
}

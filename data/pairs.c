#include "data/pairs.h"

#include "data/csv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { LINE_BYTES = 1024 };

void ft_pairs_free(ft_pairs *p) {
    free(p->a);
    free(p->b);
    free(p->same);
    free(p->fold);
    ft_intern_free(&p->files);
    *p = (ft_pairs){0};
}

static ft_err make_room(ft_pairs *p) {
    if (p->n < p->room) return FT_OK;
    FT_REQUIRE(p->room < INT32_MAX / 2, DATA, "more pairs than can be numbered");
    int32_t room = p->room ? 2 * p->room : 1024, **arrays[] = {&p->a, &p->b, &p->same, &p->fold};
    for (int k = 0; k < 4; k++) {
        int32_t *more = realloc(*arrays[k], (size_t)room * sizeof *more);
        FT_REQUIRE(more, MEMORY, "no memory for %d pairs", room);
        *arrays[k] = more;
    }
    p->room = room;
    return FT_OK;
}

static ft_err add_pair(ft_pairs *p, const char *a, const char *b, int32_t same, int32_t fold) {
    FT_TRY(make_room(p));
    FT_TRY(ft_intern_add(&p->files, a, &p->a[p->n]));
    FT_TRY(ft_intern_add(&p->files, b, &p->b[p->n]));
    p->same[p->n] = same;
    p->fold[p->n++] = fold;
    return FT_OK;
}

/* ---- pairs.txt ---- */

static ft_err picture(const char *path, int64_t line, const char *name, const char *number, char *file) {
    char *end;
    long i = strtol(number, &end, 10);
    FT_REQUIRE(end != number && *end == '\0' && i >= 0 && i <= 999999, DATA,
               "%s:%lld: '%.32s' is no picture's number", path, (long long)line, number);
    snprintf(file, LINE_BYTES, "%.400s/%.400s_%04ld.jpg", name, name, i);
    return FT_OK;
}

/* The first line: sets and pairs of each kind in one; or the pairs alone, and no sets. */
static ft_err read_head(const char *path, const char *text, int32_t *sets, int32_t *each) {
    char more;
    int n = sscanf(text, "%d %d %c", sets, each, &more);
    if (n == 1) {
        *each = *sets;
        *sets = 0;
    }
    FT_REQUIRE((n == 1 || n == 2) && *sets >= 0 && *sets <= 10000 && *each > 0 && *each <= 1000000, DATA,
               "%s:1: the numbers of sets and of pairs in each are expected, as \"10 300\"; a list of files "
               "ends in .csv",
               path);
    return FT_OK;
}

static ft_err add_line(ft_pairs *p, const char *path, int64_t line, char *text, int32_t fold) {
    char *word[5], a[LINE_BYTES], b[LINE_BYTES], *rest = NULL;
    int n = 0;
    for (char *w = strtok_r(text, " \t\r\n", &rest); w && n < 5; w = strtok_r(NULL, " \t\r\n", &rest))
        word[n++] = w;
    FT_REQUIRE(n == 3 || n == 4, DATA,
               "%s:%lld: %d words where a pair has 3 (a name, two numbers) or 4 (a name and a number, twice)",
               path, (long long)line, n);
    FT_TRY(picture(path, line, word[0], word[1], a));
    FT_TRY(n == 3 ? picture(path, line, word[0], word[2], b) : picture(path, line, word[2], word[3], b));
    return add_pair(p, a, b, n == 3, fold);
}

static ft_err read_text(const char *path, FILE *f, ft_pairs *p) {
    char text[LINE_BYTES];
    int32_t sets, each;
    FT_REQUIRE(fgets(text, sizeof text, f), DATA, "%s: the file is empty", path);
    FT_TRY(read_head(path, text, &sets, &each));
    p->n_folds = sets;
    for (int64_t line = 2; fgets(text, sizeof text, f); line++) {
        FT_REQUIRE(strlen(text) + 1 < sizeof text, DATA, "%s:%lld: the line is too long", path,
                   (long long)line);
        if (text[strspn(text, " \t\r\n")] == '\0') continue;
        FT_TRY(add_line(p, path, line, text, sets ? p->n / (2 * each) : 0));
        FT_REQUIRE(!sets || p->n <= 2 * sets * each, DATA,
                   "%s:%lld: more pairs than the %d sets of %d of each kind", path, (long long)line, sets,
                   each);
    }
    FT_REQUIRE(!ferror(f), IO, "%s: cannot be read: %s", path, strerror(errno));
    FT_REQUIRE(!sets || p->n == 2 * sets * each, DATA,
               "%s: %d pairs where %d sets of %d of each kind are announced", path, p->n, sets, each);
    return FT_OK;
}

/* ---- lists ---- */

static ft_err read_list(ft_csv *c, ft_pairs *p, ft_intern *folds) {
    FT_TRY(ft_csv_next(c));
    int32_t n = c->n, a = ft_csv_find(c, "file1"), b = ft_csv_find(c, "file2"), same = ft_csv_find(c, "same"),
            fold = ft_csv_find(c, "fold");
    FT_REQUIRE(
        a >= 0 && b >= 0 && same >= 0, DATA,
        "%s: the first line must name the columns file1, file2 and same (1 or 0), and fold if there are sets",
        c->path);
    for (;;) {
        FT_TRY(ft_csv_next(c));
        if (c->n == 0) break;
        FT_REQUIRE(c->n == n, DATA, "%s:%lld: %d fields where the header has %d", c->path, (long long)c->line,
                   c->n, n);
        const char *s = c->field[same];
        FT_REQUIRE(strcmp(s, "0") == 0 || strcmp(s, "1") == 0, DATA,
                   "%s:%lld: '%.32s' in the column same is neither 1 nor 0", c->path, (long long)c->line, s);
        int32_t k = 0;
        if (fold >= 0) FT_TRY(ft_intern_add(folds, c->field[fold], &k));
        FT_TRY(add_pair(p, c->field[a], c->field[b], *s == '1', k));
    }
    p->n_folds = folds->n;
    return FT_OK;
}

static ft_err read_csv(const char *path, ft_pairs *p) {
    ft_csv *c = malloc(sizeof *c);
    FT_REQUIRE(c, MEMORY, "%s: no memory to read it", path);
    ft_intern folds = {0};
    ft_err e = ft_csv_open(c, path);
    if (e == FT_OK) {
        e = read_list(c, p, &folds);
        ft_csv_close(c);
    }
    ft_intern_free(&folds);
    free(c);
    return e;
}

ft_err ft_pairs_read(const char *path, ft_pairs *p) {
    *p = (ft_pairs){0};
    const char *dot = strrchr(path, '.');
    ft_err e;
    if (dot && (strcasecmp(dot, ".csv") == 0 || strcasecmp(dot, ".tsv") == 0)) {
        e = read_csv(path, p);
    } else {
        FILE *f = fopen(path, "rb");
        FT_REQUIRE(f || errno != ENOENT, DATA, "%s: there is no such file of pairs", path);
        FT_REQUIRE(f, IO, "%s: cannot open: %s", path, strerror(errno));
        e = read_text(path, f, p);
        fclose(f);
    }
    if (e == FT_OK && p->n == 0) e = ft_err_set(FT_E_DATA, "%s: there is no pair in it", path);
    if (e != FT_OK) ft_pairs_free(p);
    return e;
}

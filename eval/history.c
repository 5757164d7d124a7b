/* history.csv. The file is small (a row per epoch), so adding a row rewrites it whole: no torn line, whatever
 * happens. */
#include "eval/history.h"

#include "tensor/atomic_file.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NAME(name) "," #name
static const char header[] = "epoch" FT_HISTORY_COLUMNS(NAME);
#undef NAME

static void put(FILE *f, double x) {
    if (isnan(x))
        fputc(',', f);
    else
        fprintf(f, ",%.9g", x);
}

ft_err ft_history_write(const char *path, const ft_history_row *rows, int64_t n) {
    ft_atomic_file a;
    FT_TRY(ft_atomic_open(&a, path));
    fprintf(a.stream, "%s\n", header);
    for (int64_t i = 0; i < n; i++) {
        fprintf(a.stream, "%lld", (long long)rows[i].epoch);
#define PUT(name) put(a.stream, rows[i].name);
        FT_HISTORY_COLUMNS(PUT)
#undef PUT
        fputc('\n', a.stream);
    }
    return ft_atomic_commit(&a);
}

/* Reads ",number" or "," at *s and moves past it. */
static int get(const char **s, double *x) {
    if (**s != ',') return 0;
    ++*s;
    *x = NAN;
    if (**s == ',' || **s == '\0') return 1;
    char *end;
    *x = strtod(*s, &end);
    int ok = end != *s;
    *s = end;
    return ok;
}

static int parse_row(const char *line, ft_history_row *row) {
    char *end;
    row->epoch = strtoll(line, &end, 10);
    int ok = end != line;
    const char *s = end;
#define GET(name) ok = ok && get(&s, &row->name);
    FT_HISTORY_COLUMNS(GET)
#undef GET
    return ok && *s == '\0';
}

static ft_err read_rows(FILE *f, const char *path, ft_history_row **rows, int64_t *n) {
    char *line = NULL;
    size_t line_bytes = 0;
    ssize_t length;
    int64_t number = 0, room = 0;
    ft_err e = FT_OK;
    while (e == FT_OK && (length = getline(&line, &line_bytes, f)) >= 0) {
        line[strcspn(line, "\r\n")] = '\0';
        if (number++ == 0) {
            if (strcmp(line, header) != 0)
                e = ft_err_set(FT_E_DATA, "%s:1: not a training history; the first line should be '%s'", path,
                               header);
            continue;
        }
        if (*n == room) {
            room = room ? 2 * room : 64;
            ft_history_row *more = realloc(*rows, (size_t)room * sizeof **rows);
            if (!more) {
                e = ft_err_set(FT_E_MEMORY, "out of memory while reading '%s'", path);
                break;
            }
            *rows = more;
        }
        if (parse_row(line, &(*rows)[*n]))
            ++*n;
        else
            e = ft_err_set(FT_E_DATA, "%s:%lld: not a row of %s; repair or remove the file", path,
                           (long long)number, header);
    }
    if (e == FT_OK && ferror(f)) e = ft_err_set(FT_E_IO, "cannot read '%s': %s", path, strerror(errno));
    free(line);
    return e;
}

ft_err ft_history_read(const char *path, ft_history_row **rows, int64_t *n) {
    *rows = NULL;
    *n = 0;
    FILE *f = fopen(path, "re");
    if (!f && errno == ENOENT) return FT_OK;
    FT_REQUIRE(f, IO, "cannot read '%s': %s; check its permissions", path, strerror(errno));
    ft_err e = read_rows(f, path, rows, n);
    fclose(f);
    if (e != FT_OK) {
        free(*rows);
        *rows = NULL;
        *n = 0;
    }
    return e;
}

ft_err ft_history_append(const char *path, const ft_history_row *row) {
    ft_history_row *rows;
    int64_t n;
    FT_TRY(ft_history_read(path, &rows, &n));
    while (n > 0 && rows[n - 1].epoch >= row->epoch) n--;
    ft_history_row *more = realloc(rows, (size_t)(n + 1) * sizeof *rows);
    if (!more) {
        free(rows);
        FT_FAIL(MEMORY, "out of memory while writing '%s'", path);
    }
    more[n] = *row;
    ft_err e = ft_history_write(path, more, n + 1);
    free(more);
    return e;
}

#include "data/csv.h"

#include <errno.h>
#include <string.h>

ft_err ft_csv_open(ft_csv *c, const char *path) {
    const char *dot = strrchr(path, '.');
    *c = (ft_csv){.path = path, .at = 1, .separator = dot && strcmp(dot, ".tsv") == 0 ? '\t' : ','};
    c->file = fopen(path, "rb");
    FT_REQUIRE(c->file, IO, "%s: cannot be opened: %s", path, strerror(errno));
    static const int bom[] = {0xEF, 0xBB, 0xBF};
    for (int i = 0; i < 3; i++) {
        int byte = getc(c->file);
        if (byte == bom[i]) continue;
        rewind(c->file);
        break;
    }
    return FT_OK;
}

void ft_csv_close(ft_csv *c) {
    if (c->file) fclose(c->file);
    c->file = NULL;
}

static ft_err bad(const ft_csv *c, const char *what) {
    return ft_err_set(FT_E_DATA, "%s:%lld: %s", c->path, (long long)c->line, what);
}

/* Where the reader stands within a record. */
typedef struct cursor {
    size_t used; /* of c->text */
    bool quoted, was_quoted;
} cursor;

static ft_err put(ft_csv *c, cursor *k, char byte) {
    if (k->used == sizeof c->text) return bad(c, "the line is too long");
    c->text[k->used++] = byte;
    return FT_OK;
}

static ft_err begin_field(ft_csv *c, cursor *k) {
    if (c->n == FT_CSV_FIELDS) return bad(c, "too many fields in the line");
    c->field[c->n++] = c->text + k->used;
    k->was_quoted = false;
    return FT_OK;
}

/* A byte inside quotes; "" stands for one of them. */
static ft_err take_quoted(ft_csv *c, cursor *k, int byte) {
    if (byte == EOF) return bad(c, "a quote that does not end");
    if (byte == '\n') c->at++;
    if (byte != '"') return put(c, k, (char)byte);
    int next = getc(c->file);
    if (next == '"') return put(c, k, '"');
    if (next != EOF) ungetc(next, c->file);
    k->quoted = false;
    return FT_OK;
}

static ft_err read_record(ft_csv *c, cursor *k) {
    FT_TRY(begin_field(c, k));
    for (;;) {
        int byte = getc(c->file);
        if (byte == 0) return bad(c, "a zero byte: this is no text");
        if (k->quoted) {
            FT_TRY(take_quoted(c, k, byte));
        } else if (byte == '"' && c->field[c->n - 1] == c->text + k->used && !k->was_quoted) {
            k->quoted = k->was_quoted = true;
        } else if (byte == c->separator) {
            FT_TRY(put(c, k, '\0'));
            FT_TRY(begin_field(c, k));
        } else if (byte == '\n' || byte == EOF) {
            c->at++;
            if (!k->was_quoted && k->used > 0 && c->text[k->used - 1] == '\r') k->used--;
            return put(c, k, '\0');
        } else if (byte == '\r' && k->was_quoted) {
            continue; /* the end of a line, behind a quote */
        } else {
            FT_TRY(put(c, k, (char)byte));
        }
    }
}

ft_err ft_csv_next(ft_csv *c) {
    for (;;) {
        int byte = getc(c->file);
        c->n = 0;
        if (byte == EOF) {
            FT_REQUIRE(!ferror(c->file), IO, "%s: cannot be read: %s", c->path, strerror(errno));
            return FT_OK;
        }
        ungetc(byte, c->file);
        c->line = c->at;
        cursor k = {0};
        FT_TRY(read_record(c, &k));
        FT_REQUIRE(!ferror(c->file), IO, "%s: cannot be read: %s", c->path, strerror(errno));
        if (c->n > 1 || *c->field[0]) return FT_OK;
    }
}

int32_t ft_csv_find(const ft_csv *c, const char *name) {
    for (int32_t i = 0; i < c->n; i++)
        if (strcmp(c->field[i], name) == 0) return i;
    return -1;
}

ft_err ft_csv_column(const ft_csv *c, const char *what, const char *name, size_t len, int32_t *column) {
    char there[512] = "";
    for (*column = 0; *column < c->n; ++*column)
        if (strlen(c->field[*column]) == len && memcmp(c->field[*column], name, len) == 0) return FT_OK;
    for (int32_t i = 0; i < c->n; i++) {
        strncat(there, i ? ", " : "", sizeof there - strlen(there) - 1);
        strncat(there, c->field[i], sizeof there - strlen(there) - 1);
    }
    FT_FAIL(CONFIG, "%s: %s: the list has no column '%.*s'; its columns: %s", c->path, what, (int)len, name,
            there);
}

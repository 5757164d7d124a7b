#include "data/quarantine.h"

#include "data/csv.h"
#include "tensor/atomic_file.h"
#include "tensor/escape.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NAME_BYTES = 4096 };

typedef struct entry {
    int32_t sample;
    char *reason;
} entry;

struct ft_quarantine {
    const ft_dataset *ds;
    double max_share;
    atomic_bool *in; /* (ds->n) */
    entry *entries;  /* (n) */
    int32_t n, room;
};

ft_err ft_quarantine_new(const ft_dataset *ds, double max_share, ft_quarantine **q) {
    *q = calloc(1, sizeof **q);
    atomic_bool *in = calloc((size_t)ds->n, sizeof *in);
    if (!*q || !in) {
        free(*q);
        free(in);
        *q = NULL;
        FT_FAIL(MEMORY, "no memory for a list of bad images among %d", ds->n);
    }
    **q = (ft_quarantine){.ds = ds, .max_share = max_share, .in = in};
    return FT_OK;
}

void ft_quarantine_free(ft_quarantine *q) {
    if (!q) return;
    for (int32_t k = 0; k < q->n; k++) free(q->entries[k].reason);
    free(q->entries);
    free(q->in);
    free(q);
}

bool ft_quarantine_has(const ft_quarantine *q, int32_t sample) {
    return atomic_load_explicit(&q->in[sample], memory_order_relaxed);
}

int32_t ft_quarantine_count(const ft_quarantine *q) {
    return q->n;
}

int32_t ft_quarantine_sample(const ft_quarantine *q, int32_t k, const char **reason) {
    *reason = q->entries[k].reason;
    return q->entries[k].sample;
}

/* What follows the name in "folder/name: reason". */
static const char *without_path(const char *reason, const char *name) {
    const char *at = strstr(reason, name);
    size_t len = strlen(name);
    return at && strncmp(at + len, ": ", 2) == 0 ? at + len + 2 : reason;
}

ft_err ft_quarantine_add(ft_quarantine *q, int32_t sample, const char *reason) {
    if (ft_quarantine_has(q, sample)) return FT_OK;
    char name[NAME_BYTES];
    ft_dataset_name(q->ds, sample, name, sizeof name);
    if (q->n == q->room) {
        int32_t room = q->room ? 2 * q->room : 16;
        entry *p = realloc(q->entries, (size_t)room * sizeof *p);
        FT_REQUIRE(p, MEMORY, "no memory for a list of bad images");
        q->entries = p;
        q->room = room;
    }
    char *kept = strdup(without_path(reason, name));
    FT_REQUIRE(kept, MEMORY, "no memory for a list of bad images");
    q->entries[q->n++] = (entry){sample, kept};
    atomic_store(&q->in[sample], true);
    FT_REQUIRE(
        q->n <= q->max_share * q->ds->n, DATA,
        "%d of %d images cannot be used, more than data.bad_images.max_share (%g) allows; the last: %s: "
        "%s",
        q->n, q->ds->n, q->max_share, name, kept);
    return FT_OK;
}

ft_err ft_quarantine_write(const ft_quarantine *q, const char *path) {
    ft_atomic_file a;
    FT_TRY(ft_atomic_open(&a, path));
    fputs("file,reason\n", a.stream);
    for (int32_t k = 0; k < q->n; k++) {
        char name[NAME_BYTES];
        ft_dataset_name(q->ds, q->entries[k].sample, name, sizeof name);
        ft_csv_field(a.stream, name);
        fputc(',', a.stream);
        ft_csv_field(a.stream, q->entries[k].reason);
        fputc('\n', a.stream);
    }
    return ft_atomic_commit(&a);
}

/* ---- reading ---- */

typedef struct line {
    char *name, *reason;
    int32_t sample; /* -1: the data set has no such image */
} line;

typedef struct lines {
    line *at; /* (n) */
    int32_t n, room;
} lines;

static void lines_free(lines *l) {
    for (int32_t k = 0; k < l->n; k++) {
        free(l->at[k].name);
        free(l->at[k].reason);
    }
    free(l->at);
}

static ft_err add_line(lines *l, const ft_csv *c) {
    FT_REQUIRE(c->n == 2, DATA, "%s:%lld: %d fields; a file and a reason are expected", c->path,
               (long long)c->line, c->n);
    if (l->n == l->room) {
        int32_t room = l->room ? 2 * l->room : 16;
        line *p = realloc(l->at, (size_t)room * sizeof *p);
        FT_REQUIRE(p, MEMORY, "%s: no memory to read it", c->path);
        l->at = p;
        l->room = room;
    }
    line *to = &l->at[l->n++];
    *to = (line){strdup(c->field[0]), strdup(c->field[1]), -1};
    FT_REQUIRE(to->name && to->reason, MEMORY, "%s: no memory to read it", c->path);
    return FT_OK;
}

static int by_name(const void *a, const void *b) {
    return strcmp((*(line *const *)a)->name, (*(line *const *)b)->name);
}

static ft_err read_lines(const char *path, lines *l) {
    ft_csv *c = malloc(sizeof *c);
    FT_REQUIRE(c, MEMORY, "%s: no memory to read it", path);
    ft_err e = ft_csv_open(c, path);
    if (e == FT_OK) {
        e = ft_csv_next(c); /* the header */
        while (e == FT_OK && c->n > 0)
            if ((e = ft_csv_next(c)) == FT_OK && c->n > 0) e = add_line(l, c);
        ft_csv_close(c);
    }
    free(c);
    return e;
}

/* Finds the lines' samples by their names. */
static ft_err find_samples(const ft_dataset *ds, lines *l) {
    line **sorted = malloc((size_t)(l->n + 1) * sizeof *sorted);
    FT_REQUIRE(sorted, MEMORY, "no memory for a list of bad images");
    for (int32_t k = 0; k < l->n; k++) sorted[k] = &l->at[k];
    qsort(sorted, (size_t)l->n, sizeof *sorted, by_name);
    for (int32_t i = 0; i < ds->n; i++) {
        char name[NAME_BYTES];
        ft_dataset_name(ds, i, name, sizeof name);
        line *wanted = &(line){.name = name};
        line **found = bsearch(&wanted, sorted, (size_t)l->n, sizeof *sorted, by_name);
        if (found) (*found)->sample = i;
    }
    free(sorted);
    return FT_OK;
}

ft_err ft_quarantine_read(ft_quarantine *q, const char *path) {
    if (access(path, F_OK) != 0) return FT_OK;
    lines l = {0};
    ft_err e = read_lines(path, &l);
    if (e == FT_OK && l.n > 0) e = find_samples(q->ds, &l);
    for (int32_t k = 0; e == FT_OK && k < l.n; k++)
        if (l.at[k].sample >= 0) e = ft_quarantine_add(q, l.at[k].sample, l.at[k].reason);
    lines_free(&l);
    return e;
}

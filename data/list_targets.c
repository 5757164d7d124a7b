#include "data/list_targets.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CLASSES = 65536, MAX_PARTS = 1024 };

void ft_list_targets_free(ft_list_targets *t) {
    for (int32_t k = 0; k < t->n; k++) {
        free(t->targets[k].name);
        ft_intern_free(&t->columns[k].texts);
        ft_intern_free(&t->columns[k].parts);
        free(t->columns[k].member);
    }
    free(t->targets);
    free(t->columns);
    free(t->value);
    *t = (ft_list_targets){0};
}

/* "age:number" */
static ft_err open_column(ft_target *target, ft_list_column *column, const ft_csv *c, const char *spec) {
    static const char *const kinds[] = {"class", "number", "multi"};
    size_t len = strcspn(spec, ":");
    const char *kind = spec[len] ? spec + len + 1 : kinds[0];
    int k = 0;
    while (k < 3 && strcmp(kind, kinds[k]) != 0) k++;
    FT_REQUIRE(k < 3, CONFIG,
               "data.list.more: '%s' is of no kind; write COLUMN, COLUMN:number or COLUMN:multi", spec);
    target->kind = (ft_target_kind)k;
    target->name = strndup(spec, len);
    FT_REQUIRE(target->name, MEMORY, "no memory for the name of a column");
    return ft_csv_column(c, "data.list.more", spec, len, &column->column);
}

ft_err ft_list_targets_open(ft_list_targets *t, const ft_csv *c, const char *const *specs, int32_t n) {
    if (n == 0) return FT_OK;
    t->targets = ft_alloc((size_t)n, sizeof *t->targets);
    t->columns = ft_alloc((size_t)n, sizeof *t->columns);
    FT_REQUIRE(t->targets && t->columns, MEMORY, "no memory for %d columns", n);
    for (int32_t i = 0; i < n; i++) {
        t->n = i + 1; /* freed with the others, whatever comes */
        FT_TRY(open_column(&t->targets[i], &t->columns[i], c, specs[i]));
        for (int32_t k = 0; k < i; k++)
            FT_REQUIRE(strcmp(t->targets[k].name, t->targets[i].name) != 0, CONFIG,
                       "data.list.more: '%s' is there twice", t->targets[k].name);
    }
    return FT_OK;
}

static ft_err value_of(ft_target *target, ft_list_column *column, const ft_csv *c, float *value) {
    const char *text = c->field[column->column];
    if (target->kind == FT_TARGET_NUMBER) {
        char *end;
        double x = strtod(text, &end);
        FT_REQUIRE(end != text && *end == '\0' && isfinite((float)x), DATA,
                   "%s:%lld: '%.64s' in the column %s is no number", c->path, (long long)c->line, text,
                   target->name);
        *value = (float)x;
        return FT_OK;
    }
    FT_REQUIRE(*text || target->kind == FT_TARGET_MULTI, DATA, "%s:%lld: nothing in the column %s", c->path,
               (long long)c->line, target->name);
    int32_t number;
    FT_TRY(ft_intern_add(&column->texts, text, &number));
    FT_REQUIRE(column->texts.n <= MAX_CLASSES, DATA,
               "%s: more than %d different values in the column %s; is it a number?", c->path, MAX_CLASSES,
               target->name);
    *value = (float)number;
    return FT_OK;
}

ft_err ft_list_targets_add(ft_list_targets *t, const ft_csv *c, int32_t i) {
    if (t->n == 0) return FT_OK;
    if (i >= t->room) {
        int64_t room = t->room ? 2 * t->room : 1024;
        float *p = realloc(t->value, (size_t)room * (size_t)t->n * sizeof *p);
        FT_REQUIRE(p, MEMORY, "no memory for a list of images");
        t->value = p;
        t->room = room;
    }
    for (int32_t k = 0; k < t->n; k++)
        FT_TRY(value_of(&t->targets[k], &t->columns[k], c, &t->value[(int64_t)i * t->n + k]));
    return FT_OK;
}

/* ---- the end ---- */

static ft_err close_classes(ft_list_targets *t, int32_t k, int32_t n) {
    ft_list_column *column = &t->columns[k];
    int32_t *rank = ft_alloc((size_t)column->texts.n, sizeof *rank);
    FT_REQUIRE(rank, MEMORY, "no memory for class names");
    ft_err e = ft_intern_sort(&column->texts, rank);
    for (int32_t i = 0; i < n && e == FT_OK; i++) {
        float *value = &t->value[(int64_t)i * t->n + k];
        *value = (float)rank[(int32_t)*value];
    }
    free(rank);
    t->targets[k].n_classes = column->texts.n;
    t->targets[k].class_names = column->texts.text;
    return e;
}

/* Calls for every part of "a|b" that is not empty. */
static ft_err each_part(const char *text, ft_err (*call)(void *ctx, const char *part), void *ctx) {
    while (*text) {
        size_t len = strcspn(text, "|");
        char *part = strndup(text, len);
        FT_REQUIRE(part, MEMORY, "no memory for class names");
        ft_err e = len ? call(ctx, part) : FT_OK;
        free(part);
        FT_TRY(e);
        text += len + (text[len] == '|');
    }
    return FT_OK;
}

static ft_err add_part(void *ctx, const char *part) {
    int32_t number;
    return ft_intern_add(ctx, part, &number);
}

typedef struct marking {
    const ft_intern *parts;
    uint8_t *row;
} marking;

static ft_err mark_part(void *ctx, const char *part) {
    marking *m = ctx;
    m->row[ft_intern_find(m->parts, part)] = 1;
    return FT_OK;
}

static ft_err close_multi(ft_target *target, ft_list_column *column) {
    ft_intern *parts = &column->parts;
    for (int32_t i = 0; i < column->texts.n; i++) FT_TRY(each_part(column->texts.text[i], add_part, parts));
    FT_REQUIRE(parts->n > 0 && parts->n <= MAX_PARTS, DATA,
               "the column %s has %d classes; 1 to %d can be told", target->name, parts->n, MAX_PARTS);
    int32_t *rank = ft_alloc((size_t)parts->n, sizeof *rank);
    column->member = ft_alloc((size_t)column->texts.n * (size_t)parts->n, 1);
    ft_err e = rank && column->member ? ft_intern_sort(parts, rank)
                                      : ft_err_set(FT_E_MEMORY, "no memory for class names");
    free(rank);
    for (int32_t i = 0; i < column->texts.n && e == FT_OK; i++) {
        marking m = {parts, column->member + (int64_t)i * parts->n};
        e = each_part(column->texts.text[i], mark_part, &m);
    }
    target->n_classes = parts->n;
    target->class_names = parts->text;
    return e;
}

ft_err ft_list_targets_close(ft_list_targets *t, int32_t n) {
    for (int32_t k = 0; k < t->n; k++) {
        if (t->targets[k].kind == FT_TARGET_CLASS) FT_TRY(close_classes(t, k, n));
        if (t->targets[k].kind == FT_TARGET_MULTI) FT_TRY(close_multi(&t->targets[k], &t->columns[k]));
    }
    return FT_OK;
}

void ft_list_targets_get(const ft_list_targets *t, int32_t i, int32_t target, float *out) {
    float value = t->value[(int64_t)i * t->n + target];
    const ft_list_column *column = &t->columns[target];
    if (t->targets[target].kind != FT_TARGET_MULTI) {
        *out = value;
        return;
    }
    const uint8_t *row = column->member + (int64_t)value * column->parts.n;
    for (int32_t c = 0; c < column->parts.n; c++) out[c] = row[c];
}

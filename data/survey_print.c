/* A survey for people, and as JSON. */
#include "data/survey.h"
#include "tensor/escape.h"

#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 4096, MOST_CLASSES = 20 };

typedef struct range {
    int32_t min, median, max;
} range;

static int by_value(const void *a, const void *b) {
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return x < y ? -1 : x > y;
}

/* Of those above 0; all 0 when there are none or no memory. */
static range range_of(const int32_t *values, int32_t n) {
    int32_t *sorted = malloc((size_t)n * sizeof *sorted), m = 0;
    if (!sorted) return (range){0};
    for (int32_t i = 0; i < n; i++)
        if (values[i] > 0) sorted[m++] = values[i];
    if (m) qsort(sorted, (size_t)m, sizeof *sorted, by_value);
    range r = m ? (range){sorted[0], sorted[m / 2], sorted[m - 1]} : (range){0};
    free(sorted);
    return r;
}

/* The largest class to the smallest that has a sample. */
static double imbalance(const ft_dataset *ds, const ft_survey *s) {
    range r = range_of(s->per_class, ds->n_classes);
    return r.min ? (double)r.max / r.min : 0;
}

/* ---- for people ---- */

static void print_side(FILE *f, const char *name, range r) {
    if (r.min == r.max)
        fprintf(f, "%-10s %d in all images\n", name, r.min);
    else
        fprintf(f, "%-10s %d to %d, median %d\n", name, r.min, r.max, r.median);
}

static int more_samples(const void *a, const void *b) {
    const int32_t *x = *(const int32_t *const *)a, *y = *(const int32_t *const *)b;
    return *x != *y ? (*x < *y ? 1 : -1) : x < y ? -1 : 1;
}

static void print_classes(FILE *f, const ft_dataset *ds, const ft_survey *s) {
    const int32_t **sorted = malloc((size_t)ds->n_classes * sizeof *sorted);
    if (!sorted) return;
    for (int32_t k = 0; k < ds->n_classes; k++) sorted[k] = &s->per_class[k];
    qsort(sorted, (size_t)ds->n_classes, sizeof *sorted, more_samples);
    fprintf(f, "classes    %d, the largest %.3g times the smallest\n", ds->n_classes, imbalance(ds, s));
    int32_t n = ds->n_classes < MOST_CLASSES ? ds->n_classes : MOST_CLASSES;
    for (int32_t k = 0; k < n; k++) {
        fputs("  ", f);
        ft_terminal_text(f, ds->class_names[sorted[k] - s->per_class], 28);
        fprintf(f, " %8d  %5.1f %%\n", *sorted[k], 100. * *sorted[k] / s->n);
    }
    if (n < ds->n_classes)
        fprintf(f, "  and %d smaller ones, down to %d images\n", ds->n_classes - n,
                *sorted[ds->n_classes - 1]);
    free(sorted);
}

void ft_survey_print(FILE *f, const ft_dataset *ds, const ft_survey *s) {
    fprintf(f, "images     %d (%s)", s->n, ds->ops->kind);
    if (ds->n_ignored) fprintf(f, "; %d passed over that are no images or not asked for", ds->n_ignored);
    fprintf(f, "\nbad        %d", s->n_bad);
    if (s->n_bad) fputs("; ft-data check names them", f);
    fputc('\n', f);
    print_side(f, "width", range_of(s->w, s->n));
    print_side(f, "height", range_of(s->h, s->n));
    fprintf(f, "colour     %d in colour, %d grey\n", s->n - s->n_bad - s->n_grey, s->n_grey);
    fprintf(f, "mean       %.4f %.4f %.4f   of red, green, blue in [0, 1]\n", s->mean[0], s->mean[1],
            s->mean[2]);
    fprintf(f, "deviation  %.4f %.4f %.4f\n", s->deviation[0], s->deviation[1], s->deviation[2]);
    fprintf(f, "repeats    %d images have the pixels of an earlier one", s->n_repeats);
    if (s->n_conflicts) fprintf(f, ", %d of them under another class", s->n_conflicts);
    if (s->n_repeats) fputs("; --json names them", f);
    fputc('\n', f);
    print_classes(f, ds, s);
}

/* ---- JSON ---- */

static void json_name(FILE *f, const ft_dataset *ds, int32_t i) {
    char name[NAME_BYTES];
    ft_dataset_name(ds, i, name, sizeof name);
    ft_json_string(f, name);
}

static void json_bad(FILE *f, const ft_dataset *ds, const ft_survey *s) {
    const char *comma = "";
    fprintf(f, "  \"n_bad\": %d,\n  \"bad\": [", s->n_bad);
    for (int32_t i = 0; i < s->n; i++) {
        if (!s->reason[i]) continue;
        fprintf(f, "%s\n    {\"file\": ", comma);
        json_name(f, ds, i);
        fputs(", \"reason\": ", f);
        ft_json_string(f, s->reason[i]);
        fputc('}', f);
        comma = ",";
    }
    fputs("],\n", f);
}

static void json_repeats(FILE *f, const ft_dataset *ds, const ft_survey *s) {
    const char *comma = "";
    fprintf(f, "  \"n_repeats\": %d,\n  \"n_conflicts\": %d,\n  \"repeats\": [", s->n_repeats,
            s->n_conflicts);
    for (int32_t i = 0; i < s->n; i++) {
        if (s->first[i] != i || s->next[i] < 0) continue;
        fprintf(f, "%s\n    [", comma);
        for (int32_t k = i; k >= 0; k = s->next[k]) {
            json_name(f, ds, k);
            if (s->next[k] >= 0) fputs(", ", f);
        }
        fputc(']', f);
        comma = ",";
    }
    fputs("]\n", f);
}

static void json_range(FILE *f, const char *name, range r) {
    fprintf(f, "  \"%s\": {\"min\": %d, \"median\": %d, \"max\": %d},\n", name, r.min, r.median, r.max);
}

static void json_channels(FILE *f, const char *name, const double x[3]) {
    fprintf(f, "  \"%s\": [", name);
    for (int k = 0; k < 3; k++) {
        if (k) fputs(", ", f);
        ft_json_number(f, x[k]);
    }
    fputs("],\n", f);
}

void ft_survey_json(FILE *f, const ft_dataset *ds, const ft_survey *s) {
    fputs("{\n  \"kind\": ", f);
    ft_json_string(f, ds->ops->kind);
    fprintf(f, ",\n  \"n\": %d,\n", s->n);
    json_bad(f, ds, s);
    fputs("  \"classes\": [", f);
    for (int32_t k = 0; k < ds->n_classes; k++) {
        fputs(k ? ",\n    {\"name\": " : "\n    {\"name\": ", f);
        ft_json_string(f, ds->class_names[k]);
        fprintf(f, ", \"n\": %d}", s->per_class[k]);
    }
    fputs("],\n  \"imbalance\": ", f);
    ft_json_number(f, imbalance(ds, s));
    fputs(",\n", f);
    json_range(f, "width", range_of(s->w, s->n));
    json_range(f, "height", range_of(s->h, s->n));
    fprintf(f, "  \"n_grey\": %d,\n", s->n_grey);
    json_channels(f, "mean", s->mean);
    json_channels(f, "deviation", s->deviation);
    json_repeats(f, ds, s);
    fputs("}\n", f);
}

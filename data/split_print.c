/* A split as a table for people, as a file for data.split.by: list, and what it divides that it should not.
 */
#include "data/split_print.h"
#include "tensor/atomic_file.h"
#include "tensor/escape.h"

#include <stdlib.h>
#include <string.h>

enum { NAME_BYTES = 4096, MOST_CLASSES = 20, MOST_LEAKS = 10 };

/* Of every sample; FT_PARTS: none. NULL: no memory. */
static uint8_t *parts_of(const ft_dataset *ds, const ft_split *split) {
    uint8_t *part = malloc((size_t)ds->n + 1);
    if (!part) return NULL;
    memset(part, FT_PARTS, (size_t)ds->n);
    for (int p = 0; p < FT_PARTS; p++)
        for (int32_t i = 0; i < split->n[p]; i++) part[split->index[p][i]] = (uint8_t)p;
    return part;
}

void ft_split_print(FILE *f, const ft_dataset *ds, const ft_split *split) {
    fprintf(f, "%-28s", "");
    for (int p = 0; p < FT_PARTS; p++) fprintf(f, " %8s", ft_part_name((ft_part)p));
    fprintf(f, "\n%-28s", "all");
    for (int p = 0; p < FT_PARTS; p++) fprintf(f, " %8d", split->n[p]);
    fputc('\n', f);
    int32_t(*count)[FT_PARTS] = calloc((size_t)ds->n_classes, sizeof *count);
    if (!count) return;
    for (int p = 0; p < FT_PARTS; p++)
        for (int32_t i = 0; i < split->n[p]; i++) count[ft_dataset_label(ds, split->index[p][i])][p]++;
    for (int32_t k = 0; k < ds->n_classes && k < MOST_CLASSES; k++) {
        ft_terminal_text(f, ds->class_names[k], 28);
        for (int p = 0; p < FT_PARTS; p++) fprintf(f, " %8d", count[k][p]);
        fputc('\n', f);
    }
    if (ds->n_classes > MOST_CLASSES) fprintf(f, "and %d more classes\n", ds->n_classes - MOST_CLASSES);
    free(count);
}

ft_err ft_split_write(const char *path, const ft_dataset *ds, const ft_split *split) {
    uint8_t *part = parts_of(ds, split);
    FT_REQUIRE(part, MEMORY, "no memory for a split of %d images", ds->n);
    ft_atomic_file a;
    ft_err e = ft_atomic_open(&a, path);
    if (e == FT_OK) fputs("file,part\n", a.stream);
    for (int32_t i = 0; i < ds->n && e == FT_OK; i++) {
        if (part[i] == FT_PARTS) continue;
        char name[NAME_BYTES];
        ft_dataset_name(ds, i, name, sizeof name);
        ft_csv_field(a.stream, name);
        fprintf(a.stream, ",%s\n", ft_part_name((ft_part)part[i]));
    }
    free(part);
    return e == FT_OK ? ft_atomic_commit(&a) : e;
}

ft_err ft_split_print_leaks(FILE *f, const ft_dataset *ds, const ft_split *split, const ft_survey *s,
                            int32_t *n_leaks) {
    *n_leaks = 0;
    uint8_t *part = parts_of(ds, split);
    FT_REQUIRE(part, MEMORY, "no memory for a split of %d images", ds->n);
    for (int32_t i = 0; i < s->n; i++) {
        int32_t first = s->first[i];
        if (first < 0 || part[i] == part[first] || part[i] == FT_PARTS || part[first] == FT_PARTS) continue;
        if (++*n_leaks > MOST_LEAKS) continue;
        char name[NAME_BYTES];
        ft_dataset_name(ds, first, name, sizeof name);
        fprintf(f, "%s (%s) has the pixels of ", name, ft_part_name((ft_part)part[first]));
        ft_dataset_name(ds, i, name, sizeof name);
        fprintf(f, "%s (%s)\n", name, ft_part_name((ft_part)part[i]));
    }
    if (*n_leaks > MOST_LEAKS) fprintf(f, "and %d more\n", *n_leaks - MOST_LEAKS);
    free(part);
    return FT_OK;
}

#include "train/profile.h"

#include <stdlib.h>
#include <string.h>

enum { SLOWEST = 20 };

/* ---- rows */

void ft_profile_rows(int32_t n, const ft_step_time now[], const ft_step_time before[], ft_profile_row out[]) {
    for (int32_t i = 0; i < n; i++) {
        out[i] = (ft_profile_row){.op = now[i].op,
                                  .pass = now[i].backward ? "backward" : "forward",
                                  .seconds = now[i].seconds - (before ? before[i].seconds : 0)};
        strncpy(out[i].name, now[i].name, sizeof out[i].name - 1);
    }
}

static int slowest_first(const void *a, const void *b) {
    double x = ((const ft_profile_row *)a)->seconds, y = ((const ft_profile_row *)b)->seconds;
    return (x < y) - (x > y);
}

void ft_profile_sort(int32_t n, ft_profile_row rows[]) {
    qsort(rows, (size_t)n, sizeof *rows, slowest_first);
}

double ft_profile_seconds(int32_t n, const ft_profile_row rows[], const char *op) {
    double seconds = 0;
    for (int32_t i = 0; i < n; i++)
        if (!op || strcmp(rows[i].op, op) == 0) seconds += rows[i].seconds;
    return seconds;
}

/* Adds row to the sum of its op and pass among the n sums so far; returns how many there are now. */
static int32_t add_to_sums(const ft_profile_row *row, ft_profile_row sums[], int32_t n) {
    int32_t i = 0;
    while (i < n && (strcmp(sums[i].op, row->op) != 0 || strcmp(sums[i].pass, row->pass) != 0)) i++;
    if (i == n) sums[n++] = (ft_profile_row){.op = row->op, .pass = row->pass};
    sums[i].seconds += row->seconds;
    sums[i].flops += row->flops;
    return n;
}

/* ---- tables */

static void print_heading(FILE *f, const ft_profile_style *style) {
    fprintf(f, "%-22s  %-8s  %9s  %6s", "Operation", "Pass", style->heading, "Share");
    if (style->peak_gflops > 0) fprintf(f, "  %8s  %7s", "GFLOP/s", "Of peak");
    fputc('\n', f);
}

static void print_row(FILE *f, const ft_profile_row *row, double total, const ft_profile_style *style) {
    fprintf(f, "%-22s  %-8s  %9.3f  %5.1f%%", row->op, row->pass, style->unit * row->seconds,
            total > 0 ? 100 * row->seconds / total : 0);
    if (style->peak_gflops > 0 && row->flops > 0) {
        double gflops = row->flops / row->seconds * 1e-9;
        fprintf(f, "  %8.1f  %6.1f%%", gflops, 100 * gflops / style->peak_gflops);
    }
    fputc('\n', f);
}

ft_err ft_profile_print_ops(FILE *f, int32_t n, const ft_profile_row rows[], const ft_profile_style *style) {
    ft_profile_row *sums = ft_alloc((size_t)n + 1, sizeof *sums);
    FT_REQUIRE(sums, MEMORY, "no memory for the times of %d steps", n);
    int32_t n_sums = 0;
    for (int32_t i = 0; i < n; i++) n_sums = add_to_sums(&rows[i], sums, n_sums);
    ft_profile_sort(n_sums, sums);
    double total = ft_profile_seconds(n, rows, NULL);
    print_heading(f, style);
    for (int32_t i = 0; i < n_sums; i++) print_row(f, &sums[i], total, style);
    free(sums);
    return FT_OK;
}

void ft_profile_print_nodes(FILE *f, int32_t n, const ft_profile_row rows[], const ft_profile_style *style) {
    double total = ft_profile_seconds(n, rows, NULL);
    int32_t shown = style->most > 0 && style->most < n ? style->most : n;
    int width = 4;
    for (int32_t i = 0; i < shown; i++)
        if ((int)strlen(rows[i].name) > width) width = (int)strlen(rows[i].name);
    fprintf(f, "%-*s  ", width, "Node");
    print_heading(f, style);
    for (int32_t i = 0; i < shown; i++) {
        fprintf(f, "%-*s  ", width, rows[i].name);
        print_row(f, &rows[i], total, style);
    }
}

/* ---- a training */

static void print_part(FILE *f, const char *name, double seconds, double total) {
    fprintf(f, "  %-22s  %9.3f  %5.1f%%\n", name, seconds, total > 0 ? 100 * seconds / total : 0);
}

static void print_parts(FILE *f, const ft_profile *p, double plan_seconds) {
    static const char *const names[FT_PROFILE_PARTS] = {[FT_PROFILE_LOADING] = "waiting for images",
                                                        [FT_PROFILE_FEATURES] = "features of images",
                                                        [FT_PROFILE_OPTIMIZER] = "optimiser",
                                                        [FT_PROFILE_EVALUATION] = "evaluation",
                                                        [FT_PROFILE_CHECKPOINTS] = "checkpoints"};
    double rest = p->total - plan_seconds;
    fprintf(f, "\nWhere the time of %lld steps went\n  %-22s  %9s  %6s\n", (long long)p->steps, "", "Seconds",
            "Share");
    print_part(f, "forward and backward", plan_seconds, p->total);
    for (int i = 0; i < FT_PROFILE_PARTS; i++) {
        print_part(f, names[i], p->seconds[i], p->total);
        rest -= p->seconds[i];
    }
    print_part(f, "everything else", rest, p->total);
    print_part(f, "together", p->total, p->total);
}

static ft_err print_plan(FILE *f, const ft_profile *p, int32_t n, ft_profile_row rows[]) {
    ft_profile_style style = {.heading = "Seconds", .unit = 1, .most = SLOWEST};
    double plan_seconds = ft_profile_seconds(n, rows, NULL);
    ft_profile_sort(n, rows);
    print_parts(f, p, plan_seconds);
    fputs("\nForward and backward by operation\n", f);
    FT_TRY(ft_profile_print_ops(f, n, rows, &style));
    fputs("\nThe slowest nodes\n", f);
    ft_profile_print_nodes(f, n, rows, &style);
    return FT_OK;
}

ft_err ft_profile_print(FILE *f, const ft_profile *p, const ft_plan *plan) {
    int32_t n = ft_plan_times(plan, NULL, 0);
    ft_step_time *times = ft_alloc((size_t)n + 1, sizeof *times);
    ft_profile_row *rows = ft_alloc((size_t)n + 1, sizeof *rows);
    ft_err e = FT_E_MEMORY;
    if (times && rows) {
        ft_plan_times(plan, times, n);
        ft_profile_rows(n, times, NULL, rows);
        e = print_plan(f, p, n, rows);
    } else {
        ft_err_set(e, "no memory for the times of %d steps", n);
    }
    free(times);
    free(rows);
    return e;
}

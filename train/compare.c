#include "train/compare.h"

#include "eval/bootstrap.h"
#include "tensor/atomic_file.h"
#include "tensor/escape.h"
#include "train/results.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Row of every sample that was evaluated, -1 of the others; (*n), the caller's to free. */
static int32_t *rows_by_sample(const ft_evaluation *ev, int32_t *n) {
    *n = 0;
    for (int64_t i = 0; i < ev->n; i++) *n = ev->sample[i] >= *n ? ev->sample[i] + 1 : *n;
    int32_t *row = malloc(((size_t)*n + 1) * sizeof *row);
    for (int32_t i = 0; row && i < *n; i++) row[i] = -1;
    for (int64_t i = 0; row && i < ev->n; i++) row[ev->sample[i]] = (int32_t)i;
    return row;
}

ft_err ft_compare(const ft_evaluation *a, const ft_evaluation *b, int32_t replicates, ft_comparison *c) {
    int32_t most, k = a->k, *row = rows_by_sample(b, &most);
    size_t cells = (size_t)a->n * (size_t)k;
    float *prob_a = malloc(cells * sizeof *prob_a), *prob_b = malloc(cells * sizeof *prob_b);
    int32_t *label = malloc((size_t)a->n * sizeof *label);
    bool room = row && prob_a && prob_b && label;
    int64_t n = 0;
    for (int64_t i = 0; room && i < a->n; i++) {
        int32_t other = a->sample[i] < most ? row[a->sample[i]] : -1;
        if (other < 0) continue;
        memcpy(prob_a + n * k, a->prob + i * k, (size_t)k * sizeof *prob_a);
        memcpy(prob_b + n * k, b->prob + (int64_t)other * k, (size_t)k * sizeof *prob_b);
        label[n++] = a->label[i];
    }
    ft_err e = !room ? ft_err_set(FT_E_MEMORY, "no memory to compare %lld predictions", (long long)a->n)
               : n == 0
                   ? ft_err_set(FT_E_DATA, "no image could be used by both models")
                   : ft_comparison_compute(c, n, k, prob_a, prob_b, label, replicates, FT_BOOTSTRAP_SEED);
    free(row);
    free(prob_a);
    free(prob_b);
    free(label);
    return e;
}

/* ---- what is left ---- */

/* Is the number of both models? */
static bool applies(const ft_comparison *c, int metric) {
    return ft_metric_applies(&c->a, metric);
}

static void json_metric(FILE *f, const ft_comparison *c, int metric) {
    const double x[] = {ft_metric_value(&c->a, metric), ft_metric_value(&c->b, metric), c->difference[metric],
                        c->interval[metric].low, c->interval[metric].high};
    static const char *const names[] = {"a", "b", "difference", "low", "high"};
    fprintf(f, ",\n    \"%s\": {", ft_metric_name(metric));
    for (int i = 0; i < 5; i++) {
        fprintf(f, "%s\"%s\": ", i ? ", " : "", names[i]);
        ft_json_number(f, x[i]);
    }
    fputc('}', f);
}

ft_err ft_compare_write(const char *folder, const char *name_a, const char *name_b, const char *split,
                        const ft_comparison *c) {
    char path[4096];
    ft_atomic_file a;
    FT_TRY(ft_folder_file(path, sizeof path, folder, "comparison.json"));
    FT_TRY(ft_atomic_open(&a, path));
    FILE *f = a.stream;
    fputs("{\n  \"a\": ", f);
    ft_json_string(f, name_a);
    fputs(",\n  \"b\": ", f);
    ft_json_string(f, name_b);
    fputs(",\n  \"split\": ", f);
    ft_json_string(f, split);
    fprintf(
        f,
        ",\n  \"n\": %lld,\n  \"both_right\": %lld,\n  \"only_a_right\": %lld,\n  \"only_b_right\": %lld,\n"
        "  \"both_wrong\": %lld,\n  \"mcnemar_p\": ",
        (long long)c->n, (long long)c->both_right, (long long)c->only_a, (long long)c->only_b,
        (long long)c->both_wrong);
    ft_json_number(f, c->mcnemar_p);
    fprintf(f, ",\n  \"metrics\": {\n    \"bootstrap\": {\"level\": %g, \"seed\": %d}", FT_BOOTSTRAP_LEVEL,
            FT_BOOTSTRAP_SEED);
    for (int i = 0; i < FT_N_METRICS; i++)
        if (applies(c, i)) json_metric(f, c, i);
    fputs("\n  }\n}\n", f);
    return ft_atomic_commit(&a);
}

void ft_compare_print(FILE *f, const char *name_a, const char *name_b, const char *split,
                      const ft_comparison *c) {
    static const int shown[] = {FT_METRIC_accuracy,
                                FT_METRIC_top_5_accuracy,
                                FT_METRIC_balanced_accuracy,
                                FT_METRIC_f1_macro,
                                FT_METRIC_mcc,
                                FT_METRIC_roc_auc_ovr_macro,
                                FT_METRIC_average_precision_macro,
                                FT_METRIC_log_loss,
                                FT_METRIC_calibration_error};
    fprintf(f, "  %s: %lld examples\n  A  %s\n  B  %s\n\n", split, (long long)c->n, name_a, name_b);
    fprintf(f, "  %-26s %7s %7s %8s   %s\n", "", "A", "B", "B - A", "95 % interval");
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        int m = shown[i];
        if (!applies(c, m)) continue;
        fprintf(f, "  %-26s", ft_metric_label(m));
        if (isnan(c->difference[m])) {
            fputs("       -       -        -\n", f);
            continue;
        }
        fprintf(f, " %7.4f %7.4f %+8.4f   %+.4f to %+.4f\n", ft_metric_value(&c->a, m),
                ft_metric_value(&c->b, m), c->difference[m], c->interval[m].low, c->interval[m].high);
    }
    fprintf(f, "\n  only A right %lld, only B right %lld; McNemar's test: p = %.4g\n", (long long)c->only_a,
            (long long)c->only_b, c->mcnemar_p);
}

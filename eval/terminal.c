/* Terminal summary. */
#include "eval/terminal.h"

#include "tensor/escape.h"

#include <math.h>
#include <stdlib.h>

enum { MAX_CLASSES = 20, NAME_WIDTH = 24 };

static void line(FILE *f, const char *label, double value) {
    if (isnan(value))
        fprintf(f, "  %-28s      -\n", label);
    else
        fprintf(f, "  %-28s %6.4f\n", label, value);
}

static void headline(FILE *f, const ft_metrics *m, const char *split, double loss) {
    static const int shown[] = {FT_METRIC_accuracy,
                                FT_METRIC_top_5_accuracy,
                                FT_METRIC_balanced_accuracy,
                                FT_METRIC_precision_macro,
                                FT_METRIC_recall_macro,
                                FT_METRIC_f1_macro,
                                FT_METRIC_mcc,
                                FT_METRIC_roc_auc_ovr_macro,
                                FT_METRIC_average_precision_macro,
                                FT_METRIC_log_loss};
    fputs("  ", f);
    ft_terminal_text(f, split, ft_utf8_length(split) < NAME_WIDTH ? ft_utf8_length(split) : NAME_WIDTH);
    fprintf(f, ": %lld examples, %d classes\n\n", (long long)m->n, m->k);
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        if (ft_metric_applies(m, shown[i])) line(f, ft_metric_label(shown[i]), ft_metric_value(m, shown[i]));
    if (!isnan(loss)) line(f, "Loss", loss);
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        if (m->reason[shown[i]]) fprintf(f, "  %s: %s\n", ft_metric_label(shown[i]), m->reason[shown[i]]);
}

static void cell(FILE *f, double value) {
    if (isnan(value))
        fputs("       -", f);
    else
        fprintf(f, "  %6.4f", value);
}

static void row(FILE *f, const ft_class_metrics *q, const char *name) {
    fputs("  ", f);
    ft_terminal_text(f, name, NAME_WIDTH);
    fprintf(f, " %8d", q->support);
    for (int i = 0; i < FT_N_CLASS_METRICS; i++) cell(f, ft_class_metric_value(q, i));
    fputc('\n', f);
}

ft_err ft_metrics_print(FILE *f, const ft_metrics *m, const char *const *names, const char *split,
                        double loss) {
    headline(f, m, split, loss);
    int32_t *order = ft_alloc((size_t)m->k, sizeof *order);
    FT_REQUIRE(order, MEMORY, "out of memory for a table of %d classes", m->k);
    int32_t shown = m->k;
    if (m->k > MAX_CLASSES) {
        ft_metrics_order_by_f1(m, order);
        shown = MAX_CLASSES;
    } else {
        for (int32_t c = 0; c < m->k; c++) order[c] = c;
    }
    fprintf(f, "\n  %-*s %8s  %6s  %6s  %6s  %6s  %6s\n", NAME_WIDTH, "class", "examples", "prec.", "recall",
            "F1", "AUC", "AP");
    for (int32_t i = 0; i < shown; i++) row(f, &m->per_class[order[i]], names[order[i]]);
    if (shown < m->k) fprintf(f, "  ... the %d lowest F1 of %d classes\n", shown, m->k);
    free(order);
    return FT_OK;
}

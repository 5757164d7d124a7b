/* Terminal summary. */
#include "eval/terminal.h"

#include "tensor/escape.h"

#include <math.h>
#include <stdlib.h>

enum { MAX_CLASSES = 20, NAME_WIDTH = 24 };

static void line(FILE *f, const char *label, double value, ft_interval interval) {
    if (isnan(value))
        fprintf(f, "  %-28s      -\n", label);
    else if (isnan(interval.low))
        fprintf(f, "  %-28s %6.4f\n", label, value);
    else
        fprintf(f, "  %-28s %6.4f   %6.4f to %6.4f\n", label, value, interval.low, interval.high);
}

/* A text of the width it needs, if there is so much room. */
static void words(FILE *f, const char *text) {
    int length = ft_utf8_length(text);
    ft_terminal_text(f, text, length < NAME_WIDTH ? length : NAME_WIDTH);
}

static void reason_line(FILE *f, const char *label, const char *reason) {
    if (reason) fprintf(f, "  %s: %s\n", label, reason);
}

/* loss: NaN when there is none to tell. */
static void class_numbers(FILE *f, const ft_metrics *m, double loss) {
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
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        if (ft_metric_applies(m, shown[i]))
            line(f, ft_metric_label(shown[i]), ft_metric_value(m, shown[i]), ft_metric_interval(m, shown[i]));
    if (!isnan(loss)) line(f, "Loss", loss, (ft_interval){NAN, NAN});
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        reason_line(f, ft_metric_label(shown[i]), m->reason[shown[i]]);
}

static void headline(FILE *f, const ft_metrics *m, const char *split, double loss) {
    fputs("  ", f);
    words(f, split);
    fprintf(f, ": %lld examples, %d classes%s\n\n", (long long)m->n, m->k,
            m->replicates ? "; with 95 % intervals" : "");
    class_numbers(f, m, loss);
}

static void cell(FILE *f, double value) {
    if (isnan(value))
        fputs("       -", f);
    else
        fprintf(f, "  %6.4f", value);
}

void ft_thresholds_print(FILE *f, const ft_thresholds *t, const char *name) {
    if (!t->chosen_on) return;
    fputs("\n  taken for ", f);
    words(f, name);
    fprintf(f, " from a probability on, chosen on %s:\n\n  %-36s %9s  %6s  %6s  %6s  %6s\n", t->chosen_on, "",
            "threshold", "prec.", "recall", "F1", "FPR");
    for (int rule = 0; rule < FT_N_RULES; rule++) {
        const ft_threshold *at = &t->rule[rule];
        if (!ft_rule_applies(t, rule)) continue;
        fprintf(f, "  %-36s", ft_rule_label(rule));
        if (isnan(at->threshold)) {
            fputs("         -\n", f);
            continue;
        }
        fprintf(f, "  %8.4f", at->threshold);
        cell(f, at->precision);
        cell(f, at->recall);
        cell(f, at->f1);
        cell(f, at->fpr);
        fputc('\n', f);
    }
}

static void head_number(void *ctx, const char *name, const char *label, double value, ft_interval interval,
                        const char *reason) {
    (void)name;
    line(ctx, label, value, interval);
    reason_line(ctx, label, reason);
}

void ft_heads_print(FILE *f, int32_t n, const ft_head_result *heads) {
    for (int32_t k = 0; k < n; k++) {
        fputs("\n  ", f);
        words(f, heads[k].name);
        fprintf(f, " (%s)\n\n", ft_head_kind(&heads[k]));
        if (heads[k].classes)
            class_numbers(f, heads[k].classes, NAN);
        else
            ft_head_numbers(&heads[k], head_number, f);
    }
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

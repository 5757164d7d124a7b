#include "eval/head_result.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const char *ft_head_kind(const ft_head_result *h) {
    return h->classes ? "class" : h->numbers ? "number" : "multi";
}

static void class_numbers(const ft_metrics *m, ft_head_number *call, void *ctx) {
    for (int i = 0; i < FT_N_METRICS; i++)
        if (ft_metric_applies(m, i))
            call(ctx, ft_metric_name(i), ft_metric_label(i), ft_metric_value(m, i), ft_metric_interval(m, i),
                 m->reason[i]);
}

typedef struct number {
    const char *name, *label;
    double value;
    const char *reason;
} number;

void ft_head_numbers(const ft_head_result *h, ft_head_number *call, void *ctx) {
    const ft_regression *r = h->numbers;
    const ft_multilabel *m = h->multilabel;
    const ft_interval none = {NAN, NAN};
    number all[FT_HEAD_NUMBERS];
    int n = 0;
    if (h->classes) {
        class_numbers(h->classes, call, ctx);
    } else if (r) {
        all[n++] = (number){"mae", "Mean absolute error", r->mae, NULL};
        all[n++] = (number){"rmse", "Root mean squared error", r->rmse, NULL};
        all[n++] = (number){"r2", "R2", r->r2, r->r2_reason};
        all[n++] = (number){"correlation", "Correlation", r->correlation, r->correlation_reason};
    } else {
        all[n++] = (number){"accuracy", "All classes right", m->accuracy, NULL};
        all[n++] = (number){"hamming_loss", "Wrong decisions", m->hamming_loss, NULL};
        all[n++] = (number){"precision_micro", "Precision (micro)", m->precision_micro, NULL};
        all[n++] = (number){"recall_micro", "Recall (micro)", m->recall_micro, NULL};
        all[n++] = (number){"f1_micro", "F1 (micro)", m->f1_micro, NULL};
        all[n++] = (number){"f1_macro", "F1 (macro)", m->f1_macro, NULL};
        all[n++] = (number){"roc_auc_macro", "ROC AUC (macro)", m->roc_auc_macro, m->reason};
        all[n++] = (number){"average_precision_macro", "Average precision (macro)",
                            m->average_precision_macro, m->reason};
    }
    for (int i = 0; i < n; i++)
        call(ctx, all[i].name, all[i].label, all[i].value, h->interval ? h->interval[i] : none,
             all[i].reason);
}

static void join_classes(const ft_head_result *h, const float *row, char *text, size_t bytes) {
    size_t used = 0;
    text[0] = '\0';
    for (int32_t c = 0; c < h->multilabel->k; c++) {
        if (row[c] < 0.5f) continue;
        int n = snprintf(text + used, bytes - used, "%s%s", used ? "|" : "", h->class_names[c]);
        if (n < 0 || (size_t)n >= bytes - used) return;
        used += (size_t)n;
    }
}

void ft_head_text(const ft_head_result *h, int64_t i, bool truth, char *text, size_t bytes) {
    const float *from = truth ? h->truth : h->prediction;
    if (h->numbers) {
        snprintf(text, bytes, "%.9g", (double)from[i]);
    } else if (h->classes) {
        int32_t k = h->classes->k, c = truth ? (int32_t)from[i] : ft_argmax(from + i * k, k);
        snprintf(text, bytes, "%s", h->class_names[c]);
    } else {
        join_classes(h, from + i * h->multilabel->k, text, bytes);
    }
}

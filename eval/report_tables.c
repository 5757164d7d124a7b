/* report.html: tables, and the confusion matrix. */
#include "eval/heaviest.h"
#include "eval/report_parts.h"
#include "eval/svg.h"
#include "tensor/escape.h"

#include <math.h>
#include <stdlib.h>

enum { CLASS_ORDER_UP_TO = 20, N_PAIRS = 12, N_BAD = 100 };

static void class_row(FILE *f, const ft_report *r, int32_t c) {
    const ft_class_metrics *q = &r->metrics->per_class[c];
    fputs("<tr><th scope=\"row\">", f);
    ft_html_text(f, r->class_names[c]);
    fprintf(f, "</th><td>%d</td>", q->support);
    for (int i = 0; i < FT_N_CLASS_METRICS; i++) {
        ft_report_cell(f, ft_class_metric_value(q, i), ft_class_metric_reason(r->metrics, c, i));
        if (i == FT_CLASS_METRIC_f1)
            fprintf(f, "<td class=\"bar\" aria-hidden=\"true\"><span style=\"width:%.0f%%\"></span></td>",
                    isnan(q->f1) ? 0 : 100 * q->f1);
    }
    fputs("</tr>\n", f);
}

ft_err ft_report_classes(FILE *f, const ft_report *r) {
    int32_t k = r->metrics->k, *order = ft_alloc((size_t)k, sizeof *order);
    FT_REQUIRE(order, MEMORY, "out of memory for a table of %d classes", k);
    bool sorted = k > CLASS_ORDER_UP_TO;
    if (sorted)
        ft_metrics_order_by_f1(r->metrics, order);
    else
        for (int32_t c = 0; c < k; c++) order[c] = c;
    ft_report_section(f, "classes", "Classes");
    if (sorted) fputs("<p class=\"note\">The lowest F1 first.</p>\n", f);
    fputs("<div class=\"scroll tall\" tabindex=\"0\" role=\"region\" aria-label=\"Numbers of each "
          "class\"><table "
          "class=\"wide\">\n<thead><tr><th scope=\"col\">Class</th><th scope=\"col\" "
          "class=\"num\">Examples</th>",
          f);
    for (int i = 0; i < FT_N_CLASS_METRICS; i++)
        fprintf(f, "<th scope=\"col\" class=\"num\">%s</th>%s", ft_class_metric_label(i),
                i == FT_CLASS_METRIC_f1 ? "<td class=\"bar\" aria-hidden=\"true\"></td>" : "");
    fputs("</tr></thead>\n<tbody>\n", f);
    for (int32_t i = 0; i < k; i++) class_row(f, r, order[i]);
    fputs("</tbody></table></div>\n</section>\n", f);
    free(order);
    return FT_OK;
}

static void confused_pairs(FILE *f, const ft_report *r) {
    const ft_metrics *m = r->metrics;
    ft_ranked top[N_PAIRS];
    int n = 0;
    for (int64_t i = 0; i < (int64_t)m->k * m->k; i++)
        if (i / m->k != i % m->k && m->confusion[i] > 0)
            n = ft_keep_heaviest(top, n, N_PAIRS, (ft_ranked){m->confusion[i], i});
    if (n == 0) return;
    fputs("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Most confused "
          "pairs\"><table>\n<caption>Most "
          "confused pairs</caption>\n<thead><tr><th scope=\"col\">Truth</th><th "
          "scope=\"col\">Prediction</th><th "
          "scope=\"col\" class=\"num\">Times</th><th scope=\"col\" class=\"num\">Of the "
          "class</th></tr></thead>\n<tbody>\n",
          f);
    for (int i = 0; i < n; i++) {
        int64_t truth = top[i].at / m->k, prediction = top[i].at % m->k;
        fputs("<tr><td class=\"text\">", f);
        ft_html_text(f, r->class_names[truth]);
        fputs("</td><td class=\"text\">", f);
        ft_html_text(f, r->class_names[prediction]);
        fprintf(f, "</td><td>%.0f</td><td>%.1f %%</td></tr>\n", top[i].weight,
                100 * top[i].weight / m->per_class[truth].support);
    }
    fputs("</tbody></table></div>\n", f);
}

ft_err ft_report_confusion(FILE *f, const ft_report *r) {
    const ft_metrics *m = r->metrics;
    char description[256];
    snprintf(description, sizeof description,
             "Heat map of the confusion matrix of %d classes: rows are the truth, columns the prediction; "
             "%.1f %% of the "
             "examples are on the diagonal",
             m->k, 100 * m->accuracy);
    ft_report_section(f, "confusion", "Confusion matrix");
    bool numbers = m->k <= FT_HEAT_NUMBERS;
    fputs("<div class=\"side\">\n", f);
    const char *title = numbers                 ? "Examples by truth and prediction"
                        : m->k <= FT_HEAT_CELLS ? "Classes in their order"
                                                : "Classes in their order, neighbours taken together";
    FT_TRY(ft_svg_confusion(f, title, description, m->k, m->confusion, r->class_names));
    if (m->k > 2) confused_pairs(f, r);
    fputs("</div>\n</section>\n", f);
    return FT_OK;
}

void ft_report_thresholds(FILE *f, const ft_report *r) {
    const ft_thresholds *t = r->thresholds;
    if (!t || !t->chosen_on) return;
    ft_report_section(f, "thresholds", "Decisions");
    fputs("<p class=\"note\">An example is taken for <b>", f);
    ft_html_text(f, r->class_names[1]);
    fprintf(
        f,
        "</b> from this probability on. The thresholds were chosen on the %s part; the other numbers are of "
        "the examples evaluated.</p>\n",
        t->chosen_on);
    fputs("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Thresholds\"><table "
          "class=\"wide\">\n"
          "<thead><tr><th scope=\"col\">Chosen for</th><th scope=\"col\" class=\"num\">Threshold</th><th "
          "scope=\"col\" class=\"num\">Accuracy</th><th scope=\"col\" class=\"num\">Precision</th><th "
          "scope=\"col\" class=\"num\">Recall</th><th scope=\"col\" class=\"num\">F1</th><th scope=\"col\" "
          "class=\"num\">False positives</th><th scope=\"col\" class=\"num\">Youden's "
          "J</th></tr></thead>\n<tbody>\n",
          f);
    for (int rule = 0; rule < FT_N_RULES; rule++) {
        if (!ft_rule_applies(t, rule)) continue;
        fprintf(f, "<tr><th scope=\"row\">%s</th>", ft_rule_label(rule));
        for (int i = 0; i < FT_N_THRESHOLD_NUMBERS; i++)
            ft_report_cell(f, ft_threshold_value(&t->rule[rule], i), ft_threshold_reason(&t->rule[rule], i));
        fputs("</tr>\n", f);
    }
    fputs("</tbody></table></div>\n</section>\n", f);
}

static void head_row(void *ctx, const char *name, const char *label, double value, ft_interval interval,
                     const char *reason) {
    FILE *f = ctx;
    fprintf(f, "<tr><th scope=\"row\">%s</th>", label);
    ft_report_cell(f, value, reason);
    ft_report_interval_cell(f, interval);
    fprintf(f, "<td class=\"text key-name\"><code>%s</code></td></tr>\n", name);
}

void ft_report_heads(FILE *f, const ft_report *r) {
    if (r->n_heads == 0) return;
    ft_report_section(f, "heads", "Further heads");
    for (int32_t k = 0; k < r->n_heads; k++) {
        const ft_head_result *h = &r->heads[k];
        fputs("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"A further "
              "head\"><table>\n<caption>",
              f);
        ft_html_text(f, h->name);
        fputs("</caption>\n<thead><tr><th scope=\"col\">Metric</th><th scope=\"col\" "
              "class=\"num\">Value</th><th scope=\"col\" class=\"num\">95 % interval</th><th "
              "scope=\"col\" class=\"key-name\">Name in metrics.json</th></tr></thead>\n<tbody>\n",
              f);
        ft_head_numbers(h, head_row, f);
        fputs("</tbody></table></div>\n", f);
    }
    fputs("</section>\n", f);
}

void ft_report_bad_images(FILE *f, const ft_report *r) {
    if (r->n_bad == 0) return;
    int32_t n = r->n_bad < N_BAD ? r->n_bad : N_BAD;
    ft_report_section(f, "bad", "Images left out");
    fprintf(f, "<p class=\"note\">%d %s could not be used, in all parts of the data", r->n_bad,
            r->n_bad == 1 ? "image" : "images");
    fputs(n < r->n_bad ? "; quarantine.csv names them all.</p>\n" : ".</p>\n", f);
    fputs("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Images left out\"><table>\n"
          "<thead><tr><th scope=\"col\">File</th><th scope=\"col\">Reason</th></tr></thead>\n<tbody>\n",
          f);
    for (int32_t i = 0; i < n; i++) {
        fputs("<tr><td class=\"text\">", f);
        ft_html_text(f, r->bad[i].path);
        fputs("</td><td class=\"text whole\">", f);
        ft_html_text(f, r->bad[i].reason);
        fputs("</td></tr>\n", f);
    }
    fputs("</tbody></table></div>\n</section>\n", f);
}

/* report.html: the class table, the confusion matrix and the most confident mistakes. */
#include "eval/report_parts.h"
#include "eval/svg.h"
#include "tensor/escape.h"

#include <math.h>
#include <stdlib.h>

enum { CLASS_ORDER_UP_TO = 20, N_PAIRS = 12, N_MISTAKES = 25, N_BAD = 100 };

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

typedef struct {
    double weight;
    int64_t at;
} ranked;

/* Keeps the room heaviest items in falling order, the first of equals first; returns how many there are now.
 */
static int keep_heaviest(ranked *list, int n, int room, ranked item) {
    if (n == room && item.weight <= list[n - 1].weight) return n;
    int i = n < room ? n++ : n - 1;
    for (; i > 0 && list[i - 1].weight < item.weight; i--) list[i] = list[i - 1];
    list[i] = item;
    return n;
}

static void confused_pairs(FILE *f, const ft_report *r) {
    const ft_metrics *m = r->metrics;
    ranked top[N_PAIRS];
    int n = 0;
    for (int64_t i = 0; i < (int64_t)m->k * m->k; i++)
        if (i / m->k != i % m->k && m->confusion[i] > 0)
            n = keep_heaviest(top, n, N_PAIRS, (ranked){m->confusion[i], i});
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

static void mistake(FILE *f, const ft_report *r, int64_t i, double probability) {
    const float *p = r->prob + i * r->metrics->k;
    fputs("<li><span class=\"path\">", f);
    ft_html_text(f, r->paths[i]);
    fputs("</span> <span class=\"verdict\">is <b>", f);
    ft_html_text(f, r->class_names[r->label[i]]);
    fputs("</b>, taken for <b>", f);
    ft_html_text(f, r->class_names[ft_argmax(p, r->metrics->k)]);
    fprintf(f, "</b></span> <span class=\"sure\">%.2f %%</span></li>\n", 100 * probability);
}

void ft_report_mistakes(FILE *f, const ft_report *r) {
    int32_t k = r->metrics->k;
    ranked top[N_MISTAKES];
    int n = 0;
    int64_t n_wrong = 0;
    for (int64_t i = 0; i < r->metrics->n; i++) {
        int32_t predicted = ft_argmax(r->prob + i * k, k);
        if (predicted == r->label[i]) continue;
        n_wrong++;
        n = keep_heaviest(top, n, N_MISTAKES, (ranked){r->prob[i * k + predicted], i});
    }
    ft_report_section(f, "mistakes", "Most confident mistakes");
    if (n == 0) {
        fputs("<p>Every example was recognised.</p>\n</section>\n", f);
        return;
    }
    fprintf(f,
            "<p class=\"note\">The %d surest of %lld wrong predictions, with the probability given to "
            "them.</p>\n",
            n, (long long)n_wrong);
    fputs("<ol class=\"mistakes\">\n", f);
    for (int i = 0; i < n; i++) mistake(f, r, top[i].at, top[i].weight);
    fputs("</ol>\n</section>\n", f);
}

static void head_row(void *ctx, const char *name, const char *label, double value, const char *reason) {
    FILE *f = ctx;
    fprintf(f, "<tr><th scope=\"row\">%s</th>", label);
    ft_report_cell(f, value, reason);
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
              "class=\"num\">Value</th><th "
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

/* report.html: the frame, the headline numbers, the training curves and what was run. */
#include "eval/report.h"

#include "eval/report_parts.h"
#include "eval/svg.h"
#include "tensor/atomic_file.h"
#include "tensor/escape.h"

#include <math.h>
#include <stdlib.h>

void ft_report_section(FILE *f, const char *id, const char *heading) {
    fprintf(f, "<section aria-labelledby=\"%s\">\n<h2 id=\"%s\">%s</h2>\n", id, id, heading);
}

static void number(FILE *f, double value) {
    if (isfinite(value))
        fprintf(f, "%.4f", value);
    else
        fputs("\xe2\x80\x93", f);
}

static void title_attribute(FILE *f, const char *reason) {
    if (!reason) return;
    fputs(" title=\"", f);
    ft_html_text(f, reason);
    fputc('"', f);
}

void ft_report_cell(FILE *f, double value, const char *reason) {
    fputs("<td", f);
    title_attribute(f, reason);
    fputc('>', f);
    number(f, value);
    fputs("</td>", f);
}

static void interval_text(FILE *f, ft_interval interval) {
    if (!isnan(interval.low)) fprintf(f, "%.4f to %.4f", interval.low, interval.high);
}

void ft_report_interval_cell(FILE *f, ft_interval interval) {
    fputs("<td class=\"interval\">", f);
    interval_text(f, interval);
    fputs("</td>", f);
}

void ft_report_tile(FILE *f, const char *label, double value, ft_interval interval, const char *reason) {
    fprintf(f, "<div><dt>%s</dt><dd", label);
    title_attribute(f, reason);
    fputc('>', f);
    number(f, value);
    if (!isnan(interval.low)) {
        fputs("<span class=\"interval\">", f);
        interval_text(f, interval);
        fputs("</span>", f);
    }
    fputs("</dd></div>\n", f);
}

static void number_row(FILE *f, const char *label, const char *name, double value, ft_interval interval,
                       const char *reason) {
    fprintf(f, "<tr><th scope=\"row\">%s</th>", label);
    ft_report_cell(f, value, reason);
    ft_report_interval_cell(f, interval);
    fprintf(f, "<td class=\"text key-name\"><code>%s</code></td></tr>\n", name);
}

static void all_numbers(FILE *f, const ft_report *r) {
    const ft_metrics *m = r->metrics;
    fputs("<details><summary>All numbers</summary>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" "
          "aria-label=\"All numbers\"><table>\n<thead><tr><th scope=\"col\">Metric</th><th scope=\"col\" "
          "class=\"num\">Value</th><th scope=\"col\" class=\"num\">95 % interval</th><th scope=\"col\" "
          "class=\"key-name\">Name in metrics.json</th></tr></thead>\n<tbody>\n",
          f);
    for (int i = 0; i < FT_N_METRICS; i++)
        if (ft_metric_applies(m, i))
            number_row(f, ft_metric_label(i), ft_metric_name(i), ft_metric_value(m, i),
                       ft_metric_interval(m, i), m->reason[i]);
    number_row(f, "Training loss on this set", "loss", r->loss, (ft_interval){NAN, NAN},
               isfinite(r->loss) ? NULL : "not computed");
    fputs("</tbody></table></div></details>\n", f);
}

void ft_report_headline(FILE *f, const ft_report *r) {
    const ft_metrics *m = r->metrics;
    static const struct {
        int metric;
        const char *label;
    } tiles[] = {{FT_METRIC_accuracy, "Accuracy"},
                 {FT_METRIC_top_5_accuracy, "Top-5 accuracy"},
                 {FT_METRIC_precision_macro, "Precision"},
                 {FT_METRIC_recall_macro, "Recall"},
                 {FT_METRIC_f1_macro, "F1"},
                 {FT_METRIC_roc_auc_ovr_macro, "ROC AUC"},
                 {FT_METRIC_log_loss, "Log loss"}};
    ft_report_section(f, "result", "Result");
    fputs("<dl class=\"tiles\">\n", f);
    for (size_t i = 0; i < sizeof tiles / sizeof *tiles; i++)
        if (ft_metric_applies(m, tiles[i].metric))
            ft_report_tile(f, tiles[i].label, ft_metric_value(m, tiles[i].metric),
                           ft_metric_interval(m, tiles[i].metric), m->reason[tiles[i].metric]);
    fprintf(f, "<div><dt>Examples</dt><dd>%lld</dd></div>\n</dl>\n", (long long)m->n);
    fputs("<p class=\"note\">Precision, recall, F1 and ROC AUC are macro averages: every class counts the "
          "same.",
          f);
    if (m->replicates)
        fprintf(f, " Below each number is its 95 %% interval, from %d draws of the examples.", m->replicates);
    fputs("</p>\n", f);
    for (int i = 0; i < FT_N_METRICS; i++) {
        if (!m->reason[i]) continue;
        fprintf(f, "<p class=\"note\">%s is undefined: ", ft_metric_label(i));
        ft_html_text(f, m->reason[i]);
        fputs(".</p>\n", f);
    }
    all_numbers(f, r);
    fputs("</section>\n", f);
}

/* Draws the columns a and b against the epoch; a column without a number is left out. */
static void curves(FILE *f, const char *title, const char *name_a, const char *name_b, const double *epoch,
                   const double *a, const double *b, int64_t n) {
    ft_series series[2] = {{.name = name_a, .x = epoch, .y = a, .n = n},
                           {.name = name_b, .x = epoch, .y = b, .n = n}};
    int kept = 0;
    char description[256];
    int used = snprintf(description, sizeof description, "%s by epoch", title);
    for (int s = 0; s < 2; s++) {
        int64_t last = n - 1;
        while (last >= 0 && !isfinite(series[s].y[last])) last--;
        if (last < 0) continue;
        used += snprintf(description + used, sizeof description - (size_t)used, "; %s ends at %.4g",
                         series[s].name, series[s].y[last]);
        series[kept++] = series[s];
    }
    if (kept == 0) return;
    ft_chart chart = {.title = title,
                      .description = description,
                      .x_label = "epoch",
                      .series = series,
                      .n_series = kept,
                      .width = 480,
                      .height = 300,
                      .x_whole = true};
    ft_svg_chart(f, &chart);
}

ft_err ft_report_training(FILE *f, const ft_report *r) {
    int64_t n = r->n_history;
    if (n == 0) return FT_OK;
    double *columns = ft_alloc((size_t)n, 5 * sizeof *columns);
    FT_REQUIRE(columns, MEMORY, "out of memory for the curves of %lld epochs", (long long)n);
    double *epoch = columns, *train = columns + n, *val = train + n, *accuracy = val + n, *f1 = accuracy + n;
    for (int64_t i = 0; i < n; i++) {
        epoch[i] = (double)r->history[i].epoch;
        train[i] = r->history[i].train_loss;
        val[i] = r->history[i].val_loss;
        accuracy[i] = r->history[i].val_accuracy;
        f1[i] = r->history[i].val_f1;
    }
    ft_report_section(f, "training", "Training");
    fputs("<div class=\"pair\">\n", f);
    curves(f, "Loss", "training", "validation", epoch, train, val, n);
    curves(f, "Validation", "accuracy", "F1 (macro)", epoch, accuracy, f1, n);
    fputs("</div>\n</section>\n", f);
    free(columns);
    return FT_OK;
}

void ft_report_fact(FILE *f, const char *name, const char *value) {
    if (!value) return;
    fprintf(f, "<div><dt>%s</dt><dd>", name);
    ft_html_text(f, value);
    fputs("</dd></div>\n", f);
}

void ft_report_run(FILE *f, const ft_report *r) {
    ft_report_section(f, "run", "What was run");
    fputs("<dl class=\"facts\">\n", f);
    ft_report_fact(f, "Model", r->model);
    ft_report_fact(f, "Facet version", r->version);
    ft_report_fact(f, "Data fingerprint", r->fingerprint);
    ft_report_fact(f, "Seed", r->seed);
    ft_report_fact(f, "Date", r->date);
    fputs("</dl>\n", f);
    if (r->config) {
        fputs("<details><summary>Configuration</summary>\n<pre class=\"scroll\" tabindex=\"0\"><code>", f);
        ft_html_text(f, r->config);
        fputs("</code></pre></details>\n", f);
    }
    fputs("</section>\n", f);
}

void ft_report_begin(FILE *f, const char *title) {
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
          "<meta name=\"color-scheme\" content=\"light dark\">\n<title>",
          f);
    ft_html_text(f, title);
    fputs("</title>\n<style>\n", f);
    fputs(ft_report_style, f);
    fputs("</style>\n</head>\n<body>\n<header>\n<h1>", f);
    ft_html_text(f, title);
    fputs("</h1>\n", f);
}

void ft_report_end(FILE *f) {
    fputs("</main>\n</body>\n</html>\n", f);
}

static void head(FILE *f, const ft_report *r) {
    ft_report_begin(f, r->title);
    fputs("<p>", f);
    if (r->model) {
        ft_html_text(f, r->model);
        fputs(" on the ", f);
    } else {
        fputs("On the ", f);
    }
    ft_html_text(f, r->split);
    fprintf(f, " split: %lld examples, %d classes</p>\n</header>\n<main>\n", (long long)r->metrics->n,
            r->metrics->k);
}

static ft_err body(FILE *f, const void *ctx) {
    const ft_report *r = ctx;
    head(f, r);
    ft_report_headline(f, r);
    FT_TRY(ft_report_training(f, r));
    FT_TRY(ft_report_classes(f, r));
    FT_TRY(ft_report_confusion(f, r));
    FT_TRY(ft_report_curves(f, r));
    ft_report_scores(f, r);
    ft_report_thresholds(f, r);
    ft_report_mistakes(f, r);
    ft_report_uncertain(f, r);
    ft_report_heads(f, r);
    ft_report_bad_images(f, r);
    ft_report_run(f, r);
    ft_report_end(f);
    return FT_OK;
}

ft_err ft_report_write(const char *path, const ft_report *r) {
    return ft_atomic_write(path, body, r);
}

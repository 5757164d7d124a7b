/* report.html: ROC curves. Each class against the rest up to 10 classes, else the mean curve with the best
 * and the worst. */
#include "eval/ranking.h"
#include "eval/report_parts.h"
#include "eval/svg.h"
#include "tensor/escape.h"

#include <math.h>
#include <stdlib.h>

enum { EACH_UP_TO = 10, GRID = 256, MAX_POINTS = 2 * GRID + 2, NAME_BYTES = 160 };

typedef struct {
    double x[MAX_POINTS], y[MAX_POINTS];
    char name[NAME_BYTES];
    int64_t n;
} curve;

static double fpr(const ft_ranking *r, int64_t i) {
    return (double)r->fp[i] / (double)r->n_neg;
}
static double tpr(const ft_ranking *r, int64_t i) {
    return (double)r->tp[i] / (double)r->n_pos;
}

/* Leaves out points nearer than 1/GRID (city-block distance) to the last one kept: less than the width of the
 * line. A curve from (0,0) to (1,1) that only rises keeps at most 2 GRID + 2 points. */
static void thin(const ft_ranking *r, curve *c) {
    c->n = 0;
    for (int64_t i = 0; i < r->n_points; i++) {
        double x = fpr(r, i), y = tpr(r, i);
        bool last = i + 1 == r->n_points;
        if (c->n > 0 && !last && x + y - c->x[c->n - 1] - c->y[c->n - 1] < 1.0 / GRID) continue;
        c->x[c->n] = x;
        c->y[c->n++] = y;
    }
}

/* Adds the curve to the sum (GRID+1) of curves at false positive rates 0, 1/GRID, ..., 1. */
static void accumulate(const ft_ranking *r, double *sum) {
    int64_t i = 0;
    for (int g = 0; g <= GRID; g++) {
        double x = (double)g / GRID;
        while (i + 1 < r->n_points && fpr(r, i + 1) <= x) i++;
        double y = tpr(r, i);
        if (i + 1 < r->n_points) y += (tpr(r, i + 1) - y) * (x - fpr(r, i)) / (fpr(r, i + 1) - fpr(r, i));
        sum[g] += y;
    }
}

static void fill(ft_ranking *ranking, const ft_report *r, int32_t c) {
    ft_ranking_fill(ranking, r->metrics->n, r->prob + c, r->metrics->k, r->label, c);
}

/* A curve for each class whose AUC is defined; of two classes only the second, the other one being its mirror
 * image. */
static int each_class(const ft_report *r, ft_ranking *ranking, curve *out) {
    int n = 0;
    for (int32_t c = r->metrics->k == 2; c < r->metrics->k; c++) {
        double auc = r->metrics->per_class[c].roc_auc;
        if (isnan(auc)) continue;
        fill(ranking, r, c);
        thin(ranking, &out[n]);
        snprintf(out[n++].name, NAME_BYTES, "%.*s (%.3f)", NAME_BYTES - 16, r->class_names[c], auc);
    }
    return n;
}

/* The mean over the classes, then the best and the worst class. */
static int mean_best_worst(const ft_report *r, ft_ranking *ranking, curve *out) {
    const ft_class_metrics *q = r->metrics->per_class;
    int32_t best = -1, worst = -1, n = 0;
    double sum[GRID + 1] = {0}, auc = 0;
    for (int32_t c = 0; c < r->metrics->k; c++) {
        if (isnan(q[c].roc_auc)) continue;
        if (best < 0 || q[c].roc_auc > q[best].roc_auc) best = c;
        if (worst < 0 || q[c].roc_auc < q[worst].roc_auc) worst = c;
        fill(ranking, r, c);
        accumulate(ranking, sum);
        auc += q[c].roc_auc;
        n++;
    }
    if (n == 0) return 0;
    out[0].n = GRID + 2;
    out[0].x[0] = out[0].y[0] = 0;
    for (int g = 0; g <= GRID; g++) {
        out[0].x[g + 1] = (double)g / GRID;
        out[0].y[g + 1] = sum[g] / n;
    }
    snprintf(out[0].name, NAME_BYTES, "mean of %d classes (%.3f)", n, auc / n);
    const int32_t ends[] = {best, worst};
    for (int i = 0; i < 2; i++) {
        fill(ranking, r, ends[i]);
        thin(ranking, &out[1 + i]);
        snprintf(out[1 + i].name, NAME_BYTES, "%s: %.*s (%.3f)", i == 0 ? "best" : "worst", NAME_BYTES - 32,
                 r->class_names[ends[i]], q[ends[i]].roc_auc);
    }
    return 3;
}

static void draw(FILE *f, const curve *curves, int n) {
    ft_series series[EACH_UP_TO];
    for (int i = 0; i < n; i++)
        series[i] = (ft_series){curves[i].name, curves[i].x, curves[i].y, curves[i].n};
    ft_chart chart = {.title = "Each class against the rest, area under the curve in brackets",
                      .description = "ROC curves: true positive rate against false positive rate",
                      .x_label = "false positive rate",
                      .y_label = "true positive rate",
                      .series = series,
                      .n_series = n,
                      .width = 440,
                      .height = 440,
                      .unit = true,
                      .diagonal = true};
    fputs("<div class=\"square\">\n", f);
    ft_svg_chart(f, &chart);
    fputs("</div>\n", f);
}

ft_err ft_report_roc(FILE *f, const ft_report *r) {
    ft_ranking ranking;
    FT_TRY(ft_ranking_init(&ranking, r->metrics->n));
    curve *curves = ft_alloc(EACH_UP_TO, sizeof *curves);
    if (!curves) {
        ft_ranking_free(&ranking);
        FT_FAIL(MEMORY, "out of memory for ROC curves");
    }
    bool each = r->metrics->k <= EACH_UP_TO;
    int n = each ? each_class(r, &ranking, curves) : mean_best_worst(r, &ranking, curves);
    ft_report_section(f, "roc", "ROC curves");
    if (n > 0)
        draw(f, curves, n);
    else
        fputs("<p>There is no curve: every example in the set is of one class.</p>\n", f);
    fputs("</section>\n", f);
    free(curves);
    ft_ranking_free(&ranking);
    return FT_OK;
}

/* report.html: ROC and precision-recall curves. Each class against the rest up to 10 classes, else the mean
 * curve with the best and the worst. */
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

/* One of the two kinds: what the axes are, and the number beside each curve. */
typedef struct {
    const char *id, *heading, *title, *description, *x_label, *y_label;
    double (*x)(const ft_ranking *r, int64_t i), (*y)(const ft_ranking *r, int64_t i);
    int metric; /* of a class */
    bool diagonal;
} kind;

static double fpr(const ft_ranking *r, int64_t i) {
    return (double)r->fp[i] / (double)r->n_neg;
}
static double tpr(const ft_ranking *r, int64_t i) {
    return (double)r->tp[i] / (double)r->n_pos;
}
static double precision(const ft_ranking *r, int64_t i) {
    if (i == 0) i = 1; /* nothing is accepted: as of the first that are */
    return (double)r->tp[i] / ((double)r->tp[i] + (double)r->fp[i]);
}

static const kind kinds[] = {
    {"roc", "ROC curves", "Each class against the rest, area under the curve in brackets",
     "ROC curves: true positive rate against false positive rate", "false positive rate",
     "true positive rate", fpr, tpr, FT_CLASS_METRIC_roc_auc, true},
    {"precision-recall", "Precision-recall curves",
     "Each class against the rest, average precision in brackets",
     "Precision-recall curves: precision against recall", "recall", "precision", tpr, precision,
     FT_CLASS_METRIC_average_precision, false},
};

static double number_of(const kind *as, const ft_report *r, int32_t c) {
    return ft_class_metric_value(&r->metrics->per_class[c], as->metric);
}

/* Leaves out points nearer than 1/GRID (city-block distance) to the last one kept: less than the width of the
 * line. A curve from (0,0) to (1,1) that only rises keeps at most 2 GRID + 2 points; of one that goes up and
 * down as well, the last place is the end's. */
static void thin(const kind *as, const ft_ranking *r, curve *c) {
    c->n = 0;
    for (int64_t i = 0; i < r->n_points; i++) {
        double x = as->x(r, i), y = as->y(r, i);
        bool last = i + 1 == r->n_points;
        if (c->n > 0 && !last && fabs(x - c->x[c->n - 1]) + fabs(y - c->y[c->n - 1]) < 1.0 / GRID) continue;
        if (c->n == MAX_POINTS - 1 && !last) continue;
        c->x[c->n] = x;
        c->y[c->n++] = y;
    }
}

/* Adds the curve to the sum (GRID+1) of curves at 0, 1/GRID, ..., 1 of the x axis. */
static void accumulate(const kind *as, const ft_ranking *r, double *sum) {
    int64_t i = 0;
    for (int g = 0; g <= GRID; g++) {
        double x = (double)g / GRID;
        while (i + 1 < r->n_points && as->x(r, i + 1) <= x) i++;
        double y = as->y(r, i);
        if (i + 1 < r->n_points)
            y += (as->y(r, i + 1) - y) * (x - as->x(r, i)) / (as->x(r, i + 1) - as->x(r, i));
        sum[g] += y;
    }
}

static void fill(ft_ranking *ranking, const ft_report *r, int32_t c) {
    ft_ranking_fill(ranking, r->metrics->n, r->prob + c, r->metrics->k, r->label, c);
}

/* A curve for each class whose number is defined; of two classes only the second, the other one being its
 * mirror image. */
static int each_class(const kind *as, const ft_report *r, ft_ranking *ranking, curve *out) {
    int n = 0;
    for (int32_t c = r->metrics->k == 2; c < r->metrics->k; c++) {
        if (isnan(number_of(as, r, c))) continue;
        fill(ranking, r, c);
        thin(as, ranking, &out[n]);
        snprintf(out[n++].name, NAME_BYTES, "%.*s (%.3f)", NAME_BYTES - 16, r->class_names[c],
                 number_of(as, r, c));
    }
    return n;
}

/* The mean over the classes, then the best and the worst class. */
static int mean_best_worst(const kind *as, const ft_report *r, ft_ranking *ranking, curve *out) {
    int32_t best = -1, worst = -1, n = 0;
    double sum[GRID + 1] = {0}, total = 0;
    for (int32_t c = 0; c < r->metrics->k; c++) {
        if (isnan(number_of(as, r, c))) continue;
        if (best < 0 || number_of(as, r, c) > number_of(as, r, best)) best = c;
        if (worst < 0 || number_of(as, r, c) < number_of(as, r, worst)) worst = c;
        fill(ranking, r, c);
        accumulate(as, ranking, sum);
        total += number_of(as, r, c);
        n++;
    }
    if (n == 0) return 0;
    out[0].n = GRID + 2;
    out[0].x[0] = out[0].y[0] = 0;
    if (!as->diagonal) out[0].y[0] = sum[0] / n;
    for (int g = 0; g <= GRID; g++) {
        out[0].x[g + 1] = (double)g / GRID;
        out[0].y[g + 1] = sum[g] / n;
    }
    snprintf(out[0].name, NAME_BYTES, "mean of %d classes (%.3f)", n, total / n);
    const int32_t ends[] = {best, worst};
    for (int i = 0; i < 2; i++) {
        fill(ranking, r, ends[i]);
        thin(as, ranking, &out[1 + i]);
        snprintf(out[1 + i].name, NAME_BYTES, "%s: %.*s (%.3f)", i == 0 ? "best" : "worst", NAME_BYTES - 32,
                 r->class_names[ends[i]], number_of(as, r, ends[i]));
    }
    return 3;
}

static void draw(FILE *f, const kind *as, const curve *curves, int n) {
    ft_series series[EACH_UP_TO];
    for (int i = 0; i < n; i++)
        series[i] = (ft_series){.name = curves[i].name, .x = curves[i].x, .y = curves[i].y, .n = curves[i].n};
    ft_chart chart = {.title = as->title,
                      .description = as->description,
                      .x_label = as->x_label,
                      .y_label = as->y_label,
                      .series = series,
                      .n_series = n,
                      .width = 440,
                      .height = 440,
                      .unit = true,
                      .diagonal = as->diagonal};
    fputs("<div class=\"square\">\n", f);
    ft_svg_chart(f, &chart);
    fputs("</div>\n", f);
}

static void section(FILE *f, const kind *as, const ft_report *r, ft_ranking *ranking, curve *curves) {
    bool each = r->metrics->k <= EACH_UP_TO;
    int n = each ? each_class(as, r, ranking, curves) : mean_best_worst(as, r, ranking, curves);
    ft_report_section(f, as->id, as->heading);
    if (n > 0)
        draw(f, as, curves, n);
    else
        fputs("<p>There is no curve: every example in the set is of one class.</p>\n", f);
    fputs("</section>\n", f);
}

ft_err ft_report_curves(FILE *f, const ft_report *r) {
    ft_ranking ranking;
    FT_TRY(ft_ranking_init(&ranking, r->metrics->n));
    curve *curves = ft_alloc(EACH_UP_TO, sizeof *curves);
    if (!curves) {
        ft_ranking_free(&ranking);
        FT_FAIL(MEMORY, "out of memory for curves");
    }
    for (int i = 0; i < 2; i++) section(f, &kinds[i], r, &ranking, curves);
    free(curves);
    ft_ranking_free(&ranking);
    return FT_OK;
}

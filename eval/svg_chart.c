/* Line charts. The y label stands above its axis, where it needs no rotation and no width. */
#include "eval/svg.h"
#include "tensor/escape.h"

#include <math.h>

enum { LEFT = 50, RIGHT = 16, TOP = 30, BARE_TOP = 12, BOTTOM = 46, N_COLOURS = 10, MAX_DOTS = 25 };

typedef struct {
    double lo, hi, step; /* in data */
    double from, to;     /* in units of the drawing */
} axis;

static double place(const axis *a, double v) {
    return a->from + (v - a->lo) / (a->hi - a->lo) * (a->to - a->from);
}

double ft_nice_step(double lo, double hi, int n, bool whole) {
    double raw = (hi - lo) / n, ten = pow(10, floor(log10(raw))), m = raw / ten;
    double step = ten * (m < 1.5 ? 1 : m < 3.5 ? 2 : m < 7.5 ? 5 : 10);
    return whole && step < 1 ? 1 : step;
}

static void data_range(const ft_chart *c, bool of_x, double *lo, double *hi) {
    *lo = INFINITY;
    *hi = -INFINITY;
    for (int s = 0; s < c->n_series; s++)
        for (int64_t i = 0; i < c->series[s].n; i++) {
            double x = c->series[s].x[i], y = c->series[s].y[i], v = of_x ? x : y;
            if (!isfinite(x) || !isfinite(y)) continue;
            *lo = fmin(*lo, v);
            *hi = fmax(*hi, v);
        }
    if (*lo > *hi) {
        *lo = 0;
        *hi = 1;
    }
    double size = fmax(fabs(*lo), fabs(*hi));
    if (!(*hi - *lo > 1e-9 * size)) { /* ticks nearer than that have no distinct labels */
        double pad = size == 0 || of_x ? 1 : 0.1 * size;
        *lo -= pad;
        *hi += pad;
    }
}

static void choose_axes(const ft_chart *c, axis *x, axis *y) {
    *x = (axis){.lo = 0, .hi = 1, .from = LEFT, .to = c->width - RIGHT};
    *y = (axis){.lo = 0, .hi = 1, .from = c->height - BOTTOM, .to = c->y_label ? TOP : BARE_TOP};
    if (!c->unit) {
        data_range(c, true, &x->lo, &x->hi);
        data_range(c, false, &y->lo, &y->hi);
    }
    x->step = ft_nice_step(x->lo, x->hi, 6, c->x_whole);
    y->step = ft_nice_step(y->lo, y->hi, 5, false);
    y->lo = floor(y->lo / y->step + 1e-9) * y->step;
    y->hi = ceil(y->hi / y->step - 1e-9) * y->step;
}

static void tick_text(FILE *f, double v, double step) {
    v = round(v / step) * step + 0.0;
    int decimals = (int)fmax(0, -floor(log10(step) + 1e-9));
    if (fabs(v) >= 1e5 || decimals > 4)
        fprintf(f, "%.3g", v);
    else
        fprintf(f, "%.*f", decimals, v);
}

static void grid(FILE *f, const ft_chart *c, const axis *x, const axis *y) {
    for (double i = ceil(y->lo / y->step - 1e-9); i * y->step <= y->hi + 1e-9 * y->step; i++) {
        double at = place(y, i * y->step);
        fprintf(f,
                "<path class=\"grid\" d=\"M%d %.1fH%d\"/><text class=\"tick\" text-anchor=\"end\" x=\"%d\" "
                "y=\"%.1f\">",
                LEFT, at, c->width - RIGHT, LEFT - 8, at + 4);
        tick_text(f, i * y->step, y->step);
        fputs("</text>\n", f);
    }
    for (double i = ceil(x->lo / x->step - 1e-9); i * x->step <= x->hi + 1e-9 * x->step; i++) {
        double at = place(x, i * x->step);
        fprintf(f,
                "<path class=\"axis\" d=\"M%.1f %dv4\"/><text class=\"tick\" text-anchor=\"middle\" "
                "x=\"%.1f\" y=\"%d\">",
                at, c->height - BOTTOM, at, c->height - BOTTOM + 18);
        tick_text(f, i * x->step, x->step);
        fputs("</text>\n", f);
    }
    fprintf(f, "<path class=\"axis\" d=\"M%d %dH%d\"/>\n", LEFT, c->height - BOTTOM, c->width - RIGHT);
    if (c->diagonal)
        fprintf(f, "<path class=\"diag\" d=\"M%d %dL%d %d\"/>\n", LEFT, c->height - BOTTOM, c->width - RIGHT,
                (int)y->to);
    fprintf(f, "<text class=\"tick\" text-anchor=\"middle\" x=\"%d\" y=\"%d\">",
            (LEFT + c->width - RIGHT) / 2, c->height - 6);
    ft_html_text(f, c->x_label);
    fputs("</text>\n", f);
    if (!c->y_label) return;
    fputs("<text class=\"tick\" x=\"2\" y=\"14\">", f);
    ft_html_text(f, c->y_label);
    fputs("</text>\n", f);
}

static void area(FILE *f, const ft_series *s, int colour, const axis *x, const axis *y) {
    double floor = place(y, fmax(0, y->lo));
    fprintf(f, "<path class=\"area s%d\" d=\"M%.1f %.1f", colour, place(x, s->x[0]), floor);
    for (int64_t i = 0; i < s->n; i++) fprintf(f, "L%.1f %.1f", place(x, s->x[i]), place(y, s->y[i]));
    fprintf(f, "L%.1f %.1fz\"/>\n", place(x, s->x[s->n - 1]), floor);
}

void ft_svg_outline(double lo, double hi, const double *count, int n, double *x, double *y) {
    for (int i = 0; i <= n; i++) {
        x[2 * i] = x[2 * i + 1] = lo + (hi - lo) * i / n;
        y[2 * i] = i > 0 ? count[i - 1] : 0;
        y[2 * i + 1] = i < n ? count[i] : 0;
    }
}

static void line(FILE *f, const ft_series *s, int colour, bool dots, const axis *x, const axis *y) {
    bool pen_down = false;
    if (s->filled && s->n > 0) area(f, s, colour, x, y);
    fprintf(f, "<path class=\"line s%d\" d=\"", colour);
    for (int64_t i = 0; i < s->n; i++) {
        bool finite = isfinite(s->x[i]) && isfinite(s->y[i]);
        if (finite) {
            fprintf(f, "%c%.1f %.1f", pen_down ? 'L' : 'M', place(x, s->x[i]), place(y, s->y[i]));
            if (!pen_down) fputs("h0", f); /* a lone point shows as a dot */
        }
        pen_down = finite;
    }
    fputs("\"><title>", f);
    ft_html_text(f, s->name);
    fputs("</title></path>\n", f);
    for (int64_t i = 0; dots && i < s->n; i++)
        if (isfinite(s->x[i]) && isfinite(s->y[i]))
            fprintf(f, "<circle class=\"dot s%d\" cx=\"%.1f\" cy=\"%.1f\" r=\"2.5\"/>\n", colour,
                    place(x, s->x[i]), place(y, s->y[i]));
}

void ft_svg_chart(FILE *f, const ft_chart *c) {
    axis x, y;
    choose_axes(c, &x, &y);
    fputs("<figure class=\"chart\"><figcaption>", f);
    ft_html_text(f, c->title);
    fprintf(f, "</figcaption>\n<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"", c->width, c->height);
    ft_html_text(f, c->description);
    fputs("\">\n", f);
    grid(f, c, &x, &y);
    for (int s = 0; s < c->n_series; s++)
        line(f, &c->series[s], s % N_COLOURS, c->dots || (c->x_whole && c->series[s].n <= MAX_DOTS), &x, &y);
    fputs("</svg>\n<ul class=\"legend\">", f);
    for (int s = 0; s < c->n_series; s++) {
        fprintf(f,
                "<li><svg class=\"key\" viewBox=\"0 0 24 8\" aria-hidden=\"true\"><path class=\"line s%d\" "
                "d=\"M2 4H22\"/>"
                "</svg>",
                s % N_COLOURS);
        ft_html_text(f, c->series[s].name);
        fputs("</li>\n", f);
    }
    fputs("</ul></figure>\n", f);
}

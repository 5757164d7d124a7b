/* Plots as inline SVG in an HTML figure: line charts and confusion heat maps.
 *
 * Colours and font sizes come from the page's style sheet (report_style.c), so that one drawing serves light
 * and dark, wide and narrow. Classes used: grid, axis, tick, diag, s0..s9 (series), d and e (right and wrong
 * cells of a heat map), c0..c10 (a number on a cell of that strength). Text is escaped here. Errors of the
 * stream are left to its ferror().
 */
#ifndef FACET_EVAL_SVG_H
#define FACET_EVAL_SVG_H

#include "tensor/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct ft_series {
    const char *name;
    const double *x, *y; /* (n); a point that is not finite is a gap */
    int64_t n;
    bool filled; /* the area down to 0 is, lightly */
} ft_series;

typedef struct ft_chart {
    const char *title;
    const char *description;       /* what the picture shows, for those who do not see it */
    const char *x_label, *y_label; /* y_label may be NULL where the title says it */
    const ft_series *series;
    int n_series;
    int width, height; /* in units of the drawing, which scales with the page */
    bool unit;         /* both axes are 0 to 1; else from the data */
    bool x_whole;      /* ticks of x at whole numbers only (epochs) */
    bool dots;         /* the points are marked; of epochs they are when they are few */
    bool diagonal;     /* a dashed line from the lower left to the upper right corner */
} ft_chart;

/* Writes the chart with its legend. */
void ft_svg_chart(FILE *f, const ft_chart *chart);

/* The outline of bars of heights count (n) over lo..hi in n equal steps, to x and y (2 n + 2) of a filled
 * series. */
void ft_svg_outline(double lo, double hi, const double *count, int n, double *x, double *y);

/* Ticks of 1, 2 or 5 times a power of ten: the step that cuts lo..hi into about n parts (at least 1 when
 * whole). */
double ft_nice_step(double lo, double hi, int n, bool whole);

enum { FT_HEAT_NUMBERS = 20, FT_HEAT_CELLS = 100 };
/* Writes a confusion matrix count (k, k), rows truth, columns prediction, strength the share of the row. With
 * numbers and names (k) up to FT_HEAT_NUMBERS classes, else colour only; beyond FT_HEAT_CELLS classes
 * neighbours share a cell. FT_E_MEMORY: nothing was written. */
ft_err ft_svg_confusion(FILE *f, const char *title, const char *description, int32_t k, const int32_t *count,
                        const char *const *names);

#endif

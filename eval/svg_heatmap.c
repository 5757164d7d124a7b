/* Confusion heat maps. Right answers (the diagonal) have one hue and mistakes another, both stronger with
 * their share of the row; cells of one strength are one path, so that a hundred classes stay a small file. */
#include "eval/svg.h"
#include "tensor/escape.h"

#include <math.h>
#include <stdlib.h>

enum {
    LEVELS = 10,
    NAME_CUT = 14,
    TITLE_SPACE = 22,
    TITLE_WIDTH = 56,
    MIN_WIDTH = 400,
    MAP_SIZE = 560,
    MARGIN = 14
};

typedef struct {
    int32_t n;       /* cells in a row */
    int64_t *count;  /* (n, n) */
    int64_t *in_row; /* (n) */
    double cell, left, top, bottom;
} heat;

/* 0 for an empty cell, then 1 to LEVELS. */
static int level(const heat *h, int32_t r, int32_t c) {
    int64_t count = h->count[(int64_t)r * h->n + c];
    if (count == 0) return 0;
    double share = (double)count / (double)h->in_row[r];
    return (int)ceil(LEVELS *
                     (r == c ? share : sqrt(share))); /* the root tells mistakes of 1 % and 5 % apart */
}

static double opacity(int at) {
    return 0.1 + 0.9 * (at - 1) / (LEVELS - 1);
}

static void cells(FILE *f, const heat *h) {
    double gap = h->cell >= 20 ? 1 : 0, size = h->cell - gap;
    for (int wrong = 0; wrong < 2; wrong++)
        for (int at = 1; at <= LEVELS; at++) {
            bool open = false;
            for (int32_t r = 0; r < h->n; r++)
                for (int32_t c = 0; c < h->n; c++) {
                    if ((r != c) != wrong || level(h, r, c) != at) continue;
                    if (!open)
                        fprintf(f, "<path class=\"%c\" fill-opacity=\"%.2f\" d=\"", wrong ? 'e' : 'd',
                                opacity(at));
                    open = true;
                    fprintf(f, "M%.4g %.4gh%.3gv%.3gh-%.3gz", h->left + c * h->cell, h->top + r * h->cell,
                            size, size, size);
                }
            if (open) fputs("\"/>\n", f);
        }
}

static void numbers_and_names(FILE *f, const heat *h, const char *const *names) {
    for (int32_t r = 0; r < h->n; r++) {
        double y = h->top + (r + 0.5) * h->cell + 4;
        fprintf(f, "<text class=\"name\" text-anchor=\"end\" x=\"%.1f\" y=\"%.1f\">", h->left - 8, y);
        ft_html_text_cut(f, names[r], NAME_CUT);
        fputs("<title>", f);
        ft_html_text(f, names[r]);
        fputs("</title></text>\n", f);
        for (int32_t c = 0; c < h->n; c++)
            fprintf(f, "<text class=\"c%d\" text-anchor=\"middle\" x=\"%.1f\" y=\"%.1f\">%lld</text>\n",
                    level(h, r, c), h->left + (c + 0.5) * h->cell, y,
                    (long long)h->count[(int64_t)r * h->n + c]);
    }
    double y = h->top + h->n * h->cell + 14;
    for (int32_t c = 0; c < h->n; c++) {
        double x = h->left + (c + 0.5) * h->cell + 4;
        fprintf(f, "<text class=\"name\" text-anchor=\"end\" transform=\"translate(%.1f %.1f) rotate(-45)\">",
                x, y);
        ft_html_text_cut(f, names[c], NAME_CUT);
        fputs("<title>", f);
        ft_html_text(f, names[c]);
        fputs("</title></text>\n", f);
    }
}

/* Adds up blocks of neighbouring classes until FT_HEAT_CELLS cells suffice. */
static ft_err gather(heat *h, int32_t k, const int32_t *count) {
    int32_t block = (k + FT_HEAT_CELLS - 1) / FT_HEAT_CELLS;
    h->n = (k + block - 1) / block;
    h->count = ft_alloc((size_t)h->n * (size_t)(h->n + 1), sizeof *h->count);
    FT_REQUIRE(h->count, MEMORY, "out of memory for a heat map of %d classes", k);
    h->in_row = h->count + (int64_t)h->n * h->n;
    for (int32_t r = 0; r < k; r++)
        for (int32_t c = 0; c < k; c++) {
            int32_t x = count[(int64_t)r * k + c];
            h->count[(int64_t)(r / block) * h->n + c / block] += x;
            h->in_row[r / block] += x;
        }
    return FT_OK;
}

/* Space for the longest name as it is drawn; the font's mean character is about 7.6 units wide. */
static double name_space(int32_t n, const char *const *names) {
    int longest = 0;
    for (int32_t c = 0; c < n; c++) {
        int length = ft_utf8_length(names[c]);
        if (length > longest) longest = length;
    }
    return 7.6 * (longest < NAME_CUT ? longest : NAME_CUT) + 16;
}

static void choose_cells(heat *h, const char *const *names, bool numbers) {
    h->top = TITLE_SPACE;
    if (!numbers) {
        h->cell = (double)MAP_SIZE / h->n;
        h->left = MARGIN;
        h->bottom = MARGIN;
        return;
    }
    int64_t largest = 1;
    for (int64_t i = 0; i < (int64_t)h->n * h->n; i++)
        if (h->count[i] > largest) largest = h->count[i];
    double digits = floor(log10((double)largest)) + 1, space = name_space(h->n, names);
    h->cell = fmax(h->n > 12 ? 34 : h->n > 5 ? 42 : 60, 8 * digits + 10);
    h->left = fmax(space, TITLE_WIDTH);
    h->bottom = 0.75 * space + MARGIN;
}

static void titles(FILE *f, const heat *h, bool numbers, double side) {
    fprintf(f,
            "<text class=\"tick\" text-anchor=\"%s\" x=\"%.1f\" y=\"15\">truth \xe2\x86\x93</text>"
            "<text class=\"tick\" text-anchor=\"end\" x=\"%.1f\" y=\"15\">prediction \xe2\x86\x92</text>\n",
            numbers ? "end" : "start", numbers ? h->left - 8 : h->left, h->left + side);
}

ft_err ft_svg_confusion(FILE *f, const char *title, const char *description, int32_t k, const int32_t *count,
                        const char *const *names) {
    heat h = {0};
    bool numbers = k <= FT_HEAT_NUMBERS;
    FT_TRY(gather(&h, k, count));
    choose_cells(&h, names, numbers);
    double side = h.n * h.cell, width = h.left + side + MARGIN, height = h.top + side + h.bottom;
    double figure = fmax(width, MIN_WIDTH);
    fprintf(f, "<figure class=\"heat%s\" style=\"flex:1 1 %.0fpx;max-width:%.0fpx\"><figcaption>",
            numbers ? "" : " plain", figure, figure);
    ft_html_text(f, title);
    fprintf(
        f,
        "</figcaption>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Confusion matrix\">"
        "<svg viewBox=\"0 0 %.0f %.0f\" style=\"max-width:%.0fpx;min-width:%.0fpx\" role=\"img\" "
        "aria-label=\"",
        width, height, width, numbers ? 0.8 * width : 280);
    ft_html_text(f, description);
    fprintf(f, "\">\n<rect class=\"plate\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n", h.left,
            h.top, side, side);
    cells(f, &h);
    if (numbers) numbers_and_names(f, &h, names);
    titles(f, &h, numbers, side);
    fputs("</svg></div>\n<ul class=\"legend\"><li><span class=\"ramp d\"></span>right, stronger with its "
          "share of the row</li>"
          "<li><span class=\"ramp e\"></span>wrong</li></ul></figure>\n",
          f);
    free(h.count);
    return FT_OK;
}

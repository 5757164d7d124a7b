/* report.html: how sure the model is, and whether rightly. */
#include "eval/report_parts.h"
#include "eval/svg.h"
#include "tensor/escape.h"

#include <math.h>

enum { BINS = 20, NAME_BYTES = 160 };

static void calibration(FILE *f, const ft_report *r) {
    double confidence[FT_CALIBRATION_BINS], right[FT_CALIBRATION_BINS];
    int n = 0;
    for (int b = 0; b < FT_CALIBRATION_BINS; b++) {
        const ft_calibration_bin *bin = &r->metrics->calibration[b];
        if (bin->n == 0) continue;
        confidence[n] = bin->confidence / bin->n;
        right[n++] = bin->right / bin->n;
    }
    ft_series series = {.name = "share of right predictions", .x = confidence, .y = right, .n = n};
    char description[128];
    snprintf(description, sizeof description,
             "Share of right predictions against the probability given to them; calibration error %.4f",
             r->metrics->calibration_error);
    ft_svg_chart(f, &(ft_chart){.title = "Calibration",
                                .description = description,
                                .x_label = "probability of the prediction",
                                .y_label = "share that is right",
                                .series = &series,
                                .n_series = 1,
                                .width = 480,
                                .height = 360,
                                .unit = true,
                                .dots = true,
                                .diagonal = true});
}

static int bin_of(double p) {
    int b = (int)(p * BINS);
    return b < 0 ? 0 : b >= BINS ? BINS - 1 : b;
}

/* Of two classes the probability of the second by truth; else that of the prediction, by whether it is right.
 */
static void histogram(FILE *f, const ft_report *r) {
    int32_t k = r->metrics->k;
    double count[2][BINS] = {{0}}, x[2][2 * BINS + 2], y[2][2 * BINS + 2];
    char names[2][NAME_BYTES] = {"wrong", "right"}, label[NAME_BYTES] = "probability of the prediction";
    if (k == 2) {
        for (int c = 0; c < 2; c++) snprintf(names[c], NAME_BYTES, "%.*s", NAME_BYTES - 1, r->class_names[c]);
        snprintf(label, sizeof label, "probability of %.*s", NAME_BYTES - 32, r->class_names[1]);
    }
    for (int64_t i = 0; i < r->metrics->n; i++) {
        const float *p = r->prob + i * k;
        int32_t predicted = ft_argmax(p, k);
        if (k == 2)
            count[r->label[i]][bin_of(p[1])]++;
        else
            count[predicted == r->label[i]][bin_of(p[predicted])]++;
    }
    ft_series series[2];
    for (int s = 0; s < 2; s++) {
        int from = k == 2 ? s : 1 - s; /* the right ones in the first colour */
        ft_svg_outline(0, 1, count[from], BINS, x[s], y[s]);
        series[s] = (ft_series){.name = names[from], .x = x[s], .y = y[s], .n = 2 * BINS + 2, .filled = true};
    }
    ft_svg_chart(f, &(ft_chart){.title = "Scores",
                                .description = "How many examples have which probability",
                                .x_label = label,
                                .y_label = "examples",
                                .series = series,
                                .n_series = 2,
                                .width = 480,
                                .height = 360});
}

void ft_report_scores(FILE *f, const ft_report *r) {
    ft_report_section(f, "scores", "Certainty");
    fprintf(f,
            "<p class=\"note\">On the dashed line a prediction that is 70 %% sure is right 7 times of 10; "
            "the calibration "
            "error, the mean distance from it, is %.4f.</p>\n",
            r->metrics->calibration_error);
    fputs("<div class=\"pair\">\n", f);
    calibration(f, r);
    histogram(f, r);
    fputs("</div>\n</section>\n", f);
}

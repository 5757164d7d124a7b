#include "eval/verification_report.h"

#include "eval/heaviest.h"
#include "eval/ranking.h"
#include "eval/report_parts.h"
#include "eval/svg.h"
#include "tensor/atomic_file.h"
#include "tensor/escape.h"

#include <math.h>
#include <stdlib.h>

enum { BINS = 40, GRID = 400 };

static void headline(FILE *f, const ft_verification *v) {
    ft_report_section(f, "result", "Result");
    fputs("<dl class=\"tiles\">\n", f);
    ft_interval none = {NAN, NAN},
                error = {v->accuracy - 1.96 * v->accuracy_error, v->accuracy + 1.96 * v->accuracy_error};
    ft_report_tile(f, "Accuracy", v->accuracy, v->accuracy_reason ? none : error, v->accuracy_reason);
    ft_report_tile(f, "ROC AUC", v->roc_auc, v->roc_auc_interval, v->reason);
    ft_report_tile(f, "Equal error rate", v->eer, v->eer_interval, v->reason);
    for (int k = 0; k < FT_N_FARS; k++) {
        char label[64];
        snprintf(label, sizeof label, "TAR at FAR %g", ft_fars[k]);
        ft_report_tile(f, label, v->tar[k], v->tar_interval[k], v->tar_reason[k]);
    }
    fprintf(f, "<div><dt>Pairs</dt><dd>%lld</dd></div>\n</dl>\n<p class=\"note\">", (long long)v->n);
    if (v->accuracy_reason) {
        fputs("Accuracy is undefined: ", f);
        ft_html_text(f, v->accuracy_reason);
    } else {
        fprintf(f,
                "Accuracy is the mean over %d folds, each at the threshold that is best on all others; below "
                "it, 1.96 "
                "standard errors around it",
                v->n_folds);
    }
    fputs(". TAR: share of the pairs of one person that are accepted where at most that share (FAR) of those "
          "of two "
          "is.</p>\n</section>\n",
          f);
}

static ft_err roc(FILE *f, const ft_verification_report *r) {
    ft_ranking ranking;
    FT_TRY(ft_ranking_init(&ranking, r->result->n));
    ft_ranking_fill(&ranking, r->result->n, r->score, 1, r->same, 1);
    double x[2][GRID + 1], y[2][GRID + 1], least = fmax(1e-4, 1 / (double)ranking.n_neg);
    int64_t at[2] = {0, 0};
    for (int g = 0; g <= GRID; g++) {
        double share = (double)g / GRID, far[] = {share, pow(10, log10(least) * (1 - share))};
        for (int s = 0; s < 2; s++) {
            while (at[s] + 1 < ranking.n_points &&
                   ranking.fp[at[s] + 1] <= far[s] * (double)ranking.n_neg + 1e-9)
                at[s]++;
            x[s][g] = s ? log10(far[s]) : far[s];
            y[s][g] = (double)ranking.tp[at[s]] / (double)ranking.n_pos;
        }
    }
    ft_report_section(f, "roc", "ROC curve");
    fputs("<div class=\"pair\">\n", f);
    for (int s = 0; s < 2; s++) {
        ft_series series = {.name = "share of pairs of one person accepted",
                            .x = x[s],
                            .y = y[s],
                            .n = GRID + 1};
        ft_svg_chart(f, &(ft_chart){.title = s ? "At low rates of false accepts" : "All rates",
                                    .description = "True accept rate against false accept rate",
                                    .x_label = s ? "false accept rate, power of 10" : "false accept rate",
                                    .y_label = "true accept rate",
                                    .series = &series,
                                    .n_series = 1,
                                    .width = 480,
                                    .height = 380,
                                    .unit = !s,
                                    .diagonal = !s});
    }
    fputs("</div>\n</section>\n", f);
    ft_ranking_free(&ranking);
    return FT_OK;
}

static void histogram(FILE *f, const ft_verification_report *r) {
    double count[2][BINS] = {{0}}, x[2][2 * BINS + 2], y[2][2 * BINS + 2];
    float least = INFINITY, most = -INFINITY;
    static const char *const names[] = {"two persons", "one person"};
    for (int64_t i = 0; i < r->result->n; i++) {
        least = fminf(least, r->score[i]);
        most = fmaxf(most, r->score[i]);
    }
    double lo = (double)least, hi = most > least ? (double)most : lo + 1;
    for (int64_t i = 0; i < r->result->n; i++) {
        int b = (int)(((double)r->score[i] - lo) / (hi - lo) * BINS);
        count[r->same[i] == 1][b >= BINS ? BINS - 1 : b]++;
    }
    ft_series series[2];
    for (int s = 0; s < 2; s++) {
        ft_svg_outline(lo, hi, count[1 - s], BINS, x[s], y[s]);
        series[s] =
            (ft_series){.name = names[1 - s], .x = x[s], .y = y[s], .n = 2 * BINS + 2, .filled = true};
    }
    ft_report_section(f, "scores", "Scores");
    fputs("<div class=\"pair\">\n", f);
    ft_svg_chart(f, &(ft_chart){.title = "How alike the pictures of a pair are",
                                .description = "How many pairs have which score",
                                .x_label = "score, higher is more alike",
                                .y_label = "pairs",
                                .series = series,
                                .n_series = 2,
                                .width = 480,
                                .height = 340});
}

static void folds(FILE *f, const ft_verification *v) {
    if (v->n_folds >= 2) {
        fputs("<div class=\"scroll\" tabindex=\"0\" role=\"region\" "
              "aria-label=\"Folds\"><table>\n<caption>Folds</caption>\n"
              "<thead><tr><th scope=\"col\">Fold</th><th scope=\"col\" class=\"num\">Accuracy</th><th "
              "scope=\"col\" "
              "class=\"num\">Threshold</th></tr></thead>\n<tbody>\n",
              f);
        for (int32_t k = 0; k < v->n_folds; k++) {
            fprintf(f, "<tr><th scope=\"row\">%d</th>", k + 1);
            ft_report_cell(f, v->fold_accuracy[k], v->accuracy_reason);
            ft_report_cell(f, v->fold_threshold[k], v->accuracy_reason);
            fputs("</tr>\n", f);
        }
        fputs("</tbody></table></div>\n", f);
    }
    fputs("</div>\n</section>\n", f);
}

void ft_verification_worst(int64_t n, const float *score, const int32_t *same,
                           int64_t pair[2 * FT_WORST_PAIRS], int32_t *n_same, int32_t *n_different) {
    ft_ranked top[2][FT_WORST_PAIRS];
    int kept[2] = {0, 0};
    for (int64_t i = 0; i < n; i++) {
        int is = same[i] == 1;
        double weight = is ? -(double)score[i] : (double)score[i];
        kept[is] = ft_keep_heaviest(top[is], kept[is], FT_WORST_PAIRS, (ft_ranked){weight, i});
    }
    for (int i = 0; i < kept[1]; i++) pair[i] = top[1][i].at;
    for (int i = 0; i < kept[0]; i++) pair[kept[1] + i] = top[0][i].at;
    *n_same = kept[1];
    *n_different = kept[0];
}

static void side(FILE *f, const ft_verification_report *r, int32_t file) {
    const ft_report_picture *p = ft_report_picture_of(r->n_pictures, r->pictures, file);
    if (p) ft_report_shot(f, p->image, p->image_bytes, "one picture of the pair");
}

static void worst(FILE *f, const ft_verification_report *r, const char *id, const char *heading,
                  const int64_t *pair, int32_t n) {
    if (n == 0) return;
    ft_report_section(f, id, heading);
    fputs("<ol class=\"pictures\">\n", f);
    for (int32_t i = 0; i < n; i++) {
        int32_t a = r->a[pair[i]], b = r->b[pair[i]];
        fputs("<li><div class=\"shots\">", f);
        side(f, r, a);
        side(f, r, b);
        fputs("</div><span class=\"path\">", f);
        ft_html_text(f, r->files[a]);
        fputs("</span> <span class=\"path\">", f);
        ft_html_text(f, r->files[b]);
        fprintf(f, "</span> <span class=\"sure\">score %.4f</span></li>\n", (double)r->score[pair[i]]);
    }
    fputs("</ol>\n</section>\n", f);
}

static ft_err body(FILE *f, const void *ctx) {
    const ft_verification_report *r = ctx;
    int64_t pair[2 * FT_WORST_PAIRS];
    int32_t n_same, n_different;
    ft_report_begin(f, r->title);
    fprintf(f, "<p>Verification of %lld pairs, %lld of one person</p>\n</header>\n<main>\n",
            (long long)r->result->n, (long long)r->result->n_same);
    headline(f, r->result);
    if (!r->result->reason) FT_TRY(roc(f, r));
    histogram(f, r);
    folds(f, r->result);
    ft_verification_worst(r->result->n, r->score, r->same, pair, &n_same, &n_different);
    worst(f, r, "apart", "One person, least alike", pair, n_same);
    worst(f, r, "alike", "Two persons, most alike", pair + n_same, n_different);
    const char *const facts[][2] = {{"Model", r->model},
                                    {"Embedding", r->layer},
                                    {"Score", r->distance},
                                    {"Facet version", r->version},
                                    {"Date", r->date}};
    ft_report_section(f, "run", "What was run");
    fputs("<dl class=\"facts\">\n", f);
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) ft_report_fact(f, facts[i][0], facts[i][1]);
    fputs("</dl>\n</section>\n", f);
    ft_report_end(f);
    return FT_OK;
}

ft_err ft_verification_report_write(const char *path, const ft_verification_report *r) {
    return ft_atomic_write(path, body, r);
}

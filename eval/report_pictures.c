/* report.html: the most confident mistakes and the least certain examples, with their pictures. */
#include "eval/heaviest.h"
#include "eval/report_parts.h"
#include "tensor/escape.h"

#include <stdlib.h>

/* The wrong ones of greatest probability. */
static int mistakes(const ft_metrics *m, const float *prob, const int32_t *label, ft_ranked *top) {
    int n = 0;
    for (int64_t i = 0; i < m->n; i++) {
        int32_t predicted = ft_argmax(prob + i * m->k, m->k);
        if (predicted != label[i])
            n = ft_keep_heaviest(top, n, FT_REPORT_MISTAKES,
                                 (ft_ranked){(double)prob[i * m->k + predicted], i});
    }
    return n;
}

/* Those with the least between the two greatest probabilities. */
static int uncertain(const ft_metrics *m, const float *prob, ft_ranked *top) {
    int n = 0;
    for (int64_t i = 0; i < m->n; i++) {
        const float *p = prob + i * m->k;
        int32_t first = ft_argmax(p, m->k), second = first == 0 ? 1 : 0;
        for (int32_t c = 0; c < m->k; c++)
            if (c != first && p[c] > p[second]) second = c;
        n = ft_keep_heaviest(top, n, FT_REPORT_UNCERTAIN,
                             (ft_ranked){(double)p[second] - (double)p[first], i});
    }
    return n;
}

static int by_row(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

int32_t ft_report_rows(const ft_metrics *m, const float *prob, const int32_t *label,
                       int64_t rows[FT_REPORT_ROWS]) {
    ft_ranked top[FT_REPORT_ROWS];
    int n = mistakes(m, prob, label, top), kept = 0;
    n += uncertain(m, prob, top + n);
    for (int i = 0; i < n; i++) rows[i] = top[i].at;
    qsort(rows, (size_t)n, sizeof *rows, by_row);
    for (int i = 0; i < n; i++)
        if (kept == 0 || rows[kept - 1] != rows[i]) rows[kept++] = rows[i];
    return kept;
}

const ft_report_picture *ft_report_picture_of(int32_t n, const ft_report_picture *pictures, int64_t row) {
    for (int32_t i = 0; i < n; i++)
        if (pictures[i].row == row) return &pictures[i];
    return NULL;
}

void ft_report_shot(FILE *f, const unsigned char *jpeg, size_t bytes, const char *what) {
    if (!jpeg) return;
    fprintf(f, "<img alt=\"%s\" src=\"data:image/jpeg;base64,", what);
    ft_base64(f, jpeg, bytes);
    fputs("\">", f);
}

static void example(FILE *f, const ft_report *r, int64_t i) {
    int32_t k = r->metrics->k, predicted = ft_argmax(r->prob + i * k, k);
    const ft_report_picture *picture = ft_report_picture_of(r->n_pictures, r->pictures, i);
    fputs("<li>", f);
    if (picture) {
        fputs("<div class=\"shots\">", f);
        ft_report_shot(f, picture->image, picture->image_bytes, "the picture");
        ft_report_shot(f, picture->heat, picture->heat_bytes, "what spoke for the prediction");
        fputs("</div>", f);
    }
    fputs("<span class=\"path\">", f);
    ft_html_text(f, r->paths[i]);
    fputs("</span> <span class=\"verdict\">is <b>", f);
    ft_html_text(f, r->class_names[r->label[i]]);
    fputs("</b>, taken for <b>", f);
    ft_html_text(f, r->class_names[predicted]);
    fprintf(f, "</b>,</span> <span class=\"sure\">%.2f %%</span></li>\n",
            100 * (double)r->prob[i * k + predicted]);
}

static void examples(FILE *f, const ft_report *r, const ft_ranked *top, int n) {
    bool heat = false;
    for (int32_t i = 0; i < r->n_pictures; i++) heat |= r->pictures[i].heat != NULL;
    if (heat)
        fputs("<p class=\"note\">Beside each picture, what in it spoke for the prediction (Grad-CAM).</p>\n",
              f);
    fputs("<ol class=\"pictures\">\n", f);
    for (int i = 0; i < n; i++) example(f, r, top[i].at);
    fputs("</ol>\n</section>\n", f);
}

void ft_report_mistakes(FILE *f, const ft_report *r) {
    ft_ranked top[FT_REPORT_MISTAKES];
    const ft_metrics *m = r->metrics;
    int64_t wrong = m->n;
    for (int32_t c = 0; c < m->k; c++) wrong -= m->confusion[(int64_t)c * m->k + c];
    int n = mistakes(m, r->prob, r->label, top);
    ft_report_section(f, "mistakes", "Most confident mistakes");
    if (n == 0) {
        fputs("<p>Every example was recognised.</p>\n</section>\n", f);
        return;
    }
    fprintf(f,
            "<p class=\"note\">The %d surest of %lld wrong predictions, with the probability given to "
            "them.</p>\n",
            n, (long long)wrong);
    examples(f, r, top, n);
}

void ft_report_uncertain(FILE *f, const ft_report *r) {
    ft_ranked top[FT_REPORT_UNCERTAIN];
    int n = uncertain(r->metrics, r->prob, top);
    ft_report_section(f, "uncertain", "Least certain");
    fprintf(f,
            "<p class=\"note\">The %d examples with the least between the two most probable classes.</p>\n",
            n);
    examples(f, r, top, n);
}

/* predictions.csv. */
#include "eval/predictions.h"

#include "eval/metrics.h"
#include "tensor/atomic_file.h"
#include "tensor/escape.h"

static void head_columns(FILE *f, const char *name) {
    static const char *const what[] = {"label", "prediction"};
    for (int t = 0; t < 2; t++) {
        char column[256];
        snprintf(column, sizeof column, "%s_%s", what[t], name);
        fputc(',', f);
        ft_csv_field(f, column);
    }
}

static void head_fields(FILE *f, const ft_head_result *h, int64_t i) {
    for (int t = 0; t < 2; t++) {
        char text[8192];
        ft_head_text(h, i, t == 0, text, sizeof text);
        fputc(',', f);
        ft_csv_field(f, text);
    }
}

ft_err ft_predictions_write(const char *path, int64_t n, int32_t k, const char *const *paths,
                            const int32_t *label, const float *prob, const char *const *names,
                            int32_t n_heads, const ft_head_result *heads) {
    ft_atomic_file a;
    FT_TRY(ft_atomic_open(&a, path));
    FILE *f = a.stream;
    fputs("path,label,prediction", f);
    for (int32_t c = 0; c < k; c++) {
        fputc(',', f);
        ft_csv_field(f, names[c]);
    }
    for (int32_t h = 0; h < n_heads; h++) head_columns(f, heads[h].name);
    fputc('\n', f);
    for (int64_t i = 0; i < n; i++) {
        const float *p = prob + i * k;
        ft_csv_field(f, paths[i]);
        fputc(',', f);
        if (label[i] >= 0) ft_csv_field(f, names[label[i]]);
        fputc(',', f);
        ft_csv_field(f, names[ft_argmax(p, k)]);
        for (int32_t c = 0; c < k; c++) fprintf(f, ",%.9g", (double)p[c]);
        for (int32_t h = 0; h < n_heads; h++) head_fields(f, &heads[h], i);
        fputc('\n', f);
    }
    return ft_atomic_commit(&a);
}

/* predictions.csv. */
#include "eval/predictions.h"

#include "eval/metrics.h"
#include "tensor/atomic_file.h"
#include "tensor/escape.h"

ft_err ft_predictions_write(const char *path, int64_t n, int32_t k, const char *const *paths,
                            const int32_t *label, const float *prob, const char *const *names) {
    ft_atomic_file a;
    FT_TRY(ft_atomic_open(&a, path));
    FILE *f = a.stream;
    fputs("path,label,prediction", f);
    for (int32_t c = 0; c < k; c++) {
        fputc(',', f);
        ft_csv_field(f, names[c]);
    }
    fputc('\n', f);
    for (int64_t i = 0; i < n; i++) {
        const float *p = prob + i * k;
        ft_csv_field(f, paths[i]);
        fputc(',', f);
        if (label[i] >= 0) ft_csv_field(f, names[label[i]]);
        fputc(',', f);
        ft_csv_field(f, names[ft_argmax(p, k)]);
        for (int32_t c = 0; c < k; c++) fprintf(f, ",%.9g", (double)p[c]);
        fputc('\n', f);
    }
    return ft_atomic_commit(&a);
}

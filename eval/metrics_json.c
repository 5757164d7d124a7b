/* metrics.json. */
#include "eval/metrics_json.h"

#include "tensor/atomic_file.h"
#include "tensor/escape.h"

#include <math.h>

static void headline(FILE *f, const ft_metrics *m, const char *split, double loss, int64_t n_bad) {
    fputs("{\n  \"split\": ", f);
    ft_json_string(f, split);
    fprintf(f, ",\n  \"n\": %lld,\n  \"n_bad\": %lld,\n  \"loss\": ", (long long)m->n, (long long)n_bad);
    ft_json_number(f, loss);
    for (int i = 0; i < FT_N_METRICS; i++) {
        if (!ft_metric_applies(m, i)) continue;
        fprintf(f, ",\n  \"%s\": ", ft_metric_name(i));
        ft_json_number(f, ft_metric_value(m, i));
    }
}

static void confusion(FILE *f, const ft_metrics *m) {
    fputs(",\n  \"confusion\": [", f);
    for (int32_t r = 0; r < m->k; r++) {
        fputs(r ? ",\n    [" : "\n    [", f);
        for (int32_t c = 0; c < m->k; c++)
            fprintf(f, "%s%d", c ? ", " : "", m->confusion[(int64_t)r * m->k + c]);
        fputc(']', f);
    }
    fputs("\n  ]", f);
}

static void head_number(void *ctx, const char *name, const char *label, double value, const char *reason) {
    (void)label, (void)reason;
    fprintf(ctx, ", \"%s\": ", name);
    ft_json_number(ctx, value);
}

static void head_reason(void *ctx, const char *name, const char *label, double value, const char *reason) {
    (void)label, (void)value;
    if (!reason) return;
    fprintf(ctx, ", \"%s_undefined\": ", name);
    ft_json_string(ctx, reason);
}

static void further_heads(FILE *f, int32_t n, const ft_head_result *heads) {
    if (n == 0) return;
    fputs(",\n  \"heads\": {", f);
    for (int32_t k = 0; k < n; k++) {
        fputs(k ? ",\n    " : "\n    ", f);
        ft_json_string(f, heads[k].name);
        fprintf(f, ": {\"kind\": \"%s\"", ft_head_kind(&heads[k]));
        ft_head_numbers(&heads[k], head_number, f);
        ft_head_numbers(&heads[k], head_reason, f);
        fputc('}', f);
    }
    fputs("\n  }", f);
}

static void per_class(FILE *f, const ft_metrics *m, const char *const *names) {
    fputs(",\n  \"per_class\": [", f);
    for (int32_t c = 0; c < m->k; c++) {
        fputs(c ? ",\n    {\"name\": " : "\n    {\"name\": ", f);
        ft_json_string(f, names[c]);
        fprintf(f, ", \"support\": %d", m->per_class[c].support);
        for (int i = 0; i < FT_N_CLASS_METRICS; i++) {
            fprintf(f, ", \"%s\": ", ft_class_metric_name(i));
            ft_json_number(f, ft_class_metric_value(&m->per_class[c], i));
        }
        fputc('}', f);
    }
    fputs("\n  ]", f);
}

static void undefined(FILE *f, const ft_metrics *m, double loss) {
    const char *comma = "";
    fputs(",\n  \"undefined\": {", f);
    if (isnan(loss)) {
        fputs("\n    \"loss\": \"not computed\"", f);
        comma = ",";
    } else if (isinf(loss)) {
        fputs("\n    \"loss\": \"infinite\"", f);
        comma = ",";
    }
    for (int i = 0; i < FT_N_METRICS; i++) {
        if (!m->reason[i]) continue;
        fprintf(f, "%s\n    \"%s\": ", comma, ft_metric_name(i));
        ft_json_string(f, m->reason[i]);
        comma = ",";
    }
    for (int32_t c = 0; c < m->k; c++)
        for (int i = 0; i < FT_N_CLASS_METRICS; i++) {
            const char *reason = ft_class_metric_reason(m, c, i);
            if (!reason) continue;
            fprintf(f, "%s\n    \"per_class[%d].%s\": ", comma, c, ft_class_metric_name(i));
            ft_json_string(f, reason);
            comma = ",";
        }
    fputs(*comma ? "\n  }\n}\n" : "}\n}\n", f);
}

ft_err ft_metrics_json_write(const char *path, const ft_metrics *m, const char *const *names,
                             const char *split, double loss, int64_t n_bad, int32_t n_heads,
                             const ft_head_result *heads) {
    ft_atomic_file a;
    FT_TRY(ft_atomic_open(&a, path));
    headline(a.stream, m, split, loss, n_bad);
    confusion(a.stream, m);
    per_class(a.stream, m, names);
    further_heads(a.stream, n_heads, heads);
    undefined(a.stream, m, loss);
    return ft_atomic_commit(&a);
}

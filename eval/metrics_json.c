/* metrics.json. */
#include "eval/metrics_json.h"

#include "eval/bootstrap.h"
#include "tensor/atomic_file.h"
#include "tensor/escape.h"

#include <math.h>

static void headline(FILE *f, const ft_metrics_file *file) {
    const ft_metrics *m = file->metrics;
    fputs("{\n  \"split\": ", f);
    ft_json_string(f, file->split);
    fprintf(f, ",\n  \"n\": %lld,\n  \"n_bad\": %lld,\n  \"loss\": ", (long long)m->n,
            (long long)file->n_bad);
    ft_json_number(f, file->loss);
    for (int i = 0; i < FT_N_METRICS; i++) {
        if (!ft_metric_applies(m, i)) continue;
        fprintf(f, ",\n  \"%s\": ", ft_metric_name(i));
        ft_json_interval(f, ft_metric_value(m, i), ft_metric_interval(m, i));
    }
}

static void calibration(FILE *f, const ft_metrics *m) {
    fputs(",\n  \"calibration\": [", f);
    for (int b = 0; b < FT_CALIBRATION_BINS; b++) {
        const ft_calibration_bin *bin = &m->calibration[b];
        fprintf(f, "%s\n    {\"n\": %.0f", b ? "," : "", bin->n);
        if (bin->n > 0) {
            fputs(", \"accuracy\": ", f);
            ft_json_number(f, bin->right / bin->n);
            fputs(", \"confidence\": ", f);
            ft_json_number(f, bin->confidence / bin->n);
        }
        fputc('}', f);
    }
    fputs("\n  ]", f);
    if (m->replicates)
        fprintf(f, ",\n  \"bootstrap\": {\"replicates\": %d, \"level\": %g, \"seed\": %d}", m->replicates,
                FT_BOOTSTRAP_LEVEL, FT_BOOTSTRAP_SEED);
}

static void thresholds(FILE *f, const ft_thresholds *t) {
    if (!t || !t->chosen_on) return;
    fprintf(f, ",\n  \"thresholds\": {\n    \"chosen_on\": \"%s\"", t->chosen_on);
    if (t->wanted > 0) fprintf(f, ",\n    \"fpr_wanted_at_most\": %.17g", t->wanted);
    for (int rule = 0; rule < FT_N_RULES; rule++) {
        if (!ft_rule_applies(t, rule)) continue;
        fprintf(f, ",\n    \"%s\": {", ft_rule_name(rule));
        for (int i = 0; i < FT_N_THRESHOLD_NUMBERS; i++) {
            fprintf(f, "%s\"%s\": ", i ? ", " : "", ft_threshold_name(i));
            ft_json_number(f, ft_threshold_value(&t->rule[rule], i));
        }
        fputc('}', f);
    }
    fputs("\n  }", f);
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

static void head_number(void *ctx, const char *name, const char *label, double x, ft_interval interval,
                        const char *reason) {
    (void)label, (void)reason;
    fprintf(ctx, ", \"%s\": ", name);
    ft_json_interval(ctx, x, interval);
}

static void further_heads(FILE *f, int32_t n, const ft_head_result *heads) {
    if (n == 0) return;
    fputs(",\n  \"heads\": {", f);
    for (int32_t k = 0; k < n; k++) {
        fputs(k ? ",\n    " : "\n    ", f);
        ft_json_string(f, heads[k].name);
        fprintf(f, ": {\"kind\": \"%s\"", ft_head_kind(&heads[k]));
        ft_head_numbers(&heads[k], head_number, f);
        if (heads[k].classes) {
            confusion(f, heads[k].classes);
            per_class(f, heads[k].classes, heads[k].class_names);
        }
        fputc('}', f);
    }
    fputs("\n  }", f);
}

/* The object of reasons under way. */
typedef struct reasons {
    FILE *f;
    const char *head; /* whose the numbers are; NULL: the class's */
    const char *comma;
} reasons;

static void add_reason(reasons *r, const char *name, const char *reason) {
    if (!reason) return;
    char path[512];
    snprintf(path, sizeof path, "%s%s%s%s", r->head ? "heads." : "", r->head ? r->head : "",
             r->head ? "." : "", name);
    fprintf(r->f, "%s\n    ", r->comma);
    ft_json_string(r->f, path);
    fputs(": ", r->f);
    ft_json_string(r->f, reason);
    r->comma = ",";
}

static void add_head_reason(void *ctx, const char *name, const char *label, double x, ft_interval interval,
                            const char *reason) {
    (void)label, (void)x, (void)interval;
    add_reason(ctx, name, reason);
}

static void class_reasons(reasons *r, const ft_metrics *m) {
    for (int32_t c = 0; c < m->k; c++)
        for (int i = 0; i < FT_N_CLASS_METRICS; i++) {
            char name[64];
            snprintf(name, sizeof name, "per_class[%d].%s", c, ft_class_metric_name(i));
            add_reason(r, name, ft_class_metric_reason(m, c, i));
        }
}

static void threshold_reasons(reasons *r, const ft_thresholds *t) {
    for (int rule = 0; t && t->chosen_on && rule < FT_N_RULES; rule++)
        for (int i = 0; ft_rule_applies(t, rule) && i < FT_N_THRESHOLD_NUMBERS; i++) {
            char name[64];
            snprintf(name, sizeof name, "thresholds.%s.%s", ft_rule_name(rule), ft_threshold_name(i));
            add_reason(r, name, ft_threshold_reason(&t->rule[rule], i));
        }
}

static void undefined(FILE *f, const ft_metrics_file *file) {
    const ft_metrics *m = file->metrics;
    reasons r = {.f = f, .comma = ""};
    fputs(",\n  \"undefined\": {", f);
    add_reason(&r, "loss", isnan(file->loss) ? "not computed" : isinf(file->loss) ? "infinite" : NULL);
    for (int i = 0; i < FT_N_METRICS; i++) add_reason(&r, ft_metric_name(i), m->reason[i]);
    class_reasons(&r, m);
    threshold_reasons(&r, file->thresholds);
    for (int32_t k = 0; k < file->n_heads; k++) {
        r.head = file->heads[k].name;
        ft_head_numbers(&file->heads[k], add_head_reason, &r);
        if (file->heads[k].classes) class_reasons(&r, file->heads[k].classes);
    }
    fputs(*r.comma ? "\n  }\n}\n" : "}\n}\n", f);
}

ft_err ft_metrics_json_write(const char *path, const ft_metrics_file *m) {
    ft_atomic_file a;
    FT_TRY(ft_atomic_open(&a, path));
    headline(a.stream, m);
    confusion(a.stream, m->metrics);
    per_class(a.stream, m->metrics, m->class_names);
    calibration(a.stream, m->metrics);
    thresholds(a.stream, m->thresholds);
    further_heads(a.stream, m->n_heads, m->heads);
    undefined(a.stream, m);
    return ft_atomic_commit(&a);
}

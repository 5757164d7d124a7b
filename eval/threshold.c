#include "eval/threshold.h"

#include "eval/ranking.h"

#include <math.h>
#include <stdbool.h>

static const struct {
    const char *name, *label;
    double fpr;
} rules[] = {
#define ROW(name, label, fpr) {#name, label, fpr},
    FT_THRESHOLD_RULES(ROW)
#undef ROW
};

const char *ft_rule_name(int rule) {
    return rules[rule].name;
}
const char *ft_rule_label(int rule) {
    return rules[rule].label;
}

const char *ft_threshold_name(int i) {
    static const char *const names[] = {"threshold", "accuracy", "precision", "recall",
                                        "f1",        "fpr",      "youden"};
    return names[i];
}
double ft_threshold_value(const ft_threshold *t, int i) {
    const double values[] = {t->threshold, t->accuracy, t->precision, t->recall, t->f1, t->fpr, t->youden};
    return values[i];
}
const char *ft_threshold_reason(const ft_threshold *t, int i) {
    if (!isnan(ft_threshold_value(t, i))) return NULL;
    return t->reason ? t->reason : "no example to divide by";
}

bool ft_rule_applies(const ft_thresholds *t, int rule) {
    return rule != FT_RULE_fpr_wanted || t->wanted > 0;
}

/* How good point i of the curve is by the rule; less than nothing where it does not meet it. */
static double merit(const ft_ranking *r, const ft_thresholds *t, int rule, int64_t i) {
    double tp = r->tp[i], fp = r->fp[i], positives = (double)r->n_pos, fpr = fp / (double)r->n_neg;
    switch (rule) {
    case FT_RULE_max_f1:
        return 2 * tp / (tp + fp + positives);
    case FT_RULE_max_youden:
        return tp / positives - fpr;
    default:
        return fpr <= (rule == FT_RULE_fpr_wanted ? t->wanted : rules[rule].fpr) ? tp / positives : -1;
    }
}

static void choose(const ft_ranking *r, ft_thresholds *t) {
    for (int rule = 0; rule < FT_N_RULES; rule++) {
        int64_t best = 0;
        for (int64_t i = 1; i < r->n_points; i++)
            if (merit(r, t, rule, i) > (best ? merit(r, t, rule, best) : 0)) best = i;
        t->rule[rule] =
            (ft_threshold){.threshold = best ? (double)r->threshold[best] : NAN,
                           .reason = best ? NULL : "no threshold does better than to say class 0 always"};
    }
}

ft_err ft_thresholds_choose(ft_thresholds *t, int64_t n, const float *score, int64_t stride,
                            const int32_t *label, const char *part) {
    ft_ranking r;
    *t = (ft_thresholds){.chosen_on = part, .wanted = t->wanted};
    FT_TRY(ft_ranking_init(&r, n));
    ft_ranking_fill(&r, n, score, stride, label, 1);
    if (r.n_pos == 0 || r.n_neg == 0)
        for (int rule = 0; rule < FT_N_RULES; rule++)
            t->rule[rule] =
                (ft_threshold){NAN, .reason = "all examples that it would be chosen on are of one class"};
    else
        choose(&r, t);
    ft_ranking_free(&r);
    return FT_OK;
}

static double ratio(double a, double b) {
    return b > 0 ? a / b : NAN;
}

void ft_thresholds_apply(ft_thresholds *t, int64_t n, const float *score, int64_t stride,
                         const int32_t *label) {
    for (int rule = 0; rule < FT_N_RULES; rule++) {
        ft_threshold *at = &t->rule[rule];
        double tp = 0, fp = 0, fn = 0, tn = 0;
        for (int64_t i = 0; i < n; i++) {
            bool said = (double)score[i * stride] >= at->threshold, is = label[i] == 1;
            *(said ? is ? &tp : &fp : is ? &fn : &tn) += 1;
        }
        bool none = isnan(at->threshold);
        at->accuracy = none ? NAN : (tp + tn) / (double)n;
        at->precision = none ? NAN : ratio(tp, tp + fp);
        at->recall = none ? NAN : ratio(tp, tp + fn);
        at->f1 = none ? NAN : ratio(2 * tp, 2 * tp + fp + fn);
        at->fpr = none ? NAN : ratio(fp, fp + tn);
        at->youden = at->recall - at->fpr;
    }
}

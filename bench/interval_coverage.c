/* Do 95 % intervals hold the truth 95 times of 100? Simulated data sets whose accuracy, macro recall and area
 * under the ROC curve are known: how often each is in its interval, by the bootstrap that ft-eval uses.
 *
 *     build/bench/interval_coverage > bench/interval_coverage.md
 */
#include "eval/bootstrap.h"
#include "tensor/rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { DATA_SETS = 2000, MOST = 2000, MOST_CLASSES = 10 };

typedef struct setting {
    const char *what;
    int32_t n, k;
    double right_first, right_last; /* how often a row of the first class, and the last, is named rightly */
    double falling;                 /* each class is so many times as frequent as the one before */
} setting;

static const setting settings[] = {
    {"2 classes, 100 examples", 100, 2, 0.8, 0.8, 1},
    {"2 classes, 273 examples", 273, 2, 0.9, 0.85, 1},
    {"2 classes of 9 to 1, 500 examples", 500, 2, 0.95, 0.6, 1.0 / 9},
    {"5 classes, 300 examples", 300, 5, 0.9, 0.5, 1},
    {"10 classes, 1000 examples", 1000, 10, 0.95, 0.75, 1},
    {"10 classes, ever rarer, 2000 examples", 2000, 10, 0.95, 0.75, 0.7},
};

static double right_of(const setting *s, int32_t c) {
    return s->right_first + (s->right_last - s->right_first) * c / (s->k - 1);
}

/* Labels as frequent as they should be, and probabilities that name the truth as often as they should. */
static void simulate(const setting *s, ft_rng *g, float *prob, int32_t *label) {
    double share[MOST_CLASSES], sum = 0;
    for (int32_t c = 0; c < s->k; c++) sum += share[c] = pow(s->falling, c);
    for (int32_t i = 0; i < s->n; i++) {
        double at = ft_rng_uniform(g) * sum;
        int32_t y = 0;
        while (y + 1 < s->k && at >= share[y]) at -= share[y++];
        bool right = ft_rng_uniform(g) < right_of(s, y);
        int32_t said = right ? y : (y + 1 + (int32_t)ft_rng_below(g, (uint32_t)s->k - 1)) % s->k;
        label[i] = y;
        for (int32_t c = 0; c < s->k; c++) prob[i * s->k + c] = c == said ? 0.7f : 0.3f / (float)(s->k - 1);
    }
}

static bool holds(ft_interval i, double truth) {
    return i.low <= truth && truth <= i.high;
}

static int cover(const setting *s, uint64_t seed) {
    static float prob[MOST * MOST_CLASSES];
    static int32_t label[MOST];
    double accuracy = 0, recall = 0, sum = 0;
    for (int32_t c = 0; c < s->k; c++) {
        accuracy += pow(s->falling, c) * right_of(s, c);
        sum += pow(s->falling, c);
        recall += right_of(s, c) / s->k;
    }
    accuracy /= sum;
    int held_accuracy = 0, held_recall = 0;
    for (int d = 0; d < DATA_SETS; d++) {
        ft_rng g = ft_rng_stream(seed, (uint64_t)d);
        ft_metrics m;
        simulate(s, &g, prob, label);
        if (ft_metrics_compute(&m, s->n, s->k, prob, label) != FT_OK ||
            ft_metrics_intervals(&m, prob, label, FT_BOOTSTRAP_REPLICATES, (uint64_t)d) != FT_OK) {
            fprintf(stderr, "interval_coverage: %s\n", ft_err_message());
            return 1;
        }
        held_accuracy += holds(m.interval[FT_METRIC_accuracy], accuracy);
        held_recall += holds(m.interval[FT_METRIC_balanced_accuracy], recall);
        ft_metrics_free(&m);
    }
    printf("| %s | %.4f | %.1f %% | %.4f | %.1f %% |\n", s->what, accuracy, 100.0 * held_accuracy / DATA_SETS,
           recall, 100.0 * held_recall / DATA_SETS);
    return 0;
}

/* Scores of two classes that are normal, one deviation apart: the area is Phi(1 / sqrt(2)). */
static int cover_area(int32_t n, uint64_t seed) {
    static float prob[2 * MOST];
    static int32_t label[MOST];
    double area = 0.5 * erfc(-0.5);
    int held = 0;
    for (int d = 0; d < DATA_SETS; d++) {
        ft_rng g = ft_rng_stream(seed, (uint64_t)d);
        ft_metrics m;
        for (int32_t i = 0; i < n; i++) {
            label[i] = i < 2 ? i : (int32_t)ft_rng_below(&g, 2);
            prob[2 * i + 1] = (float)(1 / (1 + exp(-ft_rng_normal(&g) - label[i])));
            prob[2 * i] = 1 - prob[2 * i + 1];
        }
        if (ft_metrics_compute(&m, n, 2, prob, label) != FT_OK ||
            ft_metrics_intervals(&m, prob, label, FT_BOOTSTRAP_REPLICATES, (uint64_t)d) != FT_OK) {
            fprintf(stderr, "interval_coverage: %s\n", ft_err_message());
            return 1;
        }
        held += holds(m.interval[FT_METRIC_roc_auc], area);
        ft_metrics_free(&m);
    }
    printf("| %d examples | %.4f | %.1f %% |\n", n, area, 100.0 * held / DATA_SETS);
    return 0;
}

int main(void) {
    int failed = 0;
    printf("How often 95 %% intervals hold the truth: %d simulated data sets of each kind, %d draws each\n"
           "(`build/bench/interval_coverage`).\n\n"
           "| data | accuracy | in its interval | balanced accuracy | in its interval "
           "|\n|---|---|---|---|---|\n",
           DATA_SETS, FT_BOOTSTRAP_REPLICATES);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) failed |= cover(&settings[i], 100 + i);
    printf("\n| two classes, normal scores | ROC AUC | in its interval |\n|---|---|---|\n");
    for (int32_t n = 100; n <= 400; n *= 2) failed |= cover_area(n, 200 + (uint64_t)n);
    return failed;
}

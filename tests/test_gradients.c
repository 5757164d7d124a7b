/* The gradients of whole networks, random ones among them, against central differences; in the double build.
 *
 * The slope of the loss is taken along the gradient plus a random direction as long: a part that is missing
 * from the gradient would show, and so would one too many.
 */
#include "layers/layers.h"
#include "tensor/par.h"
#include "tensor/rng.h"
#include "tests/plan_dag.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

enum { ROUNDS = 15, DAGS_A_ROUND = 20 };

/* Some parameters of a network, moved together: all n numbers of them one after the other. */
typedef struct probe {
    dag *d;
    ft_plan *p;
    int32_t batch, first, end; /* parameters first .. end-1 that train */
    double *start, *gradient, *direction;
    int64_t n;
    double norm; /* of the gradient */
} probe;

static const ft_real *gradient_of(const probe *q, int32_t i, int64_t *n) {
    const ft_param *param = ft_graph_param(q->d->g, i);
    *n = ft_shape_size(param->shape);
    return ft_plan_grad(q->p, param);
}

static double norm_of(const double *x, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i] * x[i];
    return sqrt(sum);
}

/* After a run of the plan forward and backward. */
static probe open_probe(dag *d, ft_plan *p, int32_t batch, int32_t first, int32_t end) {
    probe q = {.d = d, .p = p, .batch = batch, .first = first, .end = end};
    int64_t n;
    for (int32_t i = first; i < end; i++)
        if (gradient_of(&q, i, &n)) q.n += n;
    size_t room = (size_t)q.n + 1;
    q.start = calloc(3 * room, sizeof *q.start);
    ck_assert_ptr_nonnull(q.start);
    q.gradient = q.start + room;
    q.direction = q.gradient + room;
    ft_rng r = ft_rng_stream(d->seed, 100 + (uint64_t)first);
    int64_t at = 0;
    for (int32_t i = first; i < end; i++) {
        const ft_real *g = gradient_of(&q, i, &n);
        for (int64_t k = 0; g && k < n; k++, at++) {
            q.start[at] = (double)ft_graph_param(d->g, i)->p[k];
            q.gradient[at] = (double)g[k];
            q.direction[at] = ft_rng_normal(&r);
        }
    }
    q.norm = norm_of(q.gradient, q.n);
    double random = norm_of(q.direction, q.n);
    for (at = 0; at < q.n && q.norm > 0; at++)
        q.direction[at] = q.gradient[at] / q.norm + q.direction[at] / random;
    return q;
}

/* The loss at start + t * direction, with the batch statistics of training. */
static double loss_at(const probe *q, double t) {
    int64_t at = 0, n;
    for (int32_t i = q->first; i < q->end; i++) {
        if (!gradient_of(q, i, &n)) continue;
        ft_real *w = ft_graph_param(q->d->g, i)->p;
        for (int64_t k = 0; k < n; k++, at++) w[k] = (ft_real)(q->start[at] + t * q->direction[at]);
    }
    ft_graph_touch(q->d->g);
    ft_plan_forward(q->p, q->batch, q->d->seed);
    double sum = 0;
    for (int32_t i = 0; i < q->d->n_losses; i++)
        sum += (double)q->d->weights[i] * (double)*ft_plan_value(q->p, q->d->losses[i], q->batch).p;
    return sum;
}

/* Closes the probe. */
static void expect_slope(probe q, const char *what, double eps, double tolerance) {
    double along = 0, up = loss_at(&q, eps), down = loss_at(&q, -eps), loss = loss_at(&q, 0);
    for (int64_t i = 0; i < q.n; i++) along += q.direction[i] * q.gradient[i];
    double slope = (up - down) / (2 * eps), noise = 4e-15 * (1 + fabs(loss)) / eps;
    ck_assert_msg(fabs(slope - along) <= tolerance * q.norm + noise,
                  "network %d, %s: the slope is %.10g, by the gradient %.10g", (int)q.d->seed, what, slope,
                  along);
    free(q.start);
}

/* Every parameter by itself. */
static void check_parameters(dag *d, int32_t batch, double eps, double tolerance) {
    ft_threads_set(1);
    ft_plan *p = dag_compile(d, batch, true, false);
    dag_record full = dag_run(d, p, batch, true);
    dag_record_free(&full);
    int32_t checked = 0;
    for (int32_t i = 0; i < ft_graph_n_params(d->g); i++) {
        const ft_param *param = ft_graph_param(d->g, i);
        if (!(param->flags & FT_TRAINABLE)) continue;
        probe q = open_probe(d, p, batch, i, i + 1);
        ck_assert_msg(q.norm > 1e-7, "%s has the gradient 0", param->name);
        expect_slope(q, param->name, eps, tolerance);
        checked++;
    }
    ck_assert_int_gt(checked, 10);
    ft_plan_free(p);
}

START_TEST(random_networks) {
    ft_threads_set(1);
    int32_t checked = 0;
    for (int i = 0; i < DAGS_A_ROUND; i++) {
        dag d;
        dag_make(&d, (uint64_t)(_i * DAGS_A_ROUND + i));
        ft_plan *p = dag_compile(&d, 3, true, false);
        dag_record full = dag_run(&d, p, 3, true);
        dag_record_free(&full);
        probe q = open_probe(&d, p, 3, 0, ft_graph_n_params(d.g));
        checked += q.norm > 1e-3;
        expect_slope(q, "all parameters", 1e-8, 1e-4);
        ft_plan_free(p);
        dag_free(&d);
    }
    ck_assert_msg(checked > DAGS_A_ROUND / 2, "only %d networks have a gradient worth the name", checked);
}
END_TEST

START_TEST(inception_mini) {
    dag d;
    dag_make_net(&d, "inception_mini", 28, 0.3f, 6);
    check_parameters(&d, 3, 1e-8, 1e-4); /* eps so small because of the kinks of ReLU and max pooling */
    dag_free(&d);
}
END_TEST

/* ---- gradients of values in a frozen network ---- */

/* What the class scores are with the value `at` moved by t along the direction. */
static double score_at(ft_plan *p, ft_val at, ft_val score, const double *start, const double *direction,
                       double t) {
    ft_view v = ft_plan_value(p, at, 3);
    for (int64_t e = 0; e < ft_rows(&v) * v.c; e++) v.p[e] = (ft_real)(start[e] + t * direction[e]);
    ft_plan_forward(p, 3, 0);
    return (double)*ft_plan_value(p, score, 3).p;
}

static const char *const watched_nodes[] = {"mixed0",    "mixed2",   "conv2d_9", "activation_4",
                                            "maxpool_2", "avg_pool", "dropout"};

START_TEST(watched_values) {
    dag d;
    dag_make_net(&d, "inception_mini", 28, 0.3f, 6);
    dag_reset(&d);
    ft_val logits = ft_graph_find(d.g, "predictions"), at = ft_graph_find(d.g, watched_nodes[_i]);
    if (at.id == 0) at = ft_graph_find(d.g, "dropout_1");
    ck_assert_msg(at.id > 0 && logits.id > 0, "there is no node %s", watched_nodes[_i]);
    ft_val score = ft_class_score(d.g, logits, d.labels, NULL);
    ft_graph_freeze(d.g, logits);
    ft_plan_spec spec = {.batch = 3,
                         .training = true,
                         .n_losses = 1,
                         .losses = {score},
                         .loss_weights = {1},
                         .n_watched = 1,
                         .watched = &at};
    ft_plan *p, *fed;
    ck_assert_msg(ft_compile(d.g, &spec, &p) == FT_OK, "%s", ft_err_message());
    spec = (ft_plan_spec){.batch = 3, .n_losses = 1, .losses = {score}, .n_fed = 1, .fed = &at};
    ck_assert_msg(ft_compile(d.g, &spec, &fed) == FT_OK, "%s", ft_err_message());
    dag_feed(&d, p, 3, 1);
    dag_feed(&d, fed, 3, 1);
    ft_plan_forward(p, 3, 0);
    ft_plan_backward(p, 1, false);
    ft_view v = ft_plan_value(p, at, 3), g = ft_plan_watched(p, at, 3);
    int64_t n = ft_rows(&v) * v.c;
    double *start = calloc(3 * (size_t)n, sizeof *start), *gradient = start + n, *direction = gradient + n,
           slope = 0;
    ft_rng r = ft_rng_stream(9, (uint64_t)_i);
    for (int64_t row = 0; row < ft_rows(&v); row++)
        for (int32_t k = 0; k < v.c; k++) {
            start[row * v.c + k] = (double)v.p[row * v.ld + k];
            gradient[row * v.c + k] = (double)g.p[row * g.ld + k];
        }
    double norm = norm_of(gradient, n);
    ck_assert_msg(norm > 1e-6, "the gradient of %s is 0", watched_nodes[_i]);
    for (int64_t e = 0; e < n; e++) { /* what a ReLU made 0 stays: a max pool over such has a kink there */
        if (start[e] == 0) continue;
        direction[e] = gradient[e] / norm + ft_rng_normal(&r) / sqrt((double)n);
        slope += direction[e] * gradient[e];
    }
    const double eps = 1e-7;
    double measured =
        (score_at(fed, at, score, start, direction, eps) - score_at(fed, at, score, start, direction, -eps)) /
        (2 * eps);
    ck_assert_msg(fabs(measured - slope) <= 1e-5 * fabs(slope), "%s: slope %.12g, measured %.12g",
                  watched_nodes[_i], slope, measured);
    free(start);
    ft_plan_free(p);
    ft_plan_free(fed);
    dag_free(&d);
}
END_TEST

START_TEST(nothing_before_a_watched_value_may_be_trained) {
    dag d;
    dag_make_net(&d, "inception_mini", 28, 0, 6);
    ft_val at = ft_graph_find(d.g, "mixed2");
    ft_plan_spec spec = {.batch = 2,
                         .training = true,
                         .n_losses = 1,
                         .losses = {d.losses[0]},
                         .loss_weights = {1},
                         .n_watched = 1,
                         .watched = &at};
    ft_plan *p;
    ck_assert_int_eq(ft_compile(d.g, &spec, &p), FT_E_GRAPH);
    spec.training = false;
    ck_assert_int_eq(ft_compile(d.g, &spec, &p), FT_E_GRAPH);
    ck_assert_ptr_null(p);
    dag_free(&d);
}
END_TEST

/* No kinks: every op but ReLU, leaky ReLU and max pooling; strides, groups, dilation, two losses. */
static void make_smooth(dag *d) {
    *d = (dag){.seed = 8, .n_losses = 3, .weights = {1, (ft_real)0.5, (ft_real)0.25}};
    ck_assert_int_eq(ft_graph_new(&d->g), FT_OK);
    ft_graph *g = d->g;
    d->image = ft_input(g, "image", (ft_shape){1, 9, 11, 3});
    d->labels = ft_input(g, "labels", (ft_shape){1, 1, 1, 1});
    d->numbers = ft_input(g, "numbers", (ft_shape){1, 1, 1, DAG_NUMBERS});
    d->flags = ft_input(g, "flags", (ft_shape){1, 1, 1, DAG_NUMBERS});
    ft_val x = ft_conv2d(g, d->image, &(ft_conv){.filters = 8, .k = {3, 3}, .stride = {2, 1}});
    x = ft_tanh(g, ft_batchnorm(g, x, &(ft_norm){.scale = true}), NULL);
    ft_val a = ft_conv2d(g, x, &(ft_conv){.filters = 6, .k = {3, 2}, .groups = 2, .bias = true});
    ft_val b = ft_conv2d(g, x, &(ft_conv){.filters = 16, .k = {3, 3}, .groups = 8, .dilation = {1, 2}});
    b = ft_sigmoid(g, ft_batchnorm(g, b, NULL), NULL);
    ft_val c = ft_avgpool(g, x, &(ft_pool){.k = {3, 3}, .stride = {1, 1}});
    x = ft_concat(g, 4, (ft_val[]){a, b, c, x}, NULL);
    ft_val s = ft_dense(g, ft_global_avgpool(g, x, NULL), &(ft_dense_options){.units = 38});
    x = ft_mul_channel(g, x, ft_sigmoid(g, s, NULL), NULL);
    ft_val y = ft_conv2d(g, x, &(ft_conv){.filters = 5, .k = {2, 3}, .stride = {2, 3}});
    y = ft_batchnorm(g, y, &(ft_norm){.no_center = true, .scale = true, .unbiased = true});
    y = ft_add(g, y, ft_tanh(g, y, NULL), NULL);
    y = ft_dropout(g, ft_flatten(g, y, NULL), 0.25f, NULL);
    ft_val logits = ft_dense(g, y, &(ft_dense_options){.units = DAG_CLASSES});
    ft_val numbers = ft_dense(g, y, &(ft_dense_options){.units = DAG_NUMBERS, .no_bias = true});
    ft_val flags = ft_dense(g, ft_global_avgpool(g, x, NULL), &(ft_dense_options){.units = DAG_NUMBERS});
    d->losses[0] =
        ft_softmax_cross_entropy(g, logits, d->labels, &(ft_softmax_ce_options){.label_smoothing = 0.125f});
    d->losses[1] = ft_mean_squared_error(g, ft_l2_normalize(g, numbers, NULL), d->numbers, NULL);
    d->losses[2] = ft_binary_cross_entropy(g, flags, d->flags, NULL);
    ck_assert_msg(ft_graph_status(g) == FT_OK, "%s", ft_err_message());
}

START_TEST(smooth_network) {
    dag d;
    make_smooth(&d);
    check_parameters(&d, 4, 1e-5, 1e-6);
    dag_free(&d);
}
END_TEST

int main(void) {
    Suite *s = suite_create("gradients");
    TCase *t = tcase_create("central differences");
    tcase_set_timeout(t, 240);
    tcase_add_loop_test(t, random_networks, 0, ROUNDS);
    tcase_add_test(t, inception_mini);
    tcase_add_test(t, smooth_network);
    tcase_add_loop_test(t, watched_values, 0, sizeof watched_nodes / sizeof *watched_nodes);
    tcase_add_test(t, nothing_before_a_watched_value_may_be_trained);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

/* The planner: whatever it shares, aliases, folds or leaves out, a plan gives what an isolated plan gives.
 * Built twice, in float and in double. What both kinds of plan would get wrong alike is for test_gradients.
 */
#include "layers/layers.h"
#include "tensor/kernels.h"
#include "tensor/par.h"
#include "tests/plan_dag.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = sizeof(ft_real) == 8 ? 8 : 24, DAGS_A_ROUND = 20 };
static const bool in_double = sizeof(ft_real) == 8;
static const double rounding = sizeof(ft_real) == 8 ? 1e-13 : 1e-5;

/* ---- random networks ---- */

typedef void dag_check(dag *d, int32_t batch);

static void for_dags(int round, dag_check *check) {
    ft_threads_set(1); /* these networks are too small for more; check_threads has its own numbers */
    for (int i = 0; i < DAGS_A_ROUND; i++) {
        dag d;
        dag_make(&d, (uint64_t)(round * DAGS_A_ROUND + i));
        check(&d, 2 + i % 4);
        dag_free(&d);
    }
}

/* Folding may round otherwise than the steps it replaces; without it not one bit may differ. */
static double allowed(const ft_plan *p) {
    return ft_plan_get_stats(p).folded > 0 ? 10 * rounding : 0;
}

static void check_sharing(dag *d, int32_t batch) {
    ft_plan *shared = dag_compile(d, batch, true, false), *isolated = dag_compile(d, batch, true, true);
    dag_record want = dag_run(d, isolated, batch, true), first = dag_run(d, shared, batch, true);
    ck_assert_int_eq(ft_plan_get_stats(isolated).folded, 0);
    dag_expect(d, "again", dag_run(d, shared, batch, true), &first, 0);
    dag_expect(d, "isolated again", dag_run(d, isolated, batch, true), &want, 0);
    dag_expect(d, "shared memory", first, &want, allowed(shared));
    dag_record_free(&want);
    ft_plan_free(shared);
    ft_plan_free(isolated);
}

/* A few samples in a plan for more, after a run that filled it, are as in a plan made for them. */
static void check_partial(dag *d, int32_t batch) {
    ft_plan *large = dag_compile(d, batch, true, false);
    dag_record full = dag_run(d, large, batch, true);
    for (int32_t n = 1; n < batch; n++) {
        ft_plan *exact = dag_compile(d, n, true, false);
        dag_record want = dag_run(d, exact, n, true);
        dag_expect(d, "part of a batch", dag_run(d, large, n, true), &want, 0);
        dag_record_free(&want);
        ft_plan_free(exact);
    }
    dag_expect(d, "the full batch after a part", dag_run(d, large, batch, true), &full, 0);
    dag_record_free(&full);
    ft_plan_free(large);
}

static dag_record gradients_of(dag *d, ft_plan *p, int32_t batch, uint64_t seed, bool accumulate) {
    dag_feed(d, p, batch, seed);
    ft_plan_forward(p, batch, seed);
    ft_plan_backward(p, (ft_real)0.5, accumulate);
    return dag_gradients(d, p);
}

static void check_accumulation(dag *d, int32_t batch) {
    ft_plan *p = dag_compile(d, batch, true, false);
    dag_reset(d);
    dag_record a = gradients_of(d, p, batch, 11, false), b = gradients_of(d, p, batch, 12, false);
    dag_record again = gradients_of(d, p, batch, 11, false), both = gradients_of(d, p, batch, 12, true);
    dag_expect(d, "the first of two", again, &a, 0);
    for (int64_t i = 0; i < both.n_numbers; i++) {
        double x = (double)a.numbers[i], y = (double)b.numbers[i], sum = (double)both.numbers[i];
        if (!(fabs(sum - (x + y)) <= rounding * (1 + fabs(x) + fabs(y))))
            ck_abort_msg("network %d: %g + %g is accumulated to %g", (int)d->seed, x, y, sum);
    }
    dag_record_free(&a);
    dag_record_free(&b);
    dag_record_free(&both);
    ft_plan_free(p);
}

/* A step moves no weight and no frozen statistic; frozen parameters get no gradient. */
static void check_frozen(dag *d, int32_t batch) {
    ft_plan *p = dag_compile(d, batch, true, false);
    dag_record after = dag_run(d, p, batch, true);
    dag_reset(d);
    const dag_part *part = after.parts + after.n_parts - ft_graph_n_params(d->g);
    for (int32_t i = 0; i < ft_graph_n_params(d->g); i++, part++) {
        const ft_param *param = ft_graph_param(d->g, i);
        bool trainable = param->flags & FT_TRAINABLE;
        if (param->frozen || !trainable) ck_assert_ptr_null(ft_plan_grad(p, param));
        bool same = memcmp(after.numbers + part->at, param->p, (size_t)part->n * sizeof(ft_real)) == 0;
        ck_assert_msg(same || !(trainable || param->frozen), "network %d: the step has changed %s",
                      (int)d->seed, param->name);
    }
    dag_record_free(&after);
    ft_plan_free(p);
}

static void check_inference(dag *d, int32_t batch) {
    ft_plan *folded = dag_compile(d, batch, false, false), *plain = dag_compile(d, batch, false, true);
    ck_assert_int_eq(ft_plan_get_stats(folded).backward_steps, 0);
    for (int32_t n = batch; n > 0; n -= 2) {
        dag_record want = dag_run(d, plain, n, false);
        dag_expect(d, "inference", dag_run(d, folded, n, false), &want, rounding);
        dag_record_free(&want);
    }
    ft_plan_free(folded);
    ft_plan_free(plain);
}

static void check_threads(dag *d, int32_t batch) {
    ft_plan *p = dag_compile(d, batch, true, false);
    ft_threads_set(1);
    dag_record one = dag_run(d, p, batch, true);
    for (int32_t n = 2; n <= 3; n++) {
        ft_threads_set(n);
        dag_expect(d, n == 2 ? "2 threads" : "3 threads", dag_run(d, p, batch, true), &one, 0);
    }
    ft_threads_set(1);
    dag_record_free(&one);
    ft_plan_free(p);
}

#define DAG_TEST(name)              \
    START_TEST(name) {              \
        for_dags(_i, check_##name); \
    }                               \
    END_TEST
DAG_TEST(sharing)
DAG_TEST(partial)
DAG_TEST(accumulation)
DAG_TEST(frozen)
DAG_TEST(inference)
DAG_TEST(threads)

/* The networks that the tests above are about do have in them what these are to find. */
START_TEST(random_networks_are_varied) {
    int32_t folded = 0, folded_in_training = 0, with_frozen = 0, saved = 0, without_gradient = 0;
    for (int i = 0; i < ROUNDS * DAGS_A_ROUND; i++) {
        dag d;
        dag_make(&d, (uint64_t)i);
        ft_plan *train = dag_compile(&d, 2, true, false), *infer = dag_compile(&d, 2, false, false);
        ft_plan_stats t = ft_plan_get_stats(train), f = ft_plan_get_stats(infer);
        folded += f.folded > 0;
        folded_in_training += t.folded > 0;
        saved += t.arena_bytes < t.naive_bytes;
        without_gradient += t.backward_steps == 0;
        bool any = false;
        for (int32_t k = 0; k < ft_graph_n_params(d.g); k++) any |= ft_graph_param(d.g, k)->frozen;
        with_frozen += any;
        ck_assert(t.arena_bytes <= t.naive_bytes && f.arena_bytes <= f.naive_bytes);
        ft_plan_free(train);
        ft_plan_free(infer);
        dag_free(&d);
    }
    const int n = ROUNDS * DAGS_A_ROUND;
    ck_assert_msg(folded > n / 3 && folded_in_training > n / 20 && with_frozen > n / 6 && saved > n / 2 &&
                      without_gradient < n / 10,
                  "%d fold, %d in training, %d have a frozen part, %d share memory, %d have no gradient",
                  folded, folded_in_training, with_frozen, saved, without_gradient);
}
END_TEST

/* ---- whole networks ---- */

START_TEST(inception_mini_shares_and_threads) {
    ft_threads_set(1);
    ck_assert_int_eq(ft_isa_set(ft_isa_available(_i)), FT_OK);
    dag d;
    dag_make_net(&d, "inception_mini", 28, 0.3f, 5);
    check_sharing(&d, 3);
    check_threads(&d, 3);
    check_partial(&d, 3);
    check_inference(&d, 3);
    ft_graph_freeze(d.g, ft_graph_find(d.g, "mixed2"));
    check_sharing(&d, 3);
    check_frozen(&d, 3);
    dag_free(&d);
}
END_TEST

START_TEST(inception_v3_arena) {
    dag d;
    dag_make_net(&d, "inception_v3", 139, 0.2f, 5);
    for (int training = 0; training < 2; training++) {
        ft_plan *p = dag_compile(&d, 2, training, false);
        ft_plan_stats s = ft_plan_get_stats(p);
        size_t shared = s.arena_bytes - s.prepared_bytes, naive = s.naive_bytes - s.prepared_bytes;
        ck_assert_msg(s.arena_bytes > s.prepared_bytes && shared < naive * (training ? 7 : 3) / 10,
                      "arena %zu, naive %zu, of these prepared weights %zu", s.arena_bytes, s.naive_bytes,
                      s.prepared_bytes);
        ck_assert_int_eq(s.folded, training ? 94 : 2 * 94); /* ReLUs; batch norms too */
        ft_plan_free(p);
    }
    dag_free(&d);
}
END_TEST

/* ---- order ---- */

/* Where the forward step of that node comes; forward steps are first. */
static int32_t step_of(const ft_plan *p, const char *name) {
    ft_step_time steps[64];
    int32_t n = ft_plan_times(p, steps, 64);
    for (int32_t i = 0; i < n && !steps[i].backward; i++)
        if (strcmp(steps[i].name, name) == 0) return i;
    ck_abort_msg("there is no step %s", name);
}

/* Unless someone reads what was pooled, and to the same result. */
START_TEST(pools_go_behind_narrower_pointwise_convolutions) {
    ft_graph *g;
    ck_assert_int_eq(ft_graph_new(&g), FT_OK);
    ft_val x = ft_input(g, "image", (ft_shape){1, 6, 5, 2}),
           labels = ft_input(g, "labels", (ft_shape){1, 1, 1, 1});
    ft_val wide = ft_conv2d(g, x, &(ft_conv){.name = "wide", .filters = 8, .k = {3, 3}});
    ft_val pooled = ft_avgpool(g, wide, &(ft_pool){.name = "pool", .k = {3, 3}, .stride = {1, 1}});
    ft_val narrow = ft_conv2d(g, pooled, &(ft_conv){.name = "narrow", .filters = 3, .k = {1, 1}});
    narrow = ft_relu(g, ft_batchnorm(g, narrow, NULL), NULL);
    ft_val logits = ft_dense(g, ft_global_avgpool(g, narrow, NULL), &(ft_dense_options){.units = 3});
    ft_val loss = ft_softmax_cross_entropy(g, logits, labels, NULL);
    ft_graph_init(g, 1);
    double want[2 + 3 * 3 * 2 * 8 + 8 * 3] = {0};
    for (int kept = 1; kept >= 0; kept--) {
        ft_plan_spec spec = {.batch = 2,
                             .training = true,
                             .n_losses = 1,
                             .losses = {loss},
                             .loss_weights = {1},
                             .n_outputs = kept,
                             .outputs = &pooled};
        ft_plan *p;
        ck_assert_msg(ft_compile(g, &spec, &p) == FT_OK, "%s", ft_err_message());
        ck_assert_int_eq(step_of(p, "pool") < step_of(p, "narrow"), kept);
        ft_view image = ft_plan_value(p, x, 2), classes = ft_plan_value(p, labels, 2);
        for (int64_t i = 0; i < ft_rows(&image) * image.c; i++) image.p[i] = (ft_real)sin(2.0 * (double)i);
        classes.p[0] = 1;
        classes.p[1] = 2;
        ft_plan_forward(p, 2, 0);
        ft_plan_backward(p, 1, false);
        double got[sizeof want / sizeof *want] = {(double)*ft_plan_value(p, loss, 2).p};
        int n = 1;
        for (int k = 0; k < 2; k++) {
            const ft_param *kernel = ft_graph_find_param(g, k ? "narrow/kernel" : "wide/kernel");
            for (int64_t i = 0; i < ft_shape_size(kernel->shape); i++)
                got[n++] = (double)ft_plan_grad(p, kernel)[i];
        }
        for (int i = 0; i < n; i++)
            ck_assert_msg(kept || fabs(got[i] - want[i]) <= 10 * rounding * (1 + fabs(want[i])),
                          "number %d is %g, not %g", i, got[i], want[i]);
        memcpy(want, got, sizeof want);
        ft_plan_free(p);
    }
    ft_graph_free(g);
}
END_TEST

/* ---- what is refused ---- */

typedef struct small {
    ft_graph *g;
    ft_val x, labels, logits, loss;
} small;

static small make_small(void) {
    small s;
    ck_assert_int_eq(ft_graph_new(&s.g), FT_OK);
    s.x = ft_input(s.g, "image", (ft_shape){1, 6, 5, 2});
    s.labels = ft_input(s.g, "labels", (ft_shape){1, 1, 1, 1});
    ft_val y = ft_relu(s.g, ft_conv2d(s.g, s.x, &(ft_conv){.filters = 4, .k = {3, 3}}), NULL);
    y = ft_global_avgpool(s.g, y, NULL);
    s.logits = ft_dense(s.g, y, &(ft_dense_options){.name = "predictions", .units = 3});
    s.loss = ft_softmax_cross_entropy(s.g, s.logits, s.labels, NULL);
    ck_assert_int_eq(ft_graph_status(s.g), FT_OK);
    return s;
}

static ft_plan_spec training_of(const small *s) {
    return (
        ft_plan_spec){.batch = 2, .training = true, .n_losses = 1, .losses = {s->loss}, .loss_weights = {1}};
}

static void expect_refusal(ft_graph *g, const ft_plan_spec *spec, const char *name, const char *why) {
    ft_plan *p = (ft_plan *)&p; /* anything but NULL */
    ft_err e = ft_compile(g, spec, &p);
    ck_assert_msg(e == FT_E_GRAPH && p == NULL, "'%s' was not refused", why);
    ck_assert_msg(strstr(ft_err_message(), name) && strstr(ft_err_message(), why), "'%s' has no '%s' or '%s'",
                  ft_err_message(), name, why);
}

START_TEST(builders_are_sticky) {
    small s = make_small();
    ft_val bad =
        ft_conv2d(s.g, s.x,
                  &(ft_conv){.name = "too_large", .filters = 2, .k = {7, 7}, .padding = FT_PAD_VALID});
    ck_assert_int_eq(bad.id, 0);
    char first[600];
    ck_assert_int_ne(ft_graph_status(s.g), FT_OK);
    snprintf(first, sizeof first, "%s", ft_err_message());
    ft_val after = ft_relu(s.g, bad, "after"), other = ft_add(s.g, s.x, s.logits, "other");
    ck_assert(after.id == 0 && other.id == 0);
    ck_assert_int_eq(ft_softmax_cross_entropy(s.g, after, s.labels, NULL).id, 0);
    ft_plan_spec spec = training_of(&s);
    expect_refusal(s.g, &spec, "too_large", "does not fit");
    ck_assert_str_eq(ft_err_message(), first);
    ft_graph_free(s.g);
}
END_TEST

/* Each builder that poisons a graph, and what its message must name. */
static void poison(small *s, int which, const char **name, const char **why) {
    ft_graph *g = s->g;
    *name = "n1";
    switch (which) {
    case 0:
        *why = "already a node";
        ft_relu(g, s->x, "n1");
        ft_relu(g, s->x, "n1");
        break;
    case 1:
        *why = "already a parameter";
        *name = "p1";
        ft_param_add(g, "p1", (ft_shape){1, 1, 1, 2}, (ft_init){0}, 0);
        ft_param_add(g, "p1", (ft_shape){1, 1, 1, 2}, (ft_init){0}, 0);
        break;
    case 2:
        *why = "same shape";
        ft_add(g, s->x, s->logits, "n1");
        break;
    case 3:
        *why = "not a value";
        ft_relu(g, (ft_val){9999}, "n1");
        break;
    case 4:
        *why = "no output 1";
        *name = "predictions";
        ft_output(g, s->logits, 1);
        break;
    case 5:
        *why = "positive";
        ft_input(g, "n1", (ft_shape){1, 0, 3, 1});
        break;
    case 6:
        *why = "dropout rate";
        ft_dropout(g, s->x, 1, "n1");
        break;
    case 7:
        *why = "vectors";
        ft_dense(g, s->x, &(ft_dense_options){.name = "n1", .units = 2});
        break;
    default:
        *why = NULL;
    }
}

START_TEST(builders_say_what_is_wrong) {
    for (int which = 0;; which++) {
        small s = make_small();
        const char *name, *why;
        poison(&s, which, &name, &why);
        ft_plan_spec spec = training_of(&s);
        if (why) expect_refusal(s.g, &spec, name, why);
        ft_graph_free(s.g);
        if (!why) break;
    }
}
END_TEST

static ft_real loss_of(small *s, ft_plan *p) {
    ft_graph_init(s->g, 4);
    ft_view x = ft_plan_value(p, s->x, 2), labels = ft_plan_value(p, s->labels, 2);
    for (int64_t i = 0; i < ft_rows(&x) * x.c; i++) x.p[i] = (ft_real)sin((double)i);
    labels.p[0] = 1;
    labels.p[1] = 2;
    ft_plan_forward(p, 2, 1);
    ft_plan_backward(p, 1, false);
    return *ft_plan_value(p, s->loss, 2).p;
}

/* A refused plan changes nothing: the graph still compiles and gives what it gave. */
START_TEST(bad_plans_are_refused) {
    small s = make_small();
    ft_plan_spec good = training_of(&s), bad;
    ft_plan *p;
    ck_assert_int_eq(ft_compile(s.g, &good, &p), FT_OK);
    ft_real before = loss_of(&s, p);
    ft_plan_free(p);
#define REFUSED(name, why, ...)                 \
    do {                                        \
        bad = good;                             \
        __VA_ARGS__;                            \
        expect_refusal(s.g, &bad, (name), why); \
    } while (0)
    ft_val nothing = {0}, late = {9999};
    REFUSED("predictions", "is not a loss", bad.losses[0] = s.logits);
    REFUSED("loss 0", "not a value", bad.losses[0] = nothing);
    REFUSED("loss 0", "not a value", bad.losses[0] = late);
    REFUSED("loss 0", "not a value", bad.losses[0] = s.x);
    REFUSED("softmax_cross_entropy_1", "twice", bad.n_losses = 2; bad.losses[1] = s.loss);
    REFUSED("8", "losses", bad.n_losses = FT_MAX_LOSSES + 1);
    REFUSED("needs a loss", "training", bad.n_losses = 0; bad.n_outputs = 1; bad.outputs = &s.logits);
    REFUSED("at least one", "output", bad.n_losses = 0; bad.training = false);
    REFUSED("output 0", "not a value", bad.n_outputs = 1; bad.outputs = &late);
    REFUSED("output 0", "not a value", bad.n_outputs = 1; bad.outputs = &nothing);
    REFUSED("batch", "not 0", bad.batch = 0);
#undef REFUSED
    ck_assert_int_eq(ft_graph_status(s.g), FT_OK);
    ck_assert_int_eq(ft_compile(s.g, &good, &p), FT_OK);
    ck_assert_msg(loss_of(&s, p) == before, "the loss was %g, now %g", (double)before,
                  (double)loss_of(&s, p));
    ft_plan_free(p);
    ft_graph_free(s.g);
}
END_TEST

/* An op without a gradient may be used where nothing before it trains. */
START_TEST(op_without_gradient) {
    small s = make_small();
    ft_val relu = ft_graph_find(s.g, "relu_1");
    ft_op one_way = *ft_graph_node(s.g, 1).op;
    ck_assert_str_eq(one_way.name, "relu");
    one_way.name = "one_way";
    one_way.backward = NULL;
    ft_val x = ft_apply(s.g, &one_way, NULL, NULL, 1, &relu);
    x = ft_dense(s.g, ft_global_avgpool(s.g, x, NULL), &(ft_dense_options){.units = 3});
    ft_plan_spec spec = training_of(&s);
    spec.losses[0] = ft_softmax_cross_entropy(s.g, x, s.labels, NULL);
    expect_refusal(s.g, &spec, "one_way_1", "no gradient");
    ft_graph_freeze(s.g, relu);
    ft_plan *p;
    ck_assert_msg(ft_compile(s.g, &spec, &p) == FT_OK, "%s", ft_err_message());
    ck_assert_ptr_nonnull(ft_plan_grad(p, ft_graph_find_param(s.g, "dense_1/kernel")));
    ft_plan_free(p);
    ft_graph_freeze(s.g, FT_NONE);
    expect_refusal(s.g, &spec, "one_way_1", "no gradient");
    spec.training = false;
    ck_assert_int_eq(ft_compile(s.g, &spec, &p), FT_OK);
    ft_plan_free(p);
    ft_graph_free(s.g);
}
END_TEST

/* Plans of one graph see the same parameters; what they prepared of them follows ft_graph_touch. */
START_TEST(plans_share_parameters) {
    small s = make_small();
    ft_plan_spec spec = {.batch = 1, .n_outputs = 1, .outputs = &s.logits};
    ft_plan *a, *b;
    ck_assert_int_eq(ft_compile(s.g, &spec, &a), FT_OK);
    ck_assert_int_eq(ft_compile(s.g, &spec, &b), FT_OK);
    for (uint64_t seed = 1; seed <= 3; seed++) {
        ft_real got[2][3];
        ft_graph_init(s.g, seed);
        for (int k = 0; k < 2; k++) {
            ft_plan *p = k ? b : a;
            ft_view x = ft_plan_value(p, s.x, 1);
            for (int64_t i = 0; i < ft_rows(&x) * x.c; i++) x.p[i] = (ft_real)sin((double)i);
            ft_plan_forward(p, 1, 0);
            memcpy(got[k], ft_plan_value(p, s.logits, 1).p, sizeof got[k]);
        }
        ck_assert_mem_eq(got[0], got[1], sizeof got[0]);
    }
    ft_plan_free(a);
    ft_plan_free(b);
    ft_graph_free(s.g);
}
END_TEST

static Suite *suite(void) {
    Suite *s = suite_create(in_double ? "plan64" : "plan");
    const TTest *dags[] = {sharing, partial, accumulation, frozen, inference};
    TCase *t = tcase_create("random networks");
    tcase_set_timeout(t, 120);
    for (size_t i = 0; i < sizeof dags / sizeof *dags; i++) tcase_add_loop_test(t, dags[i], 0, ROUNDS);
    tcase_add_loop_test(t, threads, 0, ROUNDS / 3);
    tcase_add_test(t, random_networks_are_varied);
    suite_add_tcase(s, t);
    t = tcase_create("networks");
    tcase_set_timeout(t, 240);
    int n_isas = 0;
    while (ft_isa_available(n_isas)) n_isas++;
    tcase_add_loop_test(t, inception_mini_shares_and_threads, 0, n_isas);
    tcase_add_test(t, inception_v3_arena);
    tcase_add_test(t, pools_go_behind_narrower_pointwise_convolutions);
    suite_add_tcase(s, t);
    t = tcase_create("refusals");
    tcase_add_test(t, builders_are_sticky);
    tcase_add_test(t, builders_say_what_is_wrong);
    tcase_add_test(t, bad_plans_are_refused);
    tcase_add_test(t, op_without_gradient);
    tcase_add_test(t, plans_share_parameters);
    suite_add_tcase(s, t);
    return s;
}

int main(void) {
    SRunner *runner = srunner_create(suite());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

/* Plans that are fed a value from outside: with what the plan of its prefix gives, a training step leaves the
 * same bits as in one plan for all. */
#include "tensor/kernels.h"
#include "tensor/par.h"
#include "tests/plan_dag.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 5, SEED = 3 };

static ft_plan *compile(ft_graph *g, const ft_plan_spec *spec) {
    ft_plan *p;
    ck_assert_msg(ft_compile(g, spec, &p) == FT_OK, "%s", ft_err_message());
    return p;
}

static void copy(const ft_view *from, const ft_view *to) {
    ck_assert_int_eq(ft_rows(from), ft_rows(to));
    for (int64_t r = 0; r < ft_rows(from); r++)
        memcpy(to->p + r * to->ld, from->p + r * from->ld, (size_t)from->c * sizeof *to->p);
}

static dag_record step_of(dag *d, ft_plan *p, double *loss) {
    dag_feed(d, p, BATCH, SEED);
    ft_plan_forward(p, BATCH, SEED);
    ft_plan_backward(p, 1, false);
    *loss = (double)*ft_plan_value(p, d->losses[0], BATCH).p;
    return dag_gradients(d, p);
}

static const char *const cuts[] = {"mixed0", "mixed2", "conv2d_9", "activation_4", "maxpool_2", "avg_pool"};

START_TEST(a_step_from_fed_features_is_the_whole_step) {
    ft_threads_set(1);
    dag d;
    dag_make_net(&d, "inception_mini", 28, 0.3f, 5);
    dag_reset(&d);
    ft_val cut = ft_graph_find(d.g, cuts[_i]);
    ck_assert_msg(cut.id > 0, "there is no node %s", cuts[_i]);
    ft_graph_freeze(d.g, cut);
    d.n_outputs = 0;
    ft_plan *whole = dag_compile(&d, BATCH, true, false);
    ft_plan *prefix = compile(d.g, &(ft_plan_spec){.batch = 2, .n_outputs = 1, .outputs = &cut});
    ft_plan *fed = compile(d.g, &(ft_plan_spec){.batch = BATCH,
                                                .training = true,
                                                .n_losses = 1,
                                                .losses = {d.losses[0]},
                                                .loss_weights = {1},
                                                .n_fed = 1,
                                                .fed = &cut});
    ck_assert_int_lt(ft_plan_get_stats(fed).forward_steps, ft_plan_get_stats(whole).forward_steps);
    if (cuts[_i][0] == 'm' && cuts[_i][1] == 'i') /* where everything goes through the cut */
        ck_assert_ptr_null(ft_plan_value(fed, d.image, BATCH).p);
    double loss, fed_loss;
    dag_record want = step_of(&d, whole, &loss);
    ft_view all = ft_plan_value(whole, d.image, BATCH), images = ft_plan_value(prefix, d.image, 1),
            made = ft_plan_value(prefix, cut, 1), given = ft_plan_value(fed, cut, BATCH);
    for (int32_t i = 0; i < BATCH; i++) { /* one by one: what a sample gives does not depend on the batch */
        ft_view from = all, to = given;
        from.n = to.n = 1;
        from.p += i * (ft_rows(&all) / BATCH) * all.ld;
        to.p += i * (ft_rows(&given) / BATCH) * given.ld;
        copy(&from, &images);
        ft_plan_forward(prefix, 1, 0);
        copy(&made, &to);
    }
    dag_expect(&d, cuts[_i], step_of(&d, fed, &fed_loss), &want, 0);
    ck_assert_msg(fed_loss == loss, "the loss is %.9g, not %.9g", fed_loss, loss);
    dag_expect(&d, "again, of the same features", step_of(&d, fed, &fed_loss), &want, 0);
    dag_record_free(&want);
    ft_plan_free(whole);
    ft_plan_free(prefix);
    ft_plan_free(fed);
    dag_free(&d);
}
END_TEST

static void expect_refusal(dag *d, ft_val fed, const char *why) {
    ft_plan_spec spec = {.batch = 2,
                         .training = true,
                         .n_losses = 1,
                         .losses = {d->losses[0]},
                         .loss_weights = {1},
                         .n_fed = 1,
                         .fed = &fed};
    ft_plan *p = (ft_plan *)&p;
    ck_assert_msg(ft_compile(d->g, &spec, &p) == FT_E_GRAPH && !p, "'%s' was not refused", why);
    ck_assert_msg(strstr(ft_err_message(), why), "'%s' has no '%s'", ft_err_message(), why);
}

START_TEST(what_cannot_be_fed_is_refused) {
    dag d;
    dag_make_net(&d, "inception_mini", 28, 0.3f, 5);
    ft_graph_freeze(d.g, ft_graph_find(d.g, "mixed0"));
    expect_refusal(&d, ft_graph_find(d.g, "mixed2"),
                   "mixed2 is fed, yet something before it is to be trained");
    expect_refusal(&d, d.image, "made by no node");
    expect_refusal(&d, (ft_val){0}, "made by no node");
    expect_refusal(&d, d.losses[0], "is a loss");
    dag_free(&d);
}
END_TEST

int main(void) {
    Suite *s = suite_create("plan_fed");
    TCase *t = tcase_create("plan_fed");
    tcase_set_timeout(t, 600);
    tcase_add_loop_test(t, a_step_from_fed_features_is_the_whole_step, 0, sizeof cuts / sizeof *cuts);
    tcase_add_test(t, what_cannot_be_fed_is_refused);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

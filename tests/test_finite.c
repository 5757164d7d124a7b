/* Numbers that are none are found and named: in weights, gradients, and the first node that makes them; a
 * step can be undone.
 */
#include "tests/train_testing.h"
#include "train/finite.h"

#include <math.h>

static ft_config config;
static ft_run run;

static void setup(void) {
    tool_setup();
    make_faces();
    const char text[] = "data: {path: faces, image: {size: 28, channels: 1}}\n"
                        "model: {arch: inception_mini, width: 0.25}\n"
                        "train: {batch: 4, optimizer: {name: sgd}}\n"
                        "output: run\n";
    ft_config_defaults(&config);
    ck_assert_int_eq(ft_config_parse(text, sizeof text - 1, "text", &config), FT_OK);
    ck_assert_int_eq(ft_config_check(&config), FT_OK);
    ft_config_resolve(&config);
    ck_assert_msg(ft_run_setup(&run, &config) == FT_OK, "%s", ft_err_message());
    ck_assert_msg(ft_phase_begin(&run) == FT_OK, "%s", ft_err_message());
}

static void teardown(void) {
    ft_run_free(&run);
    tool_teardown();
}

static void feed(float value) {
    ft_view x = ft_plan_value(run.phase.plan, run.model->input, 4),
            labels = ft_plan_value(run.phase.plan, run.labels, 4);
    for (int64_t i = 0; i < ft_rows(&x) * x.c; i++) x.p[i] = (float)(i % 7) / 7;
    for (int i = 0; i < 4; i++) labels.p[i] = (float)(i % 3);
    x.p[1000] = value;
    ft_plan_forward(run.phase.plan, 4, 1);
}

START_TEST(all_finite) {
    static float x[200000];
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    static const int64_t at[] = {0, 1, 65535, 65536, 131071, 199999};
    for (int64_t i = 0; i < 200000; i++) x[i] = i % 3 ? 3e38f : -1e-40f;
    for (int64_t n = 199990; n <= 200000; n++) ck_assert(ft_all_finite(x, n));
    ck_assert(ft_all_finite(x, 0));
    for (int b = 0; b < 3; b++)
        for (int k = 0; k < 6; k++) {
            float kept = x[at[k]];
            x[at[k]] = bad[b];
            ck_assert(!ft_all_finite(x, 200000));
            ck_assert(ft_all_finite(x, at[k]));
            x[at[k]] = kept;
        }
}
END_TEST

START_TEST(the_first_bad_one_is_named) {
    feed(0.5f);
    ft_plan_backward(run.phase.plan, 1, false);
    ck_assert_int_eq(ft_finite_parameters(&run), FT_OK);
    ck_assert_int_eq(ft_finite_gradients(&run), FT_OK);
    for (int32_t i = 0; i < run.state.n_optim_params; i += 5) {
        ft_param *p = run.state.optim_params[i];
        int64_t last = ft_shape_size(p->shape) - 1;
        float kept = run.phase.grads[i][last];
        run.phase.grads[i][last] = NAN;
        ck_assert_int_eq(ft_finite_gradients(&run), FT_E_NUMERIC);
        ck_assert_msg(strstr(ft_err_message(), p->name) && strstr(ft_err_message(), "gradient"), "%s",
                      ft_err_message());
        run.phase.grads[i][last] = kept;
        kept = p->p[last];
        p->p[last] = INFINITY;
        ck_assert_int_eq(ft_finite_blame(&run, 4, 1), FT_E_NUMERIC);
        ck_assert_msg(strstr(ft_err_message(), p->name) && !strstr(ft_err_message(), "output"), "%s",
                      ft_err_message());
        p->p[last] = kept;
    }
}
END_TEST

START_TEST(the_first_bad_node_is_named) {
    feed(INFINITY);
    ck_assert(!isfinite(*ft_plan_value(run.phase.plan, run.phase.loss, 4).p));
    ck_assert_int_eq(ft_finite_blame(&run, 4, 1), FT_E_NUMERIC);
    ck_assert_msg(strstr(ft_err_message(), "'conv2d_1'") || strstr(ft_err_message(), "batch_normalization_1"),
                  "%s", ft_err_message());
}
END_TEST

START_TEST(statistics_come_back) {
    ft_statistics s = {0};
    const ft_param *mean = ft_graph_find_param(run.model->g, "batch_normalization_3/moving_mean");
    ck_assert_ptr_nonnull(mean);
    float before = mean->p[0];
    ck_assert_int_eq(ft_statistics_keep(&s, &run), FT_OK);
    feed(0.5f);
    ck_assert(mean->p[0] != before);
    ft_statistics_restore(&s, &run);
    ck_assert(mean->p[0] == before);
    ft_statistics_free(&s);
}
END_TEST

int main(void) {
    Suite *s = suite_create("finite");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, all_finite);
    tcase_add_test(t, the_first_bad_one_is_named);
    tcase_add_test(t, the_first_bad_node_is_named);
    tcase_add_test(t, statistics_come_back);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

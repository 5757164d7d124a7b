/* Schedules against PyTorch's (golden/make_optim.py), and where those have no say against the formula. */
#include "optim/schedule.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_STEPS = 128 };

static bool near(double got, double want) {
    return fabs(got - want) <= 1e-12 + 1e-11 * fabs(want);
}

static void read_numbers(FILE *f, int n, double out[]) {
    int got = 0;
    while (got < n && fscanf(f, "%lf", &out[got]) == 1) got++;
    ck_assert_int_eq(got, n);
}

static void check_stateless(FILE *f, ft_schedule s, const char *label) {
    double v[9], want[MAX_STEPS];
    read_numbers(f, 9, v);
    s.warmup_epochs = v[0];
    s.step_epochs = v[1];
    s.gamma = v[2];
    s.staircase = v[3] > 0;
    s.power = v[4];
    s.final_lr = v[5];
    const int per_epoch = (int)v[7], n = (int)v[8];
    ck_assert_int_le(n, MAX_STEPS);
    ck_assert_int_eq(ft_schedule_check(&s), FT_OK);
    read_numbers(f, n, want);
    for (int i = 0; i < n; i++) {
        double lr = ft_schedule_lr(&s, v[6], i, per_epoch, n, NULL);
        ck_assert_msg(near(lr, want[i]), "%s, step %d: %.17g, not %.17g", label, i, lr, want[i]);
    }
}

static void check_plateau(FILE *f, ft_schedule s, const char *label) {
    double v[7], metrics[MAX_STEPS], want[MAX_STEPS];
    read_numbers(f, 7, v);
    s.higher_is_better = v[0] > 0;
    s.patience = (int32_t)v[1];
    s.min_delta = v[2];
    s.gamma = v[3];
    s.final_lr = v[4];
    const int n = (int)v[6];
    ck_assert_int_le(n, MAX_STEPS);
    read_numbers(f, n, metrics);
    read_numbers(f, n, want);
    ft_plateau p = ft_plateau_start(&s);
    ck_assert(near(ft_schedule_lr(&s, v[5], 0, 1, n, &p), v[5]));
    int reductions = 0;
    for (int i = 0; i < n; i++) {
        double before = p.factor;
        bool reduced = ft_plateau_update(&p, &s, metrics[i]);
        ck_assert_int_eq(reduced, p.factor < before);
        reductions += reduced;
        double lr = ft_schedule_lr(&s, v[5], i, 1, n, &p);
        ck_assert_msg(near(lr, want[i]), "%s, epoch %d: %.17g, not %.17g", label, i, lr, want[i]);
    }
    ck_assert_int_gt(reductions, 1);
}

START_TEST(learning_rates_are_pytorchs) {
    FILE *f = fopen("tests/golden/optim_schedule.txt", "r");
    ck_assert_msg(f != NULL, "run from the root of the tree");
    char label[64], kind[64];
    int n_cases = 0;
    for (; fscanf(f, "%63s %63s", label, kind) == 2; n_cases++) {
        ft_schedule s = ft_schedule_defaults();
        ck_assert_int_eq(ft_schedule_kind_parse(kind, &s.kind), FT_OK);
        if (s.kind == FT_SCHEDULE_PLATEAU)
            check_plateau(f, s, label);
        else
            check_stateless(f, s, label);
    }
    ck_assert_int_eq(n_cases, 13);
    fclose(f);
}
END_TEST

START_TEST(closed_forms) {
    ft_schedule s = ft_schedule_defaults();
    for (int i = 0; i < 50; i++) ck_assert(ft_schedule_lr(&s, 0.3, i, 7, 50, NULL) == 0.3);

    s.kind = FT_SCHEDULE_POLYNOMIAL; /* a straight line from 0.5 to 0.1 */
    s.final_lr = 0.1;
    for (int i = 0; i <= 40; i++) ck_assert(near(ft_schedule_lr(&s, 0.5, i, 4, 40, NULL), 0.5 - 0.01 * i));

    s.kind = FT_SCHEDULE_COSINE;
    ck_assert(near(ft_schedule_lr(&s, 0.5, 20, 4, 40, NULL), 0.3));
    ck_assert(near(ft_schedule_lr(&s, 0.5, 10, 4, 40, NULL), 0.1 + 0.2 * (1 + sqrt(0.5))));

    s.kind = FT_SCHEDULE_EXPONENTIAL; /* the paper's: 0.94 every two epochs */
    s.gamma = 0.94;
    s.step_epochs = 2;
    ck_assert(near(ft_schedule_lr(&s, 0.045, 15, 10, 1000, NULL), 0.045 * pow(0.94, 0.75)));
    s.staircase = true;
    ck_assert(ft_schedule_lr(&s, 0.045, 19, 10, 1000, NULL) == 0.045);
    ck_assert(near(ft_schedule_lr(&s, 0.045, 20, 10, 1000, NULL), 0.045 * 0.94));
    s.step_epochs = 0.5; /* a period may be less than an epoch */
    ck_assert(near(ft_schedule_lr(&s, 0.045, 14, 10, 1000, NULL), 0.045 * 0.94 * 0.94));
}
END_TEST

START_TEST(cosine_and_polynomial_end_at_final) {
    static const ft_schedule_kind kinds[] = {FT_SCHEDULE_COSINE, FT_SCHEDULE_POLYNOMIAL};
    for (int k = 0; k < 2; k++) {
        ft_schedule s = ft_schedule_defaults();
        s.kind = kinds[k];
        s.final_lr = 0.02;
        s.warmup_epochs = 1;
        ck_assert(ft_schedule_lr(&s, 0.5, 99, 10, 100, NULL) > 0.02);
        for (int i = 100; i < 130; i++) ck_assert(near(ft_schedule_lr(&s, 0.5, i, 10, 100, NULL), 0.02));
        /* nothing but warm-up, and then as long again */
        for (int i = 0; i < 10; i++)
            ck_assert(near(ft_schedule_lr(&s, 0.5, i, 10, 10, NULL), 0.05 * (i + 1)));
        ck_assert(near(ft_schedule_lr(&s, 0.5, 10, 10, 10, NULL), 0.02));
        ck_assert(near(ft_schedule_lr(&s, 0.5, 0, 10, 5, NULL), 0.05));
    }
}
END_TEST

START_TEST(warmup_goes_in_front_of_any_schedule) {
    ft_plateau p = {.factor = 0.25};
    for (int kind = FT_SCHEDULE_CONSTANT; kind <= FT_SCHEDULE_PLATEAU; kind++) {
        ft_schedule plain = ft_schedule_defaults();
        plain.kind = (ft_schedule_kind)kind;
        plain.step_epochs = 2;
        plain.gamma = 0.5;
        ft_schedule warm = plain;
        warm.warmup_epochs = 1.25; /* 12.5 steps: 13 */
        for (int i = 0; i < 13; i++)
            ck_assert(near(ft_schedule_lr(&warm, 0.1, i, 10, 113, &p), 0.1 * (i + 1) / 13));
        for (int i = 13; i < 113; i++)
            ck_assert(near(ft_schedule_lr(&warm, 0.1, i, 10, 113, &p),
                           ft_schedule_lr(&plain, 0.1, i - 13, 10, 100, &p)));
    }
}
END_TEST

START_TEST(plateau_knows_nan_and_its_floor) {
    ft_schedule s = ft_schedule_defaults();
    s.kind = FT_SCHEDULE_PLATEAU;
    s.patience = 1;
    ft_plateau p = ft_plateau_start(&s);
    ck_assert(!ft_plateau_update(&p, &s, NAN));
    ck_assert(ft_plateau_update(&p, &s, NAN));
    ck_assert(!ft_plateau_update(&p, &s, 3)); /* the first number is an improvement on none */
    ck_assert(p.best == 3 && p.bad_epochs == 0 && near(p.factor, 0.1));
    s.final_lr = 0.05;
    ck_assert(near(ft_schedule_lr(&s, 0.2, 0, 1, 10, &p), 0.05));
    s.final_lr = 0.5; /* a floor above the base never raises it */
    ck_assert(near(ft_schedule_lr(&s, 0.2, 0, 1, 10, &p), 0.2));

    ft_plateau restored = p; /* all there is to save */
    for (int i = 0; i < 7; i++) {
        double metric = 3 + i % 3 - 1.0 * i;
        ck_assert_int_eq(ft_plateau_update(&p, &s, metric), ft_plateau_update(&restored, &s, metric));
    }
    ck_assert(p.factor == restored.factor && p.best == restored.best && p.bad_epochs == restored.bad_epochs);
}
END_TEST

START_TEST(plateau_wants_more_than_min_delta) {
    for (int sign = -1; sign <= 1; sign += 2) {
        ft_schedule s = ft_schedule_defaults();
        s.kind = FT_SCHEDULE_PLATEAU;
        s.patience = 100;
        s.min_delta = 0.5;
        s.higher_is_better = sign > 0;
        ft_plateau p = ft_plateau_start(&s);
        static const double gains[] = {0, 0.25, 0.5, 0.75, 0.75, 1.5};
        static const double bests[] = {0, 0, 0, 0.75, 0.75, 1.5};
        static const int32_t bad[] = {0, 1, 2, 0, 1, 0};
        for (int i = 0; i < 6; i++) {
            ck_assert(!ft_plateau_update(&p, &s, sign * gains[i]));
            ck_assert(p.best == sign * bests[i] && p.bad_epochs == bad[i]);
        }
    }
}
END_TEST

START_TEST(wrong_options_are_refused) {
    static const struct {
        size_t at;
        double value;
        const char *word;
    } wrong[] = {{offsetof(ft_schedule, warmup_epochs), -1, "warm-up"},
                 {offsetof(ft_schedule, step_epochs), 0, "period"},
                 {offsetof(ft_schedule, gamma), 0, "gamma"},
                 {offsetof(ft_schedule, gamma), 1.1, "gamma"},
                 {offsetof(ft_schedule, power), NAN, "power"},
                 {offsetof(ft_schedule, final_lr), -1e-3, "final"},
                 {offsetof(ft_schedule, min_delta), INFINITY, "delta"}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        ft_schedule s = ft_schedule_defaults();
        ck_assert_int_eq(ft_schedule_check(&s), FT_OK);
        memcpy((char *)&s + wrong[i].at, &wrong[i].value, sizeof(double));
        ck_assert_int_eq(ft_schedule_check(&s), FT_E_USAGE);
        ck_assert_msg(strstr(ft_err_message(), wrong[i].word) != NULL, "%s", ft_err_message());
    }
    ft_schedule s = ft_schedule_defaults();
    s.patience = -1;
    ck_assert_int_eq(ft_schedule_check(&s), FT_E_USAGE);
    ft_schedule_kind kind = FT_SCHEDULE_STEP;
    ck_assert_int_eq(ft_schedule_kind_parse("linear", &kind), FT_E_USAGE);
    ck_assert_int_eq(kind, FT_SCHEDULE_STEP);
    ck_assert_msg(strstr(ft_err_message(), "\"linear\"") != NULL, "%s", ft_err_message());
}
END_TEST

int main(void) {
    Suite *suite = suite_create("schedule");
    TCase *tc = tcase_create("schedule");
    suite_add_tcase(suite, tc);
    tcase_add_test(tc, learning_rates_are_pytorchs);
    tcase_add_test(tc, closed_forms);
    tcase_add_test(tc, cosine_and_polynomial_end_at_final);
    tcase_add_test(tc, warmup_goes_in_front_of_any_schedule);
    tcase_add_test(tc, plateau_knows_nan_and_its_floor);
    tcase_add_test(tc, plateau_wants_more_than_min_delta);
    tcase_add_test(tc, wrong_options_are_refused);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}

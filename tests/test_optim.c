/* Optimisers against PyTorch's trajectories (golden/make_optim.py), clipping, refusal of bad gradients,
 * threads, resuming, and the average of the weights. In the double build the comparisons are as sharp as the
 * golden data's 13 digits.
 */
#include "optim/ema.h"
#include "optim/optim_state.h"
#include "tensor/par.h"

#include <check.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_PARAMS = 3, MAX_STEPS = 32, MAX_NUMBERS = 64 };
static const double tolerance = sizeof(ft_real) == sizeof(float) ? 1e-6 : 1e-11;

/* ---- golden trajectories ---- */

typedef struct golden {
    FILE *file;
    int n[N_PARAMS], total, steps;
    double start[MAX_NUMBERS], grads[MAX_STEPS][MAX_NUMBERS];
} golden;

typedef struct golden_case {
    char label[64], optimizer[64];
    ft_optim_options options;
    double lr, grad_scale, multiplier, norms[MAX_STEPS];
} golden_case;

static void read_numbers(FILE *f, int n, double out[]) {
    int got = 0;
    while (got < n && fscanf(f, "%lf", &out[got]) == 1) got++;
    ck_assert_int_eq(got, n);
}

static golden open_golden(void) {
    golden d = {.file = fopen("tests/golden/optim.txt", "r")};
    ck_assert_msg(d.file != NULL, "run from the root of the tree");
    for (int i = 0; i < N_PARAMS; i++) {
        ck_assert_int_eq(fscanf(d.file, "%d", &d.n[i]), 1);
        d.total += d.n[i];
    }
    ck_assert_int_eq(fscanf(d.file, "%d", &d.steps), 1);
    ck_assert(d.total <= MAX_NUMBERS && d.steps <= MAX_STEPS);
    read_numbers(d.file, d.total, d.start);
    for (int t = 0; t < d.steps; t++) read_numbers(d.file, d.total, d.grads[t]);
    return d;
}

static bool next_case(const golden *d, golden_case *c) {
    double v[12];
    if (fscanf(d->file, "%63s %63s", c->label, c->optimizer) != 2) return false;
    read_numbers(d->file, 12, v);
    c->options = (ft_optim_options){.hyper = {.momentum = v[1],
                                              .nesterov = v[2] > 0,
                                              .rho = v[3],
                                              .epsilon = v[4],
                                              .beta1 = v[5],
                                              .beta2 = v[6],
                                              .weight_decay = v[7]},
                                    .clip_value = v[8],
                                    .clip_norm = v[9]};
    c->lr = v[0];
    c->grad_scale = v[10];
    c->multiplier = v[11];
    read_numbers(d->file, d->steps, c->norms);
    return true;
}

static void check_case(const golden *d, const golden_case *c) {
    ft_real w[MAX_NUMBERS], g[MAX_NUMBERS];
    for (int i = 0; i < d->total; i++) w[i] = (ft_real)(float)d->start[i];
    const int second = d->n[0], third = d->n[0] + d->n[1];
    const ft_optim_param params[N_PARAMS] = {{"kernel", w, d->n[0], true, 1},
                                             {"bias", w + second, d->n[1], false, 1},
                                             {"head", w + third, d->n[2], true, c->multiplier}};
    const ft_real *grads[N_PARAMS] = {g, g + second, g + third};
    const ft_optimizer *optimizer = ft_optimizer_find(c->optimizer);
    ck_assert_msg(optimizer != NULL, "%s", c->optimizer);
    ft_optim_state *s;
    ck_assert_msg(ft_optim_new(optimizer, &c->options, N_PARAMS, params, &s) == FT_OK, "%s",
                  ft_err_message());

    int shown = 0, at = 0;
    ck_assert_int_eq(fscanf(d->file, "%d", &at), 1);
    for (int t = 0; t < d->steps; t++) {
        for (int i = 0; i < d->total; i++) g[i] = (ft_real)(float)d->grads[t][i];
        double norm, lr = c->lr * pow(0.5, t / 9);
        ck_assert_int_eq(ft_optim_step(s, grads, lr, c->grad_scale, &norm), FT_OK);
        ck_assert_int_eq(ft_optim_steps(s), t + 1);
        ck_assert_msg(fabs(norm - c->norms[t]) <= tolerance * c->norms[t],
                      "%s, step %d: norm %.17g, not %.17g", c->label, t + 1, norm, c->norms[t]);
        if (t + 1 != at) continue;
        double want[MAX_NUMBERS];
        read_numbers(d->file, d->total, want);
        for (int i = 0; i < d->total; i++)
            ck_assert_msg(fabs(w[i] - want[i]) <= tolerance * fmax(fabs(want[i]), 0.5),
                          "%s, step %d, weight %d: %.17g, not %.17g", c->label, at, i, (double)w[i], want[i]);
        if (++shown < 3) ck_assert_int_eq(fscanf(d->file, "%d", &at), 1);
    }
    ck_assert_int_eq(shown, 3);
    ft_optim_free(s);
}

START_TEST(trajectories_are_pytorchs) {
    golden d = open_golden();
    golden_case c;
    int n_cases = 0;
    for (; next_case(&d, &c); n_cases++) check_case(&d, &c);
    ck_assert_int_eq(n_cases, 19);
    fclose(d.file);
}
END_TEST

/* ---- a larger set of parameters ---- */

enum {
    SIZE_A = 70007,
    SIZE_B = 4096,
    SIZE_C = 1,
    SIZE_D = 30000,
    N_SET = 4,
    SET_TOTAL = SIZE_A + SIZE_B + SIZE_C + SIZE_D
};

typedef struct set {
    ft_real *w, *g; /* SET_TOTAL each */
    ft_optim_param params[N_SET];
    const ft_real *grads[N_SET];
} set;

static const ft_optim_options all_on = {.hyper = {.momentum = 0.9,
                                                  .nesterov = true,
                                                  .rho = 0.9,
                                                  .epsilon = 1e-3,
                                                  .beta1 = 0.9,
                                                  .beta2 = 0.99,
                                                  .weight_decay = 0.01},
                                        .clip_value = 0.8,
                                        .clip_norm = 20};

static ft_real wave(int64_t i, int64_t t) {
    return (ft_real)sin(0.37 * (double)i + 1.9 * (double)t);
}

static set new_set(void) {
    static const int sizes[N_SET] = {SIZE_A, SIZE_B, SIZE_C, SIZE_D};
    static const char *const names[N_SET] = {"a", "b", "c", "d"};
    set s = {.w = ft_alloc(SET_TOTAL, sizeof(ft_real)), .g = ft_alloc(SET_TOTAL, sizeof(ft_real))};
    ck_assert(s.w && s.g);
    for (int64_t i = 0; i < SET_TOTAL; i++) s.w[i] = wave(i, -1);
    int at = 0;
    for (int k = 0; k < N_SET; at += sizes[k++]) {
        s.params[k] = (ft_optim_param){names[k], s.w + at, sizes[k], k != 2, k == 3 ? 0.5 : 1};
        s.grads[k] = s.g + at;
    }
    return s;
}

static void free_set(set *s) {
    free(s->w);
    free(s->g);
}

static ft_optim_state *new_state(const ft_optimizer *optimizer, const ft_optim_options *options,
                                 const set *x) {
    ft_optim_state *s;
    ck_assert_msg(ft_optim_new(optimizer, options, N_SET, x->params, &s) == FT_OK, "%s", ft_err_message());
    return s;
}

static double run_steps(ft_optim_state *s, set *x, int64_t from, int64_t to) {
    double norm = 0;
    for (int64_t t = from; t < to; t++) {
        for (int64_t i = 0; i < SET_TOTAL; i++) x->g[i] = wave(i, t);
        ck_assert_int_eq(ft_optim_step(s, x->grads, 0.01, 0.5, &norm), FT_OK);
    }
    return norm;
}

static void assert_same(const ft_real *a, const ft_real *b, int64_t n, const char *what) {
    ck_assert_msg(memcmp(a, b, (size_t)n * sizeof *a) == 0, "%s differ in their bits", what);
}

START_TEST(any_number_of_threads_gives_the_same_bits) {
    const ft_optimizer *optimizer = ft_optimizer_at(_i);
    set x[3];
    double norms[3];
    for (int k = 0; k < 3; k++) {
        ft_threads_set(k + 1);
        x[k] = new_set();
        ft_optim_state *s = new_state(optimizer, &all_on, &x[k]);
        norms[k] = run_steps(s, &x[k], 0, 3);
        ft_optim_free(s);
        assert_same(x[k].w, x[0].w, SET_TOTAL, optimizer->name);
        ck_assert(norms[k] == norms[0]);
    }
    ck_assert(memcmp(x[0].w, (ft_real[1]){wave(0, -1)}, sizeof(ft_real)) != 0);
    for (int k = 0; k < 3; k++) free_set(&x[k]);
}
END_TEST

/* A step over stretches is one call of the descriptor over the whole parameter. */
START_TEST(stretches_leave_no_seams) {
    const ft_optimizer *optimizer = ft_optimizer_at(_i);
    set x = new_set(), y = new_set();
    ft_optim_options options = all_on;
    options.clip_value = options.clip_norm = 0;
    ft_optim_state *s = new_state(optimizer, &options, &x);
    ft_real *slots[FT_MAX_SLOTS] = {0};
    for (int k = 0; k < optimizer->n_slots; k++) {
        slots[k] = ft_alloc(SIZE_A, sizeof(ft_real));
        for (int i = 0; i < SIZE_A; i++) slots[k][i] = (ft_real)optimizer->slot_init[k];
    }
    ft_hyper hyper = options.hyper;
    hyper.lr = 0.02;
    for (int t = 0; t < 2; t++) {
        for (int64_t i = 0; i < SET_TOTAL; i++) x.g[i] = wave(i, t);
        ck_assert_int_eq(ft_optim_step(s, x.grads, hyper.lr, 1, NULL), FT_OK);
        ft_update u = {
            .w = y.w, .g = x.g, .slot = {slots[0], slots[1]}, .n = SIZE_A, .hyper = &hyper, .t = t + 1};
        optimizer->update(&u);
    }
    assert_same(x.w, y.w, SIZE_A, "weights");
    for (int k = 0; k < optimizer->n_slots; k++) {
        assert_same(ft_optim_slot(s, 0, k), slots[k], SIZE_A, optimizer->slot_names[k]);
        free(slots[k]);
    }
    ft_optim_free(s);
    free_set(&x);
    free_set(&y);
}
END_TEST

START_TEST(a_resumed_state_goes_on_with_the_same_bits) {
    const ft_optimizer *optimizer = ft_optimizer_at(_i);
    set x = new_set(), y = new_set();
    ft_optim_state *straight = new_state(optimizer, &all_on, &x);
    run_steps(straight, &x, 0, 6);

    ft_optim_state *first = new_state(optimizer, &all_on, &y);
    run_steps(first, &y, 0, 3);
    ft_optim_state *second = new_state(optimizer, &all_on, &y);
    ck_assert_ptr_eq(ft_optim_optimizer(second), optimizer);
    ck_assert_int_eq(ft_optim_n_slots(second), optimizer->n_slots);
    for (int i = 0; i < N_SET; i++)
        for (int k = 0; k < optimizer->n_slots; k++)
            memcpy(ft_optim_slot(second, i, k), ft_optim_slot(first, i, k),
                   (size_t)y.params[i].n * sizeof(ft_real));
    ft_optim_set_steps(second, ft_optim_steps(first));
    ft_optim_free(first);
    run_steps(second, &y, 3, 6);
    assert_same(x.w, y.w, SET_TOTAL, "weights");
    ck_assert_int_eq(ft_optim_steps(second), 6);

    ft_optim_free(straight);
    ft_optim_free(second);
    free_set(&x);
    free_set(&y);
}
END_TEST

/* ---- refusals ---- */

START_TEST(a_gradient_that_is_not_finite_changes_nothing) {
    static const struct {
        int64_t at;
        double value, scale;
        const char *name;
    } bad[] = {{5, NAN, 1, "of a holds"},
               {SIZE_A + SIZE_B - 1, INFINITY, 1, "of b holds"},
               {SIZE_A + SIZE_B, -INFINITY, 1, "of c holds"},
               {SIZE_A + SIZE_B + SIZE_C + 20000, -NAN, 1, "of d holds"},
               {SET_TOTAL - 1, sizeof(ft_real) == 4 ? FLT_MAX : DBL_MAX, 2, "of d holds"}};
    const ft_optimizer *optimizer = ft_optimizer_at(_i);
    set x = new_set(), y = new_set();
    ft_optim_state *s = new_state(optimizer, &all_on, &x), *never = new_state(optimizer, &all_on, &y);
    run_steps(s, &x, 0, 1);
    run_steps(never, &y, 0, 1);
    for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++) {
        double norm = 7;
        for (int64_t i = 0; i < SET_TOTAL; i++) x.g[i] = wave(i, 9);
        x.g[SET_TOTAL - 1] =
            k == 0 ? (ft_real)NAN : x.g[SET_TOTAL - 1]; /* the first bad one is the one named */
        x.g[bad[k].at] = (ft_real)bad[k].value;
        ck_assert_int_eq(ft_optim_step(s, x.grads, 0.01, bad[k].scale, &norm), FT_E_NUMERIC);
        ck_assert_msg(strstr(ft_err_message(), bad[k].name) != NULL, "%s", ft_err_message());
        ck_assert(norm == 7);
        ck_assert_int_eq(ft_optim_steps(s), 1);
        assert_same(x.w, y.w, SET_TOTAL, "weights");
    }
    run_steps(s, &x, 1, 3);
    run_steps(never, &y, 1, 3);
    assert_same(x.w, y.w, SET_TOTAL, "weights after going on");
    ft_optim_free(s);
    ft_optim_free(never);
    free_set(&x);
    free_set(&y);
}
END_TEST

START_TEST(wrong_settings_are_refused) {
    set x = new_set();
    ft_optim_state *s = NULL;
    static const ft_optim_options wrong[] = {{.hyper = {.momentum = 1}},
                                             {.hyper = {.momentum = -0.1}},
                                             {.hyper = {.rho = 1}},
                                             {.hyper = {.beta1 = 1.5}},
                                             {.hyper = {.beta2 = NAN}},
                                             {.hyper = {.epsilon = -1e-9}},
                                             {.hyper = {.weight_decay = -1e-4}},
                                             {.clip_value = -1},
                                             {.clip_norm = INFINITY},
                                             {.hyper = {.nesterov = true}}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        s = (ft_optim_state *)&x;
        ck_assert_msg(ft_optim_new(&ft_opt_sgd, &wrong[i], N_SET, x.params, &s) == FT_E_USAGE, "setting %zu",
                      i);
        ck_assert_ptr_null(s);
    }
    ck_assert_int_eq(ft_optim_new(&ft_opt_sgd, &all_on, 0, x.params, &s), FT_E_USAGE);
    x.params[1].lr_multiplier = -1;
    ck_assert_int_eq(ft_optim_new(&ft_opt_sgd, &all_on, N_SET, x.params, &s), FT_E_USAGE);
    ck_assert_msg(strstr(ft_err_message(), "of b is -1") != NULL, "%s", ft_err_message());
    x.params[1].lr_multiplier = 1;

    s = new_state(&ft_opt_sgd, &all_on, &x);
    static const double rates[][2] = {{NAN, 1}, {-0.1, 1}, {INFINITY, 1}, {0.1, 0}, {0.1, -1}, {0.1, NAN}};
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++)
        ck_assert_int_eq(ft_optim_step(s, x.grads, rates[i][0], rates[i][1], NULL), FT_E_USAGE);
    ck_assert_int_eq(ft_optim_steps(s), 0);
    ft_optim_free(s);
    ft_optim_free(NULL);
    free_set(&x);
}
END_TEST

START_TEST(optimizers_are_found_by_name) {
    static const char *const names[] = {"sgd", "rmsprop", "rmsprop_tf", "adam", "adamw"};
    set x = new_set();
    for (int i = 0; i < 5; i++) {
        const ft_optimizer *o = ft_optimizer_find(names[i]);
        ck_assert_ptr_eq(o, ft_optimizer_at(i));
        ck_assert_str_eq(o->name, names[i]);
        for (int k = 0; k < o->n_slots; k++) ck_assert(o->slot_names[k] && *o->slot_names[k]);
        ft_optim_options defaults = {.hyper = o->defaults};
        ck_assert(o->defaults.lr > 0);
        ft_optim_free(new_state(o, &defaults, &x));
    }
    ck_assert_ptr_null(ft_optimizer_at(5));
    ck_assert_ptr_null(ft_optimizer_at(-1));
    ck_assert_ptr_null(ft_optimizer_find("lion"));
    free_set(&x);
}
END_TEST

/* ---- average of the weights ---- */

static ft_ema *new_average(double decay, const set *x) {
    ft_ema_array arrays[N_SET];
    for (int i = 0; i < N_SET; i++) arrays[i] = (ft_ema_array){x->params[i].w, x->params[i].n};
    ft_ema *e;
    ck_assert_msg(ft_ema_new(decay, N_SET, arrays, &e) == FT_OK, "%s", ft_err_message());
    return e;
}

static void move(set *x, int64_t t) {
    for (int64_t i = 0; i < SET_TOTAL; i++) x->w[i] = wave(i, t);
}

START_TEST(average_follows_its_recurrence) {
    set x = new_set();
    ft_ema *e = new_average(0.7, &x);
    double *want = ft_alloc(SET_TOTAL, sizeof *want);
    for (int64_t i = 0; i < SET_TOTAL; i++) want[i] = x.w[i];
    for (int t = 0; t < 40; t++) {
        double d = fmin(0.7, (1.0 + t) / (10.0 + t)); /* 0.7 from t = 20 on */
        move(&x, t);
        ft_ema_update(e);
        for (int64_t i = 0; i < SET_TOTAL; i++) want[i] = d * want[i] + (1 - d) * x.w[i];
        ck_assert_int_eq(ft_ema_updates(e), t + 1);
        bool near = true;
        int64_t at = 0;
        for (int k = 0; k < N_SET; at += x.params[k++].n)
            for (int64_t i = 0; i < x.params[k].n; i++)
                near &= fabs(ft_ema_shadow(e, k)[i] - want[at + i]) <= tolerance;
        ck_assert_msg(near, "update %d", t);
    }
    free(want);
    ft_ema_free(e);
    free_set(&x);
}
END_TEST

START_TEST(average_of_what_stands_still_stands_still) {
    set x = new_set();
    ft_ema *e = new_average(0.9999, &x);
    ft_ema_set_updates(e, 1000000);
    for (int t = 0; t < 100; t++) ft_ema_update(e);
    assert_same(ft_ema_shadow(e, 0), x.w, SIZE_A, "averages of a constant");
    ft_ema_free(e);
    free_set(&x);
}
END_TEST

START_TEST(swapping_twice_restores_every_bit) {
    set x = new_set();
    ft_ema *e = new_average(0.99, &x);
    move(&x, 1);
    ft_ema_update(e);
    move(&x, 2);
    ft_real *average = ft_alloc(SIZE_D, sizeof(ft_real)), *live = ft_alloc(SET_TOTAL, sizeof(ft_real));
    memcpy(average, ft_ema_shadow(e, 3), SIZE_D * sizeof(ft_real));
    memcpy(live, x.w, SET_TOTAL * sizeof(ft_real));
    ck_assert(!ft_ema_swapped(e));
    ft_ema_swap(e);
    ck_assert(ft_ema_swapped(e));
    assert_same(x.params[3].w, average, SIZE_D, "live and average while swapped");
    assert_same(ft_ema_shadow(e, 0), live, SIZE_A, "shadow and live while swapped");
    ft_ema_swap(e);
    assert_same(x.w, live, SET_TOTAL, "live");
    assert_same(ft_ema_shadow(e, 3), average, SIZE_D, "averages");
    free(average);
    free(live);
    ft_ema_free(e);
    free_set(&x);
}
END_TEST

START_TEST(average_resumes_on_any_number_of_threads) {
    set x = new_set(), y = new_set();
    ft_threads_set(1);
    ft_ema *straight = new_average(0.95, &x);
    for (int t = 0; t < 8; t++, ft_ema_update(straight)) move(&x, t);
    ft_threads_set(3);
    ft_ema *first = new_average(0.95, &y);
    for (int t = 0; t < 5; t++, ft_ema_update(first)) move(&y, t);
    ft_ema *second = new_average(0.95, &y);
    for (int k = 0; k < N_SET; k++)
        memcpy(ft_ema_shadow(second, k), ft_ema_shadow(first, k), (size_t)y.params[k].n * sizeof(ft_real));
    ft_ema_set_updates(second, ft_ema_updates(first));
    for (int t = 5; t < 8; t++, ft_ema_update(second)) move(&y, t);
    for (int k = 0; k < N_SET; k++)
        assert_same(ft_ema_shadow(straight, k), ft_ema_shadow(second, k), x.params[k].n, "averages");
    ft_ema_free(straight);
    ft_ema_free(first);
    ft_ema_free(second);
    free_set(&x);
    free_set(&y);
}
END_TEST

START_TEST(wrong_averages_are_refused) {
    ft_real w[2] = {1, 2};
    const ft_ema_array array = {w, 2};
    ft_ema *e;
    static const double wrong[] = {1, -0.1, 2, NAN};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        e = (ft_ema *)w;
        ck_assert_int_eq(ft_ema_new(wrong[i], 1, &array, &e), FT_E_USAGE);
        ck_assert_ptr_null(e);
    }
    ck_assert_int_eq(ft_ema_new(0.9, 0, &array, &e), FT_E_USAGE);
    ft_ema_free(NULL);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("optim");
    TCase *tc = tcase_create("optim");
    tcase_set_timeout(tc, 60);
    suite_add_tcase(suite, tc);
    tcase_add_test(tc, trajectories_are_pytorchs);
    tcase_add_loop_test(tc, any_number_of_threads_gives_the_same_bits, 0, 5);
    tcase_add_loop_test(tc, stretches_leave_no_seams, 0, 5);
    tcase_add_loop_test(tc, a_resumed_state_goes_on_with_the_same_bits, 0, 5);
    tcase_add_loop_test(tc, a_gradient_that_is_not_finite_changes_nothing, 0, 5);
    tcase_add_test(tc, wrong_settings_are_refused);
    tcase_add_test(tc, optimizers_are_found_by_name);
    tcase_add_test(tc, average_follows_its_recurrence);
    tcase_add_test(tc, average_of_what_stands_still_stands_still);
    tcase_add_test(tc, swapping_twice_restores_every_bit);
    tcase_add_test(tc, average_resumes_on_any_number_of_threads);
    tcase_add_test(tc, wrong_averages_are_refused);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}

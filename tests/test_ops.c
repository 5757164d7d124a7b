/* Every op x every case x every instruction set. Built twice: test_ops in float, test_ops64 in double.
 *
 *     test_ops [NAME]      only the op of that name; CK_FORK=no runs it under a debugger
 *
 * Which checks there are, and how to add an op: tests/op_harness.h. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "layers/args.h"
#include "tests/op_harness.h"

START_TEST(op_is_testable) {
    const ft_op_entry *e = ft_op_at(_i);
    ck_assert_msg(e->oracle, "%s: there is no ft_oracle_%s (tests/op_harness.h says how to add one)", e->name,
                  e->name);
    ck_assert_msg(e->op->cases && e->op->cases[0].label, "%s: no cases", e->name);
    bool small = false, batch = false;
    for (const ft_case *row = e->op->cases; row->label; row++) {
        small |= !row->large;
        batch |= !row->large && row->in[0].n > 1;
        for (const ft_case *other = e->op->cases; other != row; other++)
            ck_assert_msg(strcmp(other->label, row->label) != 0, "%s: two cases are '%s'", e->name,
                          row->label);
    }
    ck_assert_msg(small, "%s: all cases are large, so that nothing is compared with the oracle", e->name);
    ck_assert_msg(batch, "%s: no case has more than one sample", e->name);
}
END_TEST

#define CHECKS(X)    \
    X(forward)       \
    X(extremes)      \
    X(partial_batch) \
    X(epilogue)      \
    X(moments) X(affine) X(gradient) X(adjoint) X(beta) X(needs) X(ld) X(threads) X(sharing) X(optional)

#define TEST_OF(check)              \
    START_TEST(check) {             \
        ft_job job = ft_job_at(_i); \
        ft_check_##check(&job);     \
    }                               \
    END_TEST
CHECKS(TEST_OF)

/* What the oracle cannot say: that the mask looks random. */
START_TEST(dropout_statistics) {
    enum { N = 1 << 16 };
    static const ft_dropout_args args = {0.3};
    static const ft_case row = {"statistics", {{16, 16, 16, 16}}, .args = &args};
    const ft_op_entry *entry = ft_op_entries;
    while (entry->name && strcmp(entry->name, "dropout") != 0) entry++;
    ck_assert_ptr_nonnull(entry->name);
    ft_job job = {entry, entry->op, &row, "default", false};
    ft_rig r;
    ft_rig_open(&r, &job, NULL);
    for (int e = 0; e < N; e++) r.value[0].p[e] = 1;
    double kept[2] = {0}, both = 0, neighbours = 0;
    ft_real *first = NULL;
    for (int run = 0; run < 2; run++) {
        r.call.seed = (uint64_t)run + 1;
        ft_rig_forward(&r);
        ft_real *y = ft_place_read(&r.out[0]);
        for (int e = 0; e < N; e++) {
            if (y[e] == 0) continue;
            ck_assert_msg(fabs((double)y[e] - 1 / 0.7) <= 2 * FT_EPS, "kept elements are %g", (double)y[e]);
            kept[run]++;
            both += run == 1 && first[e] != 0;
            neighbours += e > 0 && y[e - 1] != 0;
        }
        if (run == 0)
            first = y;
        else
            free(y);
    }
    free(first);
    ft_rig_close(&r);
    /* five standard deviations */
    double wide = 5 * sqrt(N * 0.7 * 0.3), pairs = 5 * sqrt(N * 0.49 * 0.51);
    for (int run = 0; run < 2; run++)
        ck_assert_msg(fabs(kept[run] - N * 0.7) <= wide, "%g of %d were kept", kept[run], N);
    ck_assert_msg(fabs(both - N * 0.49) <= pairs, "%g of %d were kept under both seeds", both, N);
    ck_assert_msg(fabs(neighbours / 2 - N * 0.49) <= pairs, "%g of %d were kept along with the one before",
                  neighbours, N);
}
END_TEST

static void add_check(Suite *s, const char *name, const TTest *check) {
    TCase *t = tcase_create(name);
    tcase_set_timeout(t, 300);
    tcase_add_loop_test(t, check, 0, ft_job_count());
    suite_add_tcase(s, t);
}

static Suite *suite(void) {
    Suite *s = suite_create(sizeof(ft_real) == 8 ? "ops64" : "ops");
    TCase *t = tcase_create("ops");
    tcase_add_loop_test(t, op_is_testable, 0, ft_op_count());
    tcase_add_test(t, dropout_statistics);
    suite_add_tcase(s, t);
#define ADD(check) add_check(s, #check, check);
    CHECKS(ADD)
#undef ADD
    return s;
}

int main(int argc, char **argv) {
    if (!ft_jobs_only(argc > 1 ? argv[1] : NULL)) {
        fprintf(stderr, "test_ops: there is no such op\n");
        return 2;
    }
    SRunner *runner = srunner_create(suite());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

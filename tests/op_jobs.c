/* The list of op tests: op x case x instruction set, flattened for Check's loop tests. With FACET_TESTS_SMALL
 * in the environment the large cases are left out, for where they take too long: under emulation. */
#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/kernels.h"
#include "tests/op_harness.h"

static const char *only;

static bool chosen(const ft_op_entry *entry) {
    return !only || strcmp(entry->name, only) == 0;
}

const ft_op_entry *ft_op_at(int i) {
    for (const ft_op_entry *e = ft_op_entries; e->name; e++)
        if (chosen(e) && i-- == 0) return e;
    return NULL;
}

int ft_op_count(void) {
    int n = 0;
    while (ft_op_at(n)) n++;
    return n;
}

bool ft_jobs_only(const char *name) {
    only = name;
    return ft_op_count() > 0;
}

/* Does ft_build.direct make a difference to the case? Other algorithms want other memory. */
static bool heeds_direct(const ft_op *op, const ft_case *row) {
    ft_mem mem[2] = {0};
    for (int direct = 0; direct < 2; direct++) {
        int32_t n = op->n_in < FT_CASE_IN ? op->n_in : FT_CASE_IN;
        ft_build b = {row->in, n, row->args, !row->infer, direct, 1};
        ft_shape out[FT_MAX_OUT];
        if (op->shape(&b, out, &mem[direct]) != FT_OK) return false; /* whoever opens a rig will say so */
    }
    return mem[0].prepared != mem[1].prepared || mem[0].forward_scratch != mem[1].forward_scratch ||
           mem[0].backward_scratch != mem[1].backward_scratch;
}

/* The i-th job, or the number of jobs left over in *i when there are fewer. */
static bool find(int *i, ft_job *job) {
    bool only_small = getenv("FACET_TESTS_SMALL") != NULL;
    for (const ft_op_entry *e = ft_op_entries; e->name; e++) {
        if (!chosen(e) || !e->op || !e->op->cases) continue;
        for (const ft_case *row = e->op->cases; row->label; row++) {
            if (only_small && row->large) continue;
            for (int32_t k = 0; ft_isa_available(k); k++)
                for (int direct = 0; direct <= heeds_direct(e->op, row); direct++)
                    if ((*i)-- == 0) {
                        *job = (ft_job){e, e->op, row, ft_isa_available(k), direct};
                        return true;
                    }
        }
    }
    return false;
}

int ft_job_count(void) {
    int before = 1 << 30, left = before;
    ft_job job;
    find(&left, &job);
    return before - left;
}

ft_job ft_job_at(int i) {
    ft_job job;
    if (!find(&i, &job)) ck_abort_msg("no such job");
    if (ft_isa_set(job.isa) != FT_OK) ck_abort_msg("%s", ft_err_message());
    return job;
}

void ft_job_fail(const ft_job *job, const char *file, int line, const char *fmt, ...) {
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    _ck_assert_failed(file, line, "", "%s / %s / %s%s: %s", job->entry->name, job->row->label, job->isa,
                      job->direct ? " / direct" : "", text);
    __builtin_unreachable();
}

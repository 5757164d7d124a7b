/* The list of op tests: op x case x instruction set, flattened for Check's loop tests. */
#include <check.h>
#include <stdarg.h>
#include <stdio.h>
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

/* The i-th job, or the number of jobs left over in *i when there are fewer. */
static bool find(int *i, ft_job *job) {
    for (const ft_op_entry *e = ft_op_entries; e->name; e++) {
        if (!chosen(e) || !e->op || !e->op->cases) continue;
        for (const ft_case *row = e->op->cases; row->label; row++)
            for (int32_t k = 0; ft_isa_available(k); k++)
                if ((*i)-- == 0) {
                    *job = (ft_job){e, e->op, row, ft_isa_available(k)};
                    return true;
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
    _ck_assert_failed(file, line, "", "%s / %s / %s: %s", job->entry->name, job->row->label, job->isa, text);
    __builtin_unreachable();
}

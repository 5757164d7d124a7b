/* Checks of who reads and writes what: beta, needs[], leading dimensions, threads, shared memory. */
#include <math.h>
#include <stdlib.h>

#include "tensor/par.h"
#include "tests/op_harness.h"

static void run(ft_rig *r, uint32_t wanted, uint32_t onto) {
    ft_rig_forward(r);
    ft_rig_backward(r, wanted, onto);
}

static void same_outputs(const ft_rig *a, const ft_rig *b, const char *what) {
    for (int k = 0; k < a->job.op->n_out; k++) {
        int64_t e = ft_place_differ(&a->out[k], &b->out[k]);
        FT_CHECK(&a->job, e < 0, "%s: element %lld of output %d differs in bits", what, (long long)e, k);
    }
    for (int32_t i = 0; i < a->n_in; i++) /* running statistics */
        if (a->in[i].base && !a->layout.inplace && !b->layout.inplace)
            FT_CHECK(&a->job, ft_place_differ(&a->in[i], &b->in[i]) < 0, "%s: input %d differs in bits", what,
                     i);
}

static void same_gradients(const ft_rig *a, const ft_rig *b, uint32_t of, const char *what) {
    for (int32_t i = 0; i < a->n_in; i++) {
        if (!(of & FT_IN(i))) continue;
        int64_t e = ft_place_differ(&a->din[i], &b->din[i]);
        FT_CHECK(&a->job, e < 0, "%s: element %lld of the gradient of input %d differs in bits", what,
                 (long long)e, i);
    }
}

/* din = onto + gradient where beta is 1, the gradient where it is 0. */
static void expect_added(ft_rig *r, const ft_rig *plain, uint32_t onto) {
    run(r, r->differentiable, onto);
    for (int32_t i = 0; i < r->n_in; i++) {
        if (!(r->differentiable & FT_IN(i))) continue;
        ft_real *g = ft_place_read(&plain->din[i]), *sum = ft_place_read(&r->din[i]);
        double largest = 0;
        for (int64_t e = 0; e < ft_place_size(&r->din[i]); e++) {
            double size = fabs((double)g[e]); /* no fmax: GCC 12 for aarch64 crashes on it here */
            if (size > largest) largest = size;
        }
        for (int64_t e = 0; e < ft_place_size(&r->din[i]); e++) {
            double base = onto & FT_IN(i) ? (double)ft_rig_onto(i, e) : 0, want = base + (double)g[e];
            double allowed = onto & FT_IN(i) ? 64 * FT_EPS * (fabs(base) + largest) : 0;
            FT_CHECK(&r->job, fabs((double)sum[e] - want) <= allowed,
                     "beta %d: element %lld of the gradient of input %d is %.9g, should be %.9g + %.9g",
                     base != 0, (long long)e, i, (double)sum[e], base, (double)g[e]);
        }
        free(g);
        free(sum);
    }
}

void ft_check_beta(const ft_job *job) {
    if (job->row->large) return;
    ft_rig plain, r;
    ft_rig_open(&plain, job, NULL);
    ft_rig_open(&r, job, NULL);
    run(&plain, plain.differentiable, 0); /* onto NaN */
    for (int32_t i = 0; i < r.n_in; i++)
        for (int64_t e = 0; plain.differentiable & FT_IN(i) && e < ft_place_size(&plain.din[i]); e++) {
            const ft_view *v = &plain.din[i].v;
            FT_CHECK(job, isfinite(v->p[e / v->c * v->ld + e % v->c]),
                     "beta 0: element %lld of the gradient of input %d was left as it was", (long long)e, i);
        }
    expect_added(&r, &plain, ~0u);
    expect_added(&r, &plain, 0x55555555);
    expect_added(&r, &plain, 0xAAAAAAAA);
    ft_rig_close(&r);
    ft_rig_close(&plain);
}

/* One gradient at a time, with all that it says it does not read gone: the same bits as all at once. */
void ft_check_needs(const ft_job *job) {
    if (job->row->large) return;
    ft_rig all, one;
    ft_rig_open(&all, job, NULL);
    ft_rig_open(&one, job, NULL);
    run(&all, all.differentiable, 0);
    for (int32_t i = 0; i < all.n_in; i++) {
        if (!(all.differentiable & FT_IN(i))) continue;
        ft_rig_forward(&one);
        ft_rig_poison(&one, i);
        ft_rig_backward(&one, FT_IN(i), 0);
        same_gradients(&all, &one, FT_IN(i), "needs: read what it did not declare");
    }
    ft_rig_close(&one);
    ft_rig_close(&all);
}

void ft_check_ld(const ft_job *job) {
    if (job->row->large) return;
    ft_rig tight, loose;
    ft_rig_open(&tight, job, NULL);
    ft_rig_open(&loose, job, &(ft_layout){.gap = 7});
    run(&tight, tight.differentiable, 0);
    run(&loose, loose.differentiable, 0);
    same_outputs(&tight, &loose, "ld = c + 7");
    same_gradients(&tight, &loose, tight.differentiable, "ld = c + 7");
    run(&tight, tight.differentiable, ~0u);
    run(&loose, loose.differentiable, ~0u);
    same_gradients(&tight, &loose, tight.differentiable, "ld = c + 7, beta 1");
    ft_rig_close(&loose);
    ft_rig_close(&tight);
}

void ft_check_threads(const ft_job *job) {
    if (job->row->large && sizeof(ft_real) == 8) return;
    ft_rig one, many;
    ft_threads_set(1);
    ft_rig_open(&one, job, NULL);
    run(&one, one.differentiable, 0);
    ft_rig_open(&many, job, NULL);
    for (int32_t n = 2; n <= 3; n++) {
        ft_threads_set(n);
        run(&many, many.differentiable, 0);
        same_outputs(&one, &many, n == 2 ? "2 threads" : "3 threads");
        same_gradients(&one, &many, one.differentiable, n == 2 ? "2 threads" : "3 threads");
    }
    ft_threads_set(0);
    ft_rig_close(&many);
    ft_rig_close(&one);
}

static void check_inplace(const ft_job *job, int32_t gap) {
    ft_rig apart, over;
    ft_rig_open(&apart, job, &(ft_layout){.gap = gap});
    int32_t i = job->op->inplace - 1;
    FT_CHECK(job, ft_place_size(&apart.in[i]) == ft_place_size(&apart.out[0]),
             "in place, but of another size");
    if (gap == 0 || ft_shape_equal(apart.value[i].s, apart.cotangent[0].s)) {
        ft_rig_open(&over, job, &(ft_layout){.gap = gap, .inplace = true});
        ft_rig_forward(&apart);
        ft_rig_forward(&over);
        ft_place result = {.v = over.out_view[0]};
        int64_t e = ft_place_differ(&apart.out[0], &result);
        FT_CHECK(job, e < 0, "in place: element %lld differs in bits", (long long)e);
        ft_rig_close(&over);
    }
    ft_rig_close(&apart);
}

static void check_din_over_dout(const ft_job *job) {
    ft_rig apart, over;
    ft_rig_open(&apart, job, NULL);
    if (!(apart.differentiable & FT_IN(0))) {
        ft_rig_close(&apart);
        return;
    }
    ft_rig_open(&over, job, &(ft_layout){.din_over_dout = true});
    run(&apart, apart.differentiable, 0);
    run(&over, over.differentiable, 0);
    ft_place result = {.v = over.din_view[0]};
    int64_t e = ft_place_differ(&apart.din[0], &result);
    FT_CHECK(job, e < 0, "gradient over gradient: element %lld differs in bits", (long long)e);
    same_gradients(&apart, &over, apart.differentiable & ~FT_IN(0), "gradient over gradient");
    ft_rig_close(&over);
    ft_rig_close(&apart);
}

/* f(x, x): the gradients of both inputs land in one place, the second added to the first. */
static void check_same(const ft_job *job, int32_t same) {
    ft_rig apart, once;
    ft_rig_open(&apart, job, NULL);
    uint32_t both = apart.differentiable & apart.batched & (FT_IN(0) | FT_IN(same));
    if (both == (FT_IN(0) | FT_IN(same)) && ft_shape_equal(apart.value[0].s, apart.value[same].s)) {
        ft_rig_open(&once, job, &(ft_layout){.same = same});
        for (int64_t e = 0; e < ft_shape_size(apart.value[0].s); e++)
            apart.value[same].p[e] = once.value[same].p[e] = apart.value[0].p[e];
        run(&apart, both, 0);
        run(&once, both, 0);
        same_outputs(&apart, &once, "the same input twice");
        ft_real *first = ft_place_read(&apart.din[0]), *second = ft_place_read(&apart.din[same]);
        ft_real *sum = ft_place_read(&once.din[0]);
        for (int64_t e = 0; e < ft_place_size(&once.din[0]); e++) {
            double a = (double)first[e], b = (double)second[e];
            FT_CHECK(job, fabs((double)sum[e] - (a + b)) <= 16 * FT_EPS * (fabs(a) + fabs(b)),
                     "the same input twice: element %lld of its gradient is %.9g, should be %.9g + %.9g",
                     (long long)e, (double)sum[e], a, b);
        }
        free(first);
        free(second);
        free(sum);
        ft_rig_close(&once);
    }
    ft_rig_close(&apart);
}

void ft_check_sharing(const ft_job *job) {
    if (job->row->large) return;
    if (job->op->inplace) {
        check_inplace(job, 0);
        check_inplace(job, 5);
    }
    if (job->op->flags & FT_DIN_OVER_DOUT) check_din_over_dout(job);
    for (int32_t i = 1; i < job->op->n_in && i < FT_CASE_IN && job->row->in[i].c > 0; i++) check_same(job, i);
}

/* Whoever builds a graph may leave absent inputs out at the end; views past n_in are not there then. */
void ft_check_optional(const ft_job *job) {
    if (job->row->large || job->op->flags & FT_VARIADIC || job->row->in[job->op->n_in - 1].c > 0) return;
    ft_rig whole, trimmed;
    ft_rig_open(&whole, job, NULL);
    ft_rig_open(&trimmed, job, &(ft_layout){.trimmed = true});
    run(&whole, whole.differentiable, 0);
    run(&trimmed, whole.differentiable, 0);
    same_outputs(&whole, &trimmed, "without the absent inputs");
    same_gradients(&whole, &trimmed, whole.differentiable, "without the absent inputs");
    ft_rig_close(&trimmed);
    ft_rig_close(&whole);
}

/* Checks of forward: against the oracle, on ordinary and on extreme numbers, in smaller batches, with a fused
 * epilogue. */
#include <math.h>
#include <stdlib.h>

#include "tests/op_harness.h"

static void run_and_expect(ft_rig *r, const char *what) {
    ft_oracle o = ft_rig_oracle(r);
    ft_rig_forward(r);
    ft_rig_expect(r, &o, what);
    ft_oracle_free(&o);
}

void ft_check_forward(const ft_job *job) {
    ft_rig r;
    if (job->row->large) return;
    ft_rig_open(&r, job, NULL);
    run_and_expect(&r, "forward");
    run_and_expect(&r, "forward once more");
    if (job->op->flags & FT_RANDOM) {
        r.call.seed = 77;
        run_and_expect(&r, "forward with another seed");
    }
    ft_rig_close(&r);
}

static void expect_finite_gradients(ft_rig *r, const char *what) {
    ft_rig_backward(r, r->differentiable, 0);
    for (int32_t i = 0; i < r->n_in; i++) {
        if (!(r->differentiable & FT_IN(i))) continue;
        ft_real *dx = ft_place_read(&r->din[i]);
        for (int64_t e = 0; e < ft_place_size(&r->din[i]); e++)
            FT_CHECK(&r->job, isfinite(dx[e]), "%s: element %lld of the gradient of input %d is %g", what,
                     (long long)e, i, (double)dx[e]);
        free(dx);
    }
}

/* No class and no label counts: the loss is 0, and so is its gradient. */
static void check_ignored(ft_rig *r) {
    bool labels = false;
    for (int32_t i = 0; i < r->n_in && i < FT_CASE_IN; i++) {
        uint8_t fill = r->job.row->fill[i];
        if (!r->value[i].p || (fill != FT_FILL_CLASS && fill != FT_FILL_BINARY)) continue;
        labels = true;
        for (int64_t e = 0; e < ft_shape_size(r->value[i].s); e++) r->value[i].p[e] = -1;
    }
    if (!labels) return;
    run_and_expect(r, "nothing but ignored labels");
    expect_finite_gradients(r, "nothing but ignored labels");
    for (int32_t i = 0; i < r->n_in; i++)
        for (int64_t e = 0; r->differentiable & FT_IN(i) && e < ft_place_size(&r->din[i]); e++) {
            const ft_view *v = &r->din[i].v;
            FT_CHECK(&r->job, v->p[e / v->c * v->ld + e % v->c] == 0,
                     "nothing but ignored labels: the gradient of input %d is not 0", i);
        }
}

void ft_check_extremes(const ft_job *job) {
    static const struct {
        const char *what;
        double factor, shift;
    } extremes[] = {{"input 0 times 100", 100, 0},
                    {"input 0 all zero", 0, 0},
                    {"input 0 plus 1000", 1, 1000}};
    ft_rig r;
    if (job->row->large) return;
    ft_rig_open(&r, job, NULL);
    int64_t n = ft_shape_size(r.value[0].s);
    double *x = ft_test_alloc((size_t)n * sizeof *x);
    for (int64_t e = 0; e < n; e++) x[e] = r.value[0].p[e];
    for (size_t k = 0; k < sizeof extremes / sizeof extremes[0]; k++) {
        for (int64_t e = 0; e < n; e++)
            r.value[0].p[e] = (double)(float)(extremes[k].factor * x[e] + extremes[k].shift);
        run_and_expect(&r, extremes[k].what);
        expect_finite_gradients(&r, extremes[k].what);
    }
    for (int64_t e = 0; e < n; e++) r.value[0].p[e] = x[e];
    free(x);
    check_ignored(&r);
    ft_rig_close(&r);
}

/* A plan for n samples runs n-1: the memory is the larger one's, the results those of a plan for n-1. */
void ft_check_partial_batch(const ft_job *job) {
    if (job->row->large || job->row->in[0].n < 2) return;
    ft_rig r, exact;
    ft_case fewer = *job->row;
    ft_job exact_job = *job;
    ft_rig_open(&r, job, &(ft_layout){.fewer = 1});
    run_and_expect(&r, "one sample fewer");
    for (int32_t i = 0; i < r.n_in && i < FT_CASE_IN; i++) fewer.in[i] = r.value[i].s;
    exact_job.row = &fewer;
    ft_rig_open(&exact, &exact_job, NULL);
    for (int32_t i = 0; i < r.n_in; i++)
        for (int64_t e = 0; exact.value[i].p && e < ft_shape_size(r.value[i].s); e++)
            exact.value[i].p[e] = r.value[i].p[e];
    ft_rig_forward(&exact);
    ft_rig_backward(&r, r.differentiable, 0);
    ft_rig_backward(&exact, r.differentiable, 0);
    for (int k = 0; k < job->op->n_out; k++)
        FT_CHECK(job, ft_place_differ(&r.out[k], &exact.out[k]) < 0,
                 "one sample fewer: output %d differs in bits", k);
    for (int32_t i = 0; i < r.n_in; i++)
        if (r.differentiable & FT_IN(i))
            FT_CHECK(job, ft_place_differ(&r.din[i], &exact.din[i]) < 0,
                     "one sample fewer: the gradient of input %d differs in bits from a smaller plan's", i);
    ft_rig_close(&exact);
    ft_rig_close(&r);
}

static void check_one_epilogue(ft_rig *r, const ft_oracle *o, const double *scale, const double *shift,
                               bool relu) {
    int32_t c = o->out[0].s.c;
    ft_real *s = ft_test_alloc((size_t)c * sizeof *s), *t = ft_test_alloc((size_t)c * sizeof *t);
    for (int32_t k = 0; k < c; k++) {
        s[k] = (ft_real)scale[k];
        t[k] = (ft_real)shift[k];
    }
    bool affine = scale[0] != 1;
    ft_epilogue epilogue = {affine ? s : NULL, affine ? t : NULL, relu};
    r->call.epilogue = &epilogue;
    ft_rig_forward(r);
    r->call.epilogue = NULL;
    ft_real *y = ft_place_read(&r->out[0]);
    double largest = 0;
    for (int64_t e = 0; e < ft_shape_size(o->out[0].s); e++) largest = fmax(largest, fabs(o->out[0].p[e]));
    for (int64_t e = 0; e < ft_shape_size(o->out[0].s); e++) {
        double a = scale[e % c], b = shift[e % c], want = a * o->out[0].p[e] + b;
        double size = fabs(a) * (o->scale[0] ? o->scale[0][e] : largest) + fabs(b);
        if (relu && !(want > 0)) want = 0;
        FT_CHECK(&r->job, fabs((double)y[e] - want) <= ft_oracle_error(o, size),
                 "epilogue%s%s: element %lld is %.9g, should be %.9g", affine ? " affine" : "",
                 relu ? " relu" : "", (long long)e, (double)y[e], want);
    }
    free(y);
    free(s);
    free(t);
}

void ft_check_epilogue(const ft_job *job) {
    if (job->row->large || !(job->op->flags & FT_EPILOGUE)) return;
    ft_rig r;
    ft_rig_open(&r, job, NULL);
    ft_oracle o = ft_rig_oracle(&r);
    ft_shape c = {1, 1, 1, o.out[0].s.c};
    double *scale = ft_test_fill(FT_FILL_NORMAL, c, 0, 31), *shift = ft_test_fill(FT_FILL_NORMAL, c, 0, 32);
    check_one_epilogue(&r, &o, scale, shift, true);
    check_one_epilogue(&r, &o, scale, shift, false);
    for (int32_t k = 0; k < c.c; k++) {
        scale[k] = 1;
        shift[k] = 0;
    }
    check_one_epilogue(&r, &o, scale, shift, true);
    free(scale);
    free(shift);
    ft_oracle_free(&o);
    ft_rig_close(&r);
}

void ft_check_affine(const ft_job *job) {
    if (job->row->large || !job->op->affine) return;
    ft_rig r;
    ft_rig_open(&r, job, &(ft_layout){.infer = true});
    ft_rig_forward(&r);
    int32_t c = r.in[0].v.c;
    size_t bytes = (size_t)c * sizeof(ft_real);
    ft_real *scale = ft_test_alloc(bytes), *shift = ft_test_alloc(bytes), *y = ft_place_read(&r.out[0]);
    r.in_view[0].p = NULL; /* a function of the parameters alone */
    ft_call call = {.in = r.in_view, .args = r.call.args, .n_in = r.n_in};
    job->op->affine(&call, scale, shift);
    FT_CHECK(job, r.out[0].v.c == c, "affine: not as many channels out as in");
    for (int64_t e = 0; e < ft_place_size(&r.out[0]); e++) {
        double a = (double)scale[e % c] * r.value[0].p[e], b = (double)shift[e % c];
        FT_CHECK(job, fabs((double)y[e] - (a + b)) <= 16 * FT_EPS * (fabs(a) + fabs(b)),
                 "affine: element %lld is %.9g in forward, %.9g = scale*x + shift", (long long)e,
                 (double)y[e], a + b);
    }
    free(scale);
    free(shift);
    free(y);
    ft_rig_close(&r);
}

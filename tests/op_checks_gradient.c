/* Checks of backward: central differences and the adjoint identity. */
#include <math.h>
#include <stdlib.h>

#include "tensor/rng.h"
#include "tests/op_harness.h"

/* In double the op itself is differenced. In float that would drown in rounding: there the oracle is, so that
 * the vectors of another width have their gradients checked too. */
#ifdef FT_F64
static const double tolerance = 1e-6;
enum { MOST_ELEMENTS = 96, DIRECTIONS = 4 };
#else
static const double tolerance = 2e-5;
enum { MOST_ELEMENTS = 12, DIRECTIONS = 4 };
#endif

/* sum of cotangent * output at the rig's values, with the outputs themselves, so that differences are taken
 * before the sum */
static double *evaluate(ft_rig *r) {
    int64_t n = 0, at = 0;
    for (int k = 0; k < r->job.op->n_out; k++) n += ft_shape_size(r->cotangent[k].s);
    double *y = ft_test_alloc((size_t)n * sizeof *y);
#ifdef FT_F64
    ft_rig_forward(r);
    for (int k = 0; k < r->job.op->n_out; k++) {
        ft_real *p = ft_place_read(&r->out[k]);
        for (int64_t e = 0; e < ft_place_size(&r->out[k]); e++) y[at++] = p[e];
        free(p);
    }
#else
    ft_oracle o = ft_rig_oracle(r);
    for (int k = 0; k < r->job.op->n_out; k++)
        for (int64_t e = 0; e < ft_shape_size(o.out[k].s); e++) y[at++] = o.out[k].p[e];
    ft_oracle_free(&o);
#endif
    return y;
}

/* The derivative of sum(cotangent * output) along `step` from value[i], by central differences. n steps of
 * (index, size). */
static double slope(ft_rig *r, int32_t i, int64_t n, const int64_t *index, const double *step, double h) {
    double *x = r->value[i].p, *y[2], sum = 0;
    double *kept = ft_test_alloc((size_t)n * sizeof *kept);
    for (int64_t e = 0; e < n; e++) kept[e] = x[index[e]];
    for (int side = 0; side < 2; side++) {
        for (int64_t e = 0; e < n; e++) x[index[e]] = kept[e] + (side ? -h : h) * step[e];
        y[side] = evaluate(r);
    }
    for (int64_t e = 0; e < n; e++) x[index[e]] = kept[e];
    int64_t at = 0;
    for (int k = 0; k < r->job.op->n_out; k++)
        for (int64_t e = 0; e < ft_shape_size(r->cotangent[k].s); e++, at++)
            sum += r->cotangent[k].p[e] * (y[0][at] - y[1][at]);
    free(kept);
    free(y[0]);
    free(y[1]);
    return sum / (2 * h);
}

static void check_elements(ft_rig *r, int32_t i, const ft_real *g, double largest) {
    int64_t n = ft_place_size(&r->din[i]), tried = n < MOST_ELEMENTS ? n : MOST_ELEMENTS;
    ft_rng rng = ft_rng_stream(7, (uint64_t)i);
    double error = 0, norm = 0;
    for (int64_t t = 0; t < tried; t++) {
        int64_t e = n == tried ? t : (int64_t)ft_rng_below(&rng, (uint32_t)n);
        double numeric = slope(r, i, 1, &e, &(double){1}, 1e-5), off = fabs((double)g[e] - numeric);
        FT_CHECK(&r->job, off <= tolerance * largest + 1e-9,
                 "element %lld of the gradient of input %d is %.12g, by differences %.12g", (long long)e, i,
                 (double)g[e], numeric);
        error += off * off;
        norm += numeric * numeric;
    }
    FT_CHECK(&r->job,
             sqrt(error) <= tolerance * sqrt(norm) + 1e-9 * sqrt((double)tried) + tolerance * 0.1 * largest,
             "the gradient of input %d is off by %.3g of its norm", i, sqrt(error / norm));
}

/* What single elements may have missed: whole directions. */
static void check_directions(ft_rig *r, int32_t i, const ft_real *g, double norm) {
    int64_t n = ft_place_size(&r->din[i]);
    int64_t *index = ft_test_alloc((size_t)n * sizeof *index);
    for (int64_t e = 0; e < n; e++) index[e] = e;
    for (uint64_t t = 0; t < DIRECTIONS; t++) {
        double *v = ft_test_normals(n, 300 + t), product = 0;
        for (int64_t e = 0; e < n; e++) product += (double)g[e] * v[e];
        double numeric = slope(r, i, n, index, v, 1e-6);
        FT_CHECK(
            &r->job, fabs(product - numeric) <= tolerance * norm + 1e-8,
            "the gradient of input %d along a random direction is %.12g, by differences %.12g (norm %.3g)", i,
            product, numeric, norm);
        free(v);
    }
    free(index);
}

void ft_check_gradient(const ft_job *job) {
    if (job->row->large) return;
    ft_rig r;
    ft_rig_open(&r, job, NULL);
    ft_rig_forward(&r);
    ft_rig_backward(&r, r.differentiable, 0);
    for (int32_t i = 0; i < r.n_in; i++) {
        if (!(r.differentiable & FT_IN(i))) continue;
        ft_real *g = ft_place_read(&r.din[i]);
        double largest = 0, norm = 0;
        for (int64_t e = 0; e < ft_place_size(&r.din[i]); e++) {
            FT_CHECK(job, isfinite(g[e]), "element %lld of the gradient of input %d was never written",
                     (long long)e, i);
            largest = fmax(largest, fabs((double)g[e]));
            norm += (double)g[e] * (double)g[e];
        }
        check_elements(&r, i, g, largest);
        check_directions(&r, i, g, sqrt(norm));
        free(g);
    }
    ft_rig_close(&r);
}

/* ---- adjoint ---- */

static double norm_of(const ft_real *p, int64_t n) {
    double sum = 0;
    for (int64_t e = 0; e < n; e++) sum += (double)p[e] * (double)p[e];
    return sqrt(sum);
}

/* Output 0 with value[i] multiplied by `factor`. */
static ft_real *output_at(ft_rig *r, int32_t i, double factor) {
    int64_t n = ft_shape_size(r->value[i].s);
    double *kept = r->value[i].p, *scaled = ft_test_alloc((size_t)n * sizeof *scaled);
    for (int64_t e = 0; e < n; e++) scaled[e] = factor * kept[e];
    r->value[i].p = scaled;
    ft_rig_forward(r);
    r->value[i].p = kept;
    free(scaled);
    return ft_place_read(&r->out[0]);
}

/* Products behind one output (i = 0) or one element of a parameter's gradient. */
static double longest_sum(const ft_rig *r, int32_t i) {
    double n = i == 0
                   ? (double)ft_shape_size(r->value[r->n_in > 1 && r->value[1].p ? 1 : 0].s) / r->value[0].s.c
                   : (double)ft_shape_rows(r->cotangent[0].s);
    return n > 16 ? n : 16;
}

/* f is affine in input i: with A x = f(x) - f(0), <A x, u> = <x, A'u>. */
static void check_adjoint(ft_rig *r, int32_t i, const ft_real *dx) {
    int64_t n = ft_place_size(&r->out[0]), n_x = ft_shape_size(r->value[i].s);
    ft_real *y0 = output_at(r, i, 0), *y = output_at(r, i, 1), *y2 = output_at(r, i, -2);
    double bend = 0, size = norm_of(y, n) + norm_of(y0, n);
    long double left = 0,
                right = 0; /* their own rounding must not be mistaken for the op's in the double build */
    double eps = FT_EPS * sqrt(longest_sum(r, i));
    for (int64_t e = 0; e < n; e++) {
        double second = (double)y2[e] + 2 * (double)y[e] - 3 * (double)y0[e]; /* of an affine f: 0 */
        bend += second * second;
        left += ((long double)y[e] - y0[e]) * (ft_real)r->cotangent[0].p[e];
    }
    for (int64_t e = 0; e < n_x; e++) right += (long double)r->value[i].p[e] * dx[e];
    bool affine = sqrt(bend) <= 16 * eps * size;
    FT_CHECK(&r->job, affine || i > 0, "FT_LINEAR, but not linear in input 0");
    if (affine)
        FT_CHECK(&r->job, fabsl(left - right) <= 4 * eps * (size + norm_of(dx, n_x)),
                 "adjoint of input %d: <A x, u> = %.16g but <x, A'u> = %.16g (of %.3g)", i, (double)left,
                 (double)right, size);
    free(y0);
    free(y);
    free(y2);
}

void ft_check_adjoint(const ft_job *job) {
    if (!(job->op->flags & FT_LINEAR) || (job->row->large && sizeof(ft_real) == 8)) return;
    ft_rig r;
    ft_rig_open(&r, job, NULL);
    ft_rig_forward(&r);
    ft_rig_backward(&r, r.differentiable, 0);
    for (int32_t i = 0; i < r.n_in; i++) {
        if (!(r.differentiable & FT_IN(i))) continue;
        ft_real *dx = ft_place_read(&r.din[i]);
        check_adjoint(&r, i, dx);
        free(dx);
    }
    ft_rig_close(&r);
}

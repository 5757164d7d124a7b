/* Moments that one op gathers as it writes and another takes (tensor/moments.h). */
#include <math.h>
#include <stdlib.h>

#include "tensor/moments.h"
#include "tensor/par.h"
#include "tests/op_harness.h"

/* Mean and variance of each channel, in two passes. Long double: a plain sum of 40,000 doubles is not exact
 * enough to test sums in double. */
static void plain_moments(const ft_real *x, int64_t rows, int32_t c, double *mean, double *variance) {
    for (int32_t k = 0; k < c; k++) {
        long double sum = 0, squares = 0;
        for (int64_t r = 0; r < rows; r++) sum += (long double)x[r * c + k];
        for (int64_t r = 0; r < rows; r++) {
            long double apart = (long double)x[r * c + k] - sum / (long double)rows;
            squares += apart * apart;
        }
        mean[k] = (double)(sum / (long double)rows);
        variance[k] = (double)(squares / (long double)rows);
    }
}

static void expect_moments(const ft_rig *r, const ft_moments *m, const char *what) {
    int32_t c = m->c;
    int64_t rows = ft_rows(&r->out[0].v);
    double *mean = ft_test_alloc(2 * (size_t)c * sizeof *mean), *variance = mean + c, n = 0;
    ft_real *y = ft_place_read(&r->out[0]);
    plain_moments(y, rows, c, mean, variance);
    for (int64_t i = 0; i < m->chunks; i++) n += (double)*ft_moments_chunk(m, i);
    FT_CHECK(&r->job, n == (double)rows, "%s: moments of %.0f rows, not of %lld", what, n, (long long)rows);
    for (int32_t k = 0; k < c; k++) {
        double sum = 0, m2 = 0;
        for (int64_t i = 0; i < m->chunks; i++) {
            const ft_real *p = ft_moments_chunk(m, i);
            if (*p == 0) continue;
            double apart = (double)p[1 + k] - mean[k];
            sum += (double)*p * (double)p[1 + k];
            m2 += (double)p[1 + c + k] + (double)*p * apart * apart;
        }
        double spread = sqrt(variance[k]) + fabs(mean[k]);
        FT_CHECK(&r->job, fabs(sum / n - mean[k]) <= 8 * FT_EPS * spread, "%s: mean %d is %.9g, not %.9g",
                 what, k, sum / n, mean[k]);
        FT_CHECK(&r->job, fabs(m2 / n - variance[k]) <= 32 * FT_EPS * variance[k] + FT_EPS * FT_EPS * spread,
                 "%s: variance %d is %.9g, not %.9g", what, k, m2 / n, variance[k]);
    }
    free(y);
    free(mean);
}

static void check_gathering(const ft_job *job, int32_t fewer) {
    ft_rig r, plain;
    const char *what = fewer ? "one sample fewer" : "gathering";
    ft_rig_open(&r, job, &(ft_layout){.fewer = fewer, .gap = 3});
    if (r.mem.moment_chunks == 0) {
        ft_rig_close(&r);
        return;
    }
    ft_rig_open(&plain, job, &(ft_layout){.fewer = fewer});
    ft_rig_forward(&plain);
    ft_block block[2];
    for (int run = 0; run < 2; run++) {
        ft_moments m = {.chunks = r.mem.moment_chunks, .c = r.out[0].v.c};
        ft_block_open(&block[run], ft_moments_size(m.chunks, m.c) * sizeof *m.p);
        ft_block_fill_nan(&block[run]);
        m.p = (ft_real *)(void *)block[run].p;
        r.call.moments = &m;
        ft_threads_set(run == 0 ? 1 : 3);
        ft_rig_forward(&r);
        ft_threads_set(0);
        FT_CHECK(job, ft_block_intact(&block[run]), "%s: wrote outside its moments", what);
        FT_CHECK(job, ft_place_differ(&r.out[0], &plain.out[0]) < 0, "%s: other outputs", what);
        expect_moments(&r, &m, what);
    }
    const ft_real *a = (const ft_real *)(const void *)block[0].p,
                  *b = (const ft_real *)(const void *)block[1].p;
    for (size_t i = 0; i < block[0].bytes / sizeof *a; i++)
        FT_CHECK(job, a[i] == b[i] || (isnan(a[i]) && isnan(b[i])),
                 "%s: moments differ in bits between 1 and 3 threads", what);
    ft_block_close(&block[0]);
    ft_block_close(&block[1]);
    ft_rig_close(&r);
    ft_rig_close(&plain);
}

/* Chunks of one row, of no row and of all the others. */
static void fill_moments(const ft_rig *r, const ft_moments *m) {
    int64_t rows = ft_shape_rows(r->value[0].s), first[] = {0, 1, 1, rows};
    for (int i = 0; i < 3; i++) {
        ft_real *p = ft_moments_chunk(m, i);
        int64_t n = first[i + 1] - first[i];
        *p = (ft_real)n;
        for (int32_t k = 0; k < m->c; k++) {
            double mean = 0, m2 = 0;
            const double *x = r->value[0].p + k;
            for (int64_t y = first[i]; y < first[i + 1]; y++) mean += x[y * m->c] / (double)n;
            for (int64_t y = first[i]; y < first[i + 1]; y++) m2 += pow(x[y * m->c] - mean, 2);
            p[1 + k] = n > 0 ? (ft_real)mean : (ft_real)NAN;
            p[1 + m->c + k] = n > 0 ? (ft_real)m2 : (ft_real)NAN;
        }
    }
}

static void check_taking(const ft_job *job) {
    ft_rig r;
    ft_rig_open(&r, job, NULL);
    ft_moments m = {.chunks = 3, .c = r.value[0].s.c};
    m.p = ft_test_alloc(ft_moments_size(m.chunks, m.c) * sizeof *m.p);
    fill_moments(&r, &m);
    r.call.moments = &m;
    ft_oracle o = ft_rig_oracle(&r);
    ft_rig_forward(&r);
    ft_rig_expect(&r, &o, "moments given");
    ft_oracle_free(&o);
    free(m.p);
    ft_rig_close(&r);
}

void ft_check_moments(const ft_job *job) {
    if (job->row->infer) return;
    if (job->op->flags & FT_TAKES_MOMENTS && !job->row->large) check_taking(job);
    check_gathering(job, 0);
    if (job->row->in[0].n > 1 && !job->row->large) check_gathering(job, 1);
}

#include "layers/column_sum.h"
#include "tensor/par.h"

#include <string.h>

typedef struct rows_job {
    const ft_view *v;
    double *partial; /* a bias before a batch norm is a small sum of large terms: float would lose it */
    const ft_real *scale, *shift;
    bool relu;
    int64_t rows, per; /* rows of the matrix, rows of a chunk */
} rows_job;

static void sum_chunk(void *ctx, int64_t chunk, int32_t thread) {
    (void)thread;
    const rows_job *job = ctx;
    int32_t c = job->v->c;
    double *sum = job->partial + chunk * c;
    memset(sum, 0, (size_t)c * sizeof *sum);
    for (int64_t r = chunk * job->per; r < job->rows && r < (chunk + 1) * job->per; r++) {
        const ft_real *row = job->v->p + r * job->v->ld;
        for (int32_t k = 0; k < c; k++) sum[k] += (double)row[k];
    }
}

size_t ft_column_sum_scratch(int64_t rows, int32_t c) {
    return (size_t)(ft_ceil_div(rows, ft_par_rows(c)) * c) * (sizeof(double) / sizeof(ft_real));
}

void ft_column_sum(const ft_view *v, ft_real *sum, ft_real beta, ft_real *scratch) {
    rows_job job = {.v = v,
                    .partial = (double *)(void *)scratch,
                    .rows = ft_rows(v),
                    .per = ft_par_rows(v->c)};
    int64_t chunks = ft_ceil_div(job.rows, job.per);
    ft_par_for(chunks, sum_chunk, &job);
    for (int32_t k = 0; k < v->c; k++) {
        double s = beta != 0 ? (double)sum[k] : 0;
        for (int64_t i = 0; i < chunks; i++) s += job.partial[i * v->c + k];
        sum[k] = (ft_real)s;
    }
}

static void affine_chunk(void *ctx, int64_t chunk, int32_t thread) {
    (void)thread;
    const rows_job *job = ctx;
    for (int64_t r = chunk * job->per; r < job->rows && r < (chunk + 1) * job->per; r++) {
        ft_real *row = job->v->p + r * job->v->ld;
        for (int32_t k = 0; k < job->v->c; k++) {
            ft_real y = (job->scale ? job->scale[k] : 1) * row[k] + (job->shift ? job->shift[k] : 0);
            row[k] = job->relu && y < 0 ? 0 : y;
        }
    }
}

void ft_affine_rows(const ft_view *v, const ft_real *scale, const ft_real *shift, bool relu) {
    rows_job job = {
        .v = v, .scale = scale, .shift = shift, .relu = relu, .rows = ft_rows(v), .per = ft_par_rows(v->c)};
    ft_par_for(ft_ceil_div(job.rows, job.per), affine_chunk, &job);
}

#include "tensor/blas.h"
#include "tensor/par.h"

#include <cblas.h>
#include <omp.h>

#ifdef FT_F64
#define CBLAS_GEMM cblas_dgemm
#else
#define CBLAS_GEMM cblas_sgemm
#endif

typedef struct product {
    bool trans_a, trans_b;
    int32_t m, n, k;
    ft_real alpha, beta;
    const ft_real *a, *b;
    ft_real *c;
    int64_t lda, ldb, ldc;
} product;

/* OpenBLAS cuts k in other places when it has more threads, so it must have one. Its OpenMP flavour asks
 * OpenMP for the number at every call, and openblas_set_num_threads would change that number for the whole
 * program: hence OpenMP's own setting, which is this thread's, for the length of the call. */
static void multiply(void *ctx, int64_t chunk, int32_t thread) {
    (void)chunk, (void)thread;
    const product *p = ctx;
    int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    CBLAS_GEMM(CblasRowMajor, p->trans_a ? CblasTrans : CblasNoTrans, p->trans_b ? CblasTrans : CblasNoTrans,
               p->m, p->n, p->k, p->alpha, p->a, (blasint)p->lda, p->b, (blasint)p->ldb, p->beta, p->c,
               (blasint)p->ldc);
    omp_set_num_threads(threads);
}

void ft_gemm(bool trans_a, bool trans_b, int32_t m, int32_t n, int32_t k, ft_real alpha, const ft_real *a,
             int64_t lda, const ft_real *b, int64_t ldb, ft_real beta, ft_real *c, int64_t ldc) {
    product p = {trans_a, trans_b, m, n, k, alpha, beta, a, b, c, lda, ldb, ldc};
    ft_par_for(1, multiply, &p); /* one chunk: this thread, with denormals flushed as everywhere else */
}

ft_real ft_dot(int32_t n, const ft_real *x, const ft_real *y) {
    enum { LANES = 16 };
    ft_real lane[LANES] = {0}, sum = 0;
    int32_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int32_t j = 0; j < LANES; j++) lane[j] += x[i + j] * y[i + j];
    for (; i < n; i++) sum += x[i] * y[i];
    for (int32_t width = LANES / 2; width > 0; width /= 2)
        for (int32_t j = 0; j < width; j++) lane[j] += lane[j + width];
    return sum + lane[0];
}

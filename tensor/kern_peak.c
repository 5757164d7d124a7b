/* The processor's limit: products and sums on registers alone, s = s*a + b, in as many independent chains as
 * the registers hold, which is more than the latency of one needs. What the convolutions are measured
 * against.
 */
#include "tensor/kernels.h"

#if defined(FT_WIDE)
enum { CHAINS = 24, VECTOR_BYTES = 64 };
#elif defined(__AVX2__)
enum { CHAINS = 12, VECTOR_BYTES = 32 };
#elif defined(__aarch64__)
enum { CHAINS = 24, VECTOR_BYTES = 16 };
#else
enum { CHAINS = 12, VECTOR_BYTES = 16 };
#endif
enum { VLEN = VECTOR_BYTES / sizeof(ft_real) };

typedef ft_real vec __attribute__((vector_size(VECTOR_BYTES)));

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

static ft_real chains(int64_t rounds, ft_real a, ft_real b) {
    vec s[CHAINS];
    UNROLL for (int i = 0; i < CHAINS; i++) s[i] = (vec){0} + (ft_real)i;
    for (int64_t r = 0; r < rounds; r++) { UNROLL for (int i = 0; i < CHAINS; i++) s[i] = s[i] * a + b; }
    ft_real sum = 0; /* of everything, so that nothing can be left out */
    UNROLL for (int i = 0; i < CHAINS; i++) {
        for (int k = 0; k < VLEN; k++) sum += s[i][k];
    }
    return sum;
}

const ft_peak_kernels FT_KERN_TABLE(peak) = {.flops = 2 * CHAINS * VLEN, .chains = chains};

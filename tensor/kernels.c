#include "tensor/kernels.h"

#include <stdlib.h>
#include <string.h>

/* What was built (CMakeLists.txt), in rising order of preference. */
#if defined(FT_WITH_avx512)
#define FT_ISAS(X) X(base) X(avx2) X(avx512)
#elif defined(FT_WITH_avx2)
#define FT_ISAS(X) X(base) X(avx2)
#else
#define FT_ISAS(X) X(base)
#endif

#define DECLARE(isa)                                            \
    extern const ft_conv_kernels ft_conv_kernels_##isa;         \
    extern const ft_winograd_kernels ft_winograd_kernels_##isa; \
    extern const ft_row_kernels ft_row_kernels_##isa;           \
    extern const ft_pool_kernels ft_pool_kernels_##isa;         \
    extern const ft_update_kernels ft_update_kernels_##isa;     \
    extern const ft_peak_kernels ft_peak_kernels_##isa;
FT_ISAS(DECLARE)

static bool has_base(void) {
    return true;
}
#if defined(FT_WITH_avx2)
static bool has_avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
#endif
#if defined(FT_WITH_avx512)
static bool has_avx512(void) {
#if defined(FT_SPLIT_AVX512)
    return has_avx2();
#else
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
#endif
}
#endif

static const struct isa {
    const char *name;
    bool (*has)(void);
    const ft_conv_kernels *conv;
    const ft_winograd_kernels *winograd;
    const ft_row_kernels *row;
    const ft_pool_kernels *pool;
    const ft_update_kernels *update;
    const ft_peak_kernels *peak;
} isas[] = {
#define ROW(isa)                 \
    {#isa,                       \
     has_##isa,                  \
     &ft_conv_kernels_##isa,     \
     &ft_winograd_kernels_##isa, \
     &ft_row_kernels_##isa,      \
     &ft_pool_kernels_##isa,     \
     &ft_update_kernels_##isa,   \
     &ft_peak_kernels_##isa},
    FT_ISAS(ROW)};
enum { N_ISAS = sizeof isas / sizeof isas[0] };

static const struct isa *_Atomic chosen;

static const struct isa *choose(void) {
    const char *wanted = getenv("FACET_ISA");
    const struct isa *best = &isas[0];
    for (size_t i = 0; i < N_ISAS; i++) {
        if (!isas[i].has()) continue;
        best = &isas[i];
        if (wanted && strcmp(wanted, isas[i].name) == 0) break;
    }
    return best;
}

static const struct isa *current(void) {
    const struct isa *isa = chosen;
    if (!isa) chosen = isa = choose();
    return isa;
}

const ft_conv_kernels *ft_conv_kernels_get(void) {
    return current()->conv;
}
const ft_winograd_kernels *ft_winograd_kernels_get(void) {
    return current()->winograd;
}
const ft_row_kernels *ft_row_kernels_get(void) {
    return current()->row;
}
const ft_pool_kernels *ft_pool_kernels_get(void) {
    return current()->pool;
}
const ft_update_kernels *ft_update_kernels_get(void) {
    return current()->update;
}
const ft_peak_kernels *ft_peak_kernels_get(void) {
    return current()->peak;
}
const char *ft_isa(void) {
    return current()->name;
}

ft_err ft_isa_set(const char *name) {
    if (!name) {
        chosen = choose();
        return FT_OK;
    }
    for (size_t i = 0; i < N_ISAS; i++) {
        if (strcmp(isas[i].name, name) != 0) continue;
        FT_REQUIRE(isas[i].has(), USAGE, "this processor cannot run the instruction set '%s'", name);
        chosen = &isas[i];
        return FT_OK;
    }
#define NAME(isa) " " #isa
    FT_FAIL(USAGE, "unknown instruction set '%s'; known:" FT_ISAS(NAME), name);
}

const char *ft_isa_available(int32_t i) {
    for (size_t k = 0; k < N_ISAS; k++)
        if (isas[k].has() && i-- == 0) return isas[k].name;
    return NULL;
}

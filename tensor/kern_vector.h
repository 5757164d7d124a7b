/* Vectors of the instruction set that a kernel source is compiled for; for kern_*.c alone. */
#ifndef FACET_TENSOR_KERN_VECTOR_H
#define FACET_TENSOR_KERN_VECTOR_H

#include "tensor/kernels.h"

#include <string.h>

#if defined(__AVX512F__)
enum { VECTOR_BYTES = 64 };
#elif defined(__AVX2__)
enum { VECTOR_BYTES = 32 };
#else
enum { VECTOR_BYTES = 16 };
#endif
enum { VLEN = VECTOR_BYTES / sizeof(ft_real) };

typedef ft_real vec __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(ft_real)), may_alias));
#ifdef FT_F64
typedef int64_t mask __attribute__((vector_size(VECTOR_BYTES)));
#else
typedef int32_t mask __attribute__((vector_size(VECTOR_BYTES)));
#endif

#define INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 64")
#endif

INLINE vec load(const ft_real *p) {
    return *(const vec *)p;
}
INLINE void store(ft_real *p, vec v) {
    *(vec *)p = v;
}

/* The first n < VLEN elements, zeros behind; never touches what lies past them. Out of line: rare, and large
 * inlined. */
static __attribute__((noinline)) vec load_part(const ft_real *p, int n) {
    vec v = {0};
    memcpy(&v, p, (size_t)n * sizeof *p);
    return v;
}
static __attribute__((noinline)) void store_part(ft_real *p, vec v, int n) {
    memcpy(p, &v, (size_t)n * sizeof *p);
}
INLINE vec load_n(const ft_real *p, int n) {
    return n >= VLEN ? load(p) : load_part(p, n);
}
INLINE void store_n(ft_real *p, vec v, int n) {
    if (n >= VLEN)
        store(p, v);
    else
        store_part(p, v, n);
}

/* max(v, 0) that keeps NaN. */
INLINE vec rectified(vec v) {
    return (vec)((mask)v & ~(mask)(v < 0));
}

#endif

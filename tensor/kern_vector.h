/* Vectors of the instruction set that a kernel source is compiled for; for kern_*.c alone. */
#ifndef FACET_TENSOR_KERN_VECTOR_H
#define FACET_TENSOR_KERN_VECTOR_H

#include "tensor/kernels.h"

#include <string.h>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

/* FT_WIDE: vectors and tiles as large as AVX-512 allows, whatever instructions they are made of. */
#if defined(FT_WIDE)
enum { VECTOR_BYTES = 64 };
#elif defined(__AVX2__)
enum { VECTOR_BYTES = 32 };
#else
enum { VECTOR_BYTES = 16 };
#endif
enum {
    VLEN = VECTOR_BYTES / sizeof(ft_real),
    NR = 2 * VLEN /* channels of a panel */,
    LINE = 64 / sizeof(ft_real) /* of the cache */
};

typedef ft_real vec __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(ft_real)), may_alias));
#ifdef FT_F64
typedef int64_t mask __attribute__((vector_size(VECTOR_BYTES)));
#else
typedef int32_t mask __attribute__((vector_size(VECTOR_BYTES)));
#endif

#define INLINE static inline __attribute__((always_inline))
/* UNROLL: all of a loop of known length. BY_TWO: two of its steps at a time. */
#if defined(__clang__)
/* Of the largest loops Clang says that it does not: that is slower, not wrong. */
#pragma clang diagnostic ignored "-Wpass-failed"
#define UNROLL _Pragma("clang loop unroll(full)")
#define BY_TWO _Pragma("clang loop unroll_count(2)")
#else
#define UNROLL _Pragma("GCC unroll 64")
#define BY_TWO _Pragma("GCC unroll 2")
#endif

INLINE vec load(const ft_real *p) {
    return *(const vec *)p;
}
INLINE void store(ft_real *p, vec v) {
    *(vec *)p = v;
}

/* Stores past the caches, p on a whole vector. Other threads may read it after the parallel loop (par.c). */
INLINE void stream(ft_real *p, vec v) {
#if defined(__AVX512F__)
    _mm512_stream_si512((void *)p, (__m512i)v);
#elif defined(FT_WIDE)
    store(p, v);
#elif defined(__AVX__)
    _mm256_stream_si256((void *)p, (__m256i)v);
#elif defined(__SSE2__)
    _mm_stream_si128((void *)p, (__m128i)v);
#else
    store(p, v);
#endif
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

/* v, which the compiler must have as a number of its own: it would fuse a product with each addition that
 * uses it, but processors add beside multiplying, so where there are two additions one product is cheaper. */
INLINE vec rounded(vec v) {
#if defined(FT_WIDE) && !defined(__AVX512F__)
    __asm__("" : "+m"(v));
#elif defined(__x86_64__)
    __asm__("" : "+v"(v));
#elif defined(__aarch64__)
    __asm__("" : "+w"(v));
#endif
    return v;
}

/* s + x * b. With AVX2 a tile's sums take 12 of the 16 registers, and GCC would give most of them another one
 * with every product and move them back, which costs a tenth where another thread shares the core. */
INLINE vec plus_product(vec s, ft_real x, vec b) {
#if defined(__AVX2__) && !defined(FT_WIDE)
    vec v = x - (vec){0};
#ifdef FT_F64
    __asm__("vfmadd231pd %2, %1, %0" : "+x"(s) : "x"(v), "x"(b));
#else
    __asm__("vfmadd231ps %2, %1, %0" : "+x"(s) : "x"(v), "x"(b));
#endif
    return s;
#else
    return s + x * b;
#endif
}

/* After the last row of a call. */
INLINE void end_finish(const ft_finish *f) {
    if (f->moments) f->moments->fresh = false;
}

/* max(v, 0) that keeps NaN. */
INLINE vec rectified(vec v) {
    return (vec)((mask)v & ~(mask)(v < 0));
}

#endif

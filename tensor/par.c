#include "tensor/par.h"

#include <omp.h>
#include <stdbool.h>
#if defined(__SSE__)
#include <xmmintrin.h>
#endif

static int32_t wanted; /* 0: OpenMP's default */

int32_t ft_threads(void) {
    return wanted > 0 ? wanted : omp_get_max_threads();
}

void ft_threads_set(int32_t n) {
    wanted = n;
}

/* Denormal numbers cost a hundred cycles each and mean nothing in training: flush them, in every thread. */
static void flush_denormals(void) {
#if defined(__SSE__)
    _mm_setcsr(_mm_getcsr() | 0x8040u); /* FTZ | DAZ */
#elif defined(__aarch64__)
    uint64_t fpcr;
    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    __asm__ volatile("msr fpcr, %0" : : "r"(fpcr | (uint64_t)1 << 24));
#endif
}

/* What a kernel stored past the caches is there for other threads afterwards. */
static void show_streamed(void) {
#if defined(__SSE__)
    _mm_sfence();
#endif
}

void ft_par_for(int64_t n_chunks, void (*body)(void *ctx, int64_t chunk, int32_t thread), void *ctx) {
    ft_par_for_lanes(n_chunks, ft_threads(), body, ctx);
}

void ft_par_for_lanes(int64_t n_chunks, int32_t lanes, void (*body)(void *ctx, int64_t chunk, int32_t thread),
                      void *ctx) {
    int32_t threads = lanes < ft_threads() ? lanes : ft_threads();
    if (n_chunks < threads) threads = (int32_t)n_chunks;
    if (threads <= 1) {
        flush_denormals();
        for (int64_t i = 0; i < n_chunks; i++) body(ctx, i, 0);
        return;
    }
#pragma omp parallel num_threads(threads)
    {
        flush_denormals();
#pragma omp for schedule(dynamic, 1) nowait
        for (int64_t i = 0; i < n_chunks; i++) body(ctx, i, omp_get_thread_num());
        show_streamed();
    }
}

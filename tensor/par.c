#include "tensor/par.h"

#include <omp.h>
#include <sched.h>
#include <stdatomic.h>
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

/* ---- two functions at once ---- */

enum { MOST_LOOPS = 32, PATIENCE = 256 /* looks for work before the processor is offered to others */ };

typedef struct loop {
    _Atomic int64_t next, done; /* chunks handed out, and finished */
    int64_t n;
    int32_t lanes;
    void (*body)(void *ctx, int64_t chunk, int32_t thread);
    void *ctx;
} loop;

/* One function's loops, one after the other. None is used again: a thread may look at one long after its end.
 */
typedef struct side {
    loop loops[MOST_LOOPS];
    _Atomic int32_t n_loops; /* the last of them is under way */
    _Atomic bool ended;
} side;

/* What the thread is doing in ft_par_both: leading `own`, or own is NULL. */
static _Thread_local struct leading {
    side *own, *other;
    bool owns_fine;
    int32_t thread;
} leading;

/* Does a chunk of the loop under way; false: there is none left. */
static bool help(side *s, int32_t thread) {
    int32_t k = atomic_load_explicit(&s->n_loops, memory_order_acquire) - 1;
    loop *l = k >= 0 ? &s->loops[k] : NULL;
    if (!l || thread >= l->lanes || atomic_load_explicit(&l->next, memory_order_relaxed) >= l->n)
        return false;
    int64_t chunk = atomic_fetch_add_explicit(&l->next, 1, memory_order_relaxed);
    if (chunk >= l->n) return false;
    l->body(l->ctx, chunk, thread);
    show_streamed();
    atomic_fetch_add_explicit(&l->done, 1, memory_order_release);
    return true;
}

static void wait_a_little(int32_t *looks) {
#if defined(__SSE__)
    _mm_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
    if (++*looks > PATIENCE) sched_yield();
}

/* A loop of the function that this thread leads. last: the coarse chunks of the other one may come first. */
static void lead(int64_t n, int32_t lanes, void (*body)(void *ctx, int64_t chunk, int32_t thread), void *ctx,
                 bool last) {
    const struct leading *me = &leading;
    int32_t k = atomic_load_explicit(&me->own->n_loops, memory_order_relaxed), looks = 0;
    if (k == MOST_LOOPS) {
        for (int64_t i = 0; i < n; i++) body(ctx, i, me->thread);
        show_streamed();
        return;
    }
    loop *l = &me->own->loops[k];
    l->n = n;
    l->lanes = lanes;
    l->body = body;
    l->ctx = ctx;
    atomic_store_explicit(&me->own->n_loops, k + 1, memory_order_release);
    while (atomic_load_explicit(&l->done, memory_order_acquire) < n) {
        if (me->owns_fine && last && help(me->other, me->thread)) continue;
        if (help(me->own, me->thread)) continue;
        if (!me->owns_fine && help(me->other, me->thread)) continue;
        wait_a_little(&looks);
    }
}

static void lead_function(side *own, side *other, bool owns_fine, int32_t thread, void (*function)(void *ctx),
                          void *ctx) {
    leading = (struct leading){own, other, owns_fine, thread};
    function(ctx);
    leading = (struct leading){0};
    atomic_store_explicit(&own->ended, true, memory_order_release);
}

static bool has_ended(side *s) {
    return atomic_load_explicit(&s->ended, memory_order_acquire);
}

void ft_par_both(void (*coarse)(void *ctx), void (*fine)(void *ctx), void *ctx) {
    if (ft_threads() == 1) {
        coarse(ctx);
        fine(ctx);
        return;
    }
    side coarse_side = {0}, fine_side = {0};
#pragma omp parallel num_threads(ft_threads())
    {
        int32_t thread = omp_get_thread_num(), looks = 0;
        bool alone = omp_get_num_threads() == 1;
        flush_denormals();
        if (thread == 0) lead_function(&fine_side, &coarse_side, true, thread, fine, ctx);
        if (thread == 1 || alone) lead_function(&coarse_side, &fine_side, false, thread, coarse, ctx);
        while (!has_ended(&coarse_side) || !has_ended(&fine_side))
            if (!help(&coarse_side, thread) && !help(&fine_side, thread)) wait_a_little(&looks);
    }
}

/* ---- a loop ---- */

static void run(int64_t n_chunks, int32_t lanes, void (*body)(void *ctx, int64_t chunk, int32_t thread),
                void *ctx, bool last) {
    if (leading.own) {
        lead(n_chunks, lanes, body, ctx, last);
        return;
    }
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

void ft_par_for(int64_t n_chunks, void (*body)(void *ctx, int64_t chunk, int32_t thread), void *ctx) {
    run(n_chunks, ft_threads(), body, ctx, false);
}

void ft_par_for_lanes(int64_t n_chunks, int32_t lanes, void (*body)(void *ctx, int64_t chunk, int32_t thread),
                      void *ctx) {
    run(n_chunks, lanes, body, ctx, false);
}

void ft_par_for_last(int64_t n_chunks, int32_t lanes, void (*body)(void *ctx, int64_t chunk, int32_t thread),
                     void *ctx) {
    run(n_chunks, lanes, body, ctx, true);
}

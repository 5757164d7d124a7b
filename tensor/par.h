/* Threads. The only parallel regions are in par.c (blas.c keeps OpenBLAS from opening its own).
 *
 * Work is cut into chunks whose number depends on shapes, never on the number of threads, and partial results
 * are added in the order of the chunks, so every result has the same bits for any number of threads.
 *
 * How long a waiting thread keeps its core is the program's to say: tools/short_waits.h.
 */
#ifndef FACET_TENSOR_PAR_H
#define FACET_TENSOR_PAR_H

#include <stdint.h>

/* Runs body(ctx, chunk, thread) once for every chunk in 0 .. n_chunks-1, in any order, on up to ft_threads()
 * threads. thread is below ft_threads(). Not to be nested. */
void ft_par_for(int64_t n_chunks, void (*body)(void *ctx, int64_t chunk, int32_t thread), void *ctx);

/* The same on at most `lanes` threads, for bodies with scratch by thread. */
void ft_par_for_lanes(int64_t n_chunks, int32_t lanes, void (*body)(void *ctx, int64_t chunk, int32_t thread),
                      void *ctx);

/* Runs two functions at once, which write different things. Inside them ft_par_for is as ever, but threads
 * that one of the loops leaves without work take chunks of the other's: coarse is the one with few and long
 * chunks, which are handed out first. The loops' bodies need scratch of their own. Not to be nested. */
void ft_par_both(void (*coarse)(void *ctx), void (*fine)(void *ctx), void *ctx);
/* ft_par_for_lanes, when nothing depends on the loop's end but the function's: in ft_par_both the thread that
 * called it may then be busy with the other function's chunks when it ends. */
void ft_par_for_last(int64_t n_chunks, int32_t lanes, void (*body)(void *ctx, int64_t chunk, int32_t thread),
                     void *ctx);

/* Threads that ft_par_for uses at most; at first what OpenMP would (OMP_NUM_THREADS, else the cores). */
int32_t ft_threads(void);
/* n = 0: back to the default. Not while a plan runs. */
void ft_threads_set(int32_t n);

/* Rows in a chunk for row kernels: near 16,384 elements, at least one row. */
static inline int64_t ft_par_rows(int64_t c) {
    int64_t rows = 16384 / (c > 0 ? c : 1);
    return rows > 0 ? rows : 1;
}
static inline int64_t ft_ceil_div(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

#endif

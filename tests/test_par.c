/* Threads: every chunk once, one loop after the other, two functions at once. */
#include "tensor/par.h"

#include <check.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

enum { MOST_CHUNKS = 64, MANY_LOOPS = 40 };

/* Loops one after the other; each fills in its row from the one before. */
typedef struct chain {
    int32_t n_loops, n_chunks, lanes, at; /* at: the loop under way */
    bool last;                            /* the last loop says that it is */
    int32_t pause;                        /* microseconds that a chunk takes */
    int64_t row[MANY_LOOPS + 1][MOST_CHUNKS];
    _Atomic int32_t runs, wrong;
} chain;

static void run_chunk(void *ctx, int64_t chunk, int32_t thread) {
    chain *c = ctx;
    int64_t sum = 0;
    if (c->pause) usleep((useconds_t)c->pause);
    for (int32_t i = 0; i < c->n_chunks; i++) sum += c->row[c->at][i]; /* all of them must be there */
    c->row[c->at + 1][chunk] += sum % 1000 + chunk + 1;
    if (thread < 0 || thread >= c->lanes || thread >= ft_threads()) c->wrong++;
    c->runs++;
}

static void run_chain(chain *c) {
    for (c->at = 0; c->at < c->n_loops; c->at++)
        if (c->last && c->at == c->n_loops - 1)
            ft_par_for_last(c->n_chunks, c->lanes, run_chunk, c);
        else if (c->lanes < ft_threads())
            ft_par_for_lanes(c->n_chunks, c->lanes, run_chunk, c);
        else
            ft_par_for(c->n_chunks, run_chunk, c);
}

/* What comes of it if each chunk is run once and no loop begins before the end of the one before. */
static void expect(const chain *c) {
    int64_t before[MOST_CHUNKS] = {0};
    bool right = c->wrong == 0 && c->runs == c->n_loops * c->n_chunks;
    for (int32_t k = 1; k <= c->n_loops; k++) {
        int64_t sum = 0, now[MOST_CHUNKS];
        for (int32_t i = 0; i < c->n_chunks; i++) sum += before[i];
        for (int32_t i = 0; i < c->n_chunks; i++) now[i] = sum % 1000 + i + 1;
        for (int32_t i = 0; i < c->n_chunks; i++) right &= c->row[k][i] == now[i];
        for (int32_t i = 0; i < c->n_chunks; i++) before[i] = now[i];
    }
    ck_assert_msg(right, "%d loops of %d chunks on %d of %d threads: %d runs, %d on a wrong thread",
                  c->n_loops, c->n_chunks, c->lanes, ft_threads(), c->runs, c->wrong);
}

static const int32_t chunks[] = {0, 1, 2, 3, 17, 64};
enum { N_CHUNKS = sizeof chunks / sizeof *chunks };

START_TEST(loops_follow_each_other) {
    static chain c;
    ft_threads_set(_i);
    for (int32_t k = 0; k < N_CHUNKS; k++)
        for (int32_t lanes = 1; lanes <= _i + 1; lanes++) {
            c = (chain){.n_loops = 5, .n_chunks = chunks[k], .lanes = lanes};
            run_chain(&c);
            expect(&c);
        }
}
END_TEST

typedef struct pair {
    chain coarse, fine;
} pair;

static void run_coarse(void *ctx) {
    run_chain(&((pair *)ctx)->coarse);
}
static void run_fine(void *ctx) {
    run_chain(&((pair *)ctx)->fine);
}

START_TEST(two_functions_at_once) {
    static pair p;
    ft_threads_set(_i);
    for (int32_t k = 0; k < N_CHUNKS * N_CHUNKS; k++)
        for (int32_t loops = 0; loops <= 3; loops++)
            for (int32_t lanes = 1; lanes <= _i; lanes++) {
                p.coarse = (chain){.n_loops = 2, .n_chunks = chunks[k / N_CHUNKS], .lanes = lanes};
                p.fine = (chain){.n_loops = loops,
                                 .n_chunks = chunks[k % N_CHUNKS],
                                 .lanes = _i,
                                 .last = lanes % 2 == 0};
                ft_par_both(run_coarse, run_fine, &p);
                expect(&p.coarse);
                expect(&p.fine);
            }
}
END_TEST

/* Longer than anyone waits without offering the processor, and in every order. */
START_TEST(one_waits_for_the_other) {
    static pair p;
    ft_threads_set(3);
    for (int32_t k = 0; k < 8; k++) {
        p.coarse = (chain){.n_loops = 1, .n_chunks = 1 + k % 4, .lanes = 3, .pause = k % 2 ? 20000 : 0};
        p.fine = (chain){.n_loops = 2, .n_chunks = 5, .lanes = 3, .last = k < 4, .pause = k % 2 ? 0 : 5000};
        ft_par_both(run_coarse, run_fine, &p);
        expect(&p.coarse);
        expect(&p.fine);
    }
}
END_TEST

START_TEST(more_loops_than_are_shared) {
    static pair p;
    ft_threads_set(_i);
    p.coarse = (chain){.n_loops = MANY_LOOPS, .n_chunks = 7, .lanes = _i};
    p.fine = (chain){.n_loops = MANY_LOOPS, .n_chunks = 5, .lanes = _i, .last = true};
    ft_par_both(run_coarse, run_fine, &p);
    expect(&p.coarse);
    expect(&p.fine);
}
END_TEST

/* Threads that one function leaves without work do the other's: the coarse one has a single chunk, which
 * waits until the fine one, of two chunks or more, is done by others. */
static _Atomic int32_t n_fine;
static void wait_for_fine(void *ctx, int64_t chunk, int32_t thread) {
    (void)chunk, (void)thread;
    _Atomic bool *met = ctx;
    for (int32_t i = 0; i < 5000 && n_fine < 8; i++) usleep(1000);
    *met = n_fine == 8;
}
static void count_fine(void *ctx, int64_t chunk, int32_t thread) {
    (void)ctx, (void)chunk, (void)thread;
    n_fine++;
}
static void coarse_that_waits(void *ctx) {
    ft_par_for(1, wait_for_fine, ctx);
}
static void fine_that_counts(void *ctx) {
    ft_par_for(4, count_fine, ctx);
    ft_par_for_last(4, 2, count_fine, ctx);
}

START_TEST(work_goes_on_beside_a_long_chunk) {
    _Atomic bool met = false;
    ft_threads_set(3); /* the third takes the chunk when the fine function's thread does not */
    n_fine = 0;
    ft_par_both(coarse_that_waits, fine_that_counts, &met);
    ck_assert(met);
}
END_TEST

int main(void) {
    Suite *s = suite_create("par");
    TCase *t = tcase_create("par");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, loops_follow_each_other, 1, 5);
    tcase_add_loop_test(t, two_functions_at_once, 1, 5);
    tcase_add_test(t, one_waits_for_the_other);
    tcase_add_loop_test(t, more_loops_than_are_shared, 1, 5);
    tcase_add_test(t, work_goes_on_beside_a_long_chunk);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

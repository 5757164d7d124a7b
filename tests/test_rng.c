/* Philox against the vectors of its authors' distribution (Random123), and what is built on it. */
#include <check.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "tensor/rng.h"
#include "tests/philox_reference.h"

/* kat_vectors of Random123: philox4x32, 10 rounds. The counter's words 0 and 1 are the index, 2 and 3 the
 * stream. */
static const struct {
    uint32_t counter[4], key[2], out[4];
} known[] = {
    {{0}, {0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
     {0xffffffff, 0xffffffff},
     {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
     {0xa4093822, 0x299f31d0},
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
};

static uint64_t join(uint32_t low, uint32_t high) {
    return (uint64_t)high << 32 | low;
}

START_TEST(known_answers) {
    uint32_t words[4], reference[4];
    const uint32_t *c = known[_i].counter, *k = known[_i].key;
    ft_rng_block(join(k[0], k[1]), join(c[2], c[3]), join(c[0], c[1]), words);
    philox_reference(c, k, reference);
    for (int w = 0; w < 4; w++) {
        ck_assert_uint_eq(words[w], known[_i].out[w]);
        ck_assert_uint_eq(reference[w], known[_i].out[w]);
    }
}
END_TEST

START_TEST(block_is_the_reference) {
    for (uint32_t i = 0; i < 1000; i++) {
        uint32_t c[4] = {i * 0x01000193u, i, i * i, ~i}, k[2] = {i * 77777u, i << 20}, words[4], reference[4];
        ft_rng_block(join(k[0], k[1]), join(c[2], c[3]), join(c[0], c[1]), words);
        philox_reference(c, k, reference);
        for (int w = 0; w < 4; w++) ck_assert_uint_eq(words[w], reference[w]);
    }
}
END_TEST

START_TEST(stream_hands_out_the_blocks_in_order) {
    ft_rng r = ft_rng_stream(5, 9);
    for (uint64_t index = 0; index < 5; index++) {
        uint32_t words[4];
        ft_rng_block(5, 9, index, words);
        for (int w = 0; w < 4; w++) ck_assert_uint_eq(ft_rng_bits(&r), words[w]);
    }
}
END_TEST

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

START_TEST(derived_seeds_differ) {
    enum { SEEDS = 50, LABELS = 100, N = SEEDS * LABELS + 4 };
    uint64_t derived[N];
    int n = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++)
        for (uint64_t label = 0; label < LABELS; label++) derived[n++] = ft_rng_derive(seed, label);
    derived[n++] = ft_rng_derive_name(1, "conv2d_1/kernel");
    derived[n++] = ft_rng_derive_name(1, "conv2d_2/kernel");
    derived[n++] = ft_rng_derive_name(2, "conv2d_1/kernel");
    derived[n++] = ft_rng_derive_name(1, "");
    ck_assert_uint_eq(ft_rng_derive_name(1, "conv2d_1/kernel"), derived[N - 4]);
    qsort(derived, N, sizeof derived[0], by_value);
    for (int i = 1; i < N; i++) ck_assert_uint_ne(derived[i - 1], derived[i]);
}
END_TEST

START_TEST(uniform_is_uniform) {
    enum { N = 200000, BINS = 20 };
    ft_rng r = ft_rng_stream(1, 2);
    int count[BINS] = {0};
    for (int i = 0; i < N; i++) {
        double u = ft_rng_uniform(&r);
        ck_assert(u >= 0 && u < 1);
        count[(int)(u * BINS)]++;
    }
    double chi2 = 0;
    for (int b = 0; b < BINS; b++) chi2 += pow(count[b] - N / (double)BINS, 2) / (N / (double)BINS);
    ck_assert_msg(chi2 <= 43.8, "chi squared of %g on 19 degrees of freedom (p < 0.001)", chi2);
}
END_TEST

START_TEST(unit_of_the_extreme_words) {
    ck_assert(ft_rng_unit(0) == 0);
    ck_assert(ft_rng_unit(0xffffffffu) < 1);
    ck_assert(ft_rng_unit(0x80000000u) == 0.5f);
}
END_TEST

/* With n = 3 * 2^30 a draw that took the remainder would give a third of the numbers twice as often. */
START_TEST(below_is_unbiased) {
    enum { N = 60000 };
    ft_rng r = ft_rng_stream(3, 0);
    int third[3] = {0};
    for (int i = 0; i < N; i++) {
        uint32_t x = ft_rng_below(&r, 3u << 30);
        ck_assert_uint_lt(x, 3u << 30);
        third[x >> 30]++;
    }
    for (int k = 0; k < 3; k++) ck_assert_msg(abs(third[k] - N / 3) <= 600, "%d in third %d", third[k], k);
    for (int i = 0; i < 100; i++) ck_assert_uint_eq(ft_rng_below(&r, 1), 0);
}
END_TEST

START_TEST(normal_has_its_moments) {
    enum { N = 200000 };
    ft_rng r = ft_rng_stream(4, 0);
    double sum[5] = {0};
    for (int i = 0; i < N; i++) {
        double x = ft_rng_normal(&r), power = 1;
        for (int k = 0; k < 5; k++, power *= x) sum[k] += power / N;
    }
    /* five standard deviations of each sample moment: sqrt((2k-th - k-th^2) / N) */
    ck_assert_msg(fabs(sum[1]) <= 5 * sqrt(1.0 / N), "mean %g", sum[1]);
    ck_assert_msg(fabs(sum[2] - 1) <= 5 * sqrt(2.0 / N), "variance %g", sum[2]);
    ck_assert_msg(fabs(sum[3]) <= 5 * sqrt(15.0 / N), "third moment %g", sum[3]);
    ck_assert_msg(fabs(sum[4] - 3) <= 5 * sqrt(96.0 / N), "fourth moment %g", sum[4]);
}
END_TEST

/* Every number comes to every place equally often. */
START_TEST(shuffle_is_fair) {
    enum { M = 6, ROUNDS = 12000 };
    ft_rng r = ft_rng_stream(6, 0);
    int at[M][M] = {{0}};
    for (int i = 0; i < ROUNDS; i++) {
        int32_t a[M] = {0, 1, 2, 3, 4, 5};
        bool seen[M] = {0};
        ft_rng_shuffle(&r, a, M);
        for (int p = 0; p < M; p++) {
            ck_assert_int_ge(a[p], 0);
            ck_assert_int_lt(a[p], M);
            ck_assert(!seen[a[p]]);
            seen[a[p]] = true;
            at[a[p]][p]++;
        }
    }
    for (int v = 0; v < M; v++)
        for (int p = 0; p < M; p++)
            ck_assert_msg(abs(at[v][p] - ROUNDS / M) <= 205, "%d came to place %d %d times", v, p, at[v][p]);
    ft_rng_shuffle(&r, NULL, 0);
}
END_TEST

int main(void) {
    Suite *s = suite_create("rng");
    TCase *t = tcase_create("rng");
    tcase_add_loop_test(t, known_answers, 0, (int)(sizeof known / sizeof known[0]));
    tcase_add_test(t, block_is_the_reference);
    tcase_add_test(t, stream_hands_out_the_blocks_in_order);
    tcase_add_test(t, derived_seeds_differ);
    tcase_add_test(t, uniform_is_uniform);
    tcase_add_test(t, unit_of_the_extreme_words);
    tcase_add_test(t, below_is_unbiased);
    tcase_add_test(t, normal_has_its_moments);
    tcase_add_test(t, shuffle_is_fair);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

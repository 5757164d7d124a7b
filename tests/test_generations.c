/* The newest resume point is damaged, anywhere: it is refused by name, or nothing that is read was changed;
 * and the one before it takes over.
 *
 * FACET_DAMAGES: how many places to try, evenly spread; all of them where the file has fewer bytes.
 * FACET_DAMAGES_NET: the network whose resume point it is, instead of the small one's.
 */
#include "tests/checkpoint_testing.h"
#include "train/generations.h"

enum { SLICES = 4 }; /* tests of which each takes its share: Check counts no more than half an hour in one */
static char older[128];

static int64_t places(int64_t usual, size_t n) {
    const char *wanted = getenv("FACET_DAMAGES");
    int64_t many = wanted ? atoll(wanted) : usual;
    return many < (int64_t)n ? many : (int64_t)n;
}

/* Two generations of the same run; its numbers to *r. */
static void write_two(run *r) {
    const char *net = getenv("FACET_DAMAGES_NET");
    const run_options o = {net ? net : small.arch, "sgd", !net, 1};
    new_run(r, &o);
    snprintf(older, sizeof older, "%s/last.1.h5", folder);
    ck_assert_msg(ft_generations_write(path, 2, r->m, &r->s) == FT_OK, "%s", ft_err_message());
    ck_assert_msg(ft_generations_write(path, 2, r->m, &r->s) == FT_OK, "%s", ft_err_message());
}

/* What is found is what was written: in the older one, or where the byte carries nothing. Returns whether it
 * is the older one. */
static bool passed_over(run *want, run *got, size_t at) {
    char found[4096], why[1024];
    ck_assert_msg(ft_generations_find(path, found, why) == FT_OK, "byte %zu: %s", at, ft_err_message());
    if (strcmp(found, older) == 0) {
        ck_assert_msg(strstr(why, path), "byte %zu: %s", at, why);
        return true;
    }
    ck_assert_str_eq(found, path);
    ck_assert_msg(ft_checkpoint_resume(path, got->m, &got->s) == FT_OK, "byte %zu: %s", at, ft_err_message());
    ck_assert_msg(same_model(want->m, got->m) && same_state(want, got), "byte %zu changes what is read", at);
    got->s.progress.seed = want->s.progress.seed;
    return false;
}

static void new_pair(run *want, run *got) {
    const char *net = getenv("FACET_DAMAGES_NET");
    write_two(want);
    new_run(got, &(run_options){net ? net : small.arch, "sgd", !net, 1});
}

static void remove_both(run *want, run *got) {
    unlink(older);
    free_run(want);
    free_run(got);
}

START_TEST(a_byte_is_changed) {
    run want, got;
    new_pair(&want, &got);
    bytes b = read_bytes(path);
    int64_t n = places(300, b.n), first = n * _i / SLICES, end = n * (_i + 1) / SLICES, refused = 0;
    for (int64_t i = first; i < end; i++) {
        size_t at = (size_t)((double)i / (double)n * (double)b.n);
        unsigned char mask = (unsigned char)(1u << i % 8); /* of the others, some */
        flip_bits(path, at, mask);
        refused += passed_over(&want, &got, at);
        flip_bits(path, at, mask);
    }
    printf("%lld of %lld bytes changed: refused; the others carry nothing (file of %zu bytes)\n",
           (long long)refused, (long long)(end - first), b.n);
    ck_assert_int_gt(refused, (end - first) * 9 / 10);
    free(b.p);
    remove_both(&want, &got);
}
END_TEST

START_TEST(it_is_cut) {
    run want, got;
    new_pair(&want, &got);
    bytes b = read_bytes(path);
    int64_t n = places(100, b.n), first = n * _i / SLICES, end = n * (_i + 1) / SLICES;
    for (int64_t i = end - 1; i >= first; i--) { /* from its end on */
        size_t at = (size_t)((double)i / (double)n * (double)b.n);
        ck_assert_int_eq(truncate(path, (off_t)at), 0);
        ck_assert_msg(passed_over(&want, &got, at), "cut at byte %zu of %zu", at, b.n);
    }
    printf("%lld cuts: all refused\n", (long long)(end - first));
    free(b.p);
    remove_both(&want, &got);
}
END_TEST

/* Both are damaged: the message is of the newest. */
START_TEST(nothing_is_left) {
    run want, got;
    char found[4096], why[1024];
    new_pair(&want, &got);
    ck_assert_int_eq(truncate(path, 1000), 0);
    ck_assert_int_eq(truncate(older, 0), 0);
    ck_assert_int_eq(ft_generations_find(path, found, why), FT_E_WEIGHTS);
    assert_message(path);
    remove_both(&want, &got);
}
END_TEST

static void add_tests(TCase *t) {
    tcase_set_timeout(t, 36000);
    tcase_add_loop_test(t, a_byte_is_changed, 0, SLICES);
    tcase_add_loop_test(t, it_is_cut, 0, SLICES);
    tcase_add_test(t, nothing_is_left);
}

int main(void) {
    return run_suite("generations", "last.h5", NULL, add_tests);
}

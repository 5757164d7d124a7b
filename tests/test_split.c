/* Splits of a data set of numbers alone: by class, by group, by content, as a list says, and folds. */
#include "data/split.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The split of seed 42 below, as recorded when it was written: it must not change, or old runs lose their
 * parts. */
#define SPLIT_RECORDED 0xabbddc7c7bdbf42du

typedef struct fake {
    ft_dataset base;
    const int32_t *label;
    const int32_t *group;
    const uint64_t *content; /* hashes; 0: cannot be read */
    int32_t n_test; /* the last ones are an official test part, the others then an official training part */
} fake;

static int32_t fake_label(const ft_dataset *ds, int32_t i) {
    return ((const fake *)ds)->label[i];
}
static ft_fixed fake_fixed(const ft_dataset *ds, int32_t i) {
    int32_t n_test = ((const fake *)ds)->n_test;
    if (!n_test) return FT_FIXED_NONE;
    return i >= ds->n - n_test ? FT_FIXED_TEST : FT_FIXED_TRAIN;
}
static int32_t fake_group(const ft_dataset *ds, int32_t i) {
    const fake *f = (const fake *)ds;
    return f->group ? f->group[i] : -1;
}
static void fake_name(const ft_dataset *ds, int32_t i, char *buffer, size_t bytes) {
    (void)ds;
    snprintf(buffer, bytes, "%d.jpg", i);
}
static ft_err fake_content(const ft_dataset *ds, int32_t i, uint64_t *hash) {
    *hash = ((const fake *)ds)->content[i];
    FT_REQUIRE(*hash, DATA, "%d.jpg: there is no such file", i);
    return FT_OK;
}
static const ft_dataset_ops fake_ops = {.kind = "fake",
                                        .label = fake_label,
                                        .group = fake_group,
                                        .fixed = fake_fixed,
                                        .name = fake_name,
                                        .content = fake_content};

static fake make_fake(const int32_t *label, int32_t n, int32_t n_classes, int32_t n_test) {
    return (
        fake){.base = {.ops = &fake_ops, .n = n, .n_classes = n_classes}, .label = label, .n_test = n_test};
}

/* Disjoint, ascending, in range; parts of sample i to part (n), FT_PARTS for none. */
static void check_lists(const ft_split *s, int32_t n, uint8_t *part) {
    memset(part, FT_PARTS, (size_t)n);
    for (int p = 0; p < FT_PARTS; p++)
        for (int32_t i = 0; i < s->n[p]; i++) {
            int32_t k = s->index[p][i];
            ck_assert(k >= 0 && k < n && part[k] == FT_PARTS);
            ck_assert(i == 0 || s->index[p][i - 1] < k);
            part[k] = (uint8_t)p;
        }
}

enum { N = 1000, CLASSES = 7 };
static int32_t uneven[N];

/* Classes of very different sizes, mixed: 1, 3, 10, 33, 100, ... */
static void make_uneven(void) {
    static const int32_t size[CLASSES] = {1, 3, 10, 33, 100, 297, 556};
    int32_t i = 0;
    for (int32_t k = 0; k < CLASSES; k++)
        for (int32_t j = 0; j < size[k]; j++, i++) uneven[i * 7 % N] = k;
    ck_assert_int_eq(i, N);
}

START_TEST(split_stratified) {
    make_uneven();
    fake ds = make_fake(uneven, N, CLASSES, 0);
    static const double fractions[][3] = {{0.6, 0.2, 0.2}, {0.8, 0.1, 0.1}, {0.7, 0.3, 0},
                                          {0.1, 0.05, 0},  {1, 0, 0},       {1.0 / 3, 1.0 / 3, 1.0 / 3}};
    for (size_t k = 0; k < sizeof fractions / sizeof fractions[0]; k++) {
        ft_split_spec spec = {.seed = k};
        memcpy(spec.fraction, fractions[k], sizeof spec.fraction);
        ft_split s;
        ck_assert_int_eq(ft_split_make(&ds.base, &spec, &s), FT_OK);
        uint8_t part[N];
        check_lists(&s, N, part);
        double sum = 0;
        for (int p = 0; p < FT_PARTS; p++) {
            sum += spec.fraction[p];
            ck_assert(abs((int)(N * spec.fraction[p]) - s.n[p]) <= 3);
        }
        if (sum > 0.999) ck_assert_int_eq(s.n[0] + s.n[1] + s.n[2], N); /* complete */
        int32_t size[CLASSES] = {0}, share[CLASSES][FT_PARTS + 1] = {0};
        for (int32_t i = 0; i < N; i++) {
            size[uneven[i]]++;
            share[uneven[i]][part[i]]++;
        }
        for (int c = 0; c < CLASSES; c++) {
            ck_assert_int_ge(share[c][FT_PART_TRAIN], 1);
            for (int p = 0; p < FT_PARTS; p++) {
                double exact = size[c] * spec.fraction[p], got = share[c][p];
                bool raised = p == FT_PART_TRAIN && share[c][p] == 1;
                ck_assert_msg(raised || (got > exact - 2 && got < exact + 1), "class %d part %d: %g of %g", c,
                              p, got, exact);
                if (size[c] >= 10 && spec.fraction[p] >= 0.1) ck_assert(got >= 1 && got >= exact - 1.000001);
            }
        }
        ft_split_free(&s);
        ck_assert_ptr_null(s.index[0]);
    }
}
END_TEST

START_TEST(split_many_small_classes) { /* two images each: the totals must be right all the same */
    static int32_t label[400];
    for (int32_t i = 0; i < 400; i++) label[i] = i / 2;
    fake ds = make_fake(label, 400, 200, 0);
    ft_split s;
    ck_assert_int_eq(ft_split_make(&ds.base, &(ft_split_spec){.fraction = {0.6, 0.2, 0.2}}, &s), FT_OK);
    ck_assert(abs(s.n[0] - 240) <= 1 && abs(s.n[1] - 80) <= 1 && abs(s.n[2] - 80) <= 1);
    ft_split_free(&s);
}
END_TEST

static uint64_t split_hash(const ft_split *s) {
    uint64_t h = 0xcbf29ce484222325u;
    for (int p = 0; p < FT_PARTS; p++)
        for (int32_t i = 0; i < s->n[p]; i++) h = (h ^ (uint64_t)(s->index[p][i] * 4 + p)) * 0x100000001b3u;
    return h;
}

START_TEST(split_seed) {
    make_uneven();
    fake ds = make_fake(uneven, N, CLASSES, 0);
    uint64_t h[3];
    for (int k = 0; k < 3; k++) {
        ft_split_spec spec = {.fraction = {0.6, 0.2, 0.2}, .seed = k == 2 ? 43 : 42};
        ft_split s;
        ck_assert_int_eq(ft_split_make(&ds.base, &spec, &s), FT_OK);
        h[k] = split_hash(&s);
        ft_split_free(&s);
    }
    ck_assert_uint_eq(h[0], h[1]);
    ck_assert_uint_ne(h[0], h[2]);
    ck_assert_msg(h[0] == SPLIT_RECORDED, "the split of seed 42 is %#lx on this machine",
                  (unsigned long)h[0]);
}
END_TEST

START_TEST(split_fixed_test_part) {
    make_uneven();
    fake ds = make_fake(uneven, N, CLASSES, 200);
    static const double fractions[][3] = {{0.75, 0.25, 0}, {0.6, 0.2, 0.2}};
    for (int k = 0; k < 2; k++) { /* both mean 3:1 */
        ft_split_spec spec = {.seed = 1};
        memcpy(spec.fraction, fractions[k], sizeof spec.fraction);
        ft_split s;
        ck_assert_int_eq(ft_split_make(&ds.base, &spec, &s), FT_OK);
        uint8_t part[N];
        check_lists(&s, N, part);
        ck_assert_int_eq(s.n[FT_PART_TEST], 200);
        for (int32_t i = 0; i < N; i++) ck_assert_int_eq(part[i] == FT_PART_TEST, i >= 800);
        ck_assert(s.n[FT_PART_TRAIN] + s.n[FT_PART_VAL] == 800 && abs(s.n[FT_PART_VAL] - 200) <= 2);
        ft_split_free(&s);
    }
    ft_split s; /* the official test part alone */
    ck_assert_int_eq(ft_split_make(&ds.base, &(ft_split_spec){.fraction = {0, 0, 1}}, &s), FT_OK);
    ck_assert(s.n[0] == 0 && s.n[1] == 0 && s.n[2] == 200);
    ft_split_free(&s);
}
END_TEST

START_TEST(split_errors) {
    static const int32_t label[3] = {0, 1, 2};
    fake ds = make_fake(label, 3, 3, 0);
    ft_split s;
    static const double bad[][3] = {{0.8, 0.2, 0.1}, {-0.1, 0.5, 0.5}, {1.2, 0, 0}, {0.5, 0.0 / 0.0, 0}};
    for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++) {
        ft_split_spec spec = {0};
        memcpy(spec.fraction, bad[k], sizeof spec.fraction);
        ck_assert_int_eq(ft_split_make(&ds.base, &spec, &s), FT_E_CONFIG);
        ck_assert_ptr_null(s.index[0]);
    }
    /* one image a class: all go to train */
    ck_assert_int_eq(ft_split_make(&ds.base, &(ft_split_spec){.fraction = {0.8, 0.2, 0}}, &s), FT_E_DATA);
    ck_assert_ptr_nonnull(strstr(ft_err_message(), "the val part gets no image"));
    ck_assert_int_eq(ft_split_make(&ds.base, &(ft_split_spec){.fraction = {1, 0, 0}}, &s), FT_OK);
    ck_assert_int_eq(s.n[0], 3);
    ft_split_free(&s);
}
END_TEST

/* ---- groups ---- */

/* Persons with 1 to 40 pictures, each of mostly one class; some pictures are nobody's. */
static int32_t make_persons(int32_t *group) {
    int32_t n = 0;
    unsigned state = 9;
    for (int32_t i = 0; i < N; n++)
        for (int32_t size = 1 + n * n % 40; size > 0 && i < N; size--, i++) {
            state = state * 1664525u + 1013904223u;
            int32_t at = i * 7 % N; /* scattered */
            group[at] = i % 50 == 3 ? -1 : n;
            uneven[at] = state >> 29 == 0 ? n % 3 : (n + 1) % 3;
        }
    return n;
}

START_TEST(groups_stay_whole) {
    static int32_t group[N];
    static const double fractions[][3] = {{0.6, 0.2, 0.2}, {0.8, 0.2, 0}, {0.5, 0.1, 0.1}};
    for (uint64_t seed = 0; seed < 20; seed++)
        for (int k = 0; k < 3; k++) {
            fake ds = make_fake(uneven, N, 3, 0);
            ds.base.n_groups = make_persons(group);
            ds.group = group;
            ft_split_spec spec = {.by = FT_SPLIT_GROUP, .seed = seed};
            memcpy(spec.fraction, fractions[k], sizeof spec.fraction);
            ft_split s;
            ck_assert_msg(ft_split_make(&ds.base, &spec, &s) == FT_OK, "%s", ft_err_message());
            uint8_t part[N], of_group[N];
            check_lists(&s, N, part);
            memset(of_group, 255, sizeof of_group);
            int32_t count[3][FT_PARTS + 1] = {0}, size[3] = {0};
            for (int32_t i = 0; i < N; i++) {
                count[uneven[i]][part[i]]++;
                size[uneven[i]]++;
                if (group[i] < 0) continue;
                ck_assert(of_group[group[i]] == 255 || of_group[group[i]] == part[i]);
                of_group[group[i]] = part[i];
            }
            for (int p = 0; p < FT_PARTS; p++) { /* groups of up to 40 among 1000 can meet the shares well */
                ck_assert_msg(abs(s.n[p] - (int)(N * spec.fraction[p])) <= 10, "part %d has %d", p, s.n[p]);
                for (int c = 0; c < 3; c++)
                    ck_assert_msg(fabs(count[c][p] - size[c] * spec.fraction[p]) <= 10,
                                  "class %d part %d: %d of %d", c, p, count[c][p], size[c]);
            }
            ft_split again;
            ck_assert_int_eq(ft_split_make(&ds.base, &spec, &again), FT_OK);
            ck_assert_uint_eq(split_hash(&s), split_hash(&again));
            ft_split_free(&again);
            ft_split_free(&s);
        }
    fake ds = make_fake(uneven, N, 3, 0);
    ft_split s;
    ft_split_spec spec = {.by = FT_SPLIT_GROUP, .fraction = {0.8, 0.2, 0}};
    ck_assert_int_eq(ft_split_make(&ds.base, &spec, &s), FT_E_CONFIG);
    ck_assert_ptr_nonnull(strstr(ft_err_message(), "data.split.group"));
}
END_TEST

/* ---- hashes ---- */

static uint64_t content[N];

static void make_content(void) {
    make_uneven();
    for (int32_t i = 0; i < N; i++) content[i] = 0x9e3779b97f4a7c15u * (uint64_t)(i + 1);
}

START_TEST(hashes_move_no_old_image) {
    make_content();
    ft_split_spec spec = {.by = FT_SPLIT_HASH, .fraction = {0.7, 0.2, 0.1}, .seed = 42};
    uint8_t before[N], after[N];
    ft_split s;
    fake ds = make_fake(uneven, N - 100, CLASSES, 0);
    ds.content = content + 100;
    ck_assert_int_eq(ft_split_make(&ds.base, &spec, &s), FT_OK);
    check_lists(&s, N - 100, before);
    ft_split_free(&s);
    ds = make_fake(uneven, N, CLASSES, 0); /* 100 more, and before the others */
    ds.content = content;
    ck_assert_int_eq(ft_split_make(&ds.base, &spec, &s), FT_OK);
    check_lists(&s, N, after);
    ck_assert_mem_eq(before, after + 100, N - 100);
    for (int p = 0; p < FT_PARTS; p++) /* five deviations */
        ck_assert(fabs(s.n[p] - N * spec.fraction[p]) <=
                  5 * sqrt(N * spec.fraction[p] * (1 - spec.fraction[p])));
    ck_assert_int_eq(s.n[0] + s.n[1] + s.n[2], N);
    ft_split_free(&s);

    spec = (ft_split_spec){.by = FT_SPLIT_HASH, .fraction = {0.6, 0.3, 0.1}, .seed = 42};
    ck_assert_int_eq(ft_split_make(&ds.base, &spec, &s), FT_OK);
    check_lists(&s, N, before);
    for (int32_t i = 0; i < N; i++) /* more validation takes from training alone */
        ck_assert(before[i] == after[i] || (after[i] == FT_PART_TRAIN && before[i] == FT_PART_VAL));
    ft_split_free(&s);
    spec.seed = 43;
    ck_assert_int_eq(ft_split_make(&ds.base, &spec, &s), FT_OK);
    check_lists(&s, N, after);
    ck_assert_int_ne(memcmp(before, after, N), 0);
    ft_split_free(&s);
}
END_TEST

START_TEST(hashes_keep_copies_together) {
    make_content();
    for (int32_t i = 0; i < N; i++) content[i] = 0x9e3779b97f4a7c15u * (uint64_t)(i / 4 + 1);
    content[5] = 0; /* cannot be read: goes somewhere */
    fake ds = make_fake(uneven, N, CLASSES, 0);
    ds.content = content;
    ft_split s;
    ft_split_spec spec = {.by = FT_SPLIT_HASH, .fraction = {0.5, 0.25, 0.25}};
    ck_assert_int_eq(ft_split_make(&ds.base, &spec, &s), FT_OK);
    uint8_t part[N];
    check_lists(&s, N, part);
    for (int32_t i = 0; i < N; i++) ck_assert(i == 5 || part[i] == part[i / 4 * 4]);
    ft_split_free(&s);
}
END_TEST

/* ---- folds ---- */

/* Each sample that is not test is validation in exactly one fold; test is the same in all. */
static void check_folds(fake *ds, ft_split_by by, double slack) {
    enum { FOLDS = 5 };
    static uint8_t times[N], test[N];
    memset(times, 0, sizeof times);
    for (int32_t f = 0; f < FOLDS; f++) {
        ft_split_spec spec = {.by = by, .fraction = {0.8, 0.1, 0.1}, .folds = FOLDS, .fold = f, .seed = 4};
        ft_split s;
        ck_assert_msg(ft_split_make(&ds->base, &spec, &s) == FT_OK, "%s", ft_err_message());
        uint8_t part[N];
        check_lists(&s, N, part);
        ck_assert_int_eq(s.n[0] + s.n[1] + s.n[2], N);
        ck_assert_msg(fabs(s.n[FT_PART_VAL] - N * 0.18) <= slack, "fold %d: %d", f, s.n[FT_PART_VAL]);
        for (int32_t i = 0; i < N; i++) {
            times[i] = (uint8_t)(times[i] + (part[i] == FT_PART_VAL));
            ck_assert(f == 0 || test[i] == (part[i] == FT_PART_TEST));
            test[i] = part[i] == FT_PART_TEST;
        }
        ft_split_free(&s);
    }
    for (int32_t i = 0; i < N; i++) ck_assert_int_eq(times[i] + test[i], 1);
}

START_TEST(folds) {
    static int32_t group[N];
    make_content();
    fake ds = make_fake(uneven, N, CLASSES, 0);
    ds.content = content;
    check_folds(&ds, FT_SPLIT_STRATIFIED, 3);
    check_folds(&ds, FT_SPLIT_HASH, 65);
    ds = make_fake(uneven, N, 3, 0);
    ds.base.n_groups = make_persons(group);
    ds.group = group;
    check_folds(&ds, FT_SPLIT_GROUP, 10);
    ft_split s;
    static const int32_t bad[][2] = {{1, 0}, {5, 5}, {5, -1}, {0, 1}, {51, 0}};
    for (int k = 0; k < 5; k++) {
        ft_split_spec spec = {.fraction = {0.8, 0.2, 0}, .folds = bad[k][0], .fold = bad[k][1]};
        ck_assert_int_eq(ft_split_make(&ds.base, &spec, &s), FT_E_CONFIG);
    }
}
END_TEST

/* ---- lists ---- */

static ft_err split_as(const char *text, ft_split *s) {
    char path[] = "/tmp/facet-split-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    static const int32_t label[4] = {0, 1, 0, 1};
    fake ds = make_fake(label, 4, 2, 0);
    ft_split_spec spec = {.by = FT_SPLIT_LIST, .list = path, .fraction = {0.8, 0.1, 0.1}};
    ft_err e = ft_split_make(&ds.base, &spec, s);
    unlink(path);
    return e;
}

START_TEST(listed) {
    ft_split s;
    ck_assert_msg(split_as("part,file\ntrain,3.jpg\nval,0.jpg\ntrain,1.jpg\n", &s) == FT_OK, "%s",
                  ft_err_message());
    ck_assert(s.n[0] == 2 && s.index[0][0] == 1 && s.index[0][1] == 3);
    ck_assert(s.n[1] == 1 && s.index[1][0] == 0 && s.n[2] == 0);
    ft_split_free(&s);
    static const char *const wrong[][2] = {{"file,where\n0.jpg,train\n", "the columns file and part"},
                                           {"file,part\n0.jpg,training\n", ":2: 'training' is none of"},
                                           {"file,part\n0.jpg,val\n0.jpg,val\n",
                                            ":3: '0.jpg' is listed twice"},
                                           {"file,part\n9.jpg,val\n", "'9.jpg' is no image of these data"},
                                           {"file,part\n9.jpg\n", ":2: 1 fields where the header has 2"},
                                           {"", "the columns file and part"}};
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
        ck_assert_int_eq(split_as(wrong[k][0], &s), FT_E_DATA);
        ck_assert_msg(strstr(ft_err_message(), wrong[k][1]), "no \"%s\" in \"%s\"", wrong[k][1],
                      ft_err_message());
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("split");
    TCase *stratified = tcase_create("stratified"), *others = tcase_create("others");
    tcase_add_test(stratified, split_stratified);
    tcase_add_test(stratified, split_many_small_classes);
    tcase_add_test(stratified, split_seed);
    tcase_add_test(stratified, split_fixed_test_part);
    tcase_add_test(stratified, split_errors);
    tcase_add_test(others, groups_stay_whole);
    tcase_add_test(others, hashes_move_no_old_image);
    tcase_add_test(others, hashes_keep_copies_together);
    tcase_add_test(others, folds);
    tcase_add_test(others, listed);
    suite_add_tcase(s, stratified);
    suite_add_tcase(s, others);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}

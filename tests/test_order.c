/* The order of an epoch: every sample once, classes balanced, batches of identities. */
#include "data/order.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

enum { N = 500, CLASSES = 6 };

/* Class 4 has no sample, class 0 one, the others more and more. */
static const int32_t sizes[CLASSES] = {1, 7, 40, 152, 0, 300};
static int32_t label[2 * N];

static int32_t fake_label(const ft_dataset *ds, int32_t i) {
    (void)ds;
    return label[i];
}
static const ft_dataset_ops ops = {.kind = "fake", .label = fake_label};
static const ft_dataset ds = {.ops = &ops, .n = 2 * N, .n_classes = CLASSES};
static int32_t sample_index[N]; /* every second sample */

static void setup(void) {
    int32_t i = 0;
    memset(label, 0xff, sizeof label);
    for (int32_t k = 0; k < CLASSES; k++)
        for (int32_t j = 0; j < sizes[k]; j++, i++) label[2 * (i * 7 % N) + 1] = k;
    ck_assert_int_eq(i, N);
    for (i = 0; i < N; i++) sample_index[i] = 2 * i + 1;
}

static ft_order *new_order(ft_order_options o) {
    ft_order *order;
    ck_assert_msg(ft_order_new(&ds, sample_index, N, &o, &order) == FT_OK, "%s", ft_err_message());
    return order;
}

/* How often each sample comes. */
static void count(const int32_t *position, int32_t n, int32_t times[N]) {
    memset(times, 0, N * sizeof *times);
    for (int32_t i = 0; i < n; i++) {
        ck_assert(position[i] >= 0 && position[i] < N);
        times[position[i]]++;
    }
}

/* An epoch is the same whatever was drawn before; another epoch or seed is another one. */
static void check_epochs(ft_order_options o) {
    ft_order *a = new_order(o), *b = new_order(o);
    int32_t n = ft_order_length(a), p[N], q[N];
    ft_order_draw(a, 1, 5, p);
    for (int64_t epoch = 0; epoch < 5; epoch++) {
        ft_order_draw(b, 1, epoch, q);
        ck_assert_int_ne(memcmp(p, q, (size_t)n * sizeof *p), 0);
    }
    ft_order_draw(b, 2, 5, q);
    ck_assert_int_ne(memcmp(p, q, (size_t)n * sizeof *p), 0);
    ft_order_draw(b, 1, 5, q);
    ck_assert_mem_eq(p, q, (size_t)n * sizeof *p);
    ft_order_free(a);
    ft_order_free(b);
}

START_TEST(shuffled) {
    ft_order *o = new_order((ft_order_options){0});
    int32_t p[N], times[N];
    ck_assert_int_eq(ft_order_length(o), N);
    ft_order_draw(o, 7, 3, p);
    count(p, N, times);
    for (int32_t i = 0; i < N; i++) ck_assert_int_eq(times[i], 1);
    ft_order_free(o);
    check_epochs((ft_order_options){0});
}
END_TEST

START_TEST(balanced) {
    ft_order_options options = {.how = FT_SAMPLING_BALANCED};
    ft_order *o = new_order(options);
    int32_t p[N], times[N], all[CLASSES] = {0};
    ck_assert_int_eq(ft_order_length(o), N);
    for (int64_t epoch = 0; epoch < 10; epoch++) {
        int32_t of_class[CLASSES] = {0};
        ft_order_draw(o, 7, epoch, p);
        count(p, N, times);
        for (int32_t i = 0; i < N; i++) of_class[label[sample_index[p[i]]]]++;
        for (int32_t k = 0; k < CLASSES; k++) {
            all[k] += of_class[k];
            ck_assert(k == 4 ? of_class[k] == 0 : of_class[k] == 100);
        }
        for (int32_t i = 0; i < N; i++) { /* as evenly as can be within the class */
            int32_t size = sizes[label[sample_index[i]]];
            ck_assert(times[i] >= 100 / size && times[i] <= (100 + size - 1) / size);
        }
        int32_t first = 0; /* and all over the epoch */
        for (int32_t i = 0; i < 50; i++) first += label[sample_index[p[i]]] == 1;
        ck_assert(first > 0 && first < 30);
    }
    ft_order_free(o);
    check_epochs(options);
}
END_TEST

START_TEST(identities) {
    static const int32_t shapes[][2] = {{3, 4}, {5, 2}, {2, 9}, {1, 1}, {4, 25}};
    for (int s = 0; s < 5; s++) {
        int32_t classes = shapes[s][0], images = shapes[s][1], batch = classes * images;
        ft_order_options options = {FT_SAMPLING_IDENTITIES, classes, images};
        ft_order *o = new_order(options);
        int32_t p[N];
        ck_assert_int_eq(ft_order_length(o), N / batch * batch);
        for (int64_t epoch = 0; epoch < 4; epoch++) {
            ft_order_draw(o, 7, epoch, p);
            for (int32_t b = 0; b < N / batch; b++) {
                int32_t of_class[CLASSES] = {0}, times[N], different = 0;
                count(p + b * batch, batch, times);
                for (int32_t i = 0; i < batch; i++) of_class[label[sample_index[p[b * batch + i]]]]++;
                for (int32_t k = 0; k < CLASSES; k++) {
                    ck_assert(of_class[k] == 0 || of_class[k] == images);
                    different += of_class[k] > 0;
                }
                ck_assert_int_eq(different, classes);
                bool too_often = false; /* asserted once: each assertion is a system call */
                for (int32_t i = 0; i < N; i++) {
                    int32_t size = sizes[label[sample_index[i]]];
                    too_often |= times[i] > (images + size - 1) / size; /* images of large classes: once */
                }
                ck_assert(!too_often);
            }
        }
        ft_order_free(o);
        check_epochs(options);
    }
}
END_TEST

START_TEST(errors) {
    ft_order *o = (ft_order *)label;
    ck_assert_int_eq(ft_order_new(&ds, sample_index, N, &(ft_order_options){FT_SAMPLING_IDENTITIES, 6, 2},
                                  &o),
                     FT_E_CONFIG);
    ck_assert_ptr_null(o);
    ck_assert_ptr_nonnull(strstr(ft_err_message(), "5 classes"));
    ck_assert_int_eq(ft_order_new(&ds, sample_index, N, &(ft_order_options){FT_SAMPLING_IDENTITIES, 5, 101},
                                  &o),
                     FT_E_CONFIG);
    ft_sampling how = FT_SAMPLING_BALANCED;
    ck_assert_int_eq(ft_sampling_parse("random", &how), FT_E_CONFIG);
    ck_assert_int_eq(how, FT_SAMPLING_BALANCED);
}
END_TEST

int main(void) {
    Suite *s = suite_create("order");
    TCase *c = tcase_create("order");
    tcase_add_checked_fixture(c, setup, NULL);
    tcase_add_test(c, shuffled);
    tcase_add_test(c, balanced);
    tcase_add_test(c, identities);
    tcase_add_test(c, errors);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}

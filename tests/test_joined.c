/* Joined data sets: the samples of all, classes by name, weights in the order of an epoch; and a run on them.
 */
#include "data/order.h"
#include "tests/train_testing.h"

static void setup(void) {
    tool_setup();
    make_faces();
    ck_assert_int_eq(
        system("mkdir -p more/person1 more/another && cp faces/person1/0*.pgm more/person1/ && "
               "cp faces/person2/1*.pgm more/another/ && "
               "(echo file,who,group; for i in 00 01 02; do echo faces/person0/$i.pgm,person0,g$i; done) "
               ">list.csv"),
        0);
}

static ft_dataset *join(int32_t n, const char *const *paths, const float *weights) {
    ft_dataset *ds;
    ft_dataset_options o = {.label = "who", .group = "group"};
    ck_assert_msg(ft_dataset_join(n, paths, weights, &o, &ds) == FT_OK, "%s", ft_err_message());
    return ds;
}

static void expect_sample(const ft_dataset *ds, int32_t i, const char *name, const char *class_name,
                          int32_t source, int32_t group) {
    char text[64];
    ft_dataset_name(ds, i, text, sizeof text);
    ck_assert_str_eq(text, name);
    ck_assert_str_eq(ds->class_names[ft_dataset_label(ds, i)], class_name);
    ck_assert_int_eq(ft_dataset_source(ds, i), source);
    ck_assert_int_eq(ft_dataset_group(ds, i), group);
    ft_image im;
    ck_assert_msg(ft_dataset_read(ds, i, (ft_image_want){.c = 1}, &im) == FT_OK, "%s", ft_err_message());
    ck_assert_int_eq(im.w, SIDE);
    ft_image_free(&im);
}

START_TEST(samples_of_all) {
    ft_dataset *ds =
        join(3, (const char *const[]){"faces/", "more", "list.csv"}, (const float[]){1, 2, 0.5f});
    ck_assert_int_eq(ds->n, 60 + 20 + 3);
    ck_assert_int_eq(ds->n_classes, 4);
    static const char *const names[] = {"another", "person0", "person1", "person2"};
    for (int k = 0; k < 4; k++) ck_assert_str_eq(ds->class_names[k], names[k]);
    ck_assert_int_eq(ds->n_groups, 3);
    expect_sample(ds, 0, "faces/person0/00.pgm", "person0", 0, -1);
    expect_sample(ds, 59, "faces/person2/19.pgm", "person2", 0, -1);
    expect_sample(ds, 60, "more/another/10.pgm", "another", 1, -1);
    expect_sample(ds, 79, "more/person1/09.pgm", "person1", 1, -1);
    expect_sample(ds, 80, "list.csv/faces/person0/00.pgm", "person0", 2, 0);
    expect_sample(ds, 82, "list.csv/faces/person0/02.pgm", "person0", 2, 2);
    uint64_t a, b;
    ck_assert(ft_dataset_content(ds, 0, &a) == FT_OK && ft_dataset_content(ds, 80, &b) == FT_OK && a == b);
    ft_dataset *other = join(2, (const char *const[]){"faces", "more"}, (const float[]){1, 1});
    ck_assert_uint_ne(ds->fingerprint, other->fingerprint);
    ft_dataset_free(other);
    ft_dataset_free(ds);
    ft_dataset_options o = {0};
    ck_assert_int_eq(ft_dataset_join(2, (const char *const[]){"faces", "nowhere"}, (const float[]){1, 1}, &o,
                                     &ds),
                     FT_E_DATA);
    ck_assert_ptr_null(ds);
}
END_TEST

/* In eight epochs every sample comes as often as its weight says, and in each its source's share. */
START_TEST(weights_of_sources) {
    static const float weights[] = {1, 2.5f, 0.25f};
    ft_dataset *ds = join(3, (const char *const[]){"faces", "more", "faces"}, weights);
    enum { MOST = 140 };
    int32_t index[MOST], position[300], times[MOST] = {0}, before[300];
    for (int32_t i = 0; i < ds->n; i++) index[i] = ds->n - 1 - i;
    ft_order *o;
    ck_assert_int_eq(ft_order_new(ds, index, ds->n, &(ft_order_options){0}, &o), FT_OK);
    ck_assert_int_eq(ft_order_length(o), 60 + 50 + 15);
    for (int64_t epoch = 0; epoch < 8; epoch++) {
        int32_t of_source[3] = {0};
        ft_order_draw(o, 9, epoch, position);
        for (int32_t i = 0; i < 125; i++) {
            of_source[ft_dataset_source(ds, index[position[i]])]++;
            times[position[i]]++;
        }
        ck_assert(of_source[0] == 60 && of_source[1] == 50 && of_source[2] == 15);
        ck_assert(epoch == 0 || memcmp(before, position, sizeof(int32_t) * 125) != 0);
        memcpy(before, position, sizeof(int32_t) * 125);
    }
    for (int32_t i = 0; i < ds->n; i++)
        ck_assert_int_eq(times[i], (int32_t)(8 * weights[ft_dataset_source(ds, index[i])]));
    ft_order_draw(o, 9, 7, position); /* again, out of order */
    ck_assert_mem_eq(before, position, sizeof(int32_t) * 125);
    ft_order_free(o);
    ft_dataset_free(ds);
}
END_TEST

START_TEST(a_run) {
    write_text("run.yaml", "data:\n"
                           "  path: faces\n"
                           "  join: {more: 2, more/: 0.5}\n"
                           "  image: {size: 28, channels: 1}\n"
                           "model: {arch: inception_mini, width: 0.5}\n"
                           "train: {batch: 12, epochs: 2}\n"
                           "output: run\n");
    tool_run *r = tool("ft-train run.yaml");
    assert_ends(r, 0);
    assert_has(r->err, "100 images of 4 classes");
    assert_ends(tool("ft-eval run/best.h5 --data faces --split test --report again"), 0);
    ck_assert_int_eq(system("cmp run/metrics.json again/metrics.json"), 0);
    assert_ends(tool("ft-data stats run.yaml"), 0);
    assert_fails(tool("ft-train run.yaml --out no --set data.join=nowhere=1"), 3, "nowhere");
    assert_fails(tool("ft-train run.yaml --out no --set data.join=more=-1"), 2, "data.join");
    assert_fails(tool("ft-train run.yaml --out no --set data.sampling=balanced"), 2,
                 "data.sampling: shuffle");
}
END_TEST

int main(void) {
    Suite *s = suite_create("joined");
    TCase *c = tcase_create("joined");
    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, setup, tool_teardown);
    tcase_add_test(c, samples_of_all);
    tcase_add_test(c, weights_of_sources);
    tcase_add_test(c, a_run);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}

/* ft-train and ft-eval on a folder with every kind of bad image among good ones. */
#include "tests/image_testing.h"
#include "tests/json_testing.h"
#include "tests/train_testing.h"

static void put(const char *path, const void *p, size_t n) {
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(p, 1, n, f), n);
    ck_assert_int_eq(fclose(f), 0);
}

/* Unusual, but images. */
static void put_good_ones(void) {
    static uint8_t p[SIDE * SIDE * 4];
    for (size_t i = 0; i < sizeof p; i++) p[i] = (uint8_t)(i * 7 % 251);
    file_bytes cmyk = write_jpeg(p, SIDE, SIDE, 4, 90, 0), turned = write_jpeg(p, SIDE, SIDE, 3, 90, 6),
               deep = write_png(p, SIDE * SIDE * 2, SIDE, SIDE, SPNG_COLOR_TYPE_GRAYSCALE, 16, false, NULL);
    put("faces/person0/cmyk.jpg", cmyk.p, cmyk.n);
    put("faces/person1/turned.jpg", turned.p, turned.n);
    put("faces/person2/deep.png", deep.p, deep.n);
    free(cmyk.p);
    free(turned.p);
    free(deep.p);
}

/* File and what its reason says, by name. The last one is there until the training has begun. */
static const char *const bad[][2] = {
    {"person0/bomb.png", "65500 x 65500"}, {"person0/dangling.jpg", "no such file"},
    {"person0/empty.jpg", "empty"},        {"person1/moving.gif", "GIF"},
    {"person1/secret.jpg", "cannot open"}, {"person1/text.jpg", "not an image"},
    {"person2/cut.jpg", "JPEG"},           {"person2/late.pgm", "no such file"}};
enum { N_BAD = sizeof bad / sizeof *bad, N_GOOD = CLASSES * PER_CLASS + 3 };

static void put_bad_ones(void) {
    static uint8_t p[SIDE * SIDE * 3];
    static const uint8_t bomb[] = {0x89, 'P', 'N', 'G', '\r', '\n', 26, '\n', 0,    0,    0,
                                   13,   'I', 'H', 'D', 'R',  0,    0,  255,  220,  0,    0,
                                   255,  220, 8,   0,   0,    0,    0,  0x9e, 0x9b, 0x7e, 0xe1};
    file_bytes whole = write_jpeg(p, SIDE, SIDE, 3, 90, 0);
    put("faces/person2/cut.jpg", whole.p, whole.n / 2);
    free(whole.p);
    put("faces/person0/bomb.png", bomb, sizeof bomb);
    put("faces/person0/empty.jpg", "", 0);
    put("faces/person1/text.jpg", "Dear Sir,\n", 10);
    put("faces/person1/moving.gif", "GIF89a\1\0\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\0;", 24);
    ck_assert_int_eq(symlink("nowhere.jpg", "faces/person0/dangling.jpg"), 0);
    if (geteuid() == 0) { /* root may read everything; a link to itself nobody can open */
        ck_assert_int_eq(symlink("secret.jpg", "faces/person1/secret.jpg"), 0);
    } else {
        put("faces/person1/secret.jpg", "x", 1);
        ck_assert_int_eq(chmod("faces/person1/secret.jpg", 0), 0);
    }
    write_text("faces/person2/late.pgm", "P5 1 1 255\nx");
}

static const char config[] = "data:\n"
                             "  path: faces\n"
                             "  split: {train: 0.6, val: 0.2, test: 0.2}\n"
                             "  image: {size: 28, channels: 1}\n"
                             "  bad_images: {max_share: 0.2}\n"
                             "model: {arch: inception_mini, width: 0.25}\n"
                             "train: {batch: 8, epochs: 8, optimizer: {lr: 0.003}}\n"
                             "output: run\n";

static void setup(void) {
    tool_setup();
    make_faces();
    put_good_ones();
    put_bad_ones();
    write_text("run.yaml", config);
}

/* Runs ft-train and removes late.pgm, which is in the test part, once the data are listed: the run's folder
 * is made after that, and the test part read at the end. */
static tool_run *train_while_a_file_vanishes(void) {
    ck_assert_int_eq(
        system("(while [ ! -e run/config.yaml ]; do sleep 0.01; done; rm faces/person2/late.pgm) &"), 0);
    return tool("ft-train run.yaml");
}

/* The list names exactly the bad ones, each with its reason. */
static void assert_quarantined(const char *path, int n) {
    char text[8192];
    tool_read(path, text, sizeof text);
    int lines = 0;
    for (const char *p = text; (p = strchr(p, '\n')); p++) lines++;
    ck_assert_msg(lines == n + 1, "%d lines:\n%s", lines, text);
    for (int i = 0; i < n; i++) {
        char *line = strstr(text, bad[i][0]), *end = line ? strchr(line, '\n') : NULL;
        ck_assert_msg(end, "no %s in:\n%s", bad[i][0], text);
        *end = '\0';
        assert_has(line, bad[i][1]);
        *end = '\n';
    }
}

static json_t *load_json(const char *path) {
    json_t *root = json_load_file(path, 0, NULL);
    ck_assert_ptr_nonnull(root);
    return root;
}

START_TEST(training_goes_on_without_them) {
    tool_run *r = train_while_a_file_vanishes();
    assert_ends(r, 0);
    assert_has(r->err, "left out person");
    assert_has(r->err, "run/quarantine.csv");
    assert_quarantined("run/quarantine.csv", N_BAD);
    json_t *metrics = load_json("run/metrics.json");
    int64_t n_bad = json_integer_value(json_object_get(metrics, "n_bad")),
            n = json_integer_value(json_object_get(metrics, "n"));
    ck_assert_int_ge(n_bad, 1);
    ck_assert(json_value_of(metrics, "accuracy") > 0.6);
    json_decref(metrics);
    static char text[1 << 20];
    tool_read("run/report.html", text, sizeof text);
    for (int i = 0; i < N_BAD; i++) assert_has(text, bad[i][0]);
    tool_read("run/predictions.csv", text, sizeof text);
    for (int i = 0; i < N_BAD; i++) ck_assert_ptr_null(strstr(text, bad[i][0]));
    int64_t lines = 0;
    for (const char *p = text; (p = strchr(p, '\n')); p++) lines++;
    ck_assert_int_eq(lines, n + 1);

    r = tool("ft-eval run/best.h5 --data faces --split all --report all");
    assert_ends(r, 0);
    assert_has(r->err, "left out 7 bad images");
    assert_quarantined("all/quarantine.csv", N_BAD - 1); /* the last one is gone for good */
    metrics = load_json("all/metrics.json");
    ck_assert_int_eq(json_integer_value(json_object_get(metrics, "n")), N_GOOD);
    ck_assert_int_eq(json_integer_value(json_object_get(metrics, "n_bad")), N_BAD - 1);
    json_decref(metrics);
}
END_TEST

START_TEST(a_run_without_them_has_the_same_bits) {
    unlink("faces/person2/late.pgm");
    assert_ends(tool("ft-train run.yaml --quiet --set data.workers=0 --out a"), 0);
    assert_ends(tool("ft-train run.yaml --quiet --set data.workers=4 --set data.cache_mb=0 --out b"), 0);
    assert_same_model("a/last.h5", "b/last.h5");
    ck_assert_int_eq(system("cmp a/metrics.json b/metrics.json && cmp a/quarantine.csv b/quarantine.csv"), 0);
}
END_TEST

/* Stopped and resumed at every point, the list included. */
START_TEST(an_interrupted_run_leaves_the_same_list) {
    unlink("faces/person2/late.pgm");
    assert_interruptible("run.yaml", 2);
    ck_assert_int_eq(system("cmp whole/quarantine.csv parts/quarantine.csv"), 0);
}
END_TEST

/* Features of a frozen base are made of the good ones alone. */
START_TEST(with_features_of_a_frozen_base) {
    unlink("faces/person2/late.pgm");
    static const char frozen[] = "ft-train run.yaml --quiet --set data.augment.flip=false "
                                 "--set model.freeze.up_to=avg_pool --set train.epochs=2";
    assert_ends(tool("%s --out cached", frozen), 0);
    assert_ends(tool("%s --out uncached --set train.feature_cache=false", frozen), 0);
    assert_same_model("cached/last.h5", "uncached/last.h5");
    assert_quarantined("cached/quarantine.csv", N_BAD - 1);
}
END_TEST

START_TEST(fail_stops_at_the_first) {
    tool_run *r = tool("ft-train run.yaml --set data.bad_images=fail");
    assert_ends(r, 3);
    assert_has(r->err, "faces/person");
    ck_assert_int_eq(access("run/quarantine.csv", F_OK), -1);
}
END_TEST

START_TEST(too_many_stop_the_run) {
    tool_run *r = tool("ft-train run.yaml --set data.bad_images.max_share=0.05");
    assert_ends(r, 3);
    assert_has(r->err, "4 of 71 images cannot be used");
    assert_has(r->err, "data.bad_images.max_share");
    ck_assert_int_eq(access("run/quarantine.csv", F_OK), 0);
}
END_TEST

int main(void) {
    Suite *s = suite_create("bad_images");
    TCase *c = tcase_create("runs");
    tcase_set_timeout(c, 240);
    tcase_add_checked_fixture(c, setup, tool_teardown);
    tcase_add_test(c, training_goes_on_without_them);
    tcase_add_test(c, a_run_without_them_has_the_same_bits);
    tcase_add_test(c, an_interrupted_run_leaves_the_same_list);
    tcase_add_test(c, with_features_of_a_frozen_base);
    tcase_add_test(c, fail_stops_at_the_first);
    tcase_add_test(c, too_many_stop_the_run);
    suite_add_tcase(s, c);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

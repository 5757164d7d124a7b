/* ft-data on folders made here: what it counts, names, divides and draws. */
#include "data/csv.h"
#include "data/image.h"
#include "tests/train_testing.h"

#include <jansson.h>
#include <math.h>

/* Grey pictures by class, and in colour: one that repeats another's pixels in another file format, one of
 * another class with the same pixels, and one that is no image. */
static void setup(void) {
    tool_setup();
    make_faces();
    write_text("faces/person0/red.ppm", "P3 2 1 255\n200 0 0 200 0 0\n");
    write_text("faces/person0/red_again.ppm", "P6 2 1 255\n\xc8\1\1\xc8\1\1"); /* nearly */
    write_text("faces/person1/same.ppm", "P3 2 1 255\n# the pixels of red.ppm\n200 0 0\n200 0 0\n");
    ck_assert_int_eq(system("cp faces/person2/03.pgm faces/person2/copy.pgm"), 0);
    write_text("faces/person2/text.png", "no picture");
}

static char at_start[1024]; /* the data that may be beside the tree */

static json_t *parse(const char *text) {
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    ck_assert_msg(root, "%s", text);
    return root;
}

static double number_at(json_t *root, const char *name, const char *inner) {
    json_t *v = json_object_get(root, name);
    if (inner) v = json_object_get(v, inner);
    ck_assert_msg(json_is_number(v), "no number %s", name);
    return json_number_value(v);
}

START_TEST(stats_count_and_name) {
    tool_run *r = tool("ft-data stats faces --json");
    assert_ends(r, 0);
    json_t *root = parse(r->out);
    ck_assert(number_at(root, "n", NULL) == CLASSES * PER_CLASS + 5);
    ck_assert(number_at(root, "n_bad", NULL) == 1);
    ck_assert(number_at(root, "n_grey", NULL) == CLASSES * PER_CLASS + 1);
    ck_assert(number_at(root, "n_repeats", NULL) == 2 && number_at(root, "n_conflicts", NULL) == 1);
    ck_assert(number_at(root, "width", "min") == 2 && number_at(root, "width", "max") == SIDE);
    ck_assert(number_at(root, "height", "min") == 1 && number_at(root, "height", "median") == SIDE);
    ck_assert(fabs(number_at(root, "imbalance", NULL) - 22. / 21) < 1e-12);
    json_t *repeats = json_object_get(root, "repeats"),
           *bad = json_array_get(json_object_get(root, "bad"), 0);
    ck_assert_uint_eq(json_array_size(repeats), 2);
    static const char *const wanted[2][2] = {{"person0/red.ppm", "person1/same.ppm"},
                                             {"person2/03.pgm", "person2/copy.pgm"}};
    for (size_t g = 0; g < 2; g++) {
        json_t *group = json_array_get(repeats, g);
        ck_assert_uint_eq(json_array_size(group), 2);
        for (size_t k = 0; k < 2; k++)
            ck_assert_str_eq(json_string_value(json_array_get(group, k)), wanted[g][k]);
    }
    ck_assert_str_eq(json_string_value(json_object_get(bad, "file")), "person2/text.png");
    assert_has(json_string_value(json_object_get(bad, "reason")), "not an image");
    json_decref(root);
    r = tool("ft-data stats faces");
    assert_ends(r, 0);
    assert_has(r->out, "images     65 (class folders)");
    assert_has(r->out, "bad        1;");
    assert_has(r->out, "2 images have the pixels of an earlier one, 1 of them under another class");
}
END_TEST

/* Mean and deviation of two pictures, by hand. */
START_TEST(stats_of_pixels) {
    ck_assert_int_eq(system("mkdir -p two/a && cp faces/person0/red.ppm two/a/"), 0);
    write_text("two/a/green.ppm", "P3 1 1 255\n50 100 0\n");
    tool_run *r = tool("ft-data stats two --json");
    assert_ends(r, 0);
    json_t *root = parse(r->out), *mean = json_object_get(root, "mean"),
           *deviation = json_object_get(root, "deviation");
    const double means[3] = {150 / 255., 100 / 3. / 255, 0};
    const double deviations[3] = {sqrt((2 * 200 * 200 + 50 * 50) / 3. - 150 * 150) / 255,
                                  sqrt(100 * 100 / 3. - 100 / 3. * 100 / 3.) / 255, 0};
    for (size_t k = 0; k < 3; k++) {
        ck_assert(fabs(json_number_value(json_array_get(mean, k)) - means[k]) < 1e-12);
        ck_assert(fabs(json_number_value(json_array_get(deviation, k)) - deviations[k]) < 1e-12);
    }
    json_decref(root);
}
END_TEST

/* UTKFace's list marks what is pixel-identical: "dup" with the labels of an earlier picture, "conflict" with
 * others. The marks that the repeats found call for are these. */
START_TEST(utkface_repeats) {
    const char *shared = getenv("FACET_SHARED");
    char images[1100], list[1200];
    snprintf(images, sizeof images, "%s/data/utkface", shared ? shared : at_start);
    snprintf(list, sizeof list, "%s/labels.csv", images);
    static ft_csv c;
    if (access(list, F_OK) != 0) {
        printf("skipped: %s is not there\n", list);
        return;
    }
    char command[2048];
    snprintf(command, sizeof command, "%s/ft-data stats %s --json >repeats.json 2>/dev/null", FACET_PROGRAMS,
             images);
    ck_assert_int_eq(system(command), 0);
    json_t *root = json_load_file("repeats.json", 0, NULL), *groups = json_object_get(root, "repeats");
    ck_assert_ptr_nonnull(groups);
    ck_assert_int_eq(ft_csv_open(&c, list), FT_OK);
    json_t *labels = json_object(), *marked = json_object();
    ck_assert_int_eq(ft_csv_next(&c), FT_OK);
    while (ft_csv_next(&c) == FT_OK && c.n > 0) { /* file, age, gender, race, split, is_gray, status */
        char all[64];
        snprintf(all, sizeof all, "%s %s %s", c.field[1], c.field[2], c.field[3]);
        json_object_set_new(labels, c.field[0], json_string(all));
        if (strcmp(c.field[6], "ok") != 0) json_object_set_new(marked, c.field[0], json_string(c.field[6]));
    }
    ft_csv_close(&c);
    size_t n_marked = 0;
    for (size_t g = 0; g < json_array_size(groups); g++) {
        json_t *group = json_array_get(groups, g);
        bool same = true;
        const char *first = strrchr(json_string_value(json_array_get(group, 0)), '/') + 1;
        for (size_t k = 0; k < json_array_size(group); k++)
            same &= json_equal(json_object_get(labels,
                                               strrchr(json_string_value(json_array_get(group, k)), '/') + 1),
                               json_object_get(labels, first));
        for (size_t k = same; k < json_array_size(group); k++, n_marked++) {
            const char *file = strrchr(json_string_value(json_array_get(group, k)), '/') + 1;
            const char *mark = json_string_value(json_object_get(marked, file));
            ck_assert_msg(mark && strcmp(mark, same ? "dup" : "conflict") == 0, "%s is not marked so", file);
        }
    }
    ck_assert_uint_eq(n_marked, json_object_size(marked));
    json_decref(root);
    json_decref(labels);
    json_decref(marked);
}
END_TEST

START_TEST(check_lists_the_bad) {
    tool_run *r = tool("ft-data check faces");
    assert_ends(r, 3);
    assert_has(r->out, "faces/person2/text.png: not an image");
    assert_has(r->err, "1 of 65 images cannot be used");
    unlink("faces/person2/text.png");
    r = tool("ft-data check faces");
    assert_ends(r, 0);
    ck_assert_str_eq(r->out, "");
    assert_has(r->err, "all 64 images are good");
}
END_TEST

/* The parts of a run that names no list, and of one that follows the list, are the same. */
START_TEST(a_split_becomes_a_list) {
    tool_run *r = tool("ft-data split faces --to split.csv --set seed=5");
    assert_ends(r, 0);
    assert_has(r->out, "train      val     test");
    ck_assert_int_eq(system("grep -c , split.csv >lines; grep -qx 66 lines"), 0);
    write_text("run.yaml", "seed: 5\n"
                           "data: {path: faces, image: {size: 28, channels: 1}}\n"
                           "model: {arch: inception_mini, width: 0.25}\n"
                           "train: {batch: 16, epochs: 1}\n");
    assert_ends(tool("ft-train run.yaml --quiet --out a"), 0);
    assert_ends(
        tool("ft-train run.yaml --quiet --out b --set data.split.by=list --set data.split.list=split.csv"),
        0);
    assert_same_model("a/last.h5", "b/last.h5");
    ck_assert_int_eq(system("cmp a/predictions.csv b/predictions.csv"), 0);
}
END_TEST

START_TEST(a_split_names_what_it_divides) {
    write_text("split.csv",
               "file,part\n"
               "person0/red.ppm,train\nperson1/same.ppm,test\nperson2/03.pgm,val\nperson2/copy.pgm,val\n");
    tool_run *r = tool("ft-data split faces --set data.split.by=list --set data.split.list=split.csv");
    assert_ends(r, 0);
    assert_has(r->out, "person0/red.ppm (train) has the pixels of person1/same.ppm (test)");
    assert_has(r->out, "\n1 images have the pixels of one in another part");
    r = tool("ft-data split faces --set data.split.by=hash");
    assert_ends(r, 0);
    r = tool("ft-data split faces --set data.split.by=group");
    assert_fails(r, 2, "data.split");
}
END_TEST

static void decode(const char *path, ft_image *im) {
    ck_assert_msg(ft_image_load(path, (ft_image_want){.c = 3}, im) == FT_OK, "%s", ft_err_message());
}

START_TEST(preview_draws_what_the_network_sees) {
    write_text("run.yaml", "data:\n"
                           "  path: faces\n"
                           "  split: {train: 1, val: 0, test: 0}\n"
                           "  image: {size: 28, channels: 1}\n"
                           "  augment: {flip: true}\n"
                           "model: {arch: inception_mini}\n");
    ck_assert_int_eq(system("rm faces/*/*.ppm faces/*/*.png faces/*/copy.pgm"), 0);
    static const char *const ways[] = {"unit", "inception", "mean_std"};
    for (int k = 0; k < 3; k++) {
        tool_run *r =
            tool("ft-data preview run.yaml --images 3 --variants 6 --set data.image.normalize=%s", ways[k]);
        assert_ends(r, 0);
        ft_image sheet, one;
        decode("preview.png", &sheet);
        ck_assert(sheet.w == 7 * (SIDE + 4) + 4 && sheet.h == 3 * (SIDE + 4) + 4);
        int straight = 0, mirrored = 0;
        decode("faces/person0/00.pgm", &one);
        for (int v = 0; v < 7; v++) {
            bool as_is = true, turned = true;
            for (int y = 0; y < SIDE; y++)
                for (int x = 0; x < SIDE; x++) {
                    int there = sheet.p[((4 + y) * sheet.w + v * (SIDE + 4) + 4 + x) * 3];
                    as_is &= there == one.p[(y * SIDE + x) * 3];
                    turned &= there == one.p[(y * SIDE + SIDE - 1 - x) * 3];
                }
            ck_assert_msg(v > 0 || as_is, "%s: the first column is not the picture itself", ways[k]);
            straight += as_is;
            mirrored += turned;
        }
        ck_assert_int_eq(straight + mirrored, 7);
        ck_assert(mirrored > 0);
        ft_image_free(&sheet);
        ft_image_free(&one);
    }
    ck_assert_int_eq(tool("ft-data preview run.yaml --set data.image.normalize=standard")->status, 0);
    assert_fails(tool("ft-data preview run.yaml --to nowhere/x.png"), 5, "nowhere/x.png");
}
END_TEST

START_TEST(mistakes) {
    assert_fails(tool("ft-data"), 2, "ft-data --help");
    assert_fails(tool("ft-data stats"), 2, "PATH");
    assert_fails(tool("ft-data stats nowhere"), 3, "nowhere");
    assert_fails(tool("ft-data stats nowhere.yaml"), 2, "nowhere.yaml");
    assert_fails(tool("ft-data stats faces --set data.splat=1"), 2, "data.split");
    write_text("list.csv", "file,who\nfaces/person0/00.pgm,a\n");
    assert_fails(tool("ft-data stats list.csv"), 2, "data.list.label");
    assert_ends(tool("ft-data stats list.csv --set data.list.label=who"), 0);
}
END_TEST

int main(void) {
    char here[900];
    snprintf(at_start, sizeof at_start, "%s/../shared", getcwd(here, sizeof here) ? here : ".");
    Suite *s = suite_create("data_tool");
    TCase *c = tcase_create("ft-data");
    tcase_set_timeout(c, 120);
    tcase_add_checked_fixture(c, setup, tool_teardown);
    tcase_add_test(c, stats_count_and_name);
    tcase_add_test(c, stats_of_pixels);
    tcase_add_test(c, utkface_repeats);
    tcase_add_test(c, check_lists_the_bad);
    tcase_add_test(c, a_split_becomes_a_list);
    tcase_add_test(c, a_split_names_what_it_divides);
    tcase_add_test(c, preview_draws_what_the_network_sees);
    tcase_add_test(c, mistakes);
    suite_add_tcase(s, c);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

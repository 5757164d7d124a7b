/* Evaluation by the tools beyond one model's numbers: several views of an image, thresholds of two classes,
 * two models, and what is said when the data do not fit.
 */
#include "tests/json_testing.h"
#include "tests/train_testing.h"
#include "train/views.h"

static void setup(void) {
    tool_setup();
    make_faces();
    write_text("run.yaml", "seed: 3\n"
                           "data: {path: faces, image: {size: 28, channels: 1}}\n"
                           "model: {arch: inception_mini, width: 0.25}\n"
                           "train: {batch: 8, epochs: 2, optimizer: {name: adamw, lr: 0.003}}\n"
                           "output: run\n");
}

static json_t *load_json(const char *path) {
    json_error_t error;
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    ck_assert_msg(root != NULL, "%s:%d: %s", path, error.line, error.text);
    return root;
}

/* ---- views ---- */

/* Every pixel of an image says where it is. */
START_TEST(views_are_windows) {
    enum { NET = 7, LOADED = 8 };
    static float from[2][LOADED][LOADED][2], x[2][NET][NET][2];
    const ft_preprocess net = {.h = NET, .w = NET, .c = 2};
    const ft_batch b = {.n = 2, .x = &from[0][0][0][0]};
    ft_preprocess load = ft_views_load(FT_VIEWS_CROPS, &net);
    ck_assert(load.h == LOADED && load.w == LOADED);
    for (int i = 0; i < 2; i++)
        for (int y = 0; y < LOADED; y++)
            for (int c = 0; c < LOADED; c++) {
                from[i][y][c][0] = (float)(100 * i + y);
                from[i][y][c][1] = (float)c;
            }
    static const int corner[5][2] = {
        {0, 0}, {0, 0}, {0, 1}, {1, 0}, {1, 1}}; /* of 8 - 7 = 1, the centre is at 0 */
    ck_assert_int_eq(ft_views_count(FT_VIEWS_CROPS), 10);
    for (int view = 0; view < 10; view++) {
        ft_views_take(FT_VIEWS_CROPS, view, &b, &net, &x[0][0][0][0]);
        for (int i = 0; i < 2; i++)
            for (int y = 0; y < NET; y++)
                for (int c = 0; c < NET; c++) {
                    int column = view % 2 ? NET - 1 - c : c;
                    ck_assert(x[i][y][c][0] == (float)(100 * i + y + corner[view / 2][0]));
                    ck_assert(x[i][y][c][1] == (float)(column + corner[view / 2][1]));
                }
    }
    const ft_preprocess cropped = {.h = 299, .w = 299, .c = 3, .center_crop = 0.5f};
    load = ft_views_load(FT_VIEWS_CROPS, &cropped);
    ck_assert(load.h == 598 && load.center_crop == 0);
    load = ft_views_load(FT_VIEWS_FLIP, &cropped);
    ck_assert(load.h == 299 && load.center_crop == 0.5f);
}
END_TEST

/* faces/... mirrored, to mirrored/... */
static void mirror_faces(void) {
    ck_assert_int_eq(system("cp -r faces mirrored"), 0);
    for (int k = 0; k < CLASSES * PER_CLASS; k++) {
        char path[64];
        unsigned char pixels[SIDE * SIDE];
        snprintf(path, sizeof path, "mirrored/person%d/%02d.pgm", k / PER_CLASS, k % PER_CLASS);
        FILE *f = fopen(path, "r+b");
        ck_assert_ptr_nonnull(f);
        long start = 13; /* "P5\n28 28\n255\n" */
        fseek(f, start, SEEK_SET);
        ck_assert_uint_eq(fread(pixels, 1, sizeof pixels, f), sizeof pixels);
        fseek(f, start, SEEK_SET);
        for (int y = 0; y < SIDE; y++)
            for (int x = SIDE - 1; x >= 0; x--) fputc(pixels[y * SIDE + x], f);
        ck_assert_int_eq(fclose(f), 0);
    }
}

/* The probabilities of predictions.csv; returns how many rows there are. */
static int read_probabilities(const char *path, double p[CLASSES * PER_CLASS][CLASSES]) {
    FILE *f = fopen(path, "rb");
    ck_assert_ptr_nonnull(f);
    char line[512];
    int n = 0;
    ck_assert_ptr_nonnull(fgets(line, sizeof line, f));
    for (; fgets(line, sizeof line, f); n++)
        ck_assert_int_eq(sscanf(line, "%*[^,],%*[^,],%*[^,],%lf,%lf,%lf", &p[n][0], &p[n][1], &p[n][2]), 3);
    fclose(f);
    return n;
}

START_TEST(a_flipped_evaluation_is_the_mean_of_two) {
    static double plain[CLASSES * PER_CLASS][CLASSES], mirrored[CLASSES * PER_CLASS][CLASSES],
        both[CLASSES * PER_CLASS][CLASSES];
    mirror_faces();
    assert_ends(tool("ft-train run.yaml --quiet"), 0);
    assert_ends(tool("ft-eval run/best.h5 --data faces --split all --report plain"), 0);
    assert_ends(tool("ft-eval run/best.h5 --data mirrored --split all --report mirrored"), 0);
    assert_ends(tool("ft-eval run/best.h5 --data faces --split all --views flip --report both"), 0);
    int n = read_probabilities("plain/predictions.csv", plain);
    ck_assert_int_eq(n, CLASSES * PER_CLASS);
    ck_assert_int_eq(read_probabilities("mirrored/predictions.csv", mirrored), n);
    ck_assert_int_eq(read_probabilities("both/predictions.csv", both), n);
    for (int i = 0; i < n; i++)
        for (int c = 0; c < CLASSES; c++)
            ck_assert_msg(fabs(both[i][c] - (plain[i][c] + mirrored[i][c]) / 2) <= 1e-6,
                          "row %d: %g, not the mean of %g, %g", i, both[i][c], plain[i][c], mirrored[i][c]);
    assert_ends(tool("ft-eval run/best.h5 --data faces --split all --views crops --report crops"), 0);
    ck_assert_int_eq(system("cmp -s crops/predictions.csv both/predictions.csv"), 256);
    assert_fails(tool("ft-eval run/best.h5 --data faces --views both"), 2, "one, flip, crops");
}
END_TEST

START_TEST(training_takes_the_same_views_as_ft_eval) {
    assert_ends(tool("ft-train run.yaml --quiet --set train.eval_views=crops"), 0);
    assert_ends(tool("ft-eval run/best.h5 --data faces --report again"), 0);
    ck_assert_int_eq(
        system("cmp run/metrics.json again/metrics.json && cmp run/predictions.csv again/predictions.csv"),
        0);
    assert_ends(tool("ft-eval run/last.h5 --data faces --split val --report val"), 0);
    json_t *root = load_json("val/metrics.json");
    double loss = json_value_of(root, "loss"), trained = last_in_history("run/history.csv", "val_loss");
    ck_assert_msg(fabs(loss - trained) <= 1e-8 * loss, "%.12g in training, %.12g in ft-eval", trained, loss);
    json_decref(root);
}
END_TEST

/* ---- two classes ---- */

START_TEST(thresholds_come_from_validation) {
    ck_assert_int_eq(system("rm -r faces/person2"), 0);
    tool_run *r = tool("ft-train run.yaml --quiet");
    assert_ends(r, 0);
    assert_has(r->out, "taken for person1 from a probability on, chosen on val");
    assert_ends(tool("ft-eval run/best.h5 --data faces --report again"), 0);
    ck_assert_int_eq(system("cmp run/metrics.json again/metrics.json"), 0);
    json_t *root = load_json("run/metrics.json"), *t = json_object_get(root, "thresholds");
    ck_assert_str_eq(json_string_value(json_object_get(t, "chosen_on")), "val");
    double threshold = json_value_of(json_object_get(t, "max_f1"), "threshold");
    ck_assert(threshold > 0 && threshold <= 1);
    json_decref(root);
    r = tool("ft-eval run/best.h5 --data faces --fpr 0.25 --report wanted");
    assert_ends(r, 0);
    assert_has(r->out, "False positive rate as wanted");
    root = load_json("wanted/metrics.json");
    t = json_object_get(root, "thresholds");
    ck_assert(json_value_of(t, "fpr_wanted_at_most") == 0.25);
    ck_assert(json_value_of(json_object_get(t, "fpr_wanted"), "threshold") <=
              json_value_of(json_object_get(t, "fpr_10"), "threshold"));
    json_decref(root);
    assert_fails(tool("ft-eval run/best.h5 --data faces --fpr 2"), 2, "--fpr");
    assert_fails(tool("ft-eval run/best.h5 --data faces --split val --fpr 0.25"), 2, "other than what is");
    r = tool("ft-eval run/best.h5 --data faces --split val --report val"); /* not by which it is judged */
    assert_ends(r, 0);
    root = load_json("val/metrics.json");
    ck_assert_ptr_null(json_object_get(root, "thresholds"));
    json_decref(root);
}
END_TEST

/* ---- two models ---- */

START_TEST(two_models_are_compared) {
    assert_ends(tool("ft-train run.yaml --quiet"), 0);
    assert_ends(
        tool("ft-train run.yaml --quiet --set train.epochs=1 --set train.optimizer.lr=1e-6 --out poor"), 0);
    tool_run *r = tool("ft-eval poor/best.h5 run/best.h5 --data faces --split all --report compared");
    assert_ends(r, 0);
    assert_has(r->out, "McNemar");
    assert_ends(tool("ft-eval poor/best.h5 --data faces --split all --report a"), 0);
    assert_ends(tool("ft-eval run/best.h5 --data faces --split all --report b"), 0);
    json_t *c = load_json("compared/comparison.json"), *a = load_json("a/metrics.json"),
           *b = load_json("b/metrics.json");
    static const char *const names[] = {"accuracy", "f1_macro", "log_loss", "roc_auc_ovo_macro"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        json_t *m = json_object_get(json_object_get(c, "metrics"), names[i]);
        double x = json_value_of(a, names[i]), y = json_value_of(b, names[i]);
        ck_assert(json_value_of(m, "a") == x && json_value_of(m, "b") == y);
        ck_assert(fabs(json_value_of(m, "difference") - (y - x)) <= 1e-15);
        ck_assert(json_value_of(m, "low") <= y - x && y - x <= json_value_of(m, "high"));
    }
    double gained = json_value_of(c, "only_b_right") - json_value_of(c, "only_a_right");
    ck_assert(fabs(gained - 60 * (json_value_of(b, "accuracy") - json_value_of(a, "accuracy"))) < 1e-9);
    json_decref(a);
    json_decref(b);
    json_decref(c);
    assert_fails(tool("ft-eval run/best.h5 poor/best.h5 --data faces --pairs pairs.csv"), 2,
                 "--pairs takes one model");
    assert_fails(tool("ft-eval run/best.h5 poor/best.h5 --data faces --fpr 0.1"), 2, "--fpr takes one model");
    assert_fails(tool("ft-eval run/best.h5 --data faces --fpr 0.1"), 2, "a model of two classes");
    assert_fails(tool("ft-eval run/best.h5 --data faces --layer features"), 2, "need --pairs");
    assert_fails(tool("ft-eval run/best.h5 --data faces --distance cosine"), 2, "need --pairs");
    assert_fails(tool("ft-eval run/best.h5 nowhere.h5 --data faces"), 3, "nowhere.h5");
    ck_assert_int_eq(system("rm -r faces/person2 && sed -i 's/output: run/output: two/' run.yaml"), 0);
    assert_ends(tool("ft-train run.yaml --quiet"), 0);
    assert_fails(tool("ft-eval two/best.h5 run/best.h5 --data faces"), 3, "3 classes");
}
END_TEST

/* ---- the page, and mistakes ---- */

START_TEST(the_report_shows_pictures_and_intervals) {
    assert_ends(tool("ft-train run.yaml --quiet"), 0);
    assert_ends(tool("ft-eval run/best.h5 --data faces --report a"), 0);
    static char html[4 << 20];
    tool_read("a/report.html", html, sizeof html);
    assert_has(html, "src=\"data:image/jpeg;base64,/9j/");
    assert_has(html, "what spoke for the prediction");
    assert_has(html, "95 % interval, from 1000 draws");
    assert_ends(tool("ft-eval run/best.h5 --data faces --bootstrap 0 --report b"), 0);
    tool_read("b/report.html", html, sizeof html);
    ck_assert_ptr_null(strstr(html, "draws of the examples"));
    json_t *root = load_json("b/metrics.json");
    ck_assert(json_is_number(json_object_get(root, "accuracy")));
    json_decref(root);
}
END_TEST

START_TEST(data_that_do_not_fit) {
    assert_ends(tool("ft-train run.yaml --quiet --set data.split.train=0.8 --set data.split.val=0.2 --set "
                     "data.split.test=0"),
                0);
    assert_fails(tool("ft-eval run/best.h5 --data faces --split test"), 3,
                 "the 'test' part of this split is empty");
    write_text("list.csv", "picture,name\nfaces/person0/01.pgm,person0\n");
    assert_fails(tool("ft-eval run/best.h5 --data list.csv"), 3, "data.list.label");
    write_text("pairs.csv", "left,right\nperson0/01.pgm,person0/02.pgm\n");
    assert_fails(tool("ft-eval run/best.h5 --data faces --pairs pairs.csv"), 3, "file1");
    ck_assert_int_ne(access("run/eval", F_OK), 0);
    ck_assert_int_ne(access("run/verification", F_OK), 0);
}
END_TEST

int main(void) {
    Suite *s = suite_create("evaluate");
    TCase *t = tcase_create("all");
    tcase_add_checked_fixture(t, setup, tool_teardown);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, views_are_windows);
    tcase_add_test(t, a_flipped_evaluation_is_the_mean_of_two);
    tcase_add_test(t, training_takes_the_same_views_as_ft_eval);
    tcase_add_test(t, thresholds_come_from_validation);
    tcase_add_test(t, two_models_are_compared);
    tcase_add_test(t, the_report_shows_pictures_and_intervals);
    tcase_add_test(t, data_that_do_not_fit);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

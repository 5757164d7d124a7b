/* Weights of classes against the formulas, and that a run can ask for them, for other orders, and for mixed
 * images. */
#include "tests/train_testing.h"
#include "train/class_weights.h"

#include <math.h>

static const double counts[] = {1, 900, 0, 20, 100000};
enum { K = 5 };

static void near(double a, double b) {
    ck_assert_msg(fabs(a - b) <= 1e-6 * fabs(b), "%.9g, not %.9g", a, b);
}

START_TEST(balanced) {
    ft_real w[K];
    for (int i = 0; i < K; i++) w[i] = (ft_real)counts[i];
    ft_class_weights_balanced(K, w);
    for (int i = 0; i < K; i++) near((double)w[i], counts[i] > 0 ? 100921 / (K * counts[i]) : 0);
}
END_TEST

START_TEST(effective) {
    static const double betas[] = {0, 0.9, 0.999, 0.999999};
    for (int b = 0; b < 4; b++) {
        ft_real w[K];
        double inverse[K], sum = 0;
        for (int i = 0; i < K; i++) {
            w[i] = (ft_real)counts[i];
            double number = 0, power = 1; /* 1 + beta + beta^2 + ... */
            for (int j = 0; j < (int)counts[i]; j++, power *= betas[b]) number += power;
            inverse[i] = number > 0 ? 1 / number : 0;
            sum += inverse[i];
        }
        ft_class_weights_effective(K, betas[b], w);
        for (int i = 0; i < K; i++) near((double)w[i], inverse[i] * 4 / sum);
    }
}
END_TEST

static void setup(void) {
    tool_setup();
    make_faces();
    ck_assert_int_eq(system("rm faces/person2/0*.pgm faces/person1/00.pgm"), 0);
    write_text("run.yaml", "data: {path: faces, image: {size: 28, channels: 1}}\n"
                           "model: {arch: inception_mini, width: 0.25}\n"
                           "train: {batch: 12, epochs: 2}\n"
                           "output: run\n");
}

START_TEST(runs) {
    assert_ends(tool("ft-train run.yaml --quiet --out plain"), 0);
    static const char *const ways[] = {"train.loss.class_weights=balanced",
                                       "train.loss.class_weights=effective", "data.sampling=balanced",
                                       "data.augment.mixup=0.3 --set data.augment.cutmix=1",
                                       "data.sampling=identities --set data.sampling.classes=3"};
    for (int i = 0; i < 5; i++) {
        assert_ends(tool("ft-train run.yaml --quiet --out way%d --set %s", i, ways[i]), 0);
        char model[32];
        snprintf(model, sizeof model, "way%d/last.h5", i);
        ck_assert_str_ne(first_difference("plain/last.h5", model), "");
    }
    assert_ends(tool("ft-train run.yaml --quiet --out again --set %s --set data.workers=3 --threads 1",
                     ways[4]),
                0);
    assert_same_model("way4/last.h5", "again/last.h5");
    assert_fails(tool("ft-train run.yaml --out no --set data.sampling=identities"), 2, "train.batch: 12");
    assert_fails(
        tool("ft-train run.yaml --out no --set data.sampling=identities --set data.sampling.classes=4 "
             "--set data.sampling.images=3"),
        2, "3 classes only");
}
END_TEST

int main(void) {
    Suite *s = suite_create("class_weights");
    TCase *formulas = tcase_create("formulas"), *tools = tcase_create("tools");
    tcase_add_test(formulas, balanced);
    tcase_add_test(formulas, effective);
    suite_add_tcase(s, formulas);
    tcase_set_timeout(tools, 120);
    tcase_add_checked_fixture(tools, setup, tool_teardown);
    tcase_add_test(tools, runs);
    suite_add_tcase(s, tools);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}

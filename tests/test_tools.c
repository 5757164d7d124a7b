/* The command line, ft-model, ft-bench and ft-train --profile, run as programs. */
#include "tests/tool_testing.h"
#include "train/blank_model.h"
#include "train/checkpoint.h"

#include <jansson.h>
#include <math.h>
#include <sys/stat.h>

/* ---- what all programs have in common: tools/cli.c ---- */

START_TEST(help_and_version_go_to_stdout) {
    static const char *const programs[] = {"ft-model",      "ft-model summary", "ft-bench",  "ft-bench peak",
                                           "ft-bench conv", "ft-bench model",   "ft-predict"};
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
        char usage[64];
        snprintf(usage, sizeof usage, "Usage: %s ", programs[i]);
        tool_run *r = tool("%s --help", programs[i]);
        assert_ends(r, 0);
        assert_has(r->out, usage);
        ck_assert_str_eq(r->err, "");
        r = tool("%s --version", programs[i]);
        assert_ends(r, 0);
        assert_has(r->out, FACET_VERSION);
    }
}
END_TEST

START_TEST(wrong_options_are_named) {
    assert_fails(tool("ft-predict --bacth 3 x"), 2, "unknown option --bacth; did you mean --batch?");
    assert_fails(tool("ft-predict --bacth 3 x"), 2, "see 'ft-predict --help'");
    assert_fails(tool("ft-predict --nonsense x"), 2, "unknown option --nonsense (see");
    assert_fails(tool("ft-predict -x m.h5 a.png"), 2, "unknown option -x");
    assert_fails(tool("ft-predict m.h5 a.png --t 3"), 2, "--t is short for several options");
    assert_fails(tool("ft-predict m.h5 a.png --batch"), 2, "--batch needs its argument N");
    assert_fails(tool("ft-bench peak --json=1"), 2, "--json takes no argument");
    assert_fails(tool("ft-bench peak more"), 2, "unexpected argument 'more'");
}
END_TEST

START_TEST(numbers_are_checked) {
    static const char *const bad[] = {"0", "-1", "x", "3x", "''", "99999999999999999999", "1e3"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_fails(tool("ft-predict m.h5 a.png --batch %s", bad[i]), 2,
                     "--batch needs a whole number from 1");
}
END_TEST

START_TEST(missing_arguments_show_the_usage) {
    assert_fails(tool("ft-predict"), 2, "usage: ft-predict MODEL.h5 IMAGE...");
    assert_fails(tool("ft-model"), 2, "commands: summary");
    assert_fails(tool("ft-model sumary lenet"), 2, "there is no command 'sumary'; commands: summary");
    assert_fails(tool("ft-bench"), 2, "commands: peak, conv, images, model");
}
END_TEST

#if !defined(__clang__)
/* GCC's OpenMP shows here what it read before main began. */
START_TEST(threads_wait_shortly_unless_told_how) {
    static const char *const programs[] = {"ft-train", "ft-eval", "ft-predict", "ft-bench", "ft-data"};
    const char *shortly = "GOMP_SPINCOUNT = '10000'";
    ck_assert_int_eq(unsetenv("OMP_WAIT_POLICY"), 0);
    ck_assert_int_eq(unsetenv("GOMP_SPINCOUNT"), 0);
    ck_assert_int_eq(setenv("OMP_DISPLAY_ENV", "verbose", 1), 0);
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++) {
        tool_run *r = tool("%s --version", programs[i]);
        assert_ends(r, 0);
        assert_has(r->out, programs[i]);
        assert_has(r->err, shortly);
    }
    ck_assert_int_eq(setenv("GOMP_SPINCOUNT", "77", 1), 0);
    tool_run *r = tool("ft-bench --version");
    assert_has(r->err, "GOMP_SPINCOUNT = '77'");
    ck_assert_ptr_null(strstr(r->err, shortly));
}
END_TEST
#endif

START_TEST(a_full_disk_is_noticed) {
    char command[512];
    snprintf(command, sizeof command, "%s/ft-model summary lenet >/dev/full 2>stderr.txt", FACET_PROGRAMS);
    int status = system(command);
    ck_assert_int_eq(WEXITSTATUS(status), 5);
    char err[512];
    tool_read("stderr.txt", err, sizeof err);
    assert_has(err, "ft-model: cannot write the results: No space left on device");
}
END_TEST

/* ---- ft-model summary ---- */

static json_t *object(const char *text) {
    json_error_t error;
    json_t *o = json_loads(text, 0, &error);
    ck_assert_msg(o != NULL, "%s in: %s", error.text, text);
    return o;
}
static double number(const json_t *o, const char *name) {
    const json_t *x = json_object_get(o, name);
    ck_assert_msg(json_is_number(x), "no number %s", name);
    return json_number_value(x);
}

/* The line of text that starts with name and a space. */
static void find_line(const char *text, const char *name, char line[256]) {
    size_t length = strlen(name);
    for (const char *at = text; at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL)
        if (strncmp(at, name, length) == 0 && at[length] == ' ') {
            snprintf(line, 256, "%.*s", (int)strcspn(at, "\n"), at);
            return;
        }
    ck_abort_msg("no line of %s", name);
}

/* The numbers of keras.applications.InceptionV3. */
START_TEST(inception_v3_is_as_published) {
    tool_run *r = tool("ft-model summary inception_v3");
    assert_ends(r, 0);
    char line[256];
    find_line(r->out, "Parameters", line);
    assert_has(line, " 23,851,784");
    assert_has(r->out, "  trainable                     23,817,352");
    assert_has(r->out, "(5.71 GMACs)");
    find_line(r->out, "conv2d_1", line);
    assert_has(line, "conv2d ");
    assert_has(line, "(149, 149, 32) ");
    assert_has(line, " 864  image");
    find_line(r->out, "mixed10", line);
    assert_has(line, "(8, 8, 2048) ");
    assert_has(line, "activation_86, ");
    find_line(r->out, "predictions", line);
    assert_has(line, " 2,049,000  avg_pool");
}
END_TEST

START_TEST(totals_come_as_json) {
    json_t *one = object(tool("ft-model summary inception_v3 --json --classes 0 --size 151")->out);
    ck_assert_double_eq(number(one, "parameters"), 21802784);
    ck_assert(json_is_null(json_object_get(one, "training_bytes")));
    json_decref(one);
    one = object(tool("ft-model summary lenet --json --classes 10")->out);
    json_t *four = object(tool("ft-model summary lenet --json --classes 10 --batch 4")->out);
    /* 5x5 convolutions on 28x28 to 6 and on 10x10 from 6 to 16 channels, then 400-120-84-10. */
    ck_assert_double_eq(number(one, "macs"),
                        784 * 25 * 6 + 100 * 25 * 6 * 16 + 400 * 120 + 120 * 84 + 84 * 10);
    ck_assert_double_eq(number(one, "parameters"), 61706);
    ck_assert_double_eq(number(four, "macs"), number(one, "macs"));
    ck_assert_double_gt(number(four, "inference_bytes"), number(one, "inference_bytes"));
    ck_assert_double_gt(number(four, "training_bytes"), number(one, "training_bytes"));
    ck_assert_double_gt(number(one, "training_bytes"), number(one, "inference_bytes"));
    ck_assert_double_gt(number(one, "inference_bytes"), 4 * 61706);
    json_decref(one);
    json_decref(four);
}
END_TEST

START_TEST(a_model_file_is_summarised_as_its_network) {
    ft_model *m;
    ck_assert(ft_blank_model("lenet", 40, 7, &m) == FT_OK);
    ck_assert_msg(ft_checkpoint_write("m.h5", m, NULL) == FT_OK, "%s", ft_err_message());
    ft_model_free(m);
    char of_file[sizeof(((tool_run *)0)->out)];
    tool_run *r = tool("ft-model summary m.h5");
    assert_ends(r, 0);
    memcpy(of_file, r->out, sizeof of_file);
    ck_assert_str_eq(of_file, tool("ft-model summary lenet --size 40 --classes 7")->out);
}
END_TEST

START_TEST(summary_refuses_what_it_cannot_show) {
    assert_fails(tool("ft-model summary incepton"), 2,
                 "there is no network 'incepton'; known: inception_mini, inception_v3, lenet");
    assert_fails(tool("ft-model summary inception_v3 --size 20"), 2, "at least 75 x 75");
    assert_fails(tool("ft-model summary gone.h5"), 3, "gone.h5");
    assert_fails(tool("ft-model summary gone.h5 --classes 3"), 2, "--size and --classes");
    FILE *f = fopen("lenet.h5", "w");
    ck_assert(f && fputs("text", f) >= 0 && fclose(f) == 0);
    assert_fails(tool("ft-model summary lenet.h5"), 3, "lenet.h5");
}
END_TEST

/* ---- ft-bench ---- */

START_TEST(peak_is_a_speed) {
    json_t *o = object(tool("ft-bench peak --threads 1 --json")->out);
    ck_assert_double_gt(number(o, "peak_gflops"), 0.1);
    ck_assert_double_lt(number(o, "peak_gflops"), 2000);
    ck_assert_double_eq(number(o, "peak_gflops"), number(o, "peak_gflops_one_thread"));
    ck_assert_double_eq(number(o, "threads"), 1);
    json_decref(o);
    o = object(tool("ft-bench peak --isa base --json")->out);
    ck_assert_str_eq(json_string_value(json_object_get(o, "isa")), "base");
    json_decref(o);
    assert_fails(tool("ft-bench peak --isa mmx"), 2, "known: base");
}
END_TEST

START_TEST(model_speed_adds_up) {
    static const struct {
        const char *options;
        double passes;
    } modes[] = {{"--train", 3}, {"--infer", 1}, {"", 3}};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        json_t *o = object(tool("ft-bench model lenet --batch 4 --steps 3 --json %s", modes[i].options)->out);
        double speed = number(o, "images_per_second"), gflops = number(o, "gflops");
        double macs = 416520 + 990 * 84; /* as above, with 1000 classes */
        ck_assert_double_gt(speed, 0);
        ck_assert_double_ge(number(o, "images_per_second_best"), speed);
        ck_assert(fabs(number(o, "step_seconds") * speed / 4 - 1) <= 1e-9);
        ck_assert(fabs(gflops / (2e-9 * macs * modes[i].passes * speed) - 1) <= 1e-9);
        ck_assert(fabs(number(o, "ratio") * number(o, "peak_gflops") / gflops - 1) <= 1e-9);
        ck_assert_double_gt(number(o, "max_rss_mb"), 1);
        ck_assert_double_gt(number(o, "outside_convolutions"), 0);
        ck_assert_double_lt(number(o, "outside_convolutions"), 1);
        ck_assert(json_is_false(json_object_get(o, "direct")));
        json_decref(o);
    }
}
END_TEST

START_TEST(layers_are_all_there_and_sorted) {
    json_t *o = object(tool("ft-bench model lenet --batch 4 --steps 2 --json --layers --direct")->out);
    json_t *layers = json_object_get(o, "layers"), *layer;
    double before = INFINITY, sum = 0;
    int updates = 0, speeds = 0;
    size_t i;
    json_array_foreach(layers, i, layer) {
        ck_assert_double_le(number(layer, "seconds"), before);
        sum += before = number(layer, "seconds");
        updates += strcmp(json_string_value(json_object_get(layer, "pass")), "update") == 0;
        speeds += json_object_get(layer, "gflops") != NULL;
    }
    ck_assert_int_eq(updates, 1);
    ck_assert_int_eq(speeds, 4); /* two convolutions, both ways */
    ck_assert_double_gt(sum, 0);
    ck_assert(json_is_true(json_object_get(o, "direct")));
    json_decref(o);
    tool_run *r = tool("ft-bench model lenet --batch 4 --steps 2 --infer --layers");
    assert_ends(r, 0);
    assert_has(r->out, "images per second");
    assert_has(r->out, "Of peak");
    assert_has(r->out, "\nc3 ");
    assert_has(r->out, "\nconv2d                  forward ");
    ck_assert_ptr_null(strstr(r->out, "backward"));
    assert_fails(tool("ft-bench model lenet --infer --train"), 2, "exclude each other");
    assert_fails(tool("ft-bench model resnet"), 2, "known: inception_mini");
}
END_TEST

/* The first convolution of lenet is on the image, so of its three passes two are timed. */
START_TEST(convolutions_are_timed_pass_by_pass) {
    static const struct {
        const char *name, *pass;
        double macs; /* 5 images */
    } want[] = {{"c1", "forward", 5 * 784 * 25 * 6},
                {"c1", "weight", 5 * 784 * 25 * 6},
                {"c3", "forward", 5 * 100 * 25 * 6 * 16},
                {"c3", "input", 5 * 100 * 25 * 6 * 16},
                {"c3", "weight", 5 * 100 * 25 * 6 * 16}};
    json_t *o = object(tool("ft-bench conv lenet --batch 5 --threads 1 --direct --json")->out);
    json_t *layers = json_object_get(o, "layers");
    ck_assert_double_eq(number(o, "batch"), 5);
    ck_assert_double_eq(number(o, "threads"), 1);
    ck_assert_uint_eq(json_array_size(layers), sizeof want / sizeof *want);
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        const json_t *layer = json_array_get(layers, i);
        double gflops = number(layer, "gflops");
        ck_assert_str_eq(json_string_value(json_object_get(layer, "name")), want[i].name);
        ck_assert_str_eq(json_string_value(json_object_get(layer, "pass")), want[i].pass);
        ck_assert_str_eq(json_string_value(json_object_get(layer, "algorithm")), "direct");
        ck_assert_double_eq(number(layer, "macs"), want[i].macs);
        ck_assert(fabs(gflops * number(layer, "seconds") / (2e-9 * want[i].macs) - 1) <= 1e-9);
        ck_assert(fabs(number(layer, "ratio") * number(o, "peak_gflops") / gflops - 1) <= 1e-9);
    }
    json_decref(o);
}
END_TEST

START_TEST(convolutions_of_one_shape_share_a_row) {
    json_t *o = object(tool("ft-bench conv inception_mini --batch 1 --pass forward --json")->out), *layer;
    char name[64], summary[sizeof(((tool_run *)0)->out)];
    double count = 0, share = 0;
    size_t i, rows = json_array_size(json_object_get(o, "layers"));
    json_array_foreach(json_object_get(o, "layers"), i, layer) {
        ck_assert_str_eq(json_string_value(json_object_get(layer, "pass")), "forward");
        count += number(layer, "count");
        share += number(layer, "share");
    }
    memcpy(summary, tool("ft-model summary inception_mini")->out, sizeof summary);
    int convolutions = 0;
    for (const char *at = summary; (at = strstr(at, "\nconv2d_")); at++) convolutions++;
    snprintf(name, sizeof name, "\nconv2d_%d ", convolutions);
    assert_has(summary, name);
    ck_assert_double_eq(count, convolutions);
    ck_assert_uint_lt(rows, (size_t)convolutions);
    ck_assert_double_gt(share, 0.9);
    ck_assert_double_lt(share, 1);
    json_decref(o);
    tool_run *r = tool("ft-bench conv lenet --pass weight");
    assert_ends(r, 0);
    assert_has(r->out, "Of peak\nc1 ");
    assert_has(r->out, " weight ");
    ck_assert_ptr_null(strstr(r->out, "forward"));
    assert_fails(tool("ft-bench conv lenet --pass backward"), 2, "none of forward, input, weight");
    assert_fails(tool("ft-bench conv resnet"), 2, "known: inception_mini");
}
END_TEST

/* ---- ft-train --profile */

/* Two classes of grey noise, and a configuration. */
static void make_run(void) {
    unsigned state = 1;
    for (int i = 0; i < 24; i++) {
        char path[64];
        mkdir("pictures", 0777);
        snprintf(path, sizeof path, "pictures/%d", i % 2);
        mkdir(path, 0777);
        snprintf(path, sizeof path, "pictures/%d/%d.pgm", i % 2, i);
        FILE *f = fopen(path, "wb");
        ck_assert_ptr_nonnull(f);
        fputs("P5\n28 28\n255\n", f);
        for (int k = 0; k < 28 * 28; k++) fputc((int)((state = state * 1664525u + 1013904223u) >> 24), f);
        ck_assert_int_eq(fclose(f), 0);
    }
    FILE *f = fopen("run.yaml", "w");
    ck_assert_ptr_nonnull(f);
    fputs("data: {path: pictures, split: {train: 0.5, val: 0.25, test: 0.25}}\n"
          "model: {arch: lenet}\ntrain: {batch: 4, epochs: 2}\noutput: run\n",
          f);
    ck_assert_int_eq(fclose(f), 0);
}

/* 2 epochs of 12 images by 4. */
START_TEST(a_profile_says_where_the_time_went) {
    make_run();
    tool_run *r = tool("ft-train run.yaml --profile --quiet --set kernels=direct");
    assert_ends(r, 0);
    assert_has(r->err, "Where the time of 6 steps went\n");
    static const char *const parts[] = {"forward and backward", "waiting for images", "optimiser",
                                        "evaluation",           "checkpoints",        "everything else"};
    double share = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        double seconds, percent;
        const char *at = strstr(r->err, parts[i]);
        ck_assert_msg(at && sscanf(at + strlen(parts[i]), "%lf %lf%%", &seconds, &percent) == 2,
                      "no %s in:\n%s", parts[i], r->err);
        ck_assert_double_ge(seconds, 0);
        share += percent;
    }
    ck_assert_msg(fabs(share - 100) <= 0.5, "the shares sum to %g %%:\n%s", share, r->err);
    assert_has(r->err, "\nconv2d                  backward ");
    assert_has(r->err, "\nc3 ");
    char kept[8192];
    tool_read("run/config.yaml", kept, sizeof kept);
    assert_has(kept, "\nkernels: direct\n");
    r = tool("ft-train run.yaml --quiet --overwrite");
    assert_ends(r, 0);
    ck_assert_str_eq(r->err, "");
}
END_TEST

START_TEST(a_stopped_run_has_a_profile) {
    char command[1024], err[8192];
    make_run();
    snprintf(command, sizeof command,
             "%s/ft-train run.yaml --profile --quiet --set train.epochs=1000000 >stdout.txt 2>stderr.txt & "
             "for i in $(seq 600); do [ -e run/last.h5 ] && break; sleep 0.1; done; kill -INT $!; wait $!",
             FACET_PROGRAMS);
    int status = system(command);
    ck_assert_int_eq(WEXITSTATUS(status), 130);
    tool_read("stderr.txt", err, sizeof err);
    assert_has(err, " steps went\n");
    assert_has(err, "\nNode ");
    assert_has(err, "ft-train: stopped at epoch");
}
END_TEST

int main(void) {
    Suite *s = suite_create("tools");
    TCase *t = tcase_create("tools");
    tcase_add_checked_fixture(t, tool_setup, tool_teardown);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, help_and_version_go_to_stdout);
    tcase_add_test(t, wrong_options_are_named);
    tcase_add_test(t, numbers_are_checked);
    tcase_add_test(t, missing_arguments_show_the_usage);
#if !defined(__clang__)
    tcase_add_test(t, threads_wait_shortly_unless_told_how);
#endif
    tcase_add_test(t, a_full_disk_is_noticed);
    tcase_add_test(t, inception_v3_is_as_published);
    tcase_add_test(t, totals_come_as_json);
    tcase_add_test(t, a_model_file_is_summarised_as_its_network);
    tcase_add_test(t, summary_refuses_what_it_cannot_show);
    tcase_add_test(t, peak_is_a_speed);
    tcase_add_test(t, model_speed_adds_up);
    tcase_add_test(t, layers_are_all_there_and_sorted);
    tcase_add_test(t, convolutions_are_timed_pass_by_pass);
    tcase_add_test(t, convolutions_of_one_shape_share_a_row);
    tcase_add_test(t, a_profile_says_where_the_time_went);
    tcase_add_test(t, a_stopped_run_has_a_profile);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

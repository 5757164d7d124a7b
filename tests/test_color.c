/* Changes of colour: what each does, against torchvision and the definitions of TensorFlow's
 * (golden/make_color.py), and what is drawn. */
#include "data/augment.h"
#include "data/preprocess.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PIXELS = 6 };
static const float image[PIXELS * 3] = {0.551f, 0.708f, 0.291f, 0.511f, 0.893f, 0.896f,
                                        0.126f, 0.207f, 0.051f, 0.441f, 0.030f, 0.457f,
                                        0.649f, 0.649f, 0.649f, 0.000f, 0.000f, 0.000f};

static const struct {
    ft_color_op op;
    float by;
    float want[PIXELS * 3];
} cases[] = {
    {FT_COLOR_ADD,
     -0.10f,
     {0.451000f, 0.608000f, 0.191000f, 0.411000f, 0.793000f, 0.796000f, 0.026000f, 0.107000f, 0.000000f,
      0.341000f, 0.000000f, 0.357000f, 0.549000f, 0.549000f, 0.549000f, 0.000000f, 0.000000f, 0.000000f}},
    {FT_COLOR_CHANNEL_CONTRAST,
     1.40f,
     {0.619533f, 0.825400f, 0.251133f, 0.563533f, 1.000000f, 1.000000f, 0.024533f, 0.124000f, 0.000000f,
      0.465533f, 0.000000f, 0.483533f, 0.756733f, 0.742800f, 0.752333f, 0.000000f, 0.000000f, 0.000000f}},
    {FT_COLOR_HSV_SATURATION,
     1.50f,
     {0.472500f, 0.708000f, 0.082500f, 0.318500f, 0.891500f, 0.896000f, 0.099519f, 0.207000f, 0.000000f,
      0.439876f, 0.000000f, 0.457000f, 0.649000f, 0.649000f, 0.649000f, 0.000000f, 0.000000f, 0.000000f}},
    {FT_COLOR_HSV_SATURATION,
     0.50f,
     {0.629500f, 0.708000f, 0.499500f, 0.703500f, 0.894500f, 0.896000f, 0.166500f, 0.207000f, 0.129000f,
      0.449000f, 0.243500f, 0.457000f, 0.649000f, 0.649000f, 0.649000f, 0.000000f, 0.000000f, 0.000000f}},
    {FT_COLOR_TURN_HUE,
     0.20f,
     {0.291000f, 0.708000f, 0.531400f, 0.591000f, 0.511000f, 0.896000f, 0.051000f, 0.207000f, 0.163200f,
      0.457000f, 0.099400f, 0.030000f, 0.649000f, 0.649000f, 0.649000f, 0.000000f, 0.000000f, 0.000000f}},
    {FT_COLOR_TURN_HUE,
     -0.35f,
     {0.708000f, 0.291000f, 0.592700f, 0.896000f, 0.860500f, 0.511000f, 0.207000f, 0.051000f, 0.141600f,
      0.030000f, 0.457000f, 0.398300f, 0.649000f, 0.649000f, 0.649000f, 0.000000f, 0.000000f, 0.000000f}},
    {FT_COLOR_SCALE,
     1.30f,
     {0.716300f, 0.920400f, 0.378300f, 0.664300f, 1.000000f, 1.000000f, 0.163800f, 0.269100f, 0.066300f,
      0.573300f, 0.039000f, 0.594100f, 0.843700f, 0.843700f, 0.843700f, 0.000000f, 0.000000f, 0.000000f}},
    {FT_COLOR_GREY_CONTRAST,
     0.60f,
     {0.491132f, 0.585332f, 0.335132f, 0.467132f, 0.696332f, 0.698132f, 0.236132f, 0.284732f, 0.191132f,
      0.425132f, 0.178532f, 0.434732f, 0.549932f, 0.549932f, 0.549932f, 0.160532f, 0.160532f, 0.160532f}},
    {FT_COLOR_GREY_CONTRAST,
     1.70f,
     {0.655769f, 0.922669f, 0.213769f, 0.587769f, 1.000000f, 1.000000f, 0.000000f, 0.070969f, 0.000000f,
      0.468769f, 0.000000f, 0.495969f, 0.822369f, 0.822369f, 0.822369f, 0.000000f, 0.000000f, 0.000000f}},
    {FT_COLOR_GREY_SATURATION,
     0.30f,
     {0.594725f, 0.641825f, 0.516725f, 0.698651f, 0.813251f, 0.814151f, 0.153289f, 0.177589f, 0.130789f,
      0.273366f, 0.150066f, 0.278166f, 0.648955f, 0.648955f, 0.648955f, 0.000000f, 0.000000f, 0.000000f}},
    {FT_COLOR_GREY_SATURATION,
     1.80f,
     {0.501029f, 0.783629f, 0.033029f, 0.296542f, 0.984142f, 0.989542f, 0.094812f, 0.240612f, 0.000000f,
      0.632582f, 0.000000f, 0.661382f, 0.649052f, 0.649052f, 0.649052f, 0.000000f, 0.000000f, 0.000000f}},
};

START_TEST(each_as_its_source_has_it) {
    float x[PIXELS * 3];
    memcpy(x, image, sizeof x);
    ft_color_plan plan = {.n = 1, .step = {{cases[_i].op, cases[_i].by}}};
    ft_color_apply(&plan, PIXELS, 3, x);
    for (int k = 0; k < PIXELS * 3; k++)
        ck_assert_msg(fabsf(x[k] - cases[_i].want[k]) <= 2e-6f, "number %d is %.7g, not %.7g", k,
                      (double)x[k], (double)cases[_i].want[k]);
}
END_TEST

START_TEST(grey_images_have_no_colour) {
    float x[PIXELS], before[PIXELS];
    for (int k = 0; k < PIXELS; k++) before[k] = x[k] = image[k];
    ft_color_plan plan = {.n = 3,
                          .step = {{FT_COLOR_HSV_SATURATION, 0.3f},
                                   {FT_COLOR_TURN_HUE, 0.3f},
                                   {FT_COLOR_GREY_SATURATION, 0.2f}}};
    ft_color_apply(&plan, PIXELS, 1, x);
    ck_assert_mem_eq(x, before, sizeof x);
    plan = (ft_color_plan){.n = 1, .step = {{FT_COLOR_SCALE, 0.5f}}};
    ft_color_apply(&plan, PIXELS, 1, x);
    for (int k = 0; k < PIXELS; k++) ck_assert(x[k] == before[k] * 0.5f);
}
END_TEST

/* Between TensorFlow's steps nothing is cut off: what brightness takes below 0, contrast may bring back. */
START_TEST(only_the_end_is_cut_off) {
    float x[2] = {0.05f, 0.95f};
    ft_color_plan plan = {.n = 2, .step = {{FT_COLOR_ADD, -0.1f}, {FT_COLOR_CHANNEL_CONTRAST, 0.5f}}};
    ft_color_apply(&plan, 2, 1, x);
    ck_assert(fabsf(x[0] - 0.175f) < 1e-6f && fabsf(x[1] - 0.625f) < 1e-6f);
}
END_TEST

START_TEST(draws_of_inception) {
    const ft_augment a = {.color = {.color = FT_COLOR_INCEPTION}};
    static const double low[] = {-32. / 255, 0.5, 0.5, -0.2}, high[] = {32. / 255, 1.5, 1.5, 0.2};
    int second = 0;
    double sum = 0;
    for (int32_t sample = 0; sample < 1000; sample++) {
        ft_color_plan p = ft_augment_draw(&a, 5, sample, 30, 30, 20, 20).color;
        ck_assert_int_eq(p.n, 4);
        ck_assert_int_eq(p.step[0].op, FT_COLOR_ADD);
        second += p.step[1].op == FT_COLOR_CHANNEL_CONTRAST;
        ck_assert(p.step[1].op == FT_COLOR_CHANNEL_CONTRAST || p.step[3].op == FT_COLOR_CHANNEL_CONTRAST);
        for (int i = 0; i < 4; i++) {
            int kind = p.step[i].op == FT_COLOR_ADD                ? 0
                       : p.step[i].op == FT_COLOR_CHANNEL_CONTRAST ? 1
                       : p.step[i].op == FT_COLOR_HSV_SATURATION   ? 2
                                                                   : 3;
            double by = (double)p.step[i].by;
            ck_assert(by >= low[kind] - 1e-7 && by <= high[kind] + 1e-7);
        }
        sum += (double)p.step[0].by;
    }
    ck_assert(second > 430 && second < 570 && fabs(sum / 1000) < 0.01);
}
END_TEST

START_TEST(draws_of_jitter) {
    const ft_augment a = {.color = {.brightness = 0.4f, .contrast = 2, .hue = 0.1f}};
    int first[FT_COLOR_GREY_SATURATION + 1] = {0};
    for (int32_t sample = 0; sample < 600; sample++) {
        ft_color_plan p = ft_augment_draw(&a, 5, sample, 30, 30, 20, 20).color, again;
        again = ft_augment_draw(&a, 5, sample, 30, 30, 20, 20).color;
        ck_assert_int_eq(p.n, 3);
        ck_assert_mem_eq(&p, &again, sizeof p);
        first[p.step[0].op]++;
        for (int i = 0; i < 3; i++) {
            float by = p.step[i].by;
            if (p.step[i].op == FT_COLOR_SCALE) ck_assert(by >= 0.6f && by <= 1.4f);
            if (p.step[i].op == FT_COLOR_GREY_CONTRAST) ck_assert(by >= 0 && by <= 3);
            if (p.step[i].op == FT_COLOR_TURN_HUE) ck_assert(by >= -0.1f && by <= 0.1f);
        }
    }
    ck_assert(first[FT_COLOR_SCALE] > 140 && first[FT_COLOR_GREY_CONTRAST] > 140 &&
              first[FT_COLOR_TURN_HUE] > 140);
}
END_TEST

START_TEST(colour_leaves_other_draws_alone) {
    const ft_augment plain = {.flip = true, .crop = FT_CROP_INCEPTION, .rotate = 10};
    ft_augment colored = plain;
    colored.color.color = FT_COLOR_INCEPTION;
    for (int32_t sample = 0; sample < 50; sample++) {
        ft_augment_plan p = ft_augment_draw(&plain, 5, sample, 30, 40, 20, 20),
                        q = ft_augment_draw(&colored, 5, sample, 30, 40, 20, 20);
        ck_assert_int_eq(p.color.n, 0);
        ck_assert(p.mirrored == q.mirrored && p.box.x0 == q.box.x0 && p.box.y1 == q.box.y1);
        ck_assert_mem_eq(p.matrix, q.matrix, sizeof p.matrix);
    }
}
END_TEST

/* Numbers in [0, 1] are normalised as the bytes they came from. */
START_TEST(normalised_as_bytes_are) {
    uint8_t bytes[12 * 3];
    for (int k = 0; k < 36; k++) bytes[k] = (uint8_t)(k * 37 + 11);
    const ft_image im = {.p = bytes, .w = 4, .h = 3, .c = 3};
    ft_preprocess p = {.h = 3, .w = 4, .c = 3, .normalize = (ft_normalize)_i};
    ft_preprocess_imagenet(&p);
    ft_normalizer z, unit;
    ft_normalizer_init(&z, &p);
    ft_normalizer_init(&unit, &(ft_preprocess){.normalize = FT_NORMALIZE_UNIT});
    float want[36], got[36];
    ft_normalizer_apply(&z, &im, true, want);
    ft_normalizer_apply(&unit, &im, true, got);
    ft_normalizer_apply_floats(&z, 12, 3, got);
    for (int k = 0; k < 36; k++)
        ck_assert_msg(fabsf(got[k] - want[k]) <= 2e-6f, "%g, not %g", (double)got[k], (double)want[k]);
}
END_TEST

START_TEST(mistakes) {
    ft_color color = FT_COLOR_INCEPTION;
    ck_assert_int_eq(ft_color_parse("sepia", &color), FT_E_CONFIG);
    ck_assert(strstr(ft_err_message(), "inception") && color == FT_COLOR_INCEPTION);
    ck_assert_int_eq(ft_augment_check(&(ft_augment){.color = {.hue = 0.6f}}, 9, 9), FT_E_CONFIG);
    ck_assert(strstr(ft_err_message(), "hue"));
    ck_assert_int_eq(ft_augment_check(&(ft_augment){.color = {.contrast = -1}}, 9, 9), FT_E_CONFIG);
    ck_assert(ft_augment_changes(&(ft_augment){.color = {.hue = 0.1f}}) &&
              !ft_augment_changes(&(ft_augment){0}));
}
END_TEST

int main(void) {
    Suite *s = suite_create("color");
    TCase *t = tcase_create("color");
    tcase_add_loop_test(t, each_as_its_source_has_it, 0, sizeof cases / sizeof *cases);
    tcase_add_test(t, grey_images_have_no_colour);
    tcase_add_test(t, only_the_end_is_cut_off);
    tcase_add_test(t, draws_of_inception);
    tcase_add_test(t, draws_of_jitter);
    tcase_add_test(t, colour_leaves_other_draws_alone);
    tcase_add_loop_test(t, normalised_as_bytes_are, 0, 4);
    tcase_add_test(t, mistakes);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Grad-CAM against what it must be where it can be written down: before a global average pool and a dense
 * layer the weights of the maps are those of the class over the number of pixels (class activation maps, Zhou
 * et al. 2016).
 */
#include "tensor/plan.h"
#include "tensor/rng.h"
#include "train/gradcam.h"
#include "train/pictures.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 28, CLASSES = 4 };
static float x[SIDE * SIDE];

static ft_model *make_model(const char *arch) {
    const ft_preprocess image = {.h = SIDE, .w = SIDE, .c = 1, .normalize = FT_NORMALIZE_UNIT};
    static const char *const names[] = {"a", "b", "c", "d"};
    ft_model *m;
    ck_assert_msg(ft_model_new(arch, &(ft_net_options){.classes = CLASSES, .dropout = 0.5f}, &image, names,
                               &m) == FT_OK,
                  "%s", ft_err_message());
    ft_graph_init(m->g, 3);
    ft_rng g = ft_rng_stream(5, 0);
    for (int i = 0; i < SIDE * SIDE; i++) x[i] = (float)ft_rng_uniform(&g);
    return m;
}

START_TEST(before_an_average_pool_it_is_the_class_activation_map) {
    ft_model *m = make_model("inception_mini");
    ft_val last = ft_graph_find(m->g, "mixed4");
    const float *w = ft_graph_find_param(m->g, "predictions/kernel")->p;
    ft_plan *p;
    ck_assert_int_eq(ft_compile(m->g, &(ft_plan_spec){.batch = 1, .n_outputs = 1, .outputs = &last}, &p),
                     FT_OK);
    memcpy(ft_plan_value(p, m->input, 1).p, x, sizeof x);
    ft_plan_forward(p, 1, 0);
    ft_view a = ft_plan_value(p, last, 1);
    ft_gradcam *cam;
    ck_assert_msg(ft_gradcam_new(m, NULL, false, &cam) == FT_OK, "%s", ft_err_message());
    for (int32_t c = 0; c < CLASSES; c++) {
        ft_view heat = ft_gradcam_run(cam, x, c);
        double want[49], most = 0;
        ck_assert(heat.h == a.h && heat.w == a.w && a.h * a.w <= 49);
        for (int64_t i = 0; i < ft_rows(&a); i++) {
            want[i] = 0;
            for (int32_t k = 0; k < a.c; k++)
                want[i] += (double)w[k * CLASSES + c] * (double)a.p[i * a.ld + k];
            most = fmax(most, want[i]);
        }
        for (int64_t i = 0; i < ft_rows(&a); i++) {
            double v = want[i] > 0 ? want[i] / most : 0;
            ck_assert_msg(fabs((double)heat.p[i] - v) <= 1e-5, "class %d, pixel %d: %g, not %g", c, (int)i,
                          (double)heat.p[i], v);
        }
    }
    ft_gradcam_free(cam);
    ft_plan_free(p);
    ft_model_free(m);
}
END_TEST

START_TEST(of_any_node_of_any_network) {
    static const char *const cases[][2] = {{"lenet", NULL},
                                           {"lenet", "c1"},
                                           {"inception_mini", "mixed0"},
                                           {"inception_mini", "activation_4"},
                                           {"inception_mini", "conv2d_1"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ft_model *m = make_model(cases[i][0]);
        ft_gradcam *cam;
        ck_assert_msg(ft_gradcam_new(m, cases[i][1], false, &cam) == FT_OK, "%s: %s", cases[i][1],
                      ft_err_message());
        ft_view heat = ft_gradcam_run(cam, x, 1);
        float most = 0, least = 1;
        for (int64_t k = 0; k < ft_rows(&heat); k++) {
            most = fmaxf(most, heat.p[k]);
            least = fminf(least, heat.p[k]);
        }
        ck_assert_msg(heat.h > 1 && least >= 0 && (most == 1 || most == 0), "%s: %g to %g", cases[i][1],
                      (double)least, (double)most);
        ft_gradcam_free(cam);
        ft_model_free(m);
    }
}
END_TEST

START_TEST(errors) {
    ft_model *m = make_model("inception_mini");
    ft_gradcam *cam;
    ck_assert_int_eq(ft_gradcam_new(m, "nowhere", false, &cam), FT_E_USAGE);
    ck_assert_ptr_nonnull(strstr(ft_err_message(), "'nowhere'"));
    ck_assert_int_eq(ft_gradcam_new(m, "avg_pool", false, &cam), FT_E_USAGE); /* one pixel */
    ck_assert_ptr_null(cam);
    ft_model_free(m);
}
END_TEST

/* The lightest colour where the heat is, the darkest where it is not. */
START_TEST(overlay_follows_the_heat) {
    ft_real hot[] = {0, 0, 0, 1};
    const ft_view heat = {.p = hot, .n = 1, .h = 2, .w = 2, .c = 1, .ld = 1};
    uint8_t grey[64];
    memset(grey, 128, sizeof grey);
    const ft_image im = {.p = grey, .w = 8, .h = 8, .c = 1};
    const ft_preprocess how = {.h = 8, .w = 8, .c = 1};
    ft_image shot;
    ck_assert_int_eq(ft_picture_shot(&im, &how, 4, &heat, &shot), FT_OK);
    ck_assert(shot.w == 4 && shot.h == 4 && shot.c == 3);
    const uint8_t *cold = shot.p, *warm = shot.p + 15 * 3;
    ck_assert(warm[0] > 190 && warm[0] > warm[2] + 60); /* light yellow over grey */
    ck_assert(cold[0] < 128 && cold[2] > cold[0]);      /* violet over grey */
    ft_image_free(&shot);
    ck_assert_int_eq(ft_picture_shot(&im, &how, 100, NULL, &shot), FT_OK);
    ck_assert(shot.w == 8 && shot.p[0] == 128 && shot.p[1] == 128); /* never enlarged */
    ft_image_free(&shot);
}
END_TEST

int main(void) {
    Suite *s = suite_create("gradcam");
    TCase *t = tcase_create("all");
    tcase_add_test(t, before_an_average_pool_it_is_the_class_activation_map);
    tcase_add_test(t, of_any_node_of_any_network);
    tcase_add_test(t, errors);
    tcase_add_test(t, overlay_follows_the_heat);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Inception-v3 with the weights of a file that PyTorch wrote computes what torchvision's computes in float64:
 * forward in eval mode, both losses in train mode, the gradient of every parameter, the statistics that a
 * step moves. Runs golden/make_torchvision.py; without PyTorch and torchvision it skips itself, and says so.
 */
#include "tensor/plan.h"
#include "train/weight_map.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BATCH = 4, CLASSES = 10, SIDE = 299 };
static const double tolerance = 1e-4, turned_over = 0.1;

static char folder[64];

static bool make_files(void) {
    char command[512];
    strcpy(folder, "/tmp/facet-torchvision-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(command, sizeof command, "/usr/bin/python3 -c 'import torch, torchvision' 2>/dev/null");
    if (system(command) != 0) {
        printf("skipped: there is no PyTorch with torchvision\n");
        return false;
    }
    snprintf(command, sizeof command, "/usr/bin/python3 -W ignore tests/golden/make_torchvision.py %s",
             folder);
    ck_assert_int_eq(system(command), 0);
    return true;
}

static ft_weight_file *read_file(const char *name) {
    char path[128];
    ft_weight_file *f;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    ck_assert_msg(ft_weight_file_read(path, FT_WEIGHTS_TORCH, &f) == FT_OK, "%s", ft_err_message());
    return f;
}

static const ft_weight_tensor *tensor_of(const ft_weight_file *f, const char *name) {
    for (int32_t i = 0; i < f->n_tensors; i++)
        if (strcmp(f->tensor[i].name, name) == 0) return &f->tensor[i];
    ck_abort_msg("no %s", name);
}

/* A network of torchvision's conventions with the numbers of that file: weights, or gradients in their place.
 */
static ft_model *model_of(const char *name, bool gradients) {
    static const char *const names[CLASSES] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
    static const char *const statistics[] = {"*/moving_*"};
    const ft_weight_map_options map = {true, gradients, statistics};
    const ft_preprocess image = {.h = SIDE, .w = SIDE, .c = 3};
    ft_net_options o = {.classes = CLASSES, .aux_head = true, .bn_momentum = 0.9f};
    ft_weight_file *f = read_file(name);
    ft_weight_report r;
    ft_model *m;
    ft_weights_conventions(f, &o);
    ck_assert_int_eq(ft_model_new("inception_v3", &o, &image, names, &m), FT_OK);
    ck_assert_msg(ft_weights_apply(f, m, &map, &r) == FT_OK, "%s", ft_err_message());
    ck_assert_int_eq(r.count[FT_WEIGHT_MATCHED], (94 + 2) * (gradients ? 3 : 5) + 2 * 2);
    ft_weight_report_free(&r);
    ft_weight_file_free(f);
    return m;
}

static double relative(const ft_real *got, const float *want, int64_t n) {
    double difference = 0, norm = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = (double)got[i] - (double)want[i];
        difference += d * d;
        norm += (double)want[i] * (double)want[i];
    }
    return sqrt(difference / norm);
}

#define EXPECT(what, error) ck_assert_msg((error) <= tolerance, "%s: %.3g", what, (double)(error))

/* (n, c, h, w) of PyTorch to our rows. */
static void feed(const ft_view *x, const ft_weight_tensor *t) {
    int64_t area = (int64_t)x->h * x->w;
    for (int64_t n = 0; n < x->n; n++)
        for (int64_t i = 0; i < area; i++)
            for (int64_t c = 0; c < x->c; c++)
                x->p[(n * area + i) * x->ld + c] = t->p[(n * x->c + c) * area + i];
}

static void check_eval(ft_model *m, const ft_weight_file *images, const ft_weight_file *results) {
    ft_plan *plan;
    ft_plan_spec spec = {.batch = BATCH, .n_outputs = 1, .outputs = &m->out.logits};
    ck_assert_msg(ft_compile(m->g, &spec, &plan) == FT_OK, "%s", ft_err_message());
    ft_view x = ft_plan_value(plan, m->input, BATCH);
    feed(&x, tensor_of(images, "x"));
    ft_plan_forward(plan, BATCH, 0);
    EXPECT("logits in eval mode", relative(ft_plan_value(plan, m->out.logits, BATCH).p,
                                           tensor_of(results, "logits")->p, BATCH * CLASSES));
    ft_plan_free(plan);
}

static void check_training(ft_model *m, const ft_weight_file *images, const ft_weight_file *results) {
    ft_plan *plan;
    ft_val labels = ft_input(m->g, "labels", (ft_shape){1, 1, 1, 1});
    ft_plan_spec spec = {.batch = BATCH, .training = true, .n_losses = 2, .loss_weights = {1, (ft_real)0.4}};
    spec.losses[0] = ft_softmax_cross_entropy(m->g, m->out.logits, labels, NULL);
    spec.losses[1] = ft_softmax_cross_entropy(m->g, m->out.aux_logits, labels, NULL);
    ck_assert_msg(ft_compile(m->g, &spec, &plan) == FT_OK, "%s", ft_err_message());
    ft_view x = ft_plan_value(plan, m->input, BATCH), y = ft_plan_value(plan, labels, BATCH);
    feed(&x, tensor_of(images, "x"));
    for (int i = 0; i < BATCH; i++) y.p[i] = tensor_of(images, "labels")->p[i];
    ft_plan_forward(plan, BATCH, 0);
    ft_real loss = ft_plan_value(plan, spec.losses[0], BATCH).p[0] +
                   (ft_real)0.4 * ft_plan_value(plan, spec.losses[1], BATCH).p[0];
    EXPECT("the loss", relative(&loss, tensor_of(results, "loss")->p, 1));
    ft_plan_backward(plan, 1, false);
    ft_model *gradients = model_of("gradients.pth", true), *after = model_of("after.pth", false);
    int compared = 0;
    for (int32_t i = 0; i < ft_graph_n_params(m->g); i++) {
        const ft_param *p = ft_graph_param(m->g, i);
        const ft_param *want = ft_graph_find_param((p->flags & FT_TRAINABLE ? gradients : after)->g, p->name);
        bool trained = p->flags & FT_TRAINABLE;
        double error = relative(trained ? ft_plan_grad(plan, p) : p->p, want->p, ft_shape_size(p->shape));
        ck_assert_msg(error <= (trained ? turned_over : tolerance), "%s: %.3g", p->name, error);
        compared++;
    }
    ck_assert_int_eq(compared, (94 + 2) * 5 + 2 * 2);
    ft_model_free(gradients);
    ft_model_free(after);
    ft_plan_free(plan);
}

START_TEST(the_whole_network) {
    char command[128];
    if (make_files()) {
        ft_weight_file *images = read_file("images.pth"), *results = read_file("results.pth");
        ft_model *m = model_of("weights.pth", false);
        check_eval(m, images, results);
        check_training(m, images, results);
        ft_model_free(m);
        ft_weight_file_free(images);
        ft_weight_file_free(results);
    }
    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

int main(void) {
    Suite *s = suite_create("torchvision");
    TCase *t = tcase_create("torchvision");
    tcase_set_timeout(t, 1200);
    tcase_add_test(t, the_whole_network);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

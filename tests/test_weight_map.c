/* From the tensors of a file to the parameters of a network: that everything is accounted for, that nothing
 * fits by accident, and that a network is left alone unless everything fits.
 */
#include "layers/keras_order.h"
#include "train/blank_model.h"
#include "train/weight_export.h"
#include "train/weight_map.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- Keras's order ---- */

static ft_model *model_of(const char *arch, int32_t size, int32_t classes, bool scale) {
    static const char *const names[] = {"a", "b", "c", "d", "e", "f"};
    const ft_net_options o = {.classes = classes, .bn_scale = scale};
    const ft_preprocess image = {.h = size, .w = size, .c = ft_net_find(arch)->channels};
    ft_model *m;
    ck_assert_msg(ft_model_new(arch, &o, &image, names, &m) == FT_OK, "%s", ft_err_message());
    ft_graph_init(m->g, 3);
    uint32_t state = 1; /* statistics, too */
    for (int32_t i = 0; i < ft_graph_n_params(m->g); i++) {
        ft_param *p = ft_graph_param(m->g, i);
        for (int64_t k = 0; k < ft_shape_size(p->shape); k++) {
            state = state * 1664525u + 1013904223u;
            p->p[k] = (float)(state >> 8) * 0x1p-24f + 0.1f;
        }
    }
    return m;
}

START_TEST(layers_are_in_keras_order) {
    /* convolutions by the number of their creation, as Keras lists them; indices of the blocks' outputs */
    static const int order[] = {1,  2,  3,  4,  5,  9,  7,  10, 6,  8,  11, 12, 16, 14, 17, 13, 15, 18, 19,
                                23, 21, 24, 20, 22, 25, 26, 28, 29, 27, 30, 35, 36, 32, 37, 33, 38, 31, 34,
                                39, 40, 45, 46, 42, 47, 43, 48, 41, 44, 49, 50, 55, 56, 52, 57, 53, 58, 51,
                                54, 59, 60, 65, 66, 62, 67, 63, 68, 61, 64, 69, 70, 73, 74, 71, 75, 72, 76,
                                81, 78, 82, 79, 80, 83, 84, 77, 85, 90, 87, 91, 88, 89, 92, 93, 86, 94};
    static const int ends[] = {40, 63, 86, 100, 132, 164, 196, 228, 248, 279, 310};
    ft_model *m = model_of("inception_v3", 299, 4, false);
    ft_keras_layer *layers;
    int32_t n, convs = 0;
    ck_assert_int_eq(ft_keras_layers(m->g, m->input, m->out.logits, &layers, &n), FT_OK);
    ck_assert_int_eq(n, 313);
    ck_assert_str_eq(layers[0].name, "input_1");
    ck_assert_int_eq(layers[0].node, -1);
    for (int32_t i = 0; i < n; i++) {
        if (strncmp(layers[i].name, "conv2d_", 7) != 0) continue;
        ck_assert_int_lt(convs, 94);
        ck_assert_int_eq(atoi(layers[i].name + 7), order[convs]);
        convs++;
    }
    ck_assert_int_eq(convs, 94);
    for (int block = 0; block <= 10; block++) {
        char name[16];
        snprintf(name, sizeof name, "mixed%d", block);
        ck_assert_str_eq(layers[ends[block]].name, name);
    }
    ck_assert_str_eq(layers[11].name, "conv2d_4");
    ck_assert_str_eq(layers[10].name, "max_pooling2d_1");
    ck_assert_str_eq(layers[311].name, "avg_pool");
    ck_assert_str_eq(layers[312].name, "predictions");
    free(layers);
    ft_model_free(m);
}
END_TEST

START_TEST(torchvision_names) {
    static const struct {
        const char *node, *name;
    } known[] = {{"conv2d_1", "Conv2d_1a_3x3.conv"},
                 {"batch_normalization_5", "Conv2d_4a_3x3.bn"},
                 {"conv2d_6", "Mixed_5b.branch1x1.conv"},
                 {"conv2d_12", "Mixed_5b.branch_pool.conv"},
                 {"conv2d_14", "Mixed_5c.branch5x5_1.conv"},
                 {"conv2d_27", "Mixed_6a.branch3x3.conv"},
                 {"conv2d_30", "Mixed_6a.branch3x3dbl_3.conv"},
                 {"conv2d_31", "Mixed_6b.branch1x1.conv"},
                 {"conv2d_62", "Mixed_6e.branch7x7_1.conv"},
                 {"conv2d_70", "Mixed_6e.branch_pool.conv"},
                 {"conv2d_71", "Mixed_7a.branch3x3_1.conv"},
                 {"conv2d_76", "Mixed_7a.branch7x7x3_4.conv"},
                 {"conv2d_77", "Mixed_7b.branch1x1.conv"},
                 {"conv2d_94", "Mixed_7c.branch_pool.conv"},
                 {"predictions", "fc"},
                 {"aux_bn1", "AuxLogits.conv1.bn"}};
    char name[96];
    const ft_net *net = ft_net_find("inception_v3");
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        ck_assert(net->torch_name(known[i].node, name));
        ck_assert_str_eq(name, known[i].name);
    }
    ck_assert(!net->torch_name("conv2d_0", name) && !net->torch_name("conv2d_95", name) &&
              !net->torch_name("mixed3", name));
}
END_TEST

/* ---- there and back ---- */

static ft_weight_file *file_of(const ft_model *m, ft_weight_format format) {
    ft_weight_file *f;
    ck_assert_msg(ft_weights_of_model(m, format, &f) == FT_OK, "%s", ft_err_message());
    return f;
}

static bool same_model(const ft_model *a, const ft_model *b) {
    for (int32_t i = 0; i < ft_graph_n_params(a->g); i++) {
        const ft_param *p = ft_graph_param(a->g, i), *q = ft_graph_param(b->g, i);
        if (memcmp(p->p, q->p, (size_t)ft_shape_size(p->shape) * sizeof *p->p) != 0) return false;
    }
    return true;
}

static ft_model *zero_model(const char *arch, int32_t size, int32_t classes, bool scale) {
    ft_model *m = model_of(arch, size, classes, scale);
    for (int32_t i = 0; i < ft_graph_n_params(m->g); i++) {
        ft_param *p = ft_graph_param(m->g, i);
        memset(p->p, 0, (size_t)ft_shape_size(p->shape) * sizeof *p->p);
    }
    return m;
}

static const ft_weight_map_options whole = {.include_top = true}, base = {.include_top = false};

START_TEST(there_and_back_bit_by_bit) {
    static const char *const nets[] = {"inception_mini", "lenet", "inception_v3"};
    const char *net = nets[_i / 2];
    ft_weight_format format = _i % 2 ? FT_WEIGHTS_SAFETENSORS : FT_WEIGHTS_KERAS;
    int32_t size = _i / 2 == 2 ? 75 : 28;
    ft_model *m = model_of(net, size, 4, false), *copy = zero_model(net, size, 4, false);
    ft_weight_file *f = file_of(m, format);
    ft_weight_report r;
    ck_assert_msg(ft_weights_apply(f, copy, &whole, &r) == FT_OK, "%s", ft_err_message());
    ck_assert(same_model(m, copy));
    ck_assert_int_eq(r.n, f->n_tensors);
    ck_assert_int_eq(r.count[FT_WEIGHT_MATCHED], f->n_tensors);
    ck_assert(r.names_checked);
    ft_weight_report_free(&r);
    ck_assert_int_eq(ft_weights_classes(f), 4);
    ft_weight_file_free(f);
    ft_model_free(m);
    ft_model_free(copy);
}
END_TEST

/* What is not in the numbers goes with them, or the export is refused. */
START_TEST(conventions_are_not_lost) {
    static const char *const names[] = {"a", "b"};
    const ft_net_options o = {
        .classes = 2, .bn_scale = true, .bn_unbiased = true, .count_padding = true, .bn_epsilon = 1e-5f};
    const ft_preprocess image = {.h = 28, .w = 28, .c = 3};
    ft_model *m;
    ft_weight_file *f, *back;
    ft_net_options found = {.classes = 2};
    ck_assert_int_eq(ft_model_new("inception_mini", &o, &image, names, &m), FT_OK);
    ck_assert_int_eq(ft_weights_of_model(m, FT_WEIGHTS_KERAS, &f), FT_E_USAGE);
    ck_assert_msg(!f && strstr(ft_err_message(), "padding"), "%s", ft_err_message());
    char path[] = "/tmp/facet-map-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    f = file_of(m, FT_WEIGHTS_SAFETENSORS);
    ck_assert_msg(ft_weight_file_write(f, path) == FT_OK, "%s", ft_err_message());
    ck_assert_msg(ft_weight_file_read(path, FT_WEIGHTS_AUTO, &back) == FT_OK, "%s", ft_err_message());
    ft_weights_conventions(back, &found);
    ck_assert(found.bn_scale && found.bn_unbiased && found.count_padding && found.bn_epsilon == 1e-5f);
    ft_weight_file_free(back);
    ft_weight_file_free(f);
    ft_model_free(m);
    m = model_of("inception_mini", 28, 2, false);
    f = file_of(m, FT_WEIGHTS_SAFETENSORS);
    found = (ft_net_options){.count_padding = true, .bn_scale = true, .bn_unbiased = true};
    ft_weights_conventions(f, &found);
    ck_assert(!found.bn_scale && !found.bn_unbiased && !found.count_padding);
    ft_weight_file_free(f);
    ft_model_free(m);
    unlink(path);
}
END_TEST

/* ---- what does not fit ---- */

typedef struct scene {
    ft_model *from, *to, *before;
    ft_weight_file *f;
    ft_weight_report r;
} scene;

static scene scene_of(bool file_scale, bool net_scale, int32_t file_classes) {
    scene s = {.from = model_of("inception_mini", 28, file_classes, file_scale),
               .to = zero_model("inception_mini", 28, 4, net_scale),
               .before = zero_model("inception_mini", 28, 4, net_scale)};
    s.f = file_of(s.from, FT_WEIGHTS_KERAS);
    return s;
}

static void end_scene(scene *s) {
    ft_weight_report_free(&s->r);
    ft_weight_file_free(s->f);
    ft_model_free(s->from);
    ft_model_free(s->to);
    ft_model_free(s->before);
}

/* Refused with these words, nothing changed, and so many rows of that status. */
static void expect_refusal(scene *s, const ft_weight_map_options *o, const char *words,
                           ft_weight_status status, int32_t n) {
    ck_assert_int_eq(ft_weights_apply(s->f, s->to, o, &s->r), FT_E_WEIGHTS);
    ck_assert_msg(strstr(ft_err_message(), words), "no \"%s\" in \"%s\"", words, ft_err_message());
    ck_assert(same_model(s->to, s->before));
    ck_assert_msg(s->r.count[status] == n, "%d rows, not %d: %s", s->r.count[status], n, ft_err_message());
    end_scene(s);
}

static ft_weight_layer *layer_named(ft_weight_file *f, const char *name) {
    for (int32_t i = 0; i < f->n_layers; i++)
        if (strcmp(f->layer[i].name, name) == 0) return &f->layer[i];
    ck_abort_msg("no layer %s", name);
}

START_TEST(a_tensor_of_another_shape) {
    scene s = scene_of(false, false, 4);
    ft_weight_tensor *t = &s.f->tensor[layer_named(s.f, "conv2d_1")->first];
    int64_t dim = t->dims[2]; /* as many numbers, turned */
    t->dims[2] = t->dims[3];
    t->dims[3] = dim;
    expect_refusal(&s, &whole, "conv2d_1/kernel", FT_WEIGHT_SHAPE, 1);
}
END_TEST

START_TEST(a_tensor_is_missing) {
    scene s = scene_of(false, false, 4);
    layer_named(s.f, "batch_normalization_2")->n--;
    expect_refusal(&s, &whole, "batch_normalization_2/moving_variance", FT_WEIGHT_MISSING, 1);
}
END_TEST

START_TEST(a_layer_too_many) {
    scene s = scene_of(false, false, 4);
    float *p;
    const int64_t dims[2] = {4, 2};
    ck_assert_int_eq(ft_weight_file_add_layer(s.f, "dense_2", NULL), FT_OK);
    ck_assert_int_eq(ft_weight_file_add(s.f, "dense_2/kernel:0", 2, dims, &p), FT_OK);
    memset(p, 0, 8 * sizeof *p);
    expect_refusal(&s, &whole, "dense_2/kernel:0", FT_WEIGHT_UNEXPECTED, 1);
}
END_TEST

/* Two layers of the same shapes change places: only their numbers tell. */
START_TEST(layers_in_another_order) {
    scene s = scene_of(false, false, 4);
    ft_weight_layer *a = NULL, *b = NULL;
    for (int32_t i = 0; i < s.f->n_layers && !b; i++)
        for (int32_t k = i + 1; k < s.f->n_layers && !b; k++) {
            const ft_weight_layer *x = &s.f->layer[i], *y = &s.f->layer[k];
            if (x->n != 1 || y->n != 1) continue;
            if (memcmp(s.f->tensor[x->first].dims, s.f->tensor[y->first].dims, 4 * sizeof(int64_t)) != 0)
                continue;
            a = &s.f->layer[i];
            b = &s.f->layer[k];
        }
    ck_assert_ptr_nonnull(b);
    ft_weight_layer swap = *a;
    *a = *b;
    *b = swap;
    expect_refusal(&s, &whole, "another order", FT_WEIGHT_MATCHED, s.f->n_tensors);
}
END_TEST

START_TEST(
    numbers_may_go_on_from_anywhere) { /* tf.keras: a second model of the process; names of one's own */
    scene s = scene_of(false, false, 4);
    for (int32_t i = 0; i < s.f->n_layers; i++) {
        char name[96];
        const char *own = s.f->layer[i].name;
        if (strncmp(own, "conv2d_", 7) != 0) continue;
        int k = atoi(own + 7) - 1 + (_i == 0 ? 0 : 94);
        if (_i == 2)
            snprintf(name, sizeof name, "stem%d", k);
        else
            snprintf(name, sizeof name, k ? "conv2d_%d" : "conv2d", k);
        free(s.f->layer[i].name);
        s.f->layer[i].name = strdup(name);
    }
    ck_assert_msg(ft_weights_apply(s.f, s.to, &whole, &s.r) == FT_OK, "%s", ft_err_message());
    ck_assert(same_model(s.from, s.to));
    ck_assert(s.r.names_checked == (_i < 2));
    end_scene(&s);
}
END_TEST

START_TEST(other_classes) {
    scene s = scene_of(false, false, 6);
    ck_assert_int_eq(ft_weights_classes(s.f), 6);
    expect_refusal(&s, &whole, "include_top: false", FT_WEIGHT_SHAPE, 2);
    s = scene_of(false, false, 6);
    ck_assert_msg(ft_weights_apply(s.f, s.to, &base, &s.r) == FT_OK, "%s", ft_err_message());
    ck_assert(s.r.count[FT_WEIGHT_KEPT] == 2 && s.r.count[FT_WEIGHT_LEFT_OUT] == 2);
    const ft_param *head = ft_graph_find_param(s.to->g, "predictions/kernel");
    const ft_param *first = ft_graph_find_param(s.to->g, "conv2d_1/kernel"),
                   *want = ft_graph_find_param(s.from->g, "conv2d_1/kernel");
    ck_assert(head->p[0] == 0 && first->p[5] == want->p[5] && first->p[5] != 0);
    char *text;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    ft_weight_report_print(out, &s.r, true);
    fclose(out);
    ck_assert_msg(strstr(text, "predictions/kernel") && strstr(text, "conv2d_1/kernel:0") &&
                      strstr(text, "left out"),
                  "%s", text);
    int lines = 0;
    for (const char *c = text; *c; c++) lines += *c == '\n';
    ck_assert_int_eq(lines, 1 + s.r.n);
    free(text);
    end_scene(&s);
}
END_TEST

START_TEST(scales_of_batch_norms) {
    scene s = scene_of(true, false, 4);
    expect_refusal(&s, &whole, "model.bn.scale: true", FT_WEIGHT_UNEXPECTED, 30);
    s = scene_of(false, true, 4);
    expect_refusal(&s, &whole, "allow_missing", FT_WEIGHT_MISSING, 30);
    s = scene_of(false, true, 4);
    static const char *const patterns[] = {"nothing", "batch_normalization_*/gamma"};
    const ft_weight_map_options allowed = {true, 2, patterns};
    ck_assert_msg(ft_weights_apply(s.f, s.to, &allowed, &s.r) == FT_OK, "%s", ft_err_message());
    ck_assert_int_eq(s.r.count[FT_WEIGHT_KEPT], 30);
    end_scene(&s);
    s = scene_of(true, true, 4);
    ck_assert_msg(ft_weights_apply(s.f, s.to, &whole, &s.r) == FT_OK, "%s", ft_err_message());
    ck_assert(same_model(s.from, s.to));
    end_scene(&s);
}
END_TEST

START_TEST(numbers_that_are_none) {
    scene s = scene_of(false, false, 4);
    s.f->tensor[7].p[2] = _i ? INFINITY : NAN;
    expect_refusal(&s, &whole, "number 2 of", FT_WEIGHT_MATCHED, s.f->n_tensors);
}
END_TEST

START_TEST(another_network) {
    scene s = scene_of(false, false, 4);
    ft_model_free(s.from);
    ft_weight_file_free(s.f);
    s.from = model_of("lenet", 28, 4, false);
    s.f = file_of(s.from, FT_WEIGHTS_KERAS);
    expect_refusal(&s, &whole, "convolutions where inception_mini has 30", FT_WEIGHT_MATCHED, 0);
}
END_TEST

/* ---- PyTorch's names and axes ---- */

static void add_torch(ft_weight_file *f, const char *name, int32_t rank, const int64_t dims[], float first) {
    float *p;
    int64_t n = 1;
    ck_assert_msg(ft_weight_file_add(f, name, rank, dims, &p) == FT_OK, "%s", ft_err_message());
    for (int32_t i = 0; i < rank; i++) n *= dims[i];
    for (int64_t i = 0; i < n; i++) p[i] = first + (float)i * 0x1p-20f;
}

/* A state dict of torchvision's inception_v3 for 4 classes, from the network's own shapes. */
static ft_weight_file *torch_file(const ft_model *m) {
    ft_weight_file *f;
    ck_assert_int_eq(ft_weight_file_new("x.pth", FT_WEIGHTS_TORCH, &f), FT_OK);
    ck_assert_int_eq(ft_weight_file_add_layer(f, "", NULL), FT_OK);
    for (int32_t i = 0; i < ft_graph_n_params(m->g); i++) {
        const ft_param *p = ft_graph_param(m->g, i);
        char node[96], module[96], name[160];
        snprintf(node, sizeof node, "%.*s", (int)(strrchr(p->name, '/') - p->name), p->name);
        const char *leaf = strrchr(p->name, '/') + 1;
        ck_assert(m->net->torch_name(node, module));
        bool kernel = strcmp(leaf, "kernel") == 0,
             dense = kernel && p->shape.n * p->shape.h == 1 && strstr(node, "predictions");
        const char *suffix = kernel || strcmp(leaf, "gamma") == 0   ? "weight"
                             : strcmp(leaf, "moving_mean") == 0     ? "running_mean"
                             : strcmp(leaf, "moving_variance") == 0 ? "running_var"
                                                                    : "bias";
        snprintf(name, sizeof name, "%s.%s", module, suffix);
        const int64_t four[4] = {p->shape.c, p->shape.w, p->shape.n, p->shape.h},
                      two[2] = {p->shape.c, p->shape.w}, one[1] = {p->shape.c};
        add_torch(f, name, dense ? 2 : kernel ? 4 : 1, dense ? two : kernel ? four : one, (float)(i + 1));
        snprintf(name, sizeof name, "%s.num_batches_tracked", module);
        if (strcmp(leaf, "moving_mean") == 0) add_torch(f, name, 0, NULL, 7);
    }
    return f;
}

START_TEST(torch_state_dicts) {
    ft_model *m = model_of("inception_v3", 75, 4, true);
    ft_weight_file *f = torch_file(m);
    ft_weight_report r;
    const int64_t dims[1] = {3};
    add_torch(f, "AuxLogits.fc.bias", 1, dims, 1); /* the network here has no auxiliary head */
    ck_assert_int_eq(ft_weights_classes(f), 4);
    ck_assert_msg(ft_weights_apply(f, m, &whole, &r) == FT_OK, "%s", ft_err_message());
    ck_assert_int_eq(r.count[FT_WEIGHT_MATCHED], 94 * 5 + 2);
    ck_assert_int_eq(r.count[FT_WEIGHT_LEFT_OUT], 94 + 1);
    /* (out, in, kh, kw): every number where it belongs */
    const ft_param *p = ft_graph_find_param(m->g, "conv2d_33/kernel"); /* 1 x 7 */
    int64_t kw = p->shape.h, in = p->shape.w, out = p->shape.c;
    ck_assert(p->shape.n == 1 && kw == 7);
    const ft_weight_tensor *t = NULL;
    for (int32_t i = 0; i < r.n; i++)
        if (r.row[i].param == p) t = r.row[i].tensor;
    ck_assert_str_eq(t->name, "Mixed_6b.branch7x7_2.conv.weight");
    for (int64_t o = 0; o < out; o += 17)
        for (int64_t i = 0; i < in; i += 13)
            for (int64_t k = 0; k < kw; k++)
                ck_assert(p->p[(k * in + i) * out + o] == t->p[(o * in + i) * kw + k]);
    ft_weight_report_free(&r);
    ft_net_options o = {0};
    ft_weights_conventions(f, &o);
    ck_assert(o.count_padding && o.bn_scale && o.bn_unbiased);
    free(f->tensor[3].name);
    f->tensor[3].name = strdup("Conv2d_1a_3x3.bn.other");
    ck_assert_int_eq(ft_weights_apply(f, m, &whole, &r), FT_E_WEIGHTS);
    ck_assert(r.count[FT_WEIGHT_MISSING] == 1 && r.count[FT_WEIGHT_UNEXPECTED] == 1);
    ft_weight_report_free(&r);
    ft_weight_file_free(f);
    ft_model_free(m);
}
END_TEST

int main(void) {
    Suite *s = suite_create("weight_map");
    TCase *t = tcase_create("weight_map");
    tcase_set_timeout(t, 300);
    tcase_add_test(t, layers_are_in_keras_order);
    tcase_add_test(t, torchvision_names);
    tcase_add_loop_test(t, there_and_back_bit_by_bit, 0, 6);
    tcase_add_test(t, conventions_are_not_lost);
    tcase_add_test(t, a_tensor_of_another_shape);
    tcase_add_test(t, a_tensor_is_missing);
    tcase_add_test(t, a_layer_too_many);
    tcase_add_test(t, layers_in_another_order);
    tcase_add_loop_test(t, numbers_may_go_on_from_anywhere, 0, 3);
    tcase_add_test(t, other_classes);
    tcase_add_test(t, scales_of_batch_norms);
    tcase_add_loop_test(t, numbers_that_are_none, 0, 2);
    tcase_add_test(t, another_network);
    tcase_add_test(t, torch_state_dicts);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* The networks of layers/net_*.c: shapes, parameters, multiply-adds, names and the order of concats, held
 * against the published tables of Inception-v3 (Keras's and torchvision's) and LeNet-5.
 */
#include "layers/args.h"
#include "layers/net.h"
#include "tensor/plan.h"
#include "tensor/rng.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct built {
    ft_graph *g;
    ft_val image;
    ft_net_outputs out;
    ft_net_options o;
} built;

static built build(const char *name, ft_net_options o) {
    built b = {.o = o};
    const ft_net *net = ft_net_find(name);
    ck_assert_msg(net != NULL, "there is no network %s", name);
    ck_assert_int_eq(ft_graph_new(&b.g), FT_OK);
    ck_assert_msg(ft_net_build(net, b.g, &o, &b.image, &b.out) == FT_OK, "%s at %d: %s", name, o.image.h,
                  ft_err_message());
    return b;
}

static built inception(int32_t size, int32_t classes, bool aux) {
    return build("inception_v3",
                 (ft_net_options){.image = {1, size, size, 3}, .classes = classes, .aux_head = aux});
}

static bool is_op(const ft_node_info *n, const char *op) {
    return strcmp(n->op->name, op) == 0;
}

typedef struct counts {
    int32_t nodes, convs, norms;
    int64_t params, trainable, conv_macs;
} counts;

/* Over the nodes first .. end-1. */
static counts count(const ft_graph *g, int32_t first, int32_t end) {
    counts c = {.nodes = end - first};
    for (int32_t i = first; i < end; i++) {
        ft_node_info n = ft_graph_node(g, i);
        c.params += n.n_params;
        c.trainable += n.n_trainable;
        c.norms += is_op(&n, "batch_normalization");
        if (!is_op(&n, "conv2d")) continue;
        c.convs++;
        c.conv_macs += (int64_t)n.out.h * n.out.w * ft_shape_size(ft_val_shape(g, n.in[1]));
    }
    return c;
}
static counts count_all(const built *b) {
    return count(b->g, 0, ft_graph_n_nodes(b->g));
}

static int32_t index_of(const ft_graph *g, const char *name) {
    for (int32_t i = 0; i < ft_graph_n_nodes(g); i++)
        if (strcmp(ft_graph_node(g, i).name, name) == 0) return i;
    ck_abort_msg("there is no node %s", name);
}

static void expect_shape(const ft_graph *g, ft_val v, int32_t h, int32_t w, int32_t c) {
    ft_shape s = ft_val_shape(g, v);
    ck_assert_msg(s.h == h && s.w == w && s.c == c, "%s is %d x %d x %d, not %d x %d x %d", ft_val_name(g, v),
                  s.h, s.w, s.c, h, w, c);
}

/* Runs a batch of 2: inference, or a training step that reaches every trainable parameter. */
static void expect_runs(const built *b, bool training) {
    ft_graph *g = b->g;
    bool top = b->out.logits.id > 0;
    ft_val labels = ft_input(g, "labels", (ft_shape){1, 1, 1, 1});
    ft_val loss = top ? ft_softmax_cross_entropy(g, b->out.logits, labels, NULL) : FT_NONE;
    ft_plan_spec spec = {.batch = 2,
                         .training = training,
                         .n_losses = training,
                         .losses = {loss},
                         .loss_weights = {1},
                         .n_outputs = 1,
                         .outputs = top ? &b->out.logits : &b->out.features};
    ft_plan *p;
    ck_assert_msg(ft_compile(g, &spec, &p) == FT_OK, "%s", ft_err_message());
    ft_graph_init(g, 3);
    ft_view x = ft_plan_value(p, b->image, 2), y = ft_plan_value(p, *spec.outputs, 2);
    ft_rng r = ft_rng_stream(9, 0);
    for (int64_t i = 0; i < ft_rows(&x) * x.c; i++) x.p[i] = (ft_real)(2 * ft_rng_uniform(&r) - 1);
    if (training) ft_plan_value(p, labels, 2).p[1] = 1;
    ft_plan_forward(p, 2, 1);
    double sum = 0, differ = 0;
    for (int32_t k = 0; k < y.c; k++) {
        sum += fabs((double)y.p[k]) + fabs((double)y.p[y.ld + k]);
        differ += fabs((double)y.p[k] - (double)y.p[y.ld + k]);
    }
    ck_assert_msg(isfinite(sum) && sum > 0 && differ > 0, "the outputs of two images are %g in sum, %g apart",
                  sum, differ);
    if (training) ft_plan_backward(p, 1, false);
    for (int32_t i = 0; training && i < ft_graph_n_params(g); i++) {
        ft_param *param = ft_graph_param(g, i);
        if (!(param->flags & FT_TRAINABLE)) continue;
        const ft_real *grad = ft_plan_grad(p, param);
        ck_assert_msg(grad != NULL, "%s has no gradient", param->name);
        double total = 0;
        for (int64_t k = 0; k < ft_shape_size(param->shape); k++) total += fabs((double)grad[k]);
        ck_assert_msg(isfinite(total) && total > 0, "the gradient of %s is %g in sum", param->name, total);
    }
    ft_plan_free(p);
}

/* ---- Inception-v3
 * --------------------------------------------------------------------------------------------- */

/* Parameters count beta and the statistics of batch norm; mmacs: millions of multiply-adds of convolutions.
 */
static const struct block {
    const char *name, *inputs; /* of the concat, in order */
    int32_t size, channels;
    int64_t params;
    double mmacs;
} blocks[] = {
    {"maxpool_2", "activation_5", 35, 192, 173072, 1340.8},
    {"mixed0", "activation_6 activation_8 activation_11 activation_12", 35, 256, 256368, 312.3},
    {"mixed1", "activation_13 activation_15 activation_18 activation_19", 35, 288, 277968, 338.7},
    {"mixed2", "activation_20 activation_22 activation_25 activation_26", 35, 288, 285648, 348.1},
    {"mixed3", "activation_27 activation_30 maxpool_3", 17, 768, 1153920, 401.9},
    {"mixed4", "activation_31 activation_34 activation_39 activation_40", 17, 768, 1298944, 374.1},
    {"mixed5", "activation_41 activation_44 activation_49 activation_50", 17, 768, 1692736, 487.7},
    {"mixed6", "activation_51 activation_54 activation_59 activation_60", 17, 768, 1692736, 487.7},
    {"mixed7", "activation_61 activation_64 activation_69 activation_70", 17, 768, 2143872, 617.9},
    {"mixed8", "activation_72 activation_76 maxpool_4", 8, 1280, 1699584, 291.0},
    {"mixed9", "activation_77 mixed9_0 concatenate_1 activation_85", 8, 2048, 5047872, 322.4},
    {"mixed10", "activation_86 mixed9_1 concatenate_2 activation_94", 8, 2048, 6080064, 388.5},
};
enum { N_BLOCKS = sizeof blocks / sizeof *blocks };

static void expect_inputs(const ft_graph *g, const char *node, const char *names) {
    ft_node_info n = ft_graph_node(g, index_of(g, node));
    char got[512] = "";
    size_t at = 0;
    for (int32_t i = 0; i < n.n_in; i++)
        at += (size_t)snprintf(got + at, sizeof got - at, "%s%s", i ? " " : "", ft_val_name(g, n.in[i]));
    ck_assert_msg(strcmp(got, names) == 0, "%s joins %s, not %s", node, got, names);
}

START_TEST(inception_v3_blocks) {
    built b = inception(299, 1000, false);
    int32_t first = 0;
    for (int i = 0; i < N_BLOCKS; i++) {
        const struct block *want = &blocks[i];
        expect_shape(b.g, ft_graph_find(b.g, want->name), want->size, want->size, want->channels);
        expect_inputs(b.g, want->name, want->inputs);
        int32_t end = index_of(b.g, want->name) + 1;
        counts c = count(b.g, first, end);
        ck_assert_msg(c.params == want->params, "%s has %lld parameters, not %lld", want->name,
                      (long long)c.params, (long long)want->params);
        ck_assert_msg(fabs((double)c.conv_macs / 1e6 - want->mmacs) <= 0.06, "%s takes %.2f MMAC, not %.1f",
                      want->name, (double)c.conv_macs / 1e6, want->mmacs);
        first = end;
    }
    expect_inputs(b.g, "mixed9_0", "activation_79 activation_80");
    expect_inputs(b.g, "concatenate_1", "activation_83 activation_84");
    expect_inputs(b.g, "mixed9_1", "activation_88 activation_89");
    expect_inputs(b.g, "concatenate_2", "activation_92 activation_93");
    expect_shape(b.g, ft_graph_find(b.g, "avg_pool"), 1, 1, 2048);
    expect_shape(b.g, ft_graph_find(b.g, "predictions"), 1, 1, 1000);
    ck_assert_int_eq(ft_graph_find(b.g, "predictions").id, b.out.logits.id);
    ck_assert_int_eq(ft_graph_find(b.g, "avg_pool").id, b.out.features.id);
    ft_graph_free(b.g);
}
END_TEST

START_TEST(inception_v3_counts) {
    built b = inception(299, 1000, false);
    counts c = count_all(&b);
    ck_assert_int_eq(c.convs, 94);
    ck_assert_int_eq(c.norms, 94);
    ck_assert_int_eq(c.params, 23851784);
    ck_assert_int_eq(c.params - c.trainable, 34432);
    ck_assert(fabs((double)c.conv_macs / 1e9 - 5.711) <= 0.0006);
    ck_assert_int_eq(b.out.aux_logits.id, -1);
    ft_graph_free(b.g);
    b = inception(299, 0, false);
    ck_assert_int_eq(count_all(&b).params, 21802784);
    ck_assert_int_eq(b.out.logits.id, -1);
    ck_assert_int_eq(ft_graph_find(b.g, "predictions").id, 0);
    expect_shape(b.g, b.out.features, 1, 1, 2048);
    ft_graph_free(b.g);
}
END_TEST

/* One kernel of each shape, and how the strided ones pad. */
START_TEST(inception_v3_kernels) {
    static const struct {
        const char *name;
        int32_t kh, kw, cin, filters, stride, padding, size;
    } want[] = {
        {"conv2d_1", 3, 3, 3, 32, 2, FT_PAD_VALID, 149},    {"conv2d_2", 3, 3, 32, 32, 1, FT_PAD_VALID, 147},
        {"conv2d_3", 3, 3, 32, 64, 1, FT_PAD_SAME, 147},    {"conv2d_4", 1, 1, 64, 80, 1, FT_PAD_VALID, 73},
        {"conv2d_5", 3, 3, 80, 192, 1, FT_PAD_VALID, 71},   {"conv2d_8", 5, 5, 48, 64, 1, FT_PAD_SAME, 35},
        {"conv2d_27", 3, 3, 288, 384, 2, FT_PAD_VALID, 17}, {"conv2d_33", 1, 7, 128, 128, 1, FT_PAD_SAME, 17},
        {"conv2d_34", 7, 1, 128, 192, 1, FT_PAD_SAME, 17},  {"conv2d_36", 7, 1, 128, 128, 1, FT_PAD_SAME, 17},
        {"conv2d_39", 1, 7, 128, 192, 1, FT_PAD_SAME, 17},  {"conv2d_72", 3, 3, 192, 320, 2, FT_PAD_VALID, 8},
        {"conv2d_88", 1, 3, 384, 384, 1, FT_PAD_SAME, 8},   {"conv2d_89", 3, 1, 384, 384, 1, FT_PAD_SAME, 8},
        {"conv2d_91", 3, 3, 448, 384, 1, FT_PAD_SAME, 8},   {"conv2d_94", 1, 1, 2048, 192, 1, FT_PAD_SAME, 8},
    };
    built b = inception(299, 10, false);
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        ft_node_info n = ft_graph_node(b.g, index_of(b.g, want[i].name));
        const ft_conv_args *a = n.args;
        ft_shape k = ft_val_shape(b.g, n.in[1]);
        ck_assert_msg(k.n == want[i].kh && k.h == want[i].kw && k.w == want[i].cin &&
                          k.c == want[i].filters && a->win.sh == want[i].stride &&
                          a->win.sw == want[i].stride && a->win.padding == want[i].padding &&
                          a->groups == 1 && n.n_in == 2,
                      "%s is %d x %d, %d -> %d, stride %d", want[i].name, k.n, k.h, k.w, k.c, a->win.sh);
        expect_shape(b.g, ft_graph_find(b.g, want[i].name), want[i].size, want[i].size, want[i].filters);
    }
    for (int32_t i = 0; i < ft_graph_n_nodes(b.g); i++) {
        ft_node_info n = ft_graph_node(b.g, i);
        if (is_op(&n, "batch_normalization")) { /* x, no gamma, beta, mean, variance */
            const ft_batchnorm_args *a = n.args;
            ck_assert(n.in[1].id == -1 && n.in[2].id > 0);
            ck_assert(a->epsilon == 1e-3 && a->momentum == 0.99 && !a->unbiased);
        }
        if (is_op(&n, "avgpool")) ck_assert_int_eq(((const ft_pool_args *)n.args)->count_padding, 0);
    }
    ft_graph_free(b.g);
}
END_TEST

START_TEST(inception_v3_sizes) {
    static const struct {
        int32_t size;
        double gmacs;
    } want[] = {{299, 5.711}, {224, 2.836}, {150, 1.067}, {139, 1.001}, {75, 0.201}};
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        built b = inception(want[i].size, 1000, false);
        counts c = count_all(&b);
        ck_assert_msg(fabs((double)c.conv_macs / 1e9 - want[i].gmacs) <= 0.0006, "%d: %.4f GMAC, not %.3f",
                      want[i].size, (double)c.conv_macs / 1e9, want[i].gmacs);
        ck_assert_int_eq(c.params, 23851784);
        ft_graph_free(b.g);
    }
    built b = inception(75, 5, false);
    expect_shape(b.g, ft_graph_find(b.g, "mixed10"), 1, 1, 2048);
    expect_runs(&b, false);
    ft_graph_free(b.g);
}
END_TEST

static void expect_refused(const char *name, ft_net_options o, const char *why) {
    ft_graph *g;
    ft_val image;
    ft_net_outputs out;
    ck_assert_int_eq(ft_graph_new(&g), FT_OK);
    ck_assert_msg(ft_net_build(ft_net_find(name), g, &o, &image, &out) == FT_E_GRAPH,
                  "%s was built in spite of: %s", name, why);
    ck_assert_msg(strstr(ft_err_message(), name) && strstr(ft_err_message(), why), "'%s' does not say '%s'",
                  ft_err_message(), why);
    ft_graph_free(g);
}

START_TEST(bad_options_are_refused) {
    expect_refused("inception_v3", (ft_net_options){.image = {1, 74, 74, 3}, .classes = 5},
                   "at least 75 x 75");
    expect_refused("inception_v3", (ft_net_options){.image = {1, 299, 74, 3}}, "not 74 x 299");
    expect_refused("inception_v3", (ft_net_options){.image = {1, 299, 299, 0}}, "0 channels");
    expect_refused("inception_v3", (ft_net_options){.image = {1, 299, 299, 3}, .classes = -1}, "-1 classes");
    expect_refused("inception_v3", (ft_net_options){.image = {1, 299, 299, 3}, .width = 0.5f}, "width");
    expect_refused("inception_mini", (ft_net_options){.image = {1, 27, 28, 3}}, "at least 28 x 28");
    expect_refused("inception_mini", (ft_net_options){.image = {1, 113, 64, 3}}, "up to 112");
    expect_refused("inception_mini", (ft_net_options){.image = {1, 64, 64, 3}, .aux_head = true},
                   "auxiliary");
    expect_refused("lenet", (ft_net_options){.image = {1, 11, 28, 1}, .classes = 2}, "at least 12 x 12");
    ck_assert_ptr_null(ft_net_find("inception"));
}
END_TEST

static ft_plan_stats compiled(ft_graph *g, bool training, int32_t n, const ft_val losses[]) {
    ft_plan_spec spec = {.batch = 1, .training = training, .n_losses = n, .loss_weights = {1, (ft_real)0.4}};
    memcpy(spec.losses, losses, (size_t)n * sizeof *losses);
    ft_plan *p;
    ck_assert_msg(ft_compile(g, &spec, &p) == FT_OK, "%s", ft_err_message());
    ft_plan_stats s = ft_plan_get_stats(p);
    ft_plan_free(p);
    return s;
}

/* torchvision's head has 3,326,696 parameters with 1000 classes: gamma and beta of 128 + 768 channels. Here a
 * beta and two statistics are counted for each of them. */
START_TEST(inception_v3_aux_head_on_a_small_image) {
    built b = inception(75, 10, true);
    expect_shape(b.g, ft_graph_find(b.g, "aux_conv1"), 1, 1, 768);
    expect_shape(b.g, b.out.aux_logits, 1, 1, 10);
    ft_graph_free(b.g);
}
END_TEST

START_TEST(inception_v3_aux_head) {
    built b = inception(299, 1000, true), plain = inception(299, 1000, false);
    counts with = count_all(&b), without = count_all(&plain);
    ck_assert_int_eq(with.params - without.params, 3326696 + 128 + 768);
    ck_assert_int_eq(with.trainable - without.trainable, 3326696 - 128 - 768);
    expect_shape(b.g, b.out.aux_logits, 1, 1, 1000);
    expect_shape(b.g, ft_graph_find(b.g, "aux_pool"), 5, 5, 768);
    expect_shape(b.g, ft_graph_find(b.g, "aux_conv1"), 1, 1, 768);
    expect_inputs(b.g, "aux_pool", "mixed7");
    ft_graph_free(b.g);
    ft_graph_free(plain.g);

    b = inception(139, 10, true);
    ft_val labels = ft_input(b.g, "labels", (ft_shape){1, 1, 1, 1}), losses[2];
    losses[0] = ft_softmax_cross_entropy(b.g, b.out.logits, labels, NULL);
    losses[1] = ft_softmax_cross_entropy(b.g, b.out.aux_logits, labels, NULL);
    ft_plan_stats both = compiled(b.g, true, 2, losses), one = compiled(b.g, true, 1, losses);
    /* pool, conv, norm with relu, conv, norm with relu, pool, dense, loss */
    ck_assert_int_eq(both.forward_steps - one.forward_steps, 8);
    /* the same, and the first norm with relu once more for the second conv */
    ck_assert_int_eq(both.backward_steps - one.backward_steps, 9);
    plain = inception(139, 10, false);
    labels = ft_input(plain.g, "labels", (ft_shape){1, 1, 1, 1});
    ft_val loss = ft_softmax_cross_entropy(plain.g, plain.out.logits, labels, NULL);
    ft_plan_stats want = compiled(plain.g, false, 1, &loss), got = compiled(b.g, false, 1, losses);
    ck_assert_int_eq(got.forward_steps, want.forward_steps);
    ck_assert_uint_eq(got.arena_bytes, want.arena_bytes);
    ck_assert_int_eq(got.folded, 2 * 94);
    ck_assert_int_lt(got.forward_steps, both.forward_steps);
    ft_graph_free(b.g);
    ft_graph_free(plain.g);
}
END_TEST

/* ---- the others, and all
 * -------------------------------------------------------------------------------------- */

static const int32_t mini_sizes[] = {28, 48, 64, 112};
static const float mini_widths[] = {0, 0.5f, 2};

START_TEST(inception_mini_runs) {
    int32_t size = mini_sizes[_i / 2], channels = _i % 2 ? 3 : 1;
    int64_t params[3];
    for (int k = 0; k < 3; k++) {
        built b = build("inception_mini", (ft_net_options){.image = {1, size, size, channels},
                                                           .classes = 10,
                                                           .dropout = 0.2f,
                                                           .width = mini_widths[k]});
        params[k] = count_all(&b).params;
        expect_shape(b.g, b.out.logits, 1, 1, 10);
        ft_shape last = ft_val_shape(b.g, ft_graph_find(b.g, "mixed4"));
        ck_assert_msg(last.h >= 2 && last.h <= 7, "mixed4 is %d pixels high at %d", last.h, size);
        if (k == 0 || size == 28) expect_runs(&b, true);
        ft_graph_free(b.g);
    }
    ck_assert(params[1] < params[0] / 2 && params[2] > 2 * params[0]);
    built b = build("inception_mini", (ft_net_options){.image = {1, size, size - (size > 28), channels}});
    ck_assert_int_eq(b.out.logits.id, -1);
    expect_runs(&b, false);
    ft_graph_free(b.g);
}
END_TEST

START_TEST(lenet) {
    built b = build("lenet", (ft_net_options){.image = {1, 28, 28, 1}, .classes = 10});
    ck_assert_int_eq(count_all(&b).params, 61706);
    ck_assert_int_eq(count_all(&b).trainable, 61706);
    expect_shape(b.g, b.out.features, 1, 1, 84);
    expect_runs(&b, true);
    ft_graph_free(b.g);
    b = build("lenet", (ft_net_options){.image = {1, 12, 15, 3}, .dropout = 0.5f});
    ck_assert_int_eq(b.out.logits.id, -1);
    expect_runs(&b, false);
    ft_graph_free(b.g);
}
END_TEST

/* At its own size, with everything it can have. */
START_TEST(every_network_has_unique_names) {
    int n_nets = 0;
    for (const ft_net *const *net = ft_net_list; *net; net++, n_nets++) {
        built b =
            build((*net)->name, (ft_net_options){.image = {1, (*net)->size, (*net)->size, (*net)->channels},
                                                 .classes = 3,
                                                 .dropout = 0.5f,
                                                 .aux_head = (*net)->has_aux_head});
        for (int32_t i = 0; i < ft_graph_n_nodes(b.g); i++)
            if (index_of(b.g, ft_graph_node(b.g, i).name) != i)
                ck_abort_msg("%s: two nodes are %s", (*net)->name, ft_graph_node(b.g, i).name);
        for (int32_t i = 0; i < ft_graph_n_params(b.g); i++)
            if (ft_graph_find_param(b.g, ft_graph_param(b.g, i)->name) != ft_graph_param(b.g, i))
                ck_abort_msg("%s: two parameters are %s", (*net)->name, ft_graph_param(b.g, i)->name);
        ck_assert_int_eq(ft_graph_find(b.g, "predictions").id, b.out.logits.id);
        ck_assert_int_eq(ft_graph_find(b.g, "image").id, b.image.id);
        ck_assert((*net)->summary && ft_net_find((*net)->name) == *net);
        ft_graph_free(b.g);
    }
    ck_assert_int_ge(n_nets, 3);
}
END_TEST

/* conv2d_k, batch_normalization_k and activation_k follow each other for k = 1 .. 94. */
START_TEST(inception_v3_names) {
    built b = inception(139, 4, false);
    for (int32_t k = 1; k <= 94; k++) {
        char conv[32], norm[32], act[32], kernel[64];
        snprintf(conv, sizeof conv, "conv2d_%d", k);
        snprintf(norm, sizeof norm, "batch_normalization_%d", k);
        snprintf(act, sizeof act, "activation_%d", k);
        snprintf(kernel, sizeof kernel, "conv2d_%d/kernel", k);
        ck_assert_ptr_nonnull(ft_graph_find_param(b.g, kernel));
        int32_t at = index_of(b.g, conv);
        ck_assert(index_of(b.g, norm) == at + 1 && index_of(b.g, act) == at + 2);
    }
    ck_assert_int_eq(ft_graph_find(b.g, "conv2d_95").id, 0);
    ft_graph_free(b.g);
}
END_TEST

int main(void) {
    Suite *s = suite_create("nets");
    TCase *t = tcase_create("inception_v3");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, inception_v3_blocks);
    tcase_add_test(t, inception_v3_counts);
    tcase_add_test(t, inception_v3_kernels);
    tcase_add_test(t, inception_v3_sizes);
    tcase_add_test(t, inception_v3_aux_head);
    tcase_add_test(t, inception_v3_aux_head_on_a_small_image);
    tcase_add_test(t, inception_v3_names);
    suite_add_tcase(s, t);
    t = tcase_create("others");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, inception_mini_runs, 0, 2 * (int)(sizeof mini_sizes / sizeof *mini_sizes));
    tcase_add_test(t, lenet);
    tcase_add_test(t, every_network_has_unique_names);
    tcase_add_test(t, bad_options_are_refused);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

/* 20 training steps of a small Inception against PyTorch's, for three optimisers: every loss, every gradient
 * of the first step, the running statistics at the end and the trained network in inference.
 *
 * golden/make_mini_inception.py is the other half and made the numbers, in double. In the double build they
 * are met to the last few digits; in float to what float allows. Every layer of layers.h is in the network.
 * Each run is made twice, with Winograd's convolutions and without.
 */
#include "layers/conv_algorithm.h"
#include "layers/layers.h"
#include "optim/optim_state.h"
#include "tensor/kernels.h"
#include "tensor/plan.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BATCH = 8,
    STEPS = 20,
    HEIGHT = 14,
    WIDTH = 11,
    CHANNELS = 3,
    CLASSES = 7,
    TAGS = 5,
    NUMBERS = 6,
    SHARES = 4,
    LOSSES = 4,
    OPTIMIZERS = 3,
    MAX_PARAMS = 64
};
static const bool in_double = sizeof(ft_real) == 8;
static const double tolerance = sizeof(ft_real) == 8 ? 1e-9 : 1e-5;

#define KEY "1039/"

/* ---- numbers that both sides make
 * ------------------------------------------------------------------------------ */

typedef struct source {
    uint64_t state;
} source;

static uint64_t fnv1a(uint64_t h, const char *s) {
    for (; *s; s++) h = (h ^ (unsigned char)*s) * 0x100000001b3u;
    return h;
}

/* KEY: the script says how it was chosen. */
static source source_of(const char *name) {
    return (source){fnv1a(fnv1a(0xcbf29ce484222325u, KEY), name)};
}

/* A multiple of 2^-23 in [-1, 1): the upper bits of Knuth's linear congruential generator. */
static double next(source *s) {
    s->state = s->state * 6364136223846793005u + 1442695040888963407u;
    return (double)(s->state >> 40) * 0x1p-23 - 1;
}
static double next_choice(source *s, int k) {
    return floor((next(s) + 1) / 2 * k);
}

static double spread(double fan_in) {
    double s = 4;
    while (s * s * fan_in > 6) s /= 2;
    return s;
}

static void start_param(ft_param *p) {
    source s = source_of(p->name);
    double scale = 0.25, shift = 0;
    const char *what = strrchr(p->name, '/');
    if (!what) return; /* the class weights */
    if (strcmp(what, "/kernel") == 0)
        scale = spread((double)p->shape.n * p->shape.h * p->shape.w);
    else if (strcmp(what, "/gamma") == 0)
        shift = 1;
    else if (strcmp(what, "/moving_variance") == 0)
        scale = 0.5, shift = 1;
    for (int64_t i = 0; i < ft_shape_size(p->shape); i++) p->p[i] = (ft_real)(shift + scale * next(&s));
}

/* ---- the network
 * ---------------------------------------------------------------------------------------------- */

typedef struct network {
    ft_graph *g;
    ft_val image, labels, tags, numbers, shares, loss[LOSSES];
} network;

static ft_val conv(ft_graph *g, ft_val x, const char *name, int32_t filters, int32_t kh, int32_t kw,
                   bool bias) {
    return ft_conv2d(g, x, &(ft_conv){.name = name, .filters = filters, .k = {kh, kw}, .bias = bias});
}

static ft_val norm(ft_graph *g, ft_val x, const char *name, bool scale) {
    return ft_batchnorm(g, x, &(ft_norm){.name = name, .scale = scale, .momentum = 0.875f});
}

static ft_val dense(ft_graph *g, ft_val x, const char *name, int32_t units) {
    return ft_dense(g, x, &(ft_dense_options){.name = name, .units = units});
}

/* Six branches with every kind of kernel. */
static ft_val branches(ft_graph *g, ft_val x) {
    ft_val a = ft_leaky_relu(g, conv(g, x, "a", 8, 1, 1, true), 0.125f, NULL);
    ft_val b = ft_relu(g, norm(g, conv(g, x, "b1", 16, 1, 1, false), "b1_bn", true), NULL);
    b = ft_tanh(g, norm(g, conv(g, b, "b2", 16, 1, 7, false), "b2_bn", false), NULL);
    b = ft_batchnorm(
        g, conv(g, b, "b3", 16, 7, 1, false),
        &(ft_norm){.name = "b3_bn", .scale = true, .no_center = true, .momentum = 0.875f, .unbiased = true});
    b = ft_relu(g, b, NULL);
    ft_val c =
        ft_conv2d(g, x, &(ft_conv){.name = "c", .filters = 24, .k = {3, 3}, .groups = 12, .bias = true});
    c = ft_sigmoid(g, c, NULL);
    ft_val d =
        ft_conv2d(g, x, &(ft_conv){.name = "d", .filters = 12, .k = {3, 3}, .dilation = {2, 2}, .groups = 3});
    d = ft_relu(g, norm(g, d, "d_bn", false), NULL);
    const ft_pool three = {.k = {3, 3}, .stride = {1, 1}};
    ft_val e = conv(g, ft_avgpool(g, x, &three), "e", 16, 1, 1, true);
    e = conv(g, conv(g, e, "e2", 16, 3, 3, false), "e3", 16, 5, 5, false);
    ft_val f = ft_maxpool(g, x, &three);
    return ft_concat(g, 6, (ft_val[]){a, b, c, d, e, f}, NULL);
}

/* The grid is halved in three ways, then a residual. */
static ft_val reduction(ft_graph *g, ft_val x) {
    ft_val r = ft_conv2d(
        g, x, &(ft_conv){.name = "r", .filters = 16, .k = {3, 3}, .stride = {2, 2}, .padding = FT_PAD_VALID});
    r = ft_relu(g, norm(g, r, "r_bn", false), NULL);
    ft_val m = ft_maxpool(g, x, &(ft_pool){.k = {3, 3}, .stride = {2, 2}, .padding = FT_PAD_VALID});
    ft_val v = ft_avgpool(g, x,
                          &(ft_pool){.k = {4, 4},
                                     .stride = {2, 2},
                                     .padding = FT_PAD_EXPLICIT,
                                     .pad = {1, 0, 0, 1},
                                     .count_padding = true});
    x = ft_concat(g, 3, (ft_val[]){r, m, v}, NULL);
    x = ft_add(g, conv(g, x, "project", 16, 1, 1, false), r, NULL);
    return ft_relu(g, norm(g, x, "project_bn", false), NULL);
}

static void heads(network *net, ft_val x, ft_val side) {
    ft_graph *g = net->g;
    ft_val weights =
        ft_param_add(g, "class_weights", (ft_shape){1, 1, 1, CLASSES}, (ft_init){0}, FT_TRANSIENT);
    ft_val logits =
        dense(g, ft_dropout(g, ft_global_avgpool(g, x, NULL), 0.5f, NULL), "predictions", CLASSES);
    ft_val flat = ft_flatten(g, x, NULL), tags = dense(g, flat, "tags", TAGS);
    ft_val place = ft_dense(g, flat, &(ft_dense_options){.name = "embed", .units = NUMBERS, .no_bias = true});
    place = ft_l2_normalize(g, place, NULL);
    ft_val shares = ft_softmax(g, dense(g, ft_global_avgpool(g, side, NULL), "shares", SHARES), NULL);
    net->loss[0] = ft_softmax_cross_entropy(g, logits, net->labels,
                                            &(ft_softmax_ce_options){.label_smoothing = 0.125f,
                                                                     .class_weights = weights});
    net->loss[1] = ft_binary_cross_entropy(g, tags, net->tags, NULL);
    net->loss[2] = ft_mean_squared_error(g, place, net->numbers, NULL);
    net->loss[3] = ft_huber(g, shares, net->shares, 0.5f, NULL);
}

static network build(void) {
    network net;
    ck_assert_int_eq(ft_graph_new(&net.g), FT_OK);
    ft_graph *g = net.g;
    net.image = ft_input(g, "image", (ft_shape){1, HEIGHT, WIDTH, CHANNELS});
    net.labels = ft_input(g, "labels", (ft_shape){1, 1, 1, 1});
    net.tags = ft_input(g, "tags", (ft_shape){1, 1, 1, TAGS});
    net.numbers = ft_input(g, "numbers", (ft_shape){1, 1, 1, NUMBERS});
    net.shares = ft_input(g, "shares", (ft_shape){1, 1, 1, SHARES});
    ft_val x =
        ft_conv2d(g, net.image, &(ft_conv){.name = "stem", .filters = 12, .k = {3, 3}, .stride = {2, 2}});
    x = branches(g, ft_relu(g, norm(g, x, "stem_bn", false), NULL));
    ft_val s = ft_relu(g, dense(g, ft_global_avgpool(g, x, NULL), "squeeze", 9), NULL);
    x = ft_mul_channel(g, x, ft_sigmoid(g, dense(g, s, "excite", 88), NULL), NULL);
    heads(&net, reduction(g, ft_dropout(g, x, 0.25f, NULL)), x);
    ck_assert_msg(ft_graph_status(g) == FT_OK, "%s", ft_err_message());
    for (int32_t i = 0; i < ft_graph_n_params(g); i++) start_param(ft_graph_param(g, i));
    source r = source_of("class_weights");
    ft_param *weights = ft_graph_find_param(g, "class_weights");
    for (int k = 0; k < CLASSES; k++) weights->p[k] = (ft_real)(1 + 0.5 * next(&r));
    ft_graph_touch(g);
    return net;
}

static ft_plan *compile(const network *net, bool training, bool direct) {
    ft_plan_spec spec = {.batch = BATCH,
                         .training = training,
                         .direct = direct,
                         .n_losses = LOSSES,
                         .loss_weights = {1, (ft_real)0.4, (ft_real)0.1, (ft_real)0.1}};
    memcpy(spec.losses, net->loss, sizeof net->loss);
    ft_plan *p;
    ck_assert_msg(ft_compile(net->g, &spec, &p) == FT_OK, "%s", ft_err_message());
    return p;
}

/* choices > 0: whole numbers in -1 .. choices-2. */
static void feed(const ft_plan *p, ft_val v, int32_t n, const char *what, int t, int choices) {
    char name[64];
    snprintf(name, sizeof name, "%s/%d", what, t);
    source s = source_of(name);
    ft_view view = ft_plan_value(p, v, n);
    ck_assert_ptr_nonnull(view.p);
    for (int64_t r = 0; r < ft_rows(&view); r++)
        for (int32_t k = 0; k < view.c; k++)
            view.p[r * view.ld + k] = (ft_real)(choices ? next_choice(&s, choices) - 1 : next(&s));
}

/* Runs step t forward and puts its losses into got. */
static void run_forward(const network *net, ft_plan *p, int t, double got[LOSSES]) {
    int32_t n = t % 7 == 6 ? 5 : BATCH;
    feed(p, net->image, n, "image", t % 4, 0);
    feed(p, net->labels, n, "labels", t % 4, CLASSES + 1);
    feed(p, net->tags, n, "tags", t % 4, 3);
    feed(p, net->numbers, n, "numbers", t % 4, 0);
    feed(p, net->shares, n, "shares", t % 4, 0);
    ft_plan_forward(p, n, 1000 + (uint64_t)t);
    for (int k = 0; k < LOSSES; k++) got[k] = (double)*ft_plan_value(p, net->loss[k], n).p;
}

/* ---- the golden numbers
 * --------------------------------------------------------------------------------------- */

typedef struct golden {
    char optimizer[32];
    double losses[STEPS + 1][LOSSES];
    int n_statistics;
    struct {
        char name[96];
        double norm;
    } statistics[MAX_PARAMS];
    int n_params, n_nodes, dropouts[2];
    struct {
        char name[96];
        int64_t at, n;
    } params[MAX_PARAMS];
    double *gradients;
    int64_t n_gradients;
} golden;

static void read_run(FILE *f, golden *d) {
    ck_assert_int_eq(fscanf(f, "%31s statistics %d", d->optimizer, &d->n_statistics), 2);
    for (int t = 0; t <= STEPS; t++)
        for (int k = 0; k < LOSSES; k++) ck_assert_int_eq(fscanf(f, "%lf", &d->losses[t][k]), 1);
    ck_assert_int_le(d->n_statistics, MAX_PARAMS);
    for (int i = 0; i < d->n_statistics; i++)
        ck_assert_int_eq(fscanf(f, "%95s %lf", d->statistics[i].name, &d->statistics[i].norm), 2);
}

/* The run of optimiser `which`, and the first gradients, which all runs share. */
static golden read_golden(int which) {
    golden d = {0}, other = {0};
    int steps, losses, optimizers;
    FILE *f = fopen("tests/golden/mini_inception.txt", "r");
    ck_assert_msg(f != NULL, "run from the root of the tree");
    ck_assert_int_eq(fscanf(f, "steps %d losses %d optimizers %d", &steps, &losses, &optimizers), 3);
    ck_assert(steps == STEPS && losses == LOSSES && optimizers == OPTIMIZERS);
    for (int i = 0; i < OPTIMIZERS; i++) read_run(f, i == which ? &d : &other);
    ck_assert_int_eq(fscanf(f, " parameters %d nodes %d dropout %d %d", &d.n_params, &d.n_nodes,
                            &d.dropouts[0], &d.dropouts[1]),
                     4);
    ck_assert_int_le(d.n_params, MAX_PARAMS);
    for (int i = 0; i < d.n_params; i++) {
        long long at, n;
        ck_assert_int_eq(fscanf(f, "%95s %lld %lld", d.params[i].name, &at, &n), 3);
        ck_assert_int_eq(at, d.n_gradients);
        d.params[i].at = at;
        d.params[i].n = n;
        d.n_gradients += n;
    }
    fclose(f);
    d.gradients = calloc((size_t)d.n_gradients + 1, sizeof *d.gradients);
    ck_assert_ptr_nonnull(d.gradients);
    f = fopen("tests/golden/mini_inception.bin", "rb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fread(d.gradients, sizeof(double), (size_t)d.n_gradients + 1, f),
                      (size_t)d.n_gradients);
    fclose(f);
    return d;
}

static void expect_same_graph(const ft_graph *g, const golden *d) {
    int trainable = 0, dropouts = 0;
    ck_assert_int_eq(ft_graph_n_nodes(g), d->n_nodes + LOSSES);
    for (int32_t i = 0; i < ft_graph_n_nodes(g); i++)
        if (strcmp(ft_graph_node(g, i).op->name, "dropout") == 0)
            ck_assert_int_eq(i, d->dropouts[dropouts++ % 2]);
    ck_assert_int_eq(dropouts, 2);
    for (int32_t i = 0; i < ft_graph_n_params(g); i++)
        trainable += (ft_graph_param((ft_graph *)g, i)->flags & FT_TRAINABLE) != 0;
    ck_assert_int_eq(trainable, d->n_params);
}

/* Every parameter by itself, in the L2 norm. */
static void expect_gradients(const network *net, const ft_plan *p, const golden *d) {
    for (int i = 0; i < d->n_params; i++) {
        const ft_param *param = ft_graph_find_param(net->g, d->params[i].name);
        ck_assert_msg(param != NULL, "there is no parameter %s", d->params[i].name);
        ck_assert_int_eq(ft_shape_size(param->shape), d->params[i].n);
        const ft_real *got = ft_plan_grad(p, param);
        const double *want = d->gradients + d->params[i].at;
        double error = 0, norm2 = 0;
        for (int64_t k = 0; k < d->params[i].n; k++) {
            error += ((double)got[k] - want[k]) * ((double)got[k] - want[k]);
            norm2 += want[k] * want[k];
        }
        ck_assert_msg(norm2 > 0 && sqrt(error) <= tolerance * sqrt(norm2),
                      "%s: the gradient of %s is off by %.3g of %.3g", ft_isa(), param->name, sqrt(error),
                      sqrt(norm2));
    }
}

static void expect_losses(const golden *d, int t, const double got[LOSSES]) {
    for (int k = 0; k < LOSSES; k++)
        ck_assert_msg(fabs(got[k] - d->losses[t][k]) <= tolerance * d->losses[t][k],
                      "%s, %s: loss %d of step %d is %.12g, not %.12g", ft_isa(), d->optimizer, k, t, got[k],
                      d->losses[t][k]);
}

static void expect_statistics(const network *net, const golden *d) {
    for (int i = 0; i < d->n_statistics; i++) {
        const ft_param *p = ft_graph_find_param(net->g, d->statistics[i].name);
        ck_assert_msg(p != NULL, "there is no %s", d->statistics[i].name);
        double sum = 0, want = d->statistics[i].norm;
        for (int64_t k = 0; k < ft_shape_size(p->shape); k++) sum += (double)p->p[k] * (double)p->p[k];
        ck_assert_msg(fabs(sqrt(sum) - want) <= tolerance * want,
                      "%s, %s: the norm of %s is %.12g, not %.12g", ft_isa(), d->optimizer, p->name,
                      sqrt(sum), want);
    }
}

/* ---- training
 * ------------------------------------------------------------------------------------------------- */

static const struct {
    const ft_optimizer *optimizer;
    ft_hyper hyper; /* lr too, for the step */
} runs[OPTIMIZERS] = {
    {&ft_opt_sgd, {.lr = 0.05, .momentum = 0.9, .weight_decay = 1e-3}},
    {&ft_opt_rmsprop_tf, {.lr = 0.045, .momentum = 0.9, .rho = 0.9, .epsilon = 1, .weight_decay = 1e-3}},
    {&ft_opt_adamw, {.lr = 0.002, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-7, .weight_decay = 0.05}},
};

static ft_optim_state *optimizer_of(const network *net, const ft_plan *p, int which,
                                    const ft_real *grads[MAX_PARAMS]) {
    ft_optim_param params[MAX_PARAMS];
    int32_t n = 0;
    for (int32_t i = 0; i < ft_graph_n_params(net->g); i++) {
        ft_param *param = ft_graph_param(net->g, i);
        if (!(param->flags & FT_TRAINABLE)) continue;
        grads[n] = ft_plan_grad(p, param);
        params[n++] = (ft_optim_param){.name = param->name,
                                       .w = param->p,
                                       .n = ft_shape_size(param->shape),
                                       .decay = param->flags & FT_DECAY,
                                       .lr_multiplier = 1};
    }
    ft_optim_state *s;
    ft_optim_options options = {.hyper = runs[which].hyper};
    ck_assert_msg(ft_optim_new(runs[which].optimizer, &options, n, params, &s) == FT_OK, "%s",
                  ft_err_message());
    return s;
}

/* Convolutions that Winograd's method takes in every pass, unless the plan is direct. */
static void expect_fast_convolutions(const ft_graph *g) {
    static const char *const fast[] = {"b2", "b3", "e2", "e3"};
    for (size_t i = 0; i < sizeof fast / sizeof *fast; i++)
        for (int32_t k = 0; k < ft_graph_n_nodes(g); k++) {
            ft_node_info node = ft_graph_node(g, k);
            if (strcmp(node.name, fast[i]) != 0) continue;
            ft_shape x = ft_val_shape(g, node.in[0]), w = ft_val_shape(g, node.in[1]);
            for (int pass = FT_CONV_FORWARD; pass <= FT_CONV_WEIGHT_GRADIENT; pass++)
                ck_assert_msg(ft_conv_choose(node.args, x, w, (ft_conv_pass)pass, false).mh > 0,
                              "%s is direct in pass %d", node.name, pass);
        }
}

static void train(int which, const char *isa, bool direct) {
    ck_assert_int_eq(ft_isa_set(isa), FT_OK);
    golden d = read_golden(which);
    ck_assert_str_eq(d.optimizer, runs[which].optimizer->name);
    network net = build();
    expect_same_graph(net.g, &d);
    expect_fast_convolutions(net.g);
    ft_plan *p = compile(&net, true, direct), *infer = compile(&net, false, direct);
    const ft_real *grads[MAX_PARAMS];
    ft_optim_state *s = optimizer_of(&net, p, which, grads);
    double got[LOSSES], first = 0, last = 0; /* sums over the four batches */
    for (int t = 0; t < STEPS; t++) {
        run_forward(&net, p, t, got);
        expect_losses(&d, t, got);
        *(t < 4 ? &first : &last) += t < 4 || t >= STEPS - 4 ? got[0] : 0;
        ft_plan_backward(p, 1, false);
        if (t == 0) expect_gradients(&net, p, &d);
        ck_assert_msg(ft_optim_step(s, grads, runs[which].hyper.lr, 1, NULL) == FT_OK, "%s",
                      ft_err_message());
        ft_graph_touch(net.g);
    }
    ck_assert_msg(last < 0.9 * first, "nothing was learned: the loss went from %g to %g", first / 4,
                  last / 4);
    expect_statistics(&net, &d);
    run_forward(&net, infer, 0, got);
    expect_losses(&d, STEPS, got);
    ft_optim_free(s);
    ft_plan_free(p);
    ft_plan_free(infer);
    ft_graph_free(net.g);
    free(d.gradients);
}

START_TEST(training_is_as_in_pytorch) {
    train(_i / 2 % OPTIMIZERS, ft_isa_available(_i / 2 / OPTIMIZERS), _i % 2);
}
END_TEST

int main(void) {
    Suite *s = suite_create(in_double ? "golden64" : "golden");
    TCase *t = tcase_create("training");
    tcase_set_timeout(t, 120);
    int n_isas = 0;
    while (ft_isa_available(n_isas)) n_isas++;
    tcase_add_loop_test(t, training_is_as_in_pytorch, 0, 2 * OPTIMIZERS * n_isas);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

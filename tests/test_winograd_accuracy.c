/* The accuracy gate of Winograd's convolutions: in every pass of every convolution of Inception-v3 that is
 * computed so, the error against the definition in double is at most ten times the direct method's. On noise;
 * on what a small network has learned here, with its true gradients; and on Inception-v3 trained on ImageNet
 * and a photograph, where ../shared/data has them.
 *
 * CK_VERBOSITY=verbose prints every figure. */
#include "optim/optim_state.h"
#include "tensor/kernels.h"
#include "tensor/plan.h"
#include "tests/conv_testing.h"

#include <hdf5.h>
#include <unistd.h>

enum { SAMPLED = 1500 /* elements of a result that are computed in double */ };
static const double most = 10; /* times the direct method's error */

/* ---- the definition */

static double product(const ft_real *a, int64_t a_step, const ft_real *b, int64_t b_step, int32_t n) {
    double sum = 0;
    for (int32_t i = 0; i < n; i++) sum += (double)a[i * a_step] * (double)b[i * b_step];
    return sum;
}

static double define_output(const conv_sample *s, int32_t top, int32_t left, int64_t e) {
    const ft_shape x = s->g.x, w = s->g.w, y = s->g.y;
    int32_t k = (int32_t)(e % y.c), ox = (int32_t)(e / y.c % y.w), oy = (int32_t)(e / y.c / y.w % y.h);
    int64_t image = e / y.c / y.w / y.h;
    double sum = 0;
    for (int32_t i = 0; i < w.n; i++)
        for (int32_t j = 0; j < w.h; j++) {
            int32_t iy = s->g.args.win.sh * oy - top + i, ix = s->g.args.win.sw * ox - left + j;
            if (iy < 0 || iy >= x.h || ix < 0 || ix >= x.w) continue;
            sum += product(s->x + ((image * x.h + iy) * x.w + ix) * x.c, 1,
                           s->w + (int64_t)(i * w.h + j) * x.c * y.c + k, y.c, x.c);
        }
    return sum;
}

static double define_input_gradient(const conv_sample *s, int32_t top, int32_t left, int64_t e) {
    const ft_shape x = s->g.x, w = s->g.w, y = s->g.y;
    int32_t c = (int32_t)(e % x.c), ix = (int32_t)(e / x.c % x.w), iy = (int32_t)(e / x.c / x.w % x.h);
    int64_t image = e / x.c / x.w / x.h;
    double sum = 0;
    for (int32_t i = 0; i < w.n; i++)
        for (int32_t j = 0; j < w.h; j++) {
            int32_t oy = iy + top - i, ox = ix + left - j, sh = s->g.args.win.sh, sw = s->g.args.win.sw;
            if (oy < 0 || oy % sh != 0 || ox < 0 || ox % sw != 0) continue;
            oy /= sh;
            ox /= sw;
            if (oy >= y.h || ox >= y.w) continue;
            sum += product(s->dy + ((image * y.h + oy) * y.w + ox) * y.c, 1,
                           s->w + ((int64_t)(i * w.h + j) * x.c + c) * y.c, 1, y.c);
        }
    return sum;
}

static double define_weight_gradient(const conv_sample *s, int32_t top, int32_t left, int64_t e) {
    const ft_shape x = s->g.x, w = s->g.w, y = s->g.y;
    int32_t k = (int32_t)(e % y.c), c = (int32_t)(e / y.c % x.c), tap = (int32_t)(e / y.c / x.c);
    int32_t sh = s->g.args.win.sh, sw = s->g.args.win.sw, right = left - tap % w.h;
    int32_t first = right > 0 ? (right + sw - 1) / sw : 0, end = (x.w - 1 + right) / sw + 1;
    if (end > y.w) end = y.w;
    double sum = 0;
    for (int64_t image = 0; image < y.n; image++)
        for (int32_t oy = 0; oy < y.h; oy++) {
            int32_t iy = sh * oy - top + tap / w.h;
            if (iy < 0 || iy >= x.h) continue;
            sum +=
                product(s->x + ((image * x.h + iy) * x.w + sw * first - right) * x.c + c, (int64_t)sw * x.c,
                        s->dy + ((image * y.h + oy) * y.w + first) * y.c + k, y.c, end - first);
        }
    return sum;
}

/* ---- the gate */

typedef struct gate {
    int checked, failed;
    double worst;
    char text[256]; /* of the worst */
} gate;

/* The relative L2 errors of two results over the same random elements of one pass. */
static void relative_errors(const conv_sample *s, int pass, const conv_result *const r[2], double error[2]) {
    static double (*const define[CONV_PASSES])(const conv_sample *, int32_t, int32_t,
                                               int64_t) = {define_output, define_input_gradient,
                                                           define_weight_gradient};
    ft_geometry geo;
    ck_assert_int_eq(ft_window_geometry(&s->g.args.win, s->g.x.h, s->g.x.w, &geo), FT_OK);
    ft_rng rng = ft_rng_stream(99, (uint64_t)pass);
    double norm = 0, off[2] = {0};
    for (int i = 0; i < SAMPLED; i++) {
        int64_t e = ft_rng_below(&rng, (uint32_t)r[0]->size[pass]);
        double want = define[pass](s, geo.top, geo.left, e);
        norm += want * want;
        for (int k = 0; k < 2; k++) off[k] += pow((double)r[k]->pass[pass][e] - want, 2);
    }
    for (int k = 0; k < 2; k++) error[k] = sqrt(off[k] / norm);
}

static void gate_add(gate *all, const char *what, const conv_sample *s) {
    const char *verbosity = getenv("CK_VERBOSITY");
    conv_result fast = conv_run(s, false), direct = conv_run(s, true);
    for (int pass = 0; pass < CONV_PASSES; pass++) {
        if (!conv_is_fast(&s->g, pass)) continue;
        double error[2];
        char text[256];
        relative_errors(s, pass, (const conv_result *const[]){&fast, &direct}, error);
        double ratio = error[0] / error[1];
        snprintf(text, sizeof text, "%-8s %-6s %-9s %-34s %-15s %8.2e %8.2e %5.2f", what, ft_isa(), s->g.name,
                 conv_text(&s->g, pass), conv_pass_name(pass), error[0], error[1], ratio);
        if (verbosity && strcmp(verbosity, "verbose") == 0) {
            printf("%s\n", text);
            fflush(stdout); /* this process may end by abort */
        }
        all->checked++;
        if (!(ratio <= most)) all->failed++;
        if (ratio <= all->worst) continue;
        all->worst = ratio;
        memcpy(all->text, text, sizeof text);
    }
    conv_result_free(&fast);
    conv_result_free(&direct);
}

static void gate_expect(const gate *all, int least) {
    ck_assert_int_ge(all->checked, least);
    ck_assert_msg(all->failed == 0, "%d of %d errors are more than %g times the direct ones; the worst: %s",
                  all->failed, all->checked, most, all->text);
}

START_TEST(on_noise) {
    conv_geometry geometries[CONV_MAX_GEOMETRIES];
    gate all = {0};
    ck_assert_int_eq(ft_isa_set(ft_isa_available(_i)), FT_OK);
    int n = conv_list_inception(geometries, 35);
    for (int i = 0; i < n; i++) {
        conv_sample s = conv_noise(&geometries[i], 100 + (uint64_t)i);
        gate_add(&all, "noise", &s);
        conv_sample_free(&s);
    }
    gate_expect(&all, 40);
}
END_TEST

/* ---- a small network, trained here */

static const struct {
    const char *name;
    int32_t filters, kh, kw, stride;
} units[] = {{"stem", 16, 3, 3, 1}, {"a", 32, 3, 3, 1}, {"b", 24, 5, 5, 1}, {"reduction", 48, 3, 3, 2},
             {"c", 32, 1, 7, 1},    {"d", 32, 7, 1, 1}, {"e", 32, 1, 3, 1}, {"f", 32, 3, 1, 1},
             {"g", 24, 1, 5, 1},    {"h", 32, 5, 1, 1}};
enum { UNITS = sizeof units / sizeof *units, BATCH = 8, SIDE = 24, CLASSES = 4, TRAINING_STEPS = 30 };

/* The identity, which keeps the gradient that passes. */
typedef struct probe_args {
    int32_t unit;
} probe_args;
static ft_real *probed[UNITS];

static ft_err probe_shape(const ft_build *b, ft_shape out[], ft_mem *mem) {
    (void)mem;
    out[0] = b->in[0];
    return FT_OK;
}
static void probe_forward(const ft_call *c) {
    for (int64_t i = 0; i < ft_rows(&c->in[0]); i++)
        memcpy(c->out[0].p + i * c->out[0].ld, c->in[0].p + i * c->in[0].ld,
               (size_t)c->in[0].c * sizeof(ft_real));
}
static void probe_backward(const ft_call *c) {
    const ft_view *dy = &c->dout[0], *dx = &c->din[0];
    ft_real *keep = probed[((const probe_args *)c->args)->unit];
    for (int64_t i = 0; i < ft_rows(dy); i++)
        for (int32_t k = 0; k < dy->c; k++) {
            ft_real g = dy->p[i * dy->ld + k], *to = &dx->p[i * dx->ld + k];
            *to = c->beta[0] != 0 ? *to + g : g;
            keep[i * dy->c + k] = g;
        }
}
static const ft_op probe = {.name = "probe",
                            .n_in = 1,
                            .n_out = 1,
                            .args_size = sizeof(probe_args),
                            .shape = probe_shape,
                            .forward = probe_forward,
                            .backward = probe_backward};

typedef struct learner {
    ft_graph *g;
    ft_val image, labels, loss, input[UNITS]; /* of each convolution */
    ft_plan *plan;
} learner;

static void learner_build(learner *l) {
    ck_assert_int_eq(ft_graph_new(&l->g), FT_OK);
    ft_val x = l->image = ft_input(l->g, "image", (ft_shape){1, SIDE, SIDE, 3});
    l->labels = ft_input(l->g, "labels", (ft_shape){1, 1, 1, 1});
    for (int32_t k = 0; k < UNITS; k++) {
        l->input[k] = x;
        x = ft_conv2d(l->g, x,
                      &(ft_conv){.name = units[k].name,
                                 .filters = units[k].filters,
                                 .k = {units[k].kh, units[k].kw},
                                 .stride = {units[k].stride, units[k].stride}});
        ft_shape s = ft_val_shape(l->g, x);
        probed[k] = conv_alloc((size_t)(BATCH * ft_shape_size(s)) * sizeof(ft_real));
        x = ft_apply(l->g, &probe, NULL, &(probe_args){k}, 1, &x);
        x = ft_relu(l->g, ft_batchnorm(l->g, x, NULL), NULL);
    }
    x = ft_dense(l->g, ft_global_avgpool(l->g, x, NULL), &(ft_dense_options){.units = CLASSES});
    l->loss = ft_softmax_cross_entropy(l->g, x, l->labels, NULL);
    ft_graph_init(l->g, 1);
    ft_plan_spec spec = {.batch = BATCH,
                         .training = true,
                         .n_losses = 1,
                         .losses = {l->loss},
                         .loss_weights = {1},
                         .n_outputs = UNITS,
                         .outputs = l->input};
    ck_assert_msg(ft_compile(l->g, &spec, &l->plan) == FT_OK, "%s", ft_err_message());
}

/* Stripes of a width and direction for each class, under noise. */
static void learner_feed(const learner *l, ft_rng *rng) {
    ft_view image = ft_plan_value(l->plan, l->image, BATCH),
            labels = ft_plan_value(l->plan, l->labels, BATCH);
    for (int32_t i = 0; i < BATCH; i++) {
        uint32_t class = ft_rng_below(rng, CLASSES);
        double angle = 0.4 + 0.8 * class + 0.2 * ft_rng_uniform(rng), phase = 6.3 * ft_rng_uniform(rng);
        labels.p[i * labels.ld] = (ft_real) class;
        for (int32_t p = 0; p < SIDE * SIDE; p++) {
            double at = cos(angle) * (p % SIDE) + sin(angle) * (p / SIDE);
            for (int32_t k = 0; k < 3; k++)
                image.p[(i * SIDE * SIDE + p) * image.ld + k] =
                    (ft_real)(0.5 + 0.3 * sin((1.2 - 0.1 * k) * at + phase) + 0.1 * ft_rng_normal(rng));
        }
    }
}

static void learner_train(learner *l) {
    ft_optim_param params[64];
    const ft_real *grads[64];
    int32_t n = 0;
    for (int32_t i = 0; i < ft_graph_n_params(l->g); i++) {
        ft_param *p = ft_graph_param(l->g, i);
        if (!(p->flags & FT_TRAINABLE)) continue;
        ck_assert_int_lt(n, 64);
        grads[n] = ft_plan_grad(l->plan, p);
        params[n++] =
            (ft_optim_param){.name = p->name, .w = p->p, .n = ft_shape_size(p->shape), .lr_multiplier = 1};
    }
    ft_hyper hyper = {.lr = 0.003, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-7};
    ft_optim_options options = {.hyper = hyper};
    ft_optim_state *s;
    ck_assert_msg(ft_optim_new(&ft_opt_adam, &options, n, params, &s) == FT_OK, "%s", ft_err_message());
    ft_rng rng = ft_rng_stream(5, 0);
    double first = 0, last = 0;
    for (int t = 0;; t++) {
        learner_feed(l, &rng);
        ft_plan_forward(l->plan, BATCH, (uint64_t)t);
        ft_plan_backward(l->plan, 1, false);
        if (t == TRAINING_STEPS) break; /* the last batch's numbers are what the gate takes */
        *(t < 5 ? &first : &last) +=
            t < 5 || t >= TRAINING_STEPS - 5 ? (double)*ft_plan_value(l->plan, l->loss, BATCH).p : 0;
        ck_assert_msg(ft_optim_step(s, grads, hyper.lr, 1, NULL) == FT_OK, "%s", ft_err_message());
        ft_graph_touch(l->g);
    }
    ck_assert_msg(last < 0.7 * first, "nothing was learned: from %g to %g", first / 5, last / 5);
    ft_optim_free(s);
}

static ft_real *copy_view(const ft_view *v) {
    ft_real *p = conv_alloc((size_t)(ft_rows(v) * v->c) * sizeof *p);
    for (int64_t i = 0; i < ft_rows(v); i++) memcpy(p + i * v->c, v->p + i * v->ld, (size_t)v->c * sizeof *p);
    return p;
}

static ft_real *copy_kernel(ft_graph *g, const char *layer) {
    char name[96];
    snprintf(name, sizeof name, "%s/kernel", layer);
    const ft_param *param = ft_graph_find_param(g, name);
    ck_assert_msg(param != NULL, "there is no %s", name);
    size_t bytes = (size_t)ft_shape_size(param->shape) * sizeof *param->p;
    return memcpy(conv_alloc(bytes), param->p, bytes);
}

static ft_node_info find_node(const ft_graph *g, const char *name) {
    for (int32_t i = 0; i < ft_graph_n_nodes(g); i++) {
        ft_node_info node = ft_graph_node(g, i);
        if (strcmp(node.name, name) == 0) return node;
    }
    ck_abort_msg("there is no node %s", name);
}

START_TEST(on_a_small_trained_network) {
    learner l;
    gate all = {0};
    learner_build(&l);
    learner_train(&l);
    for (int32_t k = 0; k < UNITS; k++) {
        ft_node_info node = find_node(l.g, units[k].name);
        ft_view x = ft_plan_value(l.plan, l.input[k], BATCH);
        conv_sample s = {.g = conv_of_node(l.g, &node, BATCH),
                         .x = copy_view(&x),
                         .w = copy_kernel(l.g, units[k].name),
                         .dy = probed[k]};
        ck_assert_msg(k == 0 || conv_any_fast(&s.g), "%s is direct", units[k].name);
        gate_add(&all, "trained", &s);
        conv_sample_free(&s);
    }
    ft_plan_free(l.plan);
    ft_graph_free(l.g);
    gate_expect(&all, CONV_PASSES * (UNITS - 1));
}
END_TEST

/* ---- Inception-v3, trained on ImageNet */

static const char weights_path[] = "../shared/data/weights/inception_v3_keras.h5",
                  reference_path[] = "../shared/data/reference/inception_v3_reference.h5";
enum { PHOTOGRAPH = 4, PICTURES = 5, VARIANTS = 8, SMALL_MAP = 17 };

static float *read_dataset(hid_t file, const char *name, int64_t n) {
    float *p = conv_alloc((size_t)n * sizeof *p);
    hid_t set = H5Dopen2(file, name, H5P_DEFAULT), space = H5Dget_space(set);
    ck_assert_msg(set >= 0 && H5Sget_simple_extent_npoints(space) == n, "%s is not there as expected", name);
    ck_assert_int_ge(H5Dread(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, p), 0);
    H5Sclose(space);
    H5Dclose(set);
    return p;
}

static void read_weights(ft_graph *g) {
    hid_t file = H5Fopen(weights_path, H5F_ACC_RDONLY, H5P_DEFAULT);
    ck_assert_int_ge(file, 0);
    for (int32_t i = 0; i < ft_graph_n_params(g); i++) {
        ft_param *param = ft_graph_param(g, i);
        char name[256];
        snprintf(name, sizeof name, "/%.*s/%s:0", (int)strcspn(param->name, "/"), param->name, param->name);
        int64_t n = ft_shape_size(param->shape);
        float *p = read_dataset(file, name, n);
        memcpy(param->p, p, (size_t)n * sizeof *p);
        free(p);
    }
    H5Fclose(file);
    ft_graph_touch(g);
}

/* The network with a batch run through it: the reference's photograph turned and mirrored in all ways. The
 * inputs of its convolutions and the activations behind them are kept. */
typedef struct trained {
    ft_graph *g;
    ft_plan *plan;
    int32_t n;
    ft_node_info conv[CONV_MAX_GEOMETRIES];
    ft_val keep[2 * CONV_MAX_GEOMETRIES + 1]; /* input and activation by turns, then the features */
} trained;

static void list_convolutions(trained *t) {
    for (int32_t i = 0; i < ft_graph_n_nodes(t->g); i++) {
        ft_node_info node = ft_graph_node(t->g, i);
        if (node.op != &ft_op_conv2d) continue;
        conv_geometry c = conv_of_node(t->g, &node, 1);
        if (!conv_any_fast(&c)) continue;
        char name[64];
        snprintf(name, sizeof name, "activation_%s", node.name + strlen("conv2d_"));
        ck_assert_int_lt(t->n, CONV_MAX_GEOMETRIES);
        t->keep[2 * t->n] = node.in[0];
        t->keep[2 * t->n + 1] = ft_graph_find(t->g, name);
        t->conv[t->n++] = node;
    }
}

static void run_photograph(const trained *t, ft_val image, ft_val features) {
    hid_t file = H5Fopen(reference_path, H5F_ACC_RDONLY, H5P_DEFAULT);
    ck_assert_int_ge(file, 0);
    ft_view to = ft_plan_value(t->plan, image, VARIANTS);
    int32_t side = to.h, c = to.c;
    int64_t n = (int64_t)side * side * c;
    ck_assert(to.ld == c && to.w == side);
    float *pictures = read_dataset(file, "/inputs", PICTURES * n);
    for (int32_t v = 0; v < VARIANTS; v++)
        for (int32_t p = 0; p < side * side; p++) {
            int32_t a = p / side, b = p % side;
            int32_t y = v & 4 ? b : a, x = v & 4 ? a : b;
            if (v & 2) y = side - 1 - y;
            if (v & 1) x = side - 1 - x;
            memcpy(to.p + v * n + p * c, pictures + PHOTOGRAPH * n + (y * side + x) * c,
                   (size_t)c * sizeof *to.p);
        }
    free(pictures);
    ft_plan_forward(t->plan, VARIANTS, 0);
    ft_view got = ft_plan_value(t->plan, features, 1);
    float *want = read_dataset(file, "/activations/flatten_1", PICTURES * got.c);
    double off = 0, norm = 0;
    for (int32_t k = 0; k < got.c; k++) {
        double w = (double)want[PHOTOGRAPH * got.c + k];
        off += pow((double)got.p[k] - w, 2);
        norm += w * w;
    }
    ck_assert_msg(sqrt(off) <= 1e-4 * sqrt(norm), "these are not the features of the reference: off by %.3g",
                  sqrt(off / norm));
    free(want);
    H5Fclose(file);
}

static void trained_open(trained *t) {
    const ft_net *net = ft_net_find("inception_v3");
    ft_val image;
    ft_net_outputs outputs;
    *t = (trained){0};
    ck_assert_ptr_nonnull(net);
    ck_assert_int_eq(ft_graph_new(&t->g), FT_OK);
    ft_net_options o = {.image = {1, net->size, net->size, net->channels}};
    ck_assert_msg(ft_net_build(net, t->g, &o, &image, &outputs) == FT_OK, "%s", ft_err_message());
    read_weights(t->g);
    list_convolutions(t);
    t->keep[2 * t->n] = outputs.features;
    ft_plan_spec spec = {.batch = VARIANTS, .n_outputs = 2 * t->n + 1, .outputs = t->keep};
    ck_assert_msg(ft_compile(t->g, &spec, &t->plan) == FT_OK, "%s", ft_err_message());
    run_photograph(t, image, outputs.features);
}

/* A gradient as it arrives through ReLU and batch norm: nothing where the activation is 0, elsewhere noise
 * divided by the channel's deviation. */
static ft_real *gradient_behind(const trained *t, int32_t k, ft_shape y) {
    char name[96];
    snprintf(name, sizeof name, "batch_normalization_%s/moving_variance",
             t->conv[k].name + strlen("conv2d_"));
    const ft_param *variance = ft_graph_find_param(t->g, name);
    ck_assert_msg(variance != NULL, "there is no %s", name);
    ft_view v = ft_plan_value(t->plan, t->keep[2 * k + 1], y.n);
    ft_real *activation = copy_view(&v), *dy = conv_normals(y, (uint64_t)k, 1, false);
    for (int64_t e = 0; e < ft_shape_size(y); e++)
        dy[e] = activation[e] > 0 ? dy[e] / (ft_real)sqrt((double)variance->p[e % y.c] + 1e-3) : 0;
    free(activation);
    return dy;
}

START_TEST(on_imagenet) {
    if (access(weights_path, R_OK) != 0 || access(reference_path, R_OK) != 0) {
        fprintf(stderr, "skipped: there is no %s\n", weights_path);
        return;
    }
    trained t;
    gate all = {0};
    trained_open(&t);
    for (int32_t k = 0; k < t.n; k++) {
        /* Of large maps one picture is plenty. Of small ones it takes several for a weight gradient's sums to
         * be as long as in training; the direct method's error grows with them. */
        int32_t images = ft_val_shape(t.g, t.keep[2 * k]).h <= SMALL_MAP ? VARIANTS : 1;
        ft_view x = ft_plan_value(t.plan, t.keep[2 * k], images);
        conv_sample s = {.g = conv_of_node(t.g, &t.conv[k], images), .x = copy_view(&x)};
        s.w = copy_kernel(t.g, t.conv[k].name);
        s.dy = gradient_behind(&t, k, s.g.y);
        gate_add(&all, "ImageNet", &s);
        conv_sample_free(&s);
    }
    ft_plan_free(t.plan);
    ft_graph_free(t.g);
    gate_expect(&all, 100);
}
END_TEST

int main(void) {
    Suite *s = suite_create("winograd_accuracy");
    TCase *t = tcase_create("accuracy");
    tcase_set_timeout(t, 300);
    int n_isas = 0;
    while (ft_isa_available(n_isas)) n_isas++;
    tcase_add_loop_test(t, on_noise, 0, n_isas);
    tcase_add_test(t, on_a_small_trained_network);
    tcase_add_test(t, on_imagenet);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

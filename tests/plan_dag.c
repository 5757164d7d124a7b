/* The builder of random networks draws one of the moves below at a time; a move takes values made so far and
 * makes new ones. Every value stays available, so that some are read by many and some by none.
 */
#include "tests/plan_dag.h"

#include "layers/args.h"
#include "layers/net.h"
#include "tensor/rng.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_POOL = 64, MAX_CHANNELS = 48, MAX_FLAT = 240 };

typedef struct builder {
    dag *d;
    ft_graph *g;
    ft_rng r;
    ft_val pool[MAX_POOL];
    int32_t n;
    struct {
        const ft_op *op;
        ft_val kernel;
        ft_conv_args args;
    } convs[MAX_POOL];
    int32_t n_convs;
} builder;

static int32_t below(builder *b, int32_t n) {
    return (int32_t)ft_rng_below(&b->r, (uint32_t)n);
}
static bool maybe(builder *b, int32_t percent) {
    return below(b, 100) < percent;
}
static ft_shape shape_of(const builder *b, ft_val v) {
    return ft_val_shape(b->g, v);
}
static bool is_vector(ft_shape s) {
    return s.h == 1 && s.w == 1;
}

/* One of the values so far, the later ones more often. */
static ft_val any(builder *b) {
    int32_t i = below(b, b->n), j = below(b, b->n);
    return b->pool[i > j ? i : j];
}

/* A value of the shape given, 0 in it meaning whatever; FT_NONE if a few draws find none. */
static ft_val like(builder *b, int32_t h, int32_t w, int32_t c) {
    for (int tries = 0; tries < 24; tries++) {
        ft_val v = any(b);
        ft_shape s = shape_of(b, v);
        if ((h == 0 || s.h == h) && (w == 0 || s.w == w) && (c == 0 || s.c == c)) return v;
    }
    return FT_NONE;
}

/* ---- moves ---- */

static ft_val conv_of(builder *b, ft_val x) {
    static const int32_t kernels[][2] = {{1, 1}, {3, 3}, {1, 3}, {3, 1}, {2, 2}, {1, 7}};
    static const int32_t widths[] = {1, 3, 4, 6, 8, 12, 17, 33};
    ft_shape s = shape_of(b, x);
    int32_t k = below(b, 6), groups = 1, filters = widths[below(b, 8)];
    if (maybe(b, 15)) {
        groups = s.c;
        filters = s.c * (1 + (s.c <= MAX_CHANNELS / 2 && maybe(b, 40)));
    } else if (s.c % 2 == 0 && filters % 2 == 0 && maybe(b, 20)) {
        groups = 2;
    }
    int32_t stride = maybe(b, 15) ? 2 : 1, dilation = stride == 1 && maybe(b, 15) ? 2 : 1;
    ft_conv o = {.filters = filters,
                 .k = {kernels[k][0], kernels[k][1]},
                 .stride = {stride, stride},
                 .dilation = {dilation, dilation},
                 .groups = groups,
                 .padding = s.h >= 4 && s.w >= 4 && k < 4 && dilation == 1 && maybe(b, 20) ? FT_PAD_VALID
                                                                                           : FT_PAD_SAME,
                 .bias = maybe(b, 40)};
    ft_val y = ft_conv2d(b->g, x, &o);
    if (groups == 1 && o.padding == FT_PAD_SAME) {
        ft_node_info made = ft_graph_node(b->g, ft_graph_n_nodes(b->g) - 1);
        b->convs[b->n_convs].op = made.op;
        b->convs[b->n_convs].kernel = made.in[1];
        memcpy(&b->convs[b->n_convs++].args, made.args, sizeof(ft_conv_args));
    }
    return y;
}
static ft_val norm_of(builder *b, ft_val x) {
    ft_norm o = {.scale = maybe(b, 50), .no_center = maybe(b, 20), .unbiased = maybe(b, 30)};
    return ft_batchnorm(b->g, x, &o);
}

static ft_val conv(builder *b) {
    return conv_of(b, any(b));
}
static ft_val norm(builder *b) {
    return norm_of(b, any(b));
}
static ft_val unit(builder *b) {
    return ft_relu(b->g, norm_of(b, conv_of(b, any(b))), NULL);
}
/* A second convolution with the kernel of an earlier one. */
static ft_val shared_conv(builder *b) {
    if (b->n_convs == 0) return FT_NONE;
    int32_t i = below(b, b->n_convs);
    ft_val x = like(b, 0, 0, shape_of(b, b->convs[i].kernel).w);
    if (x.id < 0) return x;
    return ft_apply(b->g, b->convs[i].op, NULL, &b->convs[i].args, 2, (ft_val[]){x, b->convs[i].kernel});
}
static ft_val activation(builder *b) {
    ft_val x = any(b);
    switch (below(b, 6)) {
    case 0:
        return ft_leaky_relu(b->g, x, 0.1f, NULL);
    case 1:
        return ft_sigmoid(b->g, x, NULL);
    case 2:
        return ft_tanh(b->g, x, NULL);
    case 3:
        return ft_l2_normalize(b->g, x, NULL);
    default:
        return ft_relu(b->g, x, NULL);
    }
}
static ft_val dropout(builder *b) {
    return ft_dropout(b->g, any(b), maybe(b, 50) ? 0.5f : 0.2f, NULL);
}
static ft_val pool(builder *b) {
    ft_val x = any(b);
    ft_shape s = shape_of(b, x);
    int32_t k = 2 + below(b, 2), stride = 1 + below(b, 2);
    ft_pool o = {.k = {k, k},
                 .stride = {stride, stride},
                 .padding = s.h >= 4 && s.w >= 4 && maybe(b, 30) ? FT_PAD_VALID : FT_PAD_SAME,
                 .count_padding = maybe(b, 50)};
    return maybe(b, 50) ? ft_maxpool(b->g, x, &o) : ft_avgpool(b->g, x, &o);
}
static ft_val concat(builder *b) {
    ft_val in[5] = {any(b)};
    ft_shape s = shape_of(b, in[0]);
    int32_t n = 1, want = 1 + below(b, 5), c = s.c;
    while (n < want) {
        in[n] = maybe(b, 15) ? in[0] : like(b, s.h, s.w, 0);
        if (in[n].id < 0 || c + shape_of(b, in[n]).c > MAX_CHANNELS) break;
        c += shape_of(b, in[n++]).c;
    }
    return ft_concat(b->g, n, in, NULL);
}
static ft_val add(builder *b) {
    ft_val x = any(b);
    ft_shape s = shape_of(b, x);
    ft_val y = maybe(b, 20) ? x : like(b, s.h, s.w, s.c);
    return ft_add(b->g, x, y.id < 0 ? x : y, NULL);
}
static ft_val squeeze(builder *b) {
    ft_val x = any(b), s = like(b, 1, 1, shape_of(b, x).c);
    if (s.id < 0 || maybe(b, 50)) {
        s = ft_global_avgpool(b->g, maybe(b, 70) ? x : any(b), NULL);
        s = ft_sigmoid(b->g, ft_dense(b->g, s, &(ft_dense_options){.units = shape_of(b, x).c}), NULL);
    }
    return ft_mul_channel(b->g, x, s, NULL);
}
static ft_val vector(builder *b, ft_val x) {
    ft_shape s = shape_of(b, x);
    if (is_vector(s)) return x;
    return s.h * s.w * s.c <= MAX_FLAT && maybe(b, 50) ? ft_flatten(b->g, x, NULL)
                                                       : ft_global_avgpool(b->g, x, NULL);
}
static ft_val dense_of(builder *b, ft_val x, int32_t units) {
    ft_dense_options o = {.units = units, .no_bias = maybe(b, 30)};
    return ft_dense(b->g, vector(b, x), &o);
}
static ft_val dense(builder *b) {
    return dense_of(b, any(b), 1 + below(b, 20));
}
/* Of a single channel it would be 1 everywhere: no gradient but rounding, which a batch norm then magnifies.
 */
static ft_val softmax(builder *b) {
    ft_val x = any(b);
    return shape_of(b, x).c > 1 ? ft_softmax(b->g, x, NULL) : ft_tanh(b->g, x, NULL);
}

static ft_val (*const moves[])(builder *) = {conv,    norm,   unit,    unit,       shared_conv,
                                             concat,  concat, concat,  activation, activation,
                                             dropout, pool,   pool,    add,        add,
                                             squeeze, dense,  softmax, activation, unit};

static ft_val loss(builder *b) {
    dag *d = b->d;
    ft_val x = any(b);
    ft_shape s = shape_of(b, x);
    switch (below(b, 5)) {
    case 0:
        return ft_mean_squared_error(b->g, dense_of(b, x, DAG_NUMBERS), d->numbers, NULL);
    case 1:
        return ft_binary_cross_entropy(b->g, dense_of(b, x, DAG_NUMBERS), d->flags, NULL);
    case 2: { /* between two values of the network */
        ft_val y = like(b, s.h, s.w, s.c);
        return ft_huber(b->g, x, y.id < 0 ? x : y, 0.7f, NULL);
    }
    default: {
        ft_softmax_ce_options o = {.label_smoothing = maybe(b, 50) ? 0.1f : 0};
        return ft_softmax_cross_entropy(b->g, dense_of(b, x, DAG_CLASSES), d->labels, &o);
    }
    }
}

void dag_make(dag *d, uint64_t seed) {
    *d = (dag){.seed = seed};
    ck_assert_int_eq(ft_graph_new(&d->g), FT_OK);
    builder b = {.d = d, .g = d->g, .r = ft_rng_stream(seed, 1)};
    d->image = ft_input(d->g, "image", (ft_shape){1, 4 + below(&b, 6), 3 + below(&b, 6), 1 + below(&b, 5)});
    d->labels = ft_input(d->g, "labels", (ft_shape){1, 1, 1, 1});
    d->numbers = ft_input(d->g, "numbers", (ft_shape){1, 1, 1, DAG_NUMBERS});
    d->flags = ft_input(d->g, "flags", (ft_shape){1, 1, 1, DAG_NUMBERS});
    b.pool[b.n++] = d->image;
    int32_t size = 5 + below(&b, 20);
    while (b.n <= size) {
        ft_val made = moves[below(&b, (int32_t)(sizeof moves / sizeof *moves))](&b);
        ck_assert_msg(ft_graph_status(d->g) == FT_OK, "network %d: %s", (int)seed, ft_err_message());
        if (made.id > 0) b.pool[b.n++] = made;
    }
    d->n_losses = 1 + below(&b, DAG_LOSSES);
    for (int32_t i = 0; i < d->n_losses; i++) {
        d->losses[i] = loss(&b);
        d->weights[i] = (ft_real)(0.25 * (1 + below(&b, 8)));
    }
    d->n_outputs = below(&b, DAG_OUTPUTS + 1);
    for (int32_t i = 0; i < d->n_outputs; i++) d->outputs[i] = any(&b);
    ck_assert_msg(ft_graph_status(d->g) == FT_OK, "network %d: %s", (int)seed, ft_err_message());
    if (maybe(&b, 35)) ft_graph_freeze(d->g, any(&b));
}

void dag_make_net(dag *d, const char *name, int32_t size, float dropout_rate, uint64_t seed) {
    *d = (dag){.seed = seed, .n_losses = 1, .n_outputs = 1, .weights = {1}};
    ck_assert_int_eq(ft_graph_new(&d->g), FT_OK);
    const ft_net *net = ft_net_find(name);
    ck_assert_ptr_nonnull(net);
    ft_net_options o = {.image = {1, size, size, net->channels},
                        .classes = DAG_CLASSES,
                        .dropout = dropout_rate};
    ft_net_outputs out;
    ft_err e = ft_net_build(net, d->g, &o, &d->image, &out);
    ck_assert_msg(e == FT_OK, "%s: %s", name, ft_err_message());
    d->labels = ft_input(d->g, "labels", (ft_shape){1, 1, 1, 1});
    d->losses[0] = ft_softmax_cross_entropy(d->g, out.logits, d->labels, NULL);
    d->outputs[0] = out.features;
}

void dag_free(dag *d) {
    ft_graph_free(d->g);
    d->g = NULL;
}

/* ---- running ---- */

static void reset_param(ft_param *p, uint64_t seed) {
    ft_rng r = ft_rng_stream(ft_rng_derive_name(seed, p->name), 2);
    int64_t n = ft_shape_size(p->shape);
    double fan_in = (double)p->shape.n * p->shape.h * p->shape.w, scale = sqrt(2 / fan_in);
    bool vector = p->shape.w == 1 && p->shape.h == 1 && p->shape.n == 1;
    bool positive = strstr(p->name, "variance") || strstr(p->name, "gamma");
    for (int64_t i = 0; i < n; i++) {
        double x = vector ? 0.3 * ft_rng_normal(&r) : scale * ft_rng_normal(&r);
        p->p[i] = (ft_real)(positive ? 0.5 + ft_rng_uniform(&r) : x);
    }
}

void dag_reset(dag *d) {
    for (int32_t i = 0; i < ft_graph_n_params(d->g); i++) reset_param(ft_graph_param(d->g, i), d->seed);
    ft_graph_touch(d->g);
}

ft_plan *dag_compile(dag *d, int32_t batch, bool training, bool isolate) {
    ft_plan_spec spec = {.batch = batch,
                         .training = training,
                         .n_losses = d->n_losses,
                         .n_outputs = d->n_outputs,
                         .outputs = d->outputs,
                         .isolate = isolate};
    memcpy(spec.losses, d->losses, sizeof d->losses);
    memcpy(spec.loss_weights, d->weights, sizeof d->weights);
    ft_plan *p;
    ft_err e = ft_compile(d->g, &spec, &p);
    ck_assert_msg(e == FT_OK, "network %d: %s", (int)d->seed, ft_err_message());
    return p;
}

typedef double draw(ft_rng *r);
static double draw_class(ft_rng *r) {
    return (double)ft_rng_below(r, DAG_CLASSES + 1) - 1;
}
static double draw_flag(ft_rng *r) {
    return (double)ft_rng_below(r, 3) - 1;
}

static void feed(const ft_plan *p, ft_val v, int32_t n, uint64_t seed, draw *one) {
    ft_view view = ft_plan_value(p, v, n);
    ft_rng r = ft_rng_stream(seed, (uint64_t)v.id);
    for (int64_t row = 0; view.p && row < ft_rows(&view); row++)
        for (int32_t k = 0; k < view.c; k++) view.p[row * view.ld + k] = (ft_real)one(&r);
}

void dag_feed(const dag *d, const ft_plan *p, int32_t n, uint64_t seed) {
    feed(p, d->image, n, seed, ft_rng_normal);
    feed(p, d->labels, n, seed, draw_class);
    feed(p, d->numbers, n, seed, ft_rng_normal);
    feed(p, d->flags, n, seed, draw_flag);
}

static void *grown(void *p, size_t bytes) {
    p = realloc(p, bytes);
    ck_assert_ptr_nonnull(p);
    return p;
}

static void record(dag_record *r, const char *kind, const char *name, const ft_view *v) {
    int64_t n = ft_rows(v) * v->c, at = r->n_numbers;
    bool finite = true;
    r->parts = grown(r->parts, (size_t)(r->n_parts + 1) * sizeof *r->parts);
    r->numbers = grown(r->numbers, (size_t)(at + n) * sizeof *r->numbers);
    dag_part *part = &r->parts[r->n_parts++];
    *part = (dag_part){.at = at, .n = n};
    snprintf(part->what, sizeof part->what, "%s %s", kind, name);
    r->n_numbers += n;
    for (int64_t row = 0; row < ft_rows(v); row++)
        for (int32_t k = 0; k < v->c; k++, at++) {
            r->numbers[at] = v->p[row * v->ld + k];
            finite = finite && isfinite(r->numbers[at]); /* Check writes a file at every assertion */
        }
    ck_assert_msg(finite, "%s is not finite", part->what);
}

static void record_gradients(const dag *d, const ft_plan *p, dag_record *r) {
    for (int32_t i = 0; i < ft_graph_n_params(d->g); i++) {
        const ft_param *param = ft_graph_param(d->g, i);
        ft_view v = {ft_plan_grad(p, param), 1, 1, 1, (int32_t)ft_shape_size(param->shape), 0};
        if (v.p) record(r, "the gradient of", param->name, &v);
    }
}

dag_record dag_gradients(const dag *d, const ft_plan *p) {
    dag_record r = {0};
    record_gradients(d, p, &r);
    return r;
}

dag_record dag_run(dag *d, ft_plan *p, int32_t n, bool training) {
    dag_reset(d);
    dag_feed(d, p, n, d->seed);
    ft_plan_forward(p, n, d->seed);
    if (training) ft_plan_backward(p, 1, false);
    dag_record r = {0};
    for (int32_t i = 0; i < d->n_losses + d->n_outputs; i++) {
        ft_val v = i < d->n_losses ? d->losses[i] : d->outputs[i - d->n_losses];
        ft_view view = ft_plan_value(p, v, n);
        ck_assert_msg(view.p != NULL, "network %d: %s is not readable", (int)d->seed, ft_val_name(d->g, v));
        record(&r, "the value of", ft_val_name(d->g, v), &view);
    }
    if (training) record_gradients(d, p, &r);
    for (int32_t i = 0; i < ft_graph_n_params(d->g); i++) {
        const ft_param *param = ft_graph_param(d->g, i);
        ft_view v = {param->p, 1, 1, 1, (int32_t)ft_shape_size(param->shape), 0};
        record(&r, "parameter", param->name, &v);
    }
    return r;
}

void dag_record_free(dag_record *r) {
    free(r->parts);
    free(r->numbers);
    *r = (dag_record){0};
}

static void expect_part(const dag *d, const char *what, const dag_part *part, const ft_real *got,
                        const ft_real *want, double tolerance) {
    double error = 0, norm2 = 0;
    for (int64_t i = 0; i < part->n; i++) {
        error += pow((double)got[i] - (double)want[i], 2);
        norm2 += pow((double)want[i], 2);
    }
    bool same = memcmp(got, want, (size_t)part->n * sizeof *got) == 0;
    bool near = sqrt(error) <= tolerance * (sqrt(norm2) + 0.1); /* some gradients are nothing but rounding */
    ck_assert_msg(same || (tolerance > 0 && near), "network %d, %s: %s is off by %.3g of %.3g", (int)d->seed,
                  what, part->what, sqrt(error), sqrt(norm2));
}

void dag_expect(const dag *d, const char *what, dag_record got, const dag_record *want, double tolerance) {
    ck_assert_msg(got.n_parts == want->n_parts, "network %d, %s: %d results, not %d", (int)d->seed, what,
                  got.n_parts, want->n_parts);
    for (int32_t i = 0; i < got.n_parts; i++) {
        const dag_part *a = &got.parts[i], *b = &want->parts[i];
        ck_assert_str_eq(a->what, b->what);
        ck_assert_int_eq(a->n, b->n);
        expect_part(d, what, b, got.numbers + a->at, want->numbers + b->at, tolerance);
    }
    dag_record_free(&got);
}

/* One convolution with all three passes, run as a plan would run it: for the tests of its algorithms. For use
 * inside a running test only: whatever goes wrong fails it.
 */
#ifndef FACET_TESTS_CONV_TESTING_H
#define FACET_TESTS_CONV_TESTING_H

#include "layers/conv_algorithm.h"
#include "layers/net.h"
#include "tensor/par.h"
#include "tensor/rng.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const ft_op ft_op_conv2d;

enum { CONV_PASSES = FT_CONV_WEIGHT_GRADIENT + 1, CONV_LANES = 3, CONV_MAX_GEOMETRIES = 128 };

static inline const char *conv_pass_name(int pass) {
    static const char *const names[CONV_PASSES] = {"forward", "input gradient", "weight gradient"};
    return names[pass];
}

static inline void *conv_alloc(size_t bytes) {
    void *p = aligned_alloc(64, (bytes + 64) / 64 * 64);
    ck_assert_ptr_nonnull(p);
    memset(p, 0xFF, bytes); /* not a number, for whoever reads what was not written */
    return p;
}

/* ---- geometries */

typedef struct conv_geometry {
    char name[64]; /* of the first node that has it */
    ft_conv_args args;
    ft_shape x, w, y;
} conv_geometry;

static inline bool conv_same_geometry(const conv_geometry *a, const conv_geometry *b) {
    return ft_shape_equal(a->x, b->x) && ft_shape_equal(a->w, b->w) &&
           memcmp(&a->args, &b->args, sizeof a->args) == 0;
}

static inline void conv_output_shape(conv_geometry *g) {
    ft_geometry geo;
    ck_assert_msg(ft_window_geometry(&g->args.win, g->x.h, g->x.w, &geo) == FT_OK, "%s", ft_err_message());
    g->y = (ft_shape){g->x.n, geo.oh, geo.ow, g->w.c};
}

static inline bool conv_is_fast(const conv_geometry *g, int pass) {
    return ft_conv_choose(&g->args, g->x, g->w, (ft_conv_pass)pass, false).mh > 0;
}
static inline bool conv_any_fast(const conv_geometry *g) {
    for (int pass = 0; pass < CONV_PASSES; pass++)
        if (conv_is_fast(g, pass)) return true;
    return false;
}

/* "F(4x4, 3x3) 32 -> 64 on 35 x 35". */
static inline const char *conv_text(const conv_geometry *g, int pass) {
    static char text[96];
    char name[32];
    ft_conv_algorithm_name(ft_conv_choose(&g->args, g->x, g->w, (ft_conv_pass)pass, false), &g->args, name);
    snprintf(text, sizeof text, "%s %d -> %d on %d x %d", name, g->x.c, g->w.c, g->x.h, g->x.w);
    return text;
}

static inline conv_geometry conv_of_node(const ft_graph *g, const ft_node_info *node, int32_t images) {
    conv_geometry c = {.x = ft_val_shape(g, node->in[0]), .w = ft_val_shape(g, node->in[1])};
    strncpy(c.name, node->name, sizeof c.name - 1);
    memcpy(&c.args, node->args, sizeof c.args);
    c.x.n = images;
    conv_output_shape(&c);
    return c;
}

/* The distinct convolutions of Inception-v3 that have any fast pass, maps cropped to most_side; returns how
 * many. */
static inline int conv_list_inception(conv_geometry out[CONV_MAX_GEOMETRIES], int32_t most_side) {
    const ft_net *net = ft_net_find("inception_v3");
    ft_graph *g;
    ft_val image;
    ft_net_outputs outputs;
    int n = 0;
    ck_assert_ptr_nonnull(net);
    ck_assert_int_eq(ft_graph_new(&g), FT_OK);
    ft_net_options o = {.image = {1, net->size, net->size, net->channels}};
    ck_assert_msg(ft_net_build(net, g, &o, &image, &outputs) == FT_OK, "%s", ft_err_message());
    for (int32_t i = 0; i < ft_graph_n_nodes(g); i++) {
        ft_node_info node = ft_graph_node(g, i);
        if (node.op != &ft_op_conv2d) continue;
        conv_geometry c = conv_of_node(g, &node, 1);
        if (!conv_any_fast(&c)) continue;
        c.x.h = c.x.h < most_side ? c.x.h : most_side;
        c.x.w = c.x.w < most_side ? c.x.w : most_side;
        c.x.n = c.x.h < 16 ? 2 : 1;
        conv_output_shape(&c);
        ck_assert_msg(conv_any_fast(&c), "%s: direct when cropped", node.name);
        int k = 0;
        while (k < n && !conv_same_geometry(&out[k], &c)) k++;
        if (k < n) continue;
        ck_assert_int_lt(n, CONV_MAX_GEOMETRIES);
        out[n++] = c;
    }
    ft_graph_free(g);
    return n;
}

/* ---- numbers */

typedef struct conv_sample {
    conv_geometry g;
    ft_real *x, *w, *dy;
} conv_sample;

static inline ft_real *conv_normals(ft_shape s, uint64_t seed, double scale, bool rectified) {
    ft_rng rng = ft_rng_stream(seed, 0);
    ft_real *p = conv_alloc((size_t)ft_shape_size(s) * sizeof *p);
    for (int64_t i = 0; i < ft_shape_size(s); i++) {
        double v = scale * ft_rng_normal(&rng);
        p[i] = (ft_real)(float)(rectified && v < 0 ? 0 : v);
    }
    return p;
}

/* Rectified noise as activations, He's weights, noise as the gradient. */
static inline conv_sample conv_noise(const conv_geometry *g, uint64_t seed) {
    double fan_in = (double)g->w.n * g->w.h * g->w.w;
    return (conv_sample){.g = *g,
                         .x = conv_normals(g->x, 3 * seed, 1, true),
                         .w = conv_normals(g->w, 3 * seed + 1, sqrt(2 / fan_in), false),
                         .dy = conv_normals(g->y, 3 * seed + 2, 1, false)};
}

static inline void conv_sample_free(conv_sample *s) {
    free(s->x);
    free(s->w);
    free(s->dy);
}

/* ---- running */

typedef struct conv_result {
    ft_real *pass[CONV_PASSES]; /* y, dx, dw */
    int64_t size[CONV_PASSES];
} conv_result;

static inline ft_view conv_view(ft_real *p, ft_shape s) {
    return (ft_view){.p = p, .n = s.n, .h = s.h, .w = s.w, .c = s.c, .ld = s.c};
}

static inline conv_result conv_result_new(const conv_geometry *g) {
    const ft_shape shapes[CONV_PASSES] = {g->y, g->x, g->w};
    conv_result r;
    for (int pass = 0; pass < CONV_PASSES; pass++) {
        r.size[pass] = ft_shape_size(shapes[pass]);
        r.pass[pass] = conv_alloc((size_t)r.size[pass] * sizeof(ft_real));
    }
    return r;
}
static inline void conv_result_free(conv_result *r) {
    for (int pass = 0; pass < CONV_PASSES; pass++) free(r->pass[pass]);
}
static inline bool conv_same_bits(const conv_result *a, const conv_result *b, int pass) {
    return memcmp(a->pass[pass], b->pass[pass], (size_t)a->size[pass] * sizeof(ft_real)) == 0;
}

static inline conv_result conv_run(const conv_sample *s, bool direct) {
    const conv_geometry *g = &s->g;
    const ft_op *op = &ft_op_conv2d;
    const ft_shape in_shape[3] = {g->x, g->w};
    ft_shape y_shape;
    ft_mem mem = {0};
    ft_build build = {in_shape, 2, &g->args, true, direct, ft_threads()};
    ck_assert_msg(op->shape(&build, &y_shape, &mem) == FT_OK, "%s", ft_err_message());
    ck_assert(ft_shape_equal(y_shape, g->y));
    conv_result r = conv_result_new(g);
    ft_view in[3] = {conv_view(s->x, g->x), conv_view(s->w, g->w)};
    ft_view y = conv_view(r.pass[FT_CONV_FORWARD], g->y), dy = conv_view(s->dy, g->y);
    ft_view din[3] = {conv_view(r.pass[FT_CONV_INPUT_GRADIENT], g->x),
                      conv_view(r.pass[FT_CONV_WEIGHT_GRADIENT], g->w)};
    const ft_real beta[3] = {0};
    ft_call call = {.in = in,
                    .out = &y,
                    .args = &g->args,
                    .n_in = 2,
                    .training = true,
                    .direct = direct,
                    .batch = g->x.n,
                    .lanes = ft_threads()};
    call.prepared = conv_alloc(mem.prepared);
    call.scratch = conv_alloc(mem.forward_scratch);
    op->prepare(&call);
    op->forward(&call);
    free(call.scratch);
    free(call.prepared);
    call.prepared = NULL;
    call.scratch = conv_alloc(mem.backward_scratch);
    call.dout = &dy;
    call.din = din;
    call.beta = beta;
    op->backward(&call);
    free(call.scratch);
    return r;
}

#endif

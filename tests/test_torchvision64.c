/* Inception-v3 as torchvision has it, both in float64: forward, both losses, the gradient of every parameter
 * and the statistics that a step moves. Runs golden/make_torchvision.py; without PyTorch and torchvision it
 * skips itself, and says so. (That its files can be read, and float32: test_torchvision.)
 */
#include "layers/net.h"
#include "tensor/plan.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BATCH = 4, CLASSES = 10, SIDE = 299, MOST = 4096 };
static const double tolerance = 1e-6; /* the momentum of statistics is a float */

typedef struct exact {
    char kind[16], name[128];
    int64_t dims[4], n;
    int rank;
    double *p;
} exact;

static exact *numbers;
static int n_numbers;

static void read_numbers(const char *folder) {
    char path[128], line[256];
    snprintf(path, sizeof path, "%s/exact.txt", folder);
    FILE *lines = fopen(path, "r");
    snprintf(path, sizeof path, "%s/exact.bin", folder);
    FILE *blob = fopen(path, "rb");
    numbers = calloc(MOST, sizeof *numbers);
    ck_assert(lines && blob && numbers);
    while (fgets(line, sizeof line, lines)) {
        ck_assert_int_lt(n_numbers, MOST);
        exact *e = &numbers[n_numbers++];
        int at = 0, more;
        ck_assert_int_eq(sscanf(line, "%15s %127s%n", e->kind, e->name, &at), 2);
        e->n = 1;
        for (long long dim; sscanf(line + at, "%lld%n", &dim, &more) == 1; at += more) {
            ck_assert_int_lt(e->rank, 4);
            e->dims[e->rank++] = dim;
            e->n *= dim;
        }
        e->p = malloc((size_t)(e->n + 1) * sizeof *e->p);
        ck_assert_uint_eq(fread(e->p, sizeof *e->p, (size_t)e->n, blob), (size_t)e->n);
    }
    fclose(lines);
    fclose(blob);
}

static const exact *find(const char *kind, const char *name) {
    for (int i = 0; i < n_numbers; i++)
        if (strcmp(numbers[i].kind, kind) == 0 && strcmp(numbers[i].name, name) == 0) return &numbers[i];
    ck_abort_msg("no %s %s", kind, name);
}

/* PyTorch's tensor for a parameter. */
static const exact *of_param(const char *kind, const ft_param *p) {
    static const char *const suffixes[][2] = {{"kernel", "weight"},
                                              {"bias", "bias"},
                                              {"gamma", "weight"},
                                              {"beta", "bias"},
                                              {"moving_mean", "running_mean"},
                                              {"moving_variance", "running_var"}};
    const char *leaf = strrchr(p->name, '/') + 1;
    char node[96], module[96], name[160];
    snprintf(node, sizeof node, "%.*s", (int)(leaf - p->name) - 1, p->name);
    ck_assert_msg(ft_net_find("inception_v3")->torch_name(node, module), "%s has no name", node);
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
        if (strcmp(leaf, suffixes[i][0]) == 0) snprintf(name, sizeof name, "%s.%s", module, suffixes[i][1]);
    return find(kind, name);
}

/* Number k of a parameter in PyTorch's order of axes: ours is (kh, kw, in, out), (in, out). */
static double at(const exact *e, int64_t k) {
    if (e->rank < 2) return e->p[k];
    int64_t out = e->dims[0], in = e->dims[1], taps = e->n / (out * in);
    int64_t o = k % out, i = k / out % in, tap = k / out / in;
    return e->p[(o * in + i) * taps + tap];
}

static void expect(const char *what, const ft_real *got, const exact *want) {
    double difference = 0, norm = 0;
    for (int64_t k = 0; k < want->n; k++) {
        double w = at(want, k), d = (double)got[k] - w;
        difference += d * d;
        norm += w * w;
    }
    double error = sqrt(difference / norm);
    ck_assert_msg(error <= tolerance, "%s: %.3g", what, error);
}

static void feed(const ft_view *x) {
    const exact *e = find("result", "x");
    int64_t area = (int64_t)x->h * x->w;
    for (int64_t n = 0; n < x->n; n++)
        for (int64_t i = 0; i < area; i++)
            for (int64_t c = 0; c < x->c; c++)
                x->p[(n * area + i) * x->ld + c] = (ft_real)e->p[(n * x->c + c) * area + i];
}

static ft_plan *compile(ft_graph *g, const ft_plan_spec *spec) {
    ft_plan *plan;
    ck_assert_msg(ft_compile(g, spec, &plan) == FT_OK, "%s", ft_err_message());
    return plan;
}

static void check_network(void) {
    ft_graph *g;
    ft_val image, labels;
    ft_net_outputs out;
    const ft_net_options o = {.image = {1, SIDE, SIDE, 3},
                              .classes = CLASSES,
                              .aux_head = true,
                              .count_padding = true,
                              .bn_momentum = 0.9f,
                              .bn_scale = true,
                              .bn_unbiased = true};
    ck_assert_int_eq(ft_graph_new(&g), FT_OK);
    ck_assert_msg(ft_net_build(ft_net_find("inception_v3"), g, &o, &image, &out) == FT_OK, "%s",
                  ft_err_message());
    for (int32_t i = 0; i < ft_graph_n_params(g); i++) {
        ft_param *p = ft_graph_param(g, i);
        const exact *e = of_param("weight", p);
        ck_assert_int_eq(e->n, ft_shape_size(p->shape));
        for (int64_t k = 0; k < e->n; k++) p->p[k] = (ft_real)at(e, k);
    }
    ft_graph_touch(g);
    ft_plan *infer = compile(g, &(ft_plan_spec){.batch = BATCH, .n_outputs = 1, .outputs = &out.logits});
    ft_view x = ft_plan_value(infer, image, BATCH);
    feed(&x);
    ft_plan_forward(infer, BATCH, 0);
    const exact *logits = find("result", "logits");
    exact flat = *logits; /* its rows are ours */
    flat.rank = 1;
    expect("logits", ft_plan_value(infer, out.logits, BATCH).p, &flat);
    ft_plan_free(infer);

    labels = ft_input(g, "labels", (ft_shape){1, 1, 1, 1});
    ft_plan_spec spec = {.batch = BATCH, .training = true, .n_losses = 2, .loss_weights = {1, (ft_real)0.4}};
    spec.losses[0] = ft_softmax_cross_entropy(g, out.logits, labels, NULL);
    spec.losses[1] = ft_softmax_cross_entropy(g, out.aux_logits, labels, NULL);
    ft_plan *train = compile(g, &spec);
    x = ft_plan_value(train, image, BATCH);
    feed(&x);
    for (int i = 0; i < BATCH; i++)
        ft_plan_value(train, labels, BATCH).p[i] = (ft_real)find("result", "labels")->p[i];
    ft_plan_forward(train, BATCH, 0);
    ft_real loss = ft_plan_value(train, spec.losses[0], BATCH).p[0] +
                   (ft_real)0.4 * ft_plan_value(train, spec.losses[1], BATCH).p[0];
    expect("loss", &loss, find("result", "loss"));
    ft_plan_backward(train, 1, false);
    for (int32_t i = 0; i < ft_graph_n_params(g); i++) {
        const ft_param *p = ft_graph_param(g, i);
        bool trained = p->flags & FT_TRAINABLE;
        expect(p->name, trained ? ft_plan_grad(train, p) : p->p, of_param(trained ? "gradient" : "after", p));
    }
    ft_plan_free(train);
    ft_graph_free(g);
}

START_TEST(the_whole_network) {
    char folder[64] = "/tmp/facet-torchvision-XXXXXX", command[512];
    if (system("/usr/bin/python3 -c 'import torch, torchvision' 2>/dev/null") != 0) {
        printf("skipped: there is no PyTorch with torchvision\n");
        return;
    }
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(command, sizeof command, "/usr/bin/python3 -W ignore tests/golden/make_torchvision.py %s",
             folder);
    ck_assert_int_eq(system(command), 0);
    read_numbers(folder);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
    check_network();
    for (int i = 0; i < n_numbers; i++) free(numbers[i].p);
    free(numbers);
}
END_TEST

int main(void) {
    Suite *s = suite_create("torchvision64");
    TCase *t = tcase_create("torchvision64");
    tcase_set_timeout(t, 1200);
    tcase_add_test(t, the_whole_network);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

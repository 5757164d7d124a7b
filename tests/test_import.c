/* Imported weights give the numbers they give elsewhere: every activation that an independent implementation
 * wrote down for a real Inception-v3, within 1e-5; and what is known to go wrong with imports is seen here,
 * by as much as is known. Needs ../shared/data (or FACET_SHARED); what it does not find it skips, and says
 * so. The tool's part needs nothing.
 */
#include "tensor/plan.h"
#include "tests/tool_testing.h"
#include "train/checkpoint.h"
#include "train/import.h"
#include "train/weight_map.h"

#include <hdf5.h>
#include <math.h>

static char shared[512];

static void setup(void) {
    char here[256];
    const char *named = getenv("FACET_SHARED");
    ck_assert_ptr_nonnull(getcwd(here, sizeof here));
    snprintf(shared, sizeof shared, "%s%s", named ? named : here, named ? "" : "/../shared");
    tool_setup();
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

static bool here(const char *name, char path[1024]) {
    snprintf(path, 1024, "%s/data/%s", shared, name);
    if (access(path, R_OK) == 0) return true;
    printf("skipped: there is no %s\n", path);
    return false;
}

/* ---- the reference ---- */

enum { IMAGES = 5, IMAGE_FLOATS = 299 * 299 * 3, FEATURES = 2048 };

static hid_t reference_file = -1;

/* A dataset of the reference, in new memory. */
static float *reference(const char *name, int64_t n) {
    float *p = malloc((size_t)n * sizeof *p);
    hid_t d = H5Dopen2(reference_file, name, H5P_DEFAULT), space = H5Dget_space(d);
    ck_assert_msg(p && d >= 0, "no %s", name);
    ck_assert_int_eq(H5Sget_simple_extent_npoints(space), n);
    ck_assert(H5Dread(d, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, p) >= 0);
    H5Sclose(space);
    H5Dclose(d);
    return p;
}

/* The features as float64 has them. */
static double *truth(void) {
    double *p = malloc(IMAGES * FEATURES * sizeof *p);
    hid_t d = H5Dopen2(reference_file, "torch_f64/flatten_1", H5P_DEFAULT);
    ck_assert(p && d >= 0 && H5Dread(d, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, p) >= 0);
    H5Dclose(d);
    return p;
}

static double relative(const float *got, const float *want, const double *want64, int64_t n) {
    double difference = 0, norm = 0;
    for (int64_t i = 0; i < n; i++) {
        double w = want64 ? want64[i] : (double)want[i], d = (double)got[i] - w;
        difference += d * d;
        norm += w * w;
    }
    return sqrt(difference / norm);
}

/* The network with the real weights; what is wrong with it, if anything, is in o. */
static ft_model *real_model(ft_net_options o) {
    char path[1024];
    ft_weight_file *f;
    ft_weight_report r;
    ft_model *m;
    const ft_preprocess image = {.h = 299, .w = 299, .c = 3, .normalize = FT_NORMALIZE_UNIT};
    ck_assert(here("weights/inception_v3_keras.h5", path));
    ck_assert_msg(ft_weight_file_read(path, FT_WEIGHTS_AUTO, &f) == FT_OK, "%s", ft_err_message());
    ck_assert_int_eq(ft_model_new("inception_v3", &o, &image, NULL, &m), FT_OK);
    ck_assert_msg(ft_weights_apply(f, m, &(ft_weight_map_options){.include_top = false}, &r) == FT_OK, "%s",
                  ft_err_message());
    ck_assert_int_eq(r.count[FT_WEIGHT_MATCHED], 376);
    ck_assert_int_eq(r.count[FT_WEIGHT_LEFT_OUT], 6);
    ck_assert_int_eq(r.n, 382);
    ck_assert(r.names_checked);
    ft_weight_report_free(&r);
    ft_weight_file_free(f);
    return m;
}

/* Nodes and what the reference calls them; the features last. */
static const struct {
    const char *node, *name;
    bool all; /* images; else the first and the last */
} points[] = {{"activation_1", "activation_1", false},
              {"maxpool_2", "max_pooling2d_2", false},
              {"mixed0", "mixed0", false},
              {"mixed2", "mixed2", false},
              {"mixed3", "mixed3", false},
              {"mixed7", "mixed7", false},
              {"mixed8", "mixed8", false},
              {"mixed9", "mixed9", false},
              {"mixed10", "mixed10", false},
              {"avg_pool", "flatten_1", true}};
enum { POINTS = sizeof points / sizeof *points };

typedef struct run {
    float *got[POINTS]; /* of all images */
    int64_t floats[POINTS];
} run;

static run run_model(ft_model *m, bool direct, float scale, float shift) {
    run r = {.got = {NULL}};
    ft_val outputs[POINTS];
    ft_plan *plan;
    float *inputs = reference("inputs", (int64_t)IMAGES * IMAGE_FLOATS);
    for (int i = 0; i < POINTS; i++) {
        outputs[i] = ft_graph_find(m->g, points[i].node);
        ck_assert_msg(outputs[i].id > 0, "no node %s", points[i].node);
        r.floats[i] = ft_shape_size(ft_val_shape(m->g, outputs[i]));
        r.got[i] = malloc((size_t)(IMAGES * r.floats[i]) * sizeof(float));
    }
    ft_plan_spec spec = {.batch = 1, .n_outputs = POINTS, .outputs = outputs, .direct = direct};
    ck_assert_msg(ft_compile(m->g, &spec, &plan) == FT_OK, "%s", ft_err_message());
    for (int n = 0; n < IMAGES; n++) {
        ft_view x = ft_plan_value(plan, m->input, 1);
        for (int k = 0; k < IMAGE_FLOATS; k++) x.p[k] = inputs[n * IMAGE_FLOATS + k] * scale + shift;
        ft_plan_forward(plan, 1, 0);
        for (int i = 0; i < POINTS; i++)
            memcpy(r.got[i] + n * r.floats[i], ft_plan_value(plan, outputs[i], 1).p,
                   (size_t)r.floats[i] * sizeof(float));
    }
    ft_plan_free(plan);
    free(inputs);
    return r;
}

static void free_run(run *r) {
    for (int i = 0; i < POINTS; i++) free(r->got[i]);
}

/* Against the reference, in its own images. */
static double error_of(const run *r, int i) {
    char name[64];
    int64_t n = r->floats[i], images = points[i].all ? IMAGES : 2;
    snprintf(name, sizeof name, "activations/%s", points[i].name);
    float *want = reference(name, images * n), *got = malloc((size_t)(images * n) * sizeof *got);
    for (int64_t k = 0; k < images; k++)
        memcpy(got + k * n, r->got[i] + (points[i].all ? k : k * (IMAGES - 1)) * n, (size_t)n * sizeof *got);
    double error = relative(got, want, NULL, images * n);
    free(want);
    free(got);
    return error;
}

static bool open_reference(void) {
    char path[1024];
    if (!here("weights/inception_v3_keras.h5", path) || !here("reference/inception_v3_reference.h5", path))
        return false;
    reference_file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    ck_assert(reference_file >= 0);
    return true;
}

START_TEST(every_activation_is_the_reference_s) {
    if (!open_reference()) return;
    bool direct = _i;
    ft_model *m = real_model((ft_net_options){.classes = 0});
    run r = run_model(m, direct, 1, 0);
    for (int i = 0; i < POINTS; i++) {
        double error = error_of(&r, i);
        ck_assert_msg(error <= 1e-5, "%s: %.3g", points[i].name, error);
    }
    double *want = truth(), error = relative(r.got[POINTS - 1], NULL, want, IMAGES * FEATURES);
    ck_assert_msg(error <= (direct ? 5e-6 : 1e-5), "features: %.3g from those in float64", error);
    free(want);
    free_run(&r);
    ft_model_free(m);
    H5Fclose(reference_file);
}
END_TEST

/* The mistakes that users of such files know, and how far off the features of the photograph then are. */
static const struct {
    const char *what;
    ft_net_options o;
    bool swap;
    float scale, shift;
    double error;
} mistakes[] = {
    {.what = "average pools that count their padding",
     .o = {.count_padding = true},
     .scale = 1,
     .error = 0.193},
    {.what = "another epsilon in batch norms", .o = {.bn_epsilon = 1e-5f}, .scale = 1, .error = 0.018},
    {.what = "two inputs of a concat changed places", .swap = true, .scale = 1, .error = 0.82},
    {.what = "inputs in [-1, 1]", .scale = 2, .shift = -1, .error = 0.55},
};

/* As if the first two inputs of mixed4, 192 channels each, had changed places: whoever reads it reads them
 * so. */
static void swap_concat(ft_model *m) {
    static const char *const readers[] = {"conv2d_41", "conv2d_42", "conv2d_45", "conv2d_50"};
    for (int i = 0; i < 4; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s/kernel", readers[i]);
        ft_param *p = ft_graph_find_param(m->g, name);
        ck_assert(p && p->shape.w == 768);
        for (int64_t k = 0; k < 192 * (int64_t)p->shape.c; k++) {
            float x = p->p[k];
            p->p[k] = p->p[192 * p->shape.c + k];
            p->p[192 * p->shape.c + k] = x;
        }
    }
}

START_TEST(mistakes_are_seen) {
    if (!open_reference()) return;
    ft_model *m = real_model(mistakes[_i].o);
    if (mistakes[_i].swap) swap_concat(m);
    run r = run_model(m, false, mistakes[_i].scale, mistakes[_i].shift);
    float *want = reference("activations/flatten_1", IMAGES * FEATURES);
    const int64_t photograph = (IMAGES - 1) * FEATURES;
    double error = relative(r.got[POINTS - 1] + photograph, want + photograph, NULL, FEATURES);
    double known = mistakes[_i].error;
    free(want);
    ck_assert_msg(fabs(error - known) <= 0.01 * known, "%s: %.4g, which is known to be %.3g",
                  mistakes[_i].what, error, known);
    free_run(&r);
    ft_model_free(m);
    H5Fclose(reference_file);
}
END_TEST

/* ---- the tool ---- */

START_TEST(a_real_file_by_the_tool) {
    char path[1024];
    if (!here("weights/inception_v3_keras.h5", path)) return;
    tool_run *r =
        tool("ft-model import keras '%s' --arch inception_v3 --no-top --normalize unit --to m.h5", path);
    assert_ends(r, 0);
    assert_has(r->out, "382 tensors: 376 matched, 6 left out");
    assert_has(r->out, "dense_1/kernel:0 (2048,256)");
    assert_has(r->out, "do not count");
    r = tool("ft-model import keras '%s' --arch inception_v3", path);
    assert_ends(r, 3);
    assert_has(r->err, "--no-top");
    r = tool("ft-model summary m.h5");
    assert_ends(r, 0);
    assert_has(r->out, "21,802,784");
    assert_ends(tool("ft-model export m.h5 --to back.h5"), 0);
    r = tool(
        "ft-model import auto back.h5 --arch inception_v3 --no-top --normalize unit --to again.h5 --all");
    assert_ends(r, 0);
    assert_has(r->out, "conv2d_94/kernel");
    ft_model *a, *b;
    ck_assert_int_eq(ft_checkpoint_read_model("m.h5", &a), FT_OK);
    ck_assert_int_eq(ft_checkpoint_read_model("again.h5", &b), FT_OK);
    for (int32_t i = 0; i < ft_graph_n_params(a->g); i++) {
        const ft_param *p = ft_graph_param(a->g, i), *q = ft_graph_param(b->g, i);
        ck_assert_mem_eq(p->p, q->p, (size_t)ft_shape_size(p->shape) * sizeof *p->p);
    }
    ft_model_free(a);
    ft_model_free(b);
    char command[1200];
    snprintf(command, sizeof command, "head -c 9000000 '%s' >cut.h5", path);
    ck_assert_int_eq(system(command), 0);
    assert_fails(tool("ft-model import keras cut.h5 --arch inception_v3 --no-top --to cut_model.h5"), 3,
                 "cut off or damaged");
    ck_assert_int_ne(access("cut_model.h5", F_OK), 0);
    r = tool("ft-model import keras back.h5 --arch inception_mini --no-top --to other.h5");
    assert_ends(r, 3);
    assert_has(r->err, "another network");
}
END_TEST

/* A small network of our own, for what needs no data. */
static void make_model(const char *path) {
    static const char *const names[] = {"cat", "dog", "eel"};
    const ft_net_options o = {.classes = 3, .width = 1};
    const ft_preprocess image = {.h = 28, .w = 28, .c = 3, .normalize = FT_NORMALIZE_UNIT};
    ft_model *m;
    ck_assert_int_eq(ft_model_new("inception_mini", &o, &image, names, &m), FT_OK);
    ft_graph_init(m->g, 8);
    ck_assert_msg(ft_checkpoint_write(path, m, NULL) == FT_OK, "%s", ft_err_message());
    ft_model_free(m);
}

static void assert_same_bits(const char *a_path, const char *b_path) {
    ft_model *a, *b;
    ck_assert_msg(ft_checkpoint_read_model(a_path, &a) == FT_OK, "%s", ft_err_message());
    ck_assert_msg(ft_checkpoint_read_model(b_path, &b) == FT_OK, "%s", ft_err_message());
    for (int32_t i = 0; i < ft_graph_n_params(a->g); i++) {
        const ft_param *p = ft_graph_param(a->g, i), *q = ft_graph_param(b->g, i);
        ck_assert_mem_eq(p->p, q->p, (size_t)ft_shape_size(p->shape) * sizeof *p->p);
    }
    ft_model_free(a);
    ft_model_free(b);
}

START_TEST(there_and_back_by_the_tool) {
    static const char *const files[] = {"m.h5", "k.h5", "k.safetensors"};
    make_model(files[0]);
    for (int i = 1; i < 3; i++) {
        assert_ends(tool("ft-model export m.h5 --to %s", files[i]), 0);
        FILE *names = fopen("names.txt", "w");
        fputs("cat\ndog\neel\n", names);
        fclose(names);
        tool_run *r = tool("ft-model import auto %s --arch inception_mini --size 28 --normalize unit "
                           "--class-names names.txt "
                           "--to back.h5",
                           files[i]);
        assert_ends(r, 0);
        assert_has(r->out, "122 matched");
        assert_same_bits("m.h5", "back.h5");
        assert_ends(tool("ft-model summary back.h5"), 0);
    }
}
END_TEST

START_TEST(mistakes_by_the_tool) {
    make_model("m.h5");
    assert_ends(tool("ft-model export m.h5 --to k.safetensors"), 0);
    assert_fails(tool("ft-model import auto k.safetensors"), 2, "--arch");
    assert_fails(tool("ft-model import auto k.safetensors --arch inception_v9"), 2, "inception_v3");
    assert_fails(tool("ft-model import onnx k.safetensors --arch inception_mini"), 2, "safetensors");
    assert_fails(tool("ft-model import keras k.safetensors --arch inception_mini"), 3, "safetensors");
    assert_fails(tool("ft-model import auto missing.h5 --arch inception_mini"), 3, "missing.h5");
    assert_fails(tool("ft-model import auto k.safetensors --arch inception_mini --class-names m.h5"), 3,
                 "m.h5");
    assert_fails(tool("ft-model export m.h5"), 2, "--to");
    assert_fails(tool("ft-model export m.h5 --to x.onnx"), 2, "--format");
    assert_fails(tool("ft-model export k.safetensors --to x.h5"), 3, "k.safetensors");
    assert_fails(tool("ft-model export m.h5 --to missing/x.h5"), 5, "missing/x.h5");
}
END_TEST

int main(void) {
    Suite *s = suite_create("import");
    TCase *t = tcase_create("import");
    tcase_set_timeout(t, 600);
    tcase_add_checked_fixture(t, setup, tool_teardown);
    tcase_add_loop_test(t, every_activation_is_the_reference_s, 0, 2);
    tcase_add_loop_test(t, mistakes_are_seen, 0, sizeof mistakes / sizeof *mistakes);
    tcase_add_test(t, a_real_file_by_the_tool);
    tcase_add_test(t, there_and_back_by_the_tool);
    tcase_add_test(t, mistakes_by_the_tool);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* ft-predict, run as a program on a small model with random weights. */
#include "tests/tool_testing.h"
#include "train/checkpoint.h"

#include <hdf5.h>
#include <jansson.h>
#include <math.h>

enum { SIDE = 28, PIXELS = SIDE * SIDE, IMAGES = 5, CLASSES = 3, UNITS = 84 };
static const char *const class_names[CLASSES] = {"cat", "dog \"the\" second", "\xc3\xa9l\xc3\xa9phant"};

static uint8_t pixel(int32_t image, int32_t i) {
    return (uint8_t)(((uint32_t)(image + 1) * 2654435761u * (uint32_t)(i + 17)) >> 24);
}

/* A dataset of float32 as NumPy's users make them; packed: compressed. */
static void write_floats(const char *path, const char *name, int rank, const hsize_t dims[], const float *p,
                         bool packed) {
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hid_t space = H5Screate_simple(rank, dims, NULL), how = H5Pcreate(H5P_DATASET_CREATE);
    if (packed) ck_assert(H5Pset_chunk(how, rank, dims) >= 0 && H5Pset_deflate(how, 4) >= 0);
    hid_t d = H5Dcreate2(file, name, H5T_IEEE_F32LE, space, H5P_DEFAULT, how, H5P_DEFAULT);
    ck_assert(H5Dwrite(d, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, p) >= 0);
    H5Dclose(d);
    H5Pclose(how);
    H5Sclose(space);
    ck_assert(H5Fclose(file) >= 0);
}

static void read_floats(const char *path, const char *name, const hsize_t want[4], float *p) {
    hsize_t dims[4] = {0};
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT), d = H5Dopen2(file, name, H5P_DEFAULT);
    ck_assert_msg(d >= 0, "no %s in %s", name, path);
    hid_t space = H5Dget_space(d), type = H5Dget_type(d);
    ck_assert_int_eq(H5Sget_simple_extent_dims(space, dims, NULL), 4);
    for (int i = 0; i < 4; i++) ck_assert_int_eq((int)dims[i], (int)want[i]);
    ck_assert(H5Tequal(type, H5T_IEEE_F32LE) > 0);
    ck_assert(H5Dread(d, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, p) >= 0);
    H5Tclose(type);
    H5Sclose(space);
    H5Dclose(d);
    H5Fclose(file);
}

static ft_model *make_model(int32_t classes) {
    const ft_preprocess image = {.h = SIDE, .w = SIDE, .c = 1, .normalize = FT_NORMALIZE_UNIT};
    ft_model *m;
    ck_assert(ft_model_new("lenet", &(ft_net_options){.classes = classes}, &image, class_names, &m) == FT_OK);
    ft_graph_init(m->g, 7);
    return m;
}

/* model.h5, 0.pgm ... 4.pgm, and the same pixels as x.h5:/group/x */
static void setup(void) {
    tool_setup();
    ft_model *m = make_model(CLASSES);
    ck_assert_msg(ft_checkpoint_write("model.h5", m, NULL) == FT_OK, "%s", ft_err_message());
    ft_model_free(m);
    float *x = malloc(sizeof(float) * IMAGES * PIXELS);
    for (int32_t k = 0; k < IMAGES; k++) {
        char name[16];
        snprintf(name, sizeof name, "%d.pgm", k);
        FILE *f = fopen(name, "wb");
        fprintf(f, "P5 %d %d 255\n", SIDE, SIDE);
        for (int32_t i = 0; i < PIXELS; i++) {
            fputc(pixel(k, i), f);
            x[k * PIXELS + i] = (float)pixel(k, i) / 255.0f;
        }
        ck_assert_int_eq(fclose(f), 0);
    }
    write_floats("x.h5", "x", 4, (hsize_t[]){IMAGES, SIDE, SIDE, 1}, x, false);
    write_floats("packed.h5", "x", 4, (hsize_t[]){IMAGES, SIDE, SIDE, 1}, x, true);
    write_floats("one.h5", "x", 3, (hsize_t[]){SIDE, SIDE, 1}, x + 2 * PIXELS, false);
    free(x);
}

/* Line i of a run's output. */
static json_t *line(const tool_run *r, int i) {
    const char *at = r->out;
    while (i-- > 0) {
        at = strchr(at, '\n');
        ck_assert_ptr_nonnull(at++);
    }
    json_error_t error;
    json_t *o = json_loadb(at, strcspn(at, "\n"), 0, &error);
    ck_assert_msg(o != NULL, "%s in: %s", error.text, at);
    return o;
}
static int count_lines(const tool_run *r) {
    int n = 0;
    for (const char *c = r->out; *c; c++) n += *c == '\n';
    return n;
}

/* The probabilities in line i, in the order of the classes; checks what else the line says of them. */
static void probabilities(const tool_run *r, int i, double p[CLASSES]) {
    json_t *o = line(r, i), *all = json_object_get(o, "probabilities");
    ck_assert_int_eq((int)json_object_size(all), CLASSES);
    int best = 0;
    double sum = 0;
    for (int k = 0; k < CLASSES; k++) {
        json_t *x = json_object_get(all, class_names[k]);
        ck_assert(json_is_number(x));
        sum += p[k] = json_number_value(x);
        if (p[k] > p[best]) best = k;
    }
    ck_assert(fabs(sum - 1) <= 1e-6);
    ck_assert_str_eq(json_string_value(json_object_get(o, "class")), class_names[best]);
    ck_assert_double_eq(json_number_value(json_object_get(o, "probability")), p[best]);
    json_decref(o);
}

static void assert_same(const double a[CLASSES], const double b[CLASSES]) {
    for (int k = 0; k < CLASSES; k++) ck_assert_msg(fabs(a[k] - b[k]) <= 1e-6, "%g and %g", a[k], b[k]);
}

/* ---- what comes out ---- */

/* Softmax of a dense layer on the dumped features, worked out here in double. */
START_TEST(probabilities_follow_from_the_features) {
    tool_run *r = tool("ft-predict model.h5 0.pgm 1.pgm 2.pgm 3.pgm 4.pgm --dump tanh_4,predictions "
                       "--to out.h5 --batch 2");
    assert_ends(r, 0);
    ck_assert_str_eq(r->err, "");
    ck_assert_int_eq(count_lines(r), IMAGES);
    float f[IMAGES][UNITS], logits[IMAGES][CLASSES];
    read_floats("out.h5", "tanh_4", (hsize_t[]){IMAGES, 1, 1, UNITS}, f[0]);
    read_floats("out.h5", "predictions", (hsize_t[]){IMAGES, 1, 1, CLASSES}, logits[0]);
    ft_model *m = make_model(CLASSES);
    const ft_param *kernel = ft_graph_find_param(m->g, "predictions/kernel");
    for (int i = 0; i < IMAGES; i++) {
        double z[CLASSES], sum = 0, p[CLASSES], want[CLASSES];
        for (int k = 0; k < CLASSES; k++) {
            z[k] = 0; /* biases start at zero */
            for (int j = 0; j < UNITS; j++) z[k] += (double)f[i][j] * (double)kernel->p[j * CLASSES + k];
            ck_assert(fabs(z[k] - (double)logits[i][k]) <= 1e-5);
            sum += exp(z[k]);
        }
        for (int k = 0; k < CLASSES; k++) want[k] = exp(z[k]) / sum;
        probabilities(r, i, p);
        assert_same(p, want);
        json_t *o = line(r, i);
        ck_assert_int_eq(json_string_value(json_object_get(o, "file"))[0], '0' + i);
        json_decref(o);
    }
    ft_model_free(m);
}
END_TEST

START_TEST(dumped_probabilities_are_those_printed) {
    tool_run *r =
        tool("ft-predict model.h5 --tensor x.h5:/x --dump probabilities,image --to out.h5 --batch 3");
    assert_ends(r, 0);
    float p[IMAGES][CLASSES], x[IMAGES][PIXELS];
    read_floats("out.h5", "probabilities", (hsize_t[]){IMAGES, 1, 1, CLASSES}, p[0]);
    read_floats("out.h5", "image", (hsize_t[]){IMAGES, SIDE, SIDE, 1}, x[0]);
    for (int i = 0; i < IMAGES; i++) {
        double printed[CLASSES];
        probabilities(r, i, printed);
        for (int k = 0; k < CLASSES; k++) ck_assert((float)printed[k] == p[i][k]);
        for (int k = 0; k < PIXELS; k++) ck_assert(x[i][k] == (float)pixel(i, k) / 255.0f);
        json_t *o = line(r, i);
        ck_assert_int_eq((int)json_integer_value(json_object_get(o, "sample")), i);
        json_decref(o);
    }
}
END_TEST

/* What a network of convolutions that Winograd takes gives for 0.pgm at `node`, with such a configuration. */
static float *features_with(const char *config, const char *node, const hsize_t shape[4]) {
    const ft_preprocess image = {.h = SIDE, .w = SIDE, .c = 1, .normalize = FT_NORMALIZE_UNIT};
    ft_model *m;
    ck_assert(ft_model_new("inception_mini", &(ft_net_options){.classes = CLASSES}, &image, class_names,
                           &m) == FT_OK);
    ft_graph_init(m->g, 7);
    if (config) ck_assert_ptr_nonnull(m->config = strdup(config));
    ck_assert_msg(ft_checkpoint_write("mini.h5", m, NULL) == FT_OK, "%s", ft_err_message());
    ft_model_free(m);
    assert_ends(tool("ft-predict mini.h5 0.pgm --dump %s --to mini_out.h5", node), 0);
    float *p = malloc(sizeof *p * (size_t)(shape[0] * shape[1] * shape[2] * shape[3]));
    read_floats("mini_out.h5", node, shape, p);
    return p;
}

START_TEST(kernels_are_those_of_the_training) {
    const hsize_t shape[4] = {1, 7, 7, 208};
    const int n = 7 * 7 * 208;
    float *none = features_with(NULL, "mixed2", shape),
          *fast = features_with("kernels: auto\n", "mixed2", shape);
    float *direct = features_with("kernels: direct\n", "mixed2", shape);
    double off = 0, norm = 0;
    for (int i = 0; i < n; i++) {
        off += pow((double)direct[i] - (double)fast[i], 2);
        norm += pow((double)direct[i], 2);
    }
    ck_assert_mem_eq(none, fast, sizeof *none * (size_t)n);
    ck_assert_msg(off > 0 && off < 1e-10 * norm, "direct kernels move features of norm %g by %g", sqrt(norm),
                  sqrt(off));
    free(none);
    free(fast);
    free(direct);
}
END_TEST

START_TEST(every_way_in_gives_the_same) {
    double want[IMAGES][CLASSES], p[CLASSES];
    tool_run *r = tool("ft-predict model.h5 --tensor x.h5:/x");
    for (int i = 0; i < IMAGES; i++) probabilities(r, i, want[i]);
    ck_assert(fabs(want[0][0] - want[1][0]) > 1e-4); /* the images differ, so a mix-up would show */
    static const char *const ways[] = {
        "0.pgm 1.pgm 2.pgm 3.pgm 4.pgm",
        "--batch 1 0.pgm 1.pgm 2.pgm 3.pgm 4.pgm",
        "--batch 4 --threads 1 0.pgm 1.pgm 2.pgm 3.pgm 4.pgm",
        "--tensor x.h5:x --batch 2",
        "--tensor packed.h5:/x --batch 2",
    };
    for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
        r = tool("ft-predict model.h5 %s", ways[w]);
        assert_ends(r, 0);
        for (int i = 0; i < IMAGES; i++) {
            probabilities(r, i, p);
            assert_same(p, want[i]);
        }
    }
    r = tool("ft-predict model.h5 --tensor one.h5:/x");
    ck_assert_int_eq(count_lines(r), 1);
    probabilities(r, 0, p);
    assert_same(p, want[2]);
}
END_TEST

START_TEST(top_keeps_the_largest) {
    double all[CLASSES], largest = 0;
    probabilities(tool("ft-predict model.h5 3.pgm"), 0, all);
    for (int k = 0; k < CLASSES; k++) largest = all[k] > largest ? all[k] : largest;
    json_t *o = line(tool("ft-predict model.h5 3.pgm --top 1"), 0);
    const json_t *top = json_object_get(o, "probabilities");
    ck_assert_int_eq((int)json_object_size(top), 1);
    const json_t *x = json_object_get(top, json_string_value(json_object_get(o, "class")));
    ck_assert_double_eq(json_number_value(x), largest);
    json_decref(o);
    probabilities(tool("ft-predict model.h5 3.pgm --top 100"), 0, all);
}
END_TEST

START_TEST(a_model_without_classes_gives_features) {
    ft_model *m = make_model(0);
    ck_assert(ft_checkpoint_write("headless.h5", m, NULL) == FT_OK);
    ft_model_free(m);
    assert_fails(tool("ft-predict headless.h5 0.pgm"), 2,
                 "no classifier: name nodes to dump, such as tanh_4");
    tool_run *r = tool("ft-predict headless.h5 0.pgm --dump tanh_4 --to out.h5");
    assert_ends(r, 0);
    ck_assert_str_eq(r->out, "{\"file\": \"0.pgm\"}\n");
    float f[UNITS];
    read_floats("out.h5", "tanh_4", (hsize_t[]){1, 1, 1, UNITS}, f);
}
END_TEST

/* ---- what goes wrong ---- */

START_TEST(bad_images_do_not_stop_the_others) {
    FILE *f = fopen("bad.jpg", "w");
    ck_assert(f && fputs("no picture", f) >= 0 && fclose(f) == 0);
    double want[2][CLASSES], p[CLASSES];
    tool_run *r = tool("ft-predict model.h5 0.pgm 1.pgm");
    probabilities(r, 0, want[0]);
    probabilities(r, 1, want[1]);
    r = tool("ft-predict model.h5 bad.jpg 0.pgm gone.png 1.pgm --dump probabilities --to out.h5 --batch 3");
    assert_ends(r, 3);
    ck_assert_int_eq(count_lines(r), 4);
    static const char *const files[] = {"bad.jpg", "gone.png"};
    for (int i = 0; i < 2; i++) {
        json_t *o = line(r, 2 * i);
        ck_assert_str_eq(json_string_value(json_object_get(o, "file")), files[i]);
        const char *message = json_string_value(json_object_get(o, "error"));
        ck_assert_ptr_nonnull(message);
        assert_has(message, files[i]);
        assert_has(r->err, message);
        ck_assert_ptr_null(json_object_get(o, "class"));
        json_decref(o);
        probabilities(r, 2 * i + 1, p);
        assert_same(p, want[i]);
    }
    float dumped[2][CLASSES];
    read_floats("out.h5", "probabilities", (hsize_t[]){2, 1, 1, CLASSES}, dumped[0]);
    for (int k = 0; k < CLASSES; k++) ck_assert(fabs((double)dumped[1][k] - want[1][k]) <= 1e-6);
    r = tool("ft-predict model.h5 bad.jpg --dump probabilities --to none.h5");
    assert_ends(r, 3);
    ck_assert_int_ne(access("none.h5", F_OK), 0);
}
END_TEST

START_TEST(samples_that_are_no_numbers_are_told) {
    float *x = calloc(2 * PIXELS, sizeof *x);
    x[3] = NAN;
    write_floats("nan.h5", "x", 4, (hsize_t[]){2, SIDE, SIDE, 1}, x, false);
    free(x);
    tool_run *r = tool("ft-predict model.h5 --tensor nan.h5:/x");
    assert_ends(r, 4);
    assert_has(r->err, "not numbers");
    json_t *o = line(r, 0);
    ck_assert(json_is_string(json_object_get(o, "error")));
    json_decref(o);
    double p[CLASSES];
    probabilities(r, 1, p);
}
END_TEST

START_TEST(wrong_tensors_are_refused) {
    const float x[2 * 3 * 4 * 5] = {0};
    write_floats("small.h5", "x", 4, (hsize_t[]){2, 3, 4, 5}, x, false);
    write_floats("flat.h5", "x", 2, (hsize_t[]){2, 3}, x, false);
    assert_fails(
        tool("ft-predict model.h5 --tensor small.h5:/x"), 3,
        "small.h5:/x holds images of (3, 4, 5), height, width, channels; the model takes (28, 28, 1)");
    assert_fails(tool("ft-predict model.h5 --tensor flat.h5:/x"), 3, "has 2 dimensions");
    assert_fails(tool("ft-predict model.h5 --tensor x.h5:/y"), 3, "'x.h5' has no dataset '/y'");
    assert_fails(tool("ft-predict model.h5 --tensor model.h5:/class_names"), 3, "floating-point numbers");
    assert_fails(tool("ft-predict model.h5 --tensor 0.pgm:/x"), 3, "not an HDF5 file");
    assert_fails(tool("ft-predict model.h5 --tensor gone.h5:/x"), 3, "cannot open 'gone.h5'");
    assert_fails(tool("ft-predict model.h5 --tensor .:/x"), 3, "not a file");
    assert_fails(tool("ft-predict model.h5 --tensor x.h5"), 2, "FILE.h5:/dataset");
}
END_TEST

START_TEST(wrong_requests_are_refused) {
    assert_fails(tool("ft-predict gone.h5 0.pgm"), 3, "gone.h5");
    assert_fails(tool("ft-predict x.h5 0.pgm"), 3, "x.h5");
    assert_fails(tool("ft-predict model.h5"), 2, "nothing to predict");
    assert_fails(tool("ft-predict model.h5 0.pgm --tensor x.h5:/x"), 2, "one or the other");
    assert_fails(tool("ft-predict model.h5 0.pgm --dump tanh_1"), 2, "belong together");
    assert_fails(tool("ft-predict model.h5 0.pgm --to out.h5"), 2, "belong together");
    assert_fails(tool("ft-predict model.h5 0.pgm --dump tahn_1 --to out.h5"), 2,
                 "no node 'tahn_1'; did you mean tanh_1?");
    assert_fails(tool("ft-predict model.h5 0.pgm --dump quite-another --to out.h5"), 2, "ft-model summary");
    assert_fails(tool("ft-predict model.h5 0.pgm --dump c1,tanh_1,c1 --to out.h5"), 2, "'c1' is named twice");
    assert_fails(tool("ft-predict model.h5 0.pgm --dump c1,, --to out.h5"), 2, "no node ''");
    ck_assert_int_ne(access("out.h5", F_OK), 0);
    tool_run *r = tool("ft-predict model.h5 0.pgm --dump c1 --to nowhere/out.h5");
    assert_ends(r, 5);
    assert_has(r->err, "nowhere/out.h5");
    double p[CLASSES];
    probabilities(r, 0, p);
}
END_TEST

/* ---- explanations ---- */

START_TEST(explanations_are_pictures) {
    tool_run *r = tool("ft-predict model.h5 0.pgm nowhere.pgm 3.pgm --explain why");
    assert_ends(r, 3);
    static const char *const paths[] = {"why/1_0.png", NULL, "why/2_3.png"};
    for (int i = 0; i < 3; i++) {
        json_t *o = line(r, i), *path = json_object_get(o, "explanation");
        if (!paths[i]) {
            ck_assert_ptr_null(path);
        } else {
            ft_image im;
            ck_assert_str_eq(json_string_value(path), paths[i]);
            ck_assert_int_eq(ft_image_load(paths[i], (ft_image_want){.c = 3}, &im), FT_OK);
            ck_assert(im.w == SIDE && im.h == SIDE);
            ft_image_free(&im);
        }
        json_decref(o);
    }
    assert_ends(tool("ft-predict model.h5 0.pgm --explain other --layer c1"), 0);
    ck_assert_int_eq(system("cmp -s why/1_0.png other/1_0.png"), 256);
    assert_fails(tool("ft-predict model.h5 0.pgm --explain x --layer f6"), 2, "'f6'");
    assert_fails(tool("ft-predict model.h5 0.pgm --layer c1"), 2, "--explain");
    assert_fails(tool("ft-predict model.h5 --tensor x.h5:/x --explain x"), 2, "--explain needs images");
}
END_TEST

int main(void) {
    Suite *s = suite_create("predict");
    TCase *t = tcase_create("predict");
    tcase_add_checked_fixture(t, setup, tool_teardown);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, probabilities_follow_from_the_features);
    tcase_add_test(t, explanations_are_pictures);
    tcase_add_test(t, dumped_probabilities_are_those_printed);
    tcase_add_test(t, kernels_are_those_of_the_training);
    tcase_add_test(t, every_way_in_gives_the_same);
    tcase_add_test(t, top_keeps_the_largest);
    tcase_add_test(t, a_model_without_classes_gives_features);
    tcase_add_test(t, bad_images_do_not_stop_the_others);
    tcase_add_test(t, samples_that_are_no_numbers_are_told);
    tcase_add_test(t, wrong_tensors_are_refused);
    tcase_add_test(t, wrong_requests_are_refused);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

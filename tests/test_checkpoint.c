/* Checkpoints: bit-exact round trips, another run's files, and disks that fail. */
#include "tests/checkpoint_testing.h"

#include <signal.h>
#include <sys/resource.h>

/* ---- round trips ---- */

static void check_resume(const run_options *o) {
    run a, b;
    new_run(&a, o);
    ck_assert_msg(ft_checkpoint_write(path, a.m, &a.s) == FT_OK, "%s", ft_err_message());
    run_options other = *o;
    other.seed += 50;
    new_run(&b, &other);
    ck_assert(!same_model(a.m, b.m) && !same_state(&a, &b));
    b.s.progress = (ft_progress){.seed = a.s.progress.seed};
    ck_assert_msg(ft_checkpoint_resume(path, b.m, &b.s) == FT_OK, "%s", ft_err_message());
    ck_assert(same_model(a.m, b.m));
    ck_assert(same_state(&a, &b));
    free_run(&a);
    free_run(&b);
}

static const run_options round_trips[] = {{"lenet", "sgd", false, 1},
                                          {"lenet", "adam", true, 2},
                                          {"inception_mini", "rmsprop_tf", true, 3},
                                          {"inception_mini", "adamw", false, 4}};

START_TEST(resume_restores_every_bit) {
    check_resume(&round_trips[_i]);
}
END_TEST

START_TEST(model_file_has_the_model_alone) {
    ft_model *a = new_model(_i ? "inception_mini" : "lenet", _i == 2 ? 0 : CLASSES, 5), *b;
    ck_assert_msg(ft_checkpoint_write(path, a, NULL) == FT_OK, "%s", ft_err_message());
    hid_t f = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    ck_assert_int_gt(H5Lexists(f, "weights", H5P_DEFAULT), 0);
    ck_assert_int_eq(H5Lexists(f, "average", H5P_DEFAULT), 0);
    ck_assert_int_eq(H5Lexists(f, "optimizer", H5P_DEFAULT), 0);
    ck_assert_int_eq(H5Lexists(f, "training", H5P_DEFAULT), 0);
    H5Fclose(f);
    ck_assert_msg(ft_checkpoint_read_model(path, &b) == FT_OK, "%s", ft_err_message());
    ck_assert(same_model(a, b));
    ft_model_free(a);
    ft_model_free(b);
}
END_TEST

static void check_dataset(hid_t f, const char *name, int rank, const hsize_t want[]) {
    hid_t d = H5Dopen2(f, name, H5P_DEFAULT), space = H5Dget_space(d);
    hsize_t dims[H5S_MAX_RANK];
    ck_assert_int_eq(H5Sget_simple_extent_dims(space, dims, NULL), rank);
    for (int i = 0; i < rank; i++) ck_assert_uint_eq(dims[i], want[i]);
    H5Sclose(space);
    H5Dclose(d);
}

START_TEST(file_is_as_documented) {
    write_run(&round_trips[2]);
    hid_t f = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    check_dataset(f, "/weights/conv2d_1/kernel", 4, (hsize_t[]){3, 3, 3, 16});
    check_dataset(f, "/weights/batch_normalization_1/moving_mean", 1, (hsize_t[]){16});
    check_dataset(f, "/average/predictions/bias", 1, (hsize_t[]){CLASSES});
    check_dataset(f, "/class_names", 1, (hsize_t[]){CLASSES});
    const ft_optimizer *o = ft_optimizer_find("rmsprop_tf");
    char slot[128];
    snprintf(slot, sizeof slot, "/optimizer/%s/conv2d_1/kernel", o->slot_names[1]);
    check_dataset(f, slot, 4, (hsize_t[]){3, 3, 3, 16});
    H5Fclose(f);
}
END_TEST

START_TEST(model_is_read_with_the_average) {
    run r;
    ft_model *m;
    new_run(&r, &small);
    ck_assert_int_eq(ft_checkpoint_write(path, r.m, &r.s), FT_OK);
    ck_assert_msg(ft_checkpoint_read_model(path, &m) == FT_OK, "%s", ft_err_message());
    ck_assert(!same_model(r.m, m));
    ft_ema_swap(r.s.ema);
    ck_assert(same_model(r.m, m));
    ck_assert_int_eq(ft_checkpoint_write(path, r.m, &r.s), FT_E_USAGE);
    ck_assert_int_eq(ft_checkpoint_resume(path, r.m, &r.s), FT_E_USAGE);
    ck_assert_int_eq(ft_checkpoint_write(path, r.m, NULL), FT_OK);
    ft_model_free(m);
    ck_assert_int_eq(ft_checkpoint_read_model(path, &m), FT_OK);
    ck_assert(same_model(r.m, m));
    ft_model_free(m);
    free_run(&r);
}
END_TEST

START_TEST(configuration_comes_back) {
    enum { LONG = 200000 };
    char *text = malloc(LONG + 1);
    memset(text, 'x', LONG);
    text[LONG] = 0;
    const char *const configs[] = {"seed: 7\n# \xe2\x82\xac\n", "", text, NULL};
    run r;
    new_run(&r, &small);
    for (int i = 0; i < 8; i++) { /* resume points and model files */
        ft_model *m;
        free(r.m->config);
        r.m->config = configs[i / 2] ? strdup(configs[i / 2]) : NULL;
        ck_assert_msg(ft_checkpoint_write(path, r.m, i % 2 ? &r.s : NULL) == FT_OK, "%s", ft_err_message());
        ck_assert_int_eq(ft_checkpoint_read_model(path, &m), FT_OK);
        ck_assert_uint_eq(m->data_fingerprint, r.m->data_fingerprint);
        if (configs[i / 2])
            ck_assert_str_eq(m->config, configs[i / 2]);
        else
            ck_assert_ptr_null(m->config);
        ft_model_free(m);
    }
    free(text);
    free_run(&r);
}
END_TEST

START_TEST(same_run_same_bytes) {
    write_run(&round_trips[2]);
    bytes a = read_bytes(path);
    sleep(1); /* a time stamp would differ */
    write_run(&round_trips[2]);
    bytes b = read_bytes(path);
    ck_assert_uint_eq(a.n, b.n);
    ck_assert(memcmp(a.p, b.p, a.n) == 0);
    free(a.p);
    free(b.p);
}
END_TEST

/* ---- another run's file ---- */

static void other_classes(run *r) {
    free(r->m->class_names[1]);
    r->m->class_names[1] = strdup("wolf");
}
static void fewer_classes(run *r) {
    free(r->m->class_names[CLASSES - 1]);
    r->m->options.classes--;
}
static void other_size(run *r) {
    r->m->image.h = 56;
}
static void other_channels(run *r) {
    r->m->image.c = 3;
}
static void other_resize(run *r) {
    r->m->image.resize = FT_RESIZE_TF;
}
static void other_normalize(run *r) {
    r->m->image.normalize = FT_NORMALIZE_UNIT;
}
static void other_mean(run *r) {
    r->m->image.mean[2] = 0.31f;
}
static void other_epsilon(run *r) {
    r->m->options.bn_epsilon = 1e-3f;
}
static void other_padding(run *r) {
    r->m->options.count_padding = false;
}
static void other_seed(run *r) {
    r->s.progress.seed = 8;
}
static void other_data(run *r) {
    r->m->data_fingerprint = 0xabc;
}

static const struct {
    void (*change)(run *r);
    const char *arch, *optimizer, *what, *theirs, *ours;
    bool average;
} refusals[] = {
    {NULL, "inception_mini", "sgd", "network", "lenet", "inception_mini", true},
    {NULL, "lenet", "adam", "optimizer", "sgd", "adam", true},
    {NULL, "lenet", "sgd", "average", "is kept", "is not kept", false},
    {other_classes, "lenet", "sgd", "class 1", "dog", "wolf", true},
    {fewer_classes, "lenet", "sgd", "classes", "4", "3", true},
    {other_size, "lenet", "sgd", "image_height", "28", "56", true},
    {other_channels, "lenet", "sgd", "image_channels", "1", "3", true},
    {other_resize, "lenet", "sgd", "resize", "pil_bicubic", "tf", true},
    {other_normalize, "lenet", "sgd", "normalize", "mean_std", "unit", true},
    {other_mean, "lenet", "sgd", "mean", "0.1, 0.2, 0.3", "0.1, 0.2, 0.31", true},
    {other_epsilon, "lenet", "sgd", "bn_epsilon", "1e-05", "0.001", true},
    {other_padding, "lenet", "sgd", "count_padding", "1", "0", true},
    {other_seed, "lenet", "sgd", "seed", "18446744073709551615", "8", true},
    {other_data, "lenet", "sgd", "data_fingerprint", "9223372036854775809", "2748", true},
};
enum { N_REFUSALS = sizeof refusals / sizeof *refusals };

START_TEST(resume_refuses_another_run) {
    const run_options o = {refusals[_i].arch, refusals[_i].optimizer, refusals[_i].average, 9};
    char values[160];
    run r;
    write_run(&small);
    new_run(&r, &o);
    if (refusals[_i].change) refusals[_i].change(&r);
    ck_assert_int_eq(ft_checkpoint_resume(path, r.m, &r.s), FT_E_WEIGHTS);
    assert_message(path);
    assert_message(refusals[_i].what);
    snprintf(values, sizeof values, "%s, this run's is %s;", refusals[_i].theirs, refusals[_i].ours);
    assert_message(refusals[_i].average ? values : "is kept, this run's is not kept");
    assert_message("resume with the configuration");
    free_run(&r);
}
END_TEST

START_TEST(resume_refuses_a_model_file) {
    run r;
    new_run(&r, &small);
    ck_assert_int_eq(ft_checkpoint_write(path, r.m, NULL), FT_OK);
    ck_assert_int_eq(ft_checkpoint_resume(path, r.m, &r.s), FT_E_WEIGHTS);
    assert_message("last.h5");
    assert_message("without training state");
    free_run(&r);
}
END_TEST

/* ---- failing to write ---- */

static void assert_intact(const bytes *before) {
    bytes now = read_bytes(path);
    ck_assert_uint_eq(now.n, before->n);
    ck_assert(memcmp(now.p, before->p, now.n) == 0);
    free(now.p);
}

START_TEST(full_disk_leaves_the_file) {
    const rlim_t limits[] = {0, 1000, 100000, 250000};
    run r;
    new_run(&r, &round_trips[1]);
    write_run(&small);
    bytes before = read_bytes(path);
    struct rlimit old, limit;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    for (int i = 0; i < 4; i++) {
        limit = (struct rlimit){limits[i], old.rlim_max};
        setrlimit(RLIMIT_FSIZE, &limit);
        ft_err e = ft_checkpoint_write(path, r.m, &r.s);
        setrlimit(RLIMIT_FSIZE, &old);
        ck_assert_int_eq(e, FT_E_IO);
        assert_message(path);
        assert_intact(&before);
    }
    ck_assert_int_eq(ft_checkpoint_write(path, r.m, &r.s), FT_OK);
    run got;
    new_run(&got, &(run_options){"lenet", "adam", true, 77});
    ck_assert_int_eq(ft_checkpoint_resume(path, got.m, &got.s), FT_OK);
    ck_assert(same_model(r.m, got.m) && same_state(&r, &got));
    free(before.p);
    free_run(&got);
    free_run(&r);
}
END_TEST

START_TEST(impossible_paths_are_named) {
    char name[128];
    ft_model *m = new_model("lenet", CLASSES, 1);
    snprintf(name, sizeof name, "%s/none/last.h5", folder);
    ck_assert_int_eq(ft_checkpoint_write(name, m, NULL), FT_E_IO);
    assert_message(name);
    assert_message("create the folder");
    write_bytes(path, "x", 1);
    snprintf(name, sizeof name, "%s/last.h5", path);
    ck_assert_int_eq(ft_checkpoint_write(name, m, NULL), FT_E_IO);
    assert_message(name);
    ck_assert_int_eq(ft_checkpoint_write(folder, m, NULL), FT_E_IO);
    assert_message(folder);
    ft_model_free(m);
}
END_TEST

START_TEST(diverged_weights_are_not_written) {
    run r;
    new_run(&r, &small);
    write_run(&small);
    bytes before = read_bytes(path);
    r.all[3]->p[2] = INFINITY;
    ck_assert_int_eq(ft_checkpoint_write(path, r.m, &r.s), FT_E_NUMERIC);
    assert_message(r.all[3]->name);
    r.all[3]->p[2] = 0;
    ft_ema_shadow(r.s.ema, 1)[0] = NAN;
    ck_assert_int_eq(ft_checkpoint_write(path, r.m, &r.s), FT_E_NUMERIC);
    assert_message("average/");
    assert_intact(&before);
    free(before.p);
    free_run(&r);
}
END_TEST

START_TEST(transient_parameters_stay_out) {
    ft_model *m = new_model("lenet", CLASSES, 1), *back;
    ft_param_add(m->g, "loss/class_weights", (ft_shape){1, 1, 1, CLASSES}, (ft_init){0}, FT_TRANSIENT);
    ck_assert_int_eq(ft_checkpoint_write(path, m, NULL), FT_OK);
    ck_assert_msg(ft_checkpoint_read_model(path, &back) == FT_OK, "%s", ft_err_message());
    ck_assert_ptr_null(ft_graph_find_param(back->g, "loss/class_weights"));
    ft_model_free(m);
    ft_model_free(back);
}
END_TEST

static void add_tests(TCase *t) {
    tcase_add_loop_test(t, resume_restores_every_bit, 0, 4);
    tcase_add_loop_test(t, model_file_has_the_model_alone, 0, 3);
    tcase_add_test(t, file_is_as_documented);
    tcase_add_test(t, model_is_read_with_the_average);
    tcase_add_test(t, configuration_comes_back);
    tcase_add_test(t, same_run_same_bytes);
    tcase_add_loop_test(t, resume_refuses_another_run, 0, N_REFUSALS);
    tcase_add_test(t, resume_refuses_a_model_file);
    tcase_add_test(t, full_disk_leaves_the_file);
    tcase_add_test(t, impossible_paths_are_named);
    tcase_add_test(t, diverged_weights_are_not_written);
    tcase_add_test(t, transient_parameters_stay_out);
}

int main(void) {
    return run_suite("checkpoint", "last.h5", all_closed, add_tests);
}

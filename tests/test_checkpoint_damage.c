/* Checkpoints: every way in which a file may be wrong. */
#include "tests/checkpoint_testing.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <xxhash.h>

/* HDF5 1.10 forgets an object's header when it finds it damaged. Handles that we forget are found by
 * all_closed. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) {
    return "leak:libhdf5\n";
}

/* ---- edited files ---- */

static void set_int(hid_t f, const char *name, int64_t v) {
    H5Adelete(f, name);
    hid_t s = H5Screate(H5S_SCALAR), a = H5Acreate2(f, name, H5T_STD_I64LE, s, H5P_DEFAULT, H5P_DEFAULT);
    ck_assert_int_ge(H5Awrite(a, H5T_NATIVE_INT64, &v), 0);
    H5Aclose(a);
    H5Sclose(s);
}
static void set_text(hid_t f, const char *name, const char *v) {
    H5Adelete(f, name);
    hid_t s = H5Screate(H5S_SCALAR), t = H5Tcopy(H5T_C_S1);
    H5Tset_size(t, strlen(v) + 1);
    hid_t a = H5Acreate2(f, name, t, s, H5P_DEFAULT, H5P_DEFAULT);
    ck_assert_int_ge(H5Awrite(a, t, v), 0);
    H5Aclose(a);
    H5Tclose(t);
    H5Sclose(s);
}
static void add_dataset(hid_t f, const char *name, int rank, const hsize_t dims[], hid_t type,
                        hid_t creation) {
    hid_t s = H5Screate_simple(rank, dims, NULL);
    hid_t d = H5Dcreate2(f, name, type, s, H5P_DEFAULT, creation, H5P_DEFAULT);
    ck_assert_int_ge(d, 0);
    H5Dclose(d);
    H5Sclose(s);
}
static const hsize_t bias_dims[1] = {6};
/* Replaces /weights/c1/bias. */
static void replace_bias(hid_t f, int rank, const hsize_t dims[], hid_t type, hid_t creation) {
    ck_assert_int_ge(H5Ldelete(f, "weights/c1/bias", H5P_DEFAULT), 0);
    add_dataset(f, "weights/c1/bias", rank, dims, type, creation);
}

static void newer_format(hid_t f) {
    set_int(f, "format_version", 5);
}
static void no_format(hid_t f) {
    H5Adelete(f, "format");
}
static void other_format(hid_t f) {
    set_text(f, "format", "others");
}
static void unknown_arch(hid_t f) {
    set_text(f, "arch", "vgg16");
}
static void no_arch(hid_t f) {
    H5Adelete(f, "arch");
}
static void many_classes(hid_t f) {
    set_int(f, "classes", INT64_C(1) << 33);
}
static void negative_classes(hid_t f) {
    set_int(f, "classes", -1);
}
static void five_classes(hid_t f) {
    set_int(f, "classes", 5);
}
static void huge_image(hid_t f) {
    set_int(f, "image_width", 1000000);
}
static void vast_weights(hid_t f) { /* 32 GB of them */
    set_int(f, "image_width", 8192);
    set_int(f, "image_height", 8192);
}
static void tiny_image(hid_t f) {
    set_int(f, "image_height", 4);
}
static void two_channels(hid_t f) {
    set_int(f, "image_channels", 2);
}
static void text_for_number(hid_t f) {
    set_text(f, "dropout", "0.5");
}
static void number_for_text(hid_t f) {
    set_int(f, "resize", 1);
}
static void unknown_resize(hid_t f) {
    set_text(f, "resize", "sinc");
}
static void missing_two(hid_t f) {
    H5Ldelete(f, "weights/c3/kernel", H5P_DEFAULT);
    H5Ldelete(f, "weights/f6", H5P_DEFAULT);
}
static void unexpected_dataset(hid_t f) {
    add_dataset(f, "weights/extra", 1, bias_dims, H5T_IEEE_F32LE, H5P_DEFAULT);
}
static void unexpected_average(hid_t f) {
    add_dataset(f, "average/extra", 1, bias_dims, H5T_IEEE_F32LE, H5P_DEFAULT);
}
static void other_shape(hid_t f) {
    replace_bias(f, 2, (hsize_t[]){6, 1}, H5T_IEEE_F32LE, H5P_DEFAULT);
}
static void vast_shape(hid_t f) {
    replace_bias(f, 1, (hsize_t[]){UINT64_C(1) << 50}, H5T_IEEE_F32LE, H5P_DEFAULT);
}
static void other_type(hid_t f) {
    replace_bias(f, 1, bias_dims, H5T_IEEE_F64LE, H5P_DEFAULT);
}
static void never_written(hid_t f) {
    replace_bias(f, 1, bias_dims, H5T_IEEE_F32LE, H5P_DEFAULT);
}
static void chunked(hid_t f) {
    hid_t p = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_chunk(p, 1, bias_dims);
    replace_bias(f, 1, bias_dims, H5T_IEEE_F32LE, p);
    H5Pclose(p);
}
static void external(hid_t f) {
    hid_t p = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_external(p, "/etc/passwd", 0, 6 * sizeof(float));
    replace_bias(f, 1, bias_dims, H5T_IEEE_F32LE, p);
    H5Pclose(p);
}
static void virtual_dataset(hid_t f) {
    hid_t p = H5Pcreate(H5P_DATASET_CREATE), s = H5Screate_simple(1, bias_dims, NULL);
    ck_assert_int_ge(H5Pset_virtual(p, s, "other.h5", "x", s), 0);
    replace_bias(f, 1, bias_dims, H5T_IEEE_F32LE, p);
    H5Sclose(s);
    H5Pclose(p);
}
static void soft_link(hid_t f) {
    H5Ldelete(f, "weights/c1/bias", H5P_DEFAULT);
    H5Lcreate_soft("/average/c1/bias", f, "weights/c1/bias", H5P_DEFAULT, H5P_DEFAULT);
}
static void external_link(hid_t f) {
    H5Ldelete(f, "weights/c1/bias", H5P_DEFAULT);
    H5Lcreate_external("other.h5", "/x", f, "weights/c1/bias", H5P_DEFAULT, H5P_DEFAULT);
}
static void circle(hid_t f) {
    H5Lcreate_hard(f, "weights", f, "weights/again", H5P_DEFAULT, H5P_DEFAULT);
}
static void named_type(hid_t f) {
    hid_t t = H5Tcopy(H5T_IEEE_F32LE);
    H5Tcommit2(f, "weights/type", t, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Tclose(t);
}
static void overwrite_bias(hid_t f, float third, bool sum) {
    float v[6] = {1, 2, third, 4, 5, 6};
    hid_t d = H5Dopen2(f, "weights/c1/bias", H5P_DEFAULT);
    ck_assert_int_ge(H5Dwrite(d, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, v), 0);
    uint64_t x = XXH3_64bits(v, sizeof v);
    hid_t a = H5Aopen(d, "checksum", H5P_DEFAULT);
    if (sum) ck_assert_int_ge(H5Awrite(a, H5T_NATIVE_UINT64, &x), 0);
    H5Aclose(a);
    H5Dclose(d);
}
static void changed_weights(hid_t f) {
    overwrite_bias(f, 3, false);
}
static void nan_weights(hid_t f) {
    overwrite_bias(f, NAN, true);
}
static void no_checksum(hid_t f) {
    H5Adelete_by_name(f, "weights/c1/bias", "checksum", H5P_DEFAULT);
}
static void no_class_names(hid_t f) {
    H5Ldelete(f, "class_names", H5P_DEFAULT);
}
static void flat_class_names(hid_t f) {
    H5Ldelete(f, "class_names", H5P_DEFAULT);
    add_dataset(f, "class_names", 1, (hsize_t[]){CLASSES}, H5T_STD_I64LE, H5P_DEFAULT);
}

static const struct {
    void (*change)(hid_t file);
    const char *message[3];
} edits[] = {
    {newer_format, {"format 5, newer than the 4", "update Facet"}},
    {no_format, {"is not a Facet checkpoint", "another program"}},
    {other_format, {"is not a Facet checkpoint"}},
    {unknown_arch, {"vgg16", "lenet"}},
    {no_arch, {"'arch'"}},
    {many_classes, {"'classes'", "65536"}},
    {negative_classes, {"'classes'", "-1"}},
    {five_classes, {"'class_names'", "5"}},
    {huge_image, {"'image_width'", "1000000"}},
    {vast_weights, {"c5/kernel", "8037342720 numbers"}},
    {tiny_image, {"lenet needs images"}},
    {two_channels, {"2 channels"}},
    {text_for_number, {"'dropout'"}},
    {number_for_text, {"'resize'"}},
    {unknown_resize, {"sinc"}},
    {missing_two, {"weights/c3/kernel is missing", "weights/f6/kernel is missing", "weights/f6/bias"}},
    {unexpected_dataset, {"weights/extra is unexpected"}},
    {unexpected_average, {"average/extra is unexpected"}},
    {other_shape, {"weights/c1/bias is (6,1) where (6) is needed"}},
    {vast_shape, {"weights/c1/bias is (1125899906842624) where (6) is needed"}},
    {other_type, {"weights/c1/bias is not float32"}},
    {never_written, {"weights/c1/bias", "not stored"}},
    {chunked, {"weights/c1/bias", "not stored"}},
    {external, {"weights/c1/bias", "not stored"}},
    {virtual_dataset, {"weights/c1/bias", "not stored"}},
    {soft_link, {"'weights/c1/bias' is a link"}},
    {external_link, {"'weights/c1/bias' is a link"}},
    {circle, {"weights/again"}},
    {named_type, {"'weights/type' is neither"}},
    {changed_weights, {"'weights/c1/bias' is damaged", "checksum"}},
    {nan_weights, {"number 2 of 'weights/c1/bias' is nan"}},
    {no_checksum, {"'checksum'"}},
    {no_class_names, {"'class_names'"}},
    {flat_class_names, {"'class_names'"}},
};
enum { N_EDITS = sizeof edits / sizeof *edits };

START_TEST(edited_file_is_refused) {
    write_run(&small);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    hid_t f = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    edits[_i].change(f);
    ck_assert_int_ge(H5Fclose(f), 0);
    for (int k = 0; k < 3 && edits[_i].message[k]; k++) assert_unreadable(path, edits[_i].message[k]);
    run r;
    new_run(&r, &small);
    ck_assert_int_eq(ft_checkpoint_resume(path, r.m, &r.s), FT_E_WEIGHTS);
    free_run(&r);
}
END_TEST

START_TEST(harmless_edit_is_fine) {
    write_run(&small);
    hid_t f = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    set_text(f, "comment", "mine");
    set_int(f, "classes", CLASSES);
    ck_assert_int_ge(H5Fclose(f), 0);
    ft_model *m;
    ck_assert_msg(ft_checkpoint_read_model(path, &m) == FT_OK, "%s", ft_err_message());
    ft_model_free(m);
}
END_TEST

/* Version 1 knew neither batch norms as torchvision's nor phases. */
START_TEST(an_older_format_is_read) {
    write_run(&small);
    hid_t f = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT), training = H5Gopen2(f, "training", H5P_DEFAULT);
    set_int(f, "format_version", 1);
    H5Adelete(f, "bn_scale");
    H5Adelete(f, "bn_unbiased");
    H5Adelete(training, "phase");
    H5Adelete(training, "phase_epoch");
    H5Adelete(training, "phase_step");
    H5Gclose(training);
    ck_assert_int_ge(H5Fclose(f), 0);
    run r;
    new_run(&r, &small);
    ck_assert_msg(ft_checkpoint_resume(path, r.m, &r.s) == FT_OK, "%s", ft_err_message());
    ck_assert(r.s.progress.phase == 0 && r.s.progress.phase_epoch == 0 && r.s.progress.phase_step == 0);
    ck_assert(!r.m->options.bn_scale);
    free_run(&r);
    f = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    set_int(f, "format_version", 2); /* where they are needed */
    ck_assert_int_ge(H5Fclose(f), 0);
    assert_unreadable(path, "bn_scale");
}
END_TEST

START_TEST(long_lists_are_cut) {
    write_run(&small);
    hid_t f = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    for (int i = 0; i < 25; i++) {
        char name[32];
        snprintf(name, sizeof name, "weights/extra%02d", i);
        add_dataset(f, name, 1, bias_dims, H5T_IEEE_F32LE, H5P_DEFAULT);
    }
    H5Fclose(f);
    assert_unreadable(path, "weights/extra09 is unexpected; and 15 more; use a file");
    ck_assert_ptr_null(strstr(ft_err_message(), "extra10"));
}
END_TEST

/* ---- damaged files ---- */

static uint64_t random_below(uint64_t *state, uint64_t n) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (*state >> 20) % n;
}

START_TEST(truncated_file_is_refused) {
    write_run(&small);
    bytes b = read_bytes(path);
    for (size_t i = 0; i < 20; i++) {
        write_bytes(path, b.p, i < 4 ? 1 + 40 * i : b.n * (i - 3) / 17 - 1);
        assert_unreadable(path, "");
    }
    free(b.p);
}
END_TEST

static herr_t mark_data(hid_t root, const char *name, const H5O_info_t *info, void *ctx) {
    bytes *mask = ctx;
    if (info->type != H5O_TYPE_DATASET) return 0;
    hid_t d = H5Dopen2(root, name, H5P_DEFAULT);
    memset(mask->p + H5Dget_offset(d), 1, H5Dget_storage_size(d));
    H5Dclose(d);
    return 0;
}

/* 1 for every byte of the file that belongs to a dataset's numbers. */
static bytes data_mask(size_t n) {
    bytes mask = {calloc(n, 1), n};
    hid_t f = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    ck_assert_int_ge(H5Ovisit(f, H5_INDEX_NAME, H5_ITER_NATIVE, mark_data, &mask), 0);
    H5Fclose(f);
    return mask;
}

/* Reads the damaged file in every way: it is refused, or gives what was written. Returns whether refused. */
static bool refused_or_same(run *want, const ft_model *want_model, run *got) {
    ft_model *m;
    ft_err e = ft_checkpoint_read_model(path, &m);
    ck_assert_msg(e == FT_OK ? same_model(want_model, m) : e == FT_E_WEIGHTS, "%s", ft_err_message());
    ft_model_free(m);
    ft_err r = ft_checkpoint_resume(path, got->m, &got->s);
    ck_assert_msg(r == FT_OK ? same_model(want->m, got->m) && same_state(want, got) : r == FT_E_WEIGHTS, "%s",
                  ft_err_message());
    got->s.progress.seed = want->s.progress.seed;
    return e != FT_OK || r != FT_OK;
}

/* FACET_FLIPS: how many bytes to try, for a longer search than the usual 400. */
START_TEST(flipped_bits_are_found_or_harmless) {
    const char *more = getenv("FACET_FLIPS");
    const int flips = more ? atoi(more) : 400;
    int refused = 0, refused_data = 0;
    uint64_t state = 20;
    run want, got;
    ft_model *want_model;
    write_run(&small);
    new_run(&want, &small);
    new_run(&got, &small);
    ck_assert_int_eq(ft_checkpoint_read_model(path, &want_model), FT_OK);
    bytes b = read_bytes(path), mask = data_mask(b.n);
    int fd = open(path, O_WRONLY);
    for (int i = 0; i < flips; i++) {
        size_t at;
        do at = random_below(&state, b.n);
        while (mask.p[at] != i % 2); /* half in the numbers, half in the little that is around them */
        unsigned char flipped = b.p[at] ^ (unsigned char)(1u << random_below(&state, 8));
        ck_assert_int_eq(pwrite(fd, &flipped, 1, (off_t)at), 1);
        bool no = refused_or_same(&want, want_model, &got);
        refused += no;
        refused_data += no && i % 2;
        ck_assert_int_eq(pwrite(fd, &b.p[at], 1, (off_t)at), 1);
    }
    ck_assert_int_eq(refused_data, flips / 2);
    ck_assert_msg(refused - refused_data > flips / 8, "only %d of %d", refused - refused_data, flips / 2);
    close(fd);
    free(b.p);
    free(mask.p);
    ft_model_free(want_model);
    free_run(&want);
    free_run(&got);
}
END_TEST

START_TEST(other_files_are_refused) {
    char noise_bytes[4096] = "\x89HDF\r\n\x1a\n";
    uint64_t state = 3;
    assert_unreadable(path, "No such file");
    write_bytes(path, "", 0);
    assert_unreadable(path, "is not a Facet checkpoint: it is empty");
    write_bytes(path, "weights: 1 2 3\n", 15);
    assert_unreadable(path, "is not a Facet checkpoint");
    write_bytes(path, noise_bytes, 8);
    assert_unreadable(path, "damaged");
    for (int i = 0; i < 50; i++) {
        for (size_t k = 8; k < sizeof noise_bytes; k++) noise_bytes[k] = (char)random_below(&state, 256);
        noise_bytes[8] = (char)(i % 4); /* the superblock's version */
        write_bytes(path, noise_bytes, sizeof noise_bytes);
        assert_unreadable(path, "");
    }
    hid_t f = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    add_dataset(f, "kernel", 1, bias_dims, H5T_IEEE_F32LE, H5P_DEFAULT);
    H5Fclose(f);
    assert_unreadable(path, "another program");
    assert_unreadable(folder, "is not a file");
    unlink(path);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    assert_unreadable(path, "is not a file");
}
END_TEST

static void add_tests(TCase *t) {
    tcase_add_loop_test(t, edited_file_is_refused, 0, N_EDITS);
    tcase_add_test(t, harmless_edit_is_fine);
    tcase_add_test(t, an_older_format_is_read);
    tcase_add_test(t, long_lists_are_cut);
    tcase_add_test(t, truncated_file_is_refused);
    tcase_add_test(t, flipped_bits_are_found_or_harmless);
    tcase_add_test(t, other_files_are_refused);
}

int main(void) {
    return run_suite("checkpoint_damage", "last.h5", all_closed, add_tests);
}

/* Files of weights: the list in memory, the formats' names, and telling a file's format by its content. */
#include "tests/weight_testing.h"
#include "tests/zip_testing.h"

#include <sys/stat.h>

static const char *const names[] = {"auto", "keras", "keras3", "torch", "safetensors"};

START_TEST(format_names) {
    ft_weight_format format;
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(ft_weight_format_parse(names[i], &format), FT_OK);
        ck_assert_int_eq(format, i);
        ck_assert_str_eq(ft_weight_format_name(format), names[i]);
    }
    ck_assert_int_eq(ft_weight_format_parse("Keras", &format), FT_E_USAGE);
    for (int i = 0; i < 5; i++) assert_message(names[i]);
    ck_assert_int_eq(ft_weight_format_parse("", &format), FT_E_USAGE);
}
END_TEST

START_TEST(list_grows) {
    ft_weight_file *f;
    char name[32] = "";
    ck_assert_int_eq(ft_weight_file_new("x.h5", FT_WEIGHTS_KERAS, &f), FT_OK);
    ck_assert_str_eq(f->path, "x.h5");
    for (int i = 0; i < 1000; i++) {
        float *p;
        snprintf(name, sizeof name, "layer_%d", i);
        ck_assert_int_eq(ft_weight_file_add_layer(f, name, i % 2 ? "conv2d" : NULL), FT_OK);
        for (int k = 0; k < i % 3; k++) {
            snprintf(name, sizeof name, "tensor_%d_%d", i, k);
            ck_assert_int_eq(ft_weight_file_add(f, name, 2, (int64_t[]){k, 3}, &p), FT_OK);
            for (int j = 0; j < 3 * k; j++) p[j] = (float)i;
        }
    }
    ck_assert_int_eq(f->n_layers, 1000);
    ck_assert_int_eq(f->n_tensors, 999);
    for (int i = 0; i < 1000; i++) {
        const ft_weight_layer *l = &f->layer[i];
        snprintf(name, sizeof name, "layer_%d", i);
        ck_assert_str_eq(l->name, name);
        ck_assert((l->class_name != NULL) == (i % 2 == 1));
        ck_assert_int_eq(l->n, i % 3);
        ck_assert_int_eq(l->first, i / 3 * 3 + (i % 3 == 2));
        snprintf(name, sizeof name, "tensor_%d_1", i);
        if (l->n != 2) continue;
        const ft_weight_tensor *t = &f->tensor[l->first + 1];
        ck_assert_str_eq(t->name, name);
        ck_assert(t->rank == 2 && t->dims[0] == 1 && t->dims[1] == 3 && t->n == 3 && t->p[2] == (float)i);
    }
    ft_weight_file_free(f);
    ft_weight_file_free(NULL);
}
END_TEST

START_TEST(impossible_tensors_are_refused) {
    ft_weight_file *f;
    float *p = (float *)folder;
    ck_assert_int_eq(ft_weight_file_new("x.h5", FT_WEIGHTS_KERAS, &f), FT_OK);
    ck_assert_int_eq(ft_weight_file_add_layer(f, "", NULL), FT_OK);
    static const int64_t dims[][7] = {{1, 1, 1, 1, 1, 1, 1}, {-1}, {INT64_MAX, 2}, {INT64_MAX / 4 + 1}};
    static const int32_t rank[] = {7, 1, 2, 1};
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(ft_weight_file_add(f, "w", rank[i], dims[i], &p), FT_E_WEIGHTS);
        ck_assert_ptr_null(p);
        assert_message("'x.h5': 'w' has");
    }
    ck_assert_int_eq(ft_weight_file_add(f, "w", -1, dims[0], &p), FT_E_WEIGHTS);
    ck_assert_int_eq(f->n_tensors + f->layer[0].n, 0);
    ck_assert_int_eq(ft_weight_file_add(f, "w", 6, dims[0], &p), FT_OK);
    ck_assert_int_eq(ft_weight_file_add(f, "w", 2, (int64_t[]){INT64_MAX / 4, 0}, &p), FT_OK);
    ft_weight_file_free(f);
}
END_TEST

/* ---- files of other kinds ---- */

static const struct {
    const char *content, *message;
} others[] = {
    {"", "is empty"},
    {"x", "in no format that is read (it begins with bytes 78 00 00 00)"},
    {"<!DOCTYPE html><html></html>", "in no format that is read (it begins with bytes 3c 21 44 4f)"},
    {"layers: [conv, pool, dense, softmax]",
     "Keras weights (.h5, .weights.h5, .keras), a PyTorch state dict"},
    {"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git lfs pull"},
    {"\x80\x02\x8a\x0al\xfc\x9c"
     "F\xf9 j\xa8P\x19.",
     "Python pickle, as PyTorch wrote before version 1.6"},
    {"PK\3\4 and nothing else that ZIP archives have", "no directory at its end"},
};
enum { N_OTHERS = sizeof others / sizeof *others };

START_TEST(other_files_are_refused) {
    write_bytes(path, others[_i].content, strlen(others[_i].content));
    assert_refused(others[_i].message);
}
END_TEST

START_TEST(other_archives_are_refused) {
    static zip_made z;
    static const zip_part members[] = {{"arr_0.npy", "x", 1, false, false, false},
                                       {"metadata.json", "{}", 2, false, false, false},
                                       {"config.json", "{}", 2, false, false, false},
                                       {"data.pkl", "N.", 2, false, false, false}};
    zip_make(&z, members, 4, false);
    write_bytes(path, z.p, z.n);
    assert_refused(
        "neither Keras's (model.weights.h5, config.json and metadata.json are not in it) nor PyTorch's");
}
END_TEST

START_TEST(no_file) {
    ft_weight_file *f = (ft_weight_file *)folder;
    ck_assert_int_eq(ft_weight_file_read(path, FT_WEIGHTS_AUTO, &f), FT_E_WEIGHTS);
    ck_assert_ptr_null(f);
    assert_message("No such file");
    ck_assert_int_eq(ft_weight_file_read(folder, FT_WEIGHTS_AUTO, &f), FT_E_WEIGHTS);
    assert_message("is not a file");
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    assert_refused("is not a file");
}
END_TEST

/* A format that is asked for must be the file's. */
START_TEST(other_format_is_refused) {
    ft_weight_file *f;
    ck_assert_int_eq(ft_weight_file_new("made", FT_WEIGHTS_SAFETENSORS, &f), FT_OK);
    ck_assert_int_eq(ft_weight_file_write(f, path), FT_OK);
    ft_weight_file_free(f);
    for (int i = 0; i < 5; i++) {
        bool right = i == FT_WEIGHTS_AUTO || i == FT_WEIGHTS_SAFETENSORS;
        ck_assert_int_eq(ft_weight_file_read(path, (ft_weight_format)i, &f), right ? FT_OK : FT_E_WEIGHTS);
        ck_assert(right == (f != NULL));
        ft_weight_file_free(f);
        if (right) continue;
        assert_message(names[i]);
        assert_message("it holds safetensors; give the format safetensors, or auto");
    }
    static const char torch[] = "tests/golden/torch_state.pth";
    ck_assert_int_eq(ft_weight_file_read(torch, FT_WEIGHTS_SAFETENSORS, &f), FT_E_WEIGHTS);
    assert_message("it holds PyTorch's ZIP archive; give the format torch");
    ck_assert_int_eq(ft_weight_file_read(torch, FT_WEIGHTS_TORCH, &f), FT_OK);
    ft_weight_file_free(f);
}
END_TEST

static void add_tests(TCase *t) {
    tcase_add_test(t, format_names);
    tcase_add_test(t, list_grows);
    tcase_add_test(t, impossible_tensors_are_refused);
    tcase_add_loop_test(t, other_files_are_refused, 0, N_OTHERS);
    tcase_add_test(t, other_archives_are_refused);
    tcase_add_test(t, no_file);
    tcase_add_test(t, other_format_is_refused);
}

int main(void) {
    return run_suite("weight_file", "weights.bin", NULL, add_tests);
}

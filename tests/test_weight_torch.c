/* PyTorch's files: what is read of real ones, and every way in which one may be wrong. The real ones and the
 * numbers in them are tests/golden/make_torch_weights.py's. */
#include "tests/weight_testing.h"
#include "tests/zip_testing.h"

#include <math.h>

static const char state_file[] = "tests/golden/torch_state.pth",
                  checkpoint_file[] = "tests/golden/torch_checkpoint.pth";

/* ---- real files ---- */

static const struct {
    const char *name;
    int32_t rank;
    int64_t dims[4];
    float values[16];
} state[] = {
    {"conv.weight", 4, {2, 3, 1, 2}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}},
    {"conv.channels_last", 4, {1, 4, 2, 2}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}},
    {"matrix",
     2,
     {3, 4},
     {-0.5f, -0.375f, -0.25f, -0.125f, 0, 0.125f, 0.25f, 0.375f, 0.5f, 0.625f, 0.75f, 0.875f}},
    {"turned",
     2,
     {4, 3},
     {-0.5f, 0, 0.5f, -0.375f, 0.125f, 0.625f, -0.25f, 0.25f, 0.75f, -0.125f, 0.375f, 0.875f}},
    {"part", 2, {2, 2}, {0, 0.25f, 0.5f, 0.75f}},
    {"half", 1, {6}, {0.5f, -2, 0x1p-24f, 65504, INFINITY, -0.0f}},
    {"bfloat16", 1, {4}, {0.5f, -2, 0x1p-130f, 0x1p100f}},
    {"double", 1, {2}, {1.0f / 3, -1e-3f}},
    {"bn.num_batches_tracked", 0, {0}, {7}},
    {"int32", 1, {2}, {-70000, 70000}},
    {"int16", 1, {2}, {-300, 300}},
    {"int8", 1, {2}, {-3, 3}},
    {"uint8", 1, {2}, {0, 200}},
    {"bool", 1, {2}, {1, 0}},
    {"parameter", 1, {2}, {1.5f, 2.5f}},
    {"repeated", 1, {3}, {4, 4, 4}},
    {"empty", 2, {0, 3}, {0}},
};
enum { N_STATE = sizeof state / sizeof *state };

START_TEST(state_dict_is_read) {
    ft_weight_file *f = read_weights(state_file);
    ck_assert_int_eq(f->format, FT_WEIGHTS_TORCH);
    ck_assert_str_eq(f->producer, "PyTorch");
    ck_assert_int_eq(f->n_tensors, N_STATE);
    ck_assert_int_eq(f->n_layers, 1);
    ck_assert_str_eq(f->layer[0].name, "");
    ck_assert_int_eq(f->layer[0].n, N_STATE);
    for (int i = 0; i < N_STATE; i++) {
        ck_assert_str_eq(f->tensor[i].name, state[i].name);
        const float *p = tensor_of(f, state[i].name, state[i].rank, state[i].dims);
        for (int64_t k = 0; k < f->tensor[i].n; k++)
            ck_assert_msg(memcmp(&p[k], &state[i].values[k], sizeof *p) == 0, "%s[%d] is %.9g", state[i].name,
                          (int)k, (double)p[k]);
    }
    ft_weight_file_free(f);
}
END_TEST

START_TEST(checkpoint_is_read) {
    ft_weight_file *f = read_weights(checkpoint_file);
    ck_assert_int_eq(f->n_tensors, 2);
    const float *w = tensor_of(f, "0.weight", 2, (int64_t[]){1, 2}),
                *b = tensor_of(f, "0.bias", 1, (int64_t[]){1});
    ck_assert(w[0] == 3 && w[1] == 4 && b[0] == 5);
    ft_weight_file_free(f);
}
END_TEST

static void copy_to_path(const char *name) {
    bytes b = read_bytes(name);
    write_bytes(path, b.p, b.n);
    free(b.p);
}

START_TEST(malicious_file_is_refused_and_does_nothing) {
    copy_to_path("tests/golden/torch_malicious.pth");
    ck_assert_int_eq(chdir(folder), 0);
    assert_refused("asks for 'posix.system', which the weights of a network do not need: refused");
    assert_message("would run code");
    ck_assert_int_ne(access("facet_was_here", F_OK), 0); /* remove_folder would find it, too */
}
END_TEST

START_TEST(whole_module_is_refused) {
    copy_to_path("tests/golden/torch_module.pth");
    assert_refused("holds a whole module (its pickle builds a 'torch.nn.modules.container.Sequential')");
    assert_message("torch.save(model.state_dict(), 'NEW.pth')");
}
END_TEST

/* ---- files made here ---- */

/* A pickle under construction. */
static struct {
    unsigned char p[1 << 13];
    size_t n;
} pickle;

static void op(int code) {
    ck_assert_uint_lt(pickle.n, sizeof pickle.p);
    pickle.p[pickle.n++] = (unsigned char)code;
}
static void op_text(const char *text, size_t n) {
    op('X');
    for (int i = 0; i < 4; i++) op((int)(n >> 8 * i & 255));
    for (size_t i = 0; i < n; i++) op(text[i]);
}
static void op_string(const char *text) {
    op_text(text, strlen(text));
}
static void op_int(int64_t x) {
    op(0x8a);
    op(8);
    for (int i = 0; i < 8; i++) op((int)((uint64_t)x >> 8 * i & 255));
}
static void op_name(const char *module, const char *name) {
    op('c');
    for (; *module; module++) op(*module);
    op('\n');
    for (; *name; name++) op(*name);
    op('\n');
}
static void op_ints(int32_t n, const int64_t x[]) {
    op('(');
    for (int32_t i = 0; i < n; i++) op_int(x[i]);
    op('t');
}

typedef struct tensor_spec {
    const char *storage, *key;
    int64_t numel, offset;
    int32_t rank, n_strides;
    int64_t size[8], stride[8];
} tensor_spec;
static const tensor_spec good = {"FloatStorage", "0", 6, 0, 2, 2, {2, 3}, {3, 1}};

static void op_tensor(const tensor_spec *s) {
    op_name("torch._utils", "_rebuild_tensor_v2");
    op('(');
    op('(');
    op_string("storage");
    op_name("torch", s->storage);
    op_string(s->key);
    op_string("cuda:0");
    op_int(s->numel);
    op('t');
    op('Q');
    op_int(s->offset);
    op_ints(s->rank, s->size);
    op_ints(s->n_strides, s->stride);
    op(0x89);
    op_name("collections", "OrderedDict");
    op(')');
    op('R');
    op('t');
    op('R');
}

/* An archive around the pickle with one storage of six floats. */
static void write_archive(const unsigned char *p, size_t n, const char *byteorder) {
    static const float six[6] = {1, 2, 3, 4, 5, 6};
    static zip_made z;
    const zip_part parts[] = {
        {"a/data.pkl", p, n, false, true, false},
        {"a/data/0", six, sizeof six, false, true, false},
        {"a/version", "3\n", 2, false, true, false},
        {"a/byteorder", byteorder, strlen(byteorder), false, true, false},
    };
    zip_make(&z, parts, 4, true);
    write_bytes(path, z.p, z.n);
}

static void begin_pickle(void) {
    pickle.n = 0;
    op(0x80);
    op(2);
}

/* The state dict {name: tensor}. */
static void write_tensor(const char *name, const tensor_spec *s) {
    begin_pickle();
    op('}');
    op_string(name);
    op_tensor(s);
    op('s');
    op('.');
    write_archive(pickle.p, pickle.n, "little");
}

START_TEST(made_file_is_read) {
    write_tensor("w", &good);
    ft_weight_file *f = read_weights(path);
    const float *p = tensor_of(f, "w", 2, (int64_t[]){2, 3});
    for (int i = 0; i < 6; i++) ck_assert(p[i] == (float)(i + 1));
    ft_weight_file_free(f);
}
END_TEST

#define BIG (INT64_C(1) << 62)
static const struct {
    const char *message;
    tensor_spec spec;
} tensors[] = {
    {"24 bytes, which are not 7 numbers of 4", {"FloatStorage", "0", 7, 0, 1, 1, {6}, {1}}},
    {"24 bytes, which are not 5 numbers of 4", {"FloatStorage", "0", 5, 0, 1, 1, {5}, {1}}},
    {"24 bytes, which are not 6 numbers of 8", {"DoubleStorage", "0", 6, 0, 1, 1, {6}, {1}}},
    {"which are not -6 numbers", {"FloatStorage", "0", -6, 0, 1, 1, {6}, {1}}},
    {"'data/1' of 'w' is not in the ZIP archive", {"FloatStorage", "1", 6, 0, 1, 1, {6}, {1}}},
    {"reaches beyond its storage of 6 numbers", {"FloatStorage", "0", 6, 1, 1, 1, {6}, {1}}},
    {"reaches beyond", {"FloatStorage", "0", 6, 0, 1, 1, {7}, {1}}},
    {"reaches beyond", {"FloatStorage", "0", 6, 0, 2, 2, {2, 3}, {4, 1}}},
    {"reaches beyond", {"FloatStorage", "0", 6, 6, 0, 0, {0}, {0}}},
    {"reaches beyond", {"FloatStorage", "0", 6, INT64_MAX, 1, 1, {6}, {1}}},
    {"reaches beyond", {"FloatStorage", "0", 6, 0, 1, 1, {BIG}, {4}}},
    {"reaches beyond", {"FloatStorage", "0", 6, 0, 2, 2, {3, 3}, {BIG, BIG}}},
    {"reaches beyond", {"FloatStorage", "0", 6, 0, 3, 3, {BIG, BIG, 0}, {0, 0, 0}}},
    {"far more numbers than the file", {"FloatStorage", "0", 6, 0, 2, 2, {40000, 40000}, {0, 0}}},
    {"far more numbers than the file", {"FloatStorage", "0", 6, 0, 1, 1, {BIG}, {0}}},
    {"the offset of 'w' is not as PyTorch", {"FloatStorage", "0", 6, -1, 1, 1, {6}, {1}}},
    {"the shape of 'w' is not as PyTorch", {"FloatStorage", "0", 6, 0, 1, 1, {-1}, {1}}},
    {"the shape of 'w' is not as PyTorch", {"FloatStorage", "0", 6, 5, 1, 1, {6}, {-1}}},
    {"the shape of 'w' is not as PyTorch", {"FloatStorage", "0", 6, 0, 1, 2, {6}, {1, 1}}},
    {"7 dimensions", {"FloatStorage", "0", 6, 0, 7, 7, {1, 1, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 1, 1, 1}}},
    {"'torch.QInt8Storage', a kind of tensor or object that is not read",
     {"QInt8Storage", "0", 6, 0, 0, 0, {0}, {0}}},
    {"'torch.ComplexFloatStorage'", {"ComplexFloatStorage", "0", 6, 0, 0, 0, {0}, {0}}},
};
enum { N_TENSORS = sizeof tensors / sizeof *tensors };

START_TEST(impossible_tensor_is_refused) {
    write_tensor("w", &tensors[_i].spec);
    assert_refused(tensors[_i].message);
}
END_TEST

/* Strides of dimensions of size 1 mean nothing, whatever they are. */
START_TEST(odd_strides_are_fine) {
    write_tensor("w", &(tensor_spec){"FloatStorage", "0", 6, 1, 3, 3, {1, 2, 1}, {INT64_MAX, 3, INT64_MAX}});
    ft_weight_file *f = read_weights(path);
    const float *p = tensor_of(f, "w", 3, (int64_t[]){1, 2, 1});
    ck_assert(p[0] == 2 && p[1] == 5);
    ft_weight_file_free(f);
}
END_TEST

/* ---- state dicts that are none ---- */

static void root_list(void) {
    op(']');
}
static void root_empty(void) {
    op('}');
}
static void root_tensor(void) {
    op_tensor(&good);
}
static void entry_number(void) {
    op('}');
    op_string("epoch");
    op_int(3);
    op('s');
}
static void key_number(void) {
    op('}');
    op_int(3);
    op_tensor(&good);
    op('s');
}
static void key_empty(void) {
    op('}');
    op_string("");
    op_tensor(&good);
    op('s');
}
static void key_nul(void) {
    op('}');
    op_text("a\0b", 3);
    op_tensor(&good);
    op('s');
}
static void key_long(void) {
    char text[1025];
    op('}');
    op_text(memset(text, 'x', sizeof text), sizeof text);
    op_tensor(&good);
    op('s');
}
static void key_twice(void) {
    op('}');
    op('(');
    for (int i = 0; i < 2; i++) {
        op_string("w");
        op_tensor(&good);
    }
    op('u');
}
/* A dict that is its own state dict. */
static void circle(void) {
    op('}');
    op('q');
    op(0);
    op_string("state_dict");
    op('h');
    op(0);
    op('s');
}
static void tensor_without_storage(void) {
    op('}');
    op_string("w");
    op_name("torch._utils", "_rebuild_tensor_v2");
    op_ints(6, (int64_t[6]){0});
    op('R');
    op('s');
}
static void tensor_of_nothing(void) {
    op('}');
    op_string("w");
    op_name("torch._utils", "_rebuild_tensor_v2");
    op(')');
    op('R');
    op('s');
}
static void parameter_of_nothing(void) {
    op('}');
    op_string("w");
    op_name("torch._utils", "_rebuild_parameter");
    op(')');
    op('R');
    op('s');
}
static void evaluation(void) {
    op_string("builtins");
    op_string("eval");
    op(0x93);
}
static void user_class(void) {
    op_name("models", "MyNet");
    op(')');
    op(0x81);
}
static void sparse(void) {
    op_name("torch._utils", "_rebuild_sparse_tensor");
}
static void script(void) {
    op_name("__torch__.torch.nn", "Linear");
}

static const struct {
    void (*make)(void);
    const char *message;
} roots[] = {
    {root_list, "holds no state dict"},
    {root_tensor, "holds no state dict"},
    {root_empty, "is empty"},
    {entry_number, "'epoch' is not a tensor"},
    {key_number, "key 0 of the state dict"},
    {key_empty, "key 0 of the state dict"},
    {key_nul, "key 0 of the state dict"},
    {key_long, "key 0 of the state dict"},
    {key_twice, "two tensors are named 'w'"},
    {circle, "'state_dict' is not a tensor"},
    {tensor_without_storage, "the storage of 'w' is not as PyTorch"},
    {tensor_of_nothing, "'w' is not a tensor"},
    {parameter_of_nothing, "'w' is not a tensor"},
    {evaluation, "asks for 'builtins.eval', which the weights of a network do not need: refused"},
    {user_class, "asks for 'models.MyNet'"},
    {sparse, "'torch._utils._rebuild_sparse_tensor', a kind of tensor"},
    {script, "holds a whole module"},
};
enum { N_ROOTS = sizeof roots / sizeof *roots };

START_TEST(other_pickle_is_refused) {
    begin_pickle();
    roots[_i].make();
    op('.');
    write_archive(pickle.p, pickle.n, "little");
    assert_refused(roots[_i].message);
}
END_TEST

START_TEST(other_byte_order_is_refused) {
    write_tensor("w", &good);
    write_archive(pickle.p, pickle.n, "big");
    assert_refused("another byte order");
}
END_TEST

/* ---- damage at every byte ---- */

START_TEST(cut_file_is_refused) {
    bytes b = read_bytes(_i ? checkpoint_file : state_file);
    for (size_t n = 0; n < b.n; n++) {
        write_bytes(path, b.p, n);
        assert_refused(n == 0 ? "is empty" : n < 4 ? "in no format" : "cut off");
    }
    free(b.p);
}
END_TEST

START_TEST(flips_are_found_or_harmless) {
    const char *name = _i ? checkpoint_file : state_file;
    ft_weight_file *want = read_weights(name);
    ft_zip z;
    ck_assert_int_eq(ft_zip_open(&z, name), FT_OK);
    copy_to_path(name);
    int64_t n_found = 0;
    for (size_t at = 0; at < (size_t)z.file.size; at++) {
        bool inside = false;
        for (int64_t i = 0; i < z.n; i++)
            inside |=
                (int64_t)at >= z.member[i].start && (int64_t)at < z.member[i].start + z.member[i].stored;
        const unsigned char masks[2] = {(unsigned char)(1 << at % 8), 0xff};
        for (int k = 0; k < 2; k++) {
            flip_bits(path, at, masks[k]);
            bool refused = refused_or_same(want);
            if (inside) ck_assert_msg(refused && strstr(ft_err_message(), "CRC-32"), "byte %zu", at);
            flip_bits(path, at, masks[k]);
        }
        n_found += inside;
    }
    ck_assert_int_gt(n_found, _i ? 400 : 1500);
    ft_zip_close(&z);
    ft_weight_file_free(want);
}
END_TEST

START_TEST(damaged_pickles_are_found_or_harmless) {
    zip_parts r;
    zip_unpack(&r, _i ? checkpoint_file : state_file);
    zip_part *member = zip_part_named(&r, "/data.pkl");
    unsigned char *p = (unsigned char *)member->p;
    const size_t n = member->n;
    int n_read = 0, n_refused = 0;
    for (member->n = 0; member->n < n; member->n++) {
        zip_repack(&r, path);
        assert_refused("its pickle is damaged");
    }
    zip_repack(&r, path);
    ck_assert(!refused_or_same(NULL));
    for (size_t at = 0; at < n; at++) {
        const unsigned char masks[3] = {(unsigned char)(1 << at % 8), (unsigned char)(1 << (at + 5) % 8),
                                        0xff};
        for (int k = 0; k < 3; k++) {
            p[at] ^= masks[k];
            zip_repack(&r, path);
            bool refused = refused_or_same(NULL);
            n_refused += refused;
            n_read += !refused; /* another name, another number */
            p[at] ^= masks[k];
        }
    }
    ck_assert_int_gt(n_read, 50);
    ck_assert_int_gt(n_refused, (int)n);
    zip_free(&r);
}
END_TEST

static void add_tests(TCase *t) {
    tcase_add_test(t, state_dict_is_read);
    tcase_add_test(t, checkpoint_is_read);
    tcase_add_test(t, malicious_file_is_refused_and_does_nothing);
    tcase_add_test(t, whole_module_is_refused);
    tcase_add_test(t, made_file_is_read);
    tcase_add_loop_test(t, impossible_tensor_is_refused, 0, N_TENSORS);
    tcase_add_test(t, odd_strides_are_fine);
    tcase_add_loop_test(t, other_pickle_is_refused, 0, N_ROOTS);
    tcase_add_test(t, other_byte_order_is_refused);
    tcase_add_loop_test(t, cut_file_is_refused, 0, 2);
    tcase_add_loop_test(t, flips_are_found_or_harmless, 0, 2);
    tcase_add_loop_test(t, damaged_pickles_are_found_or_harmless, 0, 2);
}

int main(void) {
    return run_suite("weight_torch", "weights.pth", NULL, add_tests);
}

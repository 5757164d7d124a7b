/* safetensors: files made byte by byte, what is written, and every way in which a file may be wrong. */
#include "tests/weight_testing.h"

#include <math.h>
#include <stdint.h>

enum { ROOM = 4096 };

/* Writes header and data to path; n_header bytes are claimed, < 0: as many as there are. */
static void make(const char *header, int64_t n_header, const void *data, size_t n_data) {
    unsigned char p[ROOM];
    size_t n = strlen(header);
    ck_assert_uint_le(8 + n + n_data, sizeof p);
    uint64_t claimed = n_header < 0 ? n : (uint64_t)n_header;
    for (int i = 0; i < 8; i++) p[i] = (unsigned char)(claimed >> 8 * i);
    memcpy(p + 8, header, n);
    if (n_data) memcpy(p + 8 + n, data, n_data);
    write_bytes(path, p, 8 + n + n_data);
}

/* ---- reading ---- */

static const unsigned char by_hand[] =
    "\x88\0\0\0\0\0\0\0"
    "{\"__metadata__\":{\"format\":\"pt\"},\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
    "\"a\":{\"dtype\":\"I8\",\"shape\":[],\"data_offsets\":[8,9]}}"
    "\x00\x00\x80\x3f\x00\x00\x00\xc0" /* 1, -2 */
    "\xfe";

START_TEST(file_by_hand_is_read) {
    write_bytes(path, by_hand, sizeof by_hand - 1);
    ft_weight_file *f = read_weights(path);
    ck_assert_int_eq(f->format, FT_WEIGHTS_SAFETENSORS);
    ck_assert_str_eq(f->metadata_format, "pt");
    ck_assert_ptr_null(f->producer);
    ck_assert_int_eq(f->n_layers, 1);
    ck_assert_int_eq(f->n_tensors, 2);
    const float *b = tensor_of(f, "b", 1, (int64_t[]){2}), *a = tensor_of(f, "a", 0, NULL);
    ck_assert(b[0] == 1 && b[1] == -2 && a[0] == -2);
    ck_assert_str_eq(f->tensor[0].name, "b"); /* in the data's order */
    ft_weight_file_free(f);
}
END_TEST

static const struct {
    const char *type;
    size_t bytes;
    unsigned char data[16];
    float values[2];
} types[] = {
    {"F64", 16, {0, 0, 0, 0, 0, 0, 0xf8, 0x3f, 0, 0, 0, 0, 0, 0, 0xf0, 0x7f}, {1.5f, INFINITY}},
    {"F32", 8, {0, 0, 0xc0, 0x3f, 1, 0, 0, 0}, {1.5f, 0x1p-149f}},
    {"F16", 4, {0, 0x3e, 1, 0x80}, {1.5f, -0x1p-24f}},
    {"BF16", 4, {0xc0, 0x3f, 0, 0x80}, {1.5f, -0.0f}},
    {"I64", 16, {0, 0, 0, 0, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, {0x1p32f, -1}},
    {"I32", 8, {0, 0, 1, 0, 0xfe, 0xff, 0xff, 0xff}, {65536, -2}},
    {"I16", 4, {0, 1, 0xfd, 0xff}, {256, -3}},
    {"I8", 2, {127, 0x80}, {127, -128}},
    {"U64", 16, {0, 0, 0, 0, 0, 0, 0, 0x80, 1}, {0x1p63f, 1}},
    {"U32", 8, {0, 0, 0, 0x80, 1}, {0x1p31f, 1}},
    {"U16", 4, {0, 0x80, 1}, {32768, 1}},
    {"U8", 2, {128, 1}, {128, 1}},
    {"BOOL", 2, {0, 1}, {0, 1}},
};
enum { N_TYPES = sizeof types / sizeof *types };

START_TEST(types_are_converted) {
    char header[128];
    snprintf(header, sizeof header, "{\"x\":{\"dtype\":\"%s\",\"shape\":[1,2],\"data_offsets\":[0,%zu]}}",
             types[_i].type, types[_i].bytes);
    make(header, -1, types[_i].data, types[_i].bytes);
    ft_weight_file *f = read_weights(path);
    const float *x = tensor_of(f, "x", 2, (int64_t[]){1, 2});
    ck_assert_msg(memcmp(x, types[_i].values, sizeof types[_i].values) == 0, "%s: %.9g %.9g", types[_i].type,
                  (double)x[0], (double)x[1]);
    ft_weight_file_free(f);
}
END_TEST

START_TEST(harmless_headers_are_read) {
    static const char *const headers[] = {
        "{}",
        "{\"__metadata__\":{}}",
        "{}       ",
        "{ \"x\" : { \"data_offsets\" : [ 0 , 0 ] , \"dtype\" : \"F32\" , \"shape\" : [ 0 , 5 ] } }  ",
        ("{\"x\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]},"
         "\"y\":{\"dtype\":\"F32\",\"shape\":[0,7],\"data_offsets\":[0,0]}}"),
    };
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        make(headers[i], -1, NULL, 0);
        ft_weight_file *f = read_weights(path);
        ck_assert_int_eq(f->n_tensors, i < 3 ? 0 : (int)i - 2);
        ck_assert_ptr_null(f->metadata_format);
        ft_weight_file_free(f);
    }
}
END_TEST

/* A header with tensor "x" of which only this part is given; 16 bytes of data. */
#define X(fields) "{\"x\":{" fields "}}"
static const struct {
    const char *header, *message;
} headers[] = {
    {"{", "not JSON"},
    {"{]", "not JSON"},
    {"{}x", "not JSON"},
    {"{\"x\xff\":{}}", "not JSON"},
    {"{\"x\\u0000\":{}}", "not JSON"},
    {"{\"x\":1,\"x\":1}", "not JSON"},
    {X("\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]"), "duplicate object key"},
    {"{\"__metadata__\":1}", "__metadata__ may only hold strings"},
    {"{\"__metadata__\":{\"format\":1}}", "__metadata__ may only hold strings"},
    {"{\"__metadata__\":{\"a\":\"b\",\"c\":{}}}", "__metadata__ may only hold strings"},
    {"{\"x\":7}", "the dtype of 'x'"},
    {"{\"x\":{}}", "the dtype of 'x'"},
    {X("\"dtype\":3,\"shape\":[4],\"data_offsets\":[0,16]"), "the dtype of 'x'"},
    {X("\"dtype\":\"F32\",\"data_offsets\":[0,16]"), "the shape of 'x'"},
    {X("\"dtype\":\"F32\",\"shape\":4,\"data_offsets\":[0,16]"), "the shape of 'x'"},
    {X("\"dtype\":\"F32\",\"shape\":[4.0],\"data_offsets\":[0,16]"), "the shape of 'x'"},
    {X("\"dtype\":\"F32\",\"shape\":[-4],\"data_offsets\":[0,16]"), "the shape of 'x'"},
    {X("\"dtype\":\"F32\",\"shape\":[\"4\"],\"data_offsets\":[0,16]"), "the shape of 'x'"},
    {X("\"dtype\":\"F32\",\"shape\":[99999999999999999999],\"data_offsets\":[0,16]"), "not JSON"},
    {X("\"dtype\":\"F32\",\"shape\":[4,1,1,1,1,1,1],\"data_offsets\":[0,16]"), "7 dimensions"},
    {X("\"dtype\":\"F32\",\"shape\":[4]"), "the data_offsets of 'x'"},
    {X("\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[16]"), "the data_offsets of 'x'"},
    {X("\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16,16]"), "the data_offsets of 'x'"},
    {X("\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16.0]"), "the data_offsets of 'x'"},
    {X("\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":{\"0\":16}"), "the data_offsets of 'x'"},
    {X("\"dtype\":\"F8_E4M3\",\"shape\":[16],\"data_offsets\":[0,16]"), "type F8_E4M3, which are not read"},
    {X("\"dtype\":\"C64\",\"shape\":[2],\"data_offsets\":[0,16]"), "type C64"},
    {X("\"dtype\":\"f32\",\"shape\":[4],\"data_offsets\":[0,16]"), "type f32"},
    {X("\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[-16,0]"), "bytes -16 to 0 of data of 16"},
    {X("\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[16,0]"), "bytes 16 to 0"},
    {X("\"dtype\":\"F32\",\"shape\":[5],\"data_offsets\":[0,20]"), "cut off"},
    {X("\"dtype\":\"F32\",\"shape\":[5],\"data_offsets\":[0,16]"), "5 numbers in 16 bytes"},
    {X("\"dtype\":\"F64\",\"shape\":[4],\"data_offsets\":[0,16]"), "4 numbers in 16 bytes"},
    {X("\"dtype\":\"F32\",\"shape\":[4611686018427387904],\"data_offsets\":[0,16]"), "not their size"},
    {X("\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,16]"), "can be counted"},
    {X("\"dtype\":\"F32\",\"shape\":[4611686018427387904,4,0],\"data_offsets\":[0,0]"), "can be counted"},
    {X("\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]"), "can be counted"},
    {X("\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[4,16]"), "nobody has the 4 bytes before 'x'"},
    {X("\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,12]"), "nobody has the last 4 bytes"},
    {"{}", "nobody has the last 16 bytes"},
    {"{\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
     "\"y\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[4,16]}}",
     "'y' overlaps the tensor before it"},
    {"{\"x\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]},"
     "\"y\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}",
     "'y' overlaps the tensor before it"},
    {"{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
     "\"y\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}}",
     "nobody has the 4 bytes before 'y'"},
};
enum { N_HEADERS = sizeof headers / sizeof *headers };

START_TEST(wrong_header_is_refused) {
    static const float data[4] = {1, 2, 3, 4};
    make(headers[_i].header, -1, data, sizeof data);
    assert_refused(headers[_i].message);
}
END_TEST

START_TEST(wrong_length_is_refused) {
    make("{}", 3, NULL, 0);
    assert_refused("cut off: its 10 bytes do not hold the header of 3");
    make("{}", 1, NULL, 0);
    assert_refused("not JSON");
    make("{}", 0, NULL, 0);
    assert_refused("no safetensors header");
    make("{}", 100000001, NULL, 0);
    assert_refused("in no format that is read");
    make("{}", INT64_MAX, NULL, 0);
    assert_refused("in no format that is read");
    make(" {}", -1, NULL, 0);
    assert_refused("in no format that is read");
}
END_TEST

START_TEST(deep_header_is_refused) {
    char header[ROOM - 8];
    memset(header, '[', sizeof header);
    memcpy(header, "{\"x\":", 5);
    header[sizeof header - 1] = 0;
    make(header, -1, NULL, 0);
    assert_refused("not JSON");
}
END_TEST

/* ---- writing ---- */

static float bits(uint32_t x) {
    float f;
    memcpy(&f, &x, sizeof f);
    return f;
}

/* Names that need escaping, ranks 0 to 6, no numbers, numbers whose bits are easily lost. */
static ft_weight_file *new_file(void) {
    static const struct {
        const char *name;
        int32_t rank;
        int64_t dims[FT_WEIGHT_RANK];
    } tensors[] = {{"z", 4, {3, 1, 2, 5}}, {"a.\"b\"\\\n\t\x01", 0, {0}}, {"\xc3\xa9/kernel:0", 1, {6}},
                   {"empty", 2, {3, 0}},   {"Z", 6, {1, 2, 1, 2, 1, 2}},  {"", 1, {1}}};
    static const uint32_t odd[] = {0x80000000, 0x00000001, 0x7fc12345, 0x7f812345, 0xff800000, 0x3eaaaaab};
    ft_weight_file *f;
    ck_assert_int_eq(ft_weight_file_new("made", FT_WEIGHTS_SAFETENSORS, &f), FT_OK);
    ck_assert_int_eq(ft_weight_file_add_layer(f, "", NULL), FT_OK);
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++) {
        float *p;
        if (i == 3) ck_assert_int_eq(ft_weight_file_add_layer(f, "more", "conv2d"), FT_OK);
        ck_assert_int_eq(ft_weight_file_add(f, tensors[i].name, tensors[i].rank, tensors[i].dims, &p), FT_OK);
        for (int64_t k = 0; k < f->tensor[i].n; k++) p[k] = bits(odd[k % 6] + (uint32_t)k / 6);
    }
    f->metadata_format = strdup("facet");
    return f;
}

START_TEST(written_file_is_read_bit_by_bit) {
    ft_weight_file *f = new_file();
    ck_assert_msg(ft_weight_file_write(f, path) == FT_OK, "%s", ft_err_message());
    ft_weight_file *g = read_weights(path);
    ck_assert_str_eq(g->metadata_format, "facet");
    ck_assert_int_eq(g->n_tensors, f->n_tensors);
    for (int32_t i = 0; i < f->n_tensors; i++) {
        const ft_weight_tensor *t = &f->tensor[i];
        const float *p = tensor_of(g, t->name, t->rank, t->dims);
        ck_assert(memcmp(p, t->p, (size_t)t->n * sizeof *p) == 0);
    }
    bytes first = read_bytes(path);
    ck_assert_msg(ft_weight_file_write(g, path) == FT_OK, "%s", ft_err_message());
    bytes second = read_bytes(path);
    ck_assert_uint_eq(first.n, second.n);
    ck_assert_mem_eq(first.p, second.p, first.n);
    free(first.p);
    free(second.p);
    ft_weight_file_free(f);
    ft_weight_file_free(g);
}
END_TEST

/* What the reference implementation writes of the same tensors. */
START_TEST(written_bytes) {
    static const char header[] =
        "{\"__metadata__\":{\"format\":\"pt\"},\"B\":{\"dtype\":\"F32\",\"shape\":[],"
        "\"data_offsets\":[0,4]},\"a\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[4,12]}}";
    ft_weight_file *f;
    float *p;
    ck_assert_int_eq(ft_weight_file_new("made", FT_WEIGHTS_SAFETENSORS, &f), FT_OK);
    ck_assert_int_eq(ft_weight_file_add_layer(f, "", NULL), FT_OK);
    ck_assert_int_eq(ft_weight_file_add(f, "a", 2, (int64_t[]){2, 1}, &p), FT_OK);
    p[0] = 1;
    p[1] = 2;
    ck_assert_int_eq(ft_weight_file_add(f, "B", 0, NULL, &p), FT_OK);
    p[0] = 3;
    f->metadata_format = strdup("pt");
    for (int pass = 0; pass < 2; pass++) {
        ck_assert_int_eq(ft_weight_file_write(f, path), FT_OK);
        const char *text = pass ? "{\"B\":" : header;
        bytes b = read_bytes(path);
        size_t n = b.n - 12;
        ck_assert_uint_eq(n % 8, 0);
        ck_assert_uint_eq(b.p[0], n - 8);
        for (int i = 1; i < 8; i++) ck_assert_uint_eq(b.p[i], 0);
        ck_assert_mem_eq(b.p + 8, text, strlen(text));
        if (!pass) {
            ck_assert_uint_eq(n, (8 + strlen(header) + 7) / 8 * 8);
            for (size_t i = 8 + strlen(header); i < n; i++) ck_assert_uint_eq(b.p[i], ' ');
        }
        ck_assert_mem_eq(b.p + n, ((float[]){3, 1, 2}), 12);
        free(b.p);
        free(f->metadata_format);
        f->metadata_format = NULL;
    }
    ft_weight_file_free(f);
}
END_TEST

START_TEST(empty_file_is_written) {
    ft_weight_file *f;
    ck_assert_int_eq(ft_weight_file_new("made", FT_WEIGHTS_SAFETENSORS, &f), FT_OK);
    for (int pass = 0; pass < 2; pass++) {
        ck_assert_int_eq(ft_weight_file_write(f, path), FT_OK);
        ft_weight_file *g = read_weights(path);
        ck_assert_int_eq(g->n_tensors, 0);
        ft_weight_file_free(g);
        if (!pass) f->metadata_format = strdup("facet");
    }
    ft_weight_file_free(f);
}
END_TEST

START_TEST(what_cannot_be_written) {
    ft_weight_file *f = new_file();
    char there[128];
    float *p;
    snprintf(there, sizeof there, "%s/none/x.safetensors", folder);
    ck_assert_int_eq(ft_weight_file_write(f, there), FT_E_IO);
    assert_message("none/x.safetensors");
    f->format = FT_WEIGHTS_TORCH;
    ck_assert_int_eq(ft_weight_file_write(f, path), FT_E_USAGE);
    assert_message("not as torch");
    f->format = FT_WEIGHTS_SAFETENSORS;
    ck_assert_int_eq(ft_weight_file_add(f, "z", 0, NULL, &p), FT_OK);
    ck_assert_int_eq(ft_weight_file_write(f, path), FT_E_USAGE);
    assert_message("two tensors named 'z'");
    f->tensor[f->n_tensors - 1].name[0] = 'y';
    free(f->tensor[0].name);
    f->tensor[0].name = strdup("__metadata__");
    ck_assert_int_eq(ft_weight_file_write(f, path), FT_E_USAGE);
    assert_message("__metadata__");
    ck_assert_int_ne(access(path, F_OK), 0);
    ft_weight_file_free(f);
}
END_TEST

/* ---- damage at every byte ---- */

START_TEST(cut_file_is_refused) {
    ft_weight_file *f = new_file();
    ck_assert_int_eq(ft_weight_file_write(f, path), FT_OK);
    bytes b = read_bytes(path);
    for (size_t n = 0; n < b.n; n++) {
        write_bytes(path, b.p, n);
        assert_refused(n == 0 ? "is empty" : n < 9 ? "in no format" : "cut off");
    }
    b.p[b.n] = 0;
    write_bytes(path, b.p, b.n + 1);
    assert_refused("nobody has the last 1 bytes");
    free(b.p);
    ft_weight_file_free(f);
}
END_TEST

START_TEST(flips_are_refused_or_read) {
    ft_weight_file *f = new_file();
    ck_assert_int_eq(ft_weight_file_write(f, path), FT_OK);
    bytes b = read_bytes(path);
    const size_t data = 8 + b.p[0] + 256u * b.p[1];
    int n_refused = 0;
    for (size_t at = 0; at < b.n; at++) {
        for (int bit = 0; bit <= 8; bit++) {
            unsigned char mask = (unsigned char)(bit < 8 ? 1 << bit : 0xff);
            flip_bits(path, at, mask);
            bool refused = refused_or_same(NULL);
            ck_assert(!refused || at < data); /* nothing guards the numbers */
            n_refused += refused;
            flip_bits(path, at, mask);
        }
    }
    ck_assert_int_gt(n_refused, (int)data * 5);
    free(b.p);
    ft_weight_file_free(f);
}
END_TEST

static void add_tests(TCase *t) {
    tcase_add_test(t, file_by_hand_is_read);
    tcase_add_loop_test(t, types_are_converted, 0, N_TYPES);
    tcase_add_test(t, harmless_headers_are_read);
    tcase_add_loop_test(t, wrong_header_is_refused, 0, N_HEADERS);
    tcase_add_test(t, wrong_length_is_refused);
    tcase_add_test(t, deep_header_is_refused);
    tcase_add_test(t, written_file_is_read_bit_by_bit);
    tcase_add_test(t, written_bytes);
    tcase_add_test(t, empty_file_is_written);
    tcase_add_test(t, what_cannot_be_written);
    tcase_add_test(t, cut_file_is_refused);
    tcase_add_test(t, flips_are_refused_or_read);
}

int main(void) {
    return run_suite("weight_safetensors", "weights.safetensors", NULL, add_tests);
}

/* Pickles read as data: every operation, and what none of them may do. */
#include "tests/file_testing.h"
#include "train/pickle.h"

static ft_err resolve(const char *where, const char *name, int32_t *id) {
    *id = 1;
    FT_REQUIRE(strcmp(name, "a.b") == 0, WEIGHTS, "'%s': not %s", where, name);
    return FT_OK;
}

#define P(text) text, sizeof text - 1
static const struct {
    const char *p;
    size_t n;
    const char *message; /* NULL: it is fine */
} pickles[] = {
    {P("\x80\x02N."), NULL},
    {P("\x80\x05\x95\1\0\0\0\0\0\0\0N."), NULL},
    {P("N.more"), NULL},
    {P(")\x94h\0\x86."), NULL},
    {P("ca\nb\n)R}b."), NULL},
    {P("\x8c\1a\x8c\1b\x93)\x81."), NULL},
    {P("]q\0(h\0h\0e."), NULL},
    {P("}q\0NNs."), NULL},
    {P(""), "damaged at byte 0"},
    {P("."), "damaged"},
    {P("NN."), "damaged at byte 2"},
    {P("(N."), "damaged"},
    {P("\x80\x01N."), "protocol 1"},
    {P("\x80\x06N."), "protocol 6"},
    {P("i"), "byte 0 of its pickle is operation 0x69"},
    {P("N0."), "operation 0x30"},
    {P("\x80"), "damaged"},
    {P("X\xff\xff\xff\xff"), "damaged"},
    {P("\x8d\xff\xff\xff\xff\xff\xff\xff\xff"
       "a"),
     "damaged"},
    {P("\x8b\0\0\0\x80"), "damaged"},
    {P("G1234567"), "damaged"},
    {P("h\0."), "damaged"},
    {P("j\xff\xff\xff\xff."), "damaged"},
    {P("q\0."), "damaged"},
    {P("Nr\xff\xff\xff\xff."), "damaged"},
    {P("N(q\0."), "damaged"},
    {P("t."), "damaged"},
    {P("N\x86."), "damaged"},
    {P("N(\x85."), "damaged"},
    {P("NNs."), "damaged"},
    {P("}Ns."), "damaged"},
    {P("}(Nu."), "damaged"},
    {P("}(N(u."), "damaged"},
    {P("]NNs."), "damaged"},
    {P("}Na."), "damaged"},
    {P("(Na."), "damaged"},
    {P("e."), "damaged"},
    {P("ca\nb"), "damaged"},
    {P("ca."), "damaged"},
    {P("ca\x1b[2J\nb\n."), "damaged"},
    {P("\nc\n\n."), "operation 0x0a"},
    {P("cc\nd\n."), "not c.d"},
    {P("NN\x93."), "damaged"},
    {P("\x8c\1aN\x93."), "damaged"},
    {P("N)R."), "damaged"},
    {P("ca\nb\nNR."), "damaged"},
    {P("R."), "damaged"},
    {P("}}b."), "damaged"},
    {P("b."), "damaged"},
    {P("Q."), "damaged"},
    {P("ca\nb\n)(Rt."), "damaged"}, /* takes what is below the mark */
};
enum { N_PICKLES = sizeof pickles / sizeof *pickles };

START_TEST(pickle_ends_as_it_should) {
    /* exactly as many bytes as there are, for the sanitizer */
    unsigned char *p = malloc(pickles[_i].n);
    if (pickles[_i].n) memcpy(p, pickles[_i].p, pickles[_i].n);
    ft_pickle *out;
    ft_err e = ft_pickle_read(p, pickles[_i].n, "x.pth", resolve, &out);
    ck_assert_msg(e == (pickles[_i].message ? FT_E_WEIGHTS : FT_OK), "%s", ft_err_message());
    ck_assert((e == FT_OK) == (out != NULL));
    if (pickles[_i].message) assert_message(pickles[_i].message);
    ft_pickle_free(out);
    free(p);
}
END_TEST

static void assert_too_much(unsigned char code, size_t n, const char *message) {
    unsigned char *p = malloc(n);
    ft_pickle *out;
    ck_assert_int_eq(ft_pickle_read(memset(p, code, n), n, "x.pth", resolve, &out), FT_E_WEIGHTS);
    ck_assert_ptr_null(out);
    assert_message(message);
    free(p);
}

START_TEST(pickle_has_bounds) {
    assert_too_much('(', 2000, "nested more than 1024 deep");
    assert_too_much('N', 5 << 20, "more than 4194304 values");
    assert_too_much('N', 17 << 20, "more than any state dict's");
    /* a name of 300 bytes */
    unsigned char p[310] = "c";
    memset(p + 1, 'x', 300);
    memcpy(p + 301, "\nb\n.", 4);
    ft_pickle *out;
    ck_assert_int_eq(ft_pickle_read(p, 305, "x.pth", resolve, &out), FT_E_WEIGHTS);
    assert_message("damaged");
}
END_TEST

/* The numbers of all lengths. */
START_TEST(pickle_integers) {
    static const unsigned char p[] =
        "(K\xffM\xff\xffJ\xfe\xff\xff\xff\x8a\0\x8a\1\x80\x8a\2\xff\x7f\x8b\1\0\0\0\x05"
        "\x8a\x08\0\0\0\0\0\0\0\x80\x8a\x09\0\0\0\0\0\0\0\0\1t.";
    static const int64_t want[] = {255, 65535, -2, 0, -128, 32767, 5, INT64_MIN};
    ft_pickle *out;
    ck_assert_int_eq(ft_pickle_read(p, sizeof p - 1, "x.pth", resolve, &out), FT_OK);
    const ft_pickle_value *root = ft_pickle_root(out);
    ck_assert_int_eq(root->kind, FT_PICKLE_TUPLE);
    ck_assert_int_eq(root->n, 9);
    for (int i = 0; i < 8; i++) {
        ck_assert_int_eq(root->item[i]->kind, FT_PICKLE_INT);
        ck_assert_int_eq(root->item[i]->i, want[i]);
    }
    ck_assert_int_eq(root->item[8]->kind, FT_PICKLE_OTHER);
    ft_pickle_free(out);
}
END_TEST

static void add_tests(TCase *t) {
    tcase_add_loop_test(t, pickle_ends_as_it_should, 0, N_PICKLES);
    tcase_add_test(t, pickle_has_bounds);
    tcase_add_test(t, pickle_integers);
}

int main(void) {
    return run_suite("pickle", "none", NULL, add_tests);
}

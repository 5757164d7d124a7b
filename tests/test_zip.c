/* ZIP archives: what is read, and every way in which one may be wrong. */
#include "train/zip_file.h"

#include "tests/zip_testing.h"

static zip_made z;
static unsigned char ramp[3000];

static const char text[] = "Keras writes its members stored, others deflate them: them, them, them.";
static const zip_part parts[] = {
    {"a/stored", text, sizeof text, false, false, false},  {"a/empty", "", 0, false, false, false},
    {"a/deflated", ramp, sizeof ramp, true, false, false}, {"a/after", text, 20, false, true, false},
    {"a/after_deflated", ramp, 2000, true, true, false},   {"a/wide", text, 9, false, false, true},
    {"a/wide_deflated", ramp, 1000, true, false, true},    {"a/deflated_empty", "", 0, true, false, false},
};
enum { N_PARTS = sizeof parts / sizeof *parts };

static void make(bool end64) {
    for (size_t i = 0; i < sizeof ramp; i++) ramp[i] = (unsigned char)(i * i >> 7);
    zip_make(&z, parts, N_PARTS, end64);
    write_bytes(path, z.p, z.n);
}

/* Reads the archive at path: all members, or nothing that is not as it was made. Returns how it ended. */
static ft_err read_all(void) {
    ft_zip a;
    ft_err e = ft_zip_open(&a, path);
    for (int i = 0; e == FT_OK && i < N_PARTS; i++) {
        uint8_t *got = (uint8_t *)text;
        const ft_zip_member *m = ft_zip_find(&a, parts[i].name);
        if (!m) continue;
        e = ft_zip_read(&a, m, &got);
        if (e != FT_OK) {
            ck_assert_ptr_null(got);
            break;
        }
        ck_assert_uint_eq((size_t)m->size, parts[i].n);
        ck_assert_mem_eq(got, parts[i].p, parts[i].n);
        free(got);
    }
    ft_zip_close(&a);
    ft_zip_close(&a);
    return e;
}

static void assert_refused(const char *part) {
    ck_assert_msg(read_all() == FT_E_WEIGHTS, "'%s' was read", part);
    assert_message(path);
    assert_message(part);
}

START_TEST(members_are_read) {
    for (int end64 = 0; end64 < 2; end64++) {
        make(end64);
        ft_zip a;
        ck_assert_msg(ft_zip_open(&a, path) == FT_OK, "%s", ft_err_message());
        ck_assert_int_eq(a.n, N_PARTS);
        for (int i = 0; i < N_PARTS; i++) ck_assert_ptr_nonnull(ft_zip_find(&a, parts[i].name));
        ck_assert_ptr_null(ft_zip_find(&a, "a"));
        ck_assert_ptr_null(ft_zip_find(&a, ""));
        ck_assert_ptr_null(ft_zip_find(&a, "z"));
        ft_zip_close(&a);
        ck_assert_msg(read_all() == FT_OK, "%s", ft_err_message());
    }
}
END_TEST

START_TEST(comment_is_skipped) {
    make(false);
    zip_put(&z, z.end + 20, 2, 300);
    z.n += 300;                                /* of zeros */
    memcpy(z.p + z.end + 40, z.p + z.end, 22); /* and an end record that is none */
    write_bytes(path, z.p, z.n);
    ck_assert_msg(read_all() == FT_OK, "%s", ft_err_message());
}
END_TEST

/* ---- violations: a number put somewhere in a good archive ---- */

enum { IN_LOCAL, IN_CENTRAL, IN_DATA, IN_END, IN_END64, IN_LOCATOR };
enum { M_STORED, M_EMPTY, M_DEFLATED, M_AFTER, M_AFTER_DEFLATED, M_WIDE };

static const struct {
    const char *what, *message;
    int in, member;
    size_t at;
    int bytes;
    uint64_t value;
} edits[] = {
    {"no local signature", "disagrees", IN_LOCAL, M_STORED, 0, 4, 0},
    {"encrypted, here", "disagrees", IN_LOCAL, M_STORED, 6, 2, 0x0801},
    {"other method, here", "disagrees", IN_LOCAL, M_STORED, 8, 2, 8},
    {"other checksum, here", "disagrees", IN_LOCAL, M_STORED, 14, 4, 1},
    {"other stored size, here", "disagrees", IN_LOCAL, M_STORED, 18, 4, 1},
    {"other size, here", "disagrees", IN_LOCAL, M_STORED, 22, 4, 1},
    {"some size before a descriptor", "disagrees", IN_LOCAL, M_AFTER, 22, 4, 1},
    {"other length of the name, here", "disagrees", IN_LOCAL, M_STORED, 26, 2, 7},
    {"other name, here", "disagrees", IN_LOCAL, M_STORED, 30, 1, 'b'},
    {"long extra fields, here", "'a/wide_deflated' is not inside", IN_LOCAL, M_WIDE + 1, 28, 2, 60000},
    {"encrypted", "encrypted", IN_CENTRAL, M_STORED, 8, 2, 0x0801},
    {"strongly encrypted", "encrypted", IN_CENTRAL, M_STORED, 8, 2, 0x0840},
    {"encrypted directory", "encrypted", IN_CENTRAL, M_STORED, 8, 2, 0x2800},
    {"LZMA", "method 14", IN_CENTRAL, M_STORED, 10, 2, 14},
    {"stored, but with two sizes", "its two sizes differ", IN_CENTRAL, M_STORED, 20, 4, 9},
    {"bomb", "weights never do", IN_CENTRAL, M_DEFLATED, 24, 4, 1 << 30},
    {"size below the truth", "does not unpack", IN_CENTRAL, M_AFTER_DEFLATED, 24, 4, 1999},
    {"size above the truth", "does not unpack", IN_CENTRAL, M_AFTER_DEFLATED, 24, 4, 2001},
    {"stored size above the truth", "does not unpack", IN_CENTRAL, M_AFTER_DEFLATED, 20, 4, 40},
    {"other checksum", "disagrees", IN_CENTRAL, M_STORED, 16, 4, 1},
    {"other checksum, not here", "CRC-32", IN_CENTRAL, M_AFTER, 16, 4, 1},
    {"on another disk", "in several", IN_CENTRAL, M_STORED, 34, 2, 1},
    {"vast", "not inside", IN_CENTRAL, M_DEFLATED, 20, 4, 0xfffffffe},
    {"beyond the directory", "not inside", IN_CENTRAL, M_STORED, 42, 4, 60000},
    {"sizes in fields that are not there", "not inside", IN_CENTRAL, M_STORED, 42, 4, 0xffffffff},
    {"extra field too short", "not inside", IN_CENTRAL, M_WIDE, 46 + 6 + 8, 2, 16},
    {"extra field too long", "not inside", IN_CENTRAL, M_WIDE, 46 + 6 + 8, 2, 25},
    {"size that is negative", "not inside", IN_CENTRAL, M_WIDE, 46 + 6 + 10 + 7, 1, 0x80},
    {"no central signature", "directory is broken at its byte 0", IN_CENTRAL, M_STORED, 0, 4, 0},
    {"no name", "impossible name", IN_CENTRAL, M_STORED, 28, 2, 0},
    {"name with a NUL", "impossible name", IN_CENTRAL, M_STORED, 46, 1, 0},
    {"long name", "directory is broken", IN_CENTRAL, M_STORED, 28, 2, 60000},
    {"longer comment", "directory is broken", IN_CENTRAL, M_STORED, 32, 2, 3},
    {"damaged data", "'a/stored' is damaged: its CRC-32", IN_DATA, M_STORED, 5, 1, 0},
    {"damaged deflated data", "does not unpack", IN_DATA, M_DEFLATED, 0, 1, 0xff},
    {"on disk 1", "in several", IN_END, 0, 4, 2, 1},
    {"directory on disk 1", "in several", IN_END, 0, 6, 2, 1},
    {"more members elsewhere", "in several", IN_END, 0, 8, 2, 3},
    {"fewer members", "directory is longer", IN_END, 0, 8, 4, 7 | 7 << 16},
    {"one more member", "directory is broken", IN_END, 0, 8, 4, 9 | 9 << 16},
    {"many members", "claims 1000 members", IN_END, 0, 8, 4, 1000 | 1000 << 16},
    {"no members", "empty ZIP", IN_END, 0, 8, 4, 0},
    {"directory of another size", "not where", IN_END, 0, 12, 4, 100},
    {"directory elsewhere", "not where", IN_END, 0, 16, 4, 100},
    {"directory outside", "not where", IN_END, 0, 16, 4, 0xfffffff0},
    {"a comment that is cut", "no directory", IN_END, 0, 20, 2, 1},
    {"no ZIP64 signature", "ZIP64 end record", IN_END64, 0, 0, 4, 0},
    {"ZIP64 end of another size", "ZIP64 end record", IN_END64, 0, 4, 8, 45},
    {"ZIP64, on disk 1", "in several", IN_END64, 0, 16, 4, 1},
    {"ZIP64, more members elsewhere", "in several", IN_END64, 0, 24, 8, 3},
    {"ZIP64, many members", "claims", IN_END64, 0, 24, 16, 0},
    {"ZIP64, directory of another size", "not where", IN_END64, 0, 40, 8, UINT64_MAX},
    {"ZIP64, directory elsewhere", "not where", IN_END64, 0, 48, 8, UINT64_MAX},
    {"ZIP64 end elsewhere", "ZIP64 end record", IN_LOCATOR, 0, 8, 8, UINT64_MAX},
    {"ZIP64 end on disk 1", "in several", IN_LOCATOR, 0, 4, 4, 1},
    {"two disks", "in several", IN_LOCATOR, 0, 16, 4, 2},
    {"no ZIP64 locator", "not where", IN_LOCATOR, 0, 0, 4, 0},
    {"two end records", "two end records differ", IN_END, 1, 8, 4, 7 | 7 << 16},
};
enum { N_EDITS = sizeof edits / sizeof *edits };

START_TEST(edited_archive_is_refused) {
    const int in = edits[_i].in, m = edits[_i].member;
    make(in == IN_END64 || in == IN_LOCATOR || (in == IN_END && m));
    size_t base = in == IN_LOCAL     ? z.local[m]
                  : in == IN_CENTRAL ? z.central[m]
                  : in == IN_DATA    ? z.data[m]
                  : in == IN_END     ? z.end
                  : in == IN_END64   ? z.end64
                                     : z.end64 + 56;
    uint64_t value = edits[_i].value;
    if (edits[_i].bytes == 16) { /* both counts */
        zip_put(&z, base + edits[_i].at, 8, UINT64_C(1) << 60);
        zip_put(&z, base + edits[_i].at + 8, 8, UINT64_C(1) << 60);
    } else {
        zip_put(&z, base + edits[_i].at, edits[_i].bytes, value);
    }
    write_bytes(path, z.p, z.n);
    assert_refused(edits[_i].message);
}
END_TEST

START_TEST(overlaps_and_namesakes_are_refused) {
    zip_part two[] = {{"x", text, 40, false, false, false}, {"y", text, 40, false, false, false}};
    zip_make(&z, two, 2, false);
    zip_put(&z, z.local[0] + 18, 4, 41); /* the first takes one byte of the second */
    zip_put(&z, z.local[0] + 22, 4, 41);
    zip_put(&z, z.central[0] + 20, 4, 41);
    zip_put(&z, z.central[0] + 24, 4, 41);
    write_bytes(path, z.p, z.n);
    assert_refused("'x' and 'y' overlap");
    two[1].name = "x";
    zip_make(&z, two, 2, false);
    write_bytes(path, z.p, z.n);
    assert_refused("are named 'x'");
    zip_put(&z, z.central[1] + 42, 4, z.local[0]); /* the same member twice */
    write_bytes(path, z.p, z.n);
    assert_refused("overlap");
}
END_TEST

/* 20 MB of zeros in 20 KB. */
START_TEST(bomb_is_refused) {
    enum { BIG = 20 << 20 };
    unsigned char *zeros = calloc(1, BIG), packed[1 << 15];
    zip_part bomb = {"bomb", zeros, BIG, true, false, false};
    size_t n = zip_deflate(&bomb, packed, sizeof packed);
    bomb = (zip_part){"bomb", packed, n, false, false, false};
    zip_make(&z, &bomb, 1, false);
    zip_put(&z, z.local[0] + 8, 2, 8);
    zip_put(&z, z.local[0] + 22, 4, BIG);
    zip_put(&z, z.central[0] + 10, 2, 8);
    zip_put(&z, z.central[0] + 24, 4, BIG);
    write_bytes(path, z.p, z.n);
    assert_refused("weights never do: refused");
    /* the same without the claim stops at the claimed size */
    zip_put(&z, z.local[0] + 22, 4, 1000);
    zip_put(&z, z.central[0] + 24, 4, 1000);
    write_bytes(path, z.p, z.n);
    ft_zip a;
    uint8_t *got;
    ck_assert_int_eq(ft_zip_open(&a, path), FT_OK);
    ck_assert_int_eq(ft_zip_read(&a, ft_zip_find(&a, "bomb"), &got), FT_E_WEIGHTS);
    assert_message("does not unpack");
    ft_zip_close(&a);
    free(zeros);
}
END_TEST

START_TEST(cut_archive_is_refused) {
    make(_i);
    for (size_t n = 1; n < z.n; n++) {
        write_bytes(path, z.p, n);
        assert_refused("cut off");
    }
    write_bytes(path, z.p, z.n);
    zip_add(&z, 1, 0);
    write_bytes(path, z.p, z.n);
    assert_refused("no directory");
}
END_TEST

/* A flip anywhere is refused or changes no byte of any member; in a member's data it is always found. */
START_TEST(flips_are_found_or_harmless) {
    make(_i);
    for (size_t at = 0; at < z.n; at++) {
        const unsigned char masks[3] = {(unsigned char)(1 << at % 8), 0x80, 0xff};
        for (int k = 0; k < 3; k++) {
            flip_bits(path, at, masks[k]);
            ft_err e = read_all();
            ck_assert_msg(e == FT_OK || e == FT_E_WEIGHTS, "%s", ft_err_message());
            for (int i = 0; i < N_PARTS; i++)
                if (at >= z.data[i] && at < z.data[i] + z.stored[i] && !parts[i].deflate)
                    ck_assert_msg(e == FT_E_WEIGHTS && strstr(ft_err_message(), "CRC-32"), "byte %zu", at);
            flip_bits(path, at, masks[k]);
        }
    }
}
END_TEST

START_TEST(files_that_are_none) {
    ft_zip a;
    ck_assert_int_eq(ft_zip_open(&a, path), FT_E_WEIGHTS);
    assert_message("No such file");
    ck_assert_int_eq(ft_zip_open(&a, folder), FT_E_WEIGHTS);
    assert_message("is not a file");
    write_bytes(path, "", 0);
    assert_refused("is empty");
    write_bytes(path, "PK\3\4", 4);
    assert_refused("no directory");
}
END_TEST

static void add_tests(TCase *t) {
    tcase_add_test(t, members_are_read);
    tcase_add_test(t, comment_is_skipped);
    tcase_add_loop_test(t, edited_archive_is_refused, 0, N_EDITS);
    tcase_add_test(t, overlaps_and_namesakes_are_refused);
    tcase_add_test(t, bomb_is_refused);
    tcase_add_loop_test(t, cut_archive_is_refused, 0, 2);
    tcase_add_loop_test(t, flips_are_found_or_harmless, 0, 2);
    tcase_add_test(t, files_that_are_none);
}

int main(void) {
    return run_suite("zip", "archive.zip", NULL, add_tests);
}

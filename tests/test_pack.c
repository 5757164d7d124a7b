/* Packed data sets: the same samples as those they are made of, damage named, and runs on them. */
#include "data/pack.h"
#include "tests/train_testing.h"

#include <hdf5.h>

static ft_dataset *open_ok(const char *path) {
    ft_dataset *ds;
    ft_dataset_options o = {.label = "who", .split = "part", .group = "group"};
    ck_assert_msg(ft_dataset_open(path, &o, &ds) == FT_OK, "%s", ft_err_message());
    return ds;
}

static const char *name_of(const ft_dataset *ds, int32_t i) {
    static char name[2][256];
    static int next;
    char *n = name[next++ % 2];
    ft_dataset_name(ds, i, n, sizeof name[0]);
    return n;
}

static ft_image read_ok(const ft_dataset *ds, int32_t i) {
    ft_image im;
    ck_assert_msg(ft_dataset_read(ds, i, (ft_image_want){.c = 3}, &im) == FT_OK, "%s", ft_err_message());
    return im;
}

/* Faces as a list with parts and groups, one of whose files is not there. */
static void setup(void) {
    tool_setup();
    make_faces();
    FILE *f = fopen("list.csv", "wb");
    fputs("file,who,part,group\n", f);
    static const char *const parts[] = {"train", "val", "test"};
    for (int i = 0; i < CLASSES * PER_CLASS; i++)
        fprintf(f, "faces/person%d/%02d.pgm,%d,%s,g%d\n", i % CLASSES, i / CLASSES, i % CLASSES,
                parts[i % 7 % 3], i % 11);
    fputs("faces/person0/none.pgm,0,train,g1\n", f);
    fclose(f);
}

static void pack_ok(const char *from, const ft_pack_options *o, int32_t wanted) {
    ft_dataset *ds = open_ok(from);
    int32_t n;
    ck_assert_msg(ft_pack_write(ds, o, "all.h5", NULL, NULL, &n) == FT_OK, "%s", ft_err_message());
    ck_assert_int_eq(n, wanted);
    ft_dataset_free(ds);
}

START_TEST(the_same_samples) {
    for (int decoded = 0; decoded < 2; decoded++) {
        pack_ok("list.csv", &(ft_pack_options){.decoded = decoded}, CLASSES * PER_CLASS);
        ft_dataset *a = open_ok("list.csv"), *b = open_ok("all.h5");
        ck_assert_str_eq(b->ops->kind, "packed");
        ck_assert(b->n == a->n - 1 && b->n_classes == a->n_classes && b->n_groups == a->n_groups);
        for (int32_t k = 0; k < a->n_classes; k++) ck_assert_str_eq(a->class_names[k], b->class_names[k]);
        for (int32_t i = 0; i < b->n; i++) {
            ck_assert_str_eq(name_of(a, i), name_of(b, i));
            ck_assert_int_eq(ft_dataset_label(a, i), ft_dataset_label(b, i));
            ck_assert_int_eq(ft_dataset_group(a, i), ft_dataset_group(b, i));
            ck_assert_int_eq(ft_dataset_fixed(a, i), ft_dataset_fixed(b, i));
            uint64_t x, y;
            ck_assert(ft_dataset_content(a, i, &x) == FT_OK && ft_dataset_content(b, i, &y) == FT_OK);
            ck_assert((x == y) == !decoded);
            ft_image p = read_ok(a, i), q = read_ok(b, i);
            ck_assert(p.w == q.w && p.h == q.h);
            ck_assert_mem_eq(p.p, q.p, (size_t)p.w * (size_t)p.h * 3);
            ft_image_free(&p);
            ft_image_free(&q);
        }
        ft_dataset_free(a);
        ft_dataset_free(b);
    }
    pack_ok("list.csv", &(ft_pack_options){.decoded = true, .size = 9}, CLASSES * PER_CLASS);
    ft_dataset *ds = open_ok("all.h5");
    ft_image im = read_ok(ds, 5);
    ck_assert(im.w == 9 && im.h == 9);
    ft_image_free(&im);
    ft_dataset_free(ds);
}
END_TEST

/* Images beyond a chunk of a mebibyte, and across its border. */
START_TEST(large_images) {
    ck_assert_int_eq(mkdir("big", 0777), 0);
    ck_assert_int_eq(mkdir("big/a", 0777), 0);
    for (int i = 0; i < 3; i++) {
        char path[32];
        snprintf(path, sizeof path, "big/a/%d.pgm", i);
        FILE *f = fopen(path, "wb");
        fprintf(f, "P5 1300 1300 255\n");
        for (int k = 0; k < 1300 * 1300; k++) fputc((k * (i + 3) + k / 1000) & 255, f);
        fclose(f);
    }
    pack_ok("big", &(ft_pack_options){0}, 3);
    ft_dataset *a = open_ok("big"), *b = open_ok("all.h5");
    for (int32_t i = 0; i < 3; i++) {
        ft_image p = read_ok(a, i), q = read_ok(b, i);
        ck_assert_mem_eq(p.p, q.p, (size_t)p.w * (size_t)p.h * 3);
        ft_image_free(&p);
        ft_image_free(&q);
    }
    ft_dataset_free(a);
    ft_dataset_free(b);
}
END_TEST

/* Any byte changed: the file is refused, or an image by its checksum, or nothing that is read was hit. Never
 * do two packs differ unnoticed. */
START_TEST(damage) {
    pack_ok("list.csv", &(ft_pack_options){0}, CLASSES * PER_CLASS);
    ft_dataset *whole = open_ok("list.csv");
    static uint8_t file[1 << 21];
    FILE *f = fopen("all.h5", "rb");
    size_t n = fread(file, 1, sizeof file, f);
    fclose(f);
    unsigned state = 5;
    int refused = 0, caught = 0;
    for (int round = 0; round < 400; round++) {
        state = state * 1664525u + 1013904223u;
        size_t at = (size_t)(((uint64_t)state * n) >> 32);
        if (at > 70000 && at < 1000000 && round % 8)
            at = at % 70000 + (round % 2 ? 0 : n - 70000); /* tables, not filling */
        file[at] ^= (uint8_t)(1 << round % 8);
        f = fopen("bad.h5", "wb");
        fwrite(file, 1, n, f);
        fclose(f);
        file[at] ^= (uint8_t)(1 << round % 8);
        ft_dataset *ds;
        ft_err e = ft_dataset_open("bad.h5", NULL, &ds);
        ck_assert(e == FT_OK || e == FT_E_DATA);
        refused += e != FT_OK;
        for (int32_t i = 0; e == FT_OK && i < ds->n; i++) {
            ck_assert_str_eq(name_of(ds, i), name_of(whole, i));
            ck_assert_int_eq(ft_dataset_label(ds, i), ft_dataset_label(whole, i));
            ft_image p, q = read_ok(whole, i);
            ft_err r = ft_dataset_read(ds, i, (ft_image_want){.c = 3}, &p);
            ck_assert(r == FT_OK || r == FT_E_DATA || r == FT_E_IO);
            caught += r != FT_OK;
            if (r == FT_OK) ck_assert_mem_eq(p.p, q.p, (size_t)q.w * (size_t)q.h * 3);
            ft_image_free(&p);
            ft_image_free(&q);
        }
        if (e == FT_OK) ft_dataset_free(ds);
    }
    ck_assert(refused > 0 && caught > 0);
    for (size_t cut = 0; cut < n; cut += n / 50) {
        ck_assert_int_eq(truncate("bad.h5", (off_t)cut), 0);
        ft_dataset *ds;
        ck_assert_int_eq(ft_dataset_open("bad.h5", NULL, &ds), FT_E_DATA);
        f = fopen("bad.h5", "wb");
        fwrite(file, 1, n, f);
        fclose(f);
    }
    ft_dataset_free(whole);
}
END_TEST

START_TEST(runs_on_it_are_the_same) {
    write_text("run.yaml", "data: {path: faces, image: {size: 28, channels: 1}}\n"
                           "model: {arch: inception_mini, width: 0.25}\n"
                           "train: {batch: 12, epochs: 2}\n");
    write_text("faces/person1/text.jpg", "no image");
    tool_run *r = tool("ft-data pack run.yaml --to packed.h5 --decoded");
    assert_ends(r, 0);
    assert_has(r->out, "packed.h5: 60 of 61 images");
    assert_has(r->err, "left out faces/person1/text.jpg: not an image");
    unlink("faces/person1/text.jpg");
    assert_ends(tool("ft-train run.yaml --quiet --out a"), 0);
    assert_ends(tool("ft-train run.yaml --quiet --out b --set data.path=packed.h5 --set data.workers=3"), 0);
    assert_same_model("a/last.h5", "b/last.h5");
    ck_assert_int_eq(system("cmp a/predictions.csv b/predictions.csv"), 0);
    assert_ends(tool("ft-eval b/best.h5 --data packed.h5 --report again"), 0);
    ck_assert_int_eq(system("cmp b/metrics.json again/metrics.json"), 0);
    assert_fails(tool("ft-data pack faces"), 2, "--to FILE.h5");
    assert_fails(tool("ft-data pack faces --to x.h5 --size 9"), 2, "--decoded");
    assert_fails(tool("ft-data pack faces --to nowhere/x.h5"), 5, "nowhere");
    assert_fails(tool("ft-data stats a/last.h5"), 3, "no packed data set");
    write_text("text.h5", "text");
    assert_fails(tool("ft-data stats text.h5"), 3, "not an HDF5 file");
}
END_TEST

int main(void) {
    Suite *s = suite_create("pack");
    TCase *c = tcase_create("pack");
    tcase_set_timeout(c, 120);
    tcase_add_checked_fixture(c, setup, tool_teardown);
    tcase_add_test(c, the_same_samples);
    tcase_add_test(c, large_images);
    tcase_add_test(c, damage);
    tcase_add_test(c, runs_on_it_are_the_same);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}

/* Pairs of pictures: both kinds of files, what is wrong with them, and ft-eval --pairs. */
#include "data/pairs.h"
#include "eval/verification.h"
#include "tests/json_testing.h"
#include "tests/train_testing.h"

#include <math.h>

static ft_err read_text(const char *name, const char *text, ft_pairs *p) {
    write_text(name, text);
    return ft_pairs_read(name, p);
}

static void expect_pair(const ft_pairs *p, int32_t i, const char *a, const char *b, int32_t same,
                        int32_t fold) {
    ck_assert_str_eq(p->files.text[p->a[i]], a);
    ck_assert_str_eq(p->files.text[p->b[i]], b);
    ck_assert(p->same[i] == same && p->fold[i] == fold);
}

START_TEST(lfw) {
    ft_pairs p;
    ck_assert_msg(read_text("pairs.txt",
                            "2\t2\nAda_B\t1\t12\nCy\t2\t3\nAda_B\t1\tCy\t2\nCy\t3\tDee\t1\n"
                            "Dee\t1\t2\r\nDee\t1\t3\nAda_B\t12\tDee\t3\n\nDee 2 Cy 10000\n",
                            &p) == FT_OK,
                  "%s", ft_err_message());
    ck_assert(p.n == 8 && p.n_folds == 2);
    expect_pair(&p, 0, "Ada_B/Ada_B_0001.jpg", "Ada_B/Ada_B_0012.jpg", 1, 0);
    expect_pair(&p, 2, "Ada_B/Ada_B_0001.jpg", "Cy/Cy_0002.jpg", 0, 0);
    expect_pair(&p, 4, "Dee/Dee_0001.jpg", "Dee/Dee_0002.jpg", 1, 1);
    expect_pair(&p, 7, "Dee/Dee_0002.jpg", "Cy/Cy_10000.jpg", 0, 1);
    ck_assert_int_eq(p.files.n, 8);
    ft_pairs_free(&p);
    ck_assert_int_eq(read_text("dev.txt", "1\nA\t1\t2\nA\t1\tB\t2\n", &p), FT_OK); /* no sets */
    ck_assert(p.n == 2 && p.n_folds == 0);
    ft_pairs_free(&p);
}
END_TEST

START_TEST(lists) {
    ft_pairs p;
    ck_assert_msg(
        read_text("p.csv", "fold,same,file1,file2\nx,1,a.jpg,b.jpg\ny,0,a.jpg,\"c,d.jpg\"\nx,0,b.jpg,b.jpg\n",
                  &p) == FT_OK,
        "%s", ft_err_message());
    ck_assert(p.n == 3 && p.n_folds == 2 && p.files.n == 3);
    expect_pair(&p, 1, "a.jpg", "c,d.jpg", 0, 1);
    expect_pair(&p, 2, "b.jpg", "b.jpg", 0, 0);
    ft_pairs_free(&p);
}
END_TEST

START_TEST(mistakes) {
    static const char *const wrong[][3] = {{"a.txt", "", "empty"},
                                           {"a.txt", "Ada 1 2\n", "a.txt:1: the numbers of sets"},
                                           {"a.txt", "0\n", "a.txt:1:"},
                                           {"a.txt", "1 1\nA 1\n", "a.txt:2: 2 words"},
                                           {"a.txt", "1 1\nA 1 B 2 C\n", "a.txt:2: 5 words"},
                                           {"a.txt", "1 1\nA 1 x\n", "a.txt:2: 'x' is no picture's number"},
                                           {"a.txt", "1 1\nA 1 -2\n", "a.txt:2: '-2'"},
                                           {"a.txt", "1 1\nA 1 2\n", "1 pairs where 1 sets of 1"},
                                           {"a.txt", "1 1\nA 1 2\nA 1 B 1\nA 2 B 1\n", "a.txt:4: more pairs"},
                                           {"a.txt", "5\n", "there is no pair"},
                                           {"a.csv", "file1,file2\na,b\n", "file1, file2 and same"},
                                           {"a.csv", "file1,file2,same\na,b,yes\n", "a.csv:2: 'yes'"},
                                           {"a.csv", "file1,file2,same\na,b\n", "a.csv:2: 2 fields"},
                                           {"a.csv", "file1,file2,same\n", "there is no pair"}};
    ft_pairs p;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ck_assert_int_eq(read_text(wrong[i][0], wrong[i][1], &p), FT_E_DATA);
        ck_assert_msg(strstr(ft_err_message(), wrong[i][2]), "no \"%s\" in \"%s\"", wrong[i][2],
                      ft_err_message());
    }
    ck_assert_int_eq(ft_pairs_read("nowhere.txt", &p), FT_E_DATA);
}
END_TEST

/* Pairs of the pictures of make_faces, in sets. */
static void write_pairs(void) {
    FILE *f = fopen("pairs.csv", "wb");
    fputs("file1,file2,same,fold\n", f);
    for (int i = 0; i < 120; i++) {
        int same = i % 2, a = i % 3, b = same ? a : (a + 1 + i / 3 % 2) % 3;
        fprintf(f, "person%d/%02d.pgm,person%d/%02d.pgm,%d,%d\n", a, i % 20, b, (i * 7 + 3) % 20, same,
                i / 12);
    }
    fclose(f);
}

/* What the tool says of scores.csv is what the scores say. */
static void check_results(const char *folder) {
    char path[64];
    snprintf(path, sizeof path, "%s/scores.csv", folder);
    FILE *f = fopen(path, "rb");
    ck_assert_ptr_nonnull(f);
    char line[256];
    float score[120];
    int32_t same[120], fold[120], n = 0;
    ck_assert_ptr_nonnull(fgets(line, sizeof line, f));
    for (; fgets(line, sizeof line, f); n++)
        ck_assert_int_eq(sscanf(line, "%*[^,],%*[^,],%d,%d,%f", &same[n], &fold[n], &score[n]), 3);
    fclose(f);
    ck_assert_int_eq(n, 120);
    for (int32_t i = 0; i < n; i++) fold[i]--;
    ft_verification v;
    ck_assert_int_eq(ft_verification_compute(n, score, same, 10, fold, &v), FT_OK);
    snprintf(path, sizeof path, "%s/verification.json", folder);
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
    ck_assert_ptr_nonnull(root);
    ck_assert(json_value_of(root, "accuracy") == v.accuracy && json_value_of(root, "eer") == v.eer);
    ck_assert(json_value_of(root, "roc_auc") == v.roc_auc &&
              json_value_of(root, "tar_at_far_1e-1") == v.tar[0]);
    ck_assert_ptr_nonnull(json_object_get(json_object_get(root, "undefined"), "tar_at_far_1e-4"));
    ck_assert(v.roc_auc > 0.8);
    json_decref(root);
}

START_TEST(ft_eval_of_pairs) {
    make_faces();
    write_pairs();
    write_text("run.yaml", "data: {path: faces, image: {size: 28, channels: 1}}\n"
                           "model: {arch: inception_mini, width: 0.25}\n"
                           "train: {batch: 12, epochs: 3}\n"
                           "output: run\n");
    assert_ends(tool("ft-train run.yaml --quiet"), 0);
    tool_run *r = tool("ft-eval run/best.h5 --data faces --pairs pairs.csv");
    assert_ends(r, 0);
    assert_has(r->out, "120 pairs, 60 of one person");
    assert_has(r->out, "mean of 10 folds");
    check_results("run/verification");
    assert_ends(tool("ft-eval run/best.h5 --data faces --pairs pairs.csv --distance euclidean --views flip "
                     "--report other "
                     "--batch 7 --workers 3"),
                0);
    check_results("other");
    ck_assert_int_eq(system("cmp -s run/verification/scores.csv other/scores.csv"), 256);
    assert_fails(tool("ft-eval run/best.h5 --data faces --pairs pairs.csv --layer nothing"), 2, "nothing");
    assert_fails(tool("ft-eval run/best.h5 --data faces --pairs pairs.csv --distance far"), 2, "cosine");
    assert_fails(tool("ft-eval run/best.h5 --data faces --pairs pairs.csv --split val"), 2, "do not go with");
    assert_fails(tool("ft-eval run/best.h5 --data faces --pairs pairs.csv --fpr 0.1"), 2, "do not go with");
    assert_fails(tool("ft-eval run/best.h5 --data faces --pairs none.txt"), 3, "none.txt");
    ck_assert_int_eq(unlink("faces/person1/05.pgm"), 0);
    r = tool("ft-eval run/best.h5 --data faces --pairs pairs.csv --report gone");
    assert_fails(r, 3, "1 of the 60 pictures are not there, person1/05.pgm");
    ck_assert_int_ne(access("gone", F_OK), 0);
}
END_TEST

int main(void) {
    Suite *s = suite_create("pairs");
    TCase *c = tcase_create("pairs");
    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, tool_setup, tool_teardown);
    tcase_add_test(c, lfw);
    tcase_add_test(c, lists);
    tcase_add_test(c, mistakes);
    tcase_add_test(c, ft_eval_of_pairs);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}

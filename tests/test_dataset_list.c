/* Lists of images: the CSV reader, columns, conditions, parts, and what is wrong with a list, by line. */
#include "data/csv.h"
#include "data/split.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

static void setup(void) {
    strcpy(folder, "/tmp/facet-list-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(chdir(folder), 0);
    ck_assert_int_eq(mkdir("images", 0777), 0);
}

static void teardown(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}

static void put(const char *path, const char *text, size_t n) {
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(text, 1, n, f), n);
    fclose(f);
}
#define PUT(path, text) put(path, text, sizeof(text) - 1)

/* ---- CSV ---- */

static ft_csv csv;

static void open_csv(const char *path) {
    ck_assert_msg(ft_csv_open(&csv, path) == FT_OK, "%s", ft_err_message());
}

static void expect_record(int64_t line, int n, const char *const fields[]) {
    ck_assert_msg(ft_csv_next(&csv) == FT_OK, "%s", ft_err_message());
    ck_assert_int_eq(csv.n, n);
    if (n) ck_assert_int_eq(csv.line, line);
    for (int i = 0; i < n; i++) ck_assert_str_eq(csv.field[i], fields[i]);
}
#define RECORD(line, n, ...) expect_record(line, n, (const char *const[]){__VA_ARGS__})

START_TEST(records) {
    PUT("a.csv", "\xEF\xBB\xBF"
                 "file,\"a label\",x\r\n"
                 "1.png,\"say \"\"hi\"\", you\",\r\n"
                 "\n"
                 "\"two\nlines\",,3\n"
                 "last,\"\"x,\"4\"\r\n"
                 "no end,5,6");
    open_csv("a.csv");
    RECORD(1, 3, "file", "a label", "x");
    RECORD(2, 3, "1.png", "say \"hi\", you", "");
    RECORD(4, 3, "two\nlines", "", "3");
    RECORD(6, 3, "last", "x", "4");
    RECORD(7, 3, "no end", "5", "6");
    RECORD(0, 0, NULL);
    RECORD(0, 0, NULL);
    ft_csv_close(&csv);
    PUT("b.tsv", "a,b\tc\n1\t2\n");
    open_csv("b.tsv");
    RECORD(1, 2, "a,b", "c");
    RECORD(2, 2, "1", "2");
    ft_csv_close(&csv);
}
END_TEST

static void csv_fails(const char *path, const char *words) {
    ft_err e = FT_OK;
    open_csv(path);
    do e = ft_csv_next(&csv);
    while (e == FT_OK && csv.n > 0);
    ck_assert_int_eq(e, FT_E_DATA);
    ck_assert_msg(strstr(ft_err_message(), words), "no \"%s\" in \"%s\"", words, ft_err_message());
    ft_csv_close(&csv);
}

START_TEST(bad_records) {
    PUT("quote.csv", "a,b\n1,\"2\n3,4\n");
    csv_fails("quote.csv", "quote.csv:2: a quote that does not end");
    PUT("zero.csv", "a,b\n1,\0\n");
    csv_fails("zero.csv", "zero.csv:2: a zero byte");
    char *long_line = malloc(FT_CSV_BYTES + 100);
    memset(long_line, 'x', FT_CSV_BYTES + 100);
    put("long.csv", long_line, FT_CSV_BYTES + 100);
    csv_fails("long.csv", "long.csv:1: the line is too long");
    memset(long_line, ',', FT_CSV_FIELDS + 1);
    put("wide.csv", long_line, FT_CSV_FIELDS + 1);
    csv_fails("wide.csv", "wide.csv:1: too many fields");
    free(long_line);
    ck_assert_int_eq(ft_csv_open(&csv, "missing.csv"), FT_E_IO);
}
END_TEST

/* ---- lists ---- */

static const char list[] = "file,age,who,part\n"
                           "a.pgm,10,2,train\n"
                           "b.pgm,9,10,val\n"
                           "a.pgm,30,2,val\n"
                           "sub/c.pgm,12,1,train\n";

static void make_list(void) {
    ck_assert_int_eq(mkdir("images/sub", 0777), 0);
    PUT("images/a.pgm", "P5 1 1 255\na");
    PUT("images/b.pgm", "P5 1 1 255\nb");
    PUT("images/sub/c.pgm", "P5 1 1 255\nc");
    put("list.csv", list, sizeof list - 1);
}

static ft_dataset *open_list(const ft_dataset_options *o) {
    ft_dataset *ds;
    ck_assert_msg(ft_dataset_open("list.csv", o, &ds) == FT_OK, "%s", ft_err_message());
    ck_assert_str_eq(ds->ops->kind, "list");
    return ds;
}

static void expect_sample(const ft_dataset *ds, int32_t i, const char *name, const char *class_name,
                          ft_fixed fixed, char pixel) {
    char text[64];
    ft_image im;
    ft_dataset_name(ds, i, text, sizeof text);
    ck_assert_str_eq(text, name);
    ck_assert_str_eq(ds->class_names[ft_dataset_label(ds, i)], class_name);
    ck_assert_int_eq(ft_dataset_fixed(ds, i), fixed);
    ck_assert_msg(ft_dataset_read(ds, i, (ft_image_want){.c = 1}, &im) == FT_OK, "%s", ft_err_message());
    ck_assert_int_eq(im.p[0], pixel);
    ft_image_free(&im);
}

START_TEST(columns) {
    make_list();
    ft_dataset *ds = open_list(&(ft_dataset_options){.label = "who", .folder = "images", .split = "part"});
    ck_assert(ds->n == 4 && ds->n_classes == 3 && ds->n_ignored == 0 && !ds->in_memory);
    ck_assert_str_eq(ds->class_names[1], "2"); /* as numbers: 1, 2, 10 */
    ck_assert_str_eq(ds->class_names[2], "10");
    expect_sample(ds, 0, "a.pgm", "2", FT_FIXED_TRAIN, 'a');
    expect_sample(ds, 1, "b.pgm", "10", FT_FIXED_VAL, 'b');
    expect_sample(ds, 3, "sub/c.pgm", "1", FT_FIXED_TRAIN, 'c');
    uint64_t one, other;
    ck_assert_int_eq(ft_dataset_content(ds, 0, &one), FT_OK);
    ck_assert_int_eq(ft_dataset_content(ds, 2, &other), FT_OK);
    ck_assert(one == other); /* the same file */
    ft_split split;
    const ft_split_spec spec = {.fraction = {0.9, 0.1, 0}, .seed = 1};
    ck_assert_msg(ft_split_make(ds, &spec, &split) == FT_OK, "%s", ft_err_message());
    ck_assert(split.n[FT_PART_TRAIN] == 2 && split.n[FT_PART_VAL] == 2 && split.n[FT_PART_TEST] == 0);
    ck_assert(split.index[FT_PART_VAL][0] == 1 && split.index[FT_PART_VAL][1] == 2);
    ft_split_free(&split);
    ft_dataset_free(ds);
    ds = open_list(&(ft_dataset_options){.label = "part", .folder = "images"});
    ck_assert(ds->n_classes == 2 && ft_dataset_fixed(ds, 0) == FT_FIXED_NONE);
    ck_assert_str_eq(ds->class_names[0], "train");
    ft_dataset_free(ds);
}
END_TEST

static const struct {
    const char *where[2];
    int n, first;
} conditions[] = {
    {{"age>=12"}, 2, 2},        {{"age>12"}, 1, 2},    {{"age<10"}, 1, 1}, {{"age<=10"}, 2, 0},
    {{"part=val"}, 2, 1},       {{"part!=val"}, 2, 0}, {{"age=9"}, 1, 1},  {{"age>=9.5", "part=val"}, 1, 2},
    {{"file=sub/c.pgm"}, 1, 3},
};

START_TEST(conditions_choose) {
    make_list();
    ft_dataset_options o = {.label = "who", .folder = "images", .where = conditions[_i].where};
    o.n_where = conditions[_i].where[1] ? 2 : 1;
    ft_dataset *ds = open_list(&o);
    ck_assert_int_eq(ds->n, conditions[_i].n);
    ck_assert_int_eq(ds->n_ignored, 4 - conditions[_i].n);
    ft_dataset *all = open_list(&(ft_dataset_options){.label = "who", .folder = "images"});
    char first[64], want[64];
    ft_dataset_name(ds, 0, first, sizeof first);
    ft_dataset_name(all, conditions[_i].first, want, sizeof want);
    ck_assert_str_eq(first, want);
    ck_assert(ds->fingerprint != all->fingerprint);
    ft_dataset_free(all);
    ft_dataset_free(ds);
}
END_TEST

/* ---- further columns ---- */

START_TEST(targets) {
    make_list();
    PUT("list.csv", "file,who,age,race,tags\n"
                    "a.pgm,x,30.5,2,red|big\n"
                    "b.pgm,y,-4,10,\n"
                    "sub/c.pgm,x,1e2,2,big||blue\n");
    static const char *const more[] = {"age:number", "race", "tags:multi"};
    ft_dataset *ds =
        open_list(&(ft_dataset_options){.label = "who", .folder = "images", .more = more, .n_more = 3});
    ck_assert(ds->n_targets == 3 && ft_dataset_target_width(ds) == 1 + 1 + 3);
    const ft_target *t = ds->targets;
    ck_assert(t[0].kind == FT_TARGET_NUMBER && t[1].kind == FT_TARGET_CLASS && t[2].kind == FT_TARGET_MULTI);
    ck_assert_str_eq(t[0].name, "age");
    ck_assert_str_eq(t[2].name, "tags");
    ck_assert(t[1].n_classes == 2 && t[2].n_classes == 3);
    ck_assert_str_eq(t[1].class_names[1], "10"); /* as numbers */
    ck_assert_str_eq(t[2].class_names[0], "big");
    ck_assert_str_eq(t[2].class_names[1], "blue");
    static const float wanted[3][5] = {{30.5f, 0, 1, 0, 1}, {-4, 1, 0, 0, 0}, {100, 0, 1, 1, 0}};
    for (int32_t i = 0; i < 3; i++) {
        float got[5];
        ft_dataset_target(ds, i, 0, got);
        ft_dataset_target(ds, i, 1, got + 1);
        ft_dataset_target(ds, i, 2, got + 2);
        ck_assert_mem_eq(got, wanted[i], sizeof got);
    }
    ft_dataset_free(ds);
}
END_TEST

/* What a run depends on is in the fingerprint: the file, its size, class, part, group and targets. */
START_TEST(fingerprint) {
    static const char *const more[] = {"age:number"}, *const as_class[] = {"age"};
    static const ft_dataset_options options[] = {
        {.label = "who", .folder = "images"},
        {.label = "who", .folder = "images", .split = "part"},
        {.label = "who", .folder = "images", .group = "age"},
        {.label = "who", .folder = "images", .more = more, .n_more = 1},
        {.label = "who", .folder = "images", .more = as_class, .n_more = 1}};
    enum { N = sizeof options / sizeof *options };
    uint64_t before[N];
    make_list();
    for (int k = 0; k < N; k++) {
        ft_dataset *ds = open_list(&options[k]);
        before[k] = ds->fingerprint;
        for (int j = 0; j < k; j++) ck_assert_uint_ne(before[j], before[k]);
        ft_dataset_free(ds);
    }
    PUT("list.csv", "file,age,who,part\n"
                    "a.pgm,11,2,val\n"
                    "b.pgm,9,10,val\n"
                    "a.pgm,30,2,val\n"
                    "sub/c.pgm,12,1,train\n"); /* another age and part of the first */
    for (int k = 0; k < N; k++) {
        ft_dataset *ds = open_list(&options[k]);
        ck_assert((ds->fingerprint == before[k]) == (k == 0));
        ft_dataset_free(ds);
    }
}
END_TEST

static const struct {
    const char *more[2];
    ft_err e;
    const char *words;
} wrong_targets[] = {{{"ages:number", NULL}, FT_E_CONFIG, "no column 'ages'"},
                     {{"age:real", NULL}, FT_E_CONFIG, "'age:real' is of no kind"},
                     {{"age", "age:number"}, FT_E_CONFIG, "'age' is there twice"},
                     {{"part:number", NULL},
                      FT_E_DATA,
                      "list.csv:2: 'train' in the column part is no number"}};

START_TEST(what_is_wrong_with_targets) {
    ft_dataset *ds = (ft_dataset *)&ds;
    make_list();
    ft_dataset_options o = {.label = "who",
                            .folder = "images",
                            .more = wrong_targets[_i].more,
                            .n_more = wrong_targets[_i].more[1] ? 2 : 1};
    ck_assert_int_eq(ft_dataset_open("list.csv", &o, &ds), wrong_targets[_i].e);
    ck_assert_ptr_null(ds);
    ck_assert_msg(strstr(ft_err_message(), wrong_targets[_i].words), "no \"%s\" in \"%s\"",
                  wrong_targets[_i].words, ft_err_message());
}
END_TEST

static const char *const one_where[][1] = {{"age>=x"}, {"age~3"}, {"agee=3"}, {"age=99"}, {"who>"}};

static const struct {
    const char *text; /* NULL: the usual list */
    ft_dataset_options o;
    ft_err e;
    const char *words;
} wrong[] = {
    {NULL, {.folder = "images"}, FT_E_CONFIG, "data.list.label"},
    {NULL,
     {.label = "whom", .folder = "images"},
     FT_E_CONFIG,
     "no column 'whom'; its columns: file, age, who, part"},
    {NULL, {.label = "who", .file = "path", .folder = "images"}, FT_E_CONFIG, "no column 'path'"},
    {NULL, {.label = "who", .split = "set", .folder = "images"}, FT_E_CONFIG, "no column 'set'"},
    {NULL,
     {.label = "who", .split = "age", .folder = "images"},
     FT_E_DATA,
     "list.csv:2: '10' in the column of parts"},
    {NULL, {.label = "who"}, FT_E_DATA, "none of its images is there, 'a.pgm' of ."},
    {NULL,
     {.label = "who", .folder = "images", .where = one_where[0], .n_where = 1},
     FT_E_DATA,
     "'x' is no number"},
    {NULL,
     {.label = "who", .folder = "images", .where = one_where[1], .n_where = 1},
     FT_E_CONFIG,
     "'age~3' is no condition"},
    {NULL,
     {.label = "who", .folder = "images", .where = one_where[2], .n_where = 1},
     FT_E_CONFIG,
     "no column 'agee'"},
    {NULL,
     {.label = "who", .folder = "images", .where = one_where[3], .n_where = 1},
     FT_E_DATA,
     "no line meets"},
    {NULL,
     {.label = "who", .folder = "images", .where = one_where[4], .n_where = 1},
     FT_E_DATA,
     "is no number"},
    {"", {.label = "who"}, FT_E_DATA, "the list is empty"},
    {"file,who\n", {.label = "who"}, FT_E_DATA, "no line meets"},
    {"file,who\na.pgm\n",
     {.label = "who", .folder = "images"},
     FT_E_DATA,
     "list.csv:2: 1 fields where the header has 2"},
    {"file,who\na.pgm,\n", {.label = "who", .folder = "images"}, FT_E_DATA, "list.csv:2: no label"},
    {"file,who\n\n,3\n", {.label = "who", .folder = "images"}, FT_E_DATA, "list.csv:3: no file"},
};

START_TEST(what_is_wrong_is_placed) {
    ft_dataset *ds = (ft_dataset *)&ds;
    make_list();
    if (wrong[_i].text) put("list.csv", wrong[_i].text, strlen(wrong[_i].text));
    ck_assert_int_eq(ft_dataset_open("list.csv", &wrong[_i].o, &ds), wrong[_i].e);
    ck_assert_ptr_null(ds);
    ck_assert_msg(strstr(ft_err_message(), wrong[_i].words), "no \"%s\" in \"%s\"", wrong[_i].words,
                  ft_err_message());
}
END_TEST

START_TEST(a_folder_needs_no_options_and_a_list_does) {
    ft_dataset *ds;
    make_list();
    ck_assert_int_eq(ft_dataset_open("list.csv", NULL, &ds), FT_E_CONFIG);
    ck_assert_int_eq(ft_dataset_open("images/a.pgm", NULL, &ds), FT_E_DATA);
    ck_assert(strstr(ft_err_message(), ".csv"));
}
END_TEST

int main(void) {
    Suite *s = suite_create("dataset_list");
    TCase *t = tcase_create("dataset_list");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, records);
    tcase_add_test(t, bad_records);
    tcase_add_test(t, columns);
    tcase_add_loop_test(t, conditions_choose, 0, sizeof conditions / sizeof *conditions);
    tcase_add_loop_test(t, what_is_wrong_is_placed, 0, sizeof wrong / sizeof *wrong);
    tcase_add_test(t, targets);
    tcase_add_test(t, fingerprint);
    tcase_add_loop_test(t, what_is_wrong_with_targets, 0, sizeof wrong_targets / sizeof *wrong_targets);
    tcase_add_test(t, a_folder_needs_no_options_and_a_list_does);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

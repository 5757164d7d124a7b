/* Images that cannot be used: the list of them, and loaders that go on without them. */
#include "data/loader.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { N = 40, SIDE = 6, FLOATS = SIDE * SIDE, BATCH = 7, BATCHES = (N + BATCH - 1) / BATCH };

static char root[64];

static const char *at(const char *name) {
    static char path[2][160];
    static int next;
    char *p = path[next++ % 2];
    snprintf(p, sizeof path[0], "%s/%s", root, name);
    return p;
}

static void image_name(int i, char name[32]) {
    snprintf(name, 32, "%c/pic,%02d.pgm", 'a' + i % 2, i);
}

static void write_image(int i) {
    char name[32];
    image_name(i, name);
    FILE *f = fopen(at(name), "wb");
    ck_assert_ptr_nonnull(f);
    fprintf(f, "P5\n%d %d\n255\n", SIDE, SIDE);
    for (int k = 0; k < FLOATS; k++) fputc((i * 37 + k * 11) % 256, f);
    ck_assert_int_eq(fclose(f), 0);
}

static void make_folder(void) {
    strcpy(root, "/tmp/facet-quarantine-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    ck_assert_int_eq(mkdir(at("a"), 0777), 0);
    ck_assert_int_eq(mkdir(at("b"), 0777), 0);
    for (int i = 0; i < N; i++) write_image(i);
}

static void remove_folder(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    ck_assert_int_eq(system(command), 0);
}

static ft_dataset *open_data(void) {
    ft_dataset *ds;
    ck_assert_msg(ft_dataset_open(root, NULL, &ds) == FT_OK, "%s", ft_err_message());
    ck_assert_int_eq(ds->n, N);
    return ds;
}

static ft_quarantine *new_quarantine(const ft_dataset *ds, double max_share) {
    ft_quarantine *q;
    ck_assert_int_eq(ft_quarantine_new(ds, max_share, &q), FT_OK);
    return q;
}

static void assert_entry(const ft_quarantine *q, int32_t k, int32_t sample, const char *reason) {
    const char *there;
    ck_assert_int_eq(ft_quarantine_sample(q, k, &there), sample);
    ck_assert_str_eq(there, reason);
}

/* ---- the list ---- */

START_TEST(a_list_with_reasons) {
    ft_dataset *ds = open_data();
    ft_quarantine *q = new_quarantine(ds, 1);
    char name[64], reason[256];
    ft_dataset_name(ds, 9, name, sizeof name);
    snprintf(reason, sizeof reason, "%s: says \"no\", twice", at(name));
    ck_assert(!ft_quarantine_has(q, 9));
    ck_assert_int_eq(ft_quarantine_add(q, 9, reason), FT_OK);
    ck_assert_int_eq(ft_quarantine_add(q, 9, "another reason"), FT_OK); /* only the first counts */
    ck_assert_int_eq(ft_quarantine_add(q, 2, "empty\nfile"), FT_OK);
    ck_assert(ft_quarantine_has(q, 9) && ft_quarantine_has(q, 2) && !ft_quarantine_has(q, 3));
    ck_assert_int_eq(ft_quarantine_count(q), 2);
    assert_entry(q, 0, 9, "says \"no\", twice");
    assert_entry(q, 1, 2, "empty\nfile");

    ck_assert_int_eq(ft_quarantine_write(q, at("bad.csv")), FT_OK);
    ft_quarantine *again = new_quarantine(ds, 1);
    ck_assert_int_eq(ft_quarantine_read(again, at("bad.csv")), FT_OK);
    ck_assert_int_eq(ft_quarantine_count(again), 2);
    assert_entry(again, 0, 9, "says \"no\", twice");
    assert_entry(again, 1, 2, "empty\nfile");
    ft_quarantine_free(again);
    ft_quarantine_free(q);
    ft_dataset_free(ds);
}
END_TEST

START_TEST(a_list_from_elsewhere) {
    ft_dataset *ds = open_data();
    ft_quarantine *q = new_quarantine(ds, 1);
    ck_assert_int_eq(ft_quarantine_read(q, at("missing.csv")), FT_OK);
    FILE *f = fopen(at("bad.csv"), "wb");
    fputs("file,reason\nb/none.pgm,unknown here\n\"a/pic,00.pgm\",known\n", f);
    fclose(f);
    ck_assert_int_eq(ft_quarantine_read(q, at("bad.csv")), FT_OK);
    ck_assert_int_eq(ft_quarantine_count(q), 1);
    assert_entry(q, 0, 0, "known");
    f = fopen(at("bad.csv"), "wb");
    fputs("file,reason\na,b,c\n", f);
    fclose(f);
    ck_assert_int_eq(ft_quarantine_read(q, at("bad.csv")), FT_E_DATA);
    ck_assert_msg(strstr(ft_err_message(), "bad.csv:2"), "%s", ft_err_message());
    ft_quarantine_free(q);
    ft_dataset_free(ds);
}
END_TEST

START_TEST(too_many) {
    ft_dataset *ds = open_data();
    ft_quarantine *q = new_quarantine(ds, 0.05); /* 2 of 40 */
    ck_assert_int_eq(ft_quarantine_add(q, 1, "one"), FT_OK);
    ck_assert_int_eq(ft_quarantine_add(q, 5, "two"), FT_OK);
    ck_assert_int_eq(ft_quarantine_add(q, 7, "three"), FT_E_DATA);
    ck_assert_msg(strstr(ft_err_message(), "3 of 40") && strstr(ft_err_message(), "max_share") &&
                      strstr(ft_err_message(), "three"),
                  "%s", ft_err_message());
    ck_assert_int_eq(ft_quarantine_count(q), 3);
    ft_quarantine_free(q);
    ft_dataset_free(ds);
}
END_TEST

/* ---- loaders ---- */

typedef struct epoch {
    int32_t n, index[N], next[N]; /* next: of the batch that the sample came in */
    float x[N * FLOATS];
} epoch;

static ft_loader *new_loader(const ft_dataset *ds, ft_quarantine *q, int32_t workers) {
    int32_t index[N];
    for (int32_t i = 0; i < N; i++) index[i] = i;
    ft_loader_options o = {.image = {.h = SIDE, .w = SIDE, .c = 1},
                           .training = true,
                           .augment = {.flip = true},
                           .batch = BATCH,
                           .shuffle = true,
                           .seed = 3,
                           .workers = workers,
                           .quarantine = q};
    ft_loader *l;
    ck_assert_msg(ft_loader_new(ds, index, N, &o, &l) == FT_OK, "%s", ft_err_message());
    return l;
}

static void run_epoch(ft_loader *l, int64_t number, int32_t first, epoch *e) {
    ck_assert_int_eq(ft_loader_start(l, number, first), FT_OK);
    e->n = 0;
    for (ft_batch b;;) {
        ck_assert_msg(ft_loader_next(l, &b) == FT_OK, "%s", ft_err_message());
        if (b.n == 0) {
            ck_assert_int_eq(b.next, BATCHES);
            return;
        }
        for (int32_t i = 0; i < b.n; i++) {
            e->next[e->n] = b.next;
            e->index[e->n++] = b.index[i];
        }
        memcpy(e->x + (e->n - b.n) * FLOATS, b.x, (size_t)b.n * FLOATS * sizeof(float));
    }
}

/* What is left of an epoch without the bad samples, from a batch on. */
static epoch without(const epoch *whole, const bool bad[N], int32_t first) {
    epoch e = {0};
    for (int32_t i = first * BATCH; i < whole->n; i++) {
        if (bad[whole->index[i]]) continue;
        memcpy(e.x + e.n * FLOATS, whole->x + i * FLOATS, FLOATS * sizeof(float));
        e.next[e.n] = i / BATCH + 1;
        e.index[e.n++] = whole->index[i];
    }
    return e;
}

static void same_epochs(const epoch *a, const epoch *b) {
    ck_assert_int_eq(a->n, b->n);
    ck_assert_mem_eq(a->index, b->index, (size_t)a->n * sizeof *a->index);
    ck_assert_mem_eq(a->next, b->next, (size_t)a->n * sizeof *a->next);
    ck_assert_mem_eq(a->x, b->x, (size_t)a->n * FLOATS * sizeof *a->x);
}

/* Truncates, empties, removes and renames; a whole batch among them. */
static void break_images(const ft_dataset *ds, const epoch *whole, bool bad[N]) {
    for (int32_t i = 0; i < N; i++)
        bad[whole->index[i]] = i / BATCH == 2 || i % 13 == 4; /* batch 2, and others here and there */
    for (int32_t i = 0; i < N; i++) {
        char name[64];
        ft_dataset_name(ds, i, name, sizeof name);
        if (!bad[i]) continue;
        if (i % 3 == 0)
            ck_assert_int_eq(truncate(at(name), 20), 0);
        else if (i % 3 == 1)
            ck_assert_int_eq(truncate(at(name), 0), 0);
        else
            ck_assert_int_eq(unlink(at(name)), 0);
    }
}

static epoch whole[2], seen;

START_TEST(the_others_keep_their_order) {
    ft_dataset *ds = open_data();
    ft_loader *l = new_loader(ds, NULL, 0);
    for (int k = 0; k < 2; k++) run_epoch(l, k, 0, &whole[k]);
    ft_loader_free(l);
    bool bad[N];
    break_images(ds, &whole[0], bad);
    static const int32_t workers[] = {0, 1, 2, 4};
    for (int w = 0; w < 4; w++) {
        ft_quarantine *q = new_quarantine(ds, 1);
        l = new_loader(ds, q, workers[w]);
        for (int k = 0; k < 2; k++) {
            run_epoch(l, k, 0, &seen);
            epoch wanted = without(&whole[k], bad, 0);
            same_epochs(&seen, &wanted);
        }
        run_epoch(l, 1, 3, &seen); /* from the middle */
        epoch wanted = without(&whole[1], bad, 3);
        same_epochs(&seen, &wanted);
        ft_loader_free(l);
        int32_t n = 0, in_order = 0;
        for (int32_t i = 0; i < N; i++) {
            ck_assert_int_eq(ft_quarantine_has(q, i), bad[i]);
            n += bad[i];
        }
        ck_assert_int_eq(ft_quarantine_count(q), n);
        for (int32_t i = 0; i < N; i++) { /* discovered in the order of the first epoch */
            const char *reason;
            if (bad[whole[0].index[i]])
                ck_assert_int_eq(ft_quarantine_sample(q, in_order++, &reason), whole[0].index[i]);
        }
        ft_quarantine_free(q);
    }
    ft_dataset_free(ds);
}
END_TEST

/* The limit is met at the same batch for any number of workers. */
START_TEST(too_many_stop_the_loader) {
    ft_dataset *ds = open_data();
    ft_loader *l = new_loader(ds, NULL, 0);
    run_epoch(l, 0, 0, &whole[0]);
    ft_loader_free(l);
    bool bad[N];
    break_images(ds, &whole[0], bad);
    for (int32_t workers = 0; workers <= 4; workers++) {
        ft_quarantine *q = new_quarantine(ds, 0.1); /* 4 of 40: batch 2 has more */
        l = new_loader(ds, q, workers);
        ck_assert_int_eq(ft_loader_start(l, 0, 0), FT_OK);
        ft_batch b;
        for (int32_t k = 0; k < 2; k++) ck_assert_int_eq(ft_loader_next(l, &b), FT_OK);
        ck_assert_int_eq(ft_loader_next(l, &b), FT_E_DATA);
        ck_assert_int_eq(ft_quarantine_count(q), 5);
        ft_loader_free(l);
        ft_quarantine_free(q);
    }
    ft_dataset_free(ds);
}
END_TEST

int main(void) {
    Suite *s = suite_create("quarantine");
    TCase *list = tcase_create("list"), *loaders = tcase_create("loaders");
    tcase_add_checked_fixture(list, make_folder, remove_folder);
    tcase_add_test(list, a_list_with_reasons);
    tcase_add_test(list, a_list_from_elsewhere);
    tcase_add_test(list, too_many);
    suite_add_tcase(s, list);
    tcase_add_checked_fixture(loaders, make_folder, remove_folder);
    tcase_add_test(loaders, the_others_keep_their_order);
    tcase_add_test(loaders, too_many_stop_the_loader);
    suite_add_tcase(s, loaders);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

/* Frozen prefixes: where they end, the file that keeps what they give, and that this is what the network
 * gives, for these images and these weights. */
#include "layers/net.h"
#include "tensor/par.h"
#include "train/blank_model.h"
#include "train/feature_store.h"
#include "train/features.h"
#include "train/frozen_cut.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

static void setup(void) {
    strcpy(folder, "/tmp/facet-features-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(chdir(folder), 0);
    ft_threads_set(2);
}

static void teardown(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}

/* ---- where it ends ---- */

typedef struct cut_case {
    const char *frozen, *cut; /* up to; NULL: none */
    bool aux;
} cut_case;

static const cut_case cut_cases[] = {
    {NULL, NULL, false},
    {"mixed10", "avg_pool", false}, /* pooling trains nothing, and makes it smaller */
    {"mixed8", "mixed8", false},
    {"mixed7", "mixed7", false},
    {"mixed8", "mixed7", true}, /* the auxiliary head looks past mixed8 */
    {"conv2d_1", "conv2d_1", false},
    {"activation_1", "activation_1", false},
    {"conv2d_9", "maxpool_2", false}, /* one branch of mixed0 alone */
};

START_TEST(the_cut_is_what_all_paths_share) {
    const cut_case *c = &cut_cases[_i];
    ft_graph *g;
    ck_assert_int_eq(ft_graph_new(&g), FT_OK);
    ft_net_options o = {.image = {1, 75, 75, 3}, .classes = 4, .dropout = 0.5f, .aux_head = c->aux};
    ft_val image, losses[2], labels = ft_input(g, "labels", (ft_shape){1, 1, 1, 1});
    ft_net_outputs out;
    ck_assert_msg(ft_net_build(ft_net_find("inception_v3"), g, &o, &image, &out) == FT_OK, "%s",
                  ft_err_message());
    losses[0] = ft_softmax_cross_entropy(g, out.logits, labels, NULL);
    if (c->aux) losses[1] = ft_softmax_cross_entropy(g, out.aux_logits, labels, NULL);
    ft_graph_freeze(g, c->frozen ? ft_graph_find(g, c->frozen) : FT_NONE);
    ft_val cut = ft_frozen_cut(g, image, c->aux ? 2 : 1, losses);
    if (!c->cut)
        ck_assert_int_eq(cut.id, 0);
    else
        ck_assert_str_eq(ft_val_name(g, cut), c->cut);
    ft_graph_free(g);
}
END_TEST

START_TEST(parameters_before_a_value) {
    ft_model *m;
    ck_assert_int_eq(ft_blank_model("inception_mini", 28, 4, &m), FT_OK);
    bool before[512] = {false};
    ck_assert_int_le(ft_graph_n_params(m->g), 512);
    ck_assert_int_eq(ft_params_before(m->g, ft_graph_find(m->g, "activation_2"), before), FT_OK);
    int n = 0;
    for (int32_t i = 0; i < ft_graph_n_params(m->g); i++) {
        const char *name = ft_graph_param(m->g, i)->name;
        bool first_two = strstr(name, "_1/") || strstr(name, "_2/");
        ck_assert_msg(before[i] == first_two, "%s", name);
        n += before[i];
    }
    ck_assert_int_eq(n, 2 * 4); /* kernel, beta, mean, variance */
    ft_model_free(m);
}
END_TEST

/* ---- the file ---- */

enum { ROWS = 5, FLOATS = 37 };
static const ft_feature_spec spec = {.key = 77, .rows = ROWS, .floats = FLOATS};

static ft_feature_store *open_store(const ft_feature_spec *s) {
    ft_feature_store *store;
    ck_assert_msg(ft_feature_store_open("store", s, &store) == FT_OK, "%s", ft_err_message());
    return store;
}

static float number(int64_t row, int k) {
    return sinf((float)(row * FLOATS + k)) * 3;
}

static void put(ft_feature_store *s, int64_t row, uint64_t content) {
    float p[FLOATS];
    for (int k = 0; k < FLOATS; k++) p[k] = number(row, k);
    ck_assert_msg(ft_feature_store_put(s, row, content, p) == FT_OK, "%s", ft_err_message());
}

static void expect_row(const ft_feature_store *s, int64_t row, double relative) {
    float p[FLOATS];
    ck_assert_msg(ft_feature_store_get(s, row, p) == FT_OK, "%s", ft_err_message());
    for (int k = 0; k < FLOATS; k++) {
        double want = (double)number(row, k);
        ck_assert_msg(fabs((double)p[k] - want) <= relative * fabs(want), "row %d, %d: %g, not %g", (int)row,
                      k, (double)p[k], want);
    }
}

START_TEST(rows_are_kept) { /* in a file, and in memory too */
    ft_feature_spec s = spec;
    if (_i % 2) s.memory_bytes = 1 << 20;
    s.bf16 = _i / 2;
    double rounding = s.bf16 ? 0x1p-8 : 0;
    ft_feature_store *store = open_store(&s);
    ck_assert(ft_feature_store_in_memory(store) == (_i % 2 == 1));
    for (int64_t row = 0; row < ROWS; row++) ck_assert(!ft_feature_store_has(store, row, 100));
    put(store, 3, 103);
    put(store, 0, 100);
    ck_assert(ft_feature_store_has(store, 3, 103) && !ft_feature_store_has(store, 3, 104));
    expect_row(store, 3, rounding);
    ft_feature_store_free(store);
    store = open_store(&s);
    ck_assert(ft_feature_store_has(store, 0, 100) && ft_feature_store_has(store, 3, 103));
    ck_assert(!ft_feature_store_has(store, 1, 0));
    expect_row(store, 0, rounding);
    expect_row(store, 3, rounding);
    float p[FLOATS];
    ck_assert_int_eq(ft_feature_store_get(store, 1, p), FT_E_USAGE);
    put(store, 3, 999); /* the image has changed */
    ck_assert(!ft_feature_store_has(store, 3, 103) && ft_feature_store_has(store, 3, 999));
    ft_feature_store_free(store);
    struct stat st;
    ck_assert_int_eq(stat("store", &st), 0);
    store = open_store(&s);
    ck_assert_int_eq(st.st_size, ft_feature_store_bytes(store));
    ft_feature_store_free(store);
}
END_TEST

START_TEST(another_purpose_starts_anew) {
    ft_feature_spec others[] = {spec, spec, spec, spec};
    others[0].key++;
    others[1].rows++;
    others[2].floats--;
    others[3].bf16 = true;
    for (int i = 0; i < 4; i++) {
        ft_feature_store *store = open_store(&spec);
        put(store, 2, 102);
        ft_feature_store_free(store);
        store = open_store(&others[i]);
        ck_assert_msg(!ft_feature_store_has(store, 2, 102), "case %d", i);
        ft_feature_store_free(store);
        store = open_store(&spec); /* nor does the first come back */
        ck_assert(!ft_feature_store_has(store, 2, 102));
        ft_feature_store_free(store);
    }
}
END_TEST

/* Writes a byte of the file anew with all its bits turned. */
static void flip(long at) {
    FILE *f = fopen("store", "r+b");
    ck_assert_ptr_nonnull(f);
    fseek(f, at, SEEK_SET);
    int c = fgetc(f);
    ck_assert_int_ne(c, EOF);
    fseek(f, at, SEEK_SET);
    fputc(c ^ 0xff, f);
    fclose(f);
}

/* Whatever byte of the file changes: each row is as it was, or absent. */
START_TEST(damage_is_absence) {
    ft_feature_spec s = spec;
    if (_i) s.memory_bytes = 1 << 20;
    ft_feature_store *store = open_store(&s);
    for (int64_t row = 0; row < ROWS; row++) put(store, row, 100 + (uint64_t)row);
    long bytes = (long)ft_feature_store_bytes(store);
    ft_feature_store_free(store);
    int absent = 0;
    for (long at = 0; at < bytes; at++) {
        flip(at);
        store = open_store(&s);
        bool whole = true;
        for (int64_t row = 0; row < ROWS; row++) {
            if (ft_feature_store_has(store, row, 100 + (uint64_t)row))
                expect_row(store, row, 0);
            else
                whole = false;
        }
        ck_assert_msg(!whole, "byte %ld is not watched", at);
        absent++;
        for (int64_t row = 0; row < ROWS; row++) put(store, row, 100 + (uint64_t)row);
        ft_feature_store_free(store);
    }
    ck_assert_int_eq(absent, bytes);
    ck_assert_int_eq(truncate("store", bytes - 1), 0);
    store = open_store(&s);
    ck_assert(ft_feature_store_has(store, 0, 100) && !ft_feature_store_has(store, ROWS - 1, 100 + ROWS - 1));
    ft_feature_store_free(store);
}
END_TEST

START_TEST(damage_while_open_is_told) {
    ft_feature_store *store = open_store(&spec);
    put(store, 1, 101);
    flip((long)ft_feature_store_bytes(store) - (ROWS - 2) * FLOATS * 4 - 1);
    float p[FLOATS];
    ck_assert_int_eq(ft_feature_store_get(store, 1, p), FT_E_IO);
    ck_assert_msg(strstr(ft_err_message(), "store") && strstr(ft_err_message(), "remove it"), "%s",
                  ft_err_message());
    ft_feature_store_free(store);
    ck_assert_int_eq(ft_feature_store_open("missing/store", &spec, &store), FT_E_IO);
    ck_assert_ptr_null(store);
    ft_feature_spec huge = spec;
    huge.floats = (int64_t)1 << 50;
    ck_assert_int_eq(ft_feature_store_open("huge", &huge, &store), FT_E_IO);
    ck_assert_msg(strstr(ft_err_message(), "feature_cache"), "%s", ft_err_message());
    ck_assert_int_ne(access("huge", F_OK), 0);
}
END_TEST

/* ---- features ---- */

enum { IMAGES = 21, SIDE = 28 };

static void write_image(int i, int what) {
    char path[32];
    snprintf(path, sizeof path, "images/%c/%02d.pgm", i % 2 ? 'a' : 'b', i);
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    fprintf(f, "P5\n%d %d\n255\n", SIDE, SIDE);
    for (int k = 0; k < SIDE * SIDE; k++) fputc((k * (what + 3) + k * k % 91) % 256, f);
    fclose(f);
}

typedef struct world {
    ft_dataset *ds;
    ft_model *m;
    ft_val cut;
    ft_features *f;
    int32_t index[IMAGES - 2]; /* a part of the data, not in their order */
    ft_features_options o;
} world;

enum { PART = IMAGES - 2 };

static void open_world(world *w) {
    *w = (world){.o = {.loading = {.training = true,
                                   .augment = {.flip = true, .shift = 0.1f},
                                   .seed = 4,
                                   .variants = 2,
                                   .workers = 1},
                       .augmentation = "flip, shift",
                       .memory_bytes = 1 << 20,
                       .path = "features"}};
    mkdir("images", 0777);
    mkdir("images/a", 0777);
    mkdir("images/b", 0777);
    for (int i = 0; i < IMAGES; i++) write_image(i, i);
    ck_assert_msg(ft_dataset_open("images", NULL, &w->ds) == FT_OK, "%s", ft_err_message());
    for (int i = 0; i < PART; i++) w->index[i] = (i * 5 + 2) % IMAGES;
    ck_assert_int_eq(ft_blank_model("inception_mini", SIDE, 2, &w->m), FT_OK);
    ft_graph_init(w->m->g, 9);
    w->cut = ft_graph_find(w->m->g, "mixed1");
    ft_graph_freeze(w->m->g, w->cut);
    w->o.loading.image = w->m->image;
}

static void open_features(world *w) {
    ck_assert_msg(ft_features_open(w->m, w->cut, w->ds, w->index, PART, &w->o, &w->f) == FT_OK, "%s",
                  ft_err_message());
}

static void close_world(world *w) {
    ft_features_free(w->f);
    ft_model_free(w->m);
    ft_dataset_free(w->ds);
}

static int stop_after = -1;
static bool count_made(void *ctx, int64_t done, int64_t n) {
    (void)n;
    *(int *)ctx = (int)done;
    return stop_after < 0 || done < stop_after;
}

/* How many were missing. */
static int make(world *w, int64_t epoch) {
    int made = 0;
    ck_assert_msg(ft_features_make(w->f, epoch, count_made, &made) == FT_OK, "%s", ft_err_message());
    return made;
}

static void expect_made(world *w, int64_t epoch, int want) {
    int made = make(w, epoch);
    ck_assert_msg(made == want, "%d features were missing, not %d", made, want);
}

START_TEST(features_are_what_the_network_gives) {
    world w;
    open_world(&w);
    open_features(&w);
    expect_made(&w, 4, PART);
    expect_made(&w, 5, PART);
    ft_loader_options o = w.o.loading;
    o.batch = 4;
    o.shuffle = true;
    ft_loader *loader;
    ck_assert_msg(ft_loader_new(w.ds, w.index, PART, &o, &loader) == FT_OK, "%s", ft_err_message());
    ft_val both[] = {w.cut};
    ft_plan *whole, *fed;
    ck_assert_int_eq(ft_compile(w.m->g, &(ft_plan_spec){.batch = 4, .n_outputs = 1, .outputs = both}, &whole),
                     FT_OK);
    ck_assert_int_eq(ft_compile(w.m->g,
                                &(ft_plan_spec){.batch = 4,
                                                .n_outputs = 1,
                                                .outputs = &w.m->probabilities,
                                                .n_fed = 1,
                                                .fed = &w.cut},
                                &fed),
                     FT_OK);
    int differ = 0;
    static float first[IMAGES], again;
    for (int64_t epoch = 6; epoch < 9; epoch++) { /* variants 0, 1, 0 */
        ck_assert_int_eq(ft_loader_start(loader, epoch, 0), FT_OK);
        for (ft_batch b; ft_loader_next(loader, &b) == FT_OK && b.n > 0;) {
            ck_assert_int_eq(ft_batch_feed(&b, NULL, epoch, whole, w.m->input), FT_OK);
            ft_plan_forward(whole, b.n, 0);
            ck_assert_int_eq(ft_batch_feed(&b, w.f, epoch, fed, w.cut), FT_OK);
            ft_view want = ft_plan_value(whole, w.cut, b.n), got = ft_plan_value(fed, w.cut, b.n);
            ck_assert_mem_eq(got.p, want.p, (size_t)(ft_rows(&want) * want.c) * sizeof *want.p);
            for (int32_t i = 0; i < b.n; i++) {
                again = got.p[i * (ft_rows(&got) / b.n) * got.c + 5];
                if (epoch == 6)
                    first[b.index[i]] = again;
                else if (epoch == 7)
                    differ += first[b.index[i]] != again;
                else
                    ck_assert(first[b.index[i]] == again);
            }
        }
    }
    ck_assert_int_gt(differ, PART / 3); /* the variants are different */
    ft_plan_free(whole);
    ft_plan_free(fed);
    ft_loader_free(loader);
    close_world(&w);
}
END_TEST

START_TEST(only_what_changed_is_made_again) {
    world w;
    open_world(&w);
    open_features(&w);
    expect_made(&w, 0, PART);
    expect_made(&w, 0, 0);
    expect_made(&w, 1, PART);
    expect_made(&w, 2, 0);
    ft_features_free(w.f);
    open_features(&w); /* as after a restart */
    expect_made(&w, 0, 0);
    expect_made(&w, 1, 0);
    ft_features_free(w.f);
    write_image(3, 50); /* same name and size */
    write_image(8, 60);
    open_features(&w);
    expect_made(&w, 0, 2);
    expect_made(&w, 0, 0);
    expect_made(&w, 1, 2);
    close_world(&w);
}
END_TEST

/* Everything that features depend on; what they do not depend on is at the end. */
START_TEST(the_key_changes_with_all_that_matters) {
    world w;
    open_world(&w);
    open_features(&w);
    ck_assert_int_eq(make(&w, 0), PART);
    for (int what = 0; what < 10; what++) {
        ft_features_free(w.f);
        ft_features_options keep = w.o;
        ft_param *kernel = ft_graph_find_param(w.m->g, "conv2d_1/kernel"),
                 *variance = ft_graph_find_param(w.m->g, "batch_normalization_2/moving_variance"),
                 *head = ft_graph_find_param(w.m->g, "predictions/kernel");
        ck_assert(kernel && variance && head);
        switch (what) {
        case 0:
            kernel->p[7] += 1e-6f;
            break;
        case 1:
            variance->p[0] *= 1.5f;
            break;
        case 2:
            w.o.loading.image.normalize = FT_NORMALIZE_STANDARD;
            break;
        case 3:
            w.o.loading.image.resize = FT_RESIZE_PIL_BICUBIC;
            break;
        case 4:
            w.o.loading.seed++;
            break;
        case 5:
            w.o.augmentation = "flip, shift more";
            break;
        case 6:
            w.cut = ft_graph_find(w.m->g, "mixed0");
            break;
        case 7:
            w.o.direct = true;
            break;
        case 8:
            w.o.loading.variants = 3;
            break;
        case 9: /* not this */
            head->p[3] += 1;
            w.o.loading.batch = 7;
            w.o.loading.workers = 0;
            break;
        }
        open_features(&w);
        int made = make(&w, 0);
        ck_assert_msg(made == (what == 9 ? 0 : PART), "case %d: %d were made", what, made);
        if (what == 9) break;
        ft_features_free(w.f);
        w.o = keep;
        w.cut = ft_graph_find(w.m->g, "mixed1");
        open_features(&w);
        make(&w, 0);
    }
    close_world(&w);
}
END_TEST

START_TEST(stopping_keeps_what_is_made) {
    world w;
    open_world(&w);
    open_features(&w);
    int made = 0;
    stop_after = 1;
    ck_assert_int_eq(ft_features_make(w.f, 0, count_made, &made), FT_E_STOPPED);
    stop_after = -1;
    ck_assert(made > 0 && made < PART);
    ft_features_free(w.f);
    open_features(&w);
    int rest = make(&w, 0);
    ck_assert_msg(rest == PART - made, "%d of %d were made at first, %d then", made, PART, rest);
    close_world(&w);
}
END_TEST

START_TEST(bad_images_and_weights_are_named) {
    world w;
    open_world(&w);
    ck_assert_int_eq(unlink("images/a/07.pgm"), 0);
    w.f = (ft_features *)&w;
    ck_assert_int_eq(ft_features_open(w.m, w.cut, w.ds, w.index, PART, &w.o, &w.f), FT_E_DATA);
    ck_assert_ptr_null(w.f);
    ck_assert_msg(strstr(ft_err_message(), "07.pgm"), "%s", ft_err_message());
    write_image(7, 7);
    ft_graph_find_param(w.m->g, "batch_normalization_2/moving_variance")->p[0] = -1;
    open_features(&w);
    ck_assert_int_eq(ft_features_make(w.f, 0, NULL, NULL), FT_E_NUMERIC);
    ck_assert_msg(strstr(ft_err_message(), ".pgm") && strstr(ft_err_message(), "weights"), "%s",
                  ft_err_message());
    close_world(&w);
}
END_TEST

int main(void) {
    Suite *s = suite_create("features");
    TCase *t = tcase_create("features");
    tcase_set_timeout(t, 300);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, the_cut_is_what_all_paths_share, 0, sizeof cut_cases / sizeof *cut_cases);
    tcase_add_test(t, parameters_before_a_value);
    tcase_add_loop_test(t, rows_are_kept, 0, 4);
    tcase_add_test(t, another_purpose_starts_anew);
    tcase_add_loop_test(t, damage_is_absence, 0, 2);
    tcase_add_test(t, damage_while_open_is_told);
    tcase_add_test(t, features_are_what_the_network_gives);
    tcase_add_test(t, only_what_changed_is_made_again);
    tcase_add_test(t, the_key_changes_with_all_that_matters);
    tcase_add_test(t, stopping_keeps_what_is_made);
    tcase_add_test(t, bad_images_and_weights_are_named);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Changes of training images beyond crops and flips: lean, grey, blur, erased rectangles, mixed images; each
 * against its definition, and in a loader whatever the workers. */
#include "data/blur.h"
#include "data/loader.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t state = 1;

static float next_float(void) {
    state = state * 1664525u + 1013904223u;
    return (float)(state >> 8) / 0x1p24f;
}

static void near(double a, double b, double tolerance) {
    ck_assert_msg(fabs(a - b) <= tolerance, "%.9g, not %.9g", a, b);
}

/* ---- blur ---- */

static int reflect(int i, int n) {
    if (i < 0) i = -i;
    return i < n ? i : 2 * (n - 1) - i;
}

START_TEST(blur_as_defined) {
    static const double sigmas[] = {0.05, 0.4, 1, 2.7};
    enum { H = 11, W = 9, C = 3 };
    for (int s = 0; s < 4; s++) {
        float x[H * W * C], before[H * W * C], spare[H * W * C];
        for (int i = 0; i < H * W * C; i++) x[i] = before[i] = next_float();
        ft_blur(H, W, C, sigmas[s], x, spare);
        int reach = (int)ceil(3 * sigmas[s]), rx = reach < W - 1 ? reach : W - 1,
            ry = reach < H - 1 ? reach : H - 1;
        for (int y = 0; y < H; y++)
            for (int i = 0; i < W; i++)
                for (int c = 0; c < C; c++) { /* in two dimensions at once */
                    double sum = 0, weights = 0;
                    for (int dy = -ry; dy <= ry; dy++)
                        for (int dx = -rx; dx <= rx; dx++) {
                            double w = exp(-(dx * dx + dy * dy) / (2 * sigmas[s] * sigmas[s]));
                            sum += w * (double)before[(reflect(y + dy, H) * W + reflect(i + dx, W)) * C + c];
                            weights += w;
                        }
                    near((double)x[(y * W + i) * C + c], sum / weights, 2e-6);
                }
    }
    float one[3] = {0.2f, 0.5f, 0.9f}, spare[3];
    ft_blur(1, 1, 3, 5, one, spare); /* nothing around it */
    near((double)one[1], 0.5, 1e-7);
}
END_TEST

/* ---- mixing ---- */

enum { N = 5, SIDE = 12, SIZE = SIDE * SIDE * 2 };
static float batch[N * SIZE], original[N * SIZE];

static float mix(const ft_mix *m, uint64_t stream, int32_t n) {
    float spare[SIZE];
    for (int i = 0; i < N * SIZE; i++) batch[i] = original[i] = next_float();
    ft_rng rng = ft_rng_stream(77, stream);
    return ft_mix_batch(m, &rng, n, SIDE, SIDE, 2, batch, spare);
}

static const float *other(int i) {
    return original + (i > 0 ? i - 1 : N - 1) * SIZE;
}

START_TEST(mixup) {
    double sum = 0, squares = 0;
    enum { DRAWS = 4000 };
    for (int d = 0; d < DRAWS; d++) {
        double share = (double)mix(&(ft_mix){.mixup = 0.4f}, (uint64_t)d, N);
        sum += share;
        squares += share * share;
        if (d >= 20) continue;
        for (int i = 0; i < N; i++)
            for (int k = 0; k < SIZE; k++)
                near((double)batch[i * SIZE + k],
                     share * (double)original[i * SIZE + k] + (1 - share) * (double)other(i)[k], 1e-6);
    }
    near(sum / DRAWS, 0.5, 0.03); /* Beta(a, a): mean 1/2, variance 1 / (4 (2a + 1)) */
    near(squares / DRAWS - 0.25, 1 / (4 * 1.8), 0.01);
    near((double)mix(&(ft_mix){.mixup = 1}, 1, 1), 1, 0); /* alone */
    near((double)mix(&(ft_mix){0}, 1, N), 1, 0);
    ck_assert_mem_eq(batch, original, sizeof batch);
}
END_TEST

START_TEST(cutmix) {
    double sum = 0;
    enum { DRAWS = 500 };
    for (int d = 0; d < DRAWS; d++) {
        double share = (double)mix(&(ft_mix){.cutmix = 1}, (uint64_t)d, N);
        sum += share;
        int own = -1;
        for (int i = 0; i < N; i++) {
            int here = 0, x0 = SIDE, x1 = -1, y0 = SIDE, y1 = -1;
            for (int k = 0; k < SIDE * SIDE; k++) {
                const float *p = batch + i * SIZE + 2 * k, *q = original + i * SIZE + 2 * k,
                            *o = other(i) + 2 * k;
                bool same = p[0] == q[0] && p[1] == q[1];
                ck_assert(same || (p[0] == o[0] && p[1] == o[1]));
                here += same;
                if (same) continue;
                int x = k % SIDE, y = k / SIDE;
                x0 = x < x0 ? x : x0;
                x1 = x > x1 ? x : x1;
                y0 = y < y0 ? y : y0;
                y1 = y > y1 ? y : y1;
            }
            near(share, (double)here / (SIDE * SIDE), 1e-6);
            int box = x1 < x0 ? 0 : (x1 - x0 + 1) * (y1 - y0 + 1);
            ck_assert_int_eq(box, SIDE * SIDE - here); /* one full rectangle */
            ck_assert(own < 0 || own == here);         /* the same in all */
            own = here;
        }
    }
    ck_assert(sum / DRAWS > 0.5 && sum / DRAWS < 0.8); /* boxes are cut off at the edges */
}
END_TEST

START_TEST(both_take_turns) {
    int cut = 0;
    for (int d = 0; d < 400; d++) {
        mix(&(ft_mix){.mixup = 1, .cutmix = 1}, (uint64_t)d, N);
        bool pasted = true; /* every number is one of the two */
        for (int k = 0; k < SIZE && pasted; k++)
            pasted = batch[SIZE + k] == original[SIZE + k] || batch[SIZE + k] == other(1)[k];
        cut += pasted;
    }
    ck_assert(abs(cut - 200) < 60);
}
END_TEST

/* ---- the plan of an image ---- */

START_TEST(erased_rectangles) {
    ft_augment a = {.erase = 0.5f};
    int n = 0;
    double area = 0;
    enum { DRAWS = 4000 };
    for (int32_t i = 0; i < DRAWS; i++) {
        ft_augment_plan p = ft_augment_draw(&a, 3, i, 90, 70, 64, 48);
        if (!p.erase_w) continue;
        n++;
        ck_assert(p.erase_x >= 0 && p.erase_y >= 0 && p.erase_h > 0 && p.erase_x + p.erase_w <= 64 &&
                  p.erase_y + p.erase_h <= 48);
        double part = p.erase_w * p.erase_h / (64. * 48), aspect = (double)p.erase_h / p.erase_w;
        ck_assert(part > 0.01 && part < 0.35 && aspect > 0.25 && aspect < 3.9);
        area += part;
    }
    ck_assert(abs(n - DRAWS / 2) < 160);
    ck_assert(area / n > 0.12 && area / n < 0.2);
}
END_TEST

START_TEST(leaning_about_the_centre) {
    ft_augment a = {.shear = 30};
    double most = 0;
    for (int32_t i = 0; i < 200; i++) {
        ft_augment_plan p = ft_augment_draw(&a, 5, i, 50, 40, 21, 11);
        const double *m = p.matrix;
        ck_assert(p.warped);
        near(m[0] * 10 + m[1] * 5 + m[2], 10, 1e-9); /* the centre stays, rows stay rows of their length */
        near(m[3] * 10 + m[4] * 5 + m[5], 5, 1e-9);
        near(m[0], 1, 1e-12);
        near(m[3], 0, 1e-12);
        near(m[4], 1, 1e-12);
        ck_assert(fabs(m[1]) <= tan(30 * 3.14159265358979 / 180) + 1e-9);
        most = fmax(most, fabs(m[1]));
    }
    ck_assert(most > 0.5);
}
END_TEST

START_TEST(shares_and_limits) {
    ft_augment a = {.grey = 0.25f, .blur = 2};
    int n = 0;
    double sum = 0;
    for (int32_t i = 0; i < 2000; i++) {
        ft_augment_plan p = ft_augment_draw(&a, 6, i, 50, 40, 21, 11);
        n += p.grey;
        ck_assert(p.blur >= 0 && p.blur <= 2);
        sum += p.blur;
    }
    ck_assert(abs(n - 500) < 100 && fabs(sum / 2000 - 1) < 0.07);
    static const ft_augment bad[] = {{.shear = 90},         {.shear = -1},          {.grey = 1.5f},
                                     {.blur = -1},          {.blur = NAN},          {.erase = 2},
                                     {.mix = {.mixup = 9}}, {.mix = {.cutmix = -1}}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_int_eq(ft_augment_check(&bad[i], 9, 9), FT_E_CONFIG);
}
END_TEST

/* ---- in a loader ---- */

static int32_t fake_label(const ft_dataset *ds, int32_t i) {
    (void)ds;
    return i % 3;
}
static ft_err fake_read(const ft_dataset *ds, int32_t i, ft_image_want want, ft_image *out) {
    (void)ds;
    FT_TRY(ft_image_alloc(out, 20, 16, want.c));
    for (int32_t k = 0; k < 20 * 16 * want.c; k++) out->p[k] = (uint8_t)(i * 31 + k * 7);
    return FT_OK;
}
static const ft_dataset_ops fake_ops = {.kind = "fake", .label = fake_label, .read = fake_read};
static const ft_dataset fake = {.ops = &fake_ops, .n = 23, .n_classes = 3};

enum { FLOATS = 16 * 16 * 3, ALL = 23 };
typedef struct epoch {
    int32_t n;
    float x[ALL * FLOATS], share[ALL];
} epoch;

static void run(ft_augment a, int32_t workers, epoch *e) {
    int32_t index[ALL];
    for (int32_t i = 0; i < ALL; i++) index[i] = i;
    ft_loader_options o = {.image = {.h = 16, .w = 16, .c = 3, .normalize = FT_NORMALIZE_INCEPTION},
                           .training = true,
                           .augment = a,
                           .batch = 6,
                           .shuffle = true,
                           .seed = 4,
                           .workers = workers};
    ft_loader *l;
    ck_assert_msg(ft_loader_new(&fake, index, ALL, &o, &l) == FT_OK, "%s", ft_err_message());
    ck_assert_int_eq(ft_loader_start(l, 2, 0), FT_OK);
    e->n = 0;
    for (ft_batch b; ft_loader_next(l, &b) == FT_OK && b.n > 0; e->n += b.n) {
        memcpy(e->x + e->n * FLOATS, b.x, (size_t)b.n * FLOATS * sizeof(float));
        for (int32_t i = 0; i < b.n; i++) e->share[e->n + i] = b.share;
    }
    ck_assert_int_eq(e->n, ALL);
    ft_loader_free(l);
}

START_TEST(in_a_loader) {
    static const ft_augment each[] = {{.grey = 1},   {.blur = 3},           {.erase = 1},
                                      {.shear = 40}, {.mix = {.mixup = 1}}, {.mix = {.cutmix = 1}}};
    static epoch plain, one, again;
    run((ft_augment){0}, 0, &plain);
    for (size_t k = 0; k < sizeof each / sizeof *each; k++) {
        run(each[k], 0, &one);
        ck_assert_int_ne(memcmp(plain.x, one.x, sizeof one.x), 0);
        for (int32_t workers = 1; workers <= 4; workers++) {
            run(each[k], workers, &again);
            ck_assert_mem_eq(&one, &again, sizeof one);
        }
        for (int32_t i = 0; i < ALL; i++) {
            const float *x = one.x + i * FLOATS;
            int32_t equal = 0, zeros = 0;
            for (int32_t p = 0; p < 16 * 16; p++) {
                equal += x[3 * p] == x[3 * p + 1] && x[3 * p] == x[3 * p + 2];
                zeros += x[3 * p] == 0 && x[3 * p + 1] == 0 && x[3 * p + 2] == 0;
            }
            if (k == 0) ck_assert_int_eq(equal, 16 * 16);
            if (k == 2) ck_assert(zeros > 0 && zeros < 100);
            ck_assert(k >= 4 || one.share[i] == 1); /* only mixing shares */
        }
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("augment");
    TCase *c = tcase_create("augment");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, blur_as_defined);
    tcase_add_test(c, mixup);
    tcase_add_test(c, cutmix);
    tcase_add_test(c, both_take_turns);
    tcase_add_test(c, erased_rectangles);
    tcase_add_test(c, leaning_about_the_centre);
    tcase_add_test(c, shares_and_limits);
    tcase_add_test(c, in_a_loader);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}

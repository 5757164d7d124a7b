/* Winograd's convolutions: the transforms against the definition on every instruction set, the same bits for
 * any number of threads, and the switch that turns them off. Built in float and in double, where the
 * identities hold to 1e-12; how exact float is: test_winograd_accuracy.c. */
#include "layers/conv_method.h"
#include "tensor/kernels.h"
#include "tensor/par.h"
#include "tests/conv_testing.h"

static const double eps = sizeof(ft_real) == 8 ? 2.3e-16 : 1.2e-7;
static const double tolerance = sizeof(ft_real) == 8 ? 1e-12 : 5e-4;

/* ---- one tile */

enum { MAX_POINTS = 64, MAX_C = 40, GAP = 3, STEP = MAX_C + GAP };

/* Along one axis: taps, inputs, points, matrices of transformed weights, outputs. */
static const struct {
    const char *name;
    bool square;
    int32_t r, n, points, weights, m;
} forms[FT_WINOGRAD_FORMS] = {
    [FT_WINOGRAD_LINE_3] = {"F(4, 3)", false, 3, 6, 6, 6, 4},
    [FT_WINOGRAD_LINE_5] = {"F(4, 5)", false, 5, 8, 8, 8, 4},
    [FT_WINOGRAD_LINE_7] = {"F(4, 7)", false, 7, 10, 10, 10, 4},
    [FT_WINOGRAD_SQUARE_3] = {"F(4, 3) squared", true, 3, 6, 6, 6, 4},
    [FT_WINOGRAD_SQUARE_5] = {"F(4, 5) squared", true, 5, 8, 8, 8, 4},
    [FT_WINOGRAD_STRIDED] = {"F(3, 3/2) squared", true, 3, 7, 7, 5, 3},
    [FT_WINOGRAD_STRIDED_BACK] = {"the input gradient of F(3, 3/2) squared", true, 3, 4, 7, 5, 6},
};

/* The input that tap k of output o reads, along one axis; -1: none. */
static int32_t input_of(ft_winograd_form form, int32_t o, int32_t k) {
    if (form == FT_WINOGRAD_STRIDED) return 2 * o + k;
    if (form == FT_WINOGRAD_STRIDED_BACK) return (o + k) % 2 == 0 ? (o + k) / 2 : -1; /* zeros in between */
    return o + k;
}

/* Up to MAX_POINTS rows of c numbers, each followed by a guard. */
typedef struct rows {
    int32_t n, c;
    ft_real p[MAX_POINTS * STEP];
    ft_real *at[MAX_POINTS];
} rows;

static ft_real guard(int i) {
    return (ft_real)(1000 + i % 7);
}

static void rows_open(rows *r, int32_t n, int32_t c, uint64_t seed) {
    ft_rng rng = ft_rng_stream(seed, 1);
    r->n = n;
    r->c = c;
    for (int i = 0; i < MAX_POINTS * STEP; i++)
        r->p[i] = i / STEP < n && i % STEP < c ? (ft_real)ft_rng_normal(&rng) : guard(i);
    for (int i = 0; i < MAX_POINTS; i++) r->at[i] = r->p + i * STEP;
}

/* As ck_assert_msg, which is a system call even where it holds. */
#define EXPECT(holds, ...)                       \
    do {                                         \
        if (!(holds)) ck_abort_msg(__VA_ARGS__); \
    } while (0)

static void rows_check(const rows *r, const char *what) {
    for (int i = 0; i < MAX_POINTS * STEP; i++)
        if (i / STEP >= r->n || i % STEP >= r->c)
            EXPECT(r->p[i] == guard(i), "%s, %s: wrote outside, row %d column %d of %d", ft_isa(), what,
                   i / STEP, i % STEP, r->c);
}

static double rows_product(const rows *a, const rows *b) {
    double sum = 0;
    for (int i = 0; i < a->n; i++)
        for (int k = 0; k < a->c; k++) sum += (double)a->at[i][k] * (double)b->at[i][k];
    return sum;
}

typedef struct tile {
    ft_winograd_form form;
    int32_t r, n, m, c;
    bool square;
    int32_t inputs, points, weights, outputs, taps;
    char text[64];
    const ft_winograd_kernels *k;
    rows d, w, v, u, y, dy;
} tile;

static void tile_open(tile *t, ft_winograd_form form, int32_t c) {
    t->form = form;
    t->r = forms[form].r;
    t->n = forms[form].n;
    t->m = forms[form].m;
    t->square = forms[form].square;
    t->c = c;
    t->inputs = t->square ? t->n * t->n : t->n;
    t->points = t->square ? forms[form].points * forms[form].points : forms[form].points;
    t->weights = t->square ? forms[form].weights * forms[form].weights : forms[form].weights;
    t->outputs = t->square ? t->m * t->m : t->m;
    t->taps = t->square ? t->r * t->r : t->r;
    t->k = ft_winograd_kernels_get();
    snprintf(t->text, sizeof t->text, "%s of %d channels", forms[form].name, c);
    rows_open(&t->d, t->inputs, c, 1);
    rows_open(&t->w, t->taps, c, 2);
    rows_open(&t->v, t->points, c, 3);
    rows_open(&t->u, t->weights, c, 4);
    rows_open(&t->y, t->outputs, c, 5);
    rows_open(&t->dy, t->outputs, c, 6);
}

static void tile_check(const tile *t) {
    const rows *all[] = {&t->d, &t->w, &t->v, &t->u, &t->y, &t->dy};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) rows_check(all[i], t->text);
}

/* Output e, channel k, of the correlation; *size: the sum of the magnitudes. */
static double correlation(const tile *t, int e, int k, double *size) {
    int height = t->square ? t->r : 1, oy = t->square ? e / t->m : 0, ox = e % t->m;
    double sum = 0;
    *size = 0;
    for (int i = 0; i < height; i++)
        for (int j = 0; j < t->r; j++) {
            int32_t y = t->square ? input_of(t->form, oy, i) : 0, x = input_of(t->form, ox, j);
            if (y < 0 || x < 0) continue;
            double term = (double)t->d.at[y * t->n + x][k] * (double)t->w.at[i * t->r + j][k];
            sum += term;
            *size += fabs(term);
        }
    return sum;
}

/* Strided forms: the points of the odd inputs share the last weight. */
static int32_t weight_of(const tile *t, int32_t point) {
    int32_t side = forms[t->form].points, weights = forms[t->form].weights;
    int32_t i = t->square ? point / side : 0, j = point % side;
    return (i < weights ? i : weights - 1) * weights + (j < weights ? j : weights - 1);
}

/* p = V . U, left in v. */
static void transform(tile *t) {
    t->k->data(t->form, t->c, (const ft_real *const *)t->d.at, NULL, t->v.p, STEP);
    t->k->weight(t->form, t->c, t->w.p, STEP, t->u.p, STEP);
    tile_check(t);
    for (int i = 0; i < t->points; i++)
        for (int k = 0; k < t->c; k++) t->v.at[i][k] *= t->u.at[weight_of(t, i)][k];
}

static void check_correlation(tile *t) {
    t->k->output(t->form, t->c, t->v.p, STEP, t->y.at, &(ft_finish){0});
    tile_check(t);
    for (int e = 0; e < t->outputs; e++)
        for (int k = 0; k < t->c; k++) {
            double size, want = correlation(t, e, k, &size), off = fabs((double)t->y.at[e][k] - want);
            EXPECT(off <= tolerance * size, "%s, %s: output %d of channel %d is %.17g, not %.17g", ft_isa(),
                   t->text, e, k, (double)t->y.at[e][k], want);
        }
}

/* Outputs outside the image are left alone, and the others have the bits that they always have. */
static void check_clipping(const tile *t) {
    rows part;
    rows_open(&part, t->outputs, t->c, 7);
    rows before = part;
    for (int e = 0; e < t->outputs; e++)
        if (e % 3 == 1) part.at[e] = NULL;
    t->k->output(t->form, t->c, t->v.p, STEP, part.at, &(ft_finish){0});
    rows_check(&part, t->text);
    for (int e = 0; e < t->outputs; e++) {
        const ft_real *want = e % 3 == 1 ? before.p + e * STEP : t->y.at[e];
        EXPECT(memcmp(part.p + e * STEP, want, (size_t)t->c * sizeof *want) == 0,
               "%s, %s: output %d of a clipped tile", ft_isa(), t->text, e);
    }
}

/* How: bit 0 scale, 1 shift, 2 relu; 8: accumulate. */
static void check_finish(const tile *t, int how) {
    rows got, vectors;
    rows_open(&got, t->outputs, t->c, 8);
    rows_open(&vectors, 2, t->c, 9);
    rows onto = got;
    ft_finish f = {.accumulate = how & 8,
                   .scale = how & 1 ? vectors.at[0] : NULL,
                   .shift = how & 2 ? vectors.at[1] : NULL,
                   .relu = how & 4};
    t->k->output(t->form, t->c, t->v.p, STEP, got.at, &f);
    rows_check(&got, t->text);
    for (int e = 0; e < t->outputs; e++)
        for (int k = 0; k < t->c; k++) {
            double y = (double)t->y.at[e][k], add = 0;
            if (how & 1) y *= (double)vectors.at[0][k];
            if (how & 2) add = (double)vectors.at[1][k];
            if (how & 8) add = (double)onto.p[e * STEP + k];
            double want = how & 4 ? fmax(y + add, 0) : y + add;
            EXPECT(fabs((double)got.at[e][k] - want) <= 2 * eps * (fabs(y) + fabs(add)),
                   "%s, %s, finish %d: %.17g, not %.17g", ft_isa(), t->text, how, (double)got.at[e][k], want);
        }
}

/* Two tiles in a row, the second clipped: the sums are of what is written, from its first output on. */
static void check_moments(const tile *t, int how) {
    rows got, vectors, sums;
    rows_open(&got, t->outputs, t->c, 8);
    rows_open(&vectors, 2, t->c, 9);
    rows_open(&sums, 3, t->c, 13);
    double sum[MAX_C] = {0}, squares[MAX_C] = {0}, pivot[MAX_C];
    for (int k = 0; k < t->c; k++) sums.at[1][k] = sums.at[2][k] = 0;
    ft_moment_sums m = {sums.at[0], sums.at[1], sums.at[2], true};
    ft_finish f = {.scale = how & 1 ? vectors.at[0] : NULL,
                   .shift = how & 2 ? vectors.at[1] : NULL,
                   .relu = how & 4,
                   .moments = &m};
    for (int turn = 0; turn < 2; turn++) {
        for (int e = 0; e < t->outputs; e++)
            if (turn == 1 && e % 3 == 1) got.at[e] = NULL;
        t->k->output(t->form, t->c, t->v.p, STEP, got.at, &f);
        for (int k = 0; k < t->c && turn == 0; k++) pivot[k] = (double)got.at[0][k];
        for (int e = 0; e < t->outputs; e++)
            for (int k = 0; k < t->c && got.at[e]; k++) {
                double off = (double)got.at[e][k] - pivot[k];
                sum[k] += off;
                squares[k] += off * off;
            }
    }
    rows_check(&got, t->text);
    rows_check(&sums, t->text);
    ck_assert(!m.fresh);
    for (int k = 0; k < t->c; k++) {
        double n = 2 * t->outputs, size = sqrt(n * squares[k]);
        EXPECT((double)m.pivot[k] == pivot[k] && fabs((double)m.sum[k] - sum[k]) <= n * eps * size &&
                   fabs((double)m.squares[k] - squares[k]) <= n * eps * squares[k],
               "%s, %s, finish %d: moments %.17g, %.17g, not %.17g, %.17g", ft_isa(), t->text, how,
               (double)m.sum[k], (double)m.squares[k], sum[k], squares[k]);
    }
}

/* Past the caches, for which rows have to be whole lines: the same bits, and nothing where no pixel is. */
static void check_stream(const tile *t, int how) {
    if ((size_t)t->c * sizeof(ft_real) % 64 != 0) return;
    rows vectors, want, want_sums, sums;
    rows_open(&vectors, 2, t->c, 9);
    rows_open(&want, t->outputs, t->c, 8);
    rows_open(&want_sums, 3, t->c, 13);
    rows_open(&sums, 3, t->c, 13);
    size_t row = (size_t)t->c * sizeof(ft_real);
    char *lines = aligned_alloc(64, (size_t)t->outputs * row);
    ck_assert_ptr_nonnull(lines);
    memset(lines, 0x5a, (size_t)t->outputs * row);
    ft_real *at[MAX_POINTS], *want_at[MAX_POINTS];
    for (int e = 0; e < t->outputs; e++) {
        bool missing = how & 16 && e % 3 == 1;
        at[e] = missing ? NULL : (ft_real *)(void *)(lines + (size_t)e * row);
        want_at[e] = missing ? NULL : want.at[e];
    }
    ft_moment_sums want_m = {want_sums.at[0], want_sums.at[1], want_sums.at[2], true},
                   m = {sums.at[0], sums.at[1], sums.at[2], true};
    ft_finish f = {.scale = how & 1 ? vectors.at[0] : NULL,
                   .shift = how & 2 ? vectors.at[1] : NULL,
                   .relu = how & 4,
                   .moments = how & 8 ? &want_m : NULL};
    t->k->output(t->form, t->c, t->v.p, STEP, want_at, &f);
    f.stream = true;
    f.moments = how & 8 ? &m : NULL;
    t->k->output(t->form, t->c, t->v.p, STEP, at, &f);
    for (int e = 0; e < t->outputs; e++) {
        const char *line = lines + (size_t)e * row;
        if (at[e])
            EXPECT(memcmp(line, want.at[e], row) == 0, "%s, %s, finish %d: output %d streamed", ft_isa(),
                   t->text, how, e);
        else
            EXPECT(line[0] == 0x5a && memcmp(line, line + 1, row - 1) == 0,
                   "%s, %s, finish %d: output %d is none", ft_isa(), t->text, how, e);
    }
    EXPECT(m.fresh == want_m.fresh, "%s, %s, finish %d: fresh", ft_isa(), t->text, how);
    for (int i = 0; i < 3; i++)
        EXPECT(memcmp(sums.at[i], want_sums.at[i], row) == 0, "%s, %s, finish %d: moments %d streamed",
               ft_isa(), t->text, how, i);
    free(lines);
}

/* B^T d B of started inputs, some of them padding. */
static void check_start(const tile *t, bool relu) {
    rows vectors, zeros, done, got, want;
    const ft_real *d[MAX_POINTS];
    rows_open(&vectors, 2, t->c, 14);
    rows_open(&zeros, 1, t->c, 15);
    rows_open(&done, t->inputs, t->c, 16);
    rows_open(&got, t->points, t->c, 17);
    rows_open(&want, t->points, t->c, 18);
    for (int i = 0; i < t->inputs; i++) {
        d[i] = i % 5 == 2 ? zeros.at[0] : t->d.at[i];
        for (int k = 0; k < t->c; k++) {
            double x = (double)t->d.at[i][k] * (double)vectors.at[0][k] + (double)vectors.at[1][k];
            done.at[i][k] = i % 5 == 2 ? 0 : (ft_real)(relu ? fmax(x, 0) : x);
        }
    }
    ft_winograd_start start = {zeros.at[0], vectors.at[0], vectors.at[1], relu};
    t->k->data(t->form, t->c, d, &start, got.p, STEP);
    t->k->data(t->form, t->c, (const ft_real *const *)done.at, NULL, want.p, STEP);
    rows_check(&got, t->text);
    double size = sqrt(rows_product(&want, &want));
    for (int i = 0; i < t->points; i++)
        for (int k = 0; k < t->c; k++)
            EXPECT(fabs((double)got.at[i][k] - (double)want.at[i][k]) <= tolerance * size,
                   "%s, %s: point %d of a started tile is %.17g, not %.17g", ft_isa(), t->text, i,
                   (double)got.at[i][k], (double)want.at[i][k]);
}

/* <A^T p A, dy> = <p, A dy A^T> */
static void check_output_gradient(tile *t) {
    double left = rows_product(&t->y, &t->dy);
    double size = sqrt(rows_product(&t->v, &t->v) * rows_product(&t->dy, &t->dy));
    rows p = t->v;
    int32_t nr = ft_conv_kernels_get()->nr;
    t->k->output_gradient(t->form, t->c, (const ft_real *const *)t->dy.at, t->v.p, STEP, nr);
    tile_check(t);
    for (int i = 0; i < MAX_POINTS; i++) p.at[i] = p.p + i * STEP;
    double right = rows_product(&p, &t->v);
    ck_assert_msg(fabs(left - right) <= tolerance * size, "%s, %s: <A'pA, y> = %.17g, <p, AyA'> = %.17g",
                  ft_isa(), t->text, left, right);
}

/* The same numbers [panel][point][nr] as side by side, and nothing else written. */
static void check_panels(const tile *t) {
    static ft_real dealt[MAX_POINTS * 2 * MAX_C];
    const int32_t nr = ft_conv_kernels_get()->nr, size = MAX_POINTS * 2 * MAX_C;
    const int32_t panel = t->points * nr;
    ck_assert_int_le((t->c + nr - 1) / nr * panel, size);
    for (int i = 0; i < size; i++) dealt[i] = guard(i);
    t->k->output_gradient(t->form, t->c, (const ft_real *const *)t->dy.at, dealt, nr, panel);
    for (int i = 0; i < size; i++) {
        int point = i % panel / nr, k = i / panel * nr + i % nr;
        ft_real want = k < t->c ? t->v.at[point][k] : guard(i);
        EXPECT(memcmp(&dealt[i], &want, sizeof want) == 0,
               "%s, %s: %.17g, not %.17g, in place %d of panel %d", ft_isa(), t->text, (double)dealt[i],
               (double)want, i % panel, i / panel);
    }
}

/* <G w G^T, u> = <w, G^T u G>; and beta adds. */
static void check_weight_gradient(tile *t) {
    rows u, dw, sum;
    rows_open(&u, t->weights, t->c, 10);
    rows_open(&dw, t->taps, t->c, 11);
    rows_open(&sum, t->taps, t->c, 12);
    rows onto = sum;
    double left = rows_product(&t->u, &u), size = sqrt(rows_product(&t->u, &t->u) * rows_product(&u, &u));
    t->k->weight_gradient(t->form, t->c, u.p, STEP, dw.p, STEP, 0);
    t->k->weight_gradient(t->form, t->c, u.p, STEP, sum.p, STEP, 1);
    rows_check(&dw, t->text);
    rows_check(&sum, t->text);
    double right = rows_product(&t->w, &dw);
    ck_assert_msg(fabs(left - right) <= tolerance * size, "%s, %s: <GwG', u> = %.17g, <w, G'uG> = %.17g",
                  ft_isa(), t->text, left, right);
    for (int i = 0; i < t->taps; i++)
        for (int k = 0; k < t->c; k++) {
            double a = (double)onto.p[i * STEP + k], b = (double)dw.at[i][k];
            EXPECT(fabs((double)sum.at[i][k] - (a + b)) <= 2 * eps * (fabs(a) + fabs(b)),
                   "%s, %s: beta = 1 gives %.17g, not %.17g + %.17g", ft_isa(), t->text, (double)sum.at[i][k],
                   a, b);
        }
}

START_TEST(transforms_are_what_they_say) {
    static const int32_t channels[] = {1, 2, 3, 4, 7, 8, 11, 16, 19, 32, 37};
    ck_assert_int_eq(ft_isa_set(ft_isa_available(_i)), FT_OK);
    tile *t = malloc(sizeof *t);
    ck_assert_ptr_nonnull(t);
    for (int form = 0; form < FT_WINOGRAD_FORMS; form++)
        for (size_t i = 0; i < sizeof channels / sizeof *channels; i++) {
            tile_open(t, (ft_winograd_form)form, channels[i]);
            transform(t);
            check_correlation(t);
            check_clipping(t);
            for (int how = 1; how <= 8; how++) check_finish(t, how);
            for (int how = 0; how < 8; how++) check_moments(t, how);
            for (int how = 0; how < 32; how++) check_stream(t, how);
            for (int relu = 0; relu < 2; relu++) check_start(t, relu);
            if (form == FT_WINOGRAD_STRIDED_BACK) continue;
            check_output_gradient(t);
            check_panels(t);
            check_weight_gradient(t);
        }
    free(t);
}
END_TEST

/* ---- whole convolutions */

static conv_geometry geometry(int32_t kh, int32_t kw, int32_t stride, ft_shape x, int32_t filters) {
    conv_geometry g = {.name = "one of this test's",
                       .args = {.win = {.kh = kh, .kw = kw, .sh = stride, .sw = stride, .dh = 1, .dw = 1},
                                .groups = 1},
                       .x = x,
                       .w = {kh, kw, x.c, filters}};
    conv_output_shape(&g);
    return g;
}

START_TEST(threads_leave_the_same_bits) {
    conv_geometry all[CONV_MAX_GEOMETRIES];
    int n = conv_list_inception(all, 19);
    ck_assert_int_gt(n, 10);
    for (int i = 0; i < n; i++) {
        conv_sample s = conv_noise(&all[i], 20 + (uint64_t)i);
        conv_result one = {0};
        for (int32_t threads = 1; threads <= CONV_LANES; threads++) {
            ft_threads_set(threads);
            conv_result r = conv_run(&s, false);
            for (int pass = 0; pass < CONV_PASSES && threads > 1; pass++)
                ck_assert_msg(conv_same_bits(&one, &r, pass), "%s, %s: %d threads change bits",
                              conv_text(&all[i], pass), conv_pass_name(pass), threads);
            if (threads == 1)
                one = r;
            else
                conv_result_free(&r);
        }
        conv_result_free(&one);
        conv_sample_free(&s);
    }
}
END_TEST

/* What a method computes, whatever would be chosen, with memory for that many images. */
static conv_result run_method(const ft_conv_method *method, const conv_sample *s, int32_t planned) {
    const conv_geometry *g = &s->g;
    conv_result r = conv_result_new(g);
    ft_conv_group group = {.args = &g->args,
                           .x = {planned, g->x.h, g->x.w, g->x.c},
                           .cin = g->x.c,
                           .cout = g->w.c,
                           .w = s->w,
                           .ldw = g->w.c,
                           .lanes = CONV_LANES};
    ck_assert_int_eq(ft_window_geometry(&g->args.win, g->x.h, g->x.w, &group.geo), FT_OK);
    size_t scratch = 0;
    for (int pass = 0; pass < CONV_PASSES; pass++) {
        size_t size = method->scratch_size(&group, (ft_conv_pass)pass);
        scratch = size > scratch ? size : scratch;
    }
    group.scratch = conv_alloc(scratch * sizeof(ft_real));
    ft_real *prepared = conv_alloc(method->prepared_size(&group) * sizeof *prepared);
    ft_view x = conv_view(s->x, g->x), dy = conv_view(s->dy, g->y), y = conv_view(r.pass[0], g->y);
    ft_view dx = conv_view(r.pass[FT_CONV_INPUT_GRADIENT], g->x);
    method->prepare(&group, prepared);
    method->forward(&group, &x, NULL, prepared, &y, &(ft_epilogue){0});
    method->input_gradient(&group, &dy, &dx, 0);
    method->weight_gradient(&group, &x, NULL, &dy, r.pass[FT_CONV_WEIGHT_GRADIENT], 0);
    free(prepared);
    free(group.scratch);
    return r;
}

/* The work is cut for the planned images: of one alone, most parts get nothing. Many images make the weight
 * gradient's threads share blocks, or have their own. */
START_TEST(any_number_of_images) {
    static const struct {
        int32_t kh, kw, stride, images, planned;
    } all[] = {{1, 3, 1, 1, 4000}, {3, 3, 2, 1, 4000}, {3, 3, 2, 150, 150}, {3, 3, 2, 860, 860}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        conv_geometry g =
            geometry(all[i].kh, all[i].kw, all[i].stride, (ft_shape){all[i].images, 19, 19, 20}, 24);
        conv_sample s = conv_noise(&g, 80 + i);
        conv_result direct = run_method(&ft_conv_direct, &s, g.x.n),
                    winograd = run_method(&ft_conv_winograd, &s, all[i].planned);
        for (int pass = 0; pass < CONV_PASSES; pass++)
            for (int64_t e = 0; e < direct.size[pass]; e++) {
                double is = (double)winograd.pass[pass][e], should = (double)direct.pass[pass][e];
                EXPECT(fabs(is - should) <= tolerance * (1 + fabs(should)), "%s, %s: %g instead of %g",
                       conv_text(&g, pass), conv_pass_name(pass), is, should);
            }
        conv_result_free(&direct);
        conv_result_free(&winograd);
        conv_sample_free(&s);
    }
}
END_TEST

START_TEST(direct_turns_it_off) {
    static const int32_t kernels[][3] = {{3, 3, 1}, {5, 5, 1}, {1, 3, 1}, {3, 1, 1}, {1, 5, 1},
                                         {5, 1, 1}, {1, 7, 1}, {7, 1, 1}, {3, 3, 2}};
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
        const int32_t *k = kernels[i];
        conv_geometry g = geometry(k[0], k[1], k[2], (ft_shape){2, 22, 23, 96}, 80);
        conv_sample s = conv_noise(&g, 60 + i);
        conv_result automatic = conv_run(&s, false), direct = conv_run(&s, true);
        conv_result method = run_method(&ft_conv_direct, &s, g.x.n);
        for (int pass = 0; pass < CONV_PASSES; pass++) {
            const char *text = conv_text(&g, pass);
            ck_assert_msg(conv_is_fast(&g, pass), "%s, %s: not fast", text, conv_pass_name(pass));
            ck_assert_msg(conv_same_bits(&direct, &method, pass), "%s, %s: direct is something else", text,
                          conv_pass_name(pass));
            ck_assert_msg(!conv_same_bits(&automatic, &method, pass), "%s, %s: nothing is switched", text,
                          conv_pass_name(pass));
        }
        conv_result_free(&automatic);
        conv_result_free(&direct);
        conv_result_free(&method);
        conv_sample_free(&s);
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create(sizeof(ft_real) == 8 ? "winograd64" : "winograd");
    TCase *t = tcase_create("winograd");
    tcase_set_timeout(t, 120);
    int n_isas = 0;
    while (ft_isa_available(n_isas)) n_isas++;
    tcase_add_loop_test(t, transforms_are_what_they_say, 0, n_isas);
    tcase_add_test(t, threads_leave_the_same_bits);
    tcase_add_test(t, any_number_of_images);
    tcase_add_test(t, direct_turns_it_off);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}

/* Winograd's transforms by channel, in one and two dimensions: F(4, 3), F(4, 5) and F(4, 7); F(3, 2) for
 * strides.
 *
 * Interpolation at the points p_i and at infinity (Cook and Toom; Blahut, "Fast Algorithms for Digital Signal
 * Processing", chapter 5):
 *
 *     A^T[k][i] = p_i^k       G[i][k] = p_i^k / prod over j != i of (p_i - p_j)
 *     B^T[i][.] = the coefficients of prod over j != i of (x - p_j), over all finite points for infinity
 *
 * The points are 0 and pairs +-p, chosen for the least sum of |A|^2 |B|^2 |G|^2, which is the growth of
 * rounding errors, among fractions that a float holds exactly. The two rows of a pair are an even part plus
 * and minus an odd part. Order of the points: 0, +p, -p for each pair, infinity.
 *
 * In steps of 2 an output takes the outer two of three taps from even inputs and the middle one from an odd
 * input: F(3, 2) at 0, 1, -1 and infinity, and three products more.
 */
#include "tensor/kern_vector.h"

enum { M = 4, MAX_R = 7, MAX_N = M + MAX_R - 1, MAX_SQUARE = 8, MAX_PAIRS = 4 };
typedef ft_winograd_form form;

static const double points_3[] = {1.5, 0.625}, points_5[] = {1, 2, 0.5},
                    points_7[] = {1.25, 0.8125, 2.5, 0.40625};

/* r taps and 4 outputs are r + 3 points, of which 0 and infinity are single. */
INLINE int pairs_of(const int r) {
    return (r + M - 3) / 2;
}
INLINE double point(const int r, const int pair) {
    return r == 3 ? points_3[pair] : r == 5 ? points_5[pair] : points_7[pair];
}

/* Coefficients of prod over the pairs of (x^2 - p^2), without one of them, lowest power of x^2 first. */
INLINE void even_product(const int r, const int without, double *c) {
    UNROLL for (int k = 0; k <= MAX_PAIRS; k++) c[k] = k == 0;
    UNROLL for (int i = 0; i < pairs_of(r); i++) {
        if (i == without) continue;
        double p = point(r, i);
        UNROLL for (int k = MAX_PAIRS; k >= 0; k--) c[k] = (k > 0 ? c[k - 1] : 0) - p * p * c[k];
    }
}

/* prod over j != i of (p_i - p_j): of 0, and of both points of a pair. */
INLINE double denominator(const int r, const int pair) {
    double n = 1, p = pair < 0 ? 0 : point(r, pair);
    UNROLL for (int i = 0; i < pairs_of(r); i++) n *=
        i == pair ? 2 * p * p : p * p - point(r, i) * point(r, i);
    return n;
}

INLINE vec times(double a, vec v) {
    return (ft_real)a * v;
}

/* sum of c[k] x[2k] for k < n; the last coefficient is 1. */
INLINE vec even_sum(const double *c, const int n, const vec *x) {
    vec s = x[2 * (n - 1)];
    UNROLL for (int k = 0; k < n - 1; k++) s += times(c[k], x[2 * k]);
    return s;
}

/* ---- along one axis, in steps of 1 ---- */

/* B^T: for a pair x Q(x^2) (x +- p), Q being the even product without it. */
INLINE void whole_data(const int r, vec *o, const vec *d) {
    const int pairs = pairs_of(r);
    double c[MAX_PAIRS + 1];
    UNROLL for (int i = 0; i < pairs; i++) {
        even_product(r, i, c);
        vec even = even_sum(c, pairs, d + 2), odd = rounded(times(point(r, i), even_sum(c, pairs, d + 1)));
        o[1 + 2 * i] = even + odd;
        o[2 + 2 * i] = even - odd;
    }
    even_product(r, -1, c);
    o[0] = even_sum(c, pairs + 1, d);
    o[2 * pairs + 1] = even_sum(c, pairs + 1, d + 1);
}

INLINE void whole_output(const int r, vec *o, const vec *v) {
    const int pairs = pairs_of(r);
    vec sum0 = v[0], sum1, sum2, sum3 = v[2 * pairs + 1];
    UNROLL for (int i = 0; i < pairs; i++) {
        double p = point(r, i);
        vec even = v[1 + 2 * i] + v[2 + 2 * i], odd = v[1 + 2 * i] - v[2 + 2 * i];
        sum0 += even;
        if (i == 0) {
            sum1 = rounded(times(p, odd));
            sum2 = rounded(times(p * p, even));
        } else {
            sum1 += times(p, odd);
            sum2 += times(p * p, even);
        }
        sum3 += times(p * p * p, odd);
    }
    o[0] = sum0;
    o[1] = sum1;
    o[2] = sum2;
    o[3] = sum3;
}

INLINE void whole_output_gradient(const int r, vec *o, const vec *y) {
    const int pairs = pairs_of(r);
    o[0] = y[0];
    UNROLL for (int i = 0; i < pairs; i++) {
        double p = point(r, i);
        vec even = y[0] + times(p * p, y[2]), odd = rounded(times(p, y[1])) + times(p * p * p, y[3]);
        o[1 + 2 * i] = even + odd;
        o[2 + 2 * i] = even - odd;
    }
    o[2 * pairs + 1] = y[3];
}

/* p^k / denominator, k < r */
INLINE void weight_row(const int r, const int pair, double *g) {
    double power = 1 / denominator(r, pair);
    UNROLL for (int k = 0; k < r; k++) {
        g[k] = power;
        power *= point(r, pair);
    }
}

INLINE void whole_weight(const int r, vec *o, const vec *w) {
    const int pairs = pairs_of(r);
    double g[MAX_R];
    o[0] = times(1 / denominator(r, -1), w[0]);
    UNROLL for (int i = 0; i < pairs; i++) {
        weight_row(r, i, g);
        vec even = rounded(times(g[0], w[0])), odd = rounded(times(g[1], w[1]));
        UNROLL for (int k = 2; k < r; k++) {
            if (k % 2 == 0)
                even += times(g[k], w[k]);
            else
                odd += times(g[k], w[k]);
        }
        o[1 + 2 * i] = even + odd;
        o[2 + 2 * i] = even - odd;
    }
    o[2 * pairs + 1] = w[r - 1];
}

INLINE void whole_weight_gradient(const int r, vec *o, const vec *u) {
    const int pairs = pairs_of(r);
    double g[MAX_R];
    UNROLL for (int k = 0; k < r; k++) o[k] = (vec){0};
    o[0] = times(1 / denominator(r, -1), u[0]);
    UNROLL for (int i = 0; i < pairs; i++) {
        weight_row(r, i, g);
        vec even = u[1 + 2 * i] + u[2 + 2 * i], odd = u[1 + 2 * i] - u[2 + 2 * i];
        UNROLL for (int k = 0; k < r; k++) o[k] += times(g[k], k % 2 == 0 ? even : odd);
    }
    o[r - 1] += u[2 * pairs + 1];
}

/* ---- in steps of 2: o, v and u have the points 0, 1, -1, infinity of the even part before the odd part's
 * ---- */

INLINE void even_data(vec *o, vec d0, vec d1, vec d2, vec d3) {
    o[0] = d2 - d0;
    o[1] = d1 + d2;
    o[2] = d2 - d1;
    o[3] = d3 - d1;
}

INLINE void strided_data(vec *o, const vec *d) {
    even_data(o, d[0], d[2], d[4], d[6]);
    UNROLL for (int i = 0; i < 3; i++) o[4 + i] = d[1 + 2 * i];
}

INLINE void strided_back_data(vec *o, const vec *d) {
    even_data(o, d[0], d[1], d[2], d[3]);
    UNROLL for (int i = 0; i < 3; i++) o[4 + i] = d[1 + i];
}

INLINE void even_output(const vec *v, vec *y0, vec *y1, vec *y2) {
    vec sum = v[1] + v[2];
    *y0 = v[0] + sum;
    *y1 = v[1] - v[2];
    *y2 = sum + v[3];
}

INLINE void strided_output(vec *o, const vec *v) {
    even_output(v, o, o + 1, o + 2);
    UNROLL for (int i = 0; i < 3; i++) o[i] += v[4 + i];
}

INLINE void strided_back_output(vec *o, const vec *v) {
    even_output(v, o, o + 2, o + 4);
    UNROLL for (int i = 0; i < 3; i++) o[1 + 2 * i] = v[4 + i];
}

INLINE void strided_output_gradient(vec *o, const vec *y) {
    vec outer = y[0] + y[2];
    o[0] = y[0];
    o[1] = outer + y[1];
    o[2] = outer - y[1];
    o[3] = y[2];
    UNROLL for (int i = 0; i < 3; i++) o[4 + i] = y[i];
}

INLINE void strided_weight(vec *o, const vec *w) {
    o[0] = -w[0];
    o[1] = times(0.5, w[0] + w[2]);
    o[2] = times(0.5, w[0] - w[2]);
    o[3] = w[2];
    o[4] = w[1];
}

INLINE void strided_weight_gradient(vec *o, const vec *u) {
    o[0] = times(0.5, u[1] + u[2]) - u[0];
    o[1] = u[4];
    o[2] = times(0.5, u[1] - u[2]) + u[3];
}

/* ---- along one axis of a form ---- */

INLINE void data_axis(const form shape, vec *o, const vec *d) {
    if (shape == FT_WINOGRAD_STRIDED)
        strided_data(o, d);
    else if (shape == FT_WINOGRAD_STRIDED_BACK)
        strided_back_data(o, d);
    else
        whole_data(ft_winograd_taps(shape), o, d);
}
INLINE void output_axis(const form shape, vec *o, const vec *v) {
    if (shape == FT_WINOGRAD_STRIDED)
        strided_output(o, v);
    else if (shape == FT_WINOGRAD_STRIDED_BACK)
        strided_back_output(o, v);
    else
        whole_output(ft_winograd_taps(shape), o, v);
}
INLINE void output_gradient_axis(const form shape, vec *o, const vec *y) {
    if (shape == FT_WINOGRAD_STRIDED)
        strided_output_gradient(o, y);
    else
        whole_output_gradient(ft_winograd_taps(shape), o, y);
}
INLINE void weight_axis(const form shape, vec *o, const vec *w) {
    if (shape >= FT_WINOGRAD_STRIDED)
        strided_weight(o, w);
    else
        whole_weight(ft_winograd_taps(shape), o, w);
}
INLINE void weight_gradient_axis(const form shape, vec *o, const vec *u) {
    if (shape == FT_WINOGRAD_STRIDED)
        strided_weight_gradient(o, u);
    else
        whole_weight_gradient(ft_winograd_taps(shape), o, u);
}

/* ---- one vector of channels, from column k on, n of them ---- */

/* A tile of `from` values along each axis becomes one of `to`; a square one goes down its columns, then along
 * its rows. LOAD(i) and STORE(i, v) know where value i lies. */
#define TRANSFORM(axis, from, to, LOAD, STORE)                                   \
    do {                                                                         \
        vec x[MAX_N], o[MAX_N], t[MAX_SQUARE * MAX_SQUARE];                      \
        if (!ft_winograd_is_square(shape)) {                                     \
            UNROLL for (int i = 0; i < (from); i++) x[i] = LOAD(i);              \
            axis(shape, o, x);                                                   \
            UNROLL for (int i = 0; i < (to); i++) STORE(i, o[i]);                \
            break;                                                               \
        }                                                                        \
        UNROLL for (int j = 0; j < (from); j++) {                                \
            UNROLL for (int i = 0; i < (from); i++) x[i] = LOAD(i * (from) + j); \
            axis(shape, o, x);                                                   \
            UNROLL for (int i = 0; i < (to); i++) t[i * (from) + j] = o[i];      \
        }                                                                        \
        UNROLL for (int i = 0; i < (to); i++) {                                  \
            axis(shape, o, t + i * (from));                                      \
            UNROLL for (int j = 0; j < (to); j++) STORE(i *(to) + j, o[j]);      \
        }                                                                        \
    } while (0)

/* `at`: of the tile, after `hidden`. */
#define LOAD_TILE(i)     load_n(at + (i)*step, n)
#define STORE_TILE(i, y) store_n(at + (i)*step, y, n)

/* p, of which the compiler must not know where it comes from: else it keeps a pointer to every point of the
 * tile in memory and moves each on from vector to vector, which takes longer than the transform. */
#define hidden(p)               \
    ({                          \
        __typeof__(p) p_ = (p); \
        __asm__("" : "+r"(p_)); \
        p_;                     \
    })

INLINE vec started(const ft_winograd_start *s, const ft_real *d, vec scale, vec shift, int32_t k, int n) {
    if (d == s->zeros) return (vec){0};
    vec v = load_n(d + k, n) * scale + shift;
    return s->relu ? rectified(v) : v;
}

INLINE void data_vector(const form shape, const ft_real *const *d, const ft_winograd_start *start, ft_real *v,
                        int64_t step, int32_t k, int n) {
    ft_real *at = hidden(v + k);
    if (!start) {
#define LOAD(i) load_n(d[i] + k, n)
        TRANSFORM(data_axis, ft_winograd_inputs(shape), ft_winograd_points(shape), LOAD, STORE_TILE);
#undef LOAD
        return;
    }
    vec scale = load_n(start->scale + k, n), shift = load_n(start->shift + k, n);
#define LOAD(i) started(start, d[i], scale, shift, k, n)
    TRANSFORM(data_axis, ft_winograd_inputs(shape), ft_winograd_points(shape), LOAD, STORE_TILE);
#undef LOAD
}

INLINE vec finished(const ft_finish *f, const ft_real *y, vec v, vec scale, vec shift, int n) {
    if (f->accumulate) return v + load_n(y, n);
    if (f->scale) v *= scale;
    if (f->shift) v += shift;
    return f->relu ? rectified(v) : v;
}

/* What is to be done with outputs: nothing; moments alone; whatever the struct says. Unless it is ANYTHING
 * all pixels are there. */
enum finishing { NOTHING, MOMENTS, ANYTHING };

INLINE void output_vector(const form shape, const ft_real *v, int64_t step, ft_real *const *y,
                          const enum finishing what, const ft_finish *f, int32_t k, int n) {
    const ft_real *at = hidden(v + k);
    ft_moment_sums *m = what == NOTHING ? NULL : f->moments;
    vec scale = {0}, shift = {0}, pivot = {0}, sum = {0}, squares = {0};
    if (what == ANYTHING && f->scale) scale = load_n(f->scale + k, n);
    if (what == ANYTHING && f->shift) shift = load_n(f->shift + k, n);
    if (m && !m->fresh) pivot = load_n(m->pivot + k, n);
#define STORE(i, value)                                                          \
    do {                                                                         \
        vec out = value;                                                         \
        if (what == ANYTHING && !y[i]) break;                                    \
        if (what == ANYTHING) out = finished(f, y[i] + k, out, scale, shift, n); \
        if (f->stream && n == VLEN)                                              \
            stream(y[i] + k, out);                                               \
        else                                                                     \
            store_n(y[i] + k, out, n);                                           \
        if (!m) break;                                                           \
        if ((i) == 0 && m->fresh) store_n(m->pivot + k, pivot = out, n);         \
        sum += out - pivot;                                                      \
        squares += (out - pivot) * (out - pivot);                                \
    } while (0)
    TRANSFORM(output_axis, ft_winograd_points(shape), ft_winograd_outputs(shape), LOAD_TILE, STORE);
#undef STORE
    if (!m) return;
    store_n(m->sum + k, load_n(m->sum + k, n) + sum, n);
    store_n(m->squares + k, load_n(m->squares + k, n) + squares, n);
}

INLINE void output_gradient_vector(const form shape, const ft_real *const *dy, ft_real *v, int64_t step,
                                   int64_t panel, int32_t k, int n) {
    ft_real *at = hidden(v + k / NR * panel + k % NR);
#define LOAD(i) load_n(dy[i] + k, n)
    TRANSFORM(output_gradient_axis, ft_winograd_outputs(shape), ft_winograd_points(shape), LOAD, STORE_TILE);
#undef LOAD
}

INLINE void weight_vector(const form shape, const ft_real *w, int64_t tap_step, ft_real *v, int64_t step,
                          int32_t k, int n) {
    ft_real *at = hidden(v + k);
#define LOAD(i) load_n(w + (i)*tap_step + k, n)
    TRANSFORM(weight_axis, ft_winograd_taps(shape), ft_winograd_weights(shape), LOAD, STORE_TILE);
#undef LOAD
}

INLINE void weight_gradient_vector(const form shape, const ft_real *v, int64_t step, ft_real *dw,
                                   int64_t tap_step, ft_real beta, int32_t k, int n) {
    const ft_real *at = hidden(v + k);
#define STORE(i, value)                      \
    do {                                     \
        ft_real *to = dw + (i)*tap_step + k; \
        vec sum = value;                     \
        if (beta != 0) sum += load_n(to, n); \
        store_n(to, sum, n);                 \
    } while (0)
    TRANSFORM(weight_gradient_axis, ft_winograd_weights(shape), ft_winograd_taps(shape), LOAD_TILE, STORE);
#undef STORE
}

INLINE int32_t tile_outputs(form shape) {
    int32_t n = ft_winograd_outputs(shape);
    return ft_winograd_is_square(shape) ? n * n : n;
}

/* ---- all channels: one instance for every form, whole vectors first ---- */

/* The remainder, and not c - k_, from which the compiler does not see that it is less than a vector: it would
 * make two of each load and store. */
#define EACH_VECTOR(shape, call, ...)                                          \
    do {                                                                       \
        int32_t k_ = 0, rest_ = (int32_t)((uint32_t)c % VLEN);                 \
        for (; k_ + VLEN <= c; k_ += VLEN) call(shape, __VA_ARGS__, k_, VLEN); \
        if (rest_) call(shape, __VA_ARGS__, k_, rest_);                        \
    } while (0)
#define FORM_CASE(shape, call, ...)            \
    case shape:                                \
        EACH_VECTOR(shape, call, __VA_ARGS__); \
        break
#define FORWARD_CASES(call, ...)                        \
    FORM_CASE(FT_WINOGRAD_LINE_3, call, __VA_ARGS__);   \
    FORM_CASE(FT_WINOGRAD_LINE_5, call, __VA_ARGS__);   \
    FORM_CASE(FT_WINOGRAD_LINE_7, call, __VA_ARGS__);   \
    FORM_CASE(FT_WINOGRAD_SQUARE_3, call, __VA_ARGS__); \
    FORM_CASE(FT_WINOGRAD_SQUARE_5, call, __VA_ARGS__); \
    FORM_CASE(FT_WINOGRAD_STRIDED, call, __VA_ARGS__)
#define EACH_FORM(call, ...)                                    \
    switch (shape) {                                            \
        FORWARD_CASES(call, __VA_ARGS__);                       \
        FORM_CASE(FT_WINOGRAD_STRIDED_BACK, call, __VA_ARGS__); \
    default:                                                    \
        break;                                                  \
    }
#define EACH_FORWARD_FORM(call, ...)      \
    switch (shape) {                      \
        FORWARD_CASES(call, __VA_ARGS__); \
    default:                              \
        break;                            \
    }

static void data(form shape, int32_t c, const ft_real *const *d, const ft_winograd_start *start, ft_real *v,
                 int64_t step) {
    if (start)
        EACH_FORM(data_vector, d, start, v, step)
    else
        EACH_FORM(data_vector, d, NULL, v, step)
}
static void write_output(form shape, int32_t c, const ft_real *p, int64_t step, ft_real *const *y,
                         const ft_finish *f) {
    int32_t n = tile_outputs(shape);
    bool plain = !f->accumulate && !f->scale && !f->shift && !f->relu;
    for (int i = 0; plain && i < n; i++) plain = y[i] != NULL;
    if (plain && f->moments)
        EACH_FORM(output_vector, p, step, y, MOMENTS, f)
    else if (plain)
        EACH_FORM(output_vector, p, step, y, NOTHING, f)
    else
        EACH_FORM(output_vector, p, step, y, ANYTHING, f)
}

/* Past the caches, a whole cache line at once: a square tile has more lines than the processor puts together
 * from parts at a time. */
static void stream_output(form shape, const ft_real *p, int64_t step, ft_real *const *y, const ft_finish *f) {
    _Alignas(64) ft_real lines[FT_WINOGRAD_MOST_OUTPUTS][LINE], *to[FT_WINOGRAD_MOST_OUTPUTS];
    int32_t n = tile_outputs(shape);
    for (int i = 0; i < n; i++) to[i] = y[i] ? lines[i] : NULL;
    ft_finish part = *f;
    part.stream = false;
    write_output(shape, LINE, p, step, to, &part);
    for (int i = 0; i < n; i++)
        for (int k = 0; y[i] && k < LINE; k += VLEN) stream(y[i] + k, load(lines[i] + k));
}

static void output(form shape, int32_t c, const ft_real *p, int64_t step, ft_real *const *y,
                   const ft_finish *f) {
    if (f->stream && VLEN < LINE && c == LINE && ft_winograd_is_square(shape))
        stream_output(shape, p, step, y, f);
    else
        write_output(shape, c, p, step, y, f);
    end_finish(f);
}
static void output_gradient(form shape, int32_t c, const ft_real *const *dy, ft_real *v, int64_t step,
                            int64_t panel) {
    EACH_FORWARD_FORM(output_gradient_vector, dy, v, step, panel)
}
static void weight(form shape, int32_t c, const ft_real *w, int64_t tap_step, ft_real *u, int64_t step) {
    EACH_FORM(weight_vector, w, tap_step, u, step)
}
static void weight_gradient(form shape, int32_t c, const ft_real *u, int64_t step, ft_real *dw,
                            int64_t tap_step, ft_real beta) {
    EACH_FORWARD_FORM(weight_gradient_vector, u, step, dw, tap_step, beta)
}

const ft_winograd_kernels FT_KERN_TABLE(winograd) = {
    .data = data,
    .output = output,
    .output_gradient = output_gradient,
    .weight = weight,
    .weight_gradient = weight_gradient,
};

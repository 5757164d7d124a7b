/* Winograd's transforms F(4, 3), F(4, 5) and F(4, 7) by channel, in one and two dimensions.
 *
 * Interpolation at the points p_i and at infinity (Cook and Toom; Blahut, "Fast Algorithms for Digital Signal
 * Processing", chapter 5):
 *
 *     A^T[k][i] = p_i^k       G[i][k] = p_i^k / prod over j != i of (p_i - p_j)
 *     B^T[i][.] = the coefficients of prod over j != i of (x - p_j), over all finite points for infinity
 *
 * Points, chosen for the least rounding in float:
 *     r = 3: 0 1 -1 -2 1/2            r = 5: 0 1 -1 -2 1/2 -1/2 3           r = 7: 0 1 -1 2 -2 1/2 -1/2 4
 * -1/4
 *
 * Where the points come in pairs B^T and A are written with the products that their rows share; the other
 * matrices are tables, whose loops unroll into their non-zero entries.
 */
#include "tensor/kern_vector.h"

enum { M = FT_WINOGRAD_M, MAX_R = 7, MAX_N = M + MAX_R - 1, MAX_SQUARE = 8 };

static const double g3[6][3] = {
    {1, 0, 0},
    {1.0 / 3, 1.0 / 3, 1.0 / 3},
    {-1.0 / 3, 1.0 / 3, -1.0 / 3},
    {1.0 / 15, -2.0 / 15, 4.0 / 15},
    {-16.0 / 15, -8.0 / 15, -4.0 / 15},
    {0, 0, 1},
};

static const double bt5[8][8] = {
    {-1.5, -0.25, 7.75, 1.25, -7.25, -1, 1, 0}, {0, 1.5, 1.75, -6, -7.25, 0, 1, 0},
    {0, -1.5, 1.25, 6.5, -5.25, -2, 1, 0},      {0, -0.75, 0.25, 3.75, -1.25, -3, 1, 0},
    {0, 3, 6.5, -2.5, -7.5, -0.5, 1, 0},        {0, -3, 5.5, 4.5, -6.5, -1.5, 1, 0},
    {0, 0.5, 0.25, -2.5, -1.25, 2, 1, 0},       {0, -1.5, -0.25, 7.75, 1.25, -7.25, -1, 1},
};
static const double g5[8][5] = {
    {-2.0 / 3, 0, 0, 0, 0},
    {-1.0 / 9, -1.0 / 9, -1.0 / 9, -1.0 / 9, -1.0 / 9},
    {-1.0 / 6, 1.0 / 6, -1.0 / 6, 1.0 / 6, -1.0 / 6},
    {2.0 / 225, -4.0 / 225, 8.0 / 225, -16.0 / 225, 32.0 / 225},
    {32.0 / 75, 16.0 / 75, 8.0 / 75, 4.0 / 75, 2.0 / 75},
    {32.0 / 63, -16.0 / 63, 8.0 / 63, -4.0 / 63, 2.0 / 63},
    {1.0 / 1050, 3.0 / 1050, 9.0 / 1050, 27.0 / 1050, 81.0 / 1050},
    {0, 0, 0, 0, 1},
};
static const double at5[4][8] = {
    {1, 1, 1, 1, 1, 1, 1, 0},
    {0, 1, -1, -2, 0.5, -0.5, 3, 0},
    {0, 1, 1, 4, 0.25, 0.25, 9, 0},
    {0, 1, -1, -8, 0.125, -0.125, 27, 1},
};

#define POWERS_135(s) \
    { 8 * s / 135, 8.0 / 135, 8 * s / 135, 8.0 / 135, 8 * s / 135, 8.0 / 135, 8 * s / 135 }
static const double g7[10][7] = {
    {1, 0, 0, 0, 0, 0, 0},
    POWERS_135(1.0),
    POWERS_135(-1.0),
    {-1.0 / 405, -2.0 / 405, -4.0 / 405, -8.0 / 405, -16.0 / 405, -32.0 / 405, -64.0 / 405},
    {1.0 / 945, -2.0 / 945, 4.0 / 945, -8.0 / 945, 16.0 / 945, -32.0 / 945, 64.0 / 945},
    {-256.0 / 945, -128.0 / 945, -64.0 / 945, -32.0 / 945, -16.0 / 945, -8.0 / 945, -4.0 / 945},
    {256.0 / 405, -128.0 / 405, 64.0 / 405, -32.0 / 405, 16.0 / 405, -8.0 / 405, 4.0 / 405},
    {1.0 / 48195, 4.0 / 48195, 16.0 / 48195, 64.0 / 48195, 256.0 / 48195, 1024.0 / 48195, 4096.0 / 48195},
    {-65536.0 / 48195, 16384.0 / 48195, -4096.0 / 48195, 1024.0 / 48195, -256.0 / 48195, 64.0 / 48195,
     -16.0 / 48195},
    {0, 0, 0, 0, 0, 0, 1},
};

/* o = T x for a constant matrix [rows][cols], or its transpose. */
INLINE void apply(const double *t, const int rows, const int cols, vec *o, const vec *x) {
    UNROLL for (int i = 0; i < rows; i++) {
        vec s = {0};
        UNROLL for (int j = 0; j < cols; j++) if (t[i * cols + j] != 0) s += (ft_real)t[i * cols + j] * x[j];
        o[i] = s;
    }
}
INLINE void apply_transposed(const double *t, const int rows, const int cols, vec *o, const vec *x) {
    UNROLL for (int j = 0; j < cols; j++) {
        vec s = {0};
        UNROLL for (int i = 0; i < rows; i++) if (t[i * cols + j] != 0) s += (ft_real)t[i * cols + j] * x[i];
        o[j] = s;
    }
}

/* (x + 2)(x - 1/2) = x^2 + 1.5 x - 1 is common to the points 0, 1, -1 and infinity, x^2 - 1 to the others. */
INLINE void bt_3(vec *o, const vec *d) {
    vec s0 = d[2] - d[0], s1 = d[3] - d[1], s2 = d[4] - d[2], s3 = d[5] - d[3];
    const ft_real h = (ft_real)1.5;
    vec q0 = s0 + h * d[1], q1 = s1 + h * d[2], q2 = s2 + h * d[3], q3 = s3 + h * d[4];
    o[0] = q2 - q0;
    o[1] = q2 + q1;
    o[2] = q2 - q1;
    o[3] = s2 - (ft_real)0.5 * s1;
    o[4] = s2 + 2 * s1;
    o[5] = q3 - q1;
}
INLINE void at_3(vec *o, const vec *m) {
    vec s = m[1] + m[2], d = m[1] - m[2];
    o[0] = (m[0] + s) + (m[3] + m[4]);
    o[1] = (d - 2 * m[3]) + (ft_real)0.5 * m[4];
    o[2] = (s + 4 * m[3]) + (ft_real)0.25 * m[4];
    o[3] = ((d + m[5]) - 8 * m[3]) + (ft_real)0.125 * m[4];
}
INLINE void a_3(vec *o, const vec *y) {
    vec e = y[0] + y[2], f = y[1] + y[3];
    o[0] = y[0];
    o[1] = e + f;
    o[2] = e - f;
    o[3] = (y[0] + 4 * y[2]) - (2 * y[1] + 8 * y[3]);
    o[4] = (y[0] + (ft_real)0.25 * y[2]) + ((ft_real)0.5 * y[1] + (ft_real)0.125 * y[3]);
    o[5] = y[3];
}

/* (x - 4)(x + 1/4) = x^2 - 3.75 x - 1 first, then the even polynomials that +-1, +-2 and +-1/2 share. */
INLINE void bt_7(vec *o, const vec *d) {
    vec w[8];
    UNROLL for (int k = 0; k < 8; k++) w[k] = (d[k + 2] - d[k]) - (ft_real)3.75 * d[k + 1];
    const ft_real a = (ft_real)4.25, b = (ft_real)1.25, c = (ft_real)0.25, e = (ft_real)5.25,
                  h = (ft_real)0.5;
    vec p1 = (w[6] + w[2]) - a * w[4], p0 = (w[5] + w[1]) - a * w[3];
    o[1] = p1 + p0;
    o[2] = p1 - p0;
    p1 = (w[6] - b * w[4]) + c * w[2], p0 = (w[5] - b * w[3]) + c * w[1];
    o[3] = p1 + 2 * p0;
    o[4] = p1 - 2 * p0;
    p1 = (w[6] - 5 * w[4]) + 4 * w[2], p0 = (w[5] - 5 * w[3]) + 4 * w[1];
    o[5] = p1 + h * p0;
    o[6] = p1 - h * p0;
    o[0] = (w[6] - w[0]) + e * (w[2] - w[4]);
    o[9] = (w[7] - w[1]) + e * (w[3] - w[5]);
    p1 = (d[8] - d[2]) + e * (d[4] - d[6]), p0 = (d[7] - d[1]) + e * (d[3] - d[5]);
    o[7] = p1 + c * p0;
    o[8] = p1 - 4 * p0;
}
INLINE void at_7(vec *o, const vec *m) {
    vec s1 = m[1] + m[2], d1 = m[1] - m[2], s2 = m[3] + m[4], d2 = m[3] - m[4], s3 = m[5] + m[6],
        d3 = m[5] - m[6];
    const ft_real h = (ft_real)0.5, q = (ft_real)0.25, e = (ft_real)0.125;
    o[0] = ((m[0] + s1) + (s2 + s3)) + (m[7] + m[8]);
    o[1] = ((d1 + 2 * d2) + h * d3) + (4 * m[7] - q * m[8]);
    o[2] = ((s1 + 4 * s2) + q * s3) + (16 * m[7] + q * q * m[8]);
    o[3] = ((d1 + 8 * d2) + e * d3) + ((64 * m[7] - q * q * q * m[8]) + m[9]);
}
INLINE void a_7(vec *o, const vec *y) {
    const ft_real h = (ft_real)0.5, q = (ft_real)0.25, e = (ft_real)0.125;
    vec even = y[0] + y[2], odd = y[1] + y[3];
    o[0] = y[0];
    o[1] = even + odd;
    o[2] = even - odd;
    even = y[0] + 4 * y[2], odd = 2 * y[1] + 8 * y[3];
    o[3] = even + odd;
    o[4] = even - odd;
    even = y[0] + q * y[2], odd = h * y[1] + e * y[3];
    o[5] = even + odd;
    o[6] = even - odd;
    o[7] = (y[0] + 16 * y[2]) + (4 * y[1] + 64 * y[3]);
    o[8] = (y[0] + q * q * y[2]) - (q * y[1] + q * q * q * y[3]);
    o[9] = y[3];
}

/* ---- along one axis, by r ---- */

INLINE void data_axis(const int r, vec *o, const vec *d) {
    if (r == 3) bt_3(o, d);
    if (r == 5) apply(&bt5[0][0], 8, 8, o, d);
    if (r == 7) bt_7(o, d);
}
INLINE void output_axis(const int r, vec *o, const vec *p) {
    if (r == 3) at_3(o, p);
    if (r == 5) apply(&at5[0][0], 4, 8, o, p);
    if (r == 7) at_7(o, p);
}
INLINE void output_gradient_axis(const int r, vec *o, const vec *y) {
    if (r == 3) a_3(o, y);
    if (r == 5) apply_transposed(&at5[0][0], 4, 8, o, y);
    if (r == 7) a_7(o, y);
}
INLINE void weight_axis(const int r, vec *o, const vec *w) {
    if (r == 3) apply(&g3[0][0], 6, 3, o, w);
    if (r == 5) apply(&g5[0][0], 8, 5, o, w);
    if (r == 7) apply(&g7[0][0], 10, 7, o, w);
}
INLINE void weight_gradient_axis(const int r, vec *o, const vec *u) {
    if (r == 3) apply_transposed(&g3[0][0], 6, 3, o, u);
    if (r == 5) apply_transposed(&g5[0][0], 8, 5, o, u);
    if (r == 7) apply_transposed(&g7[0][0], 10, 7, o, u);
}

/* ---- one vector of channels, from column k on, n of them ---- */

/* A tile of `from` values along each axis becomes one of `to`; a square one goes down its columns, then along
 * its rows. LOAD(i) and STORE(i, v) know where value i lies. */
#define TRANSFORM(axis, from, to, LOAD, STORE)                                   \
    do {                                                                         \
        vec x[MAX_N], o[MAX_N], t[MAX_SQUARE * MAX_SQUARE];                      \
        if (!square) {                                                           \
            UNROLL for (int i = 0; i < (from); i++) x[i] = LOAD(i);              \
            axis(r, o, x);                                                       \
            UNROLL for (int i = 0; i < (to); i++) STORE(i, o[i]);                \
            break;                                                               \
        }                                                                        \
        UNROLL for (int j = 0; j < (from); j++) {                                \
            UNROLL for (int i = 0; i < (from); i++) x[i] = LOAD(i * (from) + j); \
            axis(r, o, x);                                                       \
            UNROLL for (int i = 0; i < (to); i++) t[i * (from) + j] = o[i];      \
        }                                                                        \
        UNROLL for (int i = 0; i < (to); i++) {                                  \
            axis(r, o, t + i * (from));                                          \
            UNROLL for (int j = 0; j < (to); j++) STORE(i *(to) + j, o[j]);      \
        }                                                                        \
    } while (0)

#define LOAD_TILE(i)     load_n(v + (i)*step + k, n)
#define STORE_TILE(i, y) store_n(v + (i)*step + k, y, n)

INLINE void data_vector(const int r, const bool square, const ft_real *const *d, ft_real *v, int64_t step,
                        int32_t k, int n) {
#define LOAD(i) load_n(d[i] + k, n)
    TRANSFORM(data_axis, M + r - 1, M + r - 1, LOAD, STORE_TILE);
#undef LOAD
}

INLINE void finish_output(const ft_winograd_finish *f, ft_real *y, vec v, vec scale, vec shift, int n) {
    if (f->accumulate) {
        v += load_n(y, n);
    } else {
        if (f->scale) v *= scale;
        if (f->shift) v += shift;
        if (f->relu) v = rectified(v);
    }
    store_n(y, v, n);
}

INLINE void output_vector(const int r, const bool square, const ft_real *v, int64_t step, ft_real *const *y,
                          const ft_winograd_finish *f, int32_t k, int n) {
    vec scale = {0}, shift = {0};
    if (f->scale) scale = load_n(f->scale + k, n);
    if (f->shift) shift = load_n(f->shift + k, n);
#define STORE(i, value)                                               \
    do {                                                              \
        if (y[i]) finish_output(f, y[i] + k, value, scale, shift, n); \
    } while (0)
    TRANSFORM(output_axis, M + r - 1, M, LOAD_TILE, STORE);
#undef STORE
}

INLINE void output_gradient_vector(const int r, const bool square, const ft_real *const *dy, ft_real *v,
                                   int64_t step, int32_t k, int n) {
#define LOAD(i) load_n(dy[i] + k, n)
    TRANSFORM(output_gradient_axis, M, M + r - 1, LOAD, STORE_TILE);
#undef LOAD
}

INLINE void weight_vector(const int r, const bool square, const ft_real *w, int64_t tap_step, ft_real *v,
                          int64_t step, int32_t k, int n) {
#define LOAD(i) load_n(w + (i)*tap_step + k, n)
    TRANSFORM(weight_axis, r, M + r - 1, LOAD, STORE_TILE);
#undef LOAD
}

INLINE void weight_gradient_vector(const int r, const bool square, const ft_real *v, int64_t step,
                                   ft_real *dw, int64_t tap_step, ft_real beta, int32_t k, int n) {
#define STORE(i, value)                      \
    do {                                     \
        ft_real *at = dw + (i)*tap_step + k; \
        vec sum = value;                     \
        if (beta != 0) sum += load_n(at, n); \
        store_n(at, sum, n);                 \
    } while (0)
    TRANSFORM(weight_gradient_axis, M + r - 1, r, LOAD_TILE, STORE);
#undef STORE
}

/* ---- all channels: one instance for every shape, whole vectors first ---- */

#define EACH_VECTOR(r, square, call, ...)                                          \
    do {                                                                           \
        int32_t k_ = 0;                                                            \
        for (; k_ + VLEN <= c; k_ += VLEN) call(r, square, __VA_ARGS__, k_, VLEN); \
        if (k_ < c) call(r, square, __VA_ARGS__, k_, c - k_);                      \
    } while (0)
#define EACH_SHAPE(call, ...)                         \
    do {                                              \
        if (r == 3 && square)                         \
            EACH_VECTOR(3, true, call, __VA_ARGS__);  \
        else if (r == 3)                              \
            EACH_VECTOR(3, false, call, __VA_ARGS__); \
        else if (r == 5 && square)                    \
            EACH_VECTOR(5, true, call, __VA_ARGS__);  \
        else if (r == 5)                              \
            EACH_VECTOR(5, false, call, __VA_ARGS__); \
        else                                          \
            EACH_VECTOR(7, false, call, __VA_ARGS__); \
    } while (0)

static void data(int32_t r, bool square, int32_t c, const ft_real *const *d, ft_real *v, int64_t step) {
    EACH_SHAPE(data_vector, d, v, step);
}
static void output(int32_t r, bool square, int32_t c, const ft_real *p, int64_t step, ft_real *const *y,
                   const ft_winograd_finish *finish) {
    EACH_SHAPE(output_vector, p, step, y, finish);
}
static void output_gradient(int32_t r, bool square, int32_t c, const ft_real *const *dy, ft_real *v,
                            int64_t step) {
    EACH_SHAPE(output_gradient_vector, dy, v, step);
}
static void weight(int32_t r, bool square, int32_t c, const ft_real *w, int64_t tap_step, ft_real *u,
                   int64_t step) {
    EACH_SHAPE(weight_vector, w, tap_step, u, step);
}
static void weight_gradient(int32_t r, bool square, int32_t c, const ft_real *u, int64_t step, ft_real *dw,
                            int64_t tap_step, ft_real beta) {
    EACH_SHAPE(weight_gradient_vector, u, step, dw, tap_step, beta);
}

const ft_winograd_kernels FT_KERN_TABLE(winograd) = {
    .data = data,
    .output = output,
    .output_gradient = output_gradient,
    .weight = weight,
    .weight_gradient = weight_gradient,
};

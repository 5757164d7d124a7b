/* The convolution's inner loops: tiles of pixels x channels whose accumulators never leave the registers.
 *
 *              nr channels (2 vectors)
 *            +-----------+-----------+
 *   pixel 0  |  s0[0]    |  s1[0]    |   s += x * b: x is broadcast from a pixel's row, b is read
 *   ...      |           |           |   from the packed panel, one step per input channel and tap
 *   pixel mr |  s0[mr-1] |  s1[mr-1] |
 *            +-----------+-----------+
 *
 * mr is what the register file holds: 2*mr accumulators, two vectors of b and one of x.
 */
#include "tensor/kern_vector.h"

/* One instance of a body for every number of rows, so that tails are as tight as full tiles. */
#define ROWS_TO_5(X)  X(1) X(2) X(3) X(4) X(5)
#define ROWS_TO_6(X)  ROWS_TO_5(X) X(6)
#define ROWS_TO_12(X) ROWS_TO_6(X) X(7) X(8) X(9) X(10) X(11) X(12)
#define ROWS_TO_14(X) ROWS_TO_12(X) X(13) X(14)
#if defined(FT_WIDE)
enum { MR = 14 };
#define EACH_ROWS ROWS_TO_14
#elif defined(__AVX2__)
enum { MR = 6 };
#define EACH_ROWS ROWS_TO_6
#elif defined(__aarch64__)
enum { MR = 12 };
#define EACH_ROWS ROWS_TO_12
#else
enum { MR = 5 };
#define EACH_ROWS ROWS_TO_5
#endif

/* What becomes of the sums v of the n columns from `column` on, where c is to be written. */
INLINE vec finished(const ft_finish *f, const ft_real *c, int column, int n, vec v) {
    if (f->accumulate) return load_n(c, n) + v;
    if (f->scale) v *= load_n(f->scale + column, n);
    if (f->shift) v += load_n(f->shift + column, n);
    return f->relu ? rectified(v) : v;
}
INLINE bool is_plain(const ft_finish *f) {
    return !f->accumulate && !f->scale && !f->shift && !f->relu;
}

/* n rows of one vector of columns, of which `cols` are there. */
INLINE void add_moments(ft_moment_sums *m, int column, int cols, const vec *v, const int n) {
    if (m->fresh) store_n(m->pivot + column, v[0], cols);
    vec pivot = load_n(m->pivot + column, cols), sum = {0}, squares = {0};
    UNROLL for (int i = 0; i < n; i++) {
        sum += v[i] - pivot;
        squares += (v[i] - pivot) * (v[i] - pivot);
    }
    store_n(m->sum + column, load_n(m->sum + column, cols) + sum, cols);
    store_n(m->squares + column, load_n(m->squares + column, cols) + squares, cols);
}

/* A tile that is not as wide as its panel: rare, and large inlined. v: the first vector of every row, then
 * the second ones. */
static __attribute__((noinline)) void finish_part(const ft_finish *f, int32_t cols, ft_real *const *to,
                                                  vec *v, int rows) {
    for (int32_t column = 0; column < cols; column += VLEN, v += rows) {
        int n = cols - column < VLEN ? cols - column : VLEN;
        for (int i = 0; i < rows; i++) v[i] = finished(f, to[i] + column, column, n, v[i]);
        if (f->moments) {
            if (f->moments->fresh) store_n(f->moments->pivot + column, v[0], n);
            ft_moment_sums rest = {f->moments->pivot, f->moments->sum, f->moments->squares, false};
            for (int i = 0; i < rows; i++) add_moments(&rest, column, n, v + i, 1);
        }
        for (int i = 0; i < rows; i++) store_n(to[i] + column, v[i], n);
    }
}

/* Writes a tile: row i, whose sums are s0[i] and unless the panel is narrow s1[i], to to[i]. */
INLINE void finish_rows(const ft_finish *finish, int32_t cols, ft_real *const *to, vec *s0, vec *s1,
                        const int rows, const bool narrow) {
    const ft_finish f = *finish;
    if (cols != (narrow ? VLEN : NR)) {
        vec v[2 * MR];
        UNROLL for (int i = 0; i < rows; i++) {
            v[i] = s0[i];
            v[rows + i] = s1[i];
        }
        finish_part(&f, cols, to, v, rows);
        return;
    }
    if (!is_plain(&f)) {
        UNROLL for (int i = 0; i < rows; i++) {
            s0[i] = finished(&f, to[i], 0, VLEN, s0[i]);
            if (!narrow) s1[i] = finished(&f, to[i] + VLEN, VLEN, VLEN, s1[i]);
        }
    }
    if (f.moments) {
        add_moments(f.moments, 0, VLEN, s0, rows);
        if (!narrow) add_moments(f.moments, VLEN, VLEN, s1, rows);
    }
    if (f.stream) {
        UNROLL for (int i = 0; i < rows; i++) {
            stream(to[i], s0[i]);
            if (!narrow) stream(to[i] + VLEN, s1[i]);
        }
    } else {
        UNROLL for (int i = 0; i < rows; i++) {
            store(to[i], s0[i]);
            if (!narrow) store(to[i] + VLEN, s1[i]);
        }
    }
}

INLINE void tile_body(const ft_conv_tile *t, const int rows, const bool narrow) {
    vec s0[MR], s1[MR];
    /* What is written must be fetched first: meanwhile, not at the end. */
    for (int i = 0; !t->finish.stream && i < rows; i++) {
        __builtin_prefetch(t->c[i]);
        __builtin_prefetch(t->c[i] + t->cols - 1);
    }
    UNROLL for (int i = 0; i < rows; i++) s0[i] = s1[i] = (vec){0};
    const int32_t kc = t->kc;
    for (int32_t tap = 0; tap < t->taps; tap++) {
        const ft_real *b = t->b[tap], *a[MR];
        UNROLL for (int i = 0; i < rows; i++) a[i] = t->a[tap * rows + i];
        BY_TWO for (int32_t k = 0; k < kc; k++) {
            vec b0 = load(b), b1 = narrow ? (vec){0} : load(b + VLEN);
            b += narrow ? VLEN : NR;
            UNROLL for (int i = 0; i < rows; i++) {
                ft_real x = a[i][k];
                s0[i] = plus_product(s0[i], x, b0);
                if (!narrow) s1[i] = plus_product(s1[i], x, b1);
            }
        }
    }
    finish_rows(&t->finish, t->cols, t->c, s0, s1, rows, narrow);
}

/* As tile_body with one tap, for rows that lie evenly. bare: nothing to fetch, nothing to finish, whole
 * panels. */
INLINE void product_body(const ft_product *t, const ft_real *a, ft_real *c, const int rows, const bool narrow,
                         const bool bare) {
    vec s0[MR], s1[MR];
    const ft_real *b = t->b;
    const int64_t lda = t->lda, ldc = t->ldc;
    const int32_t kc = t->kc;
    const bool fetch = !bare && t->fetch, ask = !bare && t->next;
    const ft_real *next = ask ? t->next + (c - t->c) : NULL;
    const int32_t parts = (kc + LINE - 1) / LINE, at_once = ask ? (rows + parts - 1) / parts : 0;
    int32_t asked = 0;
    for (int i = 0; fetch && !t->finish.stream && i < rows; i++) {
        __builtin_prefetch(c + i * ldc);
        __builtin_prefetch(c + i * ldc + t->cols - 1);
    }
    UNROLL for (int i = 0; i < rows; i++) s0[i] = s1[i] = (vec){0};
    for (int32_t k = 0, end; k < kc; k = end) {
        if (fetch) { /* the rows of the next tile, line by line */
            UNROLL for (int i = 0; i < rows; i++) __builtin_prefetch(a + (rows + i) * lda + k);
        }
        for (int32_t last = asked + at_once; asked < last && asked < rows; asked++) {
            __builtin_prefetch(next + asked * ldc, 0, 2);
            __builtin_prefetch(next + asked * ldc + NR - 1, 0, 2);
        }
        end = (fetch || ask) && kc - k > LINE ? k + LINE : kc;
        BY_TWO for (; k < end; k++) {
            vec b0 = load(b), b1 = narrow ? (vec){0} : load(b + VLEN);
            b += narrow ? VLEN : NR;
            UNROLL for (int i = 0; i < rows; i++) {
                ft_real x = a[i * lda + k];
                s0[i] = plus_product(s0[i], x, b0);
                if (!narrow) s1[i] = plus_product(s1[i], x, b1);
            }
        }
    }
    if (bare) {
        UNROLL for (int i = 0; i < rows; i++) {
            store(c + i * ldc, s0[i]);
            if (!narrow) store(c + i * ldc + VLEN, s1[i]);
        }
        return;
    }
    ft_real *to[MR];
    UNROLL for (int i = 0; i < rows; i++) to[i] = c + i * ldc;
    finish_rows(&t->finish, t->cols, to, s0, s1, rows, narrow);
}

/* Without a branch that depends on where it is: to guess one wrong would cost more than asking gains. So the
 * last steps may ask beyond the end, where there need be no memory. */
INLINE void look_ahead(ft_ahead *a) {
    __builtin_prefetch(a->p + a->channel, 0, 2);
    a->channel += a->step;
    int64_t within = -(int64_t)(a->channel < a->channels); /* all bits or none */
    a->channel &= within;
    a->p += a->ld & ~within;
}

/* n1: columns of the second vector, all of them unless the tile is a part. */
INLINE void add_pixel(vec *s0, vec *s1, const ft_real *x, const ft_real *dy, const int rows,
                      const bool narrow, const bool part, int n1) {
    vec d0 = part && narrow ? load_part(dy, n1 + VLEN) : load(dy);
    vec d1 = narrow ? (vec){0} : part ? load_part(dy + VLEN, n1) : load(dy + VLEN);
    UNROLL for (int i = 0; i < rows; i++) {
        s0[i] = plus_product(s0[i], x[i], d0);
        if (!narrow) s1[i] = plus_product(s1[i], x[i], d1);
    }
}

INLINE void wgrad_body(const ft_wgrad_tile *t, const int rows, const bool narrow, const bool part) {
    vec s0[MR], s1[MR];
    const int n0 = t->cols, n1 = t->cols - VLEN;
    for (int i = 0; t->next && i < rows; i++) {
        __builtin_prefetch(t->next + i * t->ldw);
        __builtin_prefetch(t->next + i * t->ldw + VLEN);
    }
    UNROLL for (int i = 0; i < rows; i++) {
        if (!t->accumulate) {
            s0[i] = s1[i] = (vec){0};
            continue;
        }
        s0[i] = part && narrow ? load_part(t->dw + i * t->ldw, n0) : load(t->dw + i * t->ldw);
        s1[i] = narrow ? (vec){0}
                : part ? load_part(t->dw + i * t->ldw + VLEN, n1)
                       : load(t->dw + i * t->ldw + VLEN);
    }
    ft_ahead first = t->ahead[0], second = t->ahead[1];
    const int64_t x_step = t->x_step, dy_step = t->dy_step;
    for (int32_t r = 0; r < t->n_runs; r++) {
        const ft_real *x = t->runs[r].x + t->x_offset, *dy = t->runs[r].dy + t->dy_offset;
        const int32_t count = t->runs[r].count;
        int32_t p = 0;
        for (; p + 1 < count; p += 2) {
            look_ahead(&first);
            add_pixel(s0, s1, x, dy, rows, narrow, part, n1);
            x += x_step;
            dy += dy_step;
            look_ahead(&second);
            add_pixel(s0, s1, x, dy, rows, narrow, part, n1);
            x += x_step;
            dy += dy_step;
        }
        if (p < count) add_pixel(s0, s1, x, dy, rows, narrow, part, n1);
    }
    t->ahead[0] = first;
    t->ahead[1] = second;
    UNROLL for (int i = 0; i < rows; i++) {
        if (part && narrow)
            store_part(t->dw + i * t->ldw, s0[i], n0);
        else
            store(t->dw + i * t->ldw, s0[i]);
        if (narrow) continue;
        if (part)
            store_part(t->dw + i * t->ldw + VLEN, s1[i], n1);
        else
            store(t->dw + i * t->ldw + VLEN, s1[i]);
    }
}

/* A function for each number of rows and kind of tile: one with all of them in it takes the compiler much
 * longer. */
#define OUTLINE __attribute__((noinline))
#define INSTANCES(n)                                                                                   \
    static OUTLINE void tile_##n(const ft_conv_tile *t) {                                              \
        tile_body(t, n, false);                                                                        \
    }                                                                                                  \
    static OUTLINE void tile_##n##_narrow(const ft_conv_tile *t) {                                     \
        tile_body(t, n, true);                                                                         \
    }                                                                                                  \
    static OUTLINE void product_##n(const ft_product *t, const ft_real *a, ft_real *c) {               \
        product_body(t, a, c, n, false, false);                                                        \
    }                                                                                                  \
    static OUTLINE void product_##n##_narrow(const ft_product *t, const ft_real *a, ft_real *c) {      \
        product_body(t, a, c, n, true, false);                                                         \
    }                                                                                                  \
    static OUTLINE void product_##n##_bare(const ft_product *t, const ft_real *a, ft_real *c) {        \
        product_body(t, a, c, n, false, true);                                                         \
    }                                                                                                  \
    static OUTLINE void product_##n##_narrow_bare(const ft_product *t, const ft_real *a, ft_real *c) { \
        product_body(t, a, c, n, true, true);                                                          \
    }                                                                                                  \
    static OUTLINE void wgrad_##n(const ft_wgrad_tile *t) {                                            \
        wgrad_body(t, n, false, false);                                                                \
    }                                                                                                  \
    static OUTLINE void wgrad_##n##_narrow(const ft_wgrad_tile *t) {                                   \
        wgrad_body(t, n, true, false);                                                                 \
    }                                                                                                  \
    static OUTLINE void wgrad_##n##_part(const ft_wgrad_tile *t) {                                     \
        wgrad_body(t, n, false, true);                                                                 \
    }                                                                                                  \
    static OUTLINE void wgrad_##n##_narrow_part(const ft_wgrad_tile *t) {                              \
        wgrad_body(t, n, true, true);                                                                  \
    }
EACH_ROWS(INSTANCES)
#undef INSTANCES

static void conv_tile(const ft_conv_tile *t) {
#define KINDS(n) {tile_##n, tile_##n##_narrow},
    static void (*const tile[MR][2])(const ft_conv_tile *) = {EACH_ROWS(KINDS)};
#undef KINDS
    tile[t->rows - 1][t->narrow](t);
    end_finish(&t->finish);
}

/* The rows are dealt out evenly, so that no tile is a thin remainder. */
static void product(const ft_product *t) {
    const ft_finish *f = &t->finish;
    bool bare = is_plain(f) && !f->moments && !f->stream && !t->fetch && t->cols == (t->narrow ? VLEN : NR);
#define KINDS(n) {{product_##n, product_##n##_bare}, {product_##n##_narrow, product_##n##_narrow_bare}},
    static void (*const tile[MR][2][2])(const ft_product *, const ft_real *, ft_real *) = {EACH_ROWS(KINDS)};
#undef KINDS
    int32_t tiles = (t->rows + MR - 1) / MR, first = 0;
    for (int32_t k = 1; k <= tiles; k++) {
        int32_t end = (int32_t)((int64_t)k * t->rows / tiles);
        tile[end - first - 1][t->narrow][bare](t, t->a + first * t->lda, t->c + first * t->ldc);
        if (f->moments) f->moments->fresh = false;
        first = end;
    }
    end_finish(f);
}

static void wgrad_tile(const ft_wgrad_tile *t) {
#define KINDS(n) {{wgrad_##n, wgrad_##n##_part}, {wgrad_##n##_narrow, wgrad_##n##_narrow_part}},
    static void (*const tile[MR][2][2])(const ft_wgrad_tile *) = {EACH_ROWS(KINDS)};
#undef KINDS
    tile[t->rows - 1][t->cols <= VLEN][t->cols != VLEN && t->cols != NR](t);
}

/* Where rows lie apart the processor does not see which comes next: it is asked for. */
INLINE void deal_body(const int width, int32_t n, int32_t c, const ft_real *from, int64_t ld, ft_real *to,
                      int64_t step) {
    for (int32_t i = 0; i < n; i++, from += ld, to += width) {
        ft_real *panel = to;
        int32_t j = 0;
        for (int32_t q = 0; q < c; q += LINE) __builtin_prefetch(from + 4 * ld + q);
        for (; j + width <= c; j += width, panel += step) memcpy(panel, from + j, (size_t)width * sizeof *to);
        for (int32_t k = 0; j + k < c; k++) panel[k] = from[j + k];
    }
}

static void deal(int32_t width, int32_t n, int32_t c, const ft_real *from, int64_t ld, ft_real *to,
                 int64_t step) {
    if (width == MR)
        deal_body(MR, n, c, from, ld, to, step);
    else
        deal_body(NR, n, c, from, ld, to, step);
}

static void depthwise(ft_real *y, int32_t c, int32_t taps, const ft_real *const *x, const ft_real *const *w,
                      ft_real beta) {
    for (int32_t k = 0; k < c; k += VLEN) {
        int n = c - k < VLEN ? c - k : VLEN;
        vec s = beta != 0 ? load_n(y + k, n) : (vec){0};
        for (int32_t t = 0; t < taps; t++) s += load_n(x[t] + k, n) * load_n(w[t] + k, n);
        store_n(y + k, s, n);
    }
}

const ft_conv_kernels FT_KERN_TABLE(conv) = {.mr = MR,
                                             .nr = NR,
                                             .tile = conv_tile,
                                             .product = product,
                                             .wgrad = wgrad_tile,
                                             .deal = deal,
                                             .depthwise = depthwise};

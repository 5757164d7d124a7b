/* Pooling: what lies under a window, tap by tap, gathered in registers and written once. */
#include "tensor/kern_vector.h"

typedef uint16_t places __attribute__((vector_size(VLEN * sizeof(uint16_t)), aligned(2), may_alias));

INLINE mask load_places(const uint16_t *p, int n) {
    places v = {0};
    if (n >= VLEN)
        v = *(const places *)p;
    else
        memcpy(&v, p, (size_t)n * sizeof *p);
    return __builtin_convertvector(v, mask);
}
INLINE void store_places(uint16_t *p, mask where, int n) {
    places v = __builtin_convertvector(where, places);
    if (n >= VLEN)
        *(places *)p = v;
    else
        memcpy(p, &v, (size_t)n * sizeof *p);
}
INLINE mask choose(mask which, mask yes, mask no) {
    return (which & yes) | (~which & no);
}

/* Each loop below goes over the taps once for several vectors of channels: `vectors` of them, or for one the
 * first n numbers. */
enum { BLOCK = 4 };
#define EACH_BLOCK(c, columns, ...)                                                               \
    do {                                                                                          \
        int32_t k = 0;                                                                            \
        for (; k + BLOCK * VLEN <= c; k += BLOCK * VLEN) columns(t, k, BLOCK, VLEN, __VA_ARGS__); \
        for (; k + VLEN <= c; k += VLEN) columns(t, k, 1, VLEN, __VA_ARGS__);                     \
        if (k < c) columns(t, k, 1, c - k, __VA_ARGS__);                                          \
    } while (0)

INLINE void put(const ft_pool_taps *t, ft_real *to, vec v, int n) {
    if (t->stream && n == VLEN)
        stream(to, v);
    else
        store_n(to, v, n);
}

INLINE vec started(const ft_epilogue *prologue, vec v, vec scale, vec shift) {
    v = v * scale + shift;
    return prologue->relu ? rectified(v) : v;
}

INLINE void max_columns(const ft_pool_taps *t, int32_t k, const int vectors, int n, ft_real *y,
                        uint16_t *where, const ft_epilogue *prologue) {
    vec best[BLOCK], scale[BLOCK], shift[BLOCK];
    mask at[BLOCK];
    UNROLL for (int j = 0; j < vectors; j++) {
        scale[j] = prologue ? load_n(prologue->scale + k + j * VLEN, n) : (vec){0};
        shift[j] = prologue ? load_n(prologue->shift + k + j * VLEN, n) : (vec){0};
    }
#define STARTED(j, v) (prologue ? started(prologue, v, scale[j], shift[j]) : (v))
    UNROLL for (int j = 0; j < vectors; j++) {
        vec first = load_n((t->further ? y : t->x[0]) + k + j * VLEN, n);
        best[j] = t->further ? first : STARTED(j, first);
        at[j] = (mask){0} + t->place[0];
        if (where && t->further) at[j] = load_places(where + k + j * VLEN, n);
    }
    for (int32_t i = t->further ? 0 : 1; i < t->n; i++) {
        const ft_real *x = t->x[i] + k;
        const mask place = (mask){0} + t->place[i];
        UNROLL for (int j = 0; j < vectors; j++) {
            vec v = STARTED(j, load_n(x + j * VLEN, n));
            mask larger = (mask)(v > best[j]) | (mask)(v != v);
            best[j] = (vec)choose(larger, (mask)v, (mask)best[j]);
            if (where) at[j] = choose(larger, place, at[j]);
        }
    }
    UNROLL for (int j = 0; j < vectors; j++) {
        put(t, y + k + j * VLEN, best[j], n);
        if (where) store_places(where + k + j * VLEN, at[j], n);
    }
#undef STARTED
}

static void max(const ft_pool_taps *t, int32_t c, ft_real *y, uint16_t *where) {
    if (where && t->prologue)
        EACH_BLOCK(c, max_columns, y, where, t->prologue);
    else if (where)
        EACH_BLOCK(c, max_columns, y, where, NULL);
    else
        EACH_BLOCK(c, max_columns, y, NULL, t->prologue);
}

INLINE void max_backward_columns(const ft_pool_taps *t, int32_t k, const int vectors, int n, ft_real *dx) {
    vec s[BLOCK];
    UNROLL for (int j = 0; j < vectors; j++) s[j] = t->further ? load_n(dx + k + j * VLEN, n) : (vec){0};
    for (int32_t i = 0; i < t->n; i++) {
        const ft_real *x = t->x[i] + k;
        const uint16_t *where = t->where[i] + k;
        const mask place = (mask){0} + t->place[i];
        UNROLL for (int j = 0; j < vectors; j++) {
            mask here = (mask)(load_places(where + j * VLEN, n) == place);
            s[j] += (vec)((mask)load_n(x + j * VLEN, n) & here);
        }
    }
    UNROLL for (int j = 0; j < vectors; j++) put(t, dx + k + j * VLEN, s[j], n);
}

static void max_backward(const ft_pool_taps *t, int32_t c, ft_real *dx) {
    EACH_BLOCK(c, max_backward_columns, dx);
}

INLINE void sum_columns(const ft_pool_taps *t, int32_t k, const int vectors, int n, ft_real *y) {
    vec s[BLOCK];
    UNROLL for (int j = 0; j < vectors; j++) s[j] = t->further ? load_n(y + k + j * VLEN, n) : (vec){0};
    for (int32_t i = 0; i < t->n; i++) {
        const ft_real *x = t->x[i] + k;
        const ft_real share = t->share[i];
        UNROLL for (int j = 0; j < vectors; j++) s[j] += share * load_n(x + j * VLEN, n);
    }
    UNROLL for (int j = 0; j < vectors; j++) store_n(y + k + j * VLEN, s[j], n);
}

static void sum(const ft_pool_taps *t, int32_t c, ft_real *y) {
    EACH_BLOCK(c, sum_columns, y);
}

const ft_pool_kernels FT_KERN_TABLE(pool) = {.max = max, .max_backward = max_backward, .sum = sum};

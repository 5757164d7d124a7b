/* Batch normalisation by channel (Ioffe and Szegedy, arXiv 1502.03167). Inputs: x, gamma?, beta?, moving
 * mean, moving variance; an absent gamma is 1, an absent beta 0.
 *
 *     y = gamma * xhat + beta,  xhat = (x - mean) * r,  r = 1 / sqrt(variance + epsilon)
 *
 *     dgamma = sum dy * xhat,  dbeta = sum dy
 *     dx = gamma * r * (dy - dbeta / N - xhat * dgamma / N)     training: mean, variance of the N rows
 *     dx = gamma * r * dy                                       otherwise: the moving ones
 *
 * Backward reads x, gamma, and what forward saved: mean and r by channel. The variance is the biased one, as
 * in Keras 3. A ReLU after it may be part of it (FT_RELU_AFTER): then forward also saves the scale and shift
 * that it applied, by which backward sees where the ReLU cut.
 *
 * Statistics: every chunk of rows gives its mean and its sum of squares about it (moments.h), here or where x
 * was made (FT_TAKES_MOMENTS); then, with the chunks in order and in double, mean = sum n_i mean_i / N and N
 * * variance = sum (m2_i + n_i (mean_i - mean)^2), which is the pairwise formula of Chan, Golub and LeVeque
 * (1979) for all chunks at once.
 */
#include "layers/args.h"
#include "layers/layers.h"
#include "layers/rowwise.h"
#include "tensor/moments.h"

#include <math.h>
#include <stdio.h>

enum { X, GAMMA, BETA, MEAN, VARIANCE, N_INPUTS };
enum { BLOCK = 16 }; /* channels that one task merges */

/* One pass over a call. partial: two numbers by channel from every chunk: [n_chunks][2][c] backward, as
 * ft_moments forward. Forward applies scale * x + shift; backward a * dy + b * x + d. */
typedef struct work {
    const ft_call *call;
    int32_t c;
    int64_t rows, n_chunks; /* n_chunks: how many partials there are */
    ft_real *a, *b, *d, *partial;
    bool stream;        /* y goes past the caches */
    ft_moments moments; /* of x, forward */
} work;

static ft_real *partial_of(const work *w, int64_t chunk) {
    return w->partial + 2 * chunk * w->c;
}

static work start(const ft_call *call, const ft_view *like) {
    ft_real *scratch = call->scratch;
    int32_t c = like->c;
    return (work){.call = call,
                  .c = c,
                  .rows = ft_rows(like),
                  .n_chunks = ft_chunk_count(like),
                  .a = scratch,
                  .b = scratch + c,
                  .d = scratch + 2 * (int64_t)c,
                  .partial = scratch + 3 * (int64_t)c};
}

static double or_else(const ft_view *v, int32_t k, double absent) {
    return v->p ? (double)v->p[k] : absent;
}

static double inverse_deviation(const ft_call *call, double variance) {
    return 1 / sqrt(variance + ((const ft_batchnorm_args *)call->args)->epsilon);
}

static bool relu_after(const ft_call *call) {
    return call->epilogue && call->epilogue->relu;
}

/* y = scale * x + shift for one channel. shift makes good for what scale lost in rounding. */
static void fold(const ft_call *call, int32_t k, double mean, double r, ft_real *scale, ft_real *shift) {
    *scale = (ft_real)(or_else(&call->in[GAMMA], k, 1) * r);
    *shift = (ft_real)(or_else(&call->in[BETA], k, 0) - mean * (double)*scale);
}

static void affine(const ft_call *call, ft_real *scale, ft_real *shift) {
    for (int32_t k = 0; k < call->in[X].c; k++) {
        double r = inverse_deviation(call, (double)call->in[VARIANCE].p[k]);
        fold(call, k, (double)call->in[MEAN].p[k], r, &scale[k], &shift[k]);
    }
}

/* ---- forward ---- */

static void moments_chunk(void *ctx, int64_t chunk, int32_t thread) {
    const work *w = ctx;
    (void)thread;
    ft_view x = ft_chunk_view(&w->call->in[X], chunk);
    ft_moment_sums s = ft_moments_begin(&w->moments, chunk, 0, x.c);
    ft_row_kernels_get()->moments(x.n, x.c, x.p, x.ld, &s);
    ft_moments_end(&w->moments, chunk, x.n, x.c, &s);
}

static void update_moving(const ft_call *call, int32_t k, double mean, double variance, int64_t rows) {
    const ft_batchnorm_args *args = call->args;
    double n = (double)rows, keep = args->momentum, take = 1 - keep;
    if (args->unbiased && rows > 1) variance *= n / (n - 1);
    ft_real *moving_mean = &call->in[MEAN].p[k], *moving_variance = &call->in[VARIANCE].p[k];
    *moving_mean = (ft_real)(keep * (double)*moving_mean + take * mean);
    *moving_variance = (ft_real)(keep * (double)*moving_variance + take * variance);
}

/* saved: [scale, shift, mean, r][c] */
enum { SCALE, SHIFT, MEAN_OF_BATCH, INVERSE, N_SAVED };
static void save(const work *w, int32_t k, double mean, double r) {
    ft_real *saved = w->call->saved;
    if (!saved) return;
    saved[SCALE * w->c + k] = w->a[k];
    saved[SHIFT * w->c + k] = w->d[k];
    saved[MEAN_OF_BATCH * w->c + k] = (ft_real)mean;
    saved[INVERSE * w->c + k] = (ft_real)r;
}

static void merge_moments(void *ctx, int64_t block, int32_t thread) {
    const work *w = ctx;
    (void)thread;
    int32_t first = (int32_t)block * BLOCK, n = w->c - first < BLOCK ? w->c - first : BLOCK;
    double mean[BLOCK] = {0}, m2[BLOCK] = {0};
    for (int64_t i = 0; i < w->moments.chunks; i++) {
        const ft_real *p = ft_moments_chunk(&w->moments, i), *of_chunk = p + 1 + first;
        for (int32_t k = 0; *p > 0 && k < n; k++) mean[k] += (double)*p * (double)of_chunk[k];
    }
    for (int32_t k = 0; k < n; k++) mean[k] /= (double)w->rows;
    for (int64_t i = 0; i < w->moments.chunks; i++) {
        const ft_real *p = ft_moments_chunk(&w->moments, i), *of_chunk = p + 1 + first;
        for (int32_t k = 0; *p > 0 && k < n; k++) {
            double apart = (double)of_chunk[k] - mean[k];
            m2[k] += (double)of_chunk[w->c + k] + (double)*p * apart * apart;
        }
    }
    for (int32_t k = 0; k < n; k++) {
        /* A single row is its own mean: y is beta whatever x is, which r = 0 says without rounding. */
        double variance = m2[k] / (double)w->rows, r = w->rows > 1 ? inverse_deviation(w->call, variance) : 0;
        fold(w->call, first + k, mean[k], r, &w->a[first + k], &w->d[first + k]);
        update_moving(w->call, first + k, mean[k], variance, w->rows);
        save(w, first + k, mean[k], r);
    }
}

static void normalize_chunk(void *ctx, int64_t chunk, int32_t thread) {
    const work *w = ctx;
    (void)thread;
    ft_view x = ft_chunk_view(&w->call->in[X], chunk), y = ft_chunk_view(&w->call->out[0], chunk);
    ft_row_kernels_get()->affine(x.n, x.c, x.p, x.ld, y.p, y.ld, w->a, w->d, relu_after(w->call), w->stream);
}

static bool may_stream(const ft_call *call) {
    const ft_view *y = &call->out[0];
    return y->p != call->in[X].p && ft_may_stream(y, 0);
}

static void forward(const ft_call *call) {
    work w = start(call, &call->in[X]);
    if (call->training) {
        w.moments = call->moments ? *call->moments : (ft_moments){w.partial, w.n_chunks, w.c};
        if (!call->moments) ft_par_for(w.n_chunks, moments_chunk, &w);
        ft_par_for(ft_ceil_div(w.c, BLOCK), merge_moments, &w);
    } else {
        affine(call, w.a, w.d);
        for (int32_t k = 0; k < w.c; k++)
            save(&w, k, (double)call->in[MEAN].p[k],
                 inverse_deviation(call, (double)call->in[VARIANCE].p[k]));
    }
    w.stream = may_stream(call);
    if (call->out[0].p) ft_par_for(w.n_chunks, normalize_chunk, &w);
}

static void remake(const ft_call *call) {
    ft_real *saved = call->saved;
    int32_t c = call->in[X].c;
    work w = {.call = call, .a = saved + SCALE * c, .d = saved + SHIFT * c, .stream = may_stream(call)};
    ft_par_for(ft_chunk_count(&call->in[X]), normalize_chunk, &w);
}

/* ---- backward ---- */

static const ft_real *relu_scale(const work *w) {
    return relu_after(w->call) ? (const ft_real *)w->call->saved + SCALE * w->c : NULL;
}
static const ft_real *relu_shift(const work *w) {
    return relu_after(w->call) ? (const ft_real *)w->call->saved + SHIFT * w->c : NULL;
}

static void sums_chunk(void *ctx, int64_t chunk, int32_t thread) {
    const work *w = ctx;
    (void)thread;
    ft_view x = ft_chunk_view(&w->call->in[X], chunk), dy = ft_chunk_view(&w->call->dout[0], chunk);
    ft_real *sum_dy = partial_of(w, chunk);
    ft_row_kernels_get()->norm_sums(x.n, x.c, x.p, x.ld, dy.p, dy.ld, relu_scale(w), relu_shift(w),
                                    (const ft_real *)w->call->saved + MEAN_OF_BATCH * w->c, sum_dy,
                                    sum_dy + w->c);
}

static void put(const ft_call *call, int i, int32_t k, double gradient) {
    if (!call->din[i].p) return;
    ft_real *d = &call->din[i].p[k];
    *d = call->beta[i] != 0 ? call->beta[i] * *d + (ft_real)gradient : (ft_real)gradient;
}

/* The gradients of one channel's parameters and the coefficients of dx = a * dy + b * x + d, from the sums of
 * dy and of dy * (x - mean) over all rows. d is made with a and b as rounded, so that their errors do not
 * meet a large mean. */
static void finish_channel(const work *w, int32_t k, double sum_dy, double sum_dyx) {
    const ft_call *call = w->call;
    const ft_real *saved = call->saved;
    double mean = (double)saved[MEAN_OF_BATCH * w->c + k], r = (double)saved[INVERSE * w->c + k],
           n = (double)w->rows;
    double scale = or_else(&call->in[GAMMA], k, 1) * r;
    w->a[k] = (ft_real)scale;
    w->b[k] = call->training ? (ft_real)(-scale * r * r * sum_dyx / n) : 0;
    w->d[k] = call->training ? (ft_real)(-(double)w->a[k] * sum_dy / n - (double)w->b[k] * mean) : 0;
    put(call, GAMMA, k, sum_dyx * r);
    put(call, BETA, k, sum_dy);
    put(call, MEAN, k, call->training ? 0 : -scale * sum_dy);
    put(call, VARIANCE, k, call->training ? 0 : -scale * r * r * sum_dyx / 2);
}

static void merge_sums(void *ctx, int64_t block, int32_t thread) {
    const work *w = ctx;
    (void)thread;
    int32_t first = (int32_t)block * BLOCK, n = w->c - first < BLOCK ? w->c - first : BLOCK;
    double sum_dy[BLOCK] = {0}, sum_dyx[BLOCK] = {0};
    for (int64_t i = 0; i < w->n_chunks; i++) {
        const ft_real *p = partial_of(w, i) + first;
        for (int32_t k = 0; k < n; k++) {
            sum_dy[k] += (double)p[k];
            sum_dyx[k] += (double)p[w->c + k];
        }
    }
    for (int32_t k = 0; k < n; k++) finish_channel(w, first + k, sum_dy[k], sum_dyx[k]);
}

static void dx_chunk(void *ctx, int64_t chunk, int32_t thread) {
    const work *w = ctx;
    const ft_call *call = w->call;
    (void)thread;
    ft_view dy = ft_chunk_view(&call->dout[0], chunk), dx = ft_chunk_view(&call->din[X], chunk);
    /* Without training b is 0: no need to fetch x for it. */
    ft_view x = call->training ? ft_chunk_view(&call->in[X], chunk) : dy;
    ft_row_kernels_get()->norm_apply(dy.n, dy.c, x.p, x.ld, dy.p, dy.ld, dx.p, dx.ld, relu_scale(w),
                                     relu_shift(w), w->a, w->b, w->d, call->beta[X]);
}

static void backward(const ft_call *call) {
    work w = start(call, &call->dout[0]);
    int64_t n_chunks = w.n_chunks;
    bool sums = call->training && call->din[X].p;
    for (int i = GAMMA; i < N_INPUTS; i++) sums |= call->din[i].p != NULL;
    if (!sums) w.n_chunks = 0;
    ft_par_for(w.n_chunks, sums_chunk, &w);
    ft_par_for(ft_ceil_div(w.c, BLOCK), merge_sums, &w);
    if (call->din[X].p) ft_par_for(n_chunks, dx_chunk, &w);
}

/* ---- the op ---- */

static ft_err shape(const ft_build *b, ft_shape out[], ft_mem *mem) {
    static const char *const names[N_INPUTS] = {"x", "gamma", "beta", "the moving mean",
                                                "the moving variance"};
    const ft_batchnorm_args *args = b->args;
    FT_REQUIRE(b->n_in == N_INPUTS, GRAPH, "batch normalisation takes %d inputs, not %d", N_INPUTS, b->n_in);
    FT_REQUIRE(args->epsilon > 0 && isfinite(args->epsilon), GRAPH,
               "epsilon must be a positive number, not %g", args->epsilon);
    FT_REQUIRE(args->momentum >= 0 && args->momentum <= 1, GRAPH, "momentum must lie in 0 .. 1, not at %g",
               args->momentum);
    int32_t c = b->in[X].c;
    for (int i = GAMMA; i < N_INPUTS; i++) {
        ft_shape s = b->in[i];
        bool absent = s.c == 0 && i < MEAN;
        FT_REQUIRE(absent || ft_shape_equal(s, (ft_shape){1, 1, 1, c}), GRAPH,
                   "%s must have one number for each of %d channels, not the shape (%d, %d, %d, %d)",
                   names[i], c, s.n, s.h, s.w, s.c);
    }
    int64_t n_chunks = c > 0 ? ft_ceil_div(ft_shape_rows(b->in[X]), ft_par_rows(c)) : 0;
    mem->saved = N_SAVED * (size_t)c * sizeof(ft_real);
    mem->forward_scratch = (3 * (size_t)c + ft_moments_size(n_chunks, c)) * sizeof(ft_real);
    mem->backward_scratch = (3 + 2 * (size_t)n_chunks) * (size_t)c * sizeof(ft_real);
    return ft_shape_like_input(b, out, mem);
}

static const ft_batchnorm_args keras = {.epsilon = 1e-3, .momentum = 0.99};
static const ft_batchnorm_args torch = {.epsilon = 1e-5, .momentum = 0.9, .unbiased = 1};

#define VEC(c) \
    { 1, 1, 1, c }
#define FILLS \
    { FT_FILL_NORMAL, FT_FILL_POSITIVE, FT_FILL_NORMAL, FT_FILL_NORMAL, FT_FILL_POSITIVE }
static const ft_case cases[] = {
    {"gamma and beta", .in = {{3, 5, 7, 3}, VEC(3), VEC(3), VEC(3), VEC(3)}, .args = &keras, .fill = FILLS},
    {"beta, as Inception has it", .in = {{2, 4, 9, 17}, {0}, VEC(17), VEC(17), VEC(17)}, .args = &keras,
     .fill = FILLS},
    {"gamma, unbiased", .in = {{2, 7, 3, 48}, VEC(48), {0}, VEC(48), VEC(48)}, .args = &torch, .fill = FILLS},
    {"neither, 1x1 maps", .in = {{6, 1, 1, 20}, {0}, {0}, VEC(20), VEC(20)}, .args = &keras, .fill = FILLS},
    {"one row", .in = {{1, 1, 1, 5}, VEC(5), VEC(5), VEC(5), VEC(5)}, .args = &torch, .fill = FILLS},
    {"several chunks", .in = {{2, 31, 29, 19}, VEC(19), VEC(19), VEC(19), VEC(19)}, .args = &torch,
     .fill = FILLS},
    {"inference", .in = {{2, 5, 3, 17}, VEC(17), VEC(17), VEC(17), VEC(17)}, .args = &keras, .fill = FILLS,
     .infer = true},
    {"inference, beta", .in = {{1, 3, 5, 3}, {0}, VEC(3), VEC(3), VEC(3)}, .args = &torch, .fill = FILLS,
     .infer = true},
    {"Inception 35x35", .in = {{4, 35, 35, 288}, {0}, VEC(288), VEC(288), VEC(288)}, .args = &keras,
     .fill = FILLS, .large = true},
    {0},
};

const ft_op ft_op_batchnorm = {
    .name = "batch_normalization",
    .n_in = N_INPUTS,
    .n_out = 1,
    .args_size = sizeof(ft_batchnorm_args),
    .flags = FT_STATEFUL | FT_DIN_OVER_DOUT | FT_RELU_AFTER | FT_DEFERS | FT_TAKES_MOMENTS,
    .needs = {FT_IN(X) | FT_IN(GAMMA) | FT_SAVED, FT_IN(X) | FT_SAVED, 0, FT_IN(GAMMA) | FT_SAVED,
              FT_IN(X) | FT_IN(GAMMA) | FT_SAVED},
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .remake = remake,
    .affine = affine,
    .cases = cases,
};

static ft_val vector(ft_graph *g, const char *node, const char *what, int32_t c, double value,
                     uint32_t flags) {
    char name[96];
    snprintf(name, sizeof name, "%s/%s", node, what);
    return ft_param_add(g, name, (ft_shape){1, 1, 1, c}, (ft_init){FT_INIT_CONSTANT, value}, flags);
}

ft_val ft_batchnorm(ft_graph *g, ft_val x, const ft_norm *o) {
    static const ft_norm defaults;
    if (!o) o = &defaults;
    if (ft_graph_status(g) != FT_OK) return (ft_val){0};
    char node[64];
    ft_graph_next_name(g, &ft_op_batchnorm, o->name, node);
    int32_t c = ft_val_shape(g, x).c;
    if (c == 0) return ft_graph_fail(g, node, "the input is missing");
    ft_val in[N_INPUTS] = {x, FT_NONE, FT_NONE};
    if (o->scale) in[GAMMA] = vector(g, node, "gamma", c, 1, FT_TRAINABLE);
    if (!o->no_center) in[BETA] = vector(g, node, "beta", c, 0, FT_TRAINABLE);
    in[MEAN] = vector(g, node, "moving_mean", c, 0, 0);
    in[VARIANCE] = vector(g, node, "moving_variance", c, 1, 0);
    ft_batchnorm_args args = {.epsilon = o->epsilon == 0 ? 1e-3 : (double)o->epsilon,
                              .momentum = o->momentum == 0 ? 0.99 : (double)o->momentum,
                              .unbiased = o->unbiased};
    return ft_apply(g, &ft_op_batchnorm, o->name, &args, N_INPUTS, in);
}

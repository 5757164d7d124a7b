/* Channel scaling: y(i, p, k) = x(i, p, k) * s(i, k) for every pixel p of image i (squeeze and excitation, Hu
 * et al., arXiv 1709.01507).
 *
 *     dx = dy * s,  ds(i, k) = sum over p of dy(i, p, k) * x(i, p, k)
 *
 * The gradient of x reads s, that of s reads x. An image's rows are cut into chunks of its own; ds adds their
 * sums in order, in double.
 */
#include "layers/layers.h"
#include "layers/rowwise.h"
#include "tensor/kernels.h"

#include <string.h>

/* zeros: c numbers. partial: [n_images * per_image][2][c], of which the second is the sum of dy * x. */
typedef struct work {
    const ft_call *call;
    int32_t c;
    int64_t pixels, per_image; /* rows and chunks of one image */
    ft_real *zeros, *partial;
} work;

static work start(const ft_call *call, const ft_view *like) {
    int64_t pixels = (int64_t)like->h * like->w;
    ft_real *zeros = call->scratch;
    memset(zeros, 0, (size_t)like->c * sizeof *zeros);
    return (work){.call = call,
                  .c = like->c,
                  .pixels = pixels,
                  .per_image = ft_ceil_div(pixels, ft_par_rows(like->c)),
                  .zeros = zeros,
                  .partial = zeros + like->c};
}

/* The rows of v in one chunk, as n pixels of 1 x 1. */
static ft_view rows_of(const work *w, const ft_view *v, int64_t chunk) {
    int64_t image = chunk / w->per_image, first = chunk % w->per_image * ft_par_rows(w->c);
    int64_t left = w->pixels - first, rows = ft_par_rows(w->c);
    return (ft_view){.p = v->p + (image * w->pixels + first) * v->ld,
                     .n = (int32_t)(left < rows ? left : rows),
                     .h = 1,
                     .w = 1,
                     .c = v->c,
                     .ld = v->ld};
}

static const ft_real *factors(const work *w, int64_t chunk) {
    return w->call->in[1].p + chunk / w->per_image * w->call->in[1].ld;
}

static void forward_chunk(void *ctx, int64_t chunk, int32_t thread) {
    const work *w = ctx;
    (void)thread;
    ft_view x = rows_of(w, &w->call->in[0], chunk), y = rows_of(w, &w->call->out[0], chunk);
    ft_row_kernels_get()->affine(x.n, x.c, x.p, x.ld, y.p, y.ld, factors(w, chunk), w->zeros, false, false);
}

static void forward(const ft_call *call) {
    work w = start(call, &call->in[0]);
    ft_par_for(call->in[0].n * w.per_image, forward_chunk, &w);
}

/* First the sums, then dx, which may lie over dy. */
static void backward_chunk(void *ctx, int64_t chunk, int32_t thread) {
    const work *w = ctx;
    const ft_call *call = w->call;
    (void)thread;
    const ft_row_kernels *kernels = ft_row_kernels_get();
    ft_view dy = rows_of(w, &call->dout[0], chunk);
    if (call->din[1].p) {
        ft_view x = rows_of(w, &call->in[0], chunk);
        ft_real *sums = w->partial + 2 * chunk * w->c;
        kernels->norm_sums(x.n, x.c, x.p, x.ld, dy.p, dy.ld, NULL, NULL, w->zeros, sums, sums + w->c);
    }
    if (call->din[0].p) {
        ft_view dx = rows_of(w, &call->din[0], chunk);
        kernels->norm_apply(dy.n, dy.c, dy.p, dy.ld, dy.p, dy.ld, dx.p, dx.ld, NULL, NULL, factors(w, chunk),
                            w->zeros, w->zeros, call->beta[0]);
    }
}

static void merge_image(void *ctx, int64_t image, int32_t thread) {
    const work *w = ctx;
    (void)thread;
    ft_real *ds = w->call->din[1].p + image * w->call->din[1].ld, beta = w->call->beta[1];
    const ft_real *sums = w->partial + (2 * image * w->per_image + 1) * w->c;
    for (int32_t k = 0; k < w->c; k++) {
        double sum = 0;
        for (int64_t i = 0; i < w->per_image; i++) sum += (double)sums[2 * i * w->c + k];
        ds[k] = beta != 0 ? beta * ds[k] + (ft_real)sum : (ft_real)sum;
    }
}

static void backward(const ft_call *call) {
    work w = start(call, &call->dout[0]);
    if (!call->din[0].p && !call->din[1].p) return;
    ft_par_for(call->dout[0].n * w.per_image, backward_chunk, &w);
    if (call->din[1].p) ft_par_for(call->dout[0].n, merge_image, &w);
}

static ft_err shape(const ft_build *b, ft_shape out[], ft_mem *mem) {
    ft_shape x = b->in[0], s = b->n_in > 1 ? b->in[1] : (ft_shape){0};
    FT_REQUIRE(ft_shape_equal(s, (ft_shape){x.n, 1, 1, x.c}), GRAPH,
               "the factors must have the shape (%d, 1, 1, %d), not (%d, %d, %d, %d)", x.n, x.c, s.n, s.h,
               s.w, s.c);
    FT_TRY(ft_shape_like_input(b, out, mem));
    size_t c = (size_t)x.c, n_chunks = (size_t)(x.n * ft_ceil_div((int64_t)x.h * x.w, ft_par_rows(x.c)));
    mem->forward_scratch = c * sizeof(ft_real);
    mem->backward_scratch = (1 + 2 * n_chunks) * c * sizeof(ft_real);
    return FT_OK;
}

static const ft_case cases[] = {
    {"3 channels", .in = {{2, 5, 7, 3}, {2, 1, 1, 3}}},
    {"17 channels", .in = {{3, 4, 9, 17}, {3, 1, 1, 17}}},
    {"48 channels, batch 1", .in = {{1, 7, 3, 48}, {1, 1, 1, 48}}},
    {"1x1 map", .in = {{5, 1, 1, 11}, {5, 1, 1, 11}}},
    {"several chunks an image", .in = {{2, 31, 29, 37}, {2, 1, 1, 37}}},
    {"Inception 17x17", .in = {{4, 17, 17, 768}, {4, 1, 1, 768}}, .large = true},
    {0},
};

const ft_op ft_op_mul_channel = {
    .name = "mul_channel",
    .n_in = 2,
    .n_out = 1,
    .flags = FT_LINEAR | FT_DIN_OVER_DOUT,
    .needs = {FT_IN(1), FT_IN(0)},
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .cases = cases,
};

ft_val ft_mul_channel(ft_graph *g, ft_val x, ft_val s, const char *name) {
    return ft_apply(g, &ft_op_mul_channel, name, NULL, 2, (ft_val[]){x, s});
}

/* Global average pooling: (n,h,w,c) -> (n,1,1,c), y(i) = 1/(h*w) * sum of the pixels of image i.
 *
 *     dx(i, pixel) = dy(i) / (h*w)
 *
 * Backward reads nothing. The pixels of an image are summed in double, chunk by chunk, and the chunks in
 * their order.
 */
#include "layers/layers.h"
#include "tensor/kernels.h"
#include "tensor/par.h"

#include <string.h>

static int64_t chunks_per_image(int32_t h, int32_t w, int32_t c) {
    return ft_ceil_div((int64_t)h * w, ft_par_rows(c));
}

/* The sum of one chunk of one image, to its c numbers of scratch. */
static void sum_chunk(void *ctx, int64_t chunk, int32_t thread) {
    const ft_call *call = ctx;
    const ft_view *x = call->in;
    (void)thread;
    int64_t pixels = (int64_t)x->h * x->w, chunks = chunks_per_image(x->h, x->w, x->c);
    int64_t from = chunk % chunks * ft_par_rows(x->c), to = from + ft_par_rows(x->c);
    const ft_real *image = x->p + chunk / chunks * pixels * x->ld;
    double *restrict sum = (double *)call->scratch + chunk * x->c;
    memset(sum, 0, (size_t)x->c * sizeof *sum);
    for (int64_t r = from; r < (to < pixels ? to : pixels); r++)
        for (int32_t k = 0; k < x->c; k++) sum[k] += (double)image[r * x->ld + k];
}

static void forward(const ft_call *call) {
    const ft_view *x = call->in, *y = call->out;
    int64_t chunks = chunks_per_image(x->h, x->w, x->c);
    ft_par_for(x->n * chunks, sum_chunk, (void *)call);
    double share = 1 / ((double)x->h * x->w);
    for (int64_t i = 0; i < x->n; i++) {
        double *total = (double *)call->scratch + i * chunks * x->c;
        for (int64_t j = 1; j < chunks; j++)
            for (int32_t k = 0; k < x->c; k++) total[k] += total[j * x->c + k];
        for (int32_t k = 0; k < x->c; k++) y->p[i * y->ld + k] = (ft_real)(total[k] * share);
    }
}

static void spread_chunk(void *ctx, int64_t chunk, int32_t thread) {
    const ft_call *call = ctx;
    const ft_view *dy = call->dout, *dx = call->din;
    const ft_row_kernels *kernels = ft_row_kernels_get();
    (void)thread;
    int64_t pixels = (int64_t)dx->h * dx->w, rows = ft_rows(dx);
    int64_t from = chunk * ft_par_rows(dx->c), to = from + ft_par_rows(dx->c);
    ft_real share = 1 / (ft_real)pixels;
    for (int64_t r = from; r < (to < rows ? to : rows); r++)
        kernels->add(1, dx->c, share, dy->p + r / pixels * dy->ld, dy->ld, dx->p + r * dx->ld, dx->ld,
                     call->beta[0]);
}

static void backward(const ft_call *call) {
    const ft_view *dx = call->din;
    if (dx->p) ft_par_for(ft_ceil_div(ft_rows(dx), ft_par_rows(dx->c)), spread_chunk, (void *)call);
}

static ft_err shape(const ft_build *b, ft_shape out[], ft_mem *mem) {
    ft_shape x = b->in[0];
    FT_REQUIRE(x.c > 0, GRAPH, "the input is missing");
    out[0] = (ft_shape){x.n, 1, 1, x.c};
    mem->forward_scratch = (size_t)(x.n * chunks_per_image(x.h, x.w, x.c) * x.c) * sizeof(double);
    return FT_OK;
}

static const ft_case cases[] = {
    {"17 channels", .in = {{3, 5, 7, 17}}},
    {"48 channels, batch 1", .in = {{1, 4, 3, 48}}},
    {"one pixel", .in = {{2, 1, 1, 3}}},
    {"one channel, two chunks", .in = {{2, 131, 129, 1}}},
    {"Inception 8x8", .in = {{4, 8, 8, 2048}}, .large = true},
    {"Inception 35x35", .in = {{4, 35, 35, 288}}, .large = true},
    {0},
};

const ft_op ft_op_global_avgpool = {
    .name = "global_avgpool",
    .n_in = 1,
    .n_out = 1,
    .flags = FT_LINEAR,
    .needs = {0},
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .cases = cases,
};

ft_val ft_global_avgpool(ft_graph *g, ft_val x, const char *name) {
    return ft_apply(g, &ft_op_global_avgpool, name, NULL, 1, &x);
}

/* Flatten: (n,h,w,c) -> (n,1,1,h*w*c), the numbers of an image in their order (row, column, channel).
 *
 *     dx = dy, reshaped
 *
 * Backward reads nothing.
 */
#include "layers/layers.h"
#include "layers/rowwise.h"
#include "tensor/kernels.h"

/* Row r of the image matrix v (n,h,w,c), in the flat one (n,1,1,h*w*c). */
static ft_real *flat_row(const ft_view *flat, const ft_view *v, int64_t r) {
    int64_t pixels = (int64_t)v->h * v->w;
    return flat->p + r / pixels * flat->ld + r % pixels * v->c;
}

static void forward_chunk(void *ctx, int64_t chunk, int32_t thread) {
    const ft_call *call = ctx;
    const ft_row_kernels *kernels = ft_row_kernels_get();
    (void)thread;
    ft_view x = ft_chunk_view(&call->in[0], chunk);
    int64_t first = ft_chunk_row(chunk, x.c);
    for (int64_t r = 0; r < x.n; r++)
        kernels->add(1, x.c, 1, x.p + r * x.ld, x.ld, flat_row(&call->out[0], &call->in[0], first + r), x.c,
                     0);
}

static void backward_chunk(void *ctx, int64_t chunk, int32_t thread) {
    const ft_call *call = ctx;
    const ft_row_kernels *kernels = ft_row_kernels_get();
    (void)thread;
    ft_view dx = ft_chunk_view(&call->din[0], chunk);
    int64_t first = ft_chunk_row(chunk, dx.c);
    for (int64_t r = 0; r < dx.n; r++)
        kernels->add(1, dx.c, 1, flat_row(&call->dout[0], &call->din[0], first + r), dx.c, dx.p + r * dx.ld,
                     dx.ld, call->beta[0]);
}

static void forward(const ft_call *call) {
    ft_par_chunks(call, &call->in[0], forward_chunk);
}

static void backward(const ft_call *call) {
    if (call->din[0].p) ft_par_chunks(call, &call->din[0], backward_chunk);
}

static ft_err shape(const ft_build *b, ft_shape out[], ft_mem *mem) {
    (void)mem;
    ft_shape x = b->in[0];
    FT_REQUIRE(x.c > 0, GRAPH, "the input is missing");
    int64_t size = ft_shape_size((ft_shape){1, x.h, x.w, x.c});
    FT_REQUIRE(size <= INT32_MAX, GRAPH, "an image of %d x %d x %d numbers is too large to flatten", x.h, x.w,
               x.c);
    out[0] = (ft_shape){x.n, 1, 1, (int32_t)size};
    return FT_OK;
}

static const ft_case cases[] = {
    {"17 channels", .in = {{3, 5, 2, 17}}},
    {"3 channels, batch 1", .in = {{1, 4, 7, 3}}},
    {"one channel", .in = {{4, 5, 7, 1}}},
    {"a vector", .in = {{2, 1, 1, 48}}},
    {"Inception 8x8", .in = {{4, 8, 8, 2048}}, .large = true},
    {0},
};

const ft_op ft_op_flatten = {
    .name = "flatten",
    .n_in = 1,
    .n_out = 1,
    .flags = FT_LINEAR,
    .needs = {0},
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .cases = cases,
};

ft_val ft_flatten(ft_graph *g, ft_val x, const char *name) {
    return ft_apply(g, &ft_op_flatten, name, NULL, 1, &x);
}

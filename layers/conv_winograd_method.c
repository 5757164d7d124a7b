/* Convolution by Winograd, as a method (conv_method.h): the passes of conv_winograd.h set up for one group.
 *
 * The input gradient is the same correlation of dy with the reversed kernel, channels exchanged, behind
 * kernel - 1 - padding rows of zeros. In steps of 2 it makes two outputs from each of dy and the one before.
 */
#include "layers/conv_method.h"
#include "layers/conv_winograd.h"

#include <string.h>

static ft_winograd_grid output_grid(const ft_conv_group *g, int32_t n) {
    return ft_winograd_grid_make(&g->args->win, &g->geo, false, n, g->x.n, g->geo.oh, g->geo.ow);
}
static ft_winograd_grid input_grid(const ft_conv_group *g, int32_t n) {
    return ft_winograd_grid_make(&g->args->win, &g->geo, true, n, g->x.n, g->x.h, g->x.w);
}

static size_t prepared_size(const ft_conv_group *g) {
    ft_winograd_grid grid = output_grid(g, g->x.n);
    return ft_winograd_packed_size(&grid, g->cin, g->cout);
}

/* Zeros to read for what lies outside the image, before everything else. */
static int32_t zeros_size(const ft_conv_group *g) {
    return g->cin > g->cout ? g->cin : g->cout;
}
static ft_real *clear_zeros(const ft_conv_group *g) {
    memset(g->scratch, 0, (size_t)zeros_size(g) * sizeof *g->scratch);
    return g->scratch + zeros_size(g);
}

static size_t scratch_size(const ft_conv_group *g, ft_conv_pass pass) {
    ft_winograd_grid out = output_grid(g, g->x.n), in = input_grid(g, g->x.n);
    size_t zeros = (size_t)zeros_size(g);
    switch (pass) {
    case FT_CONV_FORWARD:
        return zeros + ft_winograd_scratch(&out, g->cin, g->cout, g->lanes);
    case FT_CONV_INPUT_GRADIENT:
        return zeros + ft_winograd_packed_size(&in, g->cout, g->cin) +
               ft_winograd_scratch(&in, g->cout, g->cin, g->lanes);
    default:
        return zeros + ft_winograd_wgrad_scratch(&out, g->cin, g->cout, g->lanes);
    }
}

static int64_t moment_chunks(const ft_conv_group *g) {
    ft_winograd_grid out = output_grid(g, g->x.n);
    return ft_winograd_chunks(&out);
}

static void prepare(const ft_conv_group *g, ft_real *prepared) {
    ft_winograd_grid grid = output_grid(g, g->x.n);
    ft_winograd_pack(prepared, g->w, &grid, g->cin, g->cout, g->ldw, false);
}

/* The prologue of the group's own channels; false: there is none. */
static bool start_of(const ft_conv_group *g, const ft_epilogue *prologue, ft_winograd_start *start) {
    if (!prologue) return false;
    *start = (ft_winograd_start){g->scratch, prologue->scale + g->x_channel, prologue->shift + g->x_channel,
                                 prologue->relu};
    return true;
}

static void forward(const ft_conv_group *g, const ft_view *x, const ft_epilogue *prologue,
                    const ft_real *prepared, const ft_view *y, const ft_epilogue *epilogue) {
    ft_winograd_start start;
    ft_winograd_pass p = {.src = x,
                          .dst = y,
                          .grid = output_grid(g, y->n),
                          .top = g->geo.top,
                          .left = g->geo.left,
                          .src_channel = g->x_channel,
                          .kc = g->cin,
                          .start = start_of(g, prologue, &start) ? &start : NULL,
                          .dst_channel = g->y_channel,
                          .cols = g->cout,
                          .u = prepared,
                          .finish = {.scale = epilogue->scale,
                                     .shift = epilogue->shift,
                                     .relu = epilogue->relu},
                          .moments = g->moments,
                          .zeros = g->scratch,
                          .scratch = clear_zeros(g),
                          .lanes = g->lanes};
    ft_winograd_run(&p);
}

static void input_gradient(const ft_conv_group *g, const ft_view *dy, const ft_view *dx, ft_real beta) {
    ft_real *u = clear_zeros(g);
    bool strided = g->args->win.sh > 1; /* then the grid begins where the padding does */
    ft_winograd_pass p = {.src = dy,
                          .dst = dx,
                          .grid = input_grid(g, dx->n),
                          .top = strided ? 1 : g->args->win.kh - 1 - g->geo.top,
                          .left = strided ? 1 : g->args->win.kw - 1 - g->geo.left,
                          .src_channel = g->y_channel,
                          .kc = g->cout,
                          .dst_channel = g->x_channel,
                          .cols = g->cin,
                          .u = u,
                          .finish.accumulate = beta != 0,
                          .zeros = g->scratch,
                          .lanes = g->lanes};
    p.scratch = u + ft_winograd_packed_size(&p.grid, g->cout, g->cin);
    ft_winograd_pack(u, g->w, &p.grid, g->cout, g->cin, g->ldw, true);
    ft_winograd_run(&p);
}

static void weight_gradient(const ft_conv_group *g, const ft_view *x, const ft_epilogue *prologue,
                            const ft_view *dy, ft_real *dw, ft_real beta) {
    ft_winograd_start start;
    ft_winograd_wgrad p = {.x = x,
                           .dy = dy,
                           .grid = output_grid(g, dy->n),
                           .top = g->geo.top,
                           .left = g->geo.left,
                           .x_channel = g->x_channel,
                           .dy_channel = g->y_channel,
                           .rows = g->cin,
                           .cols = g->cout,
                           .start = start_of(g, prologue, &start) ? &start : NULL,
                           .zeros = g->scratch,
                           .dw = dw,
                           .ldw = g->ldw,
                           .beta = beta,
                           .scratch = clear_zeros(g),
                           .lanes = g->lanes};
    ft_winograd_wgrad_run(&p);
}

const ft_conv_method ft_conv_winograd = {
    .takes_prologue = true,
    .prepared_size = prepared_size,
    .scratch_size = scratch_size,
    .moment_chunks = moment_chunks,
    .prepare = prepare,
    .forward = forward,
    .input_gradient = input_gradient,
    .weight_gradient = weight_gradient,
};

/* The ways to compute a convolution. Each method has all three passes; an op picks one for each pass by
 * ft_conv_choose.
 */
#ifndef FACET_LAYERS_CONV_METHOD_H
#define FACET_LAYERS_CONV_METHOD_H

#include "layers/conv_algorithm.h"
#include "tensor/op.h"

/* One group of a convolution: kernel w [kh*kw][cin][ldw], of which cout columns, over channels x_channel on
 * of the input and y_channel on of the output. */
typedef struct ft_conv_group {
    const ft_conv_args *args;
    ft_geometry geo;
    ft_shape x; /* of the whole input, n as memory was sized for */
    int32_t cin, cout, x_channel, y_channel;
    const ft_real *w;
    int64_t ldw;
    int32_t lanes;
    ft_real *scratch;
    const ft_moments *moments; /* of the whole output, for forward to gather; or NULL */
} ft_conv_group;

static inline int32_t ft_conv_taps(const ft_conv_group *g) {
    return g->args->win.kh * g->args->win.kw;
}

typedef struct ft_conv_method {
    bool takes_prologue; /* else prologue, which is done to x on the way in, must be NULL. Its scale and shift
                            are those of the whole input */
    /* Elements of `prepared`, and of scratch for each pass; chunks of moments. Of g only what does not point.
     */
    size_t (*prepared_size)(const ft_conv_group *g);
    size_t (*scratch_size)(const ft_conv_group *g, ft_conv_pass pass);
    int64_t (*moment_chunks)(const ft_conv_group *g);
    /* What forward wants of the kernel. */
    void (*prepare)(const ft_conv_group *g, ft_real *prepared);
    /* y = epilogue(x * w), scale and shift being those of this group's first output channel on. */
    void (*forward)(const ft_conv_group *g, const ft_view *x, const ft_epilogue *prologue,
                    const ft_real *prepared, const ft_view *y, const ft_epilogue *epilogue);
    /* dx = beta dx + ... */
    void (*input_gradient)(const ft_conv_group *g, const ft_view *dy, const ft_view *dx, ft_real beta);
    /* dw [kh*kw][cin][ldw] = beta dw + ... */
    void (*weight_gradient)(const ft_conv_group *g, const ft_view *x, const ft_epilogue *prologue,
                            const ft_view *dy, ft_real *dw, ft_real beta);
} ft_conv_method;
extern const ft_conv_method ft_conv_direct, ft_conv_winograd;

#endif

/* The sum over the batch of what each row gives to one class: whose score an explanation (Grad-CAM) is about.
 *
 *     loss = sum_i z(i, class_i),  dz(i, k) = [k is class_i]
 *
 * A class of -1 leaves its row out; one that is not in -1 .. c-1 makes the loss NaN and its row's gradient 0.
 * Classes get no gradient. Backward reads the classes.
 */
#include "layers/args.h"

#include <math.h>

/* -1: none */
static int32_t class_of(const ft_view *classes, int64_t i, int32_t c) {
    ft_real k = classes->p[i * classes->ld];
    return k >= 0 && k < (ft_real)c ? (int32_t)k : -1;
}

static void forward(const ft_call *call) {
    const ft_view *z = &call->in[0], *classes = &call->in[1];
    double sum = 0;
    for (int64_t i = 0; i < z->n; i++) {
        int32_t k = class_of(classes, i, z->c);
        if (k >= 0)
            sum += (double)z->p[i * z->ld + k];
        else if (classes->p[i * classes->ld] != -1)
            sum = NAN;
    }
    call->out[0].p[0] = (ft_real)sum;
}

static void backward(const ft_call *call) {
    const ft_view *dz = &call->din[0], *classes = &call->in[1];
    if (!dz->p) return;
    for (int64_t i = 0; i < dz->n; i++) {
        ft_real *row = dz->p + i * dz->ld;
        int32_t class = class_of(classes, i, dz->c);
        for (int32_t k = 0; k < dz->c; k++)
            row[k] = (call->beta[0] != 0 ? row[k] : 0) + (k == class ? call->dout[0].p[0] : 0);
    }
}

static ft_err shape(const ft_build *b, ft_shape out[], ft_mem *mem) {
    ft_shape z = b->in[0], t = b->n_in > 1 ? b->in[1] : (ft_shape){0};
    (void)mem;
    FT_REQUIRE(z.h == 1 && z.w == 1 && z.c > 0, GRAPH,
               "takes scores of shape (n, 1, 1, c), not (%d, %d, %d, %d)", z.n, z.h, z.w, z.c);
    FT_REQUIRE(ft_shape_equal(t, (ft_shape){z.n, 1, 1, 1}), GRAPH,
               "classes of shape (%d, %d, %d, %d) do not fit scores of shape (%d, %d, %d, %d)", t.n, t.h, t.w,
               t.c, z.n, z.h, z.w, z.c);
    out[0] = (ft_shape){1, 1, 1, 1};
    return FT_OK;
}

static const ft_case cases[] = {
    {"3 classes", .in = {{17, 1, 1, 3}, {17, 1, 1, 1}}, .fill = {FT_FILL_NORMAL, FT_FILL_CLASS}},
    {"48 classes", .in = {{5, 1, 1, 48}, {5, 1, 1, 1}}, .fill = {FT_FILL_NORMAL, FT_FILL_CLASS}},
    {"batch 1", .in = {{1, 1, 1, 2}, {1, 1, 1, 1}}, .fill = {FT_FILL_NORMAL, FT_FILL_CLASS}},
    {"inference", .in = {{9, 1, 1, 5}, {9, 1, 1, 1}}, .fill = {FT_FILL_NORMAL, FT_FILL_CLASS}, .infer = true},
    {"ImageNet", .in = {{48, 1, 1, 1000}, {48, 1, 1, 1}}, .fill = {FT_FILL_NORMAL, FT_FILL_CLASS},
     .large = true},
    {0},
};

const ft_op ft_op_class_score = {
    .name = "class_score",
    .n_in = 2,
    .n_out = 1,
    .flags = FT_LOSS,
    .needs = {FT_IN(1), FT_NO_GRADIENT},
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .cases = cases,
};

ft_val ft_class_score(ft_graph *g, ft_val scores, ft_val classes, const char *name) {
    return ft_apply(g, &ft_op_class_score, name, NULL, 2, (ft_val[]){scores, classes});
}

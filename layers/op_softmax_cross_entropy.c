/* Softmax cross entropy, the mean over the batch; the numbers of
 * torch.nn.functional.cross_entropy(ignore_index=-1).
 *
 *     loss = 1/D * sum_i sum_k q_ik * (lse_i - z_ik),  lse_i = log sum_j exp z_ij
 *     q_ik = w_k * ((1-eps) * p_ik + eps/c),  p the labels, one-hot for class numbers, w the weights or 1
 *     D    = sum_i w_label(i) for class numbers, n for probabilities
 *     dz   = 1/D * (softmax(z)_ik * sum_j q_ij - q_ik)
 *
 * A label of -1 leaves its row out; when nothing is left the loss is 0. A class number that is not one of 0
 * .. c-1 makes the loss and every gradient NaN: a step cannot fail. Labels and weights get no gradient.
 * Backward reads dz, which forward saved.
 */
#include "layers/args.h"
#include "layers/rowwise.h"
#include "tensor/kernels.h"

#include <math.h>
#include <string.h>

typedef struct ce_pass {
    const ft_call *call;
    bool classes;            /* labels are class numbers, else probabilities */
    double smoothing, share; /* eps, 1/D */
    const ft_real *weights;  /* c numbers or NULL */
    double *row_loss;        /* n numbers */
} ce_pass;

enum { IGNORED = -1, INVALID = -2 };

static int32_t class_of(ft_real label, int32_t c) {
    if (label == -1) return IGNORED;
    if (!(label >= 0 && label < (ft_real)c)) return INVALID;
    int32_t k = (int32_t)label;
    return (ft_real)k == label ? k : INVALID;
}

/* D, summed in row order. */
static double denominator(const ce_pass *p) {
    const ft_view *labels = &p->call->in[1];
    int32_t c = p->call->in[0].c;
    double sum = 0;
    if (!p->classes) return labels->n;
    for (int64_t i = 0; i < labels->n; i++) {
        int32_t k = class_of(labels->p[i * labels->ld], c);
        if (k == INVALID) return NAN;
        if (k != IGNORED) sum += p->weights ? (double)p->weights[k] : 1;
    }
    return sum;
}

/* q_ik; class is the row's, label its probabilities. */
static double target(const ce_pass *p, int32_t class, const ft_real *label, int32_t k, int32_t c) {
    double given = p->classes ? k == class : (double)label[k];
    return (p->weights ? (double)p->weights[k] : 1) * ((1 - p->smoothing) * given + p->smoothing / c);
}

static void loss_row(const ce_pass *p, int64_t i) {
    const ft_view *logits = &p->call->in[0], *labels = &p->call->in[1];
    const ft_real *z = logits->p + i * logits->ld, *label = labels->p + i * labels->ld;
    ft_real *dz = p->call->saved ? (ft_real *)p->call->saved + i * logits->c : NULL;
    int32_t c = logits->c, class = p->classes ? class_of(*label, c) : 0;
    p->row_loss[i] = 0;
    if (class == IGNORED) {
        if (dz) memset(dz, 0, (size_t)c * sizeof *dz);
        return;
    }
    double max = (double)z[0], sum = 0, total = 0;
    for (int32_t k = 1; k < c; k++) max = (double)z[k] > max ? (double)z[k] : max;
    for (int32_t k = 0; k < c; k++) sum += exp((double)z[k] - max);
    double log_sum =
        log(sum); /* lse - max: the difference of z and max first keeps all digits of large logits */
    for (int32_t k = 0; k < c; k++) {
        double q = target(p, class, label, k, c);
        total += q;
        if (q != 0)
            p->row_loss[i] += q * (log_sum - ((double)z[k] - max)); /* a masked logit of -inf has no part */
    }
    for (int32_t k = 0; dz && k < c; k++) {
        double q = target(p, class, label, k, c);
        dz[k] = (ft_real)((exp((double)z[k] - max - log_sum) * total - q) * p->share);
    }
}

static void loss_chunk(void *ctx, int64_t chunk, int32_t thread) {
    const ce_pass *p = ctx;
    const ft_view *logits = &p->call->in[0];
    (void)thread;
    int64_t first = ft_chunk_row(chunk, logits->c), rows = ft_chunk_view(logits, chunk).n;
    for (int64_t i = first; i < first + rows; i++) loss_row(p, i);
}

static void forward(const ft_call *call) {
    const ft_softmax_ce_args *a = call->args;
    ce_pass p = {.call = call,
                 .classes = call->in[1].c == 1,
                 .smoothing = a->label_smoothing,
                 .weights = call->n_in > 2 ? call->in[2].p : NULL,
                 .row_loss = call->scratch};
    double d = denominator(&p), sum = 0;
    p.share = d == 0 ? 0 : 1 / d;
    ft_par_for(ft_chunk_count(&call->in[0]), loss_chunk, &p);
    for (int64_t i = 0; i < call->in[0].n; i++) sum += p.row_loss[i];
    call->out[0].p[0] = (ft_real)(sum * p.share);
}

static void backward(const ft_call *call) {
    const ft_view *dz = &call->din[0];
    if (!dz->p) return;
    ft_row_kernels_get()->add(dz->n, dz->c, call->dout[0].p[0], call->saved, dz->c, dz->p, dz->ld,
                              call->beta[0]);
}

static ft_err shape(const ft_build *b, ft_shape out[], ft_mem *mem) {
    const ft_softmax_ce_args *a = b->args;
    ft_shape z = b->in[0], t = b->n_in > 1 ? b->in[1] : (ft_shape){0};
    FT_REQUIRE(z.h == 1 && z.w == 1 && z.c > 1, GRAPH,
               "takes logits of shape (n, 1, 1, c) with c > 1, not (%d, %d, %d, %d)%s", z.n, z.h, z.w, z.c,
               z.c == 1 ? "; one logit calls for binary cross entropy" : "");
    FT_REQUIRE(
        t.n == z.n && t.h == 1 && t.w == 1 && (t.c == 1 || t.c == z.c), GRAPH,
        "labels of shape (%d, %d, %d, %d) do not fit logits of shape (%d, %d, %d, %d): class numbers are "
        "(n, 1, 1, 1), probabilities (n, 1, 1, %d)",
        t.n, t.h, t.w, t.c, z.n, z.h, z.w, z.c, z.c);
    if (b->n_in > 2 && b->in[2].c > 0) {
        ft_shape w = b->in[2];
        FT_REQUIRE(ft_shape_equal(w, (ft_shape){1, 1, 1, z.c}), GRAPH,
                   "class weights of shape (%d, %d, %d, %d) do not fit logits of shape (%d, %d, %d, %d)", w.n,
                   w.h, w.w, w.c, z.n, z.h, z.w, z.c);
    }
    FT_REQUIRE(a->label_smoothing >= 0 && a->label_smoothing <= 1, GRAPH,
               "label smoothing %g must be in 0 .. 1", a->label_smoothing);
    out[0] = (ft_shape){1, 1, 1, 1};
    mem->forward_scratch = (size_t)z.n * sizeof(double);
    if (b->training) mem->saved = (size_t)ft_shape_size(z) * sizeof(ft_real);
    return FT_OK;
}

#define SMOOTHING(eps)            \
    &(const ft_softmax_ce_args) { \
        eps                       \
    }
static const ft_case cases[] = {
    {"class numbers", .in = {{17, 1, 1, 3}, {17, 1, 1, 1}}, .args = SMOOTHING(0),
     .fill = {FT_FILL_NORMAL, FT_FILL_CLASS}},
    {"smoothing", .in = {{16, 1, 1, 17}, {16, 1, 1, 1}}, .args = SMOOTHING(0.1),
     .fill = {FT_FILL_NORMAL, FT_FILL_CLASS}},
    {"weights", .in = {{13, 1, 1, 5}, {13, 1, 1, 1}, {1, 1, 1, 5}}, .args = SMOOTHING(0),
     .fill = {FT_FILL_NORMAL, FT_FILL_CLASS, FT_FILL_POSITIVE}},
    {"weights and smoothing", .in = {{19, 1, 1, 7}, {19, 1, 1, 1}, {1, 1, 1, 7}}, .args = SMOOTHING(0.2),
     .fill = {FT_FILL_NORMAL, FT_FILL_CLASS, FT_FILL_POSITIVE}},
    {"probabilities", .in = {{5, 1, 1, 48}, {5, 1, 1, 48}}, .args = SMOOTHING(0),
     .fill = {FT_FILL_NORMAL, FT_FILL_SIMPLEX}},
    {"probabilities, weights and smoothing", .in = {{6, 1, 1, 17}, {6, 1, 1, 17}, {1, 1, 1, 17}},
     .args = SMOOTHING(0.1), .fill = {FT_FILL_NORMAL, FT_FILL_SIMPLEX, FT_FILL_POSITIVE}},
    {"batch 1, two classes", .in = {{1, 1, 1, 2}, {1, 1, 1, 1}}, .args = SMOOTHING(0),
     .fill = {FT_FILL_NORMAL, FT_FILL_CLASS}},
    {"inference", .in = {{9, 1, 1, 5}, {9, 1, 1, 1}}, .args = SMOOTHING(0.1),
     .fill = {FT_FILL_NORMAL, FT_FILL_CLASS}, .infer = true},
    {"ImageNet", .in = {{48, 1, 1, 1000}, {48, 1, 1, 1}}, .args = SMOOTHING(0.1),
     .fill = {FT_FILL_NORMAL, FT_FILL_CLASS}, .large = true},
    {0},
};

const ft_op ft_op_softmax_cross_entropy = {
    .name = "softmax_cross_entropy",
    .n_in = 3,
    .n_out = 1,
    .args_size = sizeof(ft_softmax_ce_args),
    .flags = FT_LOSS,
    .needs = {FT_SAVED, FT_NO_GRADIENT, FT_NO_GRADIENT},
    .shape = shape,
    .forward = forward,
    .backward = backward,
    .cases = cases,
};

ft_val ft_softmax_cross_entropy(ft_graph *g, ft_val logits, ft_val labels, const ft_softmax_ce_options *o) {
    static const ft_softmax_ce_options defaults;
    if (!o) o = &defaults;
    bool weighted = o->class_weights.id > 0;
    ft_softmax_ce_args a = {.label_smoothing = (double)o->label_smoothing};
    return ft_apply(g, &ft_op_softmax_cross_entropy, o->name, &a, weighted ? 3 : 2,
                    (ft_val[]){logits, labels, weighted ? o->class_weights : FT_NONE});
}

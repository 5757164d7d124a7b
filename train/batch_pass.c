#include "train/batch_pass.h"
#include "tensor/par.h"
#include "tensor/rng.h"
#include "train/finite.h"

#include <math.h>
#include <string.h>

/* Images [first, first + n) of a batch. */
typedef struct part {
    const ft_batch *b;
    int32_t first, n;
} part;

static int64_t count_right(const ft_run *r, const part *p) {
    ft_view logits = ft_plan_value(r->phase.plan, r->model->out.logits, p->n);
    int64_t right = 0;
    for (int32_t i = 0; i < p->n; i++)
        right += ft_argmax(logits.p + i * logits.ld, logits.c) == (int32_t)p->b->labels[p->first + i];
    return right;
}

static ft_err feed_images(const ft_run *r, const part *p) {
    const ft_phase *ph = &r->phase;
    ft_batch images = *p->b;
    images.n = p->n;
    images.index += p->first;
    if (images.x) images.x += p->first * ft_shape_size(ft_val_shape(r->model->g, r->model->input));
    return ft_batch_feed(&images, ph->features, r->state.progress.epoch, ph->plan,
                         ph->features ? ph->cut : r->model->input);
}

/* Class numbers, or, where images are mixed, probabilities. */
static void feed_labels(const ft_run *r, const part *p) {
    const ft_batch *b = p->b;
    ft_view to = ft_plan_value(r->phase.plan, r->labels, p->n);
    if (to.c == 1) {
        memcpy(to.p, b->labels + p->first, (size_t)p->n * sizeof *to.p);
        return;
    }
    for (int32_t i = 0; i < p->n; i++) {
        ft_real *row = to.p + i * to.ld;
        int32_t at = p->first + i, other = at > 0 ? at - 1 : b->n - 1;
        memset(row, 0, (size_t)to.c * sizeof *row);
        row[(int32_t)b->labels[at]] += (ft_real)b->share;
        row[(int32_t)b->labels[other]] += 1 - (ft_real)b->share;
    }
}

/* What the further heads are to learn. */
static void feed_heads(const ft_run *r, const part *p) {
    int32_t width = ft_dataset_target_width(r->ds), at = 0;
    for (int32_t k = 0; k < r->model->n_heads; k++) {
        const ft_head *h = &r->model->heads[k];
        ft_view to = ft_plan_value(r->phase.plan, r->head_labels[k], p->n);
        for (int32_t i = 0; i < p->n; i++)
            ft_head_label(h, p->b->targets + (int64_t)(p->first + i) * width + at, to.p + i * to.ld);
        at += to.c;
    }
}

/* Of the class and of the further heads, weighted; an auxiliary classifier's is not told. */
static double total_loss(const ft_run *r, int32_t n) {
    const ft_phase *ph = &r->phase;
    double loss = (double)ft_plan_value(ph->plan, ph->loss, n).p[0];
    for (int32_t k = 0; k < r->model->n_heads; k++)
        loss += r->model->heads[k].weight * (double)ft_plan_value(ph->plan, ph->head_losses[k], n).p[0];
    return loss;
}

/* The loss is none: says where that comes from. */
static ft_err blame(ft_run *r, int32_t n, uint64_t seed, double loss) {
    const ft_progress *p = &r->state.progress;
    char why[512];
    ft_finite_blame(r, n, seed);
    snprintf(why, sizeof why, "%s", ft_err_message());
    FT_FAIL(NUMERIC,
            "the loss is %s at step %lld (epoch %lld): %s; lower train.optimizer.lr, set train.clip.norm or "
            "train.non_finite",
            isnan(loss) ? "not a number" : "infinite", (long long)p->step + 1, (long long)p->epoch + 1, why);
}

/* share: of the gradient. Adds to *loss that of all images. */
static ft_err run_part(ft_run *r, const part *p, uint64_t seed, ft_real share, bool accumulate,
                       double *loss) {
    ft_phase *ph = &r->phase;
    FT_TRY(feed_images(r, p));
    feed_labels(r, p);
    feed_heads(r, p);
    ft_plan_forward(ph->plan, p->n, seed);
    double mean = total_loss(r, p->n);
    if (!isfinite(mean)) return blame(r, p->n, seed, mean);
    ft_plan_backward(ph->plan, share, accumulate);
    *loss += mean * p->n;
    return FT_OK;
}

/* What a part's mean gradient counts in that of the step, of a batch that may be one of several. */
static ft_real share_of(const ft_config *c, const part *p) {
    if (c->train.accumulate > 1) return (ft_real)p->n / (ft_real)c->train.batch;
    return p->n == p->b->n ? 1 : (ft_real)p->n / (ft_real)p->b->n;
}

ft_err ft_batch_pass(ft_run *r, const ft_batch *b, int32_t micro, int64_t *right) {
    const ft_phase *ph = &r->phase;
    ft_progress *p = &r->state.progress;
    int32_t parts = (int32_t)ft_ceil_div(b->n, ph->part);
    int64_t before = (p->step * ph->config.train.accumulate + micro) * ph->memory.parts, hits = 0;
    double loss = 0;
    for (int32_t k = 0; k < parts; k++) {
        int64_t first = (int64_t)b->n * k / parts, end = (int64_t)b->n * (k + 1) / parts;
        part images = {b, (int32_t)first, (int32_t)(end - first)};
        uint64_t seed = ft_rng_derive(ft_rng_derive_name(p->seed, "dropout"), (uint64_t)(before + k));
        FT_TRY(run_part(r, &images, seed, share_of(&ph->config, &images), micro + k > 0, &loss));
        hits += count_right(r, &images);
    }
    p->loss_sum += loss;
    p->loss_images += b->n;
    *right += hits;
    return FT_OK;
}

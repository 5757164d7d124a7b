/* Adam (arXiv 1412.6980): g' = g + lambda w; m = b1 m + (1 - b1) g'; v = b2 v + (1 - b2) g'^2;
 * w -= lr/(1 - b1^t) m / (sqrt(v)/sqrt(1 - b2^t) + eps).
 */
#include "optim/adam_core.h"

#include <tgmath.h>

void ft_adam_update(const ft_update *u, ft_real l2, ft_real keep) {
    const ft_hyper *h = u->hyper;
    const ft_real b1 = (ft_real)h->beta1, fresh1 = (ft_real)(1 - h->beta1);
    const ft_real b2 = (ft_real)h->beta2, fresh2 = (ft_real)(1 - h->beta2);
    const ft_real eps = (ft_real)h->epsilon;
    const ft_real lr = (ft_real)(h->lr / (1 - pow(h->beta1, (double)u->t)));
    const ft_real root = (ft_real)(1 / sqrt(1 - pow(h->beta2, (double)u->t)));
    ft_real *restrict w = u->w, *restrict m = u->slot[0], *restrict v = u->slot[1];
    const ft_real *restrict g = u->g;
    for (int64_t i = 0; i < u->n; i++) {
        ft_real kept = keep * w[i];
        ft_real grad = g[i] + l2 * kept;
        m[i] = b1 * m[i] + fresh1 * grad;
        v[i] = b2 * v[i] + fresh2 * grad * grad;
        w[i] = kept - lr * m[i] / (sqrt(v[i]) * root + eps);
    }
}

static void update(const ft_update *u) {
    ft_adam_update(u, (ft_real)u->hyper->weight_decay, 1);
}

const ft_optimizer ft_opt_adam = {.name = "adam",
                                  .n_slots = 2,
                                  .slot_names = {"mean", "mean_square"},
                                  .slot_init = {0, 0},
                                  .defaults = {.lr = 0.001, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-7},
                                  .update = update};

/* RMSProp in PyTorch's form: g' = g + lambda w; ms = rho ms + (1 - rho) g'^2; buf = mu buf + g' / (sqrt(ms) +
 * eps); w -= lr buf. Here epsilon is outside the root and lr outside the buffer; compare opt_rmsprop_tf.c.
 */
#include "optim/optim.h"

#include <tgmath.h>

static void update(const ft_update *u) {
    const ft_hyper *h = u->hyper;
    const ft_real lr = (ft_real)h->lr, mu = (ft_real)h->momentum, eps = (ft_real)h->epsilon;
    const ft_real rho = (ft_real)h->rho, fresh = (ft_real)(1 - h->rho), decay = (ft_real)h->weight_decay;
    ft_real *restrict w = u->w, *restrict ms = u->slot[0], *restrict buf = u->slot[1];
    const ft_real *restrict g = u->g;
    for (int64_t i = 0; i < u->n; i++) {
        ft_real grad = g[i] + decay * w[i];
        ms[i] = rho * ms[i] + fresh * grad * grad;
        buf[i] = mu * buf[i] + grad / (sqrt(ms[i]) + eps);
        w[i] -= lr * buf[i];
    }
}

const ft_optimizer ft_opt_rmsprop = {.name = "rmsprop",
                                     .n_slots = 2,
                                     .slot_names = {"mean_square", "momentum"},
                                     .slot_init = {0, 0},
                                     .defaults = {.lr = 0.001, .rho = 0.9, .epsilon = 1e-7},
                                     .update = update};

/* RMSProp in TensorFlow's form: g' = g + lambda w; ms = rho ms + (1 - rho) g'^2; mom = mu mom + lr g' /
 * sqrt(ms + eps); w -= mom. The mean square starts at one, which tames the first steps; a change of lr
 * reaches w through the momentum, not at once. With eps = 1 this is the optimiser of the Inception-v3 paper.
 */
#include "optim/optim.h"

#include <tgmath.h>

static void update(const ft_update *u) {
    const ft_hyper *h = u->hyper;
    const ft_real lr = (ft_real)h->lr, mu = (ft_real)h->momentum, eps = (ft_real)h->epsilon;
    const ft_real rho = (ft_real)h->rho, fresh = (ft_real)(1 - h->rho), decay = (ft_real)h->weight_decay;
    ft_real *restrict w = u->w, *restrict ms = u->slot[0], *restrict mom = u->slot[1];
    const ft_real *restrict g = u->g;
    for (int64_t i = 0; i < u->n; i++) {
        ft_real grad = g[i] + decay * w[i];
        ms[i] = rho * ms[i] + fresh * grad * grad;
        mom[i] = mu * mom[i] + lr * grad / sqrt(ms[i] + eps);
        w[i] -= mom[i];
    }
}

const ft_optimizer ft_opt_rmsprop_tf = {.name = "rmsprop_tf",
                                        .n_slots = 2,
                                        .slot_names = {"mean_square", "momentum"},
                                        .slot_init = {1, 0},
                                        .defaults = {.lr = 0.001, .rho = 0.9, .epsilon = 1e-10},
                                        .update = update};

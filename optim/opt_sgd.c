/* Stochastic gradient descent: g' = g + lambda w; buf = mu buf + g'; w -= lr (nesterov ? g' + mu buf : buf).
 *
 * The buffer starts at zero, so the first step leaves g' in it, as PyTorch's does.
 */
#include "optim/optim.h"

static void plain(const ft_update *u, ft_real lr, ft_real decay) {
    ft_real *restrict w = u->w;
    const ft_real *restrict g = u->g;
    for (int64_t i = 0; i < u->n; i++) w[i] -= lr * (g[i] + decay * w[i]);
}

static void heavy_ball(const ft_update *u, ft_real lr, ft_real mu, ft_real decay) {
    ft_real *restrict w = u->w, *restrict buf = u->slot[0];
    const ft_real *restrict g = u->g;
    for (int64_t i = 0; i < u->n; i++) {
        buf[i] = mu * buf[i] + (g[i] + decay * w[i]);
        w[i] -= lr * buf[i];
    }
}

static void nesterov(const ft_update *u, ft_real lr, ft_real mu, ft_real decay) {
    ft_real *restrict w = u->w, *restrict buf = u->slot[0];
    const ft_real *restrict g = u->g;
    for (int64_t i = 0; i < u->n; i++) {
        ft_real step = g[i] + decay * w[i];
        buf[i] = mu * buf[i] + step;
        w[i] -= lr * (step + mu * buf[i]);
    }
}

static void update(const ft_update *u) {
    const ft_real lr = (ft_real)u->hyper->lr, mu = (ft_real)u->hyper->momentum;
    const ft_real decay = (ft_real)u->hyper->weight_decay;
    if (u->hyper->momentum <= 0)
        plain(u, lr, decay);
    else if (u->hyper->nesterov)
        nesterov(u, lr, mu, decay);
    else
        heavy_ball(u, lr, mu, decay);
}

const ft_optimizer ft_opt_sgd = {.name = "sgd",
                                 .n_slots = 1,
                                 .slot_names = {"momentum"},
                                 .slot_init = {0},
                                 .defaults = {.lr = 0.01},
                                 .update = update};

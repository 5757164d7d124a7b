/* AdamW (arXiv 1711.05101): w *= 1 - lr lambda, then Adam's step with the bare gradient. */
#include "optim/adam_core.h"

static void update(const ft_update *u) {
    ft_adam_update(u, 0, (ft_real)(1 - u->hyper->lr * u->hyper->weight_decay));
}

const ft_optimizer ft_opt_adamw = {
    .name = "adamw",
    .n_slots = 2,
    .slot_names = {"mean", "mean_square"},
    .slot_init = {0, 0},
    .defaults = {.lr = 0.001, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-7, .weight_decay = 0.004},
    .update = update};

#include "optim/optim.h"

#include <string.h>

static const ft_optimizer *const optimizers[] = {&ft_opt_sgd, &ft_opt_rmsprop, &ft_opt_rmsprop_tf,
                                                 &ft_opt_adam, &ft_opt_adamw};
enum { N_OPTIMIZERS = sizeof optimizers / sizeof optimizers[0] };

const ft_optimizer *ft_optimizer_at(int32_t i) {
    return i >= 0 && i < N_OPTIMIZERS ? optimizers[i] : NULL;
}

const ft_optimizer *ft_optimizer_find(const char *name) {
    for (int32_t i = 0; i < N_OPTIMIZERS; i++)
        if (strcmp(optimizers[i]->name, name) == 0) return optimizers[i];
    return NULL;
}

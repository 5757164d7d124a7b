/* What adam and adamw share; they differ in where weight decay goes. */
#ifndef FACET_OPTIM_ADAM_CORE_H
#define FACET_OPTIM_ADAM_CORE_H

#include "optim/optim.h"

/* w *= keep; g' = g + l2 w; then Adam's bias-corrected step with g'. Slots: m, v. */
void ft_adam_update(const ft_update *u, ft_real l2, ft_real keep);

#endif

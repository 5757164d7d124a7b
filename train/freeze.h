/* What a configuration freezes, and at what rates the rest learns. */
#ifndef FACET_TRAIN_FREEZE_H
#define FACET_TRAIN_FREEZE_H

#include "train/config.h"
#include "train/model.h"

/* Freezes what model.freeze says and thaws all else: everything up to a node; the first layers in Keras's
 * numbering, as `for layer in model.layers[:n]: layer.trainable = False` does; nodes by patterns. A frozen
 * batch norm uses its running statistics and leaves them alone. FT_E_CONFIG names what matches nothing;
 * FT_E_MEMORY. */
ft_err ft_freeze(ft_model *m, const ft_config *c);

/* The factor of the learning rate that train.lr_multipliers gives a parameter: that of the last pattern that
 * matches its name or its node's; 1: none does. */
double ft_lr_multiplier(const ft_config *c, const ft_param *p);
/* FT_E_CONFIG: a pattern that no parameter and no node matches. */
ft_err ft_lr_multipliers_check(const ft_model *m, const ft_config *c);

#endif

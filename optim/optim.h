/* What an optimiser is: a constant descriptor, as an op is.
 *
 * A new optimiser is one file opt_<name>.c that defines `const ft_optimizer ft_opt_<name>`, and a row in
 * optim.c so that configurations can name it. Its state over a whole network, clipping and the parallel step
 * are in optim_state.h.
 */
#ifndef FACET_OPTIM_OPTIM_H
#define FACET_OPTIM_OPTIM_H

#include "tensor/view.h"

#include <stdbool.h>
#include <stdint.h>

enum { FT_MAX_SLOTS = 2 };

/* Every optimiser reads the fields that its formula names and ignores the others. */
typedef struct ft_hyper {
    double lr;           /* learning rate */
    double momentum;     /* mu */
    bool nesterov;       /* sgd only */
    double rho;          /* what rmsprop's mean square keeps at each step */
    double epsilon;      /* keeps the denominator from zero */
    double beta1, beta2; /* what adam's mean gradient and mean square keep at each step */
    double weight_decay; /* lambda, of a parameter that decays; 0 in the update of one that does not */
} ft_hyper;

/* A stretch of one parameter in one step. All arrays have n elements and none overlap. */
typedef struct ft_update {
    ft_real *w;                  /* weights, to be changed */
    const ft_real *g;            /* gradient, already scaled and clipped, without weight decay; finite */
    ft_real *slot[FT_MAX_SLOTS]; /* this optimiser's slots of the same stretch, to be changed */
    int64_t n;
    const ft_hyper *hyper; /* of this parameter: its own learning rate and weight decay */
    int64_t t;             /* number of this step, from 1 */
} ft_update;

typedef struct ft_optimizer {
    const char *name;
    int32_t n_slots; /* arrays of the parameter's size that it remembers between steps */
    const char *slot_names[FT_MAX_SLOTS];
    double slot_init[FT_MAX_SLOTS];
    ft_hyper defaults;
    /* Element i of the results depends on element i of the arrays alone. Called from several threads at once.
     */
    void (*update)(const ft_update *u);
} ft_optimizer;

/* g' = g + lambda w everywhere but in adamw. The formulas are PyTorch's unless said otherwise. */

/* buf = mu buf + g'; w -= lr buf, or with Nesterov lr (g' + mu buf). Dampening 0. */
extern const ft_optimizer ft_opt_sgd;
/* ms = rho ms + (1 - rho) g'^2; buf = mu buf + g' / (sqrt(ms) + eps); w -= lr buf. ms starts at 0; not
 * centred. */
extern const ft_optimizer ft_opt_rmsprop;
/* ms = rho ms + (1 - rho) g'^2; mom = mu mom + lr g' / sqrt(ms + eps); w -= mom. ms starts at 1. TensorFlow
 * 1's RMSPropOptimizer, with which Inception-v3 was trained (rho 0.9, mu 0.9, eps 1). */
extern const ft_optimizer ft_opt_rmsprop_tf;
/* m = b1 m + (1 - b1) g'; v = b2 v + (1 - b2) g'^2; w -= lr/(1 - b1^t) m / (sqrt(v/(1 - b2^t)) + eps).
 * Kingma and Ba, arXiv 1412.6980. */
extern const ft_optimizer ft_opt_adam;
/* w -= lr lambda w, then adam with g' = g. Loshchilov and Hutter, arXiv 1711.05101. */
extern const ft_optimizer ft_opt_adamw;

/* "sgd", "rmsprop", "rmsprop_tf", "adam", "adamw"; NULL when there is none of that name. */
const ft_optimizer *ft_optimizer_find(const char *name);
/* The i-th, or NULL past the last. */
const ft_optimizer *ft_optimizer_at(int32_t i);

#endif

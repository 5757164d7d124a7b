/* An optimiser at work on the parameters of a network: slots, step counter, clipping and the parallel step.
 *
 * Work is cut into fixed stretches of the parameters, so a step leaves the same bits for any number of
 * threads.
 */
#ifndef FACET_OPTIM_OPTIM_STATE_H
#define FACET_OPTIM_OPTIM_STATE_H

#include "optim/optim.h"
#include "tensor/error.h"

/* One trainable parameter; name and w are the caller's and outlive the state. */
typedef struct ft_optim_param {
    const char *name; /* for messages */
    ft_real *w;       /* n weights */
    int64_t n;
    bool decay; /* weight decay applies: by convention to kernels, not to biases and batch norm (FT_DECAY) */
    double lr_multiplier; /* times the learning rate; 1 for all alike */
} ft_optim_param;

typedef struct ft_optim_options {
    ft_hyper hyper; /* lr is not read: every step is given its own */
    /* Limits of the gradient, 0: off. Both may be set; value comes first, then norm. */
    double clip_value; /* each element into [-clip_value, clip_value] */
    double clip_norm;  /* whole gradient times min(1, clip_norm / (norm + 1e-6)), as
                          torch.nn.utils.clip_grad_norm_ */
} ft_optim_options;

typedef struct ft_optim_state ft_optim_state;

/* Copies params, takes memory for the slots and fills them with their starting values. FT_E_USAGE for no
 * parameters or hyper-parameters out of range, FT_E_MEMORY; then *out is NULL. */
ft_err ft_optim_new(const ft_optimizer *optimizer, const ft_optim_options *options, int32_t n_params,
                    const ft_optim_param params[], ft_optim_state **out);
void ft_optim_free(ft_optim_state *s); /* NULL is fine */

/* One step: every parameter i by the gradient grads[i] (params[i].n numbers, left as they are) times
 * grad_scale, with learning rate lr. grad_scale > 0 is 1 for the gradient of a mean loss, 1/k for the sum of
 * k of them (accumulation). *norm (may be NULL): the norm of the scaled gradient, after clipping by value and
 * before clipping by norm. FT_E_NUMERIC, naming the first such parameter, when a gradient has a NaN or an
 * infinity; FT_E_USAGE for an lr or grad_scale that is not finite or negative. On failure nothing at all has
 * changed, and the step does not count. Plans that prepared something of the weights must be told:
 * ft_graph_touch. */
ft_err ft_optim_step(ft_optim_state *s, const ft_real *const grads[], double lr, double grad_scale,
                     double *norm);

/* For checkpoints: with the weights, the steps done and every slot, a new state goes on with the same bits.
 */
const ft_optimizer *ft_optim_optimizer(const ft_optim_state *s);
int64_t ft_optim_steps(const ft_optim_state *s);
void ft_optim_set_steps(ft_optim_state *s, int64_t steps);
int32_t ft_optim_n_slots(const ft_optim_state *s);
/* Slot k of parameter i, params[i].n numbers, contiguous, 64-byte aligned; its name is
 * optimizer->slot_names[k]. */
ft_real *ft_optim_slot(ft_optim_state *s, int32_t i, int32_t k);

#endif

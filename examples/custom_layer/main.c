/* A network with a layer of one's own: op_swish.c is the whole layer; this file uses it in a small network
 * and trains that to tell apart points inside and outside a circle.
 */
#include "layers/layers.h"
#include "optim/optim_state.h"
#include "tensor/plan.h"
#include "tensor/rng.h"

#include <stdio.h>
#include <stdlib.h>

extern const ft_op ft_op_swish;
enum { BATCH = 64, STEPS = 400, MAX_PARAMS = 16 };

static ft_val swish(ft_graph *g, ft_val x) {
    return ft_apply(g, &ft_op_swish, NULL, NULL, 1, &x);
}

static ft_err train(ft_graph *g, ft_plan *plan, ft_val x, ft_val label, ft_val loss, ft_optim_state *optim,
                    const ft_real *const *grads) {
    ft_rng r = ft_rng_stream(1, 0);
    for (int step = 0; step < STEPS; step++) {
        ft_real *in = ft_plan_value(plan, x, BATCH).p, *out = ft_plan_value(plan, label, BATCH).p;
        for (int i = 0; i < BATCH; i++) {
            double u = 2 * ft_rng_uniform(&r) - 1, v = 2 * ft_rng_uniform(&r) - 1;
            in[2 * i] = (ft_real)u;
            in[2 * i + 1] = (ft_real)v;
            out[i] = u * u + v * v < 0.5 ? 1 : 0;
        }
        ft_plan_forward(plan, BATCH, (uint64_t)step);
        ft_plan_backward(plan, 1, false);
        FT_TRY(ft_optim_step(optim, grads, 0.02, 1, NULL));
        ft_graph_touch(g);
        if (step % 100 == 0 || step == STEPS - 1)
            printf("step %3d  loss %.4f\n", step, (double)ft_plan_value(plan, loss, BATCH).p[0]);
    }
    return FT_OK;
}

int main(void) {
    ft_graph *g = NULL;
    ft_plan *plan = NULL;
    ft_optim_state *optim = NULL;
    ft_optim_param params[MAX_PARAMS];
    const ft_real *grads[MAX_PARAMS];
    int32_t n = 0;
    ft_err e = ft_graph_new(&g);
    if (e == FT_OK) {
        ft_val x = ft_input(g, "point", (ft_shape){1, 1, 1, 2}),
               label = ft_input(g, "label", (ft_shape){1, 1, 1, 1});
        ft_val h = swish(g, ft_dense(g, x, &(ft_dense_options){.units = 16}));
        ft_val logits = ft_dense(g, swish(g, ft_dense(g, h, &(ft_dense_options){.units = 16})),
                                 &(ft_dense_options){.units = 2});
        ft_val loss = ft_softmax_cross_entropy(g, logits, label, NULL);
        ft_graph_init(g, 7);
        e = ft_compile(g,
                       &(ft_plan_spec){.batch = BATCH,
                                       .training = true,
                                       .n_losses = 1,
                                       .losses = {loss},
                                       .loss_weights = {1}},
                       &plan);
        for (int32_t i = 0; e == FT_OK && i < ft_graph_n_params(g); i++) {
            ft_param *p = ft_graph_param(g, i);
            params[n] = (ft_optim_param){.name = p->name,
                                         .w = p->p,
                                         .n = ft_shape_size(p->shape),
                                         .lr_multiplier = 1};
            grads[n++] = ft_plan_grad(plan, p);
        }
        if (e == FT_OK)
            e = ft_optim_new(&ft_opt_adam, &(ft_optim_options){.hyper = ft_opt_adam.defaults}, n, params,
                             &optim);
        if (e == FT_OK) e = train(g, plan, x, label, loss, optim, grads);
    }
    if (e != FT_OK) fprintf(stderr, "custom_layer: %s\n", ft_err_message());
    ft_optim_free(optim);
    ft_plan_free(plan);
    ft_graph_free(g);
    return ft_err_exit_status(e);
}

/* What is believed of a checkpoint, whatever the child that looks into it says. The file has room for a small
 * LeNet. */
#include "tests/fuzz/fuzz_child.h"
#include "train/checkpoint.h"

#include <math.h>

/* What a file can cause, and nothing else. */
static bool is_fine(ft_err e) {
    if (e != FT_OK && e != FT_E_WEIGHTS && e != FT_E_MEMORY) abort();
    return e == FT_OK;
}

static void add_param(ft_training_state *s, ft_param *p, ft_optim_param *optim, ft_ema_array *ema) {
    if (p->flags & FT_TRANSIENT) return;
    s->ema_params[s->n_ema_params] = p;
    ema[s->n_ema_params++] = (ft_ema_array){p->p, ft_shape_size(p->shape)};
    if (!(p->flags & FT_TRAINABLE)) return;
    s->optim_params[s->n_optim_params] = p;
    optim[s->n_optim_params++] =
        (ft_optim_param){.name = p->name, .w = p->p, .n = ft_shape_size(p->shape), .lr_multiplier = 1};
}

/* Goes on with the training of a model that has been read. */
static void resume(const char *path, ft_model *m) {
    enum { MOST = 64 };
    ft_param *optim_params[MOST], *ema_params[MOST];
    ft_optim_param optim[MOST];
    ft_ema_array ema[MOST];
    ft_training_state s = {.optim_params = optim_params, .ema_params = ema_params};
    if (ft_graph_n_params(m->g) > MOST) return;
    for (int32_t i = 0; i < ft_graph_n_params(m->g); i++) add_param(&s, ft_graph_param(m->g, i), optim, ema);
    const ft_optimizer *sgd = ft_optimizer_find("sgd");
    const ft_optim_options options = {.hyper = sgd->defaults};
    if (ft_optim_new(sgd, &options, s.n_optim_params, optim, &s.optim) != FT_OK) abort();
    if (ft_ema_new(0.99, s.n_ema_params, ema, &s.ema) != FT_OK) abort();
    if (is_fine(ft_checkpoint_resume(path, m, &s)) && (s.progress.batch < 0 || s.progress.step < 0)) abort();
    ft_optim_free(s.optim);
    ft_ema_free(s.ema);
}

static void check_weights(const ft_model *m) {
    for (int32_t i = 0; i < ft_graph_n_params(m->g); i++) {
        const ft_param *p = ft_graph_param(m->g, i);
        for (int64_t k = 0; k < ft_shape_size(p->shape); k++)
            if (!isfinite(p->p[k])) abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n) {
    const char *path = fuzz_answer_and_file("last.h5", p, n);
    if (!path) return -1;
    ft_model *m;
    ft_progress progress;
    if (is_fine(ft_checkpoint_read_model(path, &m)) != (m != NULL)) abort();
    if (m) {
        check_weights(m);
        resume(path, m);
    }
    ft_model_free(m);
    is_fine(ft_checkpoint_verify(path));
    is_fine(ft_checkpoint_read_progress(path, &progress));
    return 0;
}

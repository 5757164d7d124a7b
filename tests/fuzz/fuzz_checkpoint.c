/* Checkpoints, when the child that looks into them has been taken over: what it says of the file (as many
 * bytes as the first four say), and the file's first bytes. Checksums match: whoever makes the file makes
 * them. */
#include "tensor/child.h"
#include "tests/fuzz/fuzz_file.h"
#include "train/checkpoint.h"

#include <math.h>
#include <xxhash.h>

enum { FILE_BYTES = 1 << 16 }; /* the rest are zeros; they are enough for a small LeNet's weights */

static const uint8_t *answer;
static size_t n_answer;

/* The linker gives these names to the functions as their callers see them. */
ft_err __wrap_ft_child_run(const ft_child_task *task, FILE **result);
XXH64_hash_t __wrap_XXH3_64bits(const void *p, size_t n);
XXH64_hash_t __wrap_XXH3_64bits_digest(const XXH3_state_t *state);

ft_err __wrap_ft_child_run(const ft_child_task *task, FILE **result) {
    *result = NULL;
    if (n_answer == 0) return ft_err_set(task->broken, "%s: broke the library", task->what);
    *result = fmemopen((void *)(uintptr_t)answer, n_answer, "rb");
    if (!*result) abort();
    return FT_OK;
}
XXH64_hash_t __wrap_XXH3_64bits(const void *p, size_t n) {
    (void)p, (void)n;
    return 0;
}
XXH64_hash_t __wrap_XXH3_64bits_digest(const XXH3_state_t *state) {
    (void)state;
    return 0;
}

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
    uint32_t first;
    if (n < sizeof first) return -1;
    memcpy(&first, p, sizeof first);
    answer = p + sizeof first;
    n -= sizeof first;
    n_answer = first < n ? first : n;
    const char *path = fuzz_file("last.h5", answer + n_answer, n - n_answer);
    if (truncate(path, FILE_BYTES) != 0) abort();
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

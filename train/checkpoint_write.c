/* Writing checkpoints. */
#include "train/checkpoint_heads.h"
#include "train/checkpoint_layout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

static ft_err write_model(ft_h5 *f, const ft_model *m) {
    const int64_t version = FT_CHECKPOINT_VERSION;
    FT_TRY(ft_h5_set_string(f, "/", "format", FT_CHECKPOINT_FORMAT));
    FT_TRY(ft_h5_set_numbers(f, "/", "format_version", FT_H5_I64, 1, &version));
    FT_TRY(ft_h5_set_string(f, "/", "facet_version", FACET_VERSION));
    FT_TRY(ft_h5_set_string(f, "/", "arch", m->net->name));
    FT_TRY(ft_h5_set_string(f, "/", "resize", ft_resize_name(m->image.resize)));
    FT_TRY(ft_h5_set_string(f, "/", "normalize", ft_normalize_name(m->image.normalize)));
    FT_TRY(ft_fields_write(f, "/", ft_model_fields, m));
    if (m->config) FT_TRY(ft_h5_set_string(f, "/", "config", m->config));
    FT_TRY(ft_heads_write(f, m->n_heads, m->heads));
    return ft_h5_write_strings(f, "class_names", m->options.classes, (const char *const *)m->class_names);
}

static ft_err write_state(ft_h5 *f, const ft_training_state *s) {
    const int64_t steps = ft_optim_steps(s->optim);
    FT_TRY(ft_h5_group(f, "optimizer"));
    FT_TRY(ft_h5_set_string(f, "optimizer", "name", ft_optim_optimizer(s->optim)->name));
    FT_TRY(ft_h5_set_numbers(f, "optimizer", "steps", FT_H5_I64, 1, &steps));
    if (s->ema) {
        const int64_t updates = ft_ema_updates(s->ema);
        FT_TRY(ft_h5_group(f, "average"));
        FT_TRY(ft_h5_set_numbers(f, "average", "updates", FT_H5_I64, 1, &updates));
    }
    FT_TRY(ft_h5_group(f, "training"));
    return ft_fields_write(f, "training", ft_progress_fields, &s->progress);
}

typedef struct contents {
    const ft_model *m;
    const ft_training_state *state; /* NULL: none */
    ft_tensors tensors;
} contents;

static ft_err write_all(ft_h5 *f, const void *ctx) {
    const contents *c = ctx;
    FT_TRY(write_model(f, c->m));
    if (c->state) FT_TRY(write_state(f, c->state));
    for (int32_t i = 0; i < c->tensors.n; i++) {
        const ft_tensor *t = &c->tensors.at[i];
        FT_TRY(ft_h5_write_floats(f, t->path, t->rank, t->dims, t->p));
    }
    return FT_OK;
}

/* Is there room for a file of so many bytes beside the one at path? */
static ft_err check_space(const char *path, size_t bytes) {
    struct statvfs disk;
    char folder[4096];
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
    if (statvfs(*folder ? folder : "/", &disk) != 0) return FT_OK; /* opening the file will say why */
    double room = (double)disk.f_bavail * (double)disk.f_frsize;
    FT_REQUIRE((double)bytes <= room, IO,
               "cannot write '%s': it takes %.1f MB and the disk has %.1f MB left; make room, then go on "
               "with --resume",
               path, (double)bytes / 1e6, room / 1e6);
    return FT_OK;
}

ft_err ft_checkpoint_write(const char *path, const ft_model *m, const ft_training_state *state) {
    FT_REQUIRE(!state || !state->ema || !ft_ema_swapped(state->ema), USAGE,
               "cannot write '%s': the weights' average is swapped in; swap it back first", path);
    contents c = {.m = m, .state = state};
    FT_TRY(ft_tensors_list(m, state, false, &c.tensors));
    size_t bytes = 0;
    ft_err e = FT_OK;
    for (int32_t i = 0; e == FT_OK && i < c.tensors.n; i++) {
        e = ft_tensor_check(&c.tensors.at[i], path, FT_E_NUMERIC);
        bytes += (size_t)c.tensors.at[i].n * sizeof(float) + 512;
    }
    if (e == FT_OK) e = check_space(path, bytes);
    if (e == FT_OK) e = ft_h5_write(path, false, write_all, &c);
    free(c.tensors.at);
    return e;
}

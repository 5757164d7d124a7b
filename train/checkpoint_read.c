/* Reading checkpoints: a model, a resume point. */
#include "train/checkpoint_heads.h"
#include "train/checkpoint_match.h"
#include "train/h5_read.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A checkpoint being read. model has options, image, config and data_fingerprint; the rest of it is not used.
 */
typedef struct source {
    ft_h5_index *f;
    int64_t version; /* of the format */
    ft_model model;
    char *arch, **class_names;
} source;

static void close_source(source *s) {
    ft_h5_close(s->f);
    free(s->arch);
    free(s->model.config);
    free(s->class_names);
    ft_heads_free(s->model.n_heads, s->model.heads);
}

/* What is commonly given instead of a checkpoint. */
static ft_err look_at(const char *path) {
    static const unsigned char signature[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
    unsigned char start[8];
    struct stat st;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    FT_REQUIRE(fd >= 0, WEIGHTS, "cannot open the checkpoint '%s': %s; check the path", path,
               strerror(errno));
    bool regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    ssize_t got = regular ? read(fd, start, sizeof start) : 0;
    int error = errno;
    close(fd);
    FT_REQUIRE(regular, WEIGHTS, "'%s' is not a file: give the path of a checkpoint, such as best.h5", path);
    FT_REQUIRE(got >= 0, IO, "cannot read '%s': %s; check the disk", path, strerror(error));
    FT_REQUIRE(got > 0, WEIGHTS, "'%s' is not a Facet checkpoint: it is empty", path);
    FT_REQUIRE(got == sizeof start && memcmp(start, signature, sizeof start) == 0, WEIGHTS,
               "'%s' is not a Facet checkpoint: it is no HDF5 file, or its start is damaged", path);
    return FT_OK;
}

static ft_err check_format(const ft_h5_index *f, int64_t *out) {
    char *format = NULL;
    FT_REQUIRE(ft_h5_has_attribute(f, "/", "format"), WEIGHTS,
               "'%s' is not a Facet checkpoint: it is an HDF5 file of another program; weights of Keras or "
               "PyTorch are brought in by ft-model import",
               f->path);
    FT_TRY(ft_h5_get_string(f, "/", "format", &format));
    bool ours = strcmp(format, FT_CHECKPOINT_FORMAT) == 0;
    free(format);
    FT_REQUIRE(ours, WEIGHTS, "'%s' is not a Facet checkpoint: it is an HDF5 file of another format",
               f->path);
    int64_t version;
    FT_TRY(ft_h5_get_numbers(f, "/", "format_version", FT_H5_I64, 1, &version));
    *out = version;
    FT_REQUIRE(version <= FT_CHECKPOINT_VERSION, WEIGHTS,
               "'%s' has checkpoint format %lld, newer than the %d of this Facet " FACET_VERSION
               "; update Facet",
               f->path, (long long)version, FT_CHECKPOINT_VERSION);
    FT_REQUIRE(version >= 1, WEIGHTS, "'%s' has the checkpoint format %lld, which never was", f->path,
               (long long)version);
    return FT_OK;
}

static ft_err open_source(source *s, const char *path) {
    *s = (source){0};
    FT_TRY(look_at(path));
    FT_TRY(ft_h5_open(path, FT_E_WEIGHTS, &s->f));
    ft_err e = check_format(s->f, &s->version);
    if (e != FT_OK) close_source(s);
    return e;
}

static ft_err read_preprocess(source *s) {
    char *resize = NULL, *normalize = NULL;
    ft_err e = ft_h5_get_string(s->f, "/", "resize", &resize);
    if (e == FT_OK) e = ft_h5_get_string(s->f, "/", "normalize", &normalize);
    if (e == FT_OK) e = ft_resize_parse(resize, &s->model.image.resize);
    if (e == FT_OK) e = ft_normalize_parse(normalize, &s->model.image.normalize);
    if (e == FT_OK) e = ft_preprocess_check(&s->model.image);
    free(resize);
    free(normalize);
    return e == FT_E_CONFIG ? ft_err_prefix(FT_E_WEIGHTS, "'%s'", s->f->path) : e;
}

static ft_err read_header(source *s) {
    FT_TRY(ft_h5_get_string(s->f, "/", "arch", &s->arch));
    FT_TRY(ft_fields_read(s->f, "/", ft_model_fields, s->version, &s->model));
    FT_TRY(read_preprocess(s));
    if (ft_h5_has_attribute(s->f, "/", "config"))
        FT_TRY(ft_h5_get_string(s->f, "/", "config", &s->model.config));
    if (s->version >= 3) FT_TRY(ft_heads_read(s->f, &s->model.n_heads, &s->model.heads));
    return ft_h5_read_strings(s->f, "class_names", s->model.options.classes, &s->class_names);
}

static ft_err read_weights(source *s, ft_model *m, ft_training_state *state) {
    ft_tensors tensors;
    FT_TRY(ft_tensors_list(m, state, !state, &tensors));
    ft_err e = ft_tensors_read(s->f, &tensors, state != NULL);
    free(tensors.at);
    ft_graph_touch(m->g);
    return e;
}

static ft_err read_model(source *s, ft_model **out) {
    FT_TRY(read_header(s));
    s->model.options.most_numbers = s->f->size / (int64_t)sizeof(float); /* not to take gigabytes for a lie */
    ft_err e =
        ft_model_new(s->arch, &s->model.options, &s->model.image, (const char *const *)s->class_names, out);
    for (int32_t k = 0; k < s->model.n_heads && e == FT_OK; k++)
        e = ft_model_add_head(*out, &s->model.heads[k]);
    if (e == FT_E_GRAPH || e == FT_E_DATA) return ft_err_prefix(FT_E_WEIGHTS, "'%s'", s->f->path);
    FT_TRY(e);
    ft_graph_limit_params((*out)->g, (*out)->options.most_numbers = 0);
    (*out)->config = s->model.config;
    s->model.config = NULL;
    (*out)->data_fingerprint = s->model.data_fingerprint;
    return read_weights(s, *out, NULL);
}

ft_err ft_checkpoint_read_model(const char *path, ft_model **out) {
    *out = NULL;
    source s;
    FT_TRY(open_source(&s, path));
    ft_err e = read_model(&s, out);
    if (e != FT_OK) {
        ft_model_free(*out);
        *out = NULL;
    }
    close_source(&s);
    return e;
}

/* ---- resuming ---- */

static ft_err differs(const source *s, const char *what, const char *theirs, const char *ours) {
    FT_FAIL(WEIGHTS,
            "cannot resume from '%s': its %s is %s, this run's is %s; resume with the configuration and data "
            "that the run was started with, or start a new run in another folder",
            s->f->path, what, theirs, ours);
}

static ft_err compare_text(const source *s, const char *what, const char *theirs, const char *ours) {
    return strcmp(theirs, ours) == 0 ? FT_OK : differs(s, what, theirs, ours);
}

static ft_err compare_heads(const source *s, const ft_model *m) {
    char theirs[32], ours[32];
    snprintf(theirs, sizeof theirs, "%d", s->model.n_heads);
    snprintf(ours, sizeof ours, "%d", m->n_heads);
    FT_TRY(compare_text(s, "number of further heads", theirs, ours));
    for (int32_t k = 0; k < m->n_heads; k++)
        FT_TRY(compare_text(s, "further head", s->model.heads[k].name, m->heads[k].name));
    return FT_OK;
}

static ft_err compare_model(source *s, const ft_model *m) {
    char theirs[96], ours[96];
    FT_TRY(compare_text(s, "network", s->arch, m->net->name));
    FT_TRY(compare_heads(s, m)); /* other columns are other data, too; this says which */
    const ft_field *field = ft_fields_differ(ft_model_fields, &s->model, m, theirs, ours);
    if (field) return differs(s, field->name, theirs, ours);
    for (int32_t i = 0; i < m->options.classes; i++) {
        char what[32];
        snprintf(what, sizeof what, "class %d", i);
        FT_TRY(compare_text(s, what, s->class_names[i], m->class_names[i]));
    }
    const ft_preprocess *a = &s->model.image, *b = &m->image;
    FT_TRY(compare_text(s, "resize", ft_resize_name(a->resize), ft_resize_name(b->resize)));
    return compare_text(s, "normalize", ft_normalize_name(a->normalize), ft_normalize_name(b->normalize));
}

static ft_err compare_optimizer(source *s, const ft_training_state *state) {
    char *name;
    FT_TRY(ft_h5_get_string(s->f, "optimizer", "name", &name));
    ft_err e = compare_text(s, "optimizer", name, ft_optim_optimizer(state->optim)->name);
    free(name);
    FT_TRY(e);
    const char *const words[2] = {"not kept", "kept"};
    return compare_text(s, "average of the weights", words[ft_h5_find(s->f, "average") != NULL],
                        words[state->ema != NULL]);
}

static ft_err compare_run(const source *s, const ft_progress *theirs, const ft_progress *ours) {
    char a[32], b[32];
    snprintf(a, sizeof a, "%llu", (unsigned long long)theirs->seed);
    snprintf(b, sizeof b, "%llu", (unsigned long long)ours->seed);
    return compare_text(s, "seed", a, b);
}

static ft_err read_progress(source *s, ft_progress *progress) {
    *progress = (ft_progress){0};
    FT_REQUIRE(ft_h5_find(s->f, "training") && ft_h5_find(s->f, "optimizer"), WEIGHTS,
               "cannot resume from '%s': it holds a model without training state; resume from the run's "
               "last.h5, or start a new run from these weights",
               s->f->path);
    FT_TRY(ft_fields_read(s->f, "training", ft_progress_fields, s->version, progress));
    const ft_progress *p = progress;
    FT_REQUIRE(p->epoch >= p->phase_epoch && p->phase_epoch >= 0 && p->batch >= 0 &&
                   p->step >= p->phase_step && p->phase_step >= 0 && p->phase >= 0 && p->phase <= INT32_MAX,
               WEIGHTS, "cannot resume from '%s': it counts phases, steps or epochs below zero", s->f->path);
    return FT_OK;
}

static ft_err resume(source *s, ft_model *m, ft_training_state *state) {
    ft_progress progress = {0};
    FT_TRY(read_header(s));
    FT_TRY(compare_model(s, m));
    FT_TRY(read_progress(s, &progress));
    FT_TRY(compare_optimizer(s, state));
    FT_TRY(compare_run(s, &progress, &state->progress));
    int64_t steps, updates = 0;
    FT_TRY(ft_h5_get_numbers(s->f, "optimizer", "steps", FT_H5_I64, 1, &steps));
    if (state->ema) FT_TRY(ft_h5_get_numbers(s->f, "average", "updates", FT_H5_I64, 1, &updates));
    FT_REQUIRE(steps >= 0 && updates >= 0, WEIGHTS, "cannot resume from '%s': it counts steps below zero",
               s->f->path);
    FT_TRY(read_weights(s, m, state));
    ft_optim_set_steps(state->optim, steps);
    if (state->ema) ft_ema_set_updates(state->ema, updates);
    state->progress = progress;
    return FT_OK;
}

ft_err ft_checkpoint_read_progress(const char *path, ft_progress *progress) {
    source s;
    FT_TRY(open_source(&s, path));
    ft_err e = read_progress(&s, progress);
    close_source(&s);
    return e;
}

static ft_err verify(source *s) {
    ft_progress progress;
    FT_TRY(read_header(s));
    FT_TRY(read_progress(s, &progress));
    for (int64_t i = 0; i < s->f->n; i++)
        if (s->f->object[i].dataset) FT_TRY(ft_h5_verify(s->f, &s->f->object[i]));
    return FT_OK;
}

ft_err ft_checkpoint_verify(const char *path) {
    source s;
    FT_TRY(open_source(&s, path));
    ft_err e = verify(&s);
    close_source(&s);
    return e;
}

void ft_progress_begin_phase(ft_progress *p, int64_t phase, const ft_schedule *schedule) {
    p->phase = phase;
    p->phase_epoch = p->epoch;
    p->phase_step = p->step;
    p->plateau = ft_plateau_start(schedule);
    p->stop_best = __builtin_nan("");
    p->stop_bad = 0;
}

ft_err ft_checkpoint_resume(const char *path, ft_model *m, ft_training_state *state) {
    FT_REQUIRE(!state->ema || !ft_ema_swapped(state->ema), USAGE,
               "cannot resume from '%s': the weights' average is swapped in; swap it back first", path);
    source s;
    FT_TRY(open_source(&s, path));
    ft_err e = resume(&s, m, state);
    close_source(&s);
    return e;
}

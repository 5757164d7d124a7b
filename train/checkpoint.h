/* Checkpoints: one HDF5 file with named datasets.
 *
 *   /                     attributes: format, version, arch, ... everything that ft_model_new needs; the
 * configuration it was trained with, as text, and the fingerprint of the data /class_names          strings
 *   /weights/<parameter>  float32, the parameter's shape without leading ones; e.g. /weights/conv2d_1/kernel
 * (3,3,3,32) /average/<parameter>  the weights' moving average, where training keeps one; evaluation uses it
 *   /optimizer/<slot>/<parameter>, attributes name, steps
 *   /training             attributes: what ft_progress holds
 *
 * A model file (best.h5) has the first three alone, a resume point (last.h5) all. Files are replaced
 * atomically. Reading is strict: every name, shape and type must be what the network has; what is missing or
 * unexpected is listed.
 */
#ifndef FACET_TRAIN_CHECKPOINT_H
#define FACET_TRAIN_CHECKPOINT_H

#include "optim/ema.h"
#include "optim/optim_state.h"
#include "optim/schedule.h"
#include "train/model.h"

/* Where a training run stands. Plain numbers; NaN and infinities survive the file. */
typedef struct ft_progress {
    int64_t epoch; /* the one under way, from 0 */
    int64_t batch; /* batches of it already done (a whole optimiser step's worth) */
    int64_t step;  /* optimiser steps done in all */
    int64_t phase; /* the one under way, from 0; it began with epoch phase_epoch, step phase_step */
    int64_t phase_epoch, phase_step;
    ft_plateau plateau;
    double best; /* of the monitored metric so far; NaN: none yet */
    int64_t best_epoch;
    double stop_best; /* what early stopping compares with; NaN: none yet */
    int32_t stop_bad; /* epochs without improvement */
    double loss_sum;  /* of the epoch under way, over images */
    int64_t loss_images;
    double epoch_seconds; /* training time of the epoch under way */
    uint64_t seed;        /* of the run; resuming with another is refused */
    double lr_scale;      /* of the learning rate, since the run rolled back; 0 means 1 */
} ft_progress;

/* Where a phase begins: at the present epoch and step, with nothing remembered of the one before. */
void ft_progress_begin_phase(ft_progress *p, int64_t phase, const ft_schedule *schedule);

/* What training adds to a model. Parameter i of optim and array i of ema belong to optim_params[i] and
 * ema_params[i]. */
typedef struct ft_training_state {
    ft_progress progress;
    ft_optim_state *optim;
    ft_param **optim_params;
    int32_t n_optim_params;
    ft_ema *ema; /* NULL: none */
    ft_param **ema_params;
    int32_t n_ema_params;
} ft_training_state;

/* Writes the model, and the state unless it is NULL, over path. Not while the average is swapped in, unless
 * state is NULL. FT_E_IO: path is as it was. */
ft_err ft_checkpoint_write(const char *path, const ft_model *m, const ft_training_state *state);

/* Builds the model in the file with its weights (the average where there is one). FT_E_WEIGHTS: not a
 * checkpoint, damaged, or of another version; FT_E_IO: cannot be opened; FT_E_MEMORY. *out is then NULL. */
ft_err ft_checkpoint_read_model(const char *path, ft_model **out);

/* Reads all of a resume point and checks every checksum. FT_E_WEIGHTS: not one, or damaged; FT_E_IO,
 * FT_E_MEMORY. */
ft_err ft_checkpoint_verify(const char *path);

/* Where a resume point stands. FT_E_WEIGHTS, FT_E_IO, FT_E_MEMORY; *progress is then unspecified. */
ft_err ft_checkpoint_read_progress(const char *path, ft_progress *progress);

/* Puts weights, optimiser, average and progress of a resume point into a model and state already set up for
 * the same run. FT_E_WEIGHTS naming the first thing that differs: another network, other classes, image size,
 * optimiser, or no training state in the file. After a failure the contents of *m and *state are unspecified
 * but safe to free. */
ft_err ft_checkpoint_resume(const char *path, ft_model *m, ft_training_state *state);

#endif

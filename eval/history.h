/* history.csv: one row per epoch of a training run. */
#ifndef FACET_EVAL_HISTORY_H
#define FACET_EVAL_HISTORY_H

#include "tensor/error.h"

#include <stdint.h>

/* The columns after epoch, in the order of the file. A number that was not computed is NaN and an empty
 * field. */
#define FT_HISTORY_COLUMNS(X) \
    X(lr)                     \
    X(train_loss)             \
    X(val_loss)               \
    X(val_accuracy)           \
    X(val_recall)             \
    X(val_f1)                 \
    X(val_auc)                \
    X(images_per_second)      \
    X(seconds)

typedef struct ft_history_row {
    int64_t epoch;
#define FT_HISTORY_FIELD(name) double name;
    FT_HISTORY_COLUMNS(FT_HISTORY_FIELD)
#undef FT_HISTORY_FIELD
} ft_history_row;

/* Reads the file at path into *rows (n), to be released with free(). No file or an empty one: zero rows.
 * FT_E_DATA (names file and line), FT_E_IO, FT_E_MEMORY: *rows is NULL, *n is 0. */
ft_err ft_history_read(const char *path, ft_history_row **rows, int64_t *n);
/* Writes (replaces, atomically) the file with n rows. FT_E_IO, FT_E_MEMORY: the file is as it was. */
ft_err ft_history_write(const char *path, const ft_history_row *rows, int64_t n);
/* Adds a row. Rows of the same or a later epoch, left by a run that was stopped after them and resumed
 * before, are dropped. The file is replaced atomically. FT_E_DATA, FT_E_IO, FT_E_MEMORY: it is as it was. */
ft_err ft_history_append(const char *path, const ft_history_row *row);

#endif

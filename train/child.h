/* Work that may break the process doing it, such as reading a file made to do harm: in a child, with limits
 * of its own. What breaks there is an error here.
 */
#ifndef FACET_TRAIN_CHILD_H
#define FACET_TRAIN_CHILD_H

#include "tensor/error.h"

#include <stdint.h>
#include <stdio.h>

typedef struct ft_child_limits {
    int64_t memory;  /* bytes beyond what this process has */
    int32_t seconds; /* of computing */
} ft_child_limits;

/* Runs work(ctx, out) in a child; what it writes to out is in *result afterwards, at its start, to be closed
 * by the caller. The error is that of work; FT_E_WEIGHTS if the child ended otherwise: what says what it was
 * doing. FT_E_MEMORY, FT_E_IO: there is no child. After a failure *result is NULL. */
ft_err ft_child_run(ft_err (*work)(void *ctx, FILE *out), void *ctx, const char *what, ft_child_limits limits,
                    FILE **result);

#endif

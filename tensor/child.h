/* Work that may break the process doing it, such as a library reading a file made to do harm: in a child,
 * with limits of its own. What breaks there is an error here.
 */
#ifndef FACET_TENSOR_CHILD_H
#define FACET_TENSOR_CHILD_H

#include "tensor/error.h"

#include <stdint.h>
#include <stdio.h>

typedef struct ft_child_task {
    ft_err (*work)(void *ctx, FILE *out);
    void *ctx;
    const char *what; /* begins the message of what breaks: "'a.h5'" */
    const char *hint; /* ends it: "it is damaged" */
    ft_err broken;    /* its kind */
    int64_t memory;   /* bytes beyond what this process has; 0: no limit */
    int32_t seconds;  /* of computing; 0: no limit */
} ft_child_task;

/* Does the work in a child; what it writes to out is in *result afterwards, at its start, to be closed by the
 * caller (result NULL: nothing is handed back). The error is that of the work, or task->broken where the
 * child ended otherwise or took too much; others try before memory, the disk or a crash is blamed.
 * FT_E_MEMORY, FT_E_IO: there is no child. After a failure *result is NULL. */
ft_err ft_child_run(const ft_child_task *task, FILE **result);

/* In a child, once the work has opened what it reads: from here on the system refuses everything but to read,
 * to write what is open, to take memory and to end. Without effect where the kernel or a sanitizer rules it
 * out; the limits stay. */
void ft_child_seal(void);

#endif

/* TensorBoard event file with scalars: records of (length, masked CRC-32C, Event message, masked CRC-32C),
 * appended and flushed; a record torn by a crash is ignored by readers. Format:
 * tensorflow/core/lib/io/record_writer.h, event.proto. */
#ifndef FACET_EVAL_TFEVENTS_H
#define FACET_EVAL_TFEVENTS_H

#include "tensor/error.h"

#include <stdint.h>
#include <stdio.h>

typedef struct ft_tfevents {
    FILE *stream;
    char *path;
} ft_tfevents;

/* Starts a new file events.out.tfevents.<seconds>.<host>.<pid> in the folder; TensorBoard joins the files of
 * a folder, so a resumed run simply opens another. It begins at `step`: what the files before it have of that
 * step and later ones, TensorBoard drops. Release with ft_tfevents_close. FT_E_IO, FT_E_MEMORY: *w needs no
 * close. */
ft_err ft_tfevents_open(ft_tfevents *w, const char *folder, int64_t step);
/* Appends one scalar. NaN and infinities are written as they are. FT_E_IO. */
ft_err ft_tfevents_scalar(ft_tfevents *w, const char *tag, int64_t step, double value);
/* Hands everything written so far to the system. FT_E_IO. */
ft_err ft_tfevents_flush(ft_tfevents *w);
/* Flushes, closes and releases *w, also when it fails. FT_E_IO. */
ft_err ft_tfevents_close(ft_tfevents *w);

/* CRC-32C (Castagnoli): the remainder of n bytes. */
uint32_t ft_crc32c(const void *data, size_t n);

#endif

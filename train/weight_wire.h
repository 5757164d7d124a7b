/* Weights on their way from the process that read them, which a hostile file may have taken over: nothing is
 * believed. */
#ifndef FACET_TRAIN_WEIGHT_WIRE_H
#define FACET_TRAIN_WEIGHT_WIRE_H

#include "train/weight_file.h"

#include <stdio.h>

/* Errors of the stream are left to its ferror(). */
void ft_weight_wire_write(const ft_weight_file *f, FILE *to);
/* path: the file's. FT_E_WEIGHTS: this is not what the other side writes; FT_E_MEMORY. *out is then NULL. */
ft_err ft_weight_wire_read(FILE *from, const char *path, ft_weight_file **out);

#endif

/* Resume points that survive: the last one and those before it, "last.h5", "last.1.h5", "last.2.h5", ...
 *
 * A new one is written beside them, brought to the disk, read back from it, and only then put in their row:
 * the others move up by hard links, so that last.h5 is there, old or new, at any moment. Where there are no
 * hard links last.h5 may be missing for a moment; last.1.h5 is there then.
 */
#ifndef FACET_TRAIN_GENERATIONS_H
#define FACET_TRAIN_GENERATIONS_H

#include "train/checkpoint.h"

/* Writes the newest resume point to path and keeps `keep` in all (1: it alone). FT_E_IO: not enough space, a
 * write that failed, or bytes that read back otherwise; FT_E_NUMERIC, FT_E_MEMORY; those before are as they
 * were. */
ft_err ft_generations_write(const char *path, int32_t keep, const ft_model *m,
                            const ft_training_state *state);

/* Whether there is any; the newest that reads as a resume point, which is not damaged, to found (4096 bytes),
 * and in why (1024 bytes) what was wrong with those before it ("": nothing). FT_E_WEIGHTS, FT_E_IO: all that
 * are there are damaged, with the message of the newest. */
bool ft_generations_exist(const char *path);
ft_err ft_generations_find(const char *path, char found[4096], char why[1024]);
/* Removes all. */
void ft_generations_remove(const char *path);

#endif

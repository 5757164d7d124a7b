/* What is made of an epoch's numbers: the line in the log, and whether one of them is better than before. */
#ifndef FACET_TRAIN_EPOCH_LOG_H
#define FACET_TRAIN_EPOCH_LOG_H

#include "eval/history.h"
#include "train/config.h"
#include "train/evaluate.h"

#include <stdio.h>

/* A line for each further head: its first numbers. */
void ft_tell_heads(FILE *log, const ft_evaluation *ev);
/* The epoch's line; validated: there are numbers of validation; best: the weights are the best so far. */
void ft_tell_epoch(FILE *log, const ft_history_row *row, int32_t epochs, bool validated, bool best);

/* The number of that name; NaN: there is none. */
double ft_monitored(ft_config_monitor monitor, const ft_history_row *row);
/* Whether value is better than best by more than min_delta. NaN is never better, and anything is better than
 * NaN. */
bool ft_monitored_better(ft_config_monitor monitor, double value, double best, double min_delta);

#endif

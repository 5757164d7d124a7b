/* Progress for people: a bar that redraws itself on a terminal, a plain line now and then elsewhere. */
#ifndef FACET_TRAIN_PROGRESS_BAR_H
#define FACET_TRAIN_PROGRESS_BAR_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct ft_progress_bar {
    FILE *f; /* NULL: silent */
    bool terminal;
    double started, drawn; /* seconds of the monotonic clock */
    int64_t first;         /* what was done when it started (a resumed epoch) */
    const char *title;
} ft_progress_bar;

/* Seconds of a clock that never jumps. */
double ft_clock(void);

/* Starts a bar titled title (borrowed) on f; done: what is behind us already. */
void ft_progress_bar_start(ft_progress_bar *bar, FILE *f, const char *title, int64_t done);
/* done of total images; text: metrics to show behind the bar. Draws at most ten times a second on a terminal,
 * and a line a minute elsewhere. */
void ft_progress_bar_update(ft_progress_bar *bar, int64_t done, int64_t total, const char *text);
/* Wipes the bar from a terminal, so that a line can be printed. */
void ft_progress_bar_clear(ft_progress_bar *bar);

#endif

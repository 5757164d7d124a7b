/* The learning rate over time: a pure function of the step, so that a resumed run needs no state but its step
 * number.
 *
 * A linear warm-up may stand in front of any schedule: base_lr * (step + 1) / warmup_steps. The schedule
 * proper starts after it, from base_lr: its step 0 is the first after the warm-up, and cosine and polynomial
 * take the steps that remain.
 */
#ifndef FACET_OPTIM_SCHEDULE_H
#define FACET_OPTIM_SCHEDULE_H

#include "tensor/error.h"

#include <stdbool.h>
#include <stdint.h>

/* With x the steps and e the epochs (fractions too) since the warm-up, and n the steps that remained after
 * it. */
typedef enum ft_schedule_kind {
    FT_SCHEDULE_CONSTANT, /* base                                                                          */
    FT_SCHEDULE_STEP,     /* base * gamma^floor(e / step_epochs): PyTorch's StepLR                          */
    FT_SCHEDULE_EXPONENTIAL, /* base * gamma^(e / step_epochs), the exponent rounded down if staircase */
    FT_SCHEDULE_COSINE, /* final + (base - final) (1 + cos(pi x/n)) / 2: arXiv 1608.03983, no restarts    */
    FT_SCHEDULE_POLYNOMIAL, /* final + (base - final) (1 - x/n)^power: TensorFlow's polynomial_decay */
    FT_SCHEDULE_PLATEAU, /* base * the plateau's factor, but not below final: PyTorch's ReduceLROnPlateau  */
} ft_schedule_kind;

typedef struct ft_schedule {
    ft_schedule_kind kind;
    double warmup_epochs;  /* rounded to whole steps */
    double step_epochs;    /* step, exponential */
    double gamma;          /* step, exponential; plateau: the factor of each reduction */
    bool staircase;        /* exponential */
    double power;          /* polynomial */
    double final_lr;       /* cosine, polynomial, plateau */
    int32_t patience;      /* plateau: so many epochs without improvement are borne; the next one reduces */
    double min_delta;      /* plateau: an improvement is better than the best by more than this */
    bool higher_is_better; /* plateau: of the metric watched */
} ft_schedule;

/* What a plateau remembers. Plain numbers, to be kept in a checkpoint; best may be infinite. */
typedef struct ft_plateau {
    double best, factor;
    int32_t bad_epochs;
} ft_plateau;

/* "constant", "step", "exponential", "cosine", "polynomial", "plateau". FT_E_USAGE: none of these; *kind is
 * untouched. */
ft_err ft_schedule_kind_parse(const char *name, ft_schedule_kind *kind);
/* Constant, without warm-up; step_epochs 10, gamma 0.1, power 1, patience 10, the rest 0. */
ft_schedule ft_schedule_defaults(void);
/* FT_E_USAGE naming the first option out of range. */
ft_err ft_schedule_check(const ft_schedule *s);

/* Learning rate of a step, 0 .. total_steps - 1; from total_steps on, cosine and polynomial stay at final. s
 * has passed ft_schedule_check, steps_per_epoch > 0. plateau: read by FT_SCHEDULE_PLATEAU only, else may be
 * NULL. */
double ft_schedule_lr(const ft_schedule *s, double base_lr, int64_t step, int64_t steps_per_epoch,
                      int64_t total_steps, const ft_plateau *plateau);

ft_plateau ft_plateau_start(const ft_schedule *s);
/* Once after every epoch, with the metric watched (NaN is no improvement). True when the learning rate was
 * reduced. */
bool ft_plateau_update(ft_plateau *p, const ft_schedule *s, double metric);

#endif

#include "optim/schedule.h"

#include <math.h>
#include <string.h>

ft_err ft_schedule_kind_parse(const char *name, ft_schedule_kind *kind) {
    static const char *const names[] = {
        [FT_SCHEDULE_CONSTANT] = "constant",       [FT_SCHEDULE_STEP] = "step",
        [FT_SCHEDULE_EXPONENTIAL] = "exponential", [FT_SCHEDULE_COSINE] = "cosine",
        [FT_SCHEDULE_POLYNOMIAL] = "polynomial",   [FT_SCHEDULE_PLATEAU] = "plateau"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i], name) == 0) {
            *kind = (ft_schedule_kind)i;
            return FT_OK;
        }
    FT_FAIL(USAGE,
            "schedule: there is no \"%s\"; choose constant, step, exponential, cosine, polynomial or plateau",
            name);
}

ft_schedule ft_schedule_defaults(void) {
    return (ft_schedule){
        .kind = FT_SCHEDULE_CONSTANT, .step_epochs = 10, .gamma = 0.1, .power = 1, .patience = 10};
}

ft_err ft_schedule_check(const ft_schedule *s) {
    FT_REQUIRE(s->warmup_epochs >= 0 && isfinite(s->warmup_epochs), USAGE,
               "schedule: the warm-up is %g epochs; it must be a number from 0 on", s->warmup_epochs);
    FT_REQUIRE(s->step_epochs > 0 && isfinite(s->step_epochs), USAGE,
               "schedule: the period is %g epochs; it must be a number above 0", s->step_epochs);
    FT_REQUIRE(s->gamma > 0 && s->gamma <= 1, USAGE,
               "schedule: gamma is %g; it must be above 0 and at most 1", s->gamma);
    FT_REQUIRE(s->power > 0 && isfinite(s->power), USAGE,
               "schedule: the power is %g; it must be a number above 0", s->power);
    FT_REQUIRE(s->final_lr >= 0 && isfinite(s->final_lr), USAGE,
               "schedule: the final learning rate is %g; it must be a number from 0 on", s->final_lr);
    FT_REQUIRE(s->patience >= 0, USAGE, "schedule: the patience is %d epochs; it must be 0 or more",
               s->patience);
    FT_REQUIRE(s->min_delta >= 0 && isfinite(s->min_delta), USAGE,
               "schedule: min_delta is %g; it must be a number from 0 on", s->min_delta);
    return FT_OK;
}

double ft_schedule_lr(const ft_schedule *s, double base_lr, int64_t step, int64_t steps_per_epoch,
                      int64_t total_steps, const ft_plateau *plateau) {
    const double warmup = round(s->warmup_epochs * (double)steps_per_epoch);
    if ((double)step < warmup) return base_lr * ((double)step + 1) / warmup;

    const double x = (double)step - warmup, n = (double)total_steps - warmup;
    const double done = x < n ? x / n : 1;
    const double periods = x / ((double)steps_per_epoch * s->step_epochs);
    const double drop = base_lr - s->final_lr;
    switch (s->kind) {
    case FT_SCHEDULE_CONSTANT:
        break;
    case FT_SCHEDULE_STEP:
        return base_lr * pow(s->gamma, floor(periods));
    case FT_SCHEDULE_EXPONENTIAL:
        return base_lr * pow(s->gamma, s->staircase ? floor(periods) : periods);
    case FT_SCHEDULE_COSINE:
        return s->final_lr + drop * (1 + cos(acos(-1) * done)) / 2;
    case FT_SCHEDULE_POLYNOMIAL:
        return s->final_lr + drop * pow(1 - done, s->power);
    case FT_SCHEDULE_PLATEAU:
        return fmin(base_lr, fmax(base_lr * plateau->factor, s->final_lr));
    }
    return base_lr;
}

ft_plateau ft_plateau_start(const ft_schedule *s) {
    return (ft_plateau){.best = s->higher_is_better ? -INFINITY : INFINITY, .factor = 1};
}

bool ft_plateau_update(ft_plateau *p, const ft_schedule *s, double metric) {
    if (s->higher_is_better ? metric > p->best + s->min_delta : metric < p->best - s->min_delta) {
        p->best = metric;
        p->bad_epochs = 0;
        return false;
    }
    if (++p->bad_epochs <= s->patience) return false;
    p->bad_epochs = 0;
    p->factor *= s->gamma;
    return true;
}

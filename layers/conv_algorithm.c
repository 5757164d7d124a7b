#include "layers/conv_algorithm.h"
#include "layers/conv_winograd.h"

#include <stdio.h>

enum {
    LEAST_CHANNELS = 16,
    USUAL_BATCH = 8, /* the choice must not depend on the batch: neither may the bits of a result */
};

/* Vector operations for one output, in both ways. The transforms' costs are what a tile of one vector of
 * channels takes, measured; transformed weights count by what it takes to make and to fetch them. */
static bool winograd_wins(const ft_window *win, int32_t cin, int32_t cout, int64_t outputs,
                          const ft_winograd_grid *g) {
    double taps = (double)win->kh * win->kw, points = g->points, tiles = (double)g->tiles;
    double pairs = (double)cin * cout;
    double transforms = tiles * (cin + cout) * (ft_winograd_is_square(g->form) ? 3.5 : 5) * points;
    double weights = pairs * g->weights * 6;
    return tiles * points * pairs * 1.1 + transforms + weights < (double)outputs * taps * pairs;
}

ft_conv_algorithm ft_conv_choose(const ft_conv_args *a, ft_shape x, ft_shape w, ft_conv_pass pass,
                                 bool direct) {
    const ft_conv_algorithm by_definition = {0};
    const ft_window *win = &a->win;
    ft_geometry geo;
    if (direct || !ft_winograd_supports(win)) return by_definition;
    if (ft_window_geometry(win, x.h, x.w, &geo) != FT_OK) return by_definition;
    int32_t cin = x.c / a->groups, cout = w.c / a->groups;
    if (cin < LEAST_CHANNELS || cout < LEAST_CHANNELS) return by_definition;
    bool to_input = pass == FT_CONV_INPUT_GRADIENT;
    int32_t h = to_input ? x.h : geo.oh, width = to_input ? x.w : geo.ow;
    ft_winograd_grid g = ft_winograd_grid_make(win, &geo, to_input, USUAL_BATCH, USUAL_BATCH, h, width);
    if (!winograd_wins(win, cin, cout, (int64_t)USUAL_BATCH * geo.oh * geo.ow, &g)) return by_definition;
    return win->sh == 1 ? (ft_conv_algorithm){g.mh, g.mw} : (ft_conv_algorithm){3, 3};
}

void ft_conv_algorithm_name(ft_conv_algorithm algorithm, const ft_conv_args *a, char name[32]) {
    if (algorithm.mh == 0)
        snprintf(name, 32, "direct");
    else
        snprintf(name, 32, "F(%dx%d, %dx%d%s)", algorithm.mh, algorithm.mw, a->win.kh, a->win.kw,
                 a->win.sh > 1 ? "/2" : "");
}

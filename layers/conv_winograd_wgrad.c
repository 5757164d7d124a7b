/* The weight gradient by Winograd (conv_winograd.h) for stride 1, the transpose of the forward algorithm:
 *
 *     dw = G^T [ sum over tiles of (B^T x B) . (A dy A^T) ] G
 *
 * A task takes a range of tiles (a split) and a rectangle of channels (a group), transforms a block of tiles,
 * and adds every point's product V^T Y to its own part of the split's dU. At the end the splits are added up
 * in order and transformed back.
 *
 * What decides the speed, by measurement: every group transforms its channels once more, and each of those
 * reads pixels from memory, so there is one group unless threads would stand idle; and a tile of dU is loaded
 * and stored once for a block, so blocks are large, although V and Y then leave the second-level cache. While
 * they are multiplied, the pixels of the next block are asked for.
 * Splits depend on shapes alone: they decide the order of additions. Groups and blocks do not.
 */
#include "layers/conv_pass.h"
#include "layers/conv_winograd.h"
#include "tensor/kernels.h"
#include "tensor/par.h"

#include <string.h>

enum {
    MAX_TILES = 64, /* in a block of square ones, */
    MAX_LINE_TILES = 88,
    TILES_PER_SPLIT = 640, /* of square ones, */
    LINE_TILES_PER_SPLIT = 320,
    MAX_SPLITS = 16,
    MANY = 4, /* tasks for each lane, of which one more or less does not matter */
    PANEL = 32,
    ROWS_CHUNK = 4, /* rows of weights that a task transforms back */
    LINE = 16 /* elements between the points of a tile, so that they do not all fall into one cache set */
};

typedef struct cut {
    int32_t splits, row_groups, col_groups;
    int32_t rows, cols; /* of the largest group */
    int32_t tiles;      /* in a block */
} cut;

/* Whole panels of n channels, in that many groups at most: channels of the largest one. */
static int32_t group_size(int32_t n, int32_t groups) {
    int64_t channels = ft_ceil_div(ft_ceil_div(n, PANEL), groups) * PANEL;
    return channels < n ? (int32_t)channels : n;
}

/* As few groups as give every lane the same. They end between panels: within one the kernels' rounding
 * depends on a channel's place, and bits must not depend on the number of lanes. */
static cut make_cut(const ft_winograd_grid *g, int32_t rows, int32_t cols, int32_t lanes) {
    bool square = ft_winograd_is_square(g->form);
    int64_t splits = g->planned / (square ? TILES_PER_SPLIT : LINE_TILES_PER_SPLIT);
    splits = splits < 1 ? 1 : splits > MAX_SPLITS ? MAX_SPLITS : splits;
    cut c = {.splits = (int32_t)splits};
    for (int32_t row_groups = 1, col_groups = 1;;) {
        c.rows = group_size(rows, row_groups);
        c.cols = group_size(cols, col_groups);
        c.row_groups = (int32_t)ft_ceil_div(rows, c.rows);
        c.col_groups = (int32_t)ft_ceil_div(cols, c.cols);
        int32_t tasks = c.splits * c.row_groups * c.col_groups;
        bool rows_left = c.rows > PANEL, cols_left = c.cols > PANEL;
        if (tasks % lanes == 0 || tasks >= MANY * lanes || (!rows_left && !cols_left)) break;
        if (rows_left && (c.rows >= c.cols || !cols_left))
            row_groups++;
        else
            col_groups++;
    }
    int64_t tiles = ft_ceil_div(g->planned, splits),
            blocks = ft_ceil_div(tiles, square ? MAX_TILES : MAX_LINE_TILES);
    c.tiles = (int32_t)ft_ceil_div(tiles, blocks > 0 ? blocks : 1);
    return c;
}

/* A point's V and Y of a block. */
static int64_t point_size(const cut *c) {
    int32_t nr = ft_conv_kernels_get()->nr;
    return c->tiles * (c->rows + ft_ceil_div(c->cols, nr) * nr) + LINE;
}

size_t ft_winograd_wgrad_scratch(const ft_winograd_grid *g, int32_t rows, int32_t cols, int32_t lanes) {
    cut c = make_cut(g, rows, cols, lanes);
    return (size_t)((int64_t)c.splits * g->points * rows * cols + lanes * g->points * point_size(&c));
}

typedef struct wgrad_job {
    const ft_winograd_wgrad *p;
    const ft_conv_kernels *conv;
    const ft_winograd_kernels *winograd;
    cut cut;
    int64_t weights; /* elements of a point's dU */
    ft_real *u, *blocks;
} wgrad_job;

/* A rectangle of channels, and V [tile][rows] and Y [panel][tile][nr] of every point of one block of tiles.
 */
typedef struct group {
    int32_t row0, rows, col0, cols;
    ft_real *v, *y;
    int64_t step, panel; /* elements from one point, and panel of Y, to the next */
} group;

static void touch_tile(const ft_winograd_wgrad *p, const group *r, int64_t tile) {
    const ft_winograd_grid *g = &p->grid;
    ft_winograd_tile t = ft_winograd_tile_at(g, tile);
    ft_winograd_touch(p->x, t.image, t.from_y - p->top, t.from_x - p->left + g->nw - g->sw, g->nh, g->sw,
                      p->x_channel + r->row0, r->rows);
    ft_winograd_touch(p->dy, t.image, t.y, t.x, g->mh, g->mw, p->dy_channel + r->col0, r->cols);
}

static void transform_tile(const wgrad_job *job, const group *r, int64_t tile, int32_t i) {
    const ft_winograd_wgrad *p = job->p;
    const ft_winograd_grid *g = &p->grid;
    ft_winograd_tile t = ft_winograd_tile_at(g, tile);
    const ft_real *at[FT_WINOGRAD_MOST_POINTS];
    ft_winograd_point(p->x, t.image, t.from_y - p->top, t.from_x - p->left, g->nh, g->nw,
                      p->x_channel + r->row0, p->zeros, at);
    ft_winograd_start start;
    if (p->start)
        start = (ft_winograd_start){p->zeros, p->start->scale + r->row0, p->start->shift + r->row0,
                                    p->start->relu};
    job->winograd->data(g->form, r->rows, at, p->start ? &start : NULL, r->v + (int64_t)i * r->rows, r->step);
    ft_winograd_point(p->dy, t.image, t.y, t.x, g->mh, g->mw, p->dy_channel + r->col0, p->zeros, at);
    job->winograd->output_gradient(g->form, r->cols, at, r->y + (int64_t)i * job->conv->nr, r->step,
                                   r->panel);
}

/* Lines y of one image to `end` of another. */
static ft_ahead lines_ahead(const ft_view *v, int64_t image, int64_t y, int64_t last_image, int64_t end,
                            int32_t channel, int32_t c, int64_t pixels) {
    if (y < 0) y = 0;
    if (end > v->h) end = v->h;
    int64_t first = image * v->h + y, n = last_image * v->h + end - first;
    return ft_ahead_plan(v->p + first * v->w * v->ld + channel, v->ld, c, n * v->w, pixels);
}

/* What tiles [first, end) are made of. */
static void plan_next_block(const wgrad_job *job, const group *r, int64_t first, int64_t end, int64_t pixels,
                            ft_ahead ahead[2]) {
    const ft_winograd_wgrad *p = job->p;
    const ft_winograd_grid *g = &p->grid;
    ft_winograd_tile a = ft_winograd_tile_at(g, first), b = ft_winograd_tile_at(g, end - 1);
    ahead[0] = lines_ahead(p->x, a.image, a.from_y - p->top, b.image, b.from_y - p->top + g->nh,
                           p->x_channel + r->row0, r->rows, pixels);
    ahead[1] =
        lines_ahead(p->dy, a.image, a.y, b.image, b.y + g->mh, p->dy_channel + r->col0, r->cols, pixels);
}

/* dU of the group += V^T Y over n tiles, point by point. [next, next_end): the tiles of the next block; if it
 * has none, the next point's V and Y are asked for. */
static void add_products(const wgrad_job *job, const group *r, int32_t n, int64_t next, int64_t next_end,
                         ft_real *u, bool accumulate) {
    const ft_winograd_wgrad *p = job->p;
    const int32_t nr = job->conv->nr, row_tiles = (int32_t)ft_ceil_div(r->rows, job->conv->mr);
    const int64_t panels = ft_ceil_div(r->cols, nr), pixels = row_tiles * panels * n; /* of a point */
    ft_ahead ahead[2];
    if (next < next_end) plan_next_block(job, r, next, next_end, pixels * p->grid.points, ahead);
    u += (int64_t)r->row0 * p->cols + r->col0;
    for (int32_t point = 0; point < p->grid.points; point++, u += job->weights) {
        ft_wgrad_run run = {r->v + point * r->step, r->y + point * r->step, n};
        if (next == next_end) {
            ahead[0] = ft_ahead_plan(run.x + r->step, r->rows, r->rows, n, pixels);
            ahead[1] = ft_ahead_plan(run.dy + r->step, r->panel, r->panel, panels, pixels);
        }
        ft_wgrad_tile t = {.runs = &run,
                           .n_runs = 1,
                           .x_step = r->rows,
                           .dy_step = nr,
                           .ldw = p->cols,
                           .accumulate = accumulate,
                           .ahead = ahead};
        for (int32_t k = 0; k < row_tiles; k++) {
            int32_t row = (int32_t)((int64_t)k * r->rows / row_tiles);
            t.rows = (int32_t)((int64_t)(k + 1) * r->rows / row_tiles) - row;
            t.x_offset = row;
            for (int32_t j = 0; j < r->cols; j += nr) {
                t.cols = r->cols - j < nr ? r->cols - j : nr;
                t.dy_offset = j / nr * r->panel;
                t.dw = u + (int64_t)row * p->cols + j;
                bool last = j + t.cols >= r->cols;
                t.next = !last               ? t.dw + t.cols
                         : k + 1 < row_tiles ? t.dw - j + (int64_t)t.rows * p->cols
                                             : u + job->weights;
                job->conv->wgrad(&t);
            }
        }
    }
}

static void run_task(void *ctx, int64_t task, int32_t thread) {
    const wgrad_job *job = ctx;
    const cut *c = &job->cut;
    const ft_winograd_wgrad *p = job->p;
    const ft_winograd_grid *g = &p->grid;
    int32_t col_group = (int32_t)(task % c->col_groups);
    int32_t row_group = (int32_t)(task / c->col_groups % c->row_groups);
    int64_t split = task / c->col_groups / c->row_groups;
    group r = {.row0 = row_group * c->rows, .col0 = col_group * c->cols};
    r.rows = p->rows - r.row0 < c->rows ? p->rows - r.row0 : c->rows;
    r.cols = p->cols - r.col0 < c->cols ? p->cols - r.col0 : c->cols;
    r.panel = (int64_t)c->tiles * job->conv->nr;
    r.step = point_size(c);
    r.v = job->blocks + thread * g->points * r.step;
    r.y = r.v + (int64_t)c->tiles * r.rows;
    int64_t first = split * g->tiles / c->splits, end = (split + 1) * g->tiles / c->splits;
    for (int64_t tile = first; tile < end || tile == first; tile += c->tiles) {
        int32_t n = (int32_t)(end - tile < c->tiles ? end - tile : c->tiles);
        int64_t next = tile + n, next_end = next + c->tiles < end ? next + c->tiles : end;
        for (int32_t i = 0; i < n; i++) touch_tile(p, &r, tile + i);
        for (int32_t i = 0; i < n; i++) transform_tile(job, &r, tile + i, i);
        add_products(job, &r, n, next, next_end, job->u + split * g->points * job->weights, tile > first);
    }
}

static void transform_back(void *ctx, int64_t chunk, int32_t thread) {
    (void)thread;
    const wgrad_job *job = ctx;
    const ft_winograd_wgrad *p = job->p;
    const ft_winograd_grid *g = &p->grid;
    int64_t end = (chunk + 1) * ROWS_CHUNK < p->rows ? (chunk + 1) * ROWS_CHUNK : p->rows;
    int64_t first = chunk * ROWS_CHUNK * p->cols, n = end * p->cols - first;
    for (int32_t split = 1; split < job->cut.splits; split++)
        for (int32_t point = 0; point < g->points; point++) {
            ft_real *sum = job->u + point * job->weights + first;
            const ft_real *part = sum + split * g->points * job->weights;
            ft_row_kernels_get()->add(1, (int32_t)n, 1, part, n, sum, n, 1);
        }
    for (int64_t i = chunk * ROWS_CHUNK; i < end; i++)
        job->winograd->weight_gradient(g->form, p->cols, job->u + i * p->cols, job->weights,
                                       p->dw + i * p->ldw, p->rows * p->ldw, p->beta);
}

void ft_winograd_wgrad_run(const ft_winograd_wgrad *p) {
    const ft_winograd_grid *g = &p->grid;
    wgrad_job job = {.p = p,
                     .conv = ft_conv_kernels_get(),
                     .winograd = ft_winograd_kernels_get(),
                     .cut = make_cut(g, p->rows, p->cols, p->lanes),
                     .weights = (int64_t)p->rows * p->cols,
                     .u = p->scratch};
    job.blocks = job.u + job.cut.splits * g->points * job.weights;
    int64_t tasks = (int64_t)job.cut.splits * job.cut.row_groups * job.cut.col_groups;
    ft_par_for_lanes(tasks, p->lanes, run_task, &job);
    ft_par_for(ft_ceil_div(p->rows, ROWS_CHUNK), transform_back, &job);
}

/* Forward convolution and its input gradient by Winograd (conv_winograd.h).
 *
 * Work is cut into blocks of tiles whose V stays in the second-level cache while the panels of U pass by; P
 * is kept for one panel at a time. Where there are too few blocks to go round, V of all tiles is made first
 * and the tasks are pairs of block and panels.
 */
#include "layers/conv_winograd.h"
#include "layers/conv_pass.h"
#include "tensor/kernels.h"
#include "tensor/par.h"

#include <string.h>

enum {
    V_BYTES = 320 << 10,       /* of one block */
    LARGE_V_BYTES = 512 << 10, /* where the cache is large */
    MOST_UNITS = 4,
    WANTED_TASKS = 24,
    LINE = 16, /* elements between the points of a tile, so that they do not all fall into one cache set */
    PACK_ROWS = 16 /* rows of weights that a task transforms */
};

bool ft_winograd_supports(const ft_window *win) {
    int32_t kh = win->kh, kw = win->kw, r = kh > kw ? kh : kw;
    if (win->dh != 1 || win->dw != 1 || win->sh != win->sw) return false;
    if (win->sh == 2) return kh == 3 && kw == 3;
    if (win->sh != 1) return false;
    return kh == kw ? r == 3 || r == 5 : (kh == 1 || kw == 1) && (r == 3 || r == 5 || r == 7);
}

static ft_winograd_form form_of(const ft_window *win, bool to_input) {
    if (win->sh == 2) return to_input ? FT_WINOGRAD_STRIDED_BACK : FT_WINOGRAD_STRIDED;
    if (win->kh == win->kw) return win->kh == 3 ? FT_WINOGRAD_SQUARE_3 : FT_WINOGRAD_SQUARE_5;
    int32_t r = win->kh > win->kw ? win->kh : win->kw;
    return r == 3 ? FT_WINOGRAD_LINE_3 : r == 5 ? FT_WINOGRAD_LINE_5 : FT_WINOGRAD_LINE_7;
}

ft_winograd_grid ft_winograd_grid_make(const ft_window *win, const ft_geometry *geo, bool to_input, int32_t n,
                                       int32_t planned_n, int32_t h, int32_t w) {
    ft_winograd_grid g = {.form = form_of(win, to_input), .taps = win->kh * win->kw, .h = h, .w = w};
    bool down = win->kh > 1, along = win->kw > 1, halves = g.form == FT_WINOGRAD_STRIDED_BACK;
    int32_t inputs = ft_winograd_inputs(g.form), outputs = ft_winograd_outputs(g.form);
    int32_t points = ft_winograd_points(g.form), weights = ft_winograd_weights(g.form);
    g.nh = down ? inputs : 1;
    g.nw = along ? inputs : 1;
    g.mh = down ? outputs : 1;
    g.mw = along ? outputs : 1;
    g.sh = halves ? g.mh / win->sh : g.mh * win->sh;
    g.sw = halves ? g.mw / win->sw : g.mw * win->sw;
    g.points = (down ? points : 1) * (along ? points : 1);
    g.weights = (down ? weights : 1) * (along ? weights : 1);
    /* An output of even distance from the padded image's corner takes the outer taps. */
    g.y0 = halves ? -geo->top : 0;
    g.x0 = halves ? -geo->left : 0;
    g.rows = (int32_t)ft_ceil_div(h - g.y0, g.mh);
    g.cols = (int32_t)ft_ceil_div(w - g.x0, g.mw);
    g.tiles = (int64_t)n * g.rows * g.cols;
    g.planned = (int64_t)planned_n * g.rows * g.cols;
    return g;
}

/* Along one axis the last of the weights is that of all points from there on. */
ft_winograd_point_set ft_winograd_points_of(const ft_winograd_grid *g, int32_t matrix) {
    int32_t points = ft_winograd_points(g->form), weights = ft_winograd_weights(g->form);
    if (g->weights == g->points || matrix >= g->weights) return (ft_winograd_point_set){matrix, 1, 1, 1};
    int32_t i = matrix / weights, j = matrix % weights, last = weights - 1, most = points - last;
    return (ft_winograd_point_set){i * points + j, i == last ? most : 1, j == last ? most : 1, points};
}

/* ---- weights ---- */

size_t ft_winograd_packed_size(const ft_winograd_grid *g, int32_t kc, int32_t cols) {
    return ft_conv_packed_size(g->weights, kc, cols);
}

typedef struct pack_job {
    ft_real *u;
    const ft_real *w;
    const ft_winograd_grid *g;
    int32_t kc, cols, nr, slabs;
    int64_t ld;
    bool transposed;
} pack_job;

/* PACK_ROWS rows of the transpose of every tap, last tap first: to[tap][row][column]. */
static void transpose_taps(const pack_job *p, int32_t k0, int32_t n, int32_t j0, int32_t cols, ft_real *to) {
    int64_t tap_step = (int64_t)p->cols * p->ld;
    for (int32_t t = 0; t < p->g->taps; t++) {
        const ft_real *from = p->w + (p->g->taps - 1 - t) * tap_step + j0 * p->ld + k0;
        ft_real *at = to + (int64_t)t * PACK_ROWS * cols;
        for (int32_t j = 0; j < cols; j++)
            for (int32_t k = 0; k < n; k++) at[k * cols + j] = from[j * p->ld + k];
    }
}

static void pack_slab(void *ctx, int64_t task, int32_t thread) {
    (void)thread;
    const pack_job *p = ctx;
    int32_t panel = (int32_t)(task / p->slabs), k0 = (int32_t)(task % p->slabs) * PACK_ROWS;
    int32_t n = p->kc - k0 < PACK_ROWS ? p->kc - k0 : PACK_ROWS;
    int32_t j0 = panel * p->nr, cols = p->cols - j0 < p->nr ? p->cols - j0 : p->nr;
    int32_t width = cols <= p->nr / 2 ? p->nr / 2 : p->nr;
    int64_t step = (int64_t)p->kc * width;
    ft_real *u = p->u + (int64_t)j0 * p->g->weights * p->kc + (int64_t)k0 * width;
    ft_real turned[25 * PACK_ROWS * 64];
    if (p->transposed) transpose_taps(p, k0, n, j0, cols, turned);
    for (int32_t k = 0; k < n; k++, u += width) {
        const ft_real *w = p->transposed ? turned + k * cols : p->w + (k0 + k) * p->ld + j0;
        int64_t tap_step = p->transposed ? (int64_t)PACK_ROWS * cols : p->kc * p->ld;
        ft_winograd_kernels_get()->weight(p->g->form, cols, w, tap_step, u, step);
        for (int32_t i = 0; i < p->g->weights && cols < width; i++)
            memset(u + i * step + cols, 0, (size_t)(width - cols) * sizeof *u);
    }
}

void ft_winograd_pack(ft_real *u, const ft_real *w, const ft_winograd_grid *g, int32_t kc, int32_t cols,
                      int64_t ld, bool transposed) {
    pack_job p = {.u = u,
                  .w = w,
                  .g = g,
                  .kc = kc,
                  .cols = cols,
                  .nr = ft_conv_kernels_get()->nr,
                  .slabs = (int32_t)ft_ceil_div(kc, PACK_ROWS),
                  .ld = ld,
                  .transposed = transposed};
    ft_par_for(ft_ceil_div(cols, p.nr) * p.slabs, pack_slab, &p);
}

/* ---- tiles ---- */

void ft_winograd_point(const ft_view *v, int64_t image, int32_t y0, int32_t x0, int32_t nh, int32_t nw,
                       int32_t channel, const ft_real *zeros, const ft_real **to) {
    const ft_real *first = v->p + ((image * v->h + y0) * v->w + x0) * v->ld + channel;
    if (y0 >= 0 && x0 >= 0 && y0 + nh <= v->h && x0 + nw <= v->w) {
        for (int32_t i = 0; i < nh; i++)
            for (int32_t j = 0; j < nw; j++) *to++ = first + ((int64_t)i * v->w + j) * v->ld;
        return;
    }
    for (int32_t i = 0; i < nh; i++) {
        const ft_real *row = first + (int64_t)i * v->w * v->ld;
        bool inside = y0 + i >= 0 && y0 + i < v->h;
        for (int32_t j = 0; j < nw; j++)
            *to++ = inside && x0 + j >= 0 && x0 + j < v->w ? row + j * v->ld : zeros;
    }
}

void ft_winograd_touch(const ft_view *v, int64_t image, int32_t y0, int32_t x0, int32_t nh, int32_t nw,
                       int32_t channel, int32_t c) {
    if (y0 < 0) nh += y0, y0 = 0;
    if (x0 < 0) nw += x0, x0 = 0;
    if (y0 + nh > v->h) nh = v->h - y0;
    if (x0 + nw > v->w) nw = v->w - x0;
    const ft_real *first = v->p + ((image * v->h + y0) * v->w + x0) * v->ld + channel;
    for (int32_t i = 0; i < nh; i++)
        for (int32_t j = 0; j < nw; j++)
            for (int32_t k = 0; k < c; k += FT_LINE)
                (void)*(const volatile ft_real *)(first + ((int64_t)i * v->w + j) * v->ld + k);
}

typedef struct block_plan {
    int32_t unit;   /* tiles that are never parted */
    int32_t most;   /* tiles in the largest block */
    int32_t blocks; /* for the planned number of tiles */
    int32_t panels; /* of output channels */
    int32_t groups; /* of panels, each a task of its own; 1: the task makes V itself */
} block_plan;

/* Whole tiles of the product; a chunk of moments. */
static int32_t unit_tiles(void) {
    int32_t mr = ft_conv_kernels_get()->mr;
    return FT_TILE_ROWS / mr * mr;
}

/* Depends on shapes alone, like everything that decides how work is cut. */
static block_plan plan_blocks(const ft_winograd_grid *g, int32_t kc, int32_t cols) {
    int32_t unit = unit_tiles();
    int64_t units = ft_ceil_div(g->planned, unit), bytes = ft_has_large_tile() ? LARGE_V_BYTES : V_BYTES,
            most = bytes / (g->points * kc * (int64_t)sizeof(float) * unit);
    most = most < 1 ? 1 : most > MOST_UNITS ? MOST_UNITS : most;
    block_plan b = {.unit = unit, .panels = (int32_t)ft_ceil_div(cols, ft_conv_kernels_get()->nr)};
    b.blocks = (int32_t)ft_ceil_div(units, most);
    b.groups = 1;
    if (b.blocks < WANTED_TASKS) {
        b.blocks = (int32_t)ft_ceil_div(units, MOST_UNITS);
        b.groups = (int32_t)ft_ceil_div(WANTED_TASKS, b.blocks > 0 ? b.blocks : 1);
        if (b.groups > b.panels) b.groups = b.panels;
    }
    b.most = (int32_t)ft_ceil_div(units, b.blocks > 0 ? b.blocks : 1) * unit;
    return b;
}

static int64_t v_size(const ft_winograd_grid *g, int64_t tiles, int32_t kc) {
    return g->points * (tiles * kc + LINE);
}

size_t ft_winograd_scratch(const ft_winograd_grid *g, int32_t kc, int32_t cols, int32_t lanes) {
    block_plan b = plan_blocks(g, kc, cols);
    int64_t v = v_size(g, b.most, kc) * (b.groups > 1 ? b.blocks : lanes);
    return (size_t)(v + lanes * v_size(g, b.most, ft_conv_kernels_get()->nr));
}

int64_t ft_winograd_chunks(const ft_winograd_grid *g) {
    return ft_ceil_div(g->planned, unit_tiles());
}

typedef struct winograd_job {
    const ft_winograd_pass *p;
    const ft_conv_kernels *conv;
    const ft_winograd_kernels *winograd;
    block_plan plan;
    int64_t units, blocks; /* for the number of tiles at hand */
    int64_t v_block;       /* elements of one block's V */
    ft_real *products;
    bool stream;
} winograd_job;

static int64_t block_start(const winograd_job *job, int64_t block) {
    int64_t tile = block * job->units / job->blocks * job->plan.unit;
    return tile < job->p->grid.tiles ? tile : job->p->grid.tiles;
}

ft_winograd_tile ft_winograd_tile_at(const ft_winograd_grid *g, int64_t tile) {
    int64_t row = tile / g->cols;
    int32_t i = (int32_t)(row % g->rows), j = (int32_t)(tile % g->cols);
    return (ft_winograd_tile){row / g->rows, g->y0 + i * g->mh, g->x0 + j * g->mw, i * g->sh, j * g->sw};
}

static void transform_block(const winograd_job *job, int64_t block, ft_real *v) {
    const ft_winograd_pass *p = job->p;
    const ft_winograd_grid *g = &p->grid;
    int64_t first = block_start(job, block), n = block_start(job, block + 1) - first, step = n * p->kc + LINE;
    for (int64_t i = 0; i < n; i++) {
        ft_winograd_tile at = ft_winograd_tile_at(g, first + i);
        ft_winograd_touch(p->src, at.image, at.from_y - p->top, at.from_x - p->left + g->nw - g->sw, g->nh,
                          g->sw, p->src_channel, p->kc);
    }
    for (int64_t i = 0; i < n; i++) {
        ft_winograd_tile at = ft_winograd_tile_at(g, first + i);
        const ft_real *d[FT_WINOGRAD_MOST_POINTS];
        ft_winograd_point(p->src, at.image, at.from_y - p->top, at.from_x - p->left, g->nh, g->nw,
                          p->src_channel, p->zeros, d);
        job->winograd->data(g->form, p->kc, d, p->start, v + i * p->kc, step);
    }
}

static void finish_tile(const winograd_job *job, int64_t tile, int32_t j0, int32_t cols, const ft_real *from,
                        int64_t step, ft_moment_sums *moments) {
    const ft_winograd_pass *p = job->p;
    const ft_winograd_grid *g = &p->grid;
    const ft_view *d = p->dst;
    ft_winograd_tile at = ft_winograd_tile_at(g, tile);
    ft_real *first = d->p + ((at.image * d->h + at.y) * d->w + at.x) * d->ld + p->dst_channel + j0;
    ft_real *y[FT_WINOGRAD_MOST_OUTPUTS];
    for (int32_t i = 0; i < g->mh; i++)
        for (int32_t j = 0; j < g->mw; j++) {
            bool inside = at.y + i >= 0 && at.x + j >= 0 && at.y + i < g->h && at.x + j < g->w;
            y[i * g->mw + j] = inside ? first + ((int64_t)i * d->w + j) * d->ld : NULL;
        }
    ft_finish finish = ft_finish_at(&p->finish, j0);
    finish.moments = moments;
    finish.stream = job->stream;
    job->winograd->output(g->form, cols, from, step, y, &finish);
}

static int32_t pixels_of(const ft_winograd_grid *g, int64_t tile) {
    ft_winograd_tile at = ft_winograd_tile_at(g, tile);
    int32_t h = g->h - at.y < g->mh ? g->h - at.y : g->mh, w = g->w - at.x < g->mw ? g->w - at.x : g->mw;
    return h * w;
}

/* n tiles, whose products lie `width` apart. */
static void finish_unit(const winograd_job *job, int64_t first, int32_t n, int32_t j0, int32_t cols,
                        const ft_real *products, int32_t width, int64_t step) {
    const ft_winograd_pass *p = job->p;
    int64_t chunk = first / job->plan.unit, pixels = 0;
    ft_moment_sums sums;
    if (p->moments) sums = ft_moments_begin(p->moments, chunk, p->dst_channel + j0, cols);
    for (int32_t i = 0; i < n; i++) {
        finish_tile(job, first + i, j0, cols, products + (int64_t)i * width, step, p->moments ? &sums : NULL);
        pixels += pixels_of(&p->grid, first + i);
    }
    if (p->moments) ft_moments_end(p->moments, chunk, pixels, cols, &sums);
}

static void touch_outputs(const winograd_job *job, int64_t tile, int64_t n, int32_t j0, int32_t cols) {
    const ft_winograd_pass *p = job->p;
    for (int64_t i = 0; i < n; i++) {
        ft_winograd_tile at = ft_winograd_tile_at(&p->grid, tile + i);
        ft_winograd_touch(p->dst, at.image, at.y, at.x, p->grid.mh, p->grid.mw, p->dst_channel + j0, cols);
    }
}

static void run_panel(const winograd_job *job, int64_t block, int32_t panel, const ft_real *v,
                      ft_real *products) {
    const ft_winograd_pass *p = job->p;
    int64_t first = block_start(job, block);
    int32_t n = (int32_t)(block_start(job, block + 1) - first);
    int32_t nr = job->conv->nr, j0 = panel * nr, cols = p->cols - j0 < nr ? p->cols - j0 : nr;
    int32_t width = cols <= nr / 2 ? nr / 2 : nr;
    int64_t v_step = (int64_t)n * p->kc + LINE, step = (int64_t)n * width + LINE;
    ft_product t = {.rows = n, .kc = p->kc, .cols = width, .lda = p->kc, .ldc = width, .narrow = width < nr};
    const ft_real *u = p->u + (int64_t)j0 * p->grid.weights * p->kc;
    for (int32_t matrix = 0; matrix < p->grid.weights; matrix++, u += (int64_t)p->kc * width) {
        ft_winograd_point_set s = ft_winograd_points_of(&p->grid, matrix);
        t.b = u;
        for (int32_t i = 0; i < ft_winograd_set_size(&s); i++) {
            t.a = v + ft_winograd_set_point(&s, i) * v_step;
            t.c = products + ft_winograd_set_point(&s, i) * step;
            job->conv->product(&t);
        }
    }
    if (p->finish.accumulate) touch_outputs(job, first, n, j0, cols);
    for (int32_t i = 0, unit = job->plan.unit; i < n; i += unit)
        finish_unit(job, first + i, n - i < unit ? n - i : unit, j0, cols, products + (int64_t)i * width,
                    width, step);
}

static void run_block(void *ctx, int64_t task, int32_t thread) {
    const winograd_job *job = ctx;
    const block_plan *b = &job->plan;
    int64_t block = task / b->groups, group = task % b->groups;
    bool shared = b->groups > 1;
    ft_real *v = job->p->scratch + (shared ? block : thread) * job->v_block;
    ft_real *products = job->products + thread * v_size(&job->p->grid, b->most, job->conv->nr);
    if (!shared) transform_block(job, block, v);
    int32_t end = (int32_t)((group + 1) * b->panels / b->groups);
    for (int32_t panel = (int32_t)(group * b->panels / b->groups); panel < end; panel++)
        run_panel(job, block, panel, v, products);
}

static void share_block(void *ctx, int64_t block, int32_t thread) {
    (void)thread;
    const winograd_job *job = ctx;
    transform_block(job, block, job->p->scratch + block * job->v_block);
}

void ft_winograd_run(const ft_winograd_pass *p) {
    winograd_job job = {.p = p, .conv = ft_conv_kernels_get(), .winograd = ft_winograd_kernels_get()};
    if (p->grid.tiles == 0) return;
    job.plan = plan_blocks(&p->grid, p->kc, p->cols);
    job.stream = !p->finish.accumulate && ft_may_stream(p->dst, p->dst_channel);
    job.units = ft_ceil_div(p->grid.tiles, job.plan.unit);
    job.blocks = ft_ceil_div(job.units, job.plan.most / job.plan.unit);
    if (p->moments) ft_moments_skip(p->moments, job.units);
    job.v_block = v_size(&p->grid, job.plan.most, p->kc);
    job.products = p->scratch + job.v_block * (job.plan.groups > 1 ? job.plan.blocks : p->lanes);
    if (job.plan.groups > 1) ft_par_for(job.blocks, share_block, &job);
    ft_par_for_last(job.blocks * job.plan.groups, p->lanes, run_block, &job);
}

/* Products over gathered pixels: forward convolution and its input gradient (conv_pass.h).
 *
 * Work is cut into blocks of tiles; inside a block one packed panel serves all tiles before the next is
 * touched, so that the panel comes from the second-level cache and the pixels from the first.
 */
#include "layers/conv_pass.h"
#include "tensor/par.h"

enum { BLOCK_TILES = 8, BLOCK_POINTERS = 8192, WANTED_TASKS = 24, EVEN = 4 };

size_t ft_conv_packed_size(int32_t taps, int32_t kc, int32_t cols) {
    int32_t nr = ft_conv_kernels_get()->nr, rest = cols % nr;
    int64_t width = cols - rest + (rest == 0 ? 0 : rest <= nr / 2 ? nr / 2 : nr);
    return (size_t)(width * taps * kc);
}

typedef struct pack_job {
    ft_real *packed;
    const ft_real *w;
    int32_t taps, kc, cols, nr;
    int64_t tap_step, k_step, j_step;
} pack_job;

static void pack_panel(void *ctx, int64_t panel, int32_t thread) {
    (void)thread;
    const pack_job *p = ctx;
    int32_t j0 = (int32_t)panel * p->nr, rest = p->cols - j0 < p->nr ? p->cols - j0 : p->nr;
    int32_t width = rest <= p->nr / 2 ? p->nr / 2 : p->nr;
    ft_real *to = p->packed + (int64_t)j0 * p->taps * p->kc;
    for (int32_t t = 0; t < p->taps; t++)
        for (int32_t k = 0; k < p->kc; k++, to += width) {
            const ft_real *from = p->w + t * p->tap_step + k * p->k_step + j0 * p->j_step;
            for (int32_t j = 0; j < rest; j++) to[j] = from[j * p->j_step];
            for (int32_t j = rest; j < width; j++) to[j] = 0;
        }
}

void ft_conv_pack(ft_real *packed, const ft_real *w, int32_t taps, int32_t kc, int32_t cols, int64_t tap_step,
                  int64_t k_step, int64_t j_step) {
    pack_job p = {packed, w, taps, kc, cols, ft_conv_kernels_get()->nr, tap_step, k_step, j_step};
    ft_par_for(ft_ceil_div(cols, p.nr), pack_panel, &p);
}

typedef struct gather_job {
    ft_gather g; /* taps of a row fused where that is possible */
    const ft_conv_kernels *kern;
    int64_t pixels, tiles, blocks;
    int32_t panels, groups;
    bool stream;
    int32_t dy_min, dy_max, dx_min, dx_max; /* of the taps, 0 included */
    int64_t offset[FT_MAX_TAPS];            /* of a tap from its pixel, elements */
} gather_job;

/* Taps side by side in a row of an unpadded image with nothing between its pixels are one tap of more
 * channels: the stem's three taps of 3 channels become one of 9. */
static void fuse_taps(ft_gather *g) {
    if (g->src->ld != g->kc || g->src_channel != 0) return;
    for (int32_t t = 0; t < g->taps; t++)
        if (g->dx[t] < 0 || g->sx * (g->gw - 1) + g->dx[t] >= g->src->w) return;
    int32_t run = 1; /* every row of taps must be of the same length */
    while (run < g->taps && g->dy[run] == g->dy[0]) run++;
    for (int32_t t = 0; t < g->taps; t++)
        if (t % run != 0
                ? g->dy[t] != g->dy[t - 1] || g->dx[t] != g->dx[t - 1] + 1 || g->b[t] != g->b[t - 1] + 1
                : g->b[t] % run != 0)
            return;
    if (run == 1 || g->taps % run != 0) return;
    g->taps /= run;
    for (int32_t t = 0; t < g->taps; t++) {
        g->dy[t] = g->dy[t * run];
        g->dx[t] = g->dx[t * run];
        g->b[t] = g->b[t * run] / run;
    }
    g->kc *= run;
    g->packed_taps /= run;
}

/* Rows of tile i: the pixels are dealt out evenly, so that no tile is a thin remainder. */
static int64_t tile_start(const gather_job *job, int64_t i) {
    return i * job->pixels / job->tiles;
}

/* Where the window of taps lies around its pixel, and how far each tap is from it in memory. */
static void measure_taps(gather_job *job) {
    const ft_gather *g = &job->g;
    for (int32_t t = 0; t < g->taps; t++) {
        job->offset[t] = ((int64_t)g->dy[t] * g->src->w + g->dx[t]) * g->src->ld;
        if (g->dy[t] < job->dy_min) job->dy_min = g->dy[t];
        if (g->dy[t] > job->dy_max) job->dy_max = g->dy[t];
        if (g->dx[t] < job->dx_min) job->dx_min = g->dx[t];
        if (g->dx[t] > job->dx_max) job->dx_max = g->dx[t];
    }
}

/* Pointers of one pixel, every `rows`-th of a: into the source where the tap is inside, else to the zeros. */
static void point_pixel(const gather_job *job, int64_t image, int32_t i, int32_t j, int32_t rows,
                        const ft_real **a) {
    const ft_gather *g = &job->g;
    const ft_view *s = g->src;
    int32_t y = g->sy * i, x = g->sx * j;
    const ft_real *at = s->p + ((image * s->h + y) * s->w + x) * s->ld + g->src_channel;
    if (y + job->dy_min >= 0 && y + job->dy_max < s->h && x + job->dx_min >= 0 && x + job->dx_max < s->w) {
        for (int32_t t = 0; t < g->taps; t++) a[t * rows] = at + job->offset[t];
        return;
    }
    for (int32_t t = 0; t < g->taps; t++) {
        int32_t ty = y + g->dy[t], tx = x + g->dx[t];
        a[t * rows] = ty >= 0 && ty < s->h && tx >= 0 && tx < s->w ? at + job->offset[t] : g->zeros;
    }
}

/* Row pointers of one tile: a[tap][row] into the source or the zeros, c[row] into the destination. */
static void point(const gather_job *job, int64_t first, int32_t rows, const ft_real **a, ft_real **c) {
    const ft_gather *g = &job->g;
    const ft_view *d = g->dst;
    int64_t line = first / g->gw, image = line / g->gh;
    int32_t j = (int32_t)(first % g->gw), i = (int32_t)(line % g->gh);
    for (int32_t r = 0; r < rows; r++) {
        int64_t to = (image * d->h + g->y0 + (int64_t)g->ystep * i) * d->w + g->x0 + (int64_t)g->xstep * j;
        c[r] = d->p + to * d->ld + g->dst_channel;
        point_pixel(job, image, i, j, rows, a + r);
        if (++j < g->gw) continue;
        j = 0;
        if (++i < g->gh) continue;
        i = 0;
        image++;
    }
}

static int32_t tile_rows(const gather_job *job, int64_t i) {
    return (int32_t)(tile_start(job, i + 1) - tile_start(job, i));
}

static void run_panel(const gather_job *job, int64_t block, int32_t panel, int64_t first_tile,
                      int32_t n_tiles, const ft_real **a, ft_real **c) {
    const ft_gather *g = &job->g;
    int32_t nr = job->kern->nr, j0 = panel * nr;
    int32_t cols = g->cols - j0 < nr ? g->cols - j0 : nr, width = cols <= nr / 2 ? nr / 2 : nr;
    const ft_real *packed = g->packed + (int64_t)j0 * g->packed_taps * g->kc, *b[FT_MAX_TAPS];
    for (int32_t t = 0; t < g->taps; t++) b[t] = packed + (int64_t)g->b[t] * g->kc * width;
    ft_conv_tile tile = {.cols = cols,
                         .taps = g->taps,
                         .kc = g->kc,
                         .b = b,
                         .narrow = width < nr,
                         .finish = ft_finish_at(&g->finish, j0)};
    tile.finish.stream = job->stream;
    ft_moment_sums sums;
    if (g->moments) {
        sums = ft_moments_begin(g->moments, block, g->dst_channel + j0, cols);
        tile.finish.moments = &sums;
    }
    ft_real *to[FT_TILE_ROWS];
    for (int32_t i = 0; i < n_tiles; i++) {
        tile.rows = tile_rows(job, first_tile + i);
        for (int32_t r = 0; r < tile.rows; r++) to[r] = c[r] + j0;
        tile.a = a;
        tile.c = to;
        job->kern->tile(&tile);
        a += g->taps * tile.rows;
        c += tile.rows;
    }
    int64_t rows = tile_start(job, first_tile + n_tiles) - tile_start(job, first_tile);
    if (g->moments) ft_moments_end(g->moments, block, rows, cols, &sums);
}

static void run_block(void *ctx, int64_t task, int32_t thread) {
    (void)thread;
    const gather_job *job = ctx;
    int64_t block = task / job->groups, group = task % job->groups;
    int64_t first = block * job->tiles / job->blocks;
    int32_t n = (int32_t)((block + 1) * job->tiles / job->blocks - first);
    const ft_real *a[BLOCK_POINTERS];
    ft_real *c[BLOCK_TILES * FT_TILE_ROWS];
    const ft_real **pa = a;
    ft_real **pc = c;
    for (int32_t i = 0; i < n; i++) {
        int64_t start = tile_start(job, first + i);
        int32_t rows = (int32_t)(tile_start(job, first + i + 1) - start);
        point(job, start, rows, pa, pc);
        pa += job->g.taps * rows;
        pc += rows;
    }
    int32_t begin = (int32_t)(group * job->panels / job->groups),
            end = (int32_t)((group + 1) * job->panels / job->groups);
    for (int32_t p = begin; p < end; p++) run_panel(job, block, p, first, n, a, c);
}

static int64_t block_count(int32_t taps, int64_t tiles) {
    int32_t pointers = (taps > 0 ? taps : 1) * ft_conv_kernels_get()->mr;
    int32_t block_tiles = BLOCK_POINTERS / pointers < BLOCK_TILES ? BLOCK_POINTERS / pointers : BLOCK_TILES;
    int64_t blocks = ft_ceil_div(ft_ceil_div(tiles, block_tiles), EVEN) * EVEN;
    return blocks < tiles ? blocks : tiles;
}

int64_t ft_gather_chunks(int32_t taps, int64_t pixels) {
    return block_count(taps, ft_ceil_div(pixels, ft_conv_kernels_get()->mr));
}

void ft_gather_run(const ft_gather *g) {
    gather_job job = {.g = *g, .kern = ft_conv_kernels_get()};
    job.pixels = (int64_t)g->dst->n * g->gh * g->gw;
    if (job.pixels == 0) return;
    if (ft_is_pointwise(g)) {
        ft_pointwise_run(g);
        return;
    }
    fuse_taps(&job.g);
    measure_taps(&job);
    job.tiles = ft_ceil_div(job.pixels, job.kern->mr);
    job.stream = !g->finish.accumulate && ft_may_stream(g->dst, g->dst_channel);
    job.blocks = block_count(job.g.taps, job.tiles);
    if (g->moments) ft_moments_skip(g->moments, job.blocks);
    job.panels = (int32_t)ft_ceil_div(g->cols, job.kern->nr);
    int64_t groups = job.blocks < WANTED_TASKS ? ft_ceil_div(WANTED_TASKS, job.blocks) : 1;
    job.groups = groups < job.panels ? (int32_t)groups : job.panels;
    if (g->ystep == 1 && g->xstep == 1)
        ft_par_for_last(job.blocks * job.groups, ft_threads(), run_block, &job);
    else /* the other phases are still to come */
        ft_par_for(job.blocks * job.groups, run_block, &job);
}

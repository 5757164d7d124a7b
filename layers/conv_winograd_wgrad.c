/* The weight gradient by Winograd (conv_winograd.h), the transpose of the forward algorithm:
 *
 *     dw = G^T [ sum over tiles of (B^T x B) . (A dy A^T) ] G
 *
 * The tiles are cut into splits, each with a dU of its own, which are added up in order at the end and
 * transformed back. A split is worked on a block of tiles at a time: they are transformed, and every point's
 * product V^T Y is added to dU. With strides several points' products make up one of dU's matrices.
 *
 * Many tiles make enough splits for all threads, each with blocks of its own. Else the threads share a block:
 * they transform its tiles, then each adds up its part of dU.
 *
 * What decides the speed, by measurement: a tile of dU is loaded and stored once for a block, so blocks are
 * large, although V and Y then leave the second-level cache; the more so with strides, where a matrix of dU
 * has few products. While they are multiplied, what is read next is asked for.
 * Splits depend on shapes alone: they decide the order of additions. Blocks and threads do not.
 */
#include "layers/conv_pass.h"
#include "layers/conv_winograd.h"
#include "tensor/kernels.h"
#include "tensor/par.h"

#include <string.h>

enum {
    MAX_TILES = 64, /* in a block of square ones, */
    MAX_LINE_TILES = 88,
    MAX_SHARED_TILES = 192,
    MAX_SHARED = 8 << 20,  /* elements of V and Y of a block with more than MAX_TILES */
    TILES_PER_SPLIT = 640, /* of square ones, */
    LINE_TILES_PER_SPLIT = 320,
    MAX_SPLITS = 16,
    MANY = 4,        /* tasks for each lane, of which one more or less does not matter */
    CHUNK_TILES = 4, /* of a shared block, that a task transforms */
    ROWS_CHUNK = 4,  /* rows of weights that a task transforms back */
    LINE = 16 /* elements between the points of a tile, so that they do not all fall into one cache set */
};

typedef struct cut {
    int32_t splits, tiles; /* tiles in a block */
    bool shared;           /* by all lanes is a block */
} cut;

static int64_t most_tiles(const ft_winograd_grid *g, int32_t rows, int32_t cols, bool shared) {
    if (!shared) return ft_winograd_is_square(g->form) ? MAX_TILES : MAX_LINE_TILES;
    int64_t most = MAX_SHARED / ((int64_t)g->points * (rows + cols));
    return most < MAX_TILES ? MAX_TILES : most > MAX_SHARED_TILES ? MAX_SHARED_TILES : most;
}

static cut make_cut(const ft_winograd_grid *g, int32_t rows, int32_t cols, int32_t lanes) {
    int64_t splits = g->planned / (ft_winograd_is_square(g->form) ? TILES_PER_SPLIT : LINE_TILES_PER_SPLIT);
    splits = splits < 1 ? 1 : splits > MAX_SPLITS ? MAX_SPLITS : splits;
    cut c = {.splits = (int32_t)splits};
    c.shared = splits == 1 || (splits % lanes != 0 && splits < MANY * lanes);
    int64_t tiles = ft_ceil_div(g->planned, splits),
            blocks = ft_ceil_div(tiles, most_tiles(g, rows, cols, c.shared));
    c.tiles = (int32_t)ft_ceil_div(tiles, blocks > 0 ? blocks : 1);
    return c;
}

/* A point's V and Y of a block. */
static int64_t point_size(const cut *c, int32_t rows, int32_t cols) {
    int32_t nr = ft_conv_kernels_get()->nr;
    return c->tiles * (rows + ft_ceil_div(cols, nr) * nr) + LINE;
}

size_t ft_winograd_wgrad_scratch(const ft_winograd_grid *g, int32_t rows, int32_t cols, int32_t lanes) {
    cut c = make_cut(g, rows, cols, lanes);
    return (size_t)((int64_t)c.splits * g->weights * rows * cols +
                    (c.shared ? 1 : lanes) * g->points * point_size(&c, rows, cols));
}

typedef struct wgrad_job {
    const ft_winograd_wgrad *p;
    const ft_conv_kernels *conv;
    const ft_winograd_kernels *winograd;
    cut cut;
    int32_t row_tiles, panels; /* of the products: calls of the kernel for a matrix */
    int64_t weights;           /* elements of one of dU's matrices */
    int64_t step, panel;       /* elements from one point, and panel of Y, to the next */
    ft_real *u, *blocks;
} wgrad_job;

/* Tiles [first, first + n) of a split that ends at `end`: their V [tile][rows] and Y [panel][tile][nr] of
 * every point, and the dU that the products are added to. */
typedef struct block {
    int64_t first, end;
    int32_t n;
    ft_real *v, *y, *u;
    bool accumulate; /* else dU is overwritten */
} block;

static int64_t split_start(const wgrad_job *job, int64_t split) {
    return split * job->p->grid.tiles / job->cut.splits;
}

/* The block of a split that begins with tile `first`, which may be the split's end if that has none at all.
 */
static block block_at(const wgrad_job *job, int64_t split, int64_t first, int32_t lane) {
    const ft_winograd_grid *g = &job->p->grid;
    block b = {.first = first,
               .end = split_start(job, split + 1),
               .v = job->blocks + lane * g->points * job->step,
               .u = job->u + split * g->weights * job->weights,
               .accumulate = first > split_start(job, split)};
    b.y = b.v + (int64_t)job->cut.tiles * job->p->rows;
    b.n = (int32_t)(b.end - first < job->cut.tiles ? b.end - first : job->cut.tiles);
    return b;
}

static void touch_tile(const ft_winograd_wgrad *p, int64_t tile) {
    const ft_winograd_grid *g = &p->grid;
    ft_winograd_tile t = ft_winograd_tile_at(g, tile);
    ft_winograd_touch(p->x, t.image, t.from_y - p->top, t.from_x - p->left + g->nw - g->sw, g->nh, g->sw,
                      p->x_channel, p->rows);
    ft_winograd_touch(p->dy, t.image, t.y, t.x, g->mh, g->mw, p->dy_channel, p->cols);
}

static void transform_tile(const wgrad_job *job, const block *b, int32_t i) {
    const ft_winograd_wgrad *p = job->p;
    const ft_winograd_grid *g = &p->grid;
    ft_winograd_tile t = ft_winograd_tile_at(g, b->first + i);
    const ft_real *at[FT_WINOGRAD_MOST_POINTS];
    ft_winograd_point(p->x, t.image, t.from_y - p->top, t.from_x - p->left, g->nh, g->nw, p->x_channel,
                      p->zeros, at);
    job->winograd->data(g->form, p->rows, at, p->start, b->v + (int64_t)i * p->rows, job->step);
    ft_winograd_point(p->dy, t.image, t.y, t.x, g->mh, g->mw, p->dy_channel, p->zeros, at);
    job->winograd->output_gradient(g->form, p->cols, at, b->y + (int64_t)i * job->conv->nr, job->step,
                                   job->panel);
}

static void transform_tiles(const wgrad_job *job, const block *b, int32_t first, int32_t end) {
    for (int32_t i = first; i < end; i++) touch_tile(job->p, b->first + i);
    for (int32_t i = first; i < end; i++) transform_tile(job, b, i);
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
static void plan_tiles(const wgrad_job *job, int64_t first, int64_t end, int64_t pixels, ft_ahead ahead[2]) {
    const ft_winograd_wgrad *p = job->p;
    const ft_winograd_grid *g = &p->grid;
    ft_winograd_tile a = ft_winograd_tile_at(g, first), b = ft_winograd_tile_at(g, end - 1);
    ahead[0] = lines_ahead(p->x, a.image, a.from_y - p->top, b.image, b.from_y - p->top + g->nh, p->x_channel,
                           p->rows, pixels);
    ahead[1] = lines_ahead(p->dy, a.image, a.y, b.image, b.y + g->mh, p->dy_channel, p->cols, pixels);
}

/* V and Y of the next matrix's points, while so many row tiles of this one are worked on. Points of the last
 * row or column lie side by side. */
static void plan_next_matrix(const wgrad_job *job, const block *b, int32_t matrix, int64_t row_tiles,
                             ft_ahead ahead[2]) {
    const ft_winograd_grid *g = &job->p->grid;
    ft_winograd_point_set now = ft_winograd_points_of(g, matrix), next = ft_winograd_points_of(g, matrix + 1);
    ahead[0] = ft_ahead_plan(b->v + next.first * job->step, next.row * job->step, next.columns * job->step,
                             next.rows, row_tiles * job->panels * ft_winograd_set_size(&now) * b->n);
    ahead[1] = (ft_ahead){.p = b->v};
}

/* Adds the products of one of dU's matrices up, for row tiles [first, end). */
static void add_products(const wgrad_job *job, const block *b, int32_t matrix, int32_t first, int32_t end,
                         ft_ahead ahead[2]) {
    const ft_winograd_wgrad *p = job->p;
    const int32_t nr = job->conv->nr;
    ft_winograd_point_set s = ft_winograd_points_of(&p->grid, matrix);
    ft_wgrad_run runs[FT_WINOGRAD_MOST_POINTS];
    for (int32_t i = 0; i < ft_winograd_set_size(&s); i++) {
        int64_t at = ft_winograd_set_point(&s, i) * job->step;
        runs[i] = (ft_wgrad_run){b->v + at, b->y + at, b->n};
    }
    ft_wgrad_tile t = {.runs = runs,
                       .n_runs = ft_winograd_set_size(&s),
                       .x_step = p->rows,
                       .dy_step = nr,
                       .ldw = p->cols,
                       .accumulate = b->accumulate,
                       .ahead = ahead};
    ft_real *u = b->u + matrix * job->weights;
    for (int32_t k = first; k < end; k++) {
        int32_t row = (int32_t)((int64_t)k * p->rows / job->row_tiles);
        t.rows = (int32_t)((int64_t)(k + 1) * p->rows / job->row_tiles) - row;
        t.x_offset = row;
        for (int32_t j = 0; j < p->cols; j += nr) {
            t.cols = p->cols - j < nr ? p->cols - j : nr;
            t.dy_offset = j / nr * job->panel;
            t.dw = u + (int64_t)row * p->cols + j;
            bool last = j + t.cols >= p->cols; /* then the next row of tiles, or matrix, follows */
            t.next = last ? t.dw - j + (int64_t)t.rows * p->cols : t.dw + t.cols;
            job->conv->wgrad(&t);
        }
    }
}

/* ---- blocks of each thread's own ---- */

static void run_split(void *ctx, int64_t split, int32_t thread) {
    const wgrad_job *job = ctx;
    const ft_winograd_grid *g = &job->p->grid;
    int64_t first = split_start(job, split);
    do {
        block b = block_at(job, split, first, thread);
        first += b.n;
        int64_t next_end = first + job->cut.tiles < b.end ? first + job->cut.tiles : b.end;
        transform_tiles(job, &b, 0, b.n);
        ft_ahead ahead[2];
        if (first < b.end)
            plan_tiles(job, first, next_end, (int64_t)job->row_tiles * job->panels * g->points * b.n, ahead);
        for (int32_t matrix = 0; matrix < g->weights; matrix++) {
            if (first == b.end) plan_next_matrix(job, &b, matrix, job->row_tiles, ahead);
            add_products(job, &b, matrix, 0, job->row_tiles, ahead);
        }
    } while (first < split_start(job, split + 1));
}

/* ---- a block that threads share ---- */

typedef struct shared_job {
    const wgrad_job *job;
    block block;
    int32_t lanes;
} shared_job;

static void transform_chunk(void *ctx, int64_t chunk, int32_t thread) {
    (void)thread;
    const shared_job *s = ctx;
    int32_t first = (int32_t)chunk * CHUNK_TILES, end = first + CHUNK_TILES;
    transform_tiles(s->job, &s->block, first, end < s->block.n ? end : s->block.n);
}

/* How many of a matrix's row tiles begin before unit `end` of all the work, if the first begins with unit
 * `first`; each is `size` units. */
static int32_t tiles_before(const wgrad_job *job, int64_t end, int64_t first, int32_t size) {
    if (end <= first) return 0;
    int64_t tiles = ft_ceil_div(end - first, size);
    return tiles < job->row_tiles ? (int32_t)tiles : job->row_tiles;
}

/* Every lane gets as many products of a point's row tile. */
static void add_share(void *ctx, int64_t lane, int32_t thread) {
    (void)thread;
    const shared_job *s = ctx;
    const wgrad_job *job = s->job;
    const ft_winograd_grid *g = &job->p->grid;
    int64_t all = (int64_t)job->row_tiles * g->points, at = 0;
    for (int32_t matrix = 0; matrix < g->weights; matrix++) {
        ft_winograd_point_set points = ft_winograd_points_of(g, matrix);
        int32_t size = ft_winograd_set_size(&points);
        int32_t first = tiles_before(job, lane * all / s->lanes, at, size),
                end = tiles_before(job, (lane + 1) * all / s->lanes, at, size);
        at += (int64_t)job->row_tiles * size;
        if (first == end) continue;
        ft_ahead ahead[2];
        plan_next_matrix(job, &s->block, matrix, end - first, ahead);
        add_products(job, &s->block, matrix, first, end, ahead);
    }
}

static void run_shared(const wgrad_job *job, int64_t split, int32_t lanes) {
    int64_t first = split_start(job, split);
    do {
        shared_job s = {.job = job, .block = block_at(job, split, first, 0), .lanes = lanes};
        first += s.block.n;
        ft_par_for(ft_ceil_div(s.block.n, CHUNK_TILES), transform_chunk, &s);
        ft_par_for_lanes(lanes, lanes, add_share, &s);
    } while (first < split_start(job, split + 1));
}

static void transform_back(void *ctx, int64_t chunk, int32_t thread) {
    (void)thread;
    const wgrad_job *job = ctx;
    const ft_winograd_wgrad *p = job->p;
    const ft_winograd_grid *g = &p->grid;
    int64_t end = (chunk + 1) * ROWS_CHUNK < p->rows ? (chunk + 1) * ROWS_CHUNK : p->rows;
    int64_t first = chunk * ROWS_CHUNK * p->cols, n = end * p->cols - first;
    for (int32_t split = 1; split < job->cut.splits; split++)
        for (int32_t matrix = 0; matrix < g->weights; matrix++) {
            ft_real *sum = job->u + matrix * job->weights + first;
            const ft_real *part = sum + split * g->weights * job->weights;
            ft_row_kernels_get()->add(1, (int32_t)n, 1, part, n, sum, n, 1);
        }
    for (int64_t i = chunk * ROWS_CHUNK; i < end; i++)
        job->winograd->weight_gradient(g->form, p->cols, job->u + i * p->cols, job->weights,
                                       p->dw + i * p->ldw, p->rows * p->ldw, p->beta);
}

void ft_winograd_wgrad_run(const ft_winograd_wgrad *p) {
    wgrad_job job = {.p = p,
                     .conv = ft_conv_kernels_get(),
                     .winograd = ft_winograd_kernels_get(),
                     .cut = make_cut(&p->grid, p->rows, p->cols, p->lanes),
                     .weights = (int64_t)p->rows * p->cols,
                     .u = p->scratch};
    job.row_tiles = (int32_t)ft_ceil_div(p->rows, job.conv->mr);
    job.panels = (int32_t)ft_ceil_div(p->cols, job.conv->nr);
    job.step = point_size(&job.cut, p->rows, p->cols);
    job.panel = (int64_t)job.cut.tiles * job.conv->nr;
    job.blocks = job.u + job.cut.splits * p->grid.weights * job.weights;
    if (job.cut.shared)
        for (int64_t split = 0; split < job.cut.splits; split++) run_shared(&job, split, p->lanes);
    else
        ft_par_for_lanes(job.cut.splits, p->lanes, run_split, &job);
    ft_par_for(ft_ceil_div(p->rows, ROWS_CHUNK), transform_back, &job);
}

/* The weight gradient by Winograd (conv_winograd.h), the transpose of the forward algorithm:
 *
 *     dw = G^T [ sum over tiles of (B^T x B) . (A dy A^T) ] G
 *
 * A batch of tiles is transformed by all threads, then every point's product V^T Y over those tiles is added
 * to dU, again by all threads. Each number of dU is one thread's at a time and the batches come in order: no
 * partial sums, the same bits for any number of threads.
 */
#include "layers/conv_pass.h"
#include "layers/conv_winograd.h"
#include "tensor/kernels.h"
#include "tensor/par.h"

enum {
    BATCH_BYTES = 3 << 20, /* of V and Y: should stay in the last-level cache */
    MIN_TILES = 56,        /* fewer, and loading and storing dU costs too much */
    MAX_TILES = 768,
    CHUNK = 8, /* tiles that a task transforms */
    WANTED_TASKS = 64,
    ROWS_CHUNK = 8, /* rows of weights that a task transforms back */
    MAX_POINTS = 64,
    LINE = 16
};

static int32_t batch_tiles(const ft_winograd_grid *g, int32_t rows, int32_t cols) {
    int64_t n = BATCH_BYTES / ((int64_t)sizeof(float) * g->points * (rows + cols));
    n = n < MIN_TILES ? MIN_TILES : n > MAX_TILES ? MAX_TILES : n;
    int64_t batches = ft_ceil_div(g->planned, n);
    return (int32_t)ft_ceil_div(g->planned, batches > 0 ? batches : 1);
}

size_t ft_winograd_wgrad_scratch(const ft_winograd_grid *g, int32_t rows, int32_t cols) {
    int64_t tiles = batch_tiles(g, rows, cols);
    return (size_t)(g->points * (tiles * (rows + cols) + 2 * LINE + (int64_t)rows * cols));
}

typedef struct wgrad_job {
    const ft_winograd_wgrad *p;
    const ft_conv_kernels *conv;
    const ft_winograd_kernels *winograd;
    int64_t first;
    int32_t n; /* tiles of this batch */
    ft_real *v, *y, *u;
    int64_t v_step, y_step;
    int32_t row_tiles, groups;
} wgrad_job;

static void transform_chunk(void *ctx, int64_t chunk, int32_t thread) {
    (void)thread;
    const wgrad_job *job = ctx;
    const ft_winograd_wgrad *p = job->p;
    const ft_winograd_grid *g = &p->grid;
    int32_t end = (int32_t)(chunk + 1) * CHUNK < job->n ? (int32_t)(chunk + 1) * CHUNK : job->n;
    for (int32_t i = (int32_t)chunk * CHUNK; i < end; i++) {
        int64_t tile = job->first + i, row = tile / g->cols, image = row / g->rows;
        int32_t y = (int32_t)(row % g->rows) * g->mh, x = (int32_t)(tile % g->cols) * g->mw;
        const ft_real *at[MAX_POINTS];
        ft_winograd_point(p->x, image, y - p->top, x - p->left, g->nh, g->nw, p->x_channel, p->zeros, at);
        job->winograd->data(g->r, g->square, p->rows, at, job->v + (int64_t)i * p->rows, job->v_step);
        ft_winograd_point(p->dy, image, y, x, g->mh, g->mw, p->dy_channel, p->zeros, at);
        job->winograd->output_gradient(g->r, g->square, p->cols, at, job->y + (int64_t)i * p->cols,
                                       job->y_step);
    }
}

/* Some rows of one point's dU += V^T Y. */
static void add_products(void *ctx, int64_t task, int32_t thread) {
    (void)thread;
    const wgrad_job *job = ctx;
    const ft_winograd_wgrad *p = job->p;
    int64_t point = task / job->groups, group = task % job->groups;
    const ft_wgrad_run run = {job->v + point * job->v_step, job->y + point * job->y_step, job->n};
    ft_wgrad_tile t = {.runs = &run,
                       .n_runs = 1,
                       .x_step = p->rows,
                       .dy_step = p->cols,
                       .ldw = p->cols,
                       .accumulate = job->first > 0};
    ft_real *u = job->u + point * p->rows * p->cols;
    int64_t end = (group + 1) * job->row_tiles / job->groups;
    for (int64_t k = group * job->row_tiles / job->groups; k < end; k++) {
        t.x_offset = (int32_t)(k * p->rows / job->row_tiles);
        t.rows = (int32_t)((k + 1) * p->rows / job->row_tiles) - t.x_offset;
        for (int32_t j = 0; j < p->cols; j += job->conv->nr) {
            t.cols = p->cols - j < job->conv->nr ? p->cols - j : job->conv->nr;
            t.dy_offset = j;
            t.dw = u + (int64_t)t.x_offset * p->cols + j;
            job->conv->wgrad(&t);
        }
    }
}

static void transform_back(void *ctx, int64_t chunk, int32_t thread) {
    (void)thread;
    const wgrad_job *job = ctx;
    const ft_winograd_wgrad *p = job->p;
    int64_t weights = (int64_t)p->rows * p->cols;
    for (int64_t i = chunk * ROWS_CHUNK; i < p->rows && i < (chunk + 1) * ROWS_CHUNK; i++)
        job->winograd->weight_gradient(p->grid.r, p->grid.square, p->cols, job->u + i * p->cols, weights,
                                       p->dw + i * p->ldw, p->rows * p->ldw, p->beta);
}

void ft_winograd_wgrad_run(const ft_winograd_wgrad *p) {
    const ft_winograd_grid *g = &p->grid;
    wgrad_job job = {.p = p, .conv = ft_conv_kernels_get(), .winograd = ft_winograd_kernels_get()};
    int64_t most = batch_tiles(g, p->rows, p->cols);
    job.u = p->scratch;
    job.v = job.u + (int64_t)g->points * p->rows * p->cols;
    job.y = job.v + g->points * (most * p->rows + LINE);
    job.row_tiles = (int32_t)ft_ceil_div(p->rows, job.conv->mr);
    int64_t groups = ft_ceil_div(WANTED_TASKS, g->points);
    job.groups = (int32_t)(groups < job.row_tiles ? groups : job.row_tiles);
    for (job.first = 0; job.first < g->tiles; job.first += job.n) {
        job.n = (int32_t)(g->tiles - job.first < most ? g->tiles - job.first : most);
        job.v_step = (int64_t)job.n * p->rows + LINE;
        job.y_step = (int64_t)job.n * p->cols + LINE;
        ft_par_for(ft_ceil_div(job.n, CHUNK), transform_chunk, &job);
        ft_par_for((int64_t)g->points * job.groups, add_products, &job);
    }
    ft_par_for(ft_ceil_div(p->rows, ROWS_CHUNK), transform_back, &job);
}

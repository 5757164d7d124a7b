/* The weight gradient of convolution (conv_pass.h): dW_t = X_t^T dY, accumulators over input x output
 * channels, pixels inside.
 *
 * Work is cut twice: by shapes alone into `splits` ranges of output rows, each with a partial sum of its own,
 * and into `groups` ranges of (tap, input tile) pairs. Many pixels and few weights (the stem) give many
 * splits, the reverse gives many groups.
 */
#include "layers/conv_pass.h"
#include "tensor/kernels.h"
#include "tensor/par.h"

#include <string.h>

enum {
    BLOCK_PIXELS = 256, /* of x and dy that stay in the cache while every tile passes over them */
    MAX_RUNS = BLOCK_PIXELS,
    PIXELS_PER_SPLIT = 3000, /* below this, adding the partial sums costs more than 2 % */
    MAX_SPLITS = 32,
    MAX_PARTIAL = 4 << 20, /* elements of all partial sums together */
    LEAST_TASKS = 2,       /* for each thread; every group reads all of dy once more */
    MANY_TASKS = 8,        /* for each thread, of which one more or less does not matter */
    REDUCE_CHUNK = 1 << 14,
};

static int32_t n_splits(int64_t pixels, int64_t weights) {
    int64_t s = pixels / PIXELS_PER_SPLIT;
    if (s > MAX_SPLITS) s = MAX_SPLITS;
    if (s > MAX_PARTIAL / weights) s = MAX_PARTIAL / weights;
    return s < 1 ? 1 : (int32_t)s;
}

/* They change no sum, so they may depend on the threads: as few as give each the same. */
static int32_t n_groups(int32_t splits, int64_t pairs) {
    int64_t threads = ft_threads(), groups = ft_ceil_div(LEAST_TASKS * threads, splits);
    while (groups * splits % threads != 0 && groups * splits < MANY_TASKS * threads) groups++;
    return (int32_t)(groups < pairs ? groups : pairs);
}

size_t ft_conv_wgrad_scratch(int64_t pixels, int32_t taps, int32_t rows, int32_t cols) {
    int64_t weights = (int64_t)taps * rows * cols;
    int32_t s = n_splits(pixels, weights);
    return s > 1 ? (size_t)(s * weights) : 0;
}

typedef struct wgrad_job {
    const ft_conv_wgrad *p;
    const ft_conv_kernels *kern;
    int32_t taps, splits, groups, row_tiles;
    int64_t lines, block; /* output rows of all images; rows that are worked on at a time */
} wgrad_job;

/* The stretches of output lines [first, end) whose input pixel under tap t lies inside the image, neighbours
 * joined. */
static int32_t list_runs(const wgrad_job *job, int32_t tap, int64_t first, int64_t end, ft_wgrad_run *runs) {
    const ft_conv_wgrad *p = job->p;
    const ft_window *win = &p->win;
    const ft_view *x = p->x, *dy = p->dy;
    int32_t ky = tap / win->kw * win->dh - p->geo.top, kx = tap % win->kw * win->dw - p->geo.left;
    int32_t lo = kx < 0 ? (-kx + win->sw - 1) / win->sw : 0; /* columns ox with 0 <= ox*sw + kx < w */
    int32_t hi = x->w - kx <= 0 ? 0 : (x->w - kx - 1) / win->sw + 1;
    if (hi > dy->w) hi = dy->w;
    int32_t n = 0;
    for (int64_t line = first; line < end && lo < hi; line++) {
        int64_t image = line / dy->h, iy = line % dy->h * win->sh + ky;
        if (iy < 0 || iy >= x->h) continue;
        const ft_real *px =
            x->p + ((image * x->h + iy) * x->w + (int64_t)lo * win->sw + kx) * x->ld + p->x_channel;
        const ft_real *pd = dy->p + (line * dy->w + lo) * dy->ld + p->dy_channel;
        ft_wgrad_run *last = n ? &runs[n - 1] : NULL;
        if (last && last->x + last->count * win->sw * x->ld == px && last->dy + last->count * dy->ld == pd)
            last->count += hi - lo;
        else
            runs[n++] = (ft_wgrad_run){px, pd, hi - lo};
    }
    return n;
}

/* fetch_x, fetch_dy: nobody has asked for these pixels one block further on yet. */
static void run_tap(const wgrad_job *job, const ft_wgrad_run *runs, int32_t n_runs, int32_t tile, ft_real *dw,
                    int64_t ldw, bool fetch_x, bool fetch_dy) {
    const ft_conv_wgrad *p = job->p;
    int32_t i0 = (int32_t)((int64_t)tile * p->rows / job->row_tiles),
            i1 = (int32_t)((int64_t)(tile + 1) * p->rows / job->row_tiles);
    ft_wgrad_tile t = {.rows = i1 - i0,
                       .runs = runs,
                       .n_runs = n_runs,
                       .x_step = p->win.sw * p->x->ld,
                       .dy_step = p->dy->ld,
                       .x_offset = i0,
                       .ldw = ldw,
                       .accumulate = true};
    int64_t x_ahead = job->block * p->win.sh * p->x->w * p->x->ld;
    t.dy_ahead = fetch_dy ? job->block * p->dy->w * p->dy->ld : 0;
    for (int32_t j = 0; j < p->cols; j += job->kern->nr) {
        t.x_ahead = fetch_x && j == 0 ? x_ahead : 0;
        t.cols = p->cols - j < job->kern->nr ? p->cols - j : job->kern->nr;
        t.dy_offset = j;
        t.dw = dw + i0 * ldw + j;
        job->kern->wgrad(&t);
    }
}

static void run_task(void *ctx, int64_t task, int32_t thread) {
    (void)thread;
    const wgrad_job *job = ctx;
    const ft_conv_wgrad *p = job->p;
    int64_t split = task / job->groups, group = task % job->groups;
    int64_t first = split * job->lines / job->splits, end = (split + 1) * job->lines / job->splits;
    int64_t pairs = (int64_t)job->taps * job->row_tiles;
    int64_t begin_pair = group * pairs / job->groups, end_pair = (group + 1) * pairs / job->groups;
    bool partial = job->splits > 1;
    int64_t ldw = partial ? p->cols : p->ldw, tap_step = partial ? (int64_t)p->rows * p->cols : p->tap_step;
    ft_real *dw = partial ? p->scratch + split * job->taps * tap_step : p->dw;
    if (partial || p->beta == 0) {
        for (int64_t q = begin_pair; q < end_pair; q++) {
            int64_t tap = q / job->row_tiles, tile = q % job->row_tiles;
            for (int64_t i = tile * p->rows / job->row_tiles; i < (tile + 1) * p->rows / job->row_tiles; i++)
                memset(dw + tap * tap_step + i * ldw, 0, (size_t)p->cols * sizeof *dw);
        }
    }
    int32_t first_tap = (int32_t)(begin_pair / job->row_tiles);
    ft_wgrad_run runs[MAX_RUNS];
    for (int64_t line = first; line < end; line += job->block) {
        int64_t stop = line + job->block < end ? line + job->block : end;
        int32_t n = 0, listed = -1;
        for (int64_t q = begin_pair; q < end_pair; q++) {
            int32_t tap = (int32_t)(q / job->row_tiles), tile = (int32_t)(q % job->row_tiles);
            if (tap != listed) n = list_runs(job, listed = tap, line, stop, runs);
            if (n) run_tap(job, runs, n, tile, dw + tap * tap_step, ldw, tap == first_tap, q == begin_pair);
        }
    }
}

typedef struct reduce_job {
    const ft_conv_wgrad *p;
    int32_t splits;
    int64_t weights;
} reduce_job;

/* dw = beta*dw + partial sums, in the order of the splits. */
static void reduce(void *ctx, int64_t chunk, int32_t thread) {
    (void)thread;
    const reduce_job *r = ctx;
    const ft_conv_wgrad *p = r->p;
    int64_t lines = r->weights / p->cols, per = REDUCE_CHUNK / p->cols > 0 ? REDUCE_CHUNK / p->cols : 1;
    for (int64_t line = chunk * per; line < lines && line < (chunk + 1) * per; line++) {
        ft_real *dw = p->dw + line / p->rows * p->tap_step + line % p->rows * p->ldw;
        const ft_real *from = p->scratch + line * p->cols;
        for (int32_t j = 0; j < p->cols; j++) dw[j] = p->beta != 0 ? dw[j] + from[j] : from[j];
        for (int32_t s = 1; s < r->splits; s++) {
            from += r->weights;
            for (int32_t j = 0; j < p->cols; j++) dw[j] += from[j];
        }
    }
}

void ft_conv_wgrad_run(const ft_conv_wgrad *p) {
    wgrad_job job = {.p = p,
                     .kern = ft_conv_kernels_get(),
                     .taps = p->win.kh * p->win.kw,
                     .lines = (int64_t)p->dy->n * p->dy->h};
    int64_t weights = (int64_t)job.taps * p->rows * p->cols;
    job.block = BLOCK_PIXELS / p->dy->w > 0 ? BLOCK_PIXELS / p->dy->w : 1;
    job.row_tiles = (int32_t)ft_ceil_div(p->rows, job.kern->mr);
    job.splits = n_splits(ft_rows(p->dy), weights);
    if (job.splits > job.lines) job.splits = (int32_t)job.lines;
    job.groups = n_groups(job.splits, (int64_t)job.taps * job.row_tiles);
    ft_par_for((int64_t)job.splits * job.groups, run_task, &job);
    if (job.splits <= 1) return;
    reduce_job r = {p, job.splits, weights};
    ft_par_for(ft_ceil_div(weights / p->cols, REDUCE_CHUNK / p->cols > 0 ? REDUCE_CHUNK / p->cols : 1),
               reduce, &r);
}

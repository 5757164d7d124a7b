/* The weight gradient of convolution (conv_pass.h): dW_t = X_t^T dY, accumulators over input x output
 * channels, pixels inside.
 *
 * Work is cut twice: by shapes alone into `splits` ranges of output rows, each with a partial sum of its own,
 * and into `groups` ranges of (input tile, tap) pairs, the taps of a tile together because most of them read
 * the same pixels. Many pixels and few weights (the stem) give many splits, the reverse gives many groups.
 *
 * A task takes a block of pixels at a time. The kernel reads a few channels of every pixel, once for each
 * tile: pixel by pixel that may be a page of memory, or the same cache set, each time. So a block is dealt
 * out to panels first, a tile's channels side by side: dy, and x where tiles are small. A large tile works so
 * long on a pixel that its few numbers of x come in time from anywhere.
 */
#include "layers/conv_pass.h"
#include "tensor/kernels.h"
#include "tensor/par.h"

#include <string.h>

enum {
    BLOCK_PIXELS = 256,       /* of x and dy that stay in the cache while every tile passes over them */
    LARGE_BLOCK_PIXELS = 384, /* where tiles are large */
    MAX_RUNS = LARGE_BLOCK_PIXELS,
    DEAL_CHANNELS = 96,      /* of x that are dealt at a time: they, dy and dw share the second-level cache */
    LEAST_ROWS = 32,         /* channels of x that dealing pays */
    LEAST_PANELS = 6,        /* and of dy */
    PANEL_GAP = FT_LINE,     /* so that panels do not all begin in one cache set */
    PIXELS_PER_SPLIT = 3000, /* below this, adding the partial sums costs more than 2 % */
    MAX_SPLITS = 32,
    MAX_PARTIAL = 4 << 20, /* elements of all partial sums together */
    LEAST_TASKS = 1,       /* for each lane; every group reads all of dy once more */
    MANY_TASKS = 8,        /* for each lane, of which one more or less does not matter */
    REDUCE_CHUNK = 1 << 14,
};

static int32_t n_splits(int64_t pixels, int64_t weights) {
    int64_t s = pixels / PIXELS_PER_SPLIT;
    if (s > MAX_SPLITS) s = MAX_SPLITS;
    if (s > MAX_PARTIAL / weights) s = MAX_PARTIAL / weights;
    return s < 1 ? 1 : (int32_t)s;
}

/* They change no sum, so they may depend on the threads: as few as give each the same. */
static int32_t n_groups(int32_t splits, int64_t pairs, int32_t lanes) {
    int64_t groups = ft_ceil_div(LEAST_TASKS * lanes, splits);
    while (groups * splits % lanes != 0 && groups * splits < MANY_TASKS * lanes) groups++;
    return (int32_t)(groups < pairs ? groups : pairs);
}

/* Output lines that are worked on at a time. */
static int64_t block_lines(int32_t width) {
    int64_t lines = (ft_has_large_tile() ? LARGE_BLOCK_PIXELS : BLOCK_PIXELS) / width;
    return lines > 0 ? lines : 1;
}

static bool deals(int32_t rows, int32_t cols) {
    return rows >= LEAST_ROWS && cols >= LEAST_PANELS * ft_conv_kernels_get()->nr;
}

static bool deals_x(int32_t rows, int32_t cols) {
    return deals(rows, cols) && !ft_has_large_tile();
}

/* Elements from one panel, so many channels wide, to the next. */
static int64_t panel_step(int32_t width, int32_t channels) {
    return block_lines(width) * width * channels + PANEL_GAP;
}

/* One lane's panels of x, and of dy before them. */
static int64_t x_size(int32_t width) {
    int32_t mr = ft_conv_kernels_get()->mr;
    return DEAL_CHANNELS / mr * panel_step(width, mr);
}
static int64_t dy_size(int32_t width, int32_t cols) {
    int32_t nr = ft_conv_kernels_get()->nr;
    return ft_ceil_div(cols, nr) * panel_step(width, nr);
}
static int64_t lane_size(int32_t width, int32_t rows, int32_t cols) {
    return (deals(rows, cols) ? dy_size(width, cols) : 0) + (deals_x(rows, cols) ? x_size(width) : 0);
}

size_t ft_conv_wgrad_scratch(int64_t lines, int32_t width, int32_t taps, int32_t rows, int32_t cols,
                             int32_t lanes) {
    int64_t weights = (int64_t)taps * rows * cols;
    int32_t s = n_splits(lines * width, weights);
    return (size_t)(lanes * lane_size(width, rows, cols) + (s > 1 ? s * weights : 0));
}

typedef struct wgrad_job {
    const ft_conv_wgrad *p;
    const ft_conv_kernels *kern;
    int32_t taps, splits, groups, row_tiles;
    int64_t lines, block; /* output rows of all images; rows that are worked on at a time */
    bool deals, deals_x;
    ft_real *partial; /* sums by split, if there are several */
} wgrad_job;

/* A split's range of (input tile, tap) pairs: where its sums go, the lane's panels, what comes next. */
typedef struct task {
    int64_t begin_pair, end_pair;
    ft_real *dw, *x_panels, *dy_panels;
    int64_t ldw, tap_step;
    ft_ahead ahead[2]; /* of x, and of dy */
} task;

/* The first input channel of a tile. */
static int32_t tile_start(const wgrad_job *job, int64_t tile) {
    int64_t channel = tile * job->kern->mr;
    return channel < job->p->rows ? (int32_t)channel : job->p->rows;
}

/* The first tile of which that tap is not before the pair. */
static int64_t tile_from(const wgrad_job *job, int64_t pair, int64_t tap) {
    return ft_ceil_div(pair - tap, job->taps);
}

static const ft_real *dy_at(const wgrad_job *job, int64_t line) {
    const ft_view *dy = job->p->dy;
    return dy->p + line * dy->w * dy->ld + job->p->dy_channel;
}

/* The stretches of output lines [first, end) whose input pixel under that tap lies inside the image,
 * neighbours joined. */
static int32_t list_runs(const wgrad_job *job, const task *t, int32_t tap, int64_t first, int64_t end,
                         ft_wgrad_run *runs) {
    const ft_conv_wgrad *p = job->p;
    const int64_t dy_ld = job->deals ? job->kern->nr : p->dy->ld;
    const ft_real *dy_first = job->deals ? t->dy_panels : dy_at(job, first);
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
        const ft_real *pd = dy_first + ((line - first) * dy->w + lo) * dy_ld;
        ft_wgrad_run *last = n ? &runs[n - 1] : NULL;
        if (last && last->x + last->count * win->sw * x->ld == px && last->dy + last->count * dy_ld == pd)
            last->count += hi - lo;
        else
            runs[n++] = (ft_wgrad_run){px, pd, hi - lo};
    }
    return n;
}

/* Runs of pixels as the kernel is to read them, from input tile first_tile on. */
typedef struct pixels {
    ft_wgrad_run *runs;
    int32_t n;
    int64_t first_tile, x_tile, dy_panel; /* elements from one tile of x, and panel of dy, to the next */
    int64_t x_step, dy_step;
} pixels;

static void deal_dy(const wgrad_job *job, int64_t line, int64_t stop, ft_real *to) {
    const ft_view *dy = job->p->dy;
    int32_t nr = job->kern->nr;
    job->kern->deal(nr, (int32_t)((stop - line) * dy->w), job->p->cols, dy_at(job, line), dy->ld, to,
                    panel_step(dy->w, nr));
}

/* Tiles [first, end) of x; runs that then follow each other joined. */
static void deal_x(const wgrad_job *job, const task *t, int64_t first, int64_t end, const pixels *from,
                   pixels *to) {
    int32_t mr = job->kern->mr, channel = tile_start(job, first);
    *to = (pixels){.runs = to->runs,
                   .first_tile = first,
                   .x_tile = panel_step(job->p->dy->w, mr),
                   .dy_panel = from->dy_panel,
                   .x_step = mr,
                   .dy_step = from->dy_step};
    ft_real *x = t->x_panels;
    for (int32_t r = 0; r < from->n; r++) {
        const ft_wgrad_run *run = &from->runs[r];
        ft_wgrad_run *last = to->n ? &to->runs[to->n - 1] : NULL;
        if (last && last->dy + last->count * to->dy_step == run->dy)
            last->count += run->count;
        else
            to->runs[to->n++] = (ft_wgrad_run){x, run->dy, run->count};
        job->kern->deal(mr, run->count, tile_start(job, end) - channel, run->x + channel, from->x_step, x,
                        to->x_tile);
        x += run->count * mr;
    }
}

/* What one tile after the other reads again stays in the first-level cache: a panel of dy; where x is far
 * apart, x. */
static void run_tiles(const wgrad_job *job, task *at, int64_t tap, int64_t first, int64_t end,
                      const pixels *px) {
    const ft_conv_wgrad *p = job->p;
    const int32_t nr = job->kern->nr, panels = (int32_t)ft_ceil_div(p->cols, nr);
    const int64_t tiles = end - first;
    ft_wgrad_tile t = {.runs = px->runs,
                       .n_runs = px->n,
                       .x_step = px->x_step,
                       .dy_step = px->dy_step,
                       .ldw = at->ldw,
                       .accumulate = true,
                       .ahead = at->ahead};
    const bool by_panel = job->deals_x;
    const int64_t outer = by_panel ? panels : tiles, inner = by_panel ? tiles : panels;
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < inner; i++) {
            int64_t panel = by_panel ? o : i, tile = first + (by_panel ? i : o);
            int32_t row = tile_start(job, tile), col = (int32_t)panel * nr;
            t.rows = tile_start(job, tile + 1) - row;
            t.cols = p->cols - col < nr ? p->cols - col : nr;
            t.x_offset = (tile - px->first_tile) * px->x_tile;
            t.dy_offset = panel * px->dy_panel;
            t.dw = at->dw + tap * at->tap_step + row * at->ldw + col;
            if (by_panel)
                t.next = i + 1 == inner ? NULL : t.dw + t.rows * at->ldw;
            else
                t.next = i + 1 == inner ? t.dw - col + t.rows * at->ldw : t.dw + nr;
            job->kern->wgrad(&t);
        }
}

/* dy of the block after the one that ends before output line `stop`. */
static void plan_next_dy(const wgrad_job *job, task *t, int64_t stop) {
    const ft_conv_wgrad *p = job->p;
    int64_t width = job->block * p->dy->w, panels = ft_ceil_div(p->cols, job->kern->nr);
    t->ahead[1] = ft_ahead_plan(dy_at(job, stop), p->dy->ld, p->cols, width,
                                (t->end_pair - t->begin_pair) * panels * width);
}

/* The input line that the first tap of an output line reads, were there no padding. */
static const ft_real *x_at(const wgrad_job *job, int64_t line) {
    const ft_conv_wgrad *p = job->p;
    int64_t row = line / p->dy->h * p->x->h + line % p->dy->h * p->win.sh;
    return p->x->p + row * p->x->w * p->x->ld + p->x_channel;
}

/* x of the tile after this one, under the same tap or the next one or, after the last, of the next block. The
 * lines of the cache in which its first channels lie this one reads as well. */
static void plan_next_tile(const wgrad_job *job, task *t, int64_t tap, int64_t tile, int64_t line,
                           int64_t stop) {
    const ft_conv_wgrad *p = job->p;
    if (++tile >= tile_from(job, t->end_pair, tap)) {
        bool last = ++tap == job->taps;
        if (last) line = stop;
        tile = tile_from(job, t->begin_pair, last ? 0 : tap);
    }
    int64_t width = job->block * p->dy->w, panels = ft_ceil_div(p->cols, job->kern->nr);
    bool all = job->taps > 1; /* the pixels between those of one tap are another's */
    t->ahead[0] = ft_ahead_plan(x_at(job, line) + (tile_start(job, tile + 1) - 1) / FT_LINE * FT_LINE,
                                (all ? 1 : p->win.sw) * p->x->ld, FT_LINE,
                                all ? job->block * p->win.sh * p->x->w : width, panels * width);
}

/* After tiles [first, end) of the block of output lines [line, stop): the tiles that follow or, after the
 * last, the first of the next block. One tap's alone are not in a cache yet. */
static void plan_next_deal(const wgrad_job *job, task *t, int64_t line, int64_t stop, int64_t first,
                           int64_t end) {
    const ft_conv_wgrad *p = job->p;
    const int64_t width = job->block * p->dy->w, panels = ft_ceil_div(p->cols, job->kern->nr);
    const int64_t steps = (end - first) * panels * width;
    if (end == t->end_pair) {
        line = stop;
        end = t->begin_pair;
    }
    int64_t last = end + DEAL_CHANNELS / job->kern->mr;
    if (last > t->end_pair) last = t->end_pair;
    int32_t channel = tile_start(job, end);
    t->ahead[0] = ft_ahead_plan(x_at(job, line) + channel, p->win.sw * p->x->ld,
                                tile_start(job, last) - channel, width, steps);
}

/* Tiles [tile, end) of a tap whose pixels are dealt out first. */
static void deal_and_run_tiles(const wgrad_job *job, task *t, int64_t tap, int64_t tile, int64_t end,
                               int64_t line, int64_t stop, const pixels *in_place) {
    ft_wgrad_run runs[MAX_RUNS];
    pixels dealt = {.runs = runs};
    for (int64_t next; tile < end; tile = next) {
        next = tile + DEAL_CHANNELS / job->kern->mr;
        if (next > end) next = end;
        deal_x(job, t, tile, next, in_place, &dealt);
        if (job->taps == 1) plan_next_deal(job, t, line, stop, tile, next);
        run_tiles(job, t, tap, tile, next, &dealt);
    }
}

static void run_block(const wgrad_job *job, task *t, int64_t line, int64_t stop) {
    const ft_conv_wgrad *p = job->p;
    const ft_conv_kernels *kern = job->kern;
    ft_wgrad_run runs[MAX_RUNS];
    if (job->deals) deal_dy(job, line, stop, t->dy_panels);
    plan_next_dy(job, t, stop);
    for (int64_t tap = 0; tap < job->taps; tap++) {
        int64_t tile = tile_from(job, t->begin_pair, tap), end = tile_from(job, t->end_pair, tap);
        pixels px = {.runs = runs,
                     .n = list_runs(job, t, (int32_t)tap, line, stop, runs),
                     .x_tile = kern->mr,
                     .dy_panel = job->deals ? panel_step(p->dy->w, kern->nr) : kern->nr,
                     .x_step = p->win.sw * p->x->ld,
                     .dy_step = job->deals ? kern->nr : p->dy->ld};
        if (px.n == 0 || tile == end) continue;
        if (job->deals_x) {
            deal_and_run_tiles(job, t, tap, tile, end, line, stop, &px);
            continue;
        }
        for (; tile < end; tile++) {
            plan_next_tile(job, t, tap, tile, line, stop);
            run_tiles(job, t, tap, tile, tile + 1, &px);
        }
    }
}

static void clear(const wgrad_job *job, const task *t) {
    for (int64_t q = t->begin_pair; q < t->end_pair; q++) {
        int64_t tap = q % job->taps, tile = q / job->taps;
        for (int32_t i = tile_start(job, tile); i < tile_start(job, tile + 1); i++)
            memset(t->dw + tap * t->tap_step + i * t->ldw, 0, (size_t)job->p->cols * sizeof *t->dw);
    }
}

static void run_task(void *ctx, int64_t index, int32_t thread) {
    const wgrad_job *job = ctx;
    const ft_conv_wgrad *p = job->p;
    int64_t split = index / job->groups, group = index % job->groups;
    int64_t pairs = (int64_t)job->taps * job->row_tiles;
    task t = {.begin_pair = group * pairs / job->groups,
              .end_pair = (group + 1) * pairs / job->groups,
              .dw = p->dw,
              .ldw = p->ldw,
              .tap_step = p->tap_step,
              .ahead = {{.p = p->dw}, {.p = p->dw}}};
    bool partial = job->splits > 1;
    if (partial) {
        t.ldw = p->cols;
        t.tap_step = (int64_t)p->rows * p->cols;
        t.dw = job->partial + split * job->taps * t.tap_step;
    }
    t.dy_panels = p->scratch + thread * lane_size(p->dy->w, p->rows, p->cols);
    t.x_panels = t.dy_panels + dy_size(p->dy->w, p->cols);
    if (partial || p->beta == 0) clear(job, &t);
    int64_t first = split * job->lines / job->splits, end = (split + 1) * job->lines / job->splits;
    for (int64_t line = first; line < end; line += job->block)
        run_block(job, &t, line, line + job->block < end ? line + job->block : end);
}

typedef struct reduce_job {
    const ft_conv_wgrad *p;
    const ft_real *partial;
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
        const ft_real *from = r->partial + line * p->cols;
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
                     .lines = (int64_t)p->dy->n * p->dy->h,
                     .block = block_lines(p->dy->w),
                     .deals = deals(p->rows, p->cols),
                     .deals_x = deals_x(p->rows, p->cols),
                     .partial = p->scratch + p->lanes * lane_size(p->dy->w, p->rows, p->cols)};
    int64_t weights = (int64_t)job.taps * p->rows * p->cols;
    job.row_tiles = (int32_t)ft_ceil_div(p->rows, job.kern->mr);
    job.splits = n_splits(ft_rows(p->dy), weights);
    if (job.splits > job.lines) job.splits = (int32_t)job.lines;
    job.groups = n_groups(job.splits, (int64_t)job.taps * job.row_tiles, p->lanes);
    ft_par_for_lanes((int64_t)job.splits * job.groups, p->lanes, run_task, &job);
    if (job.splits <= 1) return;
    reduce_job r = {p, job.partial, job.splits, weights};
    ft_par_for(ft_ceil_div(weights / p->cols, REDUCE_CHUNK / p->cols > 0 ? REDUCE_CHUNK / p->cols : 1),
               reduce, &r);
}

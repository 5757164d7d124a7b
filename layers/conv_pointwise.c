/* Pointwise convolution and its input gradient (conv_pass.h): all pixels at once are one matrix product.
 *
 * Work is cut into blocks of pixels that stay in the second-level cache while the packed panels pass by.
 *
 * Pixels that are a multiple of a page apart, 1024 or 2048 channels, have their lines in the same set of the
 * first-level cache: those of a tile with more rows than a set has places would throw each other out, which
 * takes a third longer. Such a block is copied first, to pixels that lie otherwise.
 */
#include "layers/conv_pass.h"
#include "tensor/par.h"

#include <string.h>

enum {
    BLOCK_BYTES = 352 << 10, /* of source pixels */
    LEAST_PIXELS = 42,
    MOST_PIXELS = 112,
    WANTED_TASKS = 24,
    EVEN = 4, /* blocks are so many or a multiple, so that threads get the same */
    PAGE = 4096 / sizeof(ft_real),
    PLACES = 8 /* in a set of the first-level cache */
};

bool ft_is_pointwise(const ft_gather *g) {
    const ft_view *s = g->src, *d = g->dst;
    return g->taps == 1 && g->dy[0] == 0 && g->dx[0] == 0 && g->sy == 1 && g->sx == 1 && g->ystep == 1 &&
           g->xstep == 1 && g->gh == d->h && g->gw == d->w && s->h == d->h && s->w == d->w;
}

typedef struct pointwise_job {
    const ft_gather *g;
    const ft_conv_kernels *kern;
    int64_t pixels, blocks;
    int32_t panels, groups;
    bool stream;
} pointwise_job;

/* Pixels in the largest block. */
static int64_t block_pixels(int32_t kc) {
    int32_t mr = ft_conv_kernels_get()->mr;
    int64_t pixels = BLOCK_BYTES / ((int64_t)sizeof(float) * kc);
    pixels = pixels < LEAST_PIXELS ? LEAST_PIXELS : pixels > MOST_PIXELS ? MOST_PIXELS : pixels;
    return pixels / mr * mr;
}

static int64_t block_count(int32_t kc, int64_t pixels) {
    int64_t blocks = ft_ceil_div(ft_ceil_div(pixels, block_pixels(kc)), EVEN) * EVEN,
            most = ft_ceil_div(pixels, ft_conv_kernels_get()->mr);
    return blocks < most ? blocks : most;
}

int64_t ft_pointwise_chunks(int32_t kc, int64_t pixels) {
    return block_count(kc, pixels);
}

static int64_t copy_size(int32_t kc) {
    return block_pixels(kc) * (kc + FT_LINE);
}

size_t ft_pointwise_scratch(int32_t kc, int32_t lanes) {
    return ft_conv_kernels_get()->mr > PLACES ? (size_t)(lanes * copy_size(kc)) : 0;
}

static bool must_copy(const ft_gather *g) {
    return g->src->ld % PAGE == 0 && ft_conv_kernels_get()->mr > PLACES;
}

static void copy_pixels(ft_product *t, ft_real *to) {
    int64_t ld = t->kc + FT_LINE;
    for (int64_t i = 0; i < t->rows; i++) memcpy(to + i * ld, t->a + i * t->lda, (size_t)t->kc * sizeof *to);
    t->a = to;
    t->lda = ld;
}

static void run_block(void *ctx, int64_t task, int32_t thread) {
    const pointwise_job *job = ctx;
    const ft_gather *g = job->g;
    int64_t block = task / job->groups, group = task % job->groups;
    int64_t first = block * job->pixels / job->blocks, end = (block + 1) * job->pixels / job->blocks;
    int32_t first_panel = (int32_t)(group * job->panels / job->groups),
            end_panel = (int32_t)((group + 1) * job->panels / job->groups);
    ft_product t = {.rows = (int32_t)(end - first),
                    .kc = g->kc,
                    .a = g->src->p + first * g->src->ld + g->src_channel,
                    .lda = g->src->ld,
                    .ldc = g->dst->ld};
    bool copied = must_copy(g);
    if (copied) copy_pixels(&t, g->scratch + thread * copy_size(g->kc));
    for (int32_t panel = first_panel; panel < end_panel; panel++) {
        int32_t nr = job->kern->nr, j0 = panel * nr;
        t.cols = g->cols - j0 < nr ? g->cols - j0 : nr;
        t.narrow = t.cols <= nr / 2;
        t.fetch = panel == first_panel && !copied; /* else the pixels are in the cache */
        t.b = g->packed + (int64_t)j0 * g->kc;
        t.c = g->dst->p + first * g->dst->ld + g->dst_channel + j0;
        t.next = g->finish.accumulate && panel + 1 < end_panel ? t.c + nr : NULL;
        t.finish = ft_finish_at(&g->finish, j0);
        t.finish.stream = job->stream;
        ft_moment_sums sums;
        if (g->moments) {
            sums = ft_moments_begin(g->moments, block, g->dst_channel + j0, t.cols);
            t.finish.moments = &sums;
        }
        job->kern->product(&t);
        if (g->moments) ft_moments_end(g->moments, block, end - first, t.cols, &sums);
    }
}

void ft_pointwise_run(const ft_gather *g) {
    pointwise_job job = {.g = g, .kern = ft_conv_kernels_get(), .pixels = ft_rows(g->dst)};
    job.stream = !g->finish.accumulate && ft_may_stream(g->dst, g->dst_channel);
    job.blocks = block_count(g->kc, job.pixels);
    job.panels = (int32_t)ft_ceil_div(g->cols, job.kern->nr);
    int64_t groups = job.blocks < WANTED_TASKS ? ft_ceil_div(WANTED_TASKS, job.blocks) : 1;
    job.groups = groups < job.panels ? (int32_t)groups : job.panels;
    if (g->moments) ft_moments_skip(g->moments, job.blocks);
    ft_par_for_last(job.blocks * job.groups, g->lanes, run_block, &job);
}

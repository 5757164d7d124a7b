/* The rig of the op tests: builds a call with guarded memory around everything, runs it, checks what it
 * touched. */
#include "tests/op_harness.h"

#include <check.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/rng.h"

enum { MOST_THREADS = 3 }; /* of any test */

static int32_t count_inputs(const ft_job *job, bool trimmed) {
    if (!trimmed && !(job->op->flags & FT_VARIADIC)) return job->op->n_in;
    int32_t n = job->op->n_in < FT_CASE_IN ? job->op->n_in : FT_CASE_IN;
    while (n > 1 && job->row->in[n - 1].c == 0) n--;
    return n;
}

static ft_err ask_shape(const ft_rig *r, const ft_shape in[], ft_shape out[], ft_mem *mem) {
    ft_build b = {in, r->n_in, r->job.row->args, r->call.training, r->call.direct, r->call.lanes};
    memset(out, 0, FT_MAX_OUT * sizeof *out);
    *mem = (ft_mem){0};
    return r->job.op->shape(&b, out, mem);
}

/* The inputs with a row for each sample: the fewest that shape() lets have one sample more. (By its shape
 * alone a convolution kernel as high as the batch is large looks like one.) */
static uint32_t find_batched(const ft_rig *r, const ft_shape in[]) {
    for (uint32_t set = FT_IN(0); set < FT_IN(r->n_in); set += 2) {
        ft_shape more[FT_MAX_IN] = {0}, out[FT_MAX_OUT];
        ft_mem mem;
        bool possible = true;
        for (int32_t i = 0; i < r->n_in; i++) {
            more[i] = in[i];
            if (!(set & FT_IN(i))) continue;
            possible &= in[i].c > 0 && in[i].n == in[0].n;
            more[i].n++;
        }
        if (possible && ask_shape(r, more, out, &mem) == FT_OK) return set;
    }
    ft_job_fail(&r->job, __FILE__, __LINE__, "shape() takes no batch but %d: %s", in[0].n, ft_err_message());
}

static void open_inputs(ft_rig *r, ft_shape in[]) {
    const ft_case *row = r->job.row;
    for (int32_t i = 0; i < r->n_in; i++) {
        if (in[i].c == 0) continue;
        r->value[i].p = ft_test_fill((ft_fill)row->fill[i], in[i], in[0].c, 100 + (uint64_t)i);
        if (r->batched & FT_IN(i)) in[i].n -= r->layout.fewer;
        r->value[i].s = in[i];
        int32_t gap = r->batched & FT_IN(i) ? r->layout.gap : 0; /* parameters are contiguous */
        ft_place_open(&r->in[i], in[i], gap);
        ft_place_open(&r->din[i], in[i], gap);
        r->in_view[i] = r->in[i].v;
    }
}

static void open_outputs(ft_rig *r, const ft_shape out[]) {
    for (int32_t k = 0; k < r->job.op->n_out; k++) {
        r->cotangent[k].s = out[k];
        r->cotangent[k].p = ft_test_normals(ft_shape_size(out[k]), 200 + (uint64_t)k);
        ft_place_open(&r->out[k], out[k], r->layout.gap);
        ft_place_open(&r->dout[k], out[k], r->layout.gap);
        r->out_view[k] = r->out[k].v;
        r->dout_view[k] = r->dout[k].v;
    }
    if (r->layout.inplace) r->out_view[0].p = r->in_view[r->job.op->inplace - 1].p;
}

/* Whoever looks at a view past the last crashes. */
static void spoil_views(ft_rig *r) {
    ft_view nowhere = {.p = (ft_real *)8, .n = -1, .h = -1, .w = -1, .c = -1, .ld = -1};
    for (int i = r->n_in; i < FT_MAX_IN; i++) r->in_view[i] = r->din_view[i] = nowhere;
    for (int k = r->job.op->n_out; k < FT_MAX_OUT; k++) r->out_view[k] = r->dout_view[k] = nowhere;
}

/* Inputs of the op that have no gradient by definition. Only its oracle knows, which may take long: it is
 * asked once. */
static uint32_t find_never_differentiable(const ft_rig *r) {
    static const ft_op_entry *known;
    static uint32_t never;
    if (r->job.row->large || !r->job.entry->oracle) return 0;
    if (r->job.entry != known) {
        ft_oracle o = ft_rig_oracle(r);
        known = r->job.entry;
        never = o.no_gradient;
        ft_oracle_free(&o);
    }
    return never;
}

/* Inputs that must get a gradient when one is asked for. */
static uint32_t find_differentiable(const ft_rig *r) {
    uint32_t found = 0;
    if (!r->call.training) return 0; /* whatever does not train is frozen along with all that it depends on */
    uint32_t never = find_never_differentiable(r);
    for (int32_t i = 0; i < r->n_in; i++) {
        uint8_t fill = i < FT_CASE_IN ? r->job.row->fill[i] : FT_FILL_NORMAL;
        bool number = fill == FT_FILL_NORMAL || fill == FT_FILL_POSITIVE;
        if (r->value[i].p && number && !(never & FT_IN(i))) found |= FT_IN(i);
    }
    return found;
}

void ft_rig_open(ft_rig *r, const ft_job *job, const ft_layout *layout) {
    *r = (ft_rig){.job = *job,
                  .layout = layout ? *layout : (ft_layout){0},
                  .n_in = count_inputs(job, layout && layout->trimmed)};
    const ft_case *row = job->row;
    ft_shape in[FT_MAX_IN] = {0}, out[FT_MAX_OUT];
    memcpy(in, row->in, sizeof row->in);
    r->call = (ft_call){.in = r->in_view,
                        .out = r->out_view,
                        .args = row->args,
                        .seed = 0x9e3779b97f4a7c15u,
                        .n_in = r->n_in,
                        .batch = row->in[0].n,
                        .lanes = MOST_THREADS,
                        .direct = job->direct,
                        .training = !row->infer && !r->layout.infer};
    FT_CHECK(job, ask_shape(r, in, out, &r->mem) == FT_OK, "shape() refuses the case: %s", ft_err_message());
    r->batched = find_batched(r, in);
    open_inputs(r, in);
    ft_mem less;
    FT_CHECK(job, ask_shape(r, in, out, &less) == FT_OK, "shape() refuses %d samples: %s", in[0].n,
             ft_err_message());
    open_outputs(r, out);
    if (r->layout.same > 0) r->in_view[r->layout.same] = r->in_view[0];
    spoil_views(r);
    ft_block_open(&r->saved, r->mem.saved);
    ft_block_open(&r->forward_scratch, r->mem.forward_scratch);
    ft_block_open(&r->backward_scratch, r->mem.backward_scratch);
    ft_block_open(&r->prepared, r->mem.prepared);
    r->call.saved = r->saved.p;
    r->differentiable = find_differentiable(r);
}

void ft_rig_close(ft_rig *r) {
    for (int i = 0; i < FT_MAX_IN; i++) {
        free(r->value[i].p);
        ft_place_close(&r->in[i]);
        ft_place_close(&r->din[i]);
    }
    for (int k = 0; k < FT_MAX_OUT; k++) {
        free(r->cotangent[k].p);
        ft_place_close(&r->out[k]);
        ft_place_close(&r->dout[k]);
    }
    ft_block_close(&r->saved);
    ft_block_close(&r->forward_scratch);
    ft_block_close(&r->backward_scratch);
    ft_block_close(&r->prepared);
}

/* ---- calls under watch ---- */

/* Which elements a call may change. */
typedef struct licence {
    uint32_t in, din;
    bool out, dout;
} licence;

static void watch(ft_rig *r) {
    for (int i = 0; i < FT_MAX_IN; i++) {
        ft_place_watch(&r->in[i]);
        ft_place_watch(&r->din[i]);
    }
    for (int k = 0; k < FT_MAX_OUT; k++) {
        ft_place_watch(&r->out[k]);
        ft_place_watch(&r->dout[k]);
    }
    ft_block_watch(&r->saved);
    ft_block_watch(&r->forward_scratch);
    ft_block_watch(&r->backward_scratch);
    ft_block_watch(&r->prepared);
}

static void verify(ft_rig *r, const char *call, licence may) {
    const ft_job *job = &r->job;
    bool in[FT_MAX_IN], din[FT_MAX_IN], out[FT_MAX_OUT], dout[FT_MAX_OUT];
    for (int i = 0; i < FT_MAX_IN; i++) {
        in[i] = ft_place_intact(&r->in[i], may.in & FT_IN(i));
        din[i] = ft_place_intact(&r->din[i], may.din & FT_IN(i));
    }
    for (int k = 0; k < FT_MAX_OUT; k++) {
        out[k] = ft_place_intact(&r->out[k], may.out);
        dout[k] = ft_place_intact(&r->dout[k], may.dout);
    }
    bool blocks[] = {ft_block_intact(&r->saved), ft_block_intact(&r->forward_scratch),
                     ft_block_intact(&r->backward_scratch), ft_block_intact(&r->prepared)};
    for (int i = 0; i < FT_MAX_IN; i++) {
        FT_CHECK(job, in[i], "%s changed what is not its own at input %d", call, i);
        FT_CHECK(job, din[i], "%s changed what is not its own at the gradient of input %d", call, i);
    }
    for (int k = 0; k < FT_MAX_OUT; k++) {
        FT_CHECK(job, out[k], "%s changed what is not its own at output %d", call, k);
        FT_CHECK(job, dout[k], "%s changed what is not its own at the gradient of output %d", call, k);
    }
    static const char *const names[] = {"saved", "forward scratch", "backward scratch", "prepared"};
    for (int i = 0; i < 4; i++) FT_CHECK(job, blocks[i], "%s wrote outside its %s memory", call, names[i]);
}

static void prepare(ft_rig *r) {
    if (!r->job.op->prepare) return;
    r->call.prepared = r->prepared.p;
    ft_block_fill_nan(&r->prepared);
    ft_real *x = r->in_view[0].p, *y = r->out_view[0].p;
    r->in_view[0].p = r->out_view[0].p = NULL; /* it may look at the parameters only */
    watch(r);
    r->job.op->prepare(&r->call);
    verify(r, "prepare", (licence){0});
    r->in_view[0].p = x;
    r->out_view[0].p = y;
}

void ft_rig_forward(ft_rig *r) {
    const ft_op *op = r->job.op;
    licence may = {.out = true};
    for (int32_t i = 0; i < r->n_in; i++)
        if (r->value[i].p) ft_place_write(&r->in[i], r->value[i].p);
    for (int32_t k = 0; k < op->n_out; k++) ft_place_fill_nan(&r->out[k]);
    ft_block_fill_nan(&r->saved);
    ft_block_fill_nan(&r->forward_scratch);
    prepare(r);
    if (op->flags & FT_STATEFUL && r->call.training) may.in = ~FT_IN(0); /* ft_rig_expect looks at them */
    if (r->layout.inplace) may.in |= FT_IN(op->inplace - 1);
    r->call.dout = r->call.din = NULL;
    r->call.beta = NULL;
    r->call.scratch = r->forward_scratch.p;
    r->call.prepared = r->prepared.p;
    watch(r);
    op->forward(&r->call);
    verify(r, "forward", may);
}

ft_real ft_rig_onto(int i, int64_t e) {
    return (ft_real)((e * 37 + i * 11) % 101 - 50) / 16;
}

static void fill_onto(ft_place *place, int i) {
    int64_t e = 0;
    ft_real *row = place->v.p;
    for (int64_t y = 0; y < ft_rows(&place->v); y++, row += place->v.ld)
        for (int32_t k = 0; k < place->v.c; k++) row[k] = ft_rig_onto(i, e++);
}

void ft_rig_backward(ft_rig *r, uint32_t wanted, uint32_t onto) {
    const ft_op *op = r->job.op;
    licence may = {.din = wanted};
    if (!wanted) return;
    for (int32_t k = 0; k < op->n_out; k++) ft_place_write(&r->dout[k], r->cotangent[k].p);
    for (int32_t i = 0; i < r->n_in; i++) {
        r->din_view[i] = (ft_view){0};
        if (!(wanted & FT_IN(i))) continue;
        r->din_view[i] = r->din[i].v;
        r->beta[i] = onto & FT_IN(i) ? 1 : 0;
        if (onto & FT_IN(i))
            fill_onto(&r->din[i], i);
        else
            ft_place_fill_nan(&r->din[i]);
    }
    if (r->layout.din_over_dout) {
        may.dout = true;
        r->din_view[0] = r->dout[0].v;
    }
    int32_t same = r->layout.same;
    if (same > 0 && wanted & FT_IN(same)) {
        r->din_view[same] = r->din_view[0];
        r->beta[same] = 1;
    }
    ft_block_fill_nan(&r->backward_scratch);
    r->call.dout = r->dout_view;
    r->call.din = r->din_view;
    r->call.beta = r->beta;
    r->call.scratch = r->backward_scratch.p;
    r->call.prepared = NULL;
    watch(r);
    op->backward(&r->call);
    verify(r, "backward", may);
}

void ft_rig_poison(ft_rig *r, int i) {
    uint32_t needs = r->job.op->needs[r->job.op->flags & FT_VARIADIC ? 0 : i];
    for (int32_t k = 0; k < r->n_in; k++)
        if (!(needs & FT_IN(k)) && r->in[k].base) ft_place_fill_nan(&r->in[k]);
    for (int32_t k = 0; k < r->job.op->n_out; k++)
        if (!(needs & FT_OUT(k))) ft_place_fill_nan(&r->out[k]);
    if (!(needs & FT_SAVED)) ft_block_fill_nan(&r->saved);
}

/* ---- oracles ---- */

double *ft_oracle_out(ft_oracle *o, int k, ft_shape s) {
    o->out[k].s = s;
    return o->out[k].p = ft_test_alloc((size_t)ft_shape_size(s) * sizeof(double));
}

double *ft_oracle_scale(ft_oracle *o, int k) {
    return o->scale[k] = ft_test_alloc((size_t)ft_shape_size(o->out[k].s) * sizeof(double));
}

double *ft_oracle_state(ft_oracle *o, int i) {
    o->state[i].s = o->in[i].s;
    return o->state[i].p = ft_test_alloc((size_t)ft_shape_size(o->in[i].s) * sizeof(double));
}

ft_oracle ft_rig_oracle(const ft_rig *r) {
    ft_oracle o = {.in = r->value,
                   .n_in = r->n_in,
                   .args = r->job.row->args,
                   .training = r->call.training,
                   .direct = r->call.direct,
                   .growth = 1,
                   .seed = r->call.seed};
    FT_CHECK(&r->job, r->job.entry->oracle, "there is no ft_oracle_%s", r->job.entry->name);
    r->job.entry->oracle(&o);
    for (int k = 0; k < r->job.op->n_out; k++)
        FT_CHECK(&r->job, o.out[k].p, "the oracle leaves output %d out", k);
    return o;
}

void ft_oracle_free(ft_oracle *o) {
    for (int k = 0; k < FT_MAX_OUT; k++) {
        free(o->out[k].p);
        free(o->scale[k]);
    }
    for (int i = 0; i < FT_MAX_IN; i++) free(o->state[i].p);
}

/* Rounding errors of a sum of K products grow as sqrt(K) eps sum|a||b| (Higham and Mary 2019); the constants
 * leave room for the few operations around the sum. */
double ft_oracle_error(const ft_oracle *o, double scale) {
    return o->growth * 2 * (4 + sqrt(o->terms)) * FT_EPS * scale + FT_TINY;
}

static void compare(const ft_rig *r, const ft_oracle *o, const ft_place *got, const ft_tensor *want,
                    const double *scale, const char *what) {
    ft_view v = got->v;
    ft_shape s = want->s;
    FT_CHECK(&r->job, ft_shape_equal(ft_view_shape(&v), s),
             "%s: shape() says (%d, %d, %d, %d), the oracle (%d, %d, %d, %d)", what, v.n, v.h, v.w, v.c, s.n,
             s.h, s.w, s.c);
    double largest = 0;
    for (int64_t e = 0; e < ft_shape_size(s); e++) largest = fmax(largest, fabs(want->p[e]));
    for (int64_t e = 0; e < ft_shape_size(s); e++) {
        double y = (double)v.p[e / s.c * v.ld + e % s.c];
        double allowed = ft_oracle_error(o, scale ? scale[e] : largest);
        FT_CHECK(
            &r->job, fabs(y - want->p[e]) <= allowed,
            "%s: element %lld of (%d, %d, %d, %d) is %.9g, should be %.9g, off by %.3g where %.3g is allowed",
            what, (long long)e, s.n, s.h, s.w, s.c, y, want->p[e], fabs(y - want->p[e]), allowed);
    }
}

void ft_rig_expect(const ft_rig *r, const ft_oracle *o, const char *what) {
    for (int k = 0; k < r->job.op->n_out; k++) compare(r, o, &r->out[k], &o->out[k], o->scale[k], what);
    for (int32_t i = 0; i < r->n_in; i++) {
        if (!r->in[i].base) continue;
        if (o->state[i].p) {
            compare(r, o, &r->in[i], &o->state[i], NULL, "state");
            continue;
        }
        for (int64_t e = 0; e < ft_shape_size(r->value[i].s); e++) {
            double x = (double)r->in[i].v.p[e / r->in[i].v.c * r->in[i].v.ld + e % r->in[i].v.c];
            FT_CHECK(&r->job, x == r->value[i].p[e], "%s: input %d was written to", what, i);
        }
    }
}

/* The generic test suite of operations: every op x every row of its `cases` x every instruction set of this
 * machine.
 *
 * To test a new op write its rows (ft_op.cases) and its oracle, a function
 *
 *     void ft_oracle_<name>(ft_oracle *o);
 *
 * that computes the op from its definition, in double, with the plainest loops there are, sharing no code
 * with the op. The oracle of an op of the library lives in tests/op_oracles_<family>.c; an op under
 * examples/custom_layer/op_<name>.c brings its own at its end:
 *
 *     #ifdef FACET_OP_TESTS
 *     #include "tests/op_harness.h"
 *     void ft_oracle_swish(ft_oracle *o) {
 *         double *y = ft_oracle_out(o, 0, o->in[0].s);
 *         for (int64_t i = 0; i < ft_shape_size(o->in[0].s); i++) y[i] = o->in[0].p[i] / (1 +
 * exp(-o->in[0].p[i]));
 *     }
 *     #endif
 *
 * Nothing else is edited: the list of ops is made from the file names. `test_ops NAME` runs one op,
 * `test_ops64 NAME` the same in double with the gradients checked by central differences.
 */
#ifndef FACET_TESTS_OP_HARNESS_H
#define FACET_TESTS_OP_HARNESS_H

#include "tensor/op.h"
#include "tests/op_memory.h"

#ifdef FT_F64
#define FT_EPS  2.220446049250313e-16
#define FT_TINY 2.3e-308 /* results below the normal numbers may be flushed to 0 */
#else
#define FT_EPS  1.1920928955078125e-07
#define FT_TINY 1.2e-38
#endif

/* ---- oracles ---- */

/* Contiguous: element (i, y, x, k) is p[((i*h + y)*w + x)*c + k]. p is NULL for an absent optional input. */
typedef struct ft_tensor {
    ft_shape s;
    double *p;
} ft_tensor;

typedef struct ft_oracle {
    const ft_tensor *in;
    int32_t n_in;
    const void *args;
    bool training, direct; /* as in ft_call */
    uint64_t seed;

    /* For the oracle to fill. */
    ft_tensor out[FT_MAX_OUT];  /* by ft_oracle_out */
    double *scale[FT_MAX_OUT];  /* by ft_oracle_scale; NULL: the largest |out| everywhere */
    double terms;               /* the longest sum behind one output; the error allowed grows as its root */
    double growth;              /* times the error that a plain sum explains; 1 unless the oracle says more */
    ft_tensor state[FT_MAX_IN]; /* by ft_oracle_state: what an FT_STATEFUL op must leave in input i */
    uint32_t no_gradient;       /* FT_IN(i): input i has no gradient by definition (labels, statistics) */
} ft_oracle;

/* Declares the shape of output k, which shape() must agree with, and returns its elements to fill. */
double *ft_oracle_out(ft_oracle *o, int k, ft_shape s);
/* The sum of the magnitudes that were added up to make each element of output k, the root of its rounding
 * error: sum |a||b| for a product, |x| + |mean| for a difference. */
double *ft_oracle_scale(ft_oracle *o, int k);
/* Elements of the new value of input i, to fill. */
double *ft_oracle_state(ft_oracle *o, int i);
static inline bool ft_oracle_has(const ft_oracle *o, int i) {
    return i < o->n_in && o->in[i].p;
}

/* ---- jobs: op x case x instruction set (x algorithm) ---- */

typedef struct ft_op_entry {
    const char *name; /* from the file name */
    const ft_op *op;
    void (*oracle)(ft_oracle *o); /* NULL: there is none, which fails */
} ft_op_entry;
extern const ft_op_entry ft_op_entries[]; /* made by CMake; ends with a NULL name */

typedef struct ft_job {
    const ft_op_entry *entry;
    const ft_op *op;
    const ft_case *row;
    const char *isa;
    bool direct; /* as in ft_call; a case where it matters is run both ways */
} ft_job;
/* Restricts all that follows to the op of that name. Returns false if there is no such op. */
bool ft_jobs_only(const char *name);
int ft_job_count(void);
/* Also switches to the job's instruction set: only in a test's own process. */
ft_job ft_job_at(int i);
int ft_op_count(void);
const ft_op_entry *ft_op_at(int i);

/* Fails the running test with "op/case/isa: ..." in front. */
#define FT_CHECK(job, cond, ...)                                        \
    do {                                                                \
        if (!(cond)) ft_job_fail(job, __FILE__, __LINE__, __VA_ARGS__); \
    } while (0)
void ft_job_fail(const ft_job *job, const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 4, 5), noreturn));

/* ---- rig: one op with its memory, guarded on all sides ---- */

typedef struct ft_layout {
    int32_t gap;   /* ld = c + gap (not of parameters), and the first element `gap` elements off alignment */
    int32_t fewer; /* run so many samples fewer than the plan's memory was sized for */
    bool inplace;  /* output 0 in the memory of input op->inplace - 1 */
    bool din_over_dout; /* din[0] in the memory of dout[0] */
    bool trimmed;       /* absent inputs at the end are not even counted in n_in */
    int32_t same;       /* this input is input 0 once more, and adds to the same gradient; 0: none */
    bool infer;         /* training = false whatever the case says; then no gradient is asked for */
} ft_layout;

typedef struct ft_rig {
    ft_job job;
    ft_layout layout;
    int32_t n_in;
    ft_mem mem;
    ft_tensor value[FT_MAX_IN];      /* what forward starts from; tests may change it */
    ft_tensor cotangent[FT_MAX_OUT]; /* what backward starts from */
    uint32_t batched;                /* inputs with a row for each sample */
    uint32_t differentiable;         /* inputs to ask gradients of */
    ft_place in[FT_MAX_IN], out[FT_MAX_OUT], dout[FT_MAX_OUT], din[FT_MAX_IN];
    ft_block saved, forward_scratch, backward_scratch, prepared;
    ft_view in_view[FT_MAX_IN], out_view[FT_MAX_OUT], dout_view[FT_MAX_OUT], din_view[FT_MAX_IN];
    ft_real beta[FT_MAX_IN];
    ft_call call;
} ft_rig;

/* Fills the inputs as the case says, the same for any layout (the first samples if fewer), calls shape(). */
void ft_rig_open(ft_rig *r, const ft_job *job, const ft_layout *layout);
void ft_rig_close(ft_rig *r);
/* Puts the values into place, prepares and runs forward; fails if anything that is not the op's to write has
 * changed. */
void ft_rig_forward(ft_rig *r);
/* Runs backward for the inputs in `wanted`, onto NaN where beta is 0 and onto ft_rig_onto where it is 1;
 * checks like forward. */
void ft_rig_backward(ft_rig *r, uint32_t wanted, uint32_t onto);
/* What element e of din[i] holds before a backward with beta = 1. */
ft_real ft_rig_onto(int i, int64_t e);
/* Fills with NaN every value and the saved memory that needs[i] does not declare. */
void ft_rig_poison(ft_rig *r, int i);

/* Runs the oracle on the rig's values; release with ft_oracle_free. */
ft_oracle ft_rig_oracle(const ft_rig *r);
void ft_oracle_free(ft_oracle *o);
/* Fails unless the rig's outputs (and state) are the oracle's, to the error that rounding explains. */
void ft_rig_expect(const ft_rig *r, const ft_oracle *o, const char *what);

/* The difference between op and oracle that rounding explains where magnitudes of `scale` were added up. */
double ft_oracle_error(const ft_oracle *o, double scale);

/* n standard normal numbers, all different if they are not too many, that float holds exactly. To be freed.
 */
double *ft_test_normals(int64_t n, uint64_t seed);
/* Numbers as `fill` says (tensor/op.h); classes: for FT_FILL_CLASS. To be freed. */
double *ft_test_fill(ft_fill fill, ft_shape s, int32_t classes, uint64_t seed);

/* ---- checks ---- */

void ft_check_forward(const ft_job *job);       /* against the oracle */
void ft_check_extremes(const ft_job *job);      /* inputs huge, zero, far off, nothing but ignored labels */
void ft_check_partial_batch(const ft_job *job); /* fewer samples than planned */
void ft_check_epilogue(const ft_job *job);      /* fused affine and ReLU */
void ft_check_moments(const ft_job *job);       /* gathered of an output, given of an input */
void ft_check_optional(const ft_job *job);      /* absent inputs that are not even counted */
void ft_check_affine(const ft_job *job);        /* ft_op.affine against forward */
void ft_check_gradient(
    const ft_job *job); /* central differences: of the op in double, of the oracle in float */
void ft_check_adjoint(const ft_job *job); /* <A x, u> = <x, A'u> */
void ft_check_beta(const ft_job *job);
void ft_check_needs(const ft_job *job);
void ft_check_ld(const ft_job *job);
void ft_check_threads(const ft_job *job);
void ft_check_sharing(const ft_job *job); /* in place; gradient over gradient; one value as two inputs */

#endif

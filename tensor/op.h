/* What an operation is: a constant descriptor. There is no enum of ops, no switch and no registry: an op is a
 * pointer.
 *
 * A new layer is one file layers/op_<name>.c that defines `const ft_op ft_op_<name>`.
 */
#ifndef FACET_TENSOR_OP_H
#define FACET_TENSOR_OP_H

#include "tensor/error.h"
#include "tensor/view.h"

enum { FT_MAX_IN = 12, FT_MAX_OUT = 2, FT_CASE_IN = 6 };

/* Bits of ft_op.needs[i]: what the gradient of input i reads besides the gradient of the outputs. */
#define FT_IN(k)  (1u << (k))
#define FT_OUT(k) (1u << (FT_MAX_IN + (k)))
#define FT_SAVED  (1u << 31)
/* Alone in needs[i]: input i has no gradient (labels, class weights); a trainable value there is refused. */
#define FT_NO_GRADIENT (1u << 30)

enum ft_op_flags {
    FT_LINEAR = 1,   /* linear in input 0 for fixed other inputs: the adjoint test applies   */
    FT_RANDOM = 2,   /* draws random numbers when training   */
    FT_STATEFUL = 4, /* writes some of its inputs (running statistics) when training */
    FT_LOSS = 8, /* output 0 is one number, the mean over the batch; dout[0] is its weight                 */
    FT_VARIADIC = 16, /* takes 1 .. n_in inputs; needs[0] holds for all */
    FT_CONCAT = 32,   /* the output is the inputs side by side: they may be given slices of it to live in   */
    FT_DIN_OVER_DOUT = 64, /* backward may write din[0] over dout[0] (same shape, element by element) */
    FT_EPILOGUE =
        128, /* forward honours ft_call.epilogue, so a following affine op and ReLU may be folded in   */
    FT_RELU = 256, /* is max(x, 0) */
    FT_RELU_AFTER =
        512, /* in training too forward honours epilogue->relu (nothing else of it); out[0] then is
                what follows the ReLU, dout[0] its gradient, and needs[] must do without out[0] */
    FT_DEFERS =
        1024, /* in training out[0] is relu?(scale * in[0] + shift) by channel with scale and shift the
                 first 2c numbers of saved; where out[0].p is NULL the readers do that themselves */
    FT_TAKES_MOMENTS =
        2048, /* when training forward takes moments of in[0] by channel, and may be given them */
    FT_MIXES_PIXELS = 4096, /* linear in in[0], its only input, each channel by itself and all alike */
};

/* y = relu?(scale * y + shift) by channel, applied by an FT_EPILOGUE op as it writes its output. */
typedef struct ft_epilogue {
    const ft_real *scale, *shift; /* c numbers each; NULL: 1 and 0 */
    bool relu;
} ft_epilogue;

/* Means and variances by channel of a value, in chunks: see tensor/moments.h. */
typedef struct ft_moments {
    ft_real *p;
    int64_t chunks;
    int32_t c;
} ft_moments;

/* All that an op's code ever sees. Nothing in it can fail. Views may have ld > c; what lies between is not
 * the op's. */
typedef struct ft_call {
    const ft_view *in, *out; /* forward values; backward: only those that needs[] declares may be read */
    const ft_view *dout,
        *din; /* backward: dout[k].p == NULL: no gradient arrives there. din[i].p == NULL: nobody wants it */
    const ft_real
        *beta; /* backward: din[i] = beta[i]*din[i] + gradient; beta is 0 (memory may be garbage) or 1 */
    const void *args; /* the op's own parameters                                                       */
    void *saved;      /* written by forward, read by backward                                          */
    void *scratch;    /* for the duration of the call                                                  */
    void *prepared;   /* what ft_op.prepare made of the parameters                                     */
    const ft_epilogue *epilogue; /* NULL, or to be applied on the way out (FT_EPILOGUE, FT_RELU_AFTER) */
    const ft_epilogue *prologue; /* NULL, or in[0] is to be read as that of it (see takes_prologue) */
    /* Forward: NULL, or to be written, of out[0] (ft_mem.moment_chunks), or to be read, of in[0]
     * (FT_TAKES_MOMENTS). */
    const ft_moments *moments;
    uint64_t seed; /* of this node in this step: bits = f(seed, element)                            */
    int32_t n_in;
    bool training; /* false in an inference plan and in a frozen node */
    bool direct;   /* convolutions from their definition only: ft_plan_spec.direct */
    int32_t batch; /* samples that memory was sized for: ft_build.in[0].n */
    int32_t lanes; /* threads that scratch was sized for */
} ft_call;

/* Bytes that an op wants for one call with the shapes given. */
typedef struct ft_mem {
    size_t saved, forward_scratch, backward_scratch, prepared;
    int64_t moment_chunks; /* not bytes: chunks in which forward can gather moments of out[0]; 0: it cannot */
} ft_mem;

typedef struct ft_build {
    const ft_shape *in; /* in[i].c == 0: the optional input i is absent */
    int32_t n_in;
    const void *args;
    bool training, direct; /* as in ft_call */
    int32_t lanes;
} ft_build;

/* How the generic tests fill an input. */
typedef enum ft_fill {
    FT_FILL_NORMAL,   /* standard normal, at least 0.05 away from 0, all different: no kinks, no ties */
    FT_FILL_POSITIVE, /* uniform in [0.5, 2): variances, scales */
    FT_FILL_CLASS,    /* whole numbers in 0 .. in[0].c - 1, about one in eight of them `ignore` (-1) */
    FT_FILL_BINARY,   /* 0 or 1 */
    FT_FILL_SIMPLEX,  /* rows of probabilities */
} ft_fill;

/* One row of an op's test table. The table ends with a row whose label is NULL. */
typedef struct ft_case {
    const char *label;
    ft_shape in[FT_CASE_IN]; /* c == 0: absent */
    const void *args;
    uint8_t fill[FT_CASE_IN]; /* ft_fill of each input */
    bool infer;               /* run with training = false */
    bool large;               /* too large for the naive oracle: adjoint and thread tests only */
} ft_case;

typedef struct ft_op {
    const char *name;
    uint8_t n_in, n_out; /* n_in counts optional inputs too */
    int8_t inplace;      /* 1 + the input whose memory output 0 may share; 0 = none */
    uint16_t args_size;
    uint16_t flags;
    uint32_t needs[FT_MAX_IN];
    /* Checks shapes and arguments, sets out[] and *mem (given zeroed). Called when a node is added (with n =
     * 1) and again by every plan with its batch; out[k].n must follow in[0].n, except for FT_LOSS. */
    ft_err (*shape)(const ft_build *b, ft_shape out[], ft_mem *mem);
    /* Optional: derives call->prepared from the parameters alone (in[1...]); run only when they have changed.
     */
    void (*prepare)(const ft_call *call);
    /* Optional: may a call with these shapes be given a prologue, forward and backward? */
    bool (*takes_prologue)(const ft_build *b);
    /* Optional: is out[0], with these shapes, every pixel of in[0] by itself times the matrix in[1]? */
    bool (*mixes_channels)(const ft_build *b);
    void (*forward)(const ft_call *call);
    void (*backward)(const ft_call *call);
    /* Optional: writes out[0] once more, bit by bit, from what the gradient of input 0 reads anyway. Cheap,
     * so that a plan may forget out[0] between its last forward and its first backward reader. */
    void (*remake)(const ft_call *call);
    /* Optional: when not training the op is y = scale*x + shift by channel (c = in[0].c numbers each). */
    void (*affine)(const ft_call *call, ft_real *scale, ft_real *shift);
    const ft_case *cases;
} ft_op;

#endif

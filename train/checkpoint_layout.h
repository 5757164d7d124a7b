/* What stands where in a checkpoint, for writing, reading and comparing alike. */
#ifndef FACET_TRAIN_CHECKPOINT_LAYOUT_H
#define FACET_TRAIN_CHECKPOINT_LAYOUT_H

#include "train/checkpoint.h"
#include "train/h5_write.h"

#define FT_CHECKPOINT_FORMAT "facet-checkpoint"
/* 2: bn_scale and bn_unbiased of a model, phases of a training */
enum { FT_CHECKPOINT_VERSION = 4 };

/* A number of a structure that is kept as an attribute. Integers are int64 in the file, floats double. */
typedef struct ft_field {
    const char *name;
    enum { FT_FIELD_BOOL, FT_FIELD_I32, FT_FIELD_F32, FT_FIELD_I64, FT_FIELD_U64, FT_FIELD_F64 } kind;
    int32_t n; /* elements of an array, at most 3 */
    size_t offset;
    double min, max; /* BOOL, I32 and F32 outside (or NaN) are refused; the others may be anything */
    int32_t since;   /* the version of the format that brought it; older files mean 0 */
} ft_field;

/* End with a name of NULL. */
extern const ft_field ft_model_fields[];    /* of ft_model: options and image, attributes of the root */
extern const ft_field ft_progress_fields[]; /* of ft_progress, attributes of "training" */

ft_err ft_fields_write(ft_h5 *f, const char *object, const ft_field *fields, const void *base);
/* version: of the file's format; *base is zero where it has nothing. */
ft_err ft_fields_read(const ft_h5_index *x, const char *object, const ft_field *fields, int64_t version,
                      void *base);
/* The first field that differs bit by bit between two structures, with both values as text; NULL if none. */
const ft_field *ft_fields_differ(const ft_field *fields, const void *a, const void *b, char text_a[96],
                                 char text_b[96]);

/* The arrays of a checkpoint: the datasets except class_names, in the order of the file. */
typedef struct ft_tensor {
    char path[192]; /* "optimizer/momentum/conv2d_1/kernel" */
    float *p;
    int64_t n, dims[4];
    int32_t rank;
    bool finite;   /* must be so */
    bool optional; /* may be missing in the file */
} ft_tensor;
typedef struct ft_tensors {
    ft_tensor *at;
    int32_t n;
} ft_tensors;

/* All of the model and, unless it is NULL, the state. With state NULL and average, the parameters appear a
 * second time, optional, under "average". Release with free(out->at). */
ft_err ft_tensors_list(const ft_model *m, const ft_training_state *state, bool average, ft_tensors *out);
/* FT_OK, or an error of this kind that names the first tensor with a number that is not finite. */
ft_err ft_tensor_check(const ft_tensor *t, const char *path, ft_err kind);

#endif

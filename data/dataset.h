/* Data sets: numbered samples with a class each, behind one interface. ft_dataset_open finds out the kind:
 *
 *   class folders   PATH/CLASS/image.jpg; the classes are the folders, sorted bytewise, then the files
 *   list            PATH.csv or .tsv: a header, then an image a line; ft_dataset_options says which columns
 *                   hold its file, class and part; classes in the order of numbers if all are, else bytewise
 *   packed          PATH.h5, made of another one by ft-data pack (data/pack.h)
 *   IDX             PATH/{train,t10k}-{images-idx3,labels-idx1}-ubyte[.gz], as MNIST and its relatives come
 *                   (a dot may stand for the dash before "idx"). A file classes.txt there may name the
 *                   classes, a line each; else they are "0", "1", ... up to the largest training label
 */
#ifndef FACET_DATA_DATASET_H
#define FACET_DATA_DATASET_H

#include "data/image.h"

#include <stdbool.h>

/* Which part of a split a sample belongs to by the data set's own rules; FT_FIXED_NONE: the split decides. */
typedef enum ft_fixed { FT_FIXED_NONE, FT_FIXED_TRAIN, FT_FIXED_VAL, FT_FIXED_TEST } ft_fixed;

typedef struct ft_dataset ft_dataset;

/* A further thing to be learnt of each sample, besides its class. */
typedef enum ft_target_kind {
    FT_TARGET_CLASS,  /* one number: the class's */
    FT_TARGET_NUMBER, /* one number */
    FT_TARGET_MULTI   /* n_classes numbers: 1 for each class that it is of, else 0 */
} ft_target_kind;
typedef struct ft_target {
    char *name;
    ft_target_kind kind;
    int32_t n_classes;  /* 0 of a number */
    char **class_names; /* (n_classes) */
} ft_target;
/* Numbers that say it. */
int32_t ft_target_width(const ft_target *t);

/* What a kind of data set implements. i is 0 .. n-1 and not checked; all but free may be called from several
 * threads. */
typedef struct ft_dataset_ops {
    const char *kind;
    int32_t (*label)(const ft_dataset *ds, int32_t i);
    int32_t (*group)(const ft_dataset *ds, int32_t i);  /* NULL: no groups */
    int32_t (*source)(const ft_dataset *ds, int32_t i); /* NULL: there is one */
    ft_fixed (*fixed)(const ft_dataset *ds, int32_t i);
    void (*name)(const ft_dataset *ds, int32_t i, char *buffer, size_t bytes);
    void (*target)(const ft_dataset *ds, int32_t i, int32_t t, float *out); /* NULL: there are none */
    ft_err (*read)(const ft_dataset *ds, int32_t i, ft_image_want want, ft_image *out);
    ft_err (*bytes)(const ft_dataset *ds, int32_t i, uint8_t **bytes, size_t *n);
    ft_err (*content)(const ft_dataset *ds, int32_t i, uint64_t *hash);
    void (*free)(ft_dataset *ds); /* what the kind allocated, and ds itself */
} ft_dataset_ops;

/* The common part, first in every kind's own struct; to be read, not written. */
struct ft_dataset {
    const ft_dataset_ops *ops;
    int32_t n, n_classes;
    int32_t n_groups;            /* of samples that belong together, one person's for instance; 0: none */
    int32_t n_sources;           /* data sets that were joined; 0: none */
    const float *source_weights; /* (n_sources): how often an epoch shows a sample of each, on average */
    char **class_names;          /* (n_classes), owned */
    int32_t n_targets;
    const ft_target *targets; /* (n_targets), owned */
    int32_t n_ignored;        /* files passed over because their names are no image's */
    bool in_memory;           /* reading a sample costs no decoding */
    uint64_t fingerprint;     /* of names, sizes, labels, parts, groups and targets: tells whether the data
                                 changed; moving the folder     does not */
};

/* How to read a list; zeros where nothing is to be said. Borrowed while it is opened. */
typedef struct ft_dataset_options {
    const char *label;  /* the column of the classes */
    const char *file;   /* the column of the images' paths; "file" by default */
    const char *folder; /* of the images, relative to the list's own; none: that */
    const char *split;  /* the column that says train, val or test; none: no part is fixed */
    const char *const
        *more; /* (n_more): columns of targets, "race", "age:number", "tags:multi" (between '|') */
    int32_t n_more;
    const char *group; /* the column of what belongs together; none: no groups */
    const char *const
        *where; /* (n_where) conditions that an image must meet: "column=value", !=, <, <=, >, >= */
    int32_t n_where;
} ft_dataset_options;

/* Opens the data set at path, which *ds owns afterwards; o may be NULL. FT_E_CONFIG: of a list, a column that
 * is not there; FT_E_DATA says what is wrong with the data, FT_E_IO that they cannot be read. After a failure
 * *ds is NULL. */
ft_err ft_dataset_open(const char *path, const ft_dataset_options *o, ft_dataset **ds);
/* The n data sets at these paths as one, each sample of source k to be shown weights[k] times in an epoch
 * of training, on average. Classes of one name are one. A sample's name begins with its source's path. Errors
 * as ft_dataset_open; *ds is then NULL. */
ft_err ft_dataset_join(int32_t n, const char *const *paths, const float *weights, const ft_dataset_options *o,
                       ft_dataset **ds);
/* Releases it; NULL is fine. */
void ft_dataset_free(ft_dataset *ds);

/* Whether the file's name is a packed data set's. */
bool ft_dataset_is_packed(const char *path);

/* The class of sample i, 0 .. n_classes-1. */
int32_t ft_dataset_label(const ft_dataset *ds, int32_t i);
/* The group of sample i, 0 .. n_groups-1; -1 where there are no groups. */
int32_t ft_dataset_group(const ft_dataset *ds, int32_t i);
/* The source of sample i, 0 where nothing was joined. */
int32_t ft_dataset_source(const ft_dataset *ds, int32_t i);
ft_fixed ft_dataset_fixed(const ft_dataset *ds, int32_t i);
/* Target t of sample i, to out (ft_target_width). */
void ft_dataset_target(const ft_dataset *ds, int32_t i, int32_t t, float *out);
/* Numbers of all targets of a sample. */
int32_t ft_dataset_target_width(const ft_dataset *ds);
/* The name of sample i, relative to the path opened ("CLASS/image.jpg", "train-images-idx3-ubyte.gz[7]"), cut
 * to fit. */
void ft_dataset_name(const ft_dataset *ds, int32_t i, char *buffer, size_t bytes);
/* Sample i as an image, which the caller frees. Errors as ft_image_load, naming the file; *out is then empty.
 */
ft_err ft_dataset_read(const ft_dataset *ds, int32_t i, ft_image_want want, ft_image *out);
/* Sample i as the bytes of an image file, the caller's to free. FT_E_DATA, FT_E_IO, FT_E_MEMORY. */
ft_err ft_dataset_bytes(const ft_dataset *ds, int32_t i, uint8_t **bytes, size_t *n);
/* XXH3-64 of what sample i is made from, its file's bytes for instance: equal for equal images. FT_E_DATA:
 * it is not there or may not be read; FT_E_IO. */
ft_err ft_dataset_content(const ft_dataset *ds, int32_t i, uint64_t *hash);

#endif

/* The configuration of a training run: a plain struct, read from YAML, checked, and written back.
 *
 * One table (config_options.c) holds every option: its key, type, range, default and one line of
 * documentation. The reader, the overrides, the checks, the help, the reference page and the writer all walk
 * that table, so an option is added with one field here and one row there. The key path of an option is its
 * path in the struct: "train.optimizer.lr" is config.train.optimizer.lr.
 *
 * The file is a small, strict part of YAML 1.2 (core schema): one document of nested mappings with scalar
 * values, lists of texts, mappings of patterns to numbers, and the list of phases. A truth value is true or
 * false (yes, no, on, off are refused), a number is plain decimal ("1e-3", "1.", "42"), and NaN, infinities,
 * aliases, anchors, tags, merge keys and further documents are refused. Relative paths are relative to the
 * current directory, not to the file. Numbers take the form of the "C" locale, so LC_NUMERIC must be "C"
 * (what a program starts with) while these functions run.
 *
 * Every function that fails leaves the ft_config it was to change untouched. Nothing here keeps global state.
 */
#ifndef FACET_TRAIN_CONFIG_H
#define FACET_TRAIN_CONFIG_H

#include "tensor/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum {
    FT_CONFIG_PATH_BYTES = 4096,   /* of a path, the closing zero included */
    FT_CONFIG_NAME_BYTES = 128,    /* of a network's or node's name, the closing zero included */
    FT_CONFIG_LIST_BYTES = 1024,   /* of a list or mapping of patterns */
    FT_CONFIG_PHASES = 8,          /* at most */
    FT_CONFIG_PHASE_BYTES = 2048,  /* of what a phase sets, as text */
    FT_CONFIG_FILE_BYTES = 1 << 20 /* the largest file accepted */
};

typedef enum { FT_CONFIG_KERNELS_AUTO, FT_CONFIG_KERNELS_DIRECT } ft_config_kernels;
typedef enum {
    FT_CONFIG_SPLIT_STRATIFIED,
    FT_CONFIG_SPLIT_GROUP,
    FT_CONFIG_SPLIT_HASH,
    FT_CONFIG_SPLIT_LIST
} ft_config_split_by;
typedef enum {
    FT_CONFIG_SAMPLING_SHUFFLE,
    FT_CONFIG_SAMPLING_BALANCED,
    FT_CONFIG_SAMPLING_IDENTITIES
} ft_config_sampling;
typedef enum {
    FT_CONFIG_VIEWS_ONE,
    FT_CONFIG_VIEWS_FLIP,
    FT_CONFIG_VIEWS_CROPS
} ft_config_views; /* ft_views */
typedef enum {
    FT_CONFIG_NON_FINITE_STOP,
    FT_CONFIG_NON_FINITE_SKIP,
    FT_CONFIG_NON_FINITE_ROLLBACK
} ft_config_non_finite;
typedef enum { FT_CONFIG_BAD_SKIP, FT_CONFIG_BAD_FAIL } ft_config_bad_images;
typedef enum {
    FT_CONFIG_NORMALIZE_UNIT,
    FT_CONFIG_NORMALIZE_INCEPTION,
    FT_CONFIG_NORMALIZE_STANDARD,
    FT_CONFIG_NORMALIZE_MEAN_STD
} ft_config_normalize;
typedef enum {
    FT_CONFIG_RESIZE_PIL,
    FT_CONFIG_RESIZE_PIL_BICUBIC,
    FT_CONFIG_RESIZE_TF,
    FT_CONFIG_RESIZE_OPENCV,
    FT_CONFIG_RESIZE_TF_ANTIALIAS,
    FT_CONFIG_RESIZE_TF_NEAREST,
    FT_CONFIG_RESIZE_OPENCV_AREA
} ft_config_resize;
typedef enum { FT_CONFIG_CROP_NONE, FT_CONFIG_CROP_RANDOM, FT_CONFIG_CROP_INCEPTION } ft_config_crop;
typedef enum { FT_CONFIG_COLOR_NONE, FT_CONFIG_COLOR_INCEPTION } ft_config_color;
typedef enum {
    FT_CONFIG_WEIGHTS_AUTO,
    FT_CONFIG_WEIGHTS_KERAS,
    FT_CONFIG_WEIGHTS_KERAS3,
    FT_CONFIG_WEIGHTS_TORCH,
    FT_CONFIG_WEIGHTS_SAFETENSORS,
    FT_CONFIG_WEIGHTS_FACET
} ft_config_weights;
typedef enum { FT_CONFIG_DTYPE_FP32, FT_CONFIG_DTYPE_BF16 } ft_config_dtype;
typedef enum { FT_CONFIG_POOL_AVG } ft_config_pool;
typedef enum {
    FT_CONFIG_OPTIMIZER_SGD,
    FT_CONFIG_OPTIMIZER_RMSPROP,
    FT_CONFIG_OPTIMIZER_RMSPROP_TF,
    FT_CONFIG_OPTIMIZER_ADAM,
    FT_CONFIG_OPTIMIZER_ADAMW
} ft_config_optimizer;
typedef enum {
    FT_CONFIG_SCHEDULE_CONSTANT,
    FT_CONFIG_SCHEDULE_STEP,
    FT_CONFIG_SCHEDULE_EXPONENTIAL,
    FT_CONFIG_SCHEDULE_COSINE,
    FT_CONFIG_SCHEDULE_POLYNOMIAL,
    FT_CONFIG_SCHEDULE_PLATEAU
} ft_config_schedule;
typedef enum { FT_CONFIG_LOSS_SOFTMAX } ft_config_loss;
typedef enum {
    FT_CONFIG_CLASS_WEIGHTS_NONE,
    FT_CONFIG_CLASS_WEIGHTS_BALANCED,
    FT_CONFIG_CLASS_WEIGHTS_EFFECTIVE
} ft_config_class_weights;
typedef enum {
    FT_CONFIG_MONITOR_NONE,
    FT_CONFIG_MONITOR_VAL_LOSS,
    FT_CONFIG_MONITOR_VAL_ACCURACY,
    FT_CONFIG_MONITOR_VAL_F1,
    FT_CONFIG_MONITOR_VAL_RECALL,
    FT_CONFIG_MONITOR_VAL_AUC
} ft_config_monitor;

/* What a real option holds while its value is "auto"; ft_config_resolve replaces it. Never a legal value of
 * its own. */
#define FT_CONFIG_AUTO (-1.0)

/* Items between commas; of a mapping "pattern=number". Read with ft_config_item. */
typedef char ft_config_list[FT_CONFIG_LIST_BYTES];

/* Units, ranges and defaults: ft_config_help, ft_config_reference, or the table. */
typedef struct ft_config {
    uint64_t seed;
    int32_t threads;
    ft_config_kernels kernels;
    int64_t memory; /* bytes; 0: no limit */
    char output[FT_CONFIG_PATH_BYTES];
    struct {
        char path[FT_CONFIG_PATH_BYTES];
        ft_config_list join;
        struct {
            double train, val, test;
            ft_config_split_by by;
            char group[FT_CONFIG_NAME_BYTES], list[FT_CONFIG_PATH_BYTES];
            int32_t folds, fold;
        } split;
        struct {
            int32_t size, channels;
            ft_config_normalize normalize;
            ft_config_resize resize;
            bool scaled_decode;
        } image;
        struct {
            bool flip;
            ft_config_crop crop;
            int32_t pad;
            double rotate, shift, scale, shear;
            ft_config_color color;
            double brightness, contrast, saturation, hue;
            double grey, blur, erase, mixup, cutmix;
        } augment;
        struct {
            char label[FT_CONFIG_NAME_BYTES], file[FT_CONFIG_NAME_BYTES], split[FT_CONFIG_NAME_BYTES];
            char folder[FT_CONFIG_PATH_BYTES];
            ft_config_list where, more;
        } list;
        struct {
            ft_config_sampling name;
            int32_t classes, images;
        } sampling;
        struct {
            ft_config_bad_images policy;
            double max_share;
        } bad_images;
        double center_crop;
        int32_t workers, cache_mb;
    } data;
    struct {
        char arch[FT_CONFIG_NAME_BYTES];
        double width;
        struct {
            double dropout;
            ft_config_pool pool;
        } head;
        bool aux_head;
        double aux_weight;
        struct {
            double momentum, epsilon;
            bool scale, unbiased;
        } bn;
        bool count_padding;
        struct {
            char file[FT_CONFIG_PATH_BYTES];
            ft_config_weights format;
            bool include_top;
            ft_config_list allow_missing;
        } weights;
        struct {
            char up_to[FT_CONFIG_NAME_BYTES];
            int32_t layers;
            ft_config_list match;
        } freeze;
    } model;
    struct {
        int32_t batch, accumulate, epochs, eval_batch;
        ft_config_views eval_views;
        ft_config_non_finite non_finite;
        struct {
            ft_config_optimizer name;
            double lr, momentum;
            bool nesterov;
            double decay, epsilon, beta1, beta2, weight_decay;
            bool decay_all;
        } optimizer;
        struct {
            double norm, value;
        } clip;
        struct {
            ft_config_schedule name;
            double warmup_epochs, step_epochs, gamma;
            bool staircase;
            double power, final_lr;
            int32_t patience;
            double min_delta;
            ft_config_monitor monitor;
        } schedule;
        struct {
            ft_config_loss name;
            double label_smoothing;
            ft_config_class_weights class_weights;
            double effective_beta;
            ft_config_list head_weights;
        } loss;
        double ema;
        struct {
            ft_config_monitor monitor;
            int32_t patience;
            double min_delta;
        } early_stop;
        struct {
            int32_t every_steps, keep;
            double every_minutes;
            ft_config_monitor monitor;
        } checkpoint;
        ft_config_list lr_multipliers;
        struct {
            bool use;
            int32_t memory_mb, variants;
            ft_config_dtype dtype;
            char path[FT_CONFIG_PATH_BYTES];
        } feature_cache;
        char phases[FT_CONFIG_PHASES][FT_CONFIG_PHASE_BYTES]; /* see ft_config_phase; the unused are empty */
    } train;
} ft_config;

/* Every option at its default; bytes no option uses are zero, so equal settings are equal bytes (memcmp). */
void ft_config_defaults(ft_config *config);

/* The defaults, then what the YAML file at path says. An option is checked as it is read: unknown, duplicate,
 * mistyped and out of range settings are FT_E_CONFIG with "path:line:column: ..." and what would have been
 * valid. FT_E_CONFIG also for a file that cannot be opened or is over FT_CONFIG_FILE_BYTES; FT_E_IO,
 * FT_E_MEMORY. */
ft_err ft_config_read(const char *path, ft_config *config);
/* The same from len bytes of text; name stands for the path in messages. An empty text is all defaults. */
ft_err ft_config_parse(const char *text, size_t len, const char *name, ft_config *config);
/* One override on top of what config holds, written "key=value": "train.batch=64", "train.optimizer=adamw",
 * "model.freeze.match=conv2d_1,conv2d_2", "train.phases[0].epochs=3" (of a phase that is there). The value is
 * taken as it stands, without YAML quoting; a string may be empty. FT_E_CONFIG. */
ft_err ft_config_set(ft_config *config, const char *assignment);

/* The rules no single option can break: required options are set, the split sums to 1, whatever watches a
 * validation metric has a validation split, options that contradict each other. FT_E_CONFIG naming the keys.
 * Call it after the last override. */
ft_err ft_config_check(const ft_config *config);
/* Item i of a list, cut to fit; of a mapping its pattern, and in *number (else untouched) its number. False:
 * there is none. */
bool ft_config_item(const ft_config_list list, int32_t i, char item[FT_CONFIG_NAME_BYTES], double *number);
/* All items of a list, in at[0 ... n-1], as long as *items is where it is. */
typedef struct ft_config_items {
    ft_config_list text;
    const char *at[FT_CONFIG_LIST_BYTES / 2];
    int32_t n;
} ft_config_items;
void ft_config_split(const ft_config_list list, ft_config_items *items);

/* Phases of the training; without train.phases it is one. */
int32_t ft_config_n_phases(const ft_config *config);
/* What holds in phase i: the configuration with what the phase sets, and no phases. Autos that come of it are
 * left to ft_config_resolve. out may not be config. FT_E_CONFIG never comes of phases that were read. */
ft_err ft_config_phase(const ft_config *config, int32_t i, ft_config *out);

/* The name of a choice, as "cosine" for "train.schedule.name": what the parsers of optim/ and data/ take.
 * NULL: key is no option with choices. */
const char *ft_config_choice(const ft_config *config, const char *key);
/* Replaces every "auto" by the value it stands for (the chosen optimiser's lr, epsilon and weight decay), and
 * train.epochs by the sum of the phases'. */
void ft_config_resolve(ft_config *config);

/* The effective configuration as YAML: every key, in the table's order. ft_config_parse reads it back to the
 * same bytes. Numbers have the fewest digits that do so. FT_E_IO when file cannot be written (flushed, not
 * closed), FT_E_MEMORY. */
ft_err ft_config_write(const ft_config *config, FILE *file);
/* The same into a new zero-terminated string of *len bytes, which the caller frees; on failure both are
 * untouched. */
ft_err ft_config_to_text(const ft_config *config, char **text, size_t *len);

/* The options of the file and of --set, for a terminal. Errors of the stream are the caller's to look at
 * (ferror). */
void ft_config_help(FILE *file);
/* The reference page, in Markdown. */
void ft_config_reference(FILE *file);

#endif

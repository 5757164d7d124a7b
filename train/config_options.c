/* The table of options. A row is the option's key (which is also its field in ft_config), what it accepts,
 * its default as it would be written in the file, and one line of documentation with the unit. A section
 * precedes its options. */
#include "train/config_options.h"

#include <math.h>

#define CLOSED(low, high) \
    { low, high, false, false }
#define BELOW(low, high) \
    { low, high, false, true }
#define WITHIN(low, high) \
    { low, high, true, true }
#define UP_TO(low, high) \
    { low, high, true, false }
#define FROM(low) \
    { low, HUGE_VAL, false, true }
#define ABOVE(low) \
    { low, HUGE_VAL, true, true }

/* offsetof, and a compile error when the field does not have the row's type */
#define FIELD(path)       ((ft_config *)0)->path
#define TYPED(path, type) .at = offsetof(ft_config, path) + 0 * sizeof(_Generic(FIELD(path), type : 0))
#define SIZED(path, want) \
    .at = offsetof(ft_config, path) + 0 * sizeof(char[sizeof(FIELD(path)) == (want) ? 1 : -1])

#define SECTION(path, scalar, text) \
    { .key = #path, .type = FT_OPTION_SECTION, .usual = scalar, .doc = text }
#define BOOL(path, def, text) \
    { .key = #path, .type = FT_OPTION_BOOL, TYPED(path, bool), .usual = def, .doc = text }
#define UINT(path, def, text)                                                                        \
    {                                                                                                \
        .key = #path, .type = FT_OPTION_UINT, TYPED(path, uint64_t), .range = FROM(0), .usual = def, \
        .doc = text                                                                                  \
    }
#define INT(path, limits, def, text) \
    { .key = #path, .type = FT_OPTION_INT, TYPED(path, int32_t), .range = limits, .usual = def, .doc = text }
#define REAL(path, limits, def, text) \
    { .key = #path, .type = FT_OPTION_REAL, TYPED(path, double), .range = limits, .usual = def, .doc = text }
#define AUTO(path, limits, text)                                                                     \
    {                                                                                                \
        .key = #path, .type = FT_OPTION_AUTO, TYPED(path, double), .range = limits, .usual = "auto", \
        .doc = text                                                                                  \
    }
#define BYTES(path, def, text) \
    { .key = #path, .type = FT_OPTION_BYTES, TYPED(path, int64_t), .usual = def, .doc = text }
#define CHOICE(path, list, def, text)                                                                    \
    {                                                                                                    \
        .key = #path, .type = FT_OPTION_CHOICE, SIZED(path, sizeof(int)), .choices = list, .usual = def, \
        .doc = text                                                                                      \
    }
#define CHARS(path, kind, def, text) \
    { .key = #path, .type = kind, TYPED(path, char *), .size = sizeof FIELD(path), .usual = def, .doc = text }
#define LIST(path, text) CHARS(path, FT_OPTION_LIST, "", text)
#define MAP(path, limits, text)                                                               \
    {                                                                                         \
        .key = #path, .type = FT_OPTION_MAP, TYPED(path, char *), .size = sizeof FIELD(path), \
        .range = limits, .usual = "", .doc = text                                             \
    }
#define PHASES(path, text) \
    { .key = #path, .type = FT_OPTION_PHASES, .at = offsetof(ft_config, path), .usual = "", .doc = text }
#define STRING(path, def, text) CHARS(path, FT_OPTION_STRING, def, text)
#define REQUIRED(path, text)    CHARS(path, FT_OPTION_REQUIRED, "", text)

static const ft_choice kernels[] = {{"auto", FT_CONFIG_KERNELS_AUTO},
                                    {"direct", FT_CONFIG_KERNELS_DIRECT},
                                    {0}};
static const ft_choice split_by[] = {{"stratified", FT_CONFIG_SPLIT_STRATIFIED},
                                     {"group", FT_CONFIG_SPLIT_GROUP},
                                     {"hash", FT_CONFIG_SPLIT_HASH},
                                     {"list", FT_CONFIG_SPLIT_LIST},
                                     {0}};
static const ft_choice samplings[] = {{"shuffle", FT_CONFIG_SAMPLING_SHUFFLE},
                                      {"balanced", FT_CONFIG_SAMPLING_BALANCED},
                                      {"identities", FT_CONFIG_SAMPLING_IDENTITIES},
                                      {0}};
static const ft_choice non_finite[] = {{"stop", FT_CONFIG_NON_FINITE_STOP},
                                       {"skip", FT_CONFIG_NON_FINITE_SKIP},
                                       {"rollback", FT_CONFIG_NON_FINITE_ROLLBACK},
                                       {0}};
static const ft_choice views[] = {{"one", FT_CONFIG_VIEWS_ONE},
                                  {"flip", FT_CONFIG_VIEWS_FLIP},
                                  {"crops", FT_CONFIG_VIEWS_CROPS},
                                  {0}};
static const ft_choice bad_images[] = {{"skip", FT_CONFIG_BAD_SKIP}, {"fail", FT_CONFIG_BAD_FAIL}, {0}};
static const ft_choice channels[] = {{"0", 0}, {"1", 1}, {"3", 3}, {0}};
static const ft_choice normalizations[] = {{"unit", FT_CONFIG_NORMALIZE_UNIT},
                                           {"inception", FT_CONFIG_NORMALIZE_INCEPTION},
                                           {"standard", FT_CONFIG_NORMALIZE_STANDARD},
                                           {"mean_std", FT_CONFIG_NORMALIZE_MEAN_STD},
                                           {0}};
static const ft_choice resizers[] = {{"pil", FT_CONFIG_RESIZE_PIL},
                                     {"pil_bicubic", FT_CONFIG_RESIZE_PIL_BICUBIC},
                                     {"tf", FT_CONFIG_RESIZE_TF},
                                     {"opencv", FT_CONFIG_RESIZE_OPENCV},
                                     {"tf_antialias", FT_CONFIG_RESIZE_TF_ANTIALIAS},
                                     {"tf_nearest", FT_CONFIG_RESIZE_TF_NEAREST},
                                     {"opencv_area", FT_CONFIG_RESIZE_OPENCV_AREA},
                                     {0}};
static const ft_choice crops[] = {{"none", FT_CONFIG_CROP_NONE},
                                  {"random", FT_CONFIG_CROP_RANDOM},
                                  {"inception", FT_CONFIG_CROP_INCEPTION},
                                  {0}};
static const ft_choice colors[] = {{"none", FT_CONFIG_COLOR_NONE},
                                   {"inception", FT_CONFIG_COLOR_INCEPTION},
                                   {0}};
static const ft_choice weights_formats[] = {{"auto", FT_CONFIG_WEIGHTS_AUTO},
                                            {"keras", FT_CONFIG_WEIGHTS_KERAS},
                                            {"keras3", FT_CONFIG_WEIGHTS_KERAS3},
                                            {"torch", FT_CONFIG_WEIGHTS_TORCH},
                                            {"safetensors", FT_CONFIG_WEIGHTS_SAFETENSORS},
                                            {"facet", FT_CONFIG_WEIGHTS_FACET},
                                            {0}};
static const ft_choice dtypes[] = {{"fp32", FT_CONFIG_DTYPE_FP32}, {"bf16", FT_CONFIG_DTYPE_BF16}, {0}};
static const ft_choice pools[] = {{"avg", FT_CONFIG_POOL_AVG}, {0}};
static const ft_choice optimizers[] = {{"sgd", FT_CONFIG_OPTIMIZER_SGD},
                                       {"rmsprop", FT_CONFIG_OPTIMIZER_RMSPROP},
                                       {"rmsprop_tf", FT_CONFIG_OPTIMIZER_RMSPROP_TF},
                                       {"adam", FT_CONFIG_OPTIMIZER_ADAM},
                                       {"adamw", FT_CONFIG_OPTIMIZER_ADAMW},
                                       {0}};
static const ft_choice schedules[] = {{"constant", FT_CONFIG_SCHEDULE_CONSTANT},
                                      {"step", FT_CONFIG_SCHEDULE_STEP},
                                      {"exponential", FT_CONFIG_SCHEDULE_EXPONENTIAL},
                                      {"cosine", FT_CONFIG_SCHEDULE_COSINE},
                                      {"polynomial", FT_CONFIG_SCHEDULE_POLYNOMIAL},
                                      {"plateau", FT_CONFIG_SCHEDULE_PLATEAU},
                                      {0}};
static const ft_choice losses[] = {{"softmax", FT_CONFIG_LOSS_SOFTMAX}, {0}};
static const ft_choice class_weights[] = {{"none", FT_CONFIG_CLASS_WEIGHTS_NONE},
                                          {"balanced", FT_CONFIG_CLASS_WEIGHTS_BALANCED},
                                          {"effective", FT_CONFIG_CLASS_WEIGHTS_EFFECTIVE},
                                          {0}};
static const ft_choice monitors_or_none[] = {{"none", FT_CONFIG_MONITOR_NONE},
                                             {"val_loss", FT_CONFIG_MONITOR_VAL_LOSS},
                                             {"val_accuracy", FT_CONFIG_MONITOR_VAL_ACCURACY},
                                             {"val_f1", FT_CONFIG_MONITOR_VAL_F1},
                                             {"val_recall", FT_CONFIG_MONITOR_VAL_RECALL},
                                             {"val_auc", FT_CONFIG_MONITOR_VAL_AUC},
                                             {0}};
#define MONITORS (monitors_or_none + 1) /* all but none */

const ft_option ft_options[] = {
    UINT(seed, "42",
         "Seed of the initial weights, the split, the order of the images, augmentation and dropout."),
    INT(threads, CLOSED(0, 1024), "0",
        "Threads that compute; 0 takes all cores. The results do not depend on it."),
    CHOICE(kernels, kernels, "auto",
           "auto: for each convolution the fastest algorithm, Winograd's where it pays; direct: only the "
           "definition's sums, slower, with its rounding."),
    BYTES(memory, "0",
          "What the training may take. Where a batch does not fit it is computed in equal parts, each with "
          "batch statistics of its own, and caches take what is left; 0: no limit."),
    STRING(output, "",
           "Folder the run is left in; empty: the tool derives it from the configuration's name."),

    SECTION(data, NULL, "The images: where they come from and how they are prepared."),
    REQUIRED(data.path, "The data set, a folder with one folder of images per class, for instance."),
    MAP(data.join, FROM(0),
        "Further data sets by their paths, each with how often an epoch shows its images, on average; those "
        "of "
        "data.path come once. Classes of one name are one."),
    REAL(data.center_crop, UP_TO(0, 1), "1", "Fraction of the sides kept around the centre; 1: no crop."),
    INT(data.workers, CLOSED(0, 256), "1",
        "Threads that load and augment images beside the training; 0: the training does it itself."),
    INT(data.cache_mb, FROM(0), "512", "Images are kept decoded if they all fit into this, MiB; 0: none."),
    SECTION(data.split, NULL, "Fractions of the images, which must sum to 1."),
    REAL(data.split.train, UP_TO(0, 1), "0.8", "Fraction trained on."),
    REAL(data.split.val, BELOW(0, 1), "0.1", "Fraction watched after every epoch; 0: no validation."),
    REAL(data.split.test, BELOW(0, 1), "0.1", "Fraction kept for the final metrics; 0: none."),
    CHOICE(
        data.split.by, split_by, "stratified",
        "stratified: every class in these proportions; group: what belongs together stays together; hash: by "
        "content, so that images added later move no others; list: as a file says."),
    STRING(data.split.group, "",
           "group: the column of a list that says what belongs together, a person's name."),
    STRING(data.split.list, "",
           "list: a CSV file with the columns file and part, as ft-data split writes it."),
    INT(data.split.folds, CLOSED(0, 50), "0",
        "Cross-validation: what is not test is divided into so many folds; 0: none."),
    INT(data.split.fold, CLOSED(0, 49), "0",
        "The fold, from 0, that is validation; the others are training."),
    SECTION(data.image, NULL, "What the network is shown."),
    INT(data.image.size, CLOSED(0, 8192), "0", "Height and width, pixels; 0: the network's own."),
    CHOICE(data.image.channels, channels, "0", "1 grey, 3 RGB; 0: the network's own."),
    CHOICE(
        data.image.normalize, normalizations, "inception",
        "unit: to [0, 1]; inception: to [-1, 1], as Keras's and torchvision's Inception weights want it; "
        "standard: each image to zero mean and unit deviation; mean_std: by ImageNet's mean and deviation."),
    CHOICE(data.image.resize, resizers, "pil",
           "Whose resize to match, bilinear unless the name says otherwise; tf and opencv do not antialias "
           "when they "
           "shrink; tf_nearest is Keras's load_img, too."),
    BOOL(data.image.scaled_decode, "false",
         "Decode JPEGs of more than twice the size needed at 1/2, 1/4 or 1/8: faster, pixels differ a "
         "little."),
    SECTION(data.augment, NULL, "Random changes of the training images."),
    BOOL(data.augment.flip, "false", "Mirror left and right, half of the time."),
    CHOICE(data.augment.crop, crops, "none",
           "random: a window of the padded image; inception: 5 to 100 % of the area at aspect 3/4 to 4/3."),
    INT(data.augment.pad, CLOSED(0, 4096), "0", "Padding on each side before a random crop, pixels."),
    REAL(data.augment.rotate, CLOSED(0, 180), "0", "Rotate by up to this, either way, degrees."),
    REAL(data.augment.shift, BELOW(0, 1), "0",
         "Shift by up to this fraction of the width and of the height."),
    REAL(data.augment.scale, BELOW(0, 1), "0", "Zoom by a factor within this distance of 1."),
    REAL(data.augment.shear, BELOW(0, 90), "0", "Lean by up to this, either way, degrees."),
    CHOICE(data.augment.color, colors, "none",
           "inception: brightness, saturation, hue and contrast changed as in Inception's training."),
    REAL(data.augment.brightness, FROM(0), "0", "Multiply by a factor within this distance of 1."),
    REAL(data.augment.contrast, FROM(0), "0", "The same for the distance from the mean grey."),
    REAL(data.augment.saturation, FROM(0), "0", "The same for the distance from grey."),
    REAL(data.augment.hue, CLOSED(0, 0.5), "0",
         "Turn the hue by up to this fraction of the circle, either way."),
    REAL(data.augment.grey, CLOSED(0, 1), "0", "Share of the images that lose their colours."),
    REAL(data.augment.blur, CLOSED(0, 20), "0", "Blur by a Gaussian of up to this deviation, pixels."),
    REAL(data.augment.erase, CLOSED(0, 1), "0", "Share of the images of which a rectangle is erased."),
    REAL(data.augment.mixup, CLOSED(0, 8), "0",
         "Blend each image and label with another's, in shares from Beta(alpha, alpha) with this alpha; 0: "
         "off."),
    REAL(data.augment.cutmix, CLOSED(0, 8), "0",
         "Paste a box of another image into each, and mix the labels, in such shares; 0: off."),
    SECTION(data.list, NULL,
            "Columns of a list of images: data.path names a .csv or .tsv file with a header."),
    STRING(data.list.label, "", "Column that holds the class; needed for a list."),
    LIST(data.list.more, "Further columns, each learnt by a head of its own: COLUMN of classes, "
                         "COLUMN:number, or COLUMN:multi of any "
                         "number of classes with a bar between."),
    STRING(data.list.file, "file", "Column of the images' paths, relative to data.list.folder."),
    STRING(data.list.folder, "", "Folder of the images, relative to the list's own; empty: that."),
    STRING(data.list.split, "",
           "Column that says train, val or test for each image; empty: data.split says."),
    LIST(data.list.where,
         "Conditions on columns that images must meet, such as \"status=ok\" or \"age>=12\"."),
    SECTION(data.sampling, "name", "Which images an epoch of training shows."),
    CHOICE(data.sampling.name, samplings, "shuffle",
           "shuffle: each once; balanced: each class as often, small ones' images several times; identities: "
           "batches "
           "of so many classes with so many images each."),
    INT(data.sampling.classes, FROM(1), "8", "identities: classes in a batch."),
    INT(data.sampling.images, FROM(1), "4",
        "identities: images of each; classes x images must be train.batch."),
    SECTION(data.bad_images, "policy", "Images that cannot be read."),
    CHOICE(
        data.bad_images.policy, bad_images, "skip",
        "skip: leave them out and list them, with the reason, in quarantine.csv; fail: stop at the first."),
    REAL(data.bad_images.max_share, CLOSED(0, 1), "0.05",
         "skip: stop nevertheless when more than this fraction of all images is bad."),

    SECTION(model, NULL, "The network."),
    STRING(model.arch, "inception_v3", "The network's name: inception_v3, inception_mini, lenet, ..."),
    REAL(model.width, UP_TO(0, 16), "1", "Multiplies the channel counts (inception_mini)."),
    BOOL(model.aux_head, "false",
         "Train an auxiliary classifier beside the main one, where the network has one."),
    REAL(model.aux_weight, FROM(0), "0.4", "Weight of the auxiliary classifier's loss."),
    BOOL(model.count_padding, "false",
         "Average pools divide by padding, too, as torchvision's; imported weights of PyTorch set it."),
    SECTION(model.weights, "file", "Weights that the network starts from."),
    STRING(model.weights.file, "",
           "File of Keras (.h5, .keras), PyTorch (.pth), safetensors, or a model of Facet's; empty: random "
           "weights."),
    CHOICE(model.weights.format, weights_formats, "auto", "auto: by what is in the file."),
    BOOL(model.weights.include_top, "true",
         "false: the file's classifier is left out, and this network's own starts at random."),
    LIST(model.weights.allow_missing,
         "Patterns (* and ?) of parameters that the file may lack; they start at random."),
    SECTION(model.head, NULL, "What follows the last feature map."),
    REAL(model.head.dropout, BELOW(0, 1), "0", "Fraction of the features dropped before the classifier."),
    CHOICE(model.head.pool, pools, "avg", "Pooling over the whole feature map."),
    SECTION(model.bn, NULL, "Batch normalisation."),
    REAL(model.bn.momentum, BELOW(0, 1), "0.9",
         "What the running statistics keep at each step; Keras uses 0.99, which needs thousands of steps to "
         "settle."),
    REAL(model.bn.epsilon, ABOVE(0), "1e-3", "Added to the variance."),
    BOOL(model.bn.scale, "false",
         "With a learned scale (gamma), as torchvision's; Keras's Inception has none."),
    BOOL(model.bn.unbiased, "false", "Running statistics keep the unbiased variance, as PyTorch's do."),
    SECTION(model.freeze, "up_to", "Layers that are not trained."),
    STRING(model.freeze.up_to, "",
           "Freeze the network from its input up to and including this node; empty: nothing."),
    INT(model.freeze.layers, FROM(0), "0",
        "Freeze the first so many layers in Keras's numbering, as in model.layers[:249]."),
    LIST(model.freeze.match, "Patterns (* and ?) of nodes to freeze wherever they are."),

    SECTION(train, NULL, "The training."),
    INT(train.batch, FROM(1), "32", "Images in a batch."),
    INT(train.accumulate, FROM(1), "1", "Batches whose averaged gradient makes one step."),
    INT(train.epochs, FROM(1), "30", "Passes over the training images."),
    INT(train.eval_batch, FROM(0), "0", "Images in a batch of evaluation; 0: as train.batch."),
    CHOICE(train.eval_views, views, "one",
           "Views of an image that evaluation takes the mean prediction of: one; flip: and its mirror image; "
           "crops: the "
           "centre, four corners and their mirror images."),
    CHOICE(train.non_finite, non_finite, "stop",
           "At a loss, gradient or weight that is no number: stop; skip the step, up to ten in a row; "
           "rollback to the last "
           "resume point and go on with half the learning rate, up to eight times."),
    REAL(train.ema, BELOW(0, 1), "0",
         "What the running average of the weights, used for evaluation, keeps at each step; 0: no average."),
    MAP(train.lr_multipliers, FROM(0),
        "Factors of the learning rate by patterns (* and ?) of nodes; the last that matches counts."),
    PHASES(train.phases,
           "Phases one after the other, each a mapping: epochs (required) and any of batch, accumulate, "
           "optimizer, clip, schedule, loss, early_stop, lr_multipliers, feature_cache, freeze "
           "(model.freeze) and augment (data.augment), which then hold instead of those outside."),
    SECTION(train.optimizer, "name", "The update rule."),
    CHOICE(train.optimizer.name, optimizers, "adam",
           "rmsprop_tf is TensorFlow 1's, with epsilon inside the root; adamw decouples the weight decay."),
    AUTO(train.optimizer.lr, ABOVE(0), "Learning rate; auto: sgd 0.01, the others 0.001."),
    REAL(train.optimizer.momentum, BELOW(0, 1), "0", "Momentum of sgd, rmsprop and rmsprop_tf."),
    BOOL(train.optimizer.nesterov, "false", "Nesterov's momentum (sgd)."),
    REAL(train.optimizer.decay, BELOW(0, 1), "0.9", "What rmsprop's mean square keeps at each step (rho)."),
    AUTO(
        train.optimizer.epsilon, FROM(0),
        "Keeps the denominator from zero; auto: rmsprop, adam, adamw 1e-7, rmsprop_tf 1e-10 (the paper: 1)."),
    REAL(train.optimizer.beta1, BELOW(0, 1), "0.9", "What adam's mean gradient keeps at each step."),
    REAL(train.optimizer.beta2, BELOW(0, 1), "0.999", "What adam's mean square gradient keeps at each step."),
    AUTO(train.optimizer.weight_decay, FROM(0),
         "L2 factor added to the gradient, or adamw's decoupled decay per unit of lr; auto: adamw 0.004, "
         "others 0."),
    BOOL(train.optimizer.decay_all, "false", "Decay biases and batch normalisation as well."),
    SECTION(train.clip, NULL, "Limits of the gradient; both may be set."),
    REAL(train.clip.norm, FROM(0), "0", "Largest norm of the whole gradient; 0: off."),
    REAL(train.clip.value, FROM(0), "0", "Largest magnitude of each element; 0: off."),
    SECTION(train.schedule, "name", "The learning rate over time."),
    CHOICE(train.schedule.name, schedules, "constant",
           "How the learning rate falls from train.optimizer.lr."),
    REAL(train.schedule.warmup_epochs, FROM(0), "0",
         "Linear rise to train.optimizer.lr before the schedule, epochs."),
    REAL(train.schedule.step_epochs, ABOVE(0), "10", "Period of step and exponential, epochs."),
    REAL(train.schedule.gamma, UP_TO(0, 1), "0.1", "Factor per period (step, exponential), or per plateau."),
    BOOL(train.schedule.staircase, "false",
         "exponential: one fall at the end of each period, not a smooth one."),
    REAL(train.schedule.power, ABOVE(0), "1", "Exponent of polynomial; 1 is a straight line."),
    REAL(train.schedule.final_lr, FROM(0), "0", "Where cosine and polynomial end; plateau stays above it."),
    INT(train.schedule.patience, FROM(0), "10",
        "plateau: epochs without improvement that are borne; the next brings a fall."),
    REAL(train.schedule.min_delta, FROM(0), "0", "plateau: an improvement is more than this."),
    CHOICE(train.schedule.monitor, MONITORS, "val_loss", "plateau: the metric watched."),
    SECTION(train.loss, "name", "What is minimised."),
    CHOICE(train.loss.name, losses, "softmax", "softmax: cross-entropy of the class probabilities."),
    REAL(train.loss.label_smoothing, BELOW(0, 1), "0", "Share of the target spread evenly over all classes."),
    CHOICE(
        train.loss.class_weights, class_weights, "none",
        "balanced: weights inverse to the class frequencies; effective: to the effective numbers of images."),
    MAP(train.loss.head_weights, FROM(0),
        "What the loss of a further column counts, by columns; 1 by default."),
    REAL(train.loss.effective_beta, BELOW(0, 1), "0.999",
         "effective: a class of n images counts as (1 - beta^n) / (1 - beta) (Cui et al. 2019)."),
    SECTION(train.early_stop, "monitor", "An end before train.epochs."),
    CHOICE(train.early_stop.monitor, monitors_or_none, "none", "The metric watched; none: train all epochs."),
    INT(train.early_stop.patience, FROM(1), "10", "Epochs without improvement before the end."),
    REAL(train.early_stop.min_delta, FROM(0), "0", "An improvement is more than this."),
    SECTION(train.checkpoint, NULL, "What is saved, and when."),
    INT(train.checkpoint.every_steps, FROM(0), "0",
        "Save a resume point every so many steps; 0: at epochs only."),
    REAL(train.checkpoint.every_minutes, FROM(0), "10",
         "Save a resume point every so many minutes; 0: at epochs only."),
    INT(train.checkpoint.keep, FROM(1), "2",
        "Resume points kept: last.h5, and as last.1.h5 and so on those before it, for when it is damaged."),
    CHOICE(train.checkpoint.monitor, MONITORS, "val_accuracy",
           "The metric that chooses best.h5; without a validation split it is the last epoch."),
    SECTION(train.feature_cache, "use",
            "What a frozen part of the network makes of the images is computed once and kept."),
    BOOL(train.feature_cache.use, "true", "false: the frozen part runs in every epoch."),
    INT(train.feature_cache.memory_mb, FROM(0), "1024", "Kept in memory, too, up to this size, MiB."),
    STRING(train.feature_cache.path, "",
           "Folder of the files, for later runs as well; empty: the run's, and they go when they are done "
           "with."),
    CHOICE(train.feature_cache.dtype, dtypes, "fp32", "bf16: half the size, rounded to 8 bits."),
    INT(train.feature_cache.variants, FROM(0), "0",
        "With random changes of the images: so many variants of each are made and kept; 0: new ones in every "
        "epoch, and nothing is kept."),
};
const int ft_options_count = (int)(sizeof ft_options / sizeof *ft_options);
_Static_assert(sizeof ft_options / sizeof *ft_options <= FT_OPTIONS_MAX, "raise FT_OPTIONS_MAX");

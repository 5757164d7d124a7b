/* ft-predict: classifies images with a trained model. */
#include "tensor/par.h"
#include "tools/cli.h"
#include "tools/short_waits.h"
#include "train/checkpoint.h"
#include "train/predict.h"

#include <stdio.h>

typedef struct arguments {
    const char *tensor, *dump_to;
    ft_predict_options predict;
    int32_t threads;
} arguments;

static void complain(ft_err e) {
    ft_cli_fail(e);
}

static ft_err check(const arguments *a, int32_t n_images) {
    FT_REQUIRE(!a->tensor || n_images == 0, USAGE, "--tensor replaces the images; give one or the other");
    FT_REQUIRE(a->tensor || n_images > 0, USAGE,
               "nothing to predict: name images, or a dataset with --tensor");
    FT_REQUIRE(!a->tensor || !a->predict.explain, USAGE, "--explain needs images; --tensor has none to show");
    FT_REQUIRE(!a->predict.layer || a->predict.explain, USAGE, "--layer says what --explain DIR looks at");
    FT_REQUIRE(!a->predict.dump == !a->dump_to, USAGE, "--dump NODE,... and --to OUT.h5 belong together");
    return FT_OK;
}

/* *failure: what the first sample that failed, and was told of, failed with. */
static ft_err run(const arguments *a, ft_model *m, int32_t n_images, char *const images[], ft_err *failure) {
    ft_predictor *p;
    FT_TRY(ft_predictor_new(m, &a->predict, &p));
    ft_err e = a->tensor ? ft_predict_tensor(p, a->tensor) : ft_predict_images(p, n_images, images);
    *failure = ft_predictor_failure(p);
    if (e == FT_OK && a->dump_to) e = ft_predictor_save(p, a->dump_to);
    ft_predictor_free(p);
    return e;
}

static int predict(arguments *a, const char *path, int32_t n_images, char *const images[]) {
    ft_model *m = NULL;
    ft_err failure = FT_OK, e = check(a, n_images);
    if (!a->tensor && n_images < a->predict.batch) a->predict.batch = n_images;
    ft_threads_set(a->threads);
    if (e == FT_OK) e = ft_checkpoint_read_model(path, &m);
    if (e == FT_OK) e = run(a, m, n_images, images, &failure);
    ft_model_free(m);
    return e == FT_OK ? ft_cli_end(ft_err_exit_status(failure)) : ft_cli_fail(e);
}

static const char notes[] =
    "An image that cannot be read gets a line with \"error\", and the exit status is 3 in the end.\n"
    "\n"
    "Examples:\n"
    "  ft-predict best.h5 photos/*.jpg --top 3\n"
    "  ft-predict best.h5 cat.png --dump mixed7,avg_pool --to activations.h5\n"
    "  ft-predict best.h5 --tensor batch.h5:/images\n";

int main(int argc, char **argv) {
    ft_short_waits(argv);
    arguments a = {.predict = {.batch = 8, .out = stdout, .complain = complain}};
    const ft_cli_option options[] = {
        {.name = "top",
         .argument = "K",
         .number = &a.predict.top,
         .low = 1,
         .high = INT32_MAX,
         .help = "Probabilities to show, the largest first; all of up to 10 classes by default, else 5."},
        {.name = "tensor",
         .argument = "FILE.h5:/DATASET",
         .string = &a.tensor,
         .help = "Takes its input, instead of images, from a float32 dataset (n, height, width, channels) "
                 "that is "
                 "ready for the network: nothing is resized or normalised."},
        {.name = "dump",
         .argument = "NODE,...",
         .string = &a.predict.dump,
         .help = "Keeps the output of these nodes of the network; ft-model summary lists them."},
        {.name = "to",
         .argument = "OUT.h5",
         .string = &a.dump_to,
         .help =
             "The file for them: a float32 dataset (n, height, width, channels) for each, without the images "
             "that could not be read."},
        {.name = "explain",
         .argument = "DIR",
         .string = &a.predict.explain,
         .help =
             "Writes a PNG file of every image there that shows what in it spoke for its class (Grad-CAM)."},
        {.name = "layer",
         .argument = "NODE",
         .string = &a.predict.layer,
         .help = "With --explain: the node that is looked at; the last one with pixels by default."},
        {.name = "batch",
         .argument = "N",
         .number = &a.predict.batch,
         .low = 1,
         .high = 1 << 16,
         .help = "Images at a time; 8 by default. More need more memory."},
        {.name = "threads",
         .argument = "N",
         .number = &a.threads,
         .low = 1,
         .high = FT_CLI_MAX_THREADS,
         .help = "Threads to compute with; OMP_NUM_THREADS or all cores by default."},
        {0}};
    const ft_cli cli = {
        .program = "ft-predict",
        .usage = "MODEL.h5 IMAGE... [options]",
        .about =
            "Classifies images (JPEG, PNG, PNM) with a model that training left, such as best.h5, and prints "
            "a line of JSON for each: file, class, probability, probabilities. Images are prepared as they "
            "were for the model's training.",
        .notes = notes,
        .options = options,
        .min_args = 1,
        .max_args = FT_CLI_ANY};
    char **args;
    int32_t n;
    int status;
    if (!ft_cli_parse(&cli, argc, argv, &args, &n, &status)) return status;
    return predict(&a, args[0], n - 1, args + 1);
}

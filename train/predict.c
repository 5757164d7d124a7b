#include "train/predict.h"

#include "data/image.h"
#include "eval/metrics.h"
#include "tensor/escape.h"
#include "tensor/par.h"
#include "tensor/plan.h"
#include "train/config.h"
#include "train/explain.h"
#include "train/predict_dump.h"
#include "train/tensor_file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MANY_CLASSES = 10, TOP_OF_MANY = 5 };

/* One image or sample of the batch under way. */
typedef struct slot {
    ft_err err;
    char *message; /* owned, when err is not FT_OK */
} slot;

struct ft_predictor {
    ft_model *m;
    ft_predict_options o;
    ft_plan *plan;
    ft_dump dump;
    ft_explainer explainer; /* with options.explain */
    float *x;               /* (batch,h,w,c), sample i of slots[i] */
    slot *slots;            /* (batch) */
    int32_t *rank;          /* (classes), scratch */
    ft_err first;           /* failure of any sample so far */
    int32_t top;
};

/* ---- setting up */

static int64_t sample_size(const ft_predictor *p) {
    return ft_shape_size(ft_val_shape(p->m->g, p->m->input));
}

/* Does the training that the model comes from want convolutions by definition? */
static ft_err wants_direct(const ft_model *m, bool *direct) {
    ft_config config;
    ft_config_defaults(&config);
    if (m->config)
        FT_TRY(ft_config_parse(m->config, strlen(m->config), "the model's configuration", &config));
    *direct = config.kernels == FT_CONFIG_KERNELS_DIRECT;
    return FT_OK;
}

static ft_err compile(ft_predictor *p, bool direct) {
    bool top = p->m->out.logits.id > 0;
    FT_REQUIRE(top || p->dump.n > 0, USAGE, "the model has no classifier: name nodes to dump, such as %s",
               ft_val_name(p->m->g, p->m->out.features));
    int32_t n = 0;
    ft_val *outputs = ft_alloc((size_t)(p->dump.n + p->m->n_heads + 1), sizeof *outputs);
    FT_REQUIRE(outputs, MEMORY, "no memory for a list of nodes");
    for (int32_t i = 0; i < p->dump.n; i++) outputs[n++] = p->dump.nodes[i].val;
    for (int32_t k = 0; k < p->m->n_heads; k++) outputs[n++] = p->m->heads[k].prediction;
    if (top) outputs[n++] = p->m->probabilities;
    ft_plan_spec spec = {.batch = p->o.batch, .n_outputs = n, .outputs = outputs, .direct = direct};
    ft_err e = ft_compile(p->m->g, &spec, &p->plan);
    free(outputs);
    return e;
}

static ft_err set_up(ft_predictor *p) {
    int32_t classes = p->m->options.classes, most = classes <= MANY_CLASSES ? classes : TOP_OF_MANY;
    p->top = p->o.top == 0 ? most : p->o.top < classes ? p->o.top : classes;
    FT_TRY(ft_dump_init(&p->dump, p->m->g, p->o.dump));
    bool direct;
    FT_TRY(wants_direct(p->m, &direct));
    FT_TRY(compile(p, direct));
    if (p->o.explain) FT_TRY(ft_explainer_init(&p->explainer, p->m, p->o.explain, p->o.layer, direct));
    p->x = ft_alloc((size_t)p->o.batch * (size_t)sample_size(p), sizeof *p->x);
    p->slots = ft_alloc((size_t)p->o.batch, sizeof *p->slots);
    p->rank = ft_alloc((size_t)classes + 1, sizeof *p->rank);
    FT_REQUIRE(p->x && p->slots && p->rank, MEMORY, "no memory for a batch of %d images", p->o.batch);
    return FT_OK;
}

ft_err ft_predictor_new(ft_model *m, const ft_predict_options *o, ft_predictor **out) {
    *out = NULL;
    ft_predictor *p = calloc(1, sizeof *p);
    FT_REQUIRE(p, MEMORY, "no memory to predict");
    p->m = m;
    p->o = *o;
    ft_err e = set_up(p);
    if (e == FT_OK)
        *out = p;
    else
        ft_predictor_free(p);
    return e;
}

static void clear_slots(ft_predictor *p) {
    for (int32_t i = 0; p->slots && i < p->o.batch; i++) {
        free(p->slots[i].message);
        p->slots[i] = (slot){0};
    }
}

void ft_predictor_free(ft_predictor *p) {
    if (!p) return;
    clear_slots(p);
    ft_plan_free(p->plan);
    ft_dump_free(&p->dump);
    ft_explainer_free(&p->explainer);
    free(p->x);
    free(p->slots);
    free(p->rank);
    free(p);
}

/* Keeps this thread's message with the sample that it is about. */
static void fail_slot(slot *s, ft_err e) {
    s->err = e;
    s->message = strdup(ft_err_message());
}

/* ---- lines */

/* The classes of highest probability to the front of rank, earlier classes first among equals. */
static void select_top(const ft_predictor *p, const float *prob) {
    int32_t classes = p->m->options.classes;
    for (int32_t k = 0; k < classes; k++) p->rank[k] = k;
    for (int32_t i = 0; i < p->top; i++) {
        int32_t best = i;
        for (int32_t k = i + 1; k < classes; k++) {
            float d = prob[p->rank[k]] - prob[p->rank[best]];
            if (d > 0 || (d == 0 && p->rank[k] < p->rank[best])) best = k;
        }
        int32_t other = p->rank[i];
        p->rank[i] = p->rank[best];
        p->rank[best] = other;
    }
}

/* 9 digits tell any two float32 apart. */
static void print_probabilities(const ft_predictor *p, const float *prob) {
    FILE *f = p->o.out;
    select_top(p, prob);
    fputs(", \"class\": ", f);
    ft_json_string(f, p->m->class_names[p->rank[0]]);
    fprintf(f, ", \"probability\": %.9g, \"probabilities\": {", (double)prob[p->rank[0]]);
    for (int32_t i = 0; i < p->top; i++) {
        if (i > 0) fputs(", ", f);
        ft_json_string(f, p->m->class_names[p->rank[i]]);
        fprintf(f, ": %.9g", (double)prob[p->rank[i]]);
    }
    fputc('}', f);
}

/* What a further head says: a number; a class with its probability; or the probability of each class. */
static void print_head(FILE *f, const ft_head *h, const ft_real *y) {
    if (h->kind == FT_TARGET_NUMBER) {
        ft_json_number(f, (double)(float)(h->mean + h->deviation * (double)y[0]));
        return;
    }
    int32_t first = h->kind == FT_TARGET_CLASS ? ft_argmax(y, h->n_classes) : 0;
    int32_t last = h->kind == FT_TARGET_CLASS ? first : h->n_classes - 1;
    for (int32_t c = first; c <= last; c++) {
        fputs(c > first ? ", " : "{", f);
        if (h->kind == FT_TARGET_CLASS) fputs("\"class\": ", f);
        ft_json_string(f, h->class_names[c]);
        fputs(h->kind == FT_TARGET_CLASS ? ", \"probability\": " : ": ", f);
        ft_json_number(f, (double)y[c]);
    }
    fputc('}', f);
}

/* Of the row-th sample of the plan's last run. */
static void print_heads(const ft_predictor *p, int32_t row) {
    FILE *f = p->o.out;
    for (int32_t k = 0; k < p->m->n_heads; k++) {
        const ft_head *h = &p->m->heads[k];
        ft_view y = ft_plan_value(p->plan, h->prediction, row + 1);
        fputs(k ? ", " : ", \"heads\": {", f);
        ft_json_string(f, h->name);
        fputs(": ", f);
        print_head(f, h, y.p + row * y.ld);
    }
    if (p->m->n_heads > 0) fputc('}', f);
}

/* path NULL: sample number `sample`. prob NULL: none; else of the row-th sample of the plan's last run. */
static void print_line(ft_predictor *p, const char *path, int64_t sample, const slot *s, const float *prob,
                       int32_t row) {
    FILE *f = p->o.out;
    if (path) {
        fputs("{\"file\": ", f);
        ft_json_string(f, path);
    } else {
        fprintf(f, "{\"sample\": %lld", (long long)sample);
    }
    if (s->err != FT_OK) {
        const char *message = s->message ? s->message : ft_err_sentence(s->err);
        fputs(", \"error\": ", f);
        ft_json_string(f, message);
        fputs("}\n", f);
        ft_err_set(s->err, "%s", message);
        if (p->first == FT_OK) p->first = s->err;
        if (p->o.complain) p->o.complain(s->err);
        return;
    }
    if (prob) print_probabilities(p, prob);
    if (prob) print_heads(p, row);
    if (path && p->o.explain) {
        fputs(", \"explanation\": ", f);
        ft_json_string(f, p->explainer.last);
    }
    fputs("}\n", f);
}

/* ---- a batch */

/* Those of the n samples in x that did not fail, side by side into the plan's input. */
static int32_t feed(ft_predictor *p, int32_t n) {
    int64_t size = sample_size(p), done = 0;
    ft_view in = ft_plan_value(p->plan, p->m->input, p->o.batch);
    int64_t rows = (int64_t)in.h * in.w;
    for (int32_t i = 0; i < n; i++) {
        if (p->slots[i].err != FT_OK) continue;
        for (int64_t r = 0; r < rows; r++)
            memcpy(in.p + (done * rows + r) * in.ld, p->x + i * size + r * in.c, (size_t)in.c * sizeof *in.p);
        done++;
    }
    return (int32_t)done;
}

static bool all_finite(const float *prob, int32_t classes) {
    for (int32_t k = 0; k < classes; k++)
        if (!isfinite(prob[k])) return false;
    return true;
}

/* Probabilities that are no numbers: a sample that is none, or weights that are none. */
static void check_probabilities(const ft_predictor *p, slot *s, const char *path, const float *prob) {
    if (s->err != FT_OK || !prob || all_finite(prob, p->m->options.classes)) return;
    fail_slot(s, ft_err_set(FT_E_NUMERIC, "%s%sthe probabilities are not numbers: the %s", path ? path : "",
                            path ? ": " : "", path ? "weights are broken" : "sample or the weights are not"));
}

/* Runs the n samples in x, of which slots tell those that failed, and prints their lines. paths NULL: they
 * are samples from number `first` on. */
static ft_err run_batch(ft_predictor *p, int32_t n, char *const paths[], int64_t first) {
    int32_t good = feed(p, n), at = 0;
    if (good > 0) ft_plan_forward(p->plan, good, 0);
    ft_view y = ft_plan_value(p->plan, p->m->probabilities, good);
    for (int32_t i = 0; i < n; i++) {
        const char *path = paths ? paths[i] : NULL;
        bool ran = p->slots[i].err == FT_OK;
        const float *prob = ran && y.p ? y.p + at * y.ld : NULL;
        check_probabilities(p, &p->slots[i], path, prob);
        if (p->slots[i].err == FT_OK) FT_TRY(ft_dump_add(&p->dump, p->plan, at));
        if (p->slots[i].err == FT_OK && path && p->o.explain)
            FT_TRY(ft_explain_image(&p->explainer, path, p->x + i * sample_size(p),
                                    ft_argmax(prob, p->m->options.classes)));
        print_line(p, path, first + i, &p->slots[i], prob, at);
        at += ran;
    }
    clear_slots(p);
    return FT_OK;
}

/* ---- images */

typedef struct decode_job {
    ft_predictor *p;
    char *const *paths;
    ft_resizer *resizers; /* by thread */
} decode_job;

static void decode_one(void *ctx, int64_t chunk, int32_t thread) {
    const decode_job *job = ctx;
    const ft_preprocess *how = &job->p->m->image;
    ft_image im;
    ft_err e = ft_image_load(job->paths[chunk], ft_preprocess_want(how, 1), &im);
    if (e == FT_OK) {
        e = ft_preprocess_image(how, &job->resizers[thread], &im, job->p->x + chunk * sample_size(job->p));
        if (e != FT_OK) ft_err_prefix(e, "%s", job->paths[chunk]);
    }
    if (e != FT_OK) fail_slot(&job->p->slots[chunk], e);
    ft_image_free(&im);
}

ft_err ft_predict_images(ft_predictor *p, int32_t n, char *const paths[]) {
    int32_t threads = ft_threads();
    decode_job job = {.p = p, .resizers = ft_alloc((size_t)threads, sizeof *job.resizers)};
    FT_REQUIRE(job.resizers, MEMORY, "no memory to decode images");
    ft_err e = FT_OK;
    for (int32_t i = 0; i < n && e == FT_OK; i += p->o.batch) {
        int32_t now = n - i < p->o.batch ? n - i : p->o.batch;
        job.paths = paths + i;
        ft_par_for(now, decode_one, &job);
        e = run_batch(p, now, paths + i, i);
    }
    for (int32_t i = 0; i < threads; i++) ft_resizer_free(&job.resizers[i]);
    free(job.resizers);
    return e;
}

/* ---- tensors */

static ft_err check_shape(const ft_predictor *p, const ft_tensor_file *t) {
    ft_shape want = ft_val_shape(p->m->g, p->m->input), have = t->shape;
    FT_REQUIRE(have.h == want.h && have.w == want.w && have.c == want.c, DATA,
               "%s holds images of (%d, %d, %d), height, width, channels; the model takes (%d, %d, %d)",
               t->where, have.h, have.w, have.c, want.h, want.w, want.c);
    return FT_OK;
}

ft_err ft_predict_tensor(ft_predictor *p, const char *where) {
    ft_tensor_file t;
    FT_TRY(ft_tensor_open(&t, where));
    ft_err e = check_shape(p, &t);
    for (int64_t i = 0; i < t.shape.n && e == FT_OK; i += p->o.batch) {
        int32_t now = t.shape.n - i < p->o.batch ? (int32_t)(t.shape.n - i) : p->o.batch;
        e = ft_tensor_read(&t, i, now, p->x);
        if (e == FT_OK) e = run_batch(p, now, NULL, i);
    }
    ft_tensor_close(&t);
    return e;
}

ft_err ft_predictor_failure(const ft_predictor *p) {
    return p->first;
}

ft_err ft_predictor_save(const ft_predictor *p, const char *path) {
    return ft_dump_save(&p->dump, path);
}

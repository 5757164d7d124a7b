#include "train/verify.h"

#include "data/loader.h"
#include "eval/verification_report.h"
#include "tensor/atomic_file.h"
#include "tensor/escape.h"
#include "tensor/plan.h"
#include "train/pictures.h"
#include "train/predict_dump.h"
#include "train/results.h"
#include "train/views.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const distance_names[] = {"cosine", "euclidean"};

ft_err ft_distance_parse(const char *name, ft_distance *distance) {
    for (int i = 0; i < 2; i++)
        if (strcmp(name, distance_names[i]) == 0) {
            *distance = (ft_distance)i;
            return FT_OK;
        }
    FT_FAIL(USAGE, "--distance: '%s' is neither cosine nor euclidean", name);
}

/* ---- embeddings ---- */

typedef struct embedding {
    ft_model *m;
    const ft_dataset *ds;
    const ft_verify_options *o;
    ft_dump dump; /* of one node: (ds->n, size) */
    ft_plan *plan;
    ft_loader *loader;
    int64_t size;
} embedding;

/* Runs a view of the batch and adds what the node gives to what it gave for those before; the first is kept.
 */
static ft_err add_view(embedding *e, const ft_batch *b, int32_t view) {
    ft_views_take(e->o->views, view, b, &e->m->image, ft_plan_value(e->plan, e->m->input, b->n).p);
    ft_plan_forward(e->plan, b->n, 0);
    for (int32_t i = 0; view == 0 && i < b->n; i++) FT_TRY(ft_dump_add(&e->dump, e->plan, i));
    if (view == 0) return FT_OK;
    ft_view y = ft_plan_value(e->plan, e->dump.nodes[0].val, b->n);
    float *to = e->dump.nodes[0].p + (e->dump.samples - b->n) * e->size;
    for (int64_t row = 0; row < ft_rows(&y); row++)
        for (int32_t k = 0; k < y.c; k++) to[row * y.c + k] += y.p[row * y.ld + k];
    return FT_OK;
}

static ft_err run(embedding *e, ft_verify_told *told, void *ctx) {
    FT_TRY(ft_loader_start(e->loader, 0, 0));
    for (;;) {
        ft_batch b;
        FT_TRY(ft_loader_next(e->loader, &b));
        if (b.n == 0) return FT_OK;
        for (int32_t view = 0; view < ft_views_count(e->o->views); view++) FT_TRY(add_view(e, &b, view));
        if (told) told(ctx, e->dump.samples, e->ds->n);
    }
}

static ft_err embed(embedding *e, ft_verify_told *told, void *ctx) {
    const char *layer = e->o->layer ? e->o->layer : ft_val_name(e->m->g, e->m->out.features);
    FT_TRY(ft_dump_init(&e->dump, e->m->g, layer));
    FT_REQUIRE(e->dump.n == 1, USAGE, "--layer takes one node; '%s' names %d", layer, e->dump.n);
    e->size = ft_shape_size(ft_val_shape(e->m->g, e->dump.nodes[0].val));
    ft_plan_spec spec = {.batch = e->o->batch < e->ds->n ? e->o->batch : e->ds->n,
                         .direct = e->o->direct,
                         .n_outputs = 1,
                         .outputs = &e->dump.nodes[0].val};
    FT_TRY(ft_compile(e->m->g, &spec, &e->plan));
    ft_loader_options loading = {.image = ft_views_load(e->o->views, &e->m->image),
                                 .batch = spec.batch,
                                 .workers = e->o->workers};
    int32_t *index = ft_alloc((size_t)e->ds->n, sizeof *index);
    FT_REQUIRE(index, MEMORY, "no memory for a list of %d pictures", e->ds->n);
    for (int32_t i = 0; i < e->ds->n; i++) index[i] = i;
    ft_err err = ft_loader_new(e->ds, index, e->ds->n, &loading, &e->loader);
    free(index);
    return err == FT_OK ? run(e, told, ctx) : err;
}

/* ---- scores ---- */

static double score_of(ft_distance distance, const float *a, const float *b, int64_t n) {
    double dot = 0, aa = 0, bb = 0, apart = 0;
    for (int64_t k = 0; k < n; k++) {
        double x = (double)a[k], y = (double)b[k];
        dot += x * y;
        aa += x * x;
        bb += y * y;
        apart += (x - y) * (x - y);
    }
    return distance == FT_DISTANCE_COSINE ? dot / sqrt(aa * bb) : -sqrt(apart);
}

static ft_err score_pairs(const embedding *e, const ft_pairs *p, float *score) {
    const float *all = e->dump.nodes[0].p;
    for (int32_t i = 0; i < p->n; i++) {
        score[i] = (float)score_of(e->o->distance, all + p->a[i] * e->size, all + p->b[i] * e->size, e->size);
        FT_REQUIRE(isfinite(score[i]), NUMERIC,
                   "the score of %s and %s is not a number: their embeddings are zero, or the model's "
                   "weights are broken",
                   p->files.text[p->a[i]], p->files.text[p->b[i]]);
    }
    return FT_OK;
}

ft_err ft_verify_scores(ft_model *m, const ft_pairs *p, const char *folder, const ft_verify_options *o,
                        ft_verify_told *told, void *ctx, float **score) {
    *score = NULL;
    ft_dataset *ds;
    FT_TRY(ft_dataset_of_files(folder, &p->files, &ds));
    embedding e = {.m = m, .ds = ds, .o = o};
    ft_err err = embed(&e, told, ctx);
    float *scores = err == FT_OK ? ft_alloc((size_t)p->n, sizeof *scores) : NULL;
    if (err == FT_OK)
        err = scores ? score_pairs(&e, p, scores) : ft_err_set(FT_E_MEMORY, "no memory for %d scores", p->n);
    ft_loader_free(e.loader);
    ft_plan_free(e.plan);
    ft_dump_free(&e.dump);
    ft_dataset_free(ds);
    if (err != FT_OK)
        free(scores);
    else
        *score = scores;
    return err;
}

/* ---- what is left ---- */

static void json_rate(FILE *f, const char *name, double value, const char *end) {
    fprintf(f, "  \"%s\": ", name);
    ft_json_number(f, value);
    fputs(end, f);
}

static void json_interval(FILE *f, const char *name, double value, ft_interval interval) {
    fprintf(f, "  \"%s\": ", name);
    ft_json_interval(f, value, interval);
    fputs(",\n", f);
}

static void json_folds(FILE *f, const ft_verification *v) {
    fputs("  \"folds\": [", f);
    for (int32_t k = 0; k < v->n_folds; k++) {
        fputs(k ? ",\n    {\"accuracy\": " : "\n    {\"accuracy\": ", f);
        ft_json_number(f, v->fold_accuracy[k]);
        fputs(", \"threshold\": ", f);
        ft_json_number(f, v->fold_threshold[k]);
        fputc('}', f);
    }
    fputs("],\n", f);
}

static void json_reason(FILE *f, const char *name, const char *reason, const char **comma) {
    if (!reason) return;
    fprintf(f, "%s\n    \"%s\": ", *comma, name);
    ft_json_string(f, reason);
    *comma = ",";
}

static void tar_name(int k, char name[32]) {
    snprintf(name, 32, "tar_at_far_1e-%d", k + 1);
}

static ft_err write_json(const char *path, const ft_verification *v) {
    ft_atomic_file a;
    FT_TRY(ft_atomic_open(&a, path));
    FILE *f = a.stream;
    char name[32];
    fprintf(f, "{\n  \"n\": %lld,\n  \"n_same\": %lld,\n", (long long)v->n, (long long)v->n_same);
    json_rate(f, "accuracy", v->accuracy, ",\n");
    json_rate(f, "accuracy_standard_error", v->accuracy_error, ",\n");
    json_folds(f, v);
    json_interval(f, "roc_auc", v->roc_auc, v->roc_auc_interval);
    json_interval(f, "eer", v->eer, v->eer_interval);
    json_rate(f, "eer_threshold", v->eer_threshold, ",\n");
    for (int k = 0; k < FT_N_FARS; k++) {
        tar_name(k, name);
        json_interval(f, name, v->tar[k], v->tar_interval[k]);
    }
    if (v->replicates)
        fprintf(f, "  \"bootstrap\": {\"replicates\": %d, \"level\": %g, \"seed\": %d},\n", v->replicates,
                FT_BOOTSTRAP_LEVEL, FT_BOOTSTRAP_SEED);
    const char *comma = "";
    fputs("  \"undefined\": {", f);
    json_reason(f, "accuracy", v->accuracy_reason, &comma);
    json_reason(f, "roc_auc", v->reason, &comma);
    json_reason(f, "eer", v->reason, &comma);
    for (int k = 0; k < FT_N_FARS; k++) {
        tar_name(k, name);
        json_reason(f, name, v->tar_reason[k], &comma);
    }
    fputs("}\n}\n", f);
    return ft_atomic_commit(&a);
}

static ft_err write_scores(const char *path, const ft_pairs *p, const float *score) {
    ft_atomic_file a;
    FT_TRY(ft_atomic_open(&a, path));
    fputs("file1,file2,same,fold,score\n", a.stream);
    for (int32_t i = 0; i < p->n; i++) {
        ft_csv_field(a.stream, p->files.text[p->a[i]]);
        fputc(',', a.stream);
        ft_csv_field(a.stream, p->files.text[p->b[i]]);
        fprintf(a.stream, ",%d,%d,%.9g\n", p->same[i], p->fold[i] + 1, (double)score[i]);
    }
    return ft_atomic_commit(&a);
}

ft_err ft_verify_write(const char *folder, const ft_pairs *p, const float *score, const ft_verification *v) {
    char path[4096];
    FT_TRY(ft_folder_file(path, sizeof path, folder, "verification.json"));
    FT_TRY(write_json(path, v));
    FT_TRY(ft_folder_file(path, sizeof path, folder, "scores.csv"));
    return write_scores(path, p, score);
}

static void print_rate(FILE *f, const char *label, double value, ft_interval interval, const char *reason) {
    if (isnan(value))
        fprintf(f, "  %-28s -       %s\n", label, reason);
    else if (isnan(interval.low))
        fprintf(f, "  %-28s %.4f\n", label, value);
    else
        fprintf(f, "  %-28s %.4f   %.4f to %.4f\n", label, value, interval.low, interval.high);
}

void ft_verification_print(FILE *f, const ft_verification *v) {
    fprintf(f, "%lld pairs, %lld of one person\n\n", (long long)v->n, (long long)v->n_same);
    if (v->accuracy_reason)
        print_rate(f, "Accuracy", v->accuracy, (ft_interval){NAN, NAN}, v->accuracy_reason);
    else
        fprintf(f, "  %-28s %.4f +- %.4f  mean of %d folds, standard error\n", "Accuracy", v->accuracy,
                v->accuracy_error, v->n_folds);
    print_rate(f, "ROC AUC", v->roc_auc, v->roc_auc_interval, v->reason);
    print_rate(f, "Equal error rate", v->eer, v->eer_interval, v->reason);
    for (int k = 0; k < FT_N_FARS; k++) {
        char label[64];
        snprintf(label, sizeof label, "Accepted at FAR %g", ft_fars[k]);
        print_rate(f, label, v->tar[k], v->tar_interval[k], v->tar_reason[k]);
    }
}

/* ---- the page ---- */

/* The files of the worst pairs, by number and without repeats. */
static int32_t worst_files(const ft_pairs *p, const float *score, int64_t *row, int32_t *file) {
    int64_t pair[2 * FT_WORST_PAIRS];
    int32_t n_same, n_different, n = 0;
    ft_verification_worst(p->n, score, p->same, pair, &n_same, &n_different);
    for (int32_t i = 0; i < 2 * (n_same + n_different); i++) {
        int32_t which = i % 2 ? p->b[pair[i / 2]] : p->a[pair[i / 2]], k = 0;
        while (k < n && file[k] != which) k++;
        if (k < n) continue;
        row[n] = which;
        file[n++] = which;
    }
    return n;
}

ft_err ft_verify_report(const char *folder, const char *title, const ft_model *m, const char *pictures,
                        const ft_verify_options *o, const ft_pairs *p, const float *score,
                        const ft_verification *v) {
    int64_t row[4 * FT_WORST_PAIRS];
    int32_t file[4 * FT_WORST_PAIRS], n = worst_files(p, score, row, file);
    char path[4096], date[FT_DATE_BYTES];
    ft_dataset *ds;
    ft_report_picture *made;
    FT_TRY(ft_folder_file(path, sizeof path, folder, "report.html"));
    FT_TRY(ft_dataset_of_files(pictures, &p->files, &ds));
    ft_err e = ft_pictures_make(ds, &m->image, NULL, n, row, file, NULL, &made);
    ft_dataset_free(ds);
    if (e != FT_OK) return e;
    ft_date_now(date);
    ft_verification_report r = {.title = title,
                                .model = m->net->name,
                                .layer = o->layer ? o->layer : ft_val_name(m->g, m->out.features),
                                .distance = distance_names[o->distance],
                                .result = v,
                                .score = score,
                                .same = p->same,
                                .a = p->a,
                                .b = p->b,
                                .files = (const char *const *)p->files.text,
                                .pictures = made,
                                .n_pictures = n,
                                .version = FACET_VERSION,
                                .date = date};
    e = ft_verification_report_write(path, &r);
    ft_pictures_free(n, made);
    return e;
}

#include "train/results.h"
#include "eval/metrics_json.h"
#include "eval/predictions.h"
#include "eval/report.h"
#include "train/config.h"
#include "train/pictures.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

ft_err ft_folder_file(char *buffer, size_t bytes, const char *folder, const char *name) {
    int n = snprintf(buffer, bytes, "%s/%s", folder, name);
    FT_REQUIRE(n >= 0 && (size_t)n < bytes, CONFIG, "%s: the path is too long", folder);
    return FT_OK;
}

ft_err ft_folder_make(const char *path) {
    char part[FT_CONFIG_PATH_BYTES];
    FT_REQUIRE(*path && strlen(path) < sizeof part, CONFIG, "'%s' cannot be the name of a folder", path);
    snprintf(part, sizeof part, "%s", path);
    for (char *end = part + 1;; end++) {
        if (*end != '/' && *end != '\0') continue;
        char keep = *end;
        *end = '\0';
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            FT_FAIL(IO, "%s: cannot make the folder: %s", part, strerror(errno));
        *end = keep;
        if (keep == '\0') break;
    }
    struct stat st;
    FT_REQUIRE(stat(path, &st) == 0 && S_ISDIR(st.st_mode), IO,
               "%s: is not a folder; choose another one to write to", path);
    return FT_OK;
}

void ft_date_now(char date[FT_DATE_BYTES]) {
    time_t now = time(NULL);
    struct tm local;
    strftime(date, FT_DATE_BYTES, "%Y-%m-%d %H:%M", localtime_r(&now, &local));
}

enum { NAME_BYTES = 512 };

/* The names of the samples evaluated as one allocation: n pointers, then the texts. NULL when memory is out.
 */
static char **sample_names(const ft_results *r) {
    const ft_evaluation *ev = r->evaluation;
    char **names = malloc((size_t)ev->n * (sizeof *names + NAME_BYTES));
    if (!names) return NULL;
    char *text = (char *)(names + ev->n);
    for (int64_t i = 0; i < ev->n; i++, text += NAME_BYTES) {
        names[i] = text;
        ft_dataset_name(r->of->ds, ev->sample[i], text, NAME_BYTES);
    }
    return names;
}

/* The images left out, in the same way; none is NULL too. */
static ft_report_bad *bad_images(const ft_evaluator *e, int32_t *n) {
    *n = e->quarantine ? ft_quarantine_count(e->quarantine) : 0;
    ft_report_bad *bad = *n ? malloc((size_t)*n * (sizeof *bad + NAME_BYTES)) : NULL;
    if (!bad) return NULL;
    char *text = (char *)(bad + *n);
    for (int32_t k = 0; k < *n; k++, text += NAME_BYTES) {
        bad[k].path = text;
        ft_dataset_name(e->ds, ft_quarantine_sample(e->quarantine, k, &bad[k].reason), text, NAME_BYTES);
    }
    return bad;
}

/* Of the examples that the page wants to show. */
static ft_err take_pictures(const ft_results *r, ft_report_picture **pictures, int32_t *n) {
    const ft_evaluation *ev = r->evaluation;
    ft_model *m = r->of->model;
    int64_t row[FT_REPORT_ROWS];
    int32_t sample[FT_REPORT_ROWS], predicted[FT_REPORT_ROWS];
    *n = ft_report_rows(&ev->metrics, ev->prob, ev->label, row);
    for (int32_t i = 0; i < *n; i++) {
        sample[i] = ev->sample[row[i]];
        predicted[i] = ft_argmax(ev->prob + row[i] * ev->k, ev->k);
    }
    ft_gradcam *cam;
    ft_err e = ft_gradcam_new(m, NULL, r->direct, &cam);
    if (e == FT_E_USAGE) e = FT_OK; /* a network without pixels before its classes: no heat */
    if (e == FT_OK) e = ft_pictures_make(r->of->ds, &m->image, cam, *n, row, sample, predicted, pictures);
    ft_gradcam_free(cam);
    return e;
}

static ft_err write_report(const char *folder, const ft_results *r, const char *const *paths) {
    const ft_model *m = r->of->model;
    char path[FT_CONFIG_PATH_BYTES], fingerprint[32], date[FT_DATE_BYTES];
    FT_TRY(ft_folder_file(path, sizeof path, folder, "report.html"));
    snprintf(fingerprint, sizeof fingerprint, "%016llx", (unsigned long long)r->of->ds->fingerprint);
    ft_date_now(date);
    ft_history_row *rows = NULL;
    int64_t n_rows = 0;
    int32_t n_bad, n_pictures;
    ft_report_picture *pictures;
    FT_TRY(take_pictures(r, &pictures, &n_pictures));
    if (r->history_path) {
        ft_err e = ft_history_read(r->history_path, &rows, &n_rows);
        if (e != FT_OK) {
            ft_pictures_free(n_pictures, pictures);
            return e;
        }
    }
    ft_report_bad *bad = bad_images(r->of, &n_bad);
    ft_report report = {.title = r->title,
                        .split = r->split,
                        .metrics = &r->evaluation->metrics,
                        .loss =
                            r->evaluation->n_heads ? r->evaluation->loss : NAN, /* else it is the log loss */
                        .class_names = (const char *const *)m->class_names,
                        .prob = r->evaluation->prob,
                        .label = r->evaluation->label,
                        .paths = paths,
                        .thresholds = &r->evaluation->thresholds,
                        .pictures = pictures,
                        .n_pictures = n_pictures,
                        .history = rows,
                        .n_history = n_rows,
                        .heads = r->evaluation->head_results,
                        .n_heads = r->evaluation->n_heads,
                        .bad = bad,
                        .n_bad = bad ? n_bad : 0,
                        .model = m->net->name,
                        .version = FACET_VERSION,
                        .fingerprint = fingerprint,
                        .date = date,
                        .config = m->config};
    ft_err e = n_bad && !bad ? ft_err_set(FT_E_MEMORY, "no memory for the names of %d bad images", n_bad)
                             : ft_report_write(path, &report);
    ft_pictures_free(n_pictures, pictures);
    free(bad);
    free(rows);
    return e;
}

ft_err ft_results_write(const char *folder, const ft_results *r) {
    const ft_evaluation *ev = r->evaluation;
    const char *const *names = (const char *const *)r->of->model->class_names;
    char path[FT_CONFIG_PATH_BYTES];
    FT_TRY(ft_folder_file(path, sizeof path, folder, "metrics.json"));
    ft_metrics_file file = {.split = r->split,
                            .n_bad = r->of->n - ev->n,
                            .loss = ev->loss,
                            .metrics = &ev->metrics,
                            .class_names = names,
                            .thresholds = &ev->thresholds,
                            .heads = ev->head_results,
                            .n_heads = ev->n_heads};
    FT_TRY(ft_metrics_json_write(path, &file));
    if (r->of->quarantine && ft_quarantine_count(r->of->quarantine)) {
        FT_TRY(ft_folder_file(path, sizeof path, folder, "quarantine.csv"));
        FT_TRY(ft_quarantine_write(r->of->quarantine, path));
    }
    char **paths = sample_names(r);
    FT_REQUIRE(paths, MEMORY, "no memory for the names of %d images", r->of->n);
    ft_err e = ft_folder_file(path, sizeof path, folder, "predictions.csv");
    if (e == FT_OK)
        e = ft_predictions_write(path, ev->n, ev->k, (const char *const *)paths, ev->label, ev->prob, names,
                                 ev->n_heads, ev->head_results);
    if (e == FT_OK) e = write_report(folder, r, (const char *const *)paths);
    free(paths);
    return e;
}

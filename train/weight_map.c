#include "train/weight_map.h"
#include "layers/keras_order.h"
#include "train/weight_names.h"

#include <fnmatch.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- rows ---- */

static ft_err add_row(ft_weight_report *r, const ft_param *p, const ft_weight_tensor *t,
                      ft_weight_status status) {
    if ((r->n & (r->n - 1)) == 0) { /* full at every power of two */
        ft_weight_row *row = realloc(r->row, (size_t)(r->n ? 2 * r->n : 1) * sizeof *row);
        FT_REQUIRE(row, MEMORY, "no memory for the report of an import");
        r->row = row;
    }
    r->row[r->n++] = (ft_weight_row){p, t, status};
    r->count[status]++;
    return FT_OK;
}

/* Equal but for leading ones; a matrix of another program lies the other way. */
static bool same_shape(const ft_param *p, const ft_weight_tensor *t, bool torch) {
    int64_t want[4], got[FT_WEIGHT_RANK];
    int32_t n_want = ft_param_dims(p, 1, want), n_got = 0;
    if (torch && t->rank == 4) {
        const int64_t turned[4] = {t->dims[2], t->dims[3], t->dims[1], t->dims[0]};
        memcpy(got, turned, sizeof turned);
        n_got = 4;
    } else if (torch && t->rank == 2) {
        got[0] = t->dims[1];
        got[1] = t->dims[0];
        n_got = 2;
    } else {
        for (int32_t i = 0; i < t->rank; i++) got[n_got++] = t->dims[i];
    }
    int32_t first = 0;
    while (first < n_got - 1 && got[first] == 1) first++;
    if (n_got - first != n_want) return false;
    return memcmp(got + first, want, (size_t)n_want * sizeof *want) == 0;
}

static ft_err add_pair(ft_weight_report *r, const ft_param *p, const ft_weight_tensor *t, bool torch) {
    return add_row(r, p, t, same_shape(p, t, torch) ? FT_WEIGHT_MATCHED : FT_WEIGHT_SHAPE);
}

static ft_err add_missing(ft_weight_report *r, const ft_param *p, const ft_weight_map_options *o) {
    bool allowed = false;
    for (int32_t i = 0; i < o->n_allow_missing; i++) allowed |= fnmatch(o->allow_missing[i], p->name, 0) == 0;
    return add_row(r, p, NULL, allowed ? FT_WEIGHT_KEPT : FT_WEIGHT_MISSING);
}

/* Of the network's classifier? */
static bool is_of_top(const ft_param *p) {
    return strncmp(p->name, "predictions/", strlen("predictions/")) == 0;
}

/* Of a head besides it (train/heads.h)? What a file does not have starts anew. */
static bool is_of_head(const ft_param *p) {
    return strncmp(p->name, "predictions_", strlen("predictions_")) == 0;
}

/* ---- Keras: by topology ---- */

/* The network's nodes with parameters, in Keras's order. */
typedef struct keras_net {
    ft_keras_layer *layer;
    int32_t n;
} keras_net;

static ft_err list_layers(const ft_model *m, keras_net *net) {
    ft_val output = m->out.logits.id > 0 ? m->out.logits : m->out.features;
    int32_t n_all;
    FT_TRY(ft_keras_layers(m->g, m->input, output, &net->layer, &n_all));
    net->n = 0;
    for (int32_t i = 0; i < n_all; i++)
        if (net->layer[i].node >= 0 && ft_layer_param(m->g, net->layer[i].name, 0))
            net->layer[net->n++] = net->layer[i];
    return FT_OK;
}

/* Of the file's layers with tensors, the one that belongs to the k-th of the network: the k-th; in Keras 3's
 * files the next of its class. next: (n_layers) used up so far. -1: there is none. */
static int32_t next_layer(const ft_weight_file *f, const char *wanted, bool *used) {
    for (int32_t i = 0; i < f->n_layers; i++) {
        const ft_weight_layer *l = &f->layer[i];
        if (used[i] || l->n == 0) continue;
        if (f->format == FT_WEIGHTS_KERAS3 && l->class_name) {
            bool conv = strncmp(wanted, "conv2d_", 7) == 0, norm = strncmp(wanted, "batch_", 6) == 0;
            const char *class_name = conv ? "conv2d" : norm ? "batch_normalization" : "dense";
            if (strcmp(l->class_name, class_name) != 0) continue;
        }
        used[i] = true;
        return i;
    }
    return -1;
}

static ft_err pair_layer(const ft_weight_file *f, const ft_model *m, const char *node, int32_t layer,
                         const ft_weight_map_options *o, ft_weight_report *r) {
    const ft_weight_layer *l = layer >= 0 ? &f->layer[layer] : &(ft_weight_layer){.n = 0};
    int32_t k = 0, taken = 0;
    int32_t n_params = 0;
    while (ft_layer_param(m->g, node, n_params)) n_params++;
    /* a scale that the network does not have comes first */
    if (l->n == n_params + 1 && strncmp(node, "batch_normalization", 19) == 0)
        FT_TRY(add_row(r, NULL, &f->tensor[l->first + taken++], FT_WEIGHT_UNEXPECTED));
    for (const ft_param *p; (p = ft_layer_param(m->g, node, k)); k++) {
        /* a scale that the file does not have leaves the others in step */
        bool lacks_gamma = strcmp(ft_param_leaf(p), "gamma") == 0 && l->n == n_params - 1;
        if (taken < l->n && !lacks_gamma)
            FT_TRY(add_pair(r, p, &f->tensor[l->first + taken++], false));
        else
            FT_TRY(add_missing(r, p, o));
    }
    for (; taken < l->n; taken++)
        FT_TRY(add_row(r, NULL, &f->tensor[l->first + taken], FT_WEIGHT_UNEXPECTED));
    return FT_OK;
}

/* The number at the end of "conv2d_12", 0 of "conv2d"; -1: the name is another. */
static long number_of(const char *name, const char *stem) {
    size_t len = strlen(stem);
    if (strncmp(name, stem, len) != 0) return -1;
    if (name[len] == '\0') return 0;
    if (name[len] != '_' || strspn(name + len + 1, "0123456789") != strlen(name + len + 1) || !name[len + 1])
        return -1;
    return strtol(name + len + 1, NULL, 10);
}

/* The numbers in the file's names must rise as the network's do: else what is paired does not belong
 * together, however well the shapes fit. */
static ft_err check_numbers(const ft_weight_file *f, const keras_net *net, const int32_t *layer,
                            const char *stem, bool *checked) {
    for (int32_t i = 0; i < net->n; i++)
        for (int32_t k = 0; k < net->n; k++) {
            long a = number_of(net->layer[i].name, stem), b = number_of(net->layer[k].name, stem);
            if (a < 0 || b < 0 || a >= b || layer[i] < 0 || layer[k] < 0) continue;
            const char *file_a = f->layer[layer[i]].name, *file_b = f->layer[layer[k]].name;
            long in_a = number_of(file_a, stem), in_b = number_of(file_b, stem);
            if (in_a < 0 || in_b < 0) {
                *checked = false;
                return FT_OK;
            }
            FT_REQUIRE(
                in_a < in_b, WEIGHTS,
                "%s: its layer %s stands where the network has %s, and %s where it has %s: the layers are in "
                "another order than Keras writes them for this network",
                f->path, file_a, net->layer[i].name, file_b, net->layer[k].name);
        }
    return FT_OK;
}

static int32_t count_kernels(const ft_weight_file *f) {
    int32_t n = 0;
    for (int32_t i = 0; i < f->n_tensors; i++) n += f->tensor[i].rank == 4;
    return n;
}

static ft_err check_architecture(const ft_weight_file *f, const ft_model *m) {
    int32_t kernels = count_kernels(f), ours = 0;
    for (int32_t i = 0; i < ft_graph_n_nodes(m->g); i++) {
        ft_node_info node = ft_graph_node(m->g, i);
        ours += strcmp(node.op->name, "conv2d") == 0 && strncmp(node.name, "aux_", 4) != 0;
    }
    FT_REQUIRE(kernels == ours, WEIGHTS,
               "%s: holds %d convolutions where %s has %d: it is of another network", f->path, kernels,
               m->net->name, ours);
    return FT_OK;
}

static ft_err map_keras_layers(const ft_weight_file *f, const ft_model *m, const ft_weight_map_options *o,
                               const keras_net *net, bool *used, int32_t *layer, ft_weight_report *r) {
    for (int32_t i = 0; i < net->n; i++) {
        bool top = strcmp(net->layer[i].name, "predictions") == 0;
        layer[i] = -1;
        if (top && !o->include_top) {
            for (int32_t k = 0; ft_layer_param(m->g, net->layer[i].name, k); k++)
                FT_TRY(add_row(r, ft_layer_param(m->g, net->layer[i].name, k), NULL, FT_WEIGHT_KEPT));
            continue;
        }
        layer[i] = next_layer(f, net->layer[i].name, used);
        FT_TRY(pair_layer(f, m, net->layer[i].name, layer[i], o, r));
    }
    for (int32_t i = 0; i < f->n_layers; i++)
        for (int32_t k = 0; !used[i] && k < f->layer[i].n; k++)
            FT_TRY(add_row(r, NULL, &f->tensor[f->layer[i].first + k],
                           o->include_top ? FT_WEIGHT_UNEXPECTED : FT_WEIGHT_LEFT_OUT));
    for (int32_t i = 0; i < ft_graph_n_params(m->g);
         i++) { /* Keras's network has no auxiliary head, nor others */
        const ft_param *p = ft_graph_param(m->g, i);
        if (is_of_head(p)) FT_TRY(add_row(r, p, NULL, FT_WEIGHT_KEPT));
        if (strncmp(p->name, "aux_", 4) == 0) FT_TRY(add_missing(r, p, o));
    }
    r->names_checked = true;
    FT_TRY(check_numbers(f, net, layer, "conv2d", &r->names_checked));
    return check_numbers(f, net, layer, "batch_normalization", &r->names_checked);
}

static ft_err map_keras(const ft_weight_file *f, const ft_model *m, const ft_weight_map_options *o,
                        ft_weight_report *r) {
    keras_net net = {0};
    FT_TRY(check_architecture(f, m));
    FT_TRY(list_layers(m, &net));
    bool *used = ft_alloc((size_t)f->n_layers + 1, sizeof *used);
    int32_t *layer = ft_alloc((size_t)net.n + 1, sizeof *layer);
    ft_err e = used && layer ? map_keras_layers(f, m, o, &net, used, layer, r)
                             : ft_err_set(FT_E_MEMORY, "no memory for the layers of %s", f->path);
    free(used);
    free(layer);
    free(net.layer);
    return e;
}

/* ---- PyTorch and Facet: by name ---- */

static const ft_weight_tensor *find_tensor(const ft_weight_file *f, const char *name) {
    for (int32_t i = 0; i < f->n_tensors; i++)
        if (strcmp(f->tensor[i].name, name) == 0) return &f->tensor[i];
    return NULL;
}

static bool is_paired(const ft_weight_report *r, const ft_weight_tensor *t) {
    for (int32_t i = 0; i < r->n; i++)
        if (r->row[i].tensor == t) return true;
    return false;
}

/* Of tensors that no parameter asked for: those that may be left out. */
static bool may_be_left(const char *name, const ft_weight_map_options *o) {
    static const char counter[] = ".num_batches_tracked";
    size_t len = strlen(name), n = sizeof counter - 1;
    if (len >= n && strcmp(name + len - n, counter) == 0) return true;
    if (strncmp(name, "AuxLogits.", 10) == 0 || strncmp(name, "aux_", 4) == 0) return true;
    return !o->include_top && (strncmp(name, "fc.", 3) == 0 || strncmp(name, "predictions/", 12) == 0 ||
                               strncmp(name, "predictions_", 12) == 0);
}

static bool has_facet_names(const ft_weight_file *f) {
    return f->metadata_format && strcmp(f->metadata_format, "facet") == 0;
}

static ft_err map_names(const ft_weight_file *f, const ft_model *m, const ft_weight_map_options *o,
                        ft_weight_report *r) {
    bool torch = !has_facet_names(f);
    FT_REQUIRE(!torch || m->net->torch_name, WEIGHTS,
               "%s: has PyTorch's names, and those of %s are not known", f->path, m->net->name);
    if (torch && !find_tensor(f, "fc.weight") && count_kernels(f) == 0)
        FT_FAIL(WEIGHTS, "%s: holds no convolutions: it is of another network than %s", f->path,
                m->net->name);
    for (int32_t i = 0; i < ft_graph_n_params(m->g); i++) {
        const ft_param *p = ft_graph_param(m->g, i);
        char name[160];
        if (p->flags & FT_TRANSIENT) continue;
        bool anew = is_of_top(p) && !o->include_top;
        if (is_of_head(p)) anew = torch || !o->include_top || !find_tensor(f, p->name);
        if (anew) {
            FT_TRY(add_row(r, p, NULL, FT_WEIGHT_KEPT));
            continue;
        }
        bool known = !torch || ft_torch_param_name(m->net, p, name);
        const ft_weight_tensor *t = known ? find_tensor(f, torch ? name : p->name) : NULL;
        FT_TRY(t ? add_pair(r, p, t, torch) : add_missing(r, p, o));
    }
    for (int32_t i = 0; i < f->n_tensors; i++)
        if (!is_paired(r, &f->tensor[i]))
            FT_TRY(add_row(r, NULL, &f->tensor[i],
                           may_be_left(f->tensor[i].name, o) ? FT_WEIGHT_LEFT_OUT : FT_WEIGHT_UNEXPECTED));
    r->names_checked = true;
    return FT_OK;
}

/* ---- all of it ---- */

static void describe(const int64_t *dims, int32_t rank, char text[96]) {
    size_t len = (size_t)snprintf(text, 96, "(");
    for (int32_t i = 0; i < rank && len < 80; i++)
        len += (size_t)snprintf(text + len, 96 - len, "%s%lld", i ? "," : "", (long long)dims[i]);
    snprintf(text + len, 96 - len, ")");
}

static void describe_row(const ft_weight_row *row, char text[400]) {
    char ours[96] = "", theirs[96] = "";
    int64_t dims[4];
    if (row->param) describe(dims, ft_param_dims(row->param, 1, dims), ours);
    if (row->tensor) describe(row->tensor->dims, row->tensor->rank, theirs);
    if (row->param && row->tensor)
        snprintf(text, 400, "%.100s %s from %.150s %s", row->param->name, ours, row->tensor->name, theirs);
    else if (row->param)
        snprintf(text, 400, "%.100s %s", row->param->name, ours);
    else
        snprintf(text, 400, "%.200s %s", row->tensor->name, theirs);
}

static const char *const status_words[FT_WEIGHT_STATUSES] = {"matched",         "left out",
                                                             "keeps its start", "missing in the file",
                                                             "unexpected",      "of another shape"};

/* What to do about it. */
static const char *advice(const ft_weight_report *r) {
    for (int32_t i = 0; i < r->n; i++) {
        const ft_weight_row *row = &r->row[i];
        if (row->status < FT_WEIGHT_MISSING) continue;
        bool top = row->param ? is_of_top(row->param) : row->tensor->rank == 2;
        if (top)
            return "the classifier differs: leave the file's out with --no-top (model.weights.include_top: "
                   "false)";
        if (row->status == FT_WEIGHT_UNEXPECTED && row->tensor->rank == 1)
            return "the file's batch norms have a scale: set model.bn.scale: true";
        if (row->status == FT_WEIGHT_MISSING)
            return "what may be missing is named with --allow-missing (model.weights.allow_missing)";
    }
    return "use a file of the same network";
}

static ft_err judge(const ft_weight_report *r, const ft_model *m) {
    int32_t bad = r->count[FT_WEIGHT_MISSING] + r->count[FT_WEIGHT_UNEXPECTED] + r->count[FT_WEIGHT_SHAPE];
    char first[400] = "";
    if (bad == 0) return FT_OK;
    const ft_weight_row *row = r->row;
    while (row->status < FT_WEIGHT_MISSING) row++;
    describe_row(row, first);
    FT_FAIL(WEIGHTS,
            "%s does not fit %s: %d tensors match, %d are missing, %d unexpected, %d of another shape; the "
            "first: "
            "%s is %s; %s",
            r->file->path, m->net->name, r->count[FT_WEIGHT_MATCHED], r->count[FT_WEIGHT_MISSING],
            r->count[FT_WEIGHT_UNEXPECTED], r->count[FT_WEIGHT_SHAPE], first, status_words[row->status],
            advice(r));
}

static ft_err check_finite(const ft_weight_report *r) {
    for (int32_t i = 0; i < r->n; i++) {
        const ft_weight_tensor *t = r->row[i].status == FT_WEIGHT_MATCHED ? r->row[i].tensor : NULL;
        for (int64_t k = 0; t && k < t->n; k++)
            FT_REQUIRE(isfinite(t->p[k]), WEIGHTS,
                       "%s: number %lld of '%s' is %g: the file is damaged, or its training had diverged",
                       r->file->path, (long long)k, t->name, (double)t->p[k]);
    }
    return FT_OK;
}

/* (out, in, kh, kw) to (kh, kw, in, out); (out, in) to (in, out). */
static void copy_turned(const ft_weight_tensor *t, ft_real *p) {
    int64_t out = t->dims[0], in = t->dims[1], taps = t->rank == 4 ? t->dims[2] * t->dims[3] : 1;
    for (int64_t o = 0; o < out; o++)
        for (int64_t i = 0; i < in; i++)
            for (int64_t k = 0; k < taps; k++) p[(k * in + i) * out + o] = t->p[(o * in + i) * taps + k];
}

static void copy(const ft_weight_row *row, bool torch) {
    const ft_weight_tensor *t = row->tensor;
    if (torch && (t->rank == 4 || t->rank == 2))
        copy_turned(t, row->param->p);
    else
        memcpy(row->param->p, t->p, (size_t)t->n * sizeof *t->p);
}

ft_err ft_weights_apply(const ft_weight_file *f, ft_model *m, const ft_weight_map_options *o,
                        ft_weight_report *report) {
    *report = (ft_weight_report){.file = f};
    bool keras = f->format == FT_WEIGHTS_KERAS || f->format == FT_WEIGHTS_KERAS3;
    FT_TRY(keras ? map_keras(f, m, o, report) : map_names(f, m, o, report));
    FT_TRY(judge(report, m));
    FT_TRY(check_finite(report));
    for (int32_t i = 0; i < report->n; i++)
        if (report->row[i].status == FT_WEIGHT_MATCHED) copy(&report->row[i], !keras && !has_facet_names(f));
    ft_graph_touch(m->g);
    return FT_OK;
}

void ft_weight_report_free(ft_weight_report *r) {
    free(r->row);
    *r = (ft_weight_report){0};
}

void ft_weight_report_print(FILE *out, const ft_weight_report *r, bool all) {
    const ft_weight_file *f = r->file;
    fprintf(out, "%s: %s%s%s, %d tensors: %d matched", f->path, ft_weight_format_name(f->format),
            f->producer ? " of " : "", f->producer ? f->producer : "", f->n_tensors,
            r->count[FT_WEIGHT_MATCHED]);
    for (int s = FT_WEIGHT_LEFT_OUT; s < FT_WEIGHT_STATUSES; s++)
        if (r->count[s]) fprintf(out, ", %d %s", r->count[s], status_words[s]);
    fprintf(out, "%s\n",
            r->names_checked ? "" : "; the layers' names tell no order, so only shapes were compared");
    for (int32_t i = 0; i < r->n; i++) {
        char text[400];
        if (r->row[i].status == FT_WEIGHT_MATCHED && !all) continue;
        describe_row(&r->row[i], text);
        fprintf(out, "  %-20s %s\n", status_words[r->row[i].status], text);
    }
}

/* ---- what the source takes for granted ---- */

static bool has_scales(const ft_weight_file *f) {
    for (int32_t i = 0; i < f->n_tensors; i++)
        if (strstr(f->tensor[i].name, "/gamma")) return true;
    return false;
}

void ft_weights_conventions(const ft_weight_file *f, ft_net_options *o) {
    if (f->format == FT_WEIGHTS_KERAS || f->format == FT_WEIGHTS_KERAS3) {
        o->count_padding = false;
        if (f->bn_epsilon > 0) o->bn_epsilon = (float)f->bn_epsilon;
    } else if (has_facet_names(f)) {
        o->count_padding = f->count_padding;
        o->bn_unbiased = f->bn_unbiased;
        o->bn_scale = has_scales(f);
        if (f->bn_epsilon > 0) o->bn_epsilon = (float)f->bn_epsilon;
    } else {
        o->count_padding = o->bn_scale = o->bn_unbiased = true;
    }
}

int32_t ft_weights_classes(const ft_weight_file *f) {
    bool keras = f->format == FT_WEIGHTS_KERAS || f->format == FT_WEIGHTS_KERAS3;
    if (!keras) {
        const ft_weight_tensor *t = find_tensor(f, has_facet_names(f) ? "predictions/kernel" : "fc.weight");
        return t && t->rank == 2 ? (int32_t)t->dims[has_facet_names(f) ? 1 : 0] : 0;
    }
    for (int32_t i = f->n_tensors - 1; i >= 0; i--)
        if (f->tensor[i].rank == 2) return (int32_t)f->tensor[i].dims[1];
    return 0;
}

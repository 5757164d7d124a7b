#include "train/summary.h"

#include "tensor/escape.h"
#include "tensor/plan.h"
#include "train/blank_model.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- costs */

int64_t ft_node_macs(const ft_graph *g, const ft_node_info *node) {
    bool conv = strcmp(node->op->name, "conv2d") == 0, dense = strcmp(node->op->name, "dense") == 0;
    if (!conv && !dense) return 0;
    /* Either kernel holds, for every output channel, the numbers that one output pixel takes. */
    return ft_shape_rows(node->out) * ft_shape_size(ft_val_shape(g, node->in[1]));
}

int64_t ft_model_macs(const ft_model *m) {
    int64_t macs = 0;
    for (int32_t i = 0; i < ft_graph_n_nodes(m->g); i++) {
        ft_node_info node = ft_graph_node(m->g, i);
        macs += ft_node_macs(m->g, &node);
    }
    return macs;
}

/* Prepared weights lie in the arena. */
static ft_err plan_bytes(ft_graph *g, const ft_plan_spec *spec, size_t *bytes) {
    ft_plan *p;
    FT_TRY(ft_compile(g, spec, &p));
    ft_plan_stats s = ft_plan_get_stats(p);
    *bytes = s.arena_bytes + s.param_bytes + s.grad_bytes;
    ft_plan_free(p);
    return FT_OK;
}

ft_err ft_summary_compute(ft_model *m, int32_t batch, ft_summary *out) {
    *out = (ft_summary){.layers = ft_graph_n_nodes(m->g), .macs = ft_model_macs(m), .batch = batch};
    out->parameters = ft_model_n_parameters(m, &out->trainable);
    bool top = m->out.logits.id > 0;
    const ft_val *result = top ? &m->probabilities : &m->out.features;
    ft_plan_spec inference = {.batch = batch, .n_outputs = 1, .outputs = result};
    FT_TRY(plan_bytes(m->g, &inference, &out->inference_bytes));
    if (!top) return FT_OK;
    ft_plan_spec training = {.batch = batch, .training = true, .n_losses = 1, .loss_weights = {1}};
    ft_val labels;
    FT_TRY(ft_blank_loss(m, &labels, &training.losses[0]));
    return plan_bytes(m->g, &training, &out->training_bytes);
}

/* ---- the table */

enum { CELLS = 4 };

typedef struct row {
    char cell[CELLS][64];
    ft_node_info node;
} row;

typedef struct table {
    row *rows;
    int32_t n;
    int width[CELLS];
} table;

/* 23851784 as "23,851,784". */
static const char *grouped(int64_t n, char text[32]) {
    char digits[32];
    int length = snprintf(digits, sizeof digits, "%" PRId64, n), at = 0;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) text[at++] = ',';
        text[at++] = digits[i];
    }
    text[at] = 0;
    return text;
}

static void fill_row(row *r, const char *name, const char *op, ft_shape s, int64_t n_params) {
    snprintf(r->cell[0], sizeof r->cell[0], "%s", name);
    snprintf(r->cell[1], sizeof r->cell[1], "%s", op);
    snprintf(r->cell[2], sizeof r->cell[2], "(%d, %d, %d)", s.h, s.w, s.c);
    grouped(n_params, r->cell[3]);
}

static void fill_table(table *t, const ft_model *m) {
    fill_row(&t->rows[0], "Layer", "Operation", (ft_shape){0}, 0);
    strcpy(t->rows[0].cell[2], "Output shape");
    strcpy(t->rows[0].cell[3], "Parameters");
    fill_row(&t->rows[1], ft_val_name(m->g, m->input), "input", ft_val_shape(m->g, m->input), 0);
    for (int32_t i = 2; i < t->n; i++) {
        ft_node_info *node = &t->rows[i].node;
        *node = ft_graph_node(m->g, i - 2);
        fill_row(&t->rows[i], node->name, node->op->name, node->out, node->n_params);
    }
    for (int32_t i = 0; i < t->n; i++)
        for (int k = 0; k < CELLS; k++) {
            int width = (int)strlen(t->rows[i].cell[k]);
            if (width > t->width[k]) t->width[k] = width;
        }
}

static bool is_parameter(const ft_graph *g, ft_val v) {
    const ft_param *p = ft_graph_find_param(g, ft_val_name(g, v));
    return p && p->val.id == v.id;
}

static void print_row(FILE *f, const table *t, const row *r, const ft_graph *g) {
    fprintf(f, "%-*s  %-*s  %-*s  %*s", t->width[0], r->cell[0], t->width[1], r->cell[1], t->width[2],
            r->cell[2], t->width[3], r->cell[3]);
    const char *before = "  ";
    for (int32_t k = 0; k < r->node.n_in; k++) {
        if (r->node.in[k].id <= 0 || is_parameter(g, r->node.in[k])) continue;
        fprintf(f, "%s%s", before, ft_val_name(g, r->node.in[k]));
        before = ", ";
    }
    fputs(r == t->rows ? "  Inputs\n" : "\n", f);
}

static void print_rule(FILE *f, const table *t) {
    int width = t->width[0] + t->width[1] + t->width[2] + t->width[3] + 2 * CELLS + 6;
    for (int i = 0; i < width; i++) fputc('-', f);
    fputc('\n', f);
}

ft_err ft_summary_print_layers(FILE *f, const ft_model *m) {
    table t = {.n = ft_graph_n_nodes(m->g) + 2};
    t.rows = ft_alloc((size_t)t.n, sizeof *t.rows);
    FT_REQUIRE(t.rows, MEMORY, "no memory for a table of %d layers", t.n);
    fill_table(&t, m);
    for (int32_t i = 0; i < t.n; i++) {
        print_row(f, &t, &t.rows[i], m->g);
        if (i == 0) print_rule(f, &t);
    }
    print_rule(f, &t);
    free(t.rows);
    return FT_OK;
}

/* ---- the totals */

static void print_count(FILE *f, const char *label, int64_t n) {
    char text[32];
    fprintf(f, "%-27s %14s", label, grouped(n, text));
}

static void print_large(FILE *f, int64_t n) {
    static const char unit[] = " kMGT";
    double x = (double)n;
    size_t u = 0;
    for (; x >= 1000 && u < sizeof unit - 2; u++) x /= 1000;
    fprintf(f, "%.2f %.*s", x, u > 0, &unit[u]);
}

static void print_memory(FILE *f, const char *label, size_t bytes) {
    print_count(f, label, (int64_t)bytes);
    fputs(" bytes (", f);
    print_large(f, (int64_t)bytes);
    fputs("B)\n", f);
}

void ft_summary_print(FILE *f, const ft_summary *s) {
    char label[64];
    print_count(f, "Layers", s->layers);
    fputc('\n', f);
    print_count(f, "Parameters", s->parameters);
    fputc('\n', f);
    print_count(f, "  trainable", s->trainable);
    fputc('\n', f);
    print_count(f, "Multiply-accumulates", s->macs);
    fputs(" per image (", f);
    print_large(f, s->macs);
    fputs("MACs)\n", f);
    snprintf(label, sizeof label, "Inference memory, batch %d", s->batch);
    print_memory(f, label, s->inference_bytes);
    snprintf(label, sizeof label, "Training memory, batch %d", s->batch);
    if (s->training_bytes > 0) print_memory(f, label, s->training_bytes);
}

void ft_summary_print_json(FILE *f, const char *arch, const ft_summary *s) {
    fputs("{\"arch\": ", f);
    ft_json_string(f, arch);
    fprintf(f,
            ", \"layers\": %" PRId64 ", \"parameters\": %" PRId64 ", \"trainable\": %" PRId64
            ", \"macs\": %" PRId64 ", \"batch\": %d, \"inference_bytes\": %zu, \"training_bytes\": ",
            s->layers, s->parameters, s->trainable, s->macs, s->batch, s->inference_bytes);
    if (s->training_bytes > 0)
        fprintf(f, "%zu}\n", s->training_bytes);
    else
        fputs("null}\n", f);
}

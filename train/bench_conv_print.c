/* The speeds of convolutions as a table and as JSON. */
#include "tensor/escape.h"
#include "train/bench_conv.h"

#include <string.h>

static void print_row(FILE *f, int width, const ft_bench_conv_row *r, double peak_gflops) {
    char input[48], kernel[32], stride[32];
    double gflops = ft_bench_conv_gflops(r);
    snprintf(input, sizeof input, "%dx%dx%d", r->x.h, r->x.w, r->x.c);
    snprintf(kernel, sizeof kernel, "%dx%d", r->w.n, r->w.h);
    snprintf(stride, sizeof stride, "%dx%d", r->args.win.sh, r->args.win.sw);
    fprintf(f, "%-*s  %5d  %-13s  %-6s  %-6s  %7d  %5.1f%%  %-7s  %-14s  %9.3f  %8.1f  %6.1f%%\n", width,
            r->name, r->count, input, kernel, stride, r->w.c, 100 * r->share,
            ft_bench_conv_pass_name(r->pass), r->algorithm, 1e3 * r->seconds, gflops,
            100 * gflops / peak_gflops);
}

/* One pass of all the network's convolutions. */
static void print_sum(FILE *f, const ft_bench_conv *b, ft_conv_pass pass) {
    double seconds = 0, flops = 0;
    for (int32_t i = 0; i < b->n_rows; i++) {
        const ft_bench_conv_row *r = &b->rows[i];
        if (r->pass != pass) continue;
        seconds += r->seconds * r->count;
        flops += 2 * (double)r->macs * r->count;
    }
    if (seconds > 0)
        fprintf(f, "  %-7s  %9.1f ms  %8.1f GFLOP/s  %6.1f%% of the peak\n", ft_bench_conv_pass_name(pass),
                1e3 * seconds, flops / seconds * 1e-9, 100 * flops / seconds * 1e-9 / b->peak_gflops);
}

void ft_bench_conv_print(FILE *f, const ft_bench_conv *b) {
    const ft_bench_conv_options *o = &b->options;
    int width = 5;
    for (int32_t i = 0; i < b->n_rows; i++)
        if ((int)strlen(b->rows[i].name) > width) width = (int)strlen(b->rows[i].name);
    fprintf(f, "%s, batch %d, images of %d x %d, %d thread%s, %s%s; peak %.1f GFLOP/s\n\n", o->arch, o->batch,
            o->size, o->size, b->threads, b->threads == 1 ? "" : "s", b->isa, o->direct ? ", direct" : "",
            b->peak_gflops);
    fprintf(f, "%-*s  %5s  %-13s  %-6s  %-6s  %7s  %6s  %-7s  %-14s  %9s  %8s  %7s\n", width, "Layer",
            "Count", "Input", "Kernel", "Stride", "Filters", "MACs", "Pass", "Algorithm", "ms", "GFLOP/s",
            "Of peak");
    for (int32_t i = 0; i < b->n_rows; i++) print_row(f, width, &b->rows[i], b->peak_gflops);
    fputs("\nAll convolutions together\n", f);
    for (int pass = 0; pass < FT_BENCH_CONV_PASSES; pass++) print_sum(f, b, (ft_conv_pass)pass);
}

static void print_field(FILE *f, const char *name, double x) {
    fprintf(f, ", \"%s\": ", name);
    ft_json_number(f, x);
}

static void print_json_row(FILE *f, const ft_bench_conv_row *r, double peak_gflops) {
    fputs("{\"name\": ", f);
    ft_json_string(f, r->name);
    fprintf(f,
            ", \"count\": %d, \"input\": [%d, %d, %d], \"kernel\": [%d, %d], \"stride\": [%d, %d], "
            "\"filters\": %d, \"groups\": %d, \"macs\": %lld, \"pass\": \"%s\", \"algorithm\": \"%s\"",
            r->count, r->x.h, r->x.w, r->x.c, r->w.n, r->w.h, r->args.win.sh, r->args.win.sw, r->w.c,
            r->args.groups, (long long)r->macs, ft_bench_conv_pass_name(r->pass), r->algorithm);
    print_field(f, "share", r->share);
    print_field(f, "seconds", r->seconds);
    print_field(f, "gflops", ft_bench_conv_gflops(r));
    print_field(f, "ratio", ft_bench_conv_gflops(r) / peak_gflops);
    fputc('}', f);
}

void ft_bench_conv_print_json(FILE *f, const ft_bench_conv *b) {
    const ft_bench_conv_options *o = &b->options;
    fputs("{\"arch\": ", f);
    ft_json_string(f, o->arch);
    fprintf(f, ", \"batch\": %d, \"size\": %d, \"threads\": %d, \"isa\": \"%s\", \"direct\": %s", o->batch,
            o->size, b->threads, b->isa, o->direct ? "true" : "false");
    print_field(f, "peak_gflops", b->peak_gflops);
    fputs(", \"layers\": [", f);
    for (int32_t i = 0; i < b->n_rows; i++) {
        if (i > 0) fputs(", ", f);
        print_json_row(f, &b->rows[i], b->peak_gflops);
    }
    fputs("]}\n", f);
}

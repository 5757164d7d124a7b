/* The results of a benchmark as tables and as JSON. */
#include "tensor/escape.h"
#include "train/bench.h"

void ft_bench_print(FILE *f, const ft_bench *b) {
    const ft_bench_options *o = &b->options;
    double gflops = ft_bench_gflops(b);
    fprintf(f, "%s, %s, batch %d, images of %d x %d, %d thread%s, %s\n", o->arch,
            o->training ? "training" : "inference", o->batch, o->size, o->size, b->threads,
            b->threads == 1 ? "" : "s", b->isa);
    fprintf(f, "  images per second  %10.2f   median of %d steps; best %.2f\n", ft_bench_images_per_second(b),
            o->steps, o->batch / b->best_seconds);
    fprintf(f, "  seconds per step   %10.4f\n", b->step_seconds);
    fprintf(f, "  GFLOP/s            %10.1f   as if every convolution were computed directly\n", gflops);
    fprintf(f, "  peak GFLOP/s       %10.1f   of this machine, measured in this run\n", b->peak_gflops);
    fprintf(f, "  of the peak        %9.1f%%\n", 100 * gflops / b->peak_gflops);
    fprintf(f, "  outside conv2d     %9.1f%%   of the mean step\n", 100 * ft_bench_outside_convolutions(b));
    fprintf(f, "  largest memory     %10.0f   MB\n", b->max_rss_mb);
}

ft_err ft_bench_print_layers(FILE *f, const ft_bench *b) {
    ft_profile_style style = {.heading = "ms/step", .unit = 1e3, .peak_gflops = b->peak_gflops};
    FT_TRY(ft_profile_print_ops(f, b->n_layers, b->layers, &style));
    fputc('\n', f);
    ft_profile_print_nodes(f, b->n_layers, b->layers, &style);
    return FT_OK;
}

static void print_field(FILE *f, const char *name, double x) {
    fprintf(f, ", \"%s\": ", name);
    ft_json_number(f, x);
}

static void print_json_layers(FILE *f, const ft_bench *b) {
    fputs(", \"layers\": [", f);
    for (int32_t i = 0; i < b->n_layers; i++) {
        const ft_profile_row *l = &b->layers[i];
        fputs(i > 0 ? ", {\"name\": " : "{\"name\": ", f);
        ft_json_string(f, l->name);
        fprintf(f, ", \"op\": \"%s\", \"pass\": \"%s\"", l->op, l->pass);
        print_field(f, "seconds", l->seconds);
        if (l->flops > 0) print_field(f, "gflops", l->flops / l->seconds * 1e-9);
        fputc('}', f);
    }
    fputc(']', f);
}

void ft_bench_print_json(FILE *f, const ft_bench *b, bool layers) {
    const ft_bench_options *o = &b->options;
    fputs("{\"arch\": ", f);
    ft_json_string(f, o->arch);
    fprintf(
        f,
        ", \"mode\": \"%s\", \"batch\": %d, \"size\": %d, \"steps\": %d, \"threads\": %d, \"isa\": \"%s\", "
        "\"direct\": %s",
        o->training ? "train" : "infer", o->batch, o->size, o->steps, b->threads, b->isa,
        o->direct ? "true" : "false");
    print_field(f, "images_per_second", ft_bench_images_per_second(b));
    print_field(f, "images_per_second_best", o->batch / b->best_seconds);
    print_field(f, "step_seconds", b->step_seconds);
    print_field(f, "gflops", ft_bench_gflops(b));
    print_field(f, "peak_gflops", b->peak_gflops);
    print_field(f, "ratio", ft_bench_gflops(b) / b->peak_gflops);
    print_field(f, "outside_convolutions", ft_bench_outside_convolutions(b));
    print_field(f, "max_rss_mb", b->max_rss_mb);
    if (layers) print_json_layers(f, b);
    fputs("}\n", f);
}

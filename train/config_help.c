/* The option table for readers: a listing for the terminal and a reference page in Markdown. */
#include "train/config.h"
#include "train/config_options.h"

static void help_section(FILE *file, int section) {
    for (int row = section; (row = ft_option_next_child(section, row)) >= 0;) {
        const ft_option *option = &ft_options[row];
        if (option->type == FT_OPTION_SECTION) {
            fprintf(file, "\n%s: %s\n", option->key, option->doc);
            if (option->usual)
                fprintf(file, "  %s=... is short for %s.%s=...\n", option->key, option->key, option->usual);
            help_section(file, row);
            continue;
        }
        char valid[FT_OPTION_VALID_BYTES];
        ft_option_valid(row, valid);
        fprintf(file, "  %s=%s  (%s%s)\n      %s\n", option->key, option->usual, valid,
                option->type == FT_OPTION_REQUIRED ? "; required" : "", option->doc);
    }
}

void ft_config_help(FILE *file) {
    fputs("Options with their defaults. In the file what precedes each dot is a mapping, as\n"
          "train: {batch: 64}; on the command line write --set train.batch=64.\n"
          "Relative paths are relative to the current directory.\n\n",
          file);
    help_section(file, FT_OPTION_ROOT);
}

/* The options of one section as a table, then its sections (which is how the option table is sorted). */
static void reference_section(FILE *file, int section) {
    fputs("| key | value | default | meaning |\n|---|---|---|---|\n", file);
    for (int row = section; (row = ft_option_next_child(section, row)) >= 0;) {
        const ft_option *option = &ft_options[row];
        if (option->type == FT_OPTION_SECTION) {
            fprintf(file, "\n## %s\n\n%s", option->key, option->doc);
            if (option->usual)
                fprintf(file, " A single value is short for `%s.%s`.", option->key, option->usual);
            fputs("\n\n", file);
            reference_section(file, row);
            continue;
        }
        char valid[FT_OPTION_VALID_BYTES];
        ft_option_valid(row, valid);
        fprintf(file, "| `%s` | %s | ", option->key, valid);
        if (option->type == FT_OPTION_REQUIRED)
            fputs("required", file);
        else
            fprintf(file, "`%s`", *option->usual ? option->usual : "\"\"");
        fprintf(file, " | %s |\n", option->doc);
    }
}

void ft_config_reference(FILE *file) {
    fputs("# Configuration of ft-train\n\n"
          "A configuration is one YAML document of nested mappings: `train.batch` below is\n"
          "`train: {batch: 64}` in the file and `--set train.batch=64` on the command line, where the\n"
          "value stands without quotes. What is not set has its default. Relative paths are relative to\n"
          "the current directory, not to the file.\n\n"
          "The file is read strictly, as YAML 1.2's core schema: `true` and `false` are the only truth\n"
          "values (not `yes`, `no`, `on`, `off`), numbers are plain decimal and finite, a quoted number is\n"
          "text. Aliases, anchors, tags, merge keys, further documents, unknown and duplicate keys are\n"
          "errors.\n\n",
          file);
    reference_section(file, FT_OPTION_ROOT);
}

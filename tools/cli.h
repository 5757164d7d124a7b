/* The command line of a tool: a table of options over getopt_long.
 *
 *     int32_t threads = 0;
 *     ft_cli_list settings = {0};
 *     const ft_cli_option options[] = {
 *         {.name = "set", .argument = "KEY=VALUE", .list = &settings, .help = "Overrides one setting."},
 *         {.name = "threads", .argument = "N", .number = &threads, .low = 1, .high = FT_CLI_MAX_THREADS,
 *          .help = "Threads to compute with; all cores by default."},
 *         {0}};
 *     const ft_cli cli = {.program = "ft-train", .usage = "CONFIG.yaml [options]", .about = "Trains ...",
 *                         .options = options, .min_args = 1, .max_args = 1};
 *     char **args;
 *     int status;
 *     if (!ft_cli_parse(&cli, argc, argv, &args, NULL, &status)) return status;
 *
 * Results go to stdout, messages to stderr.
 */
#ifndef FACET_TOOLS_CLI_H
#define FACET_TOOLS_CLI_H

#include "tensor/error.h"

#include <stdbool.h>
#include <stdint.h>

enum { FT_CLI_MAX_THREADS = 4096, FT_CLI_ANY = -1 };

/* The arguments of an option that may be given several times, in order; they point into argv. free(item). */
typedef struct ft_cli_list {
    const char **item; /* (n) */
    int32_t n;
} ft_cli_list;

/* One option, `--name` or `-letter`. Exactly one of the targets is not NULL and tells the kind; a target
 * keeps its value when the option is not given. A table ends with {0}. */
typedef struct ft_cli_option {
    const char *name;
    char letter;          /* 0: none */
    const char *argument; /* what it is called in the help; NULL for a flag */
    const char *help;     /* one or two sentences */
    bool *flag;           /* set to true */
    int32_t *number;      /* a whole number in low .. high */
    const char **string;  /* points into argv */
    ft_cli_list *list;
    int32_t low, high;
} ft_cli_option;

typedef struct ft_cli {
    const char *program; /* "ft-train", "ft-bench model" */
    const char *usage;   /* what follows it: "CONFIG.yaml [options]" */
    const char *about;   /* what it does */
    const char *notes;   /* after the options, printed as it is: examples, exit status; NULL: none */
    const ft_cli_option *options;
    int32_t min_args, max_args; /* arguments that are not options; FT_CLI_ANY: no limit */
} ft_cli;

/* Sets the targets. True: go on, with *n_args (may be NULL) arguments that are not options in *args, which
 * lie in argv, now reordered. False: end with *status; --help and --version were answered on stdout (0), or a
 * message on stderr names what is wrong (2). argv[0] is skipped. */
bool ft_cli_parse(const ft_cli *cli, int argc, char **argv, char ***args, int32_t *n_args, int *status);

/* A tool made of several commands: `program command ...`. run gets argv from the command's name on. */
typedef struct ft_cli_command {
    const char *name, *summary;
    int (*run)(int argc, char **argv);
} ft_cli_command;

/* Runs the command named by argv[1]; commands ends with {0}. Returns the exit status. */
int ft_cli_dispatch(const char *program, const char *about, const ft_cli_command commands[], int argc,
                    char **argv);

/* Prints "<this program>: <the last message>" to stderr and returns the exit status that belongs to e. */
int ft_cli_fail(ft_err e);
/* Flushes stdout and returns status, or the status of a failed write after a message. The last call of a tool
 * that printed results. */
int ft_cli_end(int status);

#endif

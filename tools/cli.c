#include "tools/cli.h"

#include "train/nearest.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_OPTIONS = 32,
    FIRST = 256,
    HELP = FIRST + MAX_OPTIONS,
    VERSION,
    COLUMN = 26,
    WIDTH = 79,
    USAGE = 2
};

/* ---- help */

/* Prints text from `column` on, broken between words at WIDTH; further lines start at `indent`. */
static void print_wrapped(const char *text, int column, int indent) {
    while (*text) {
        int length = (int)strcspn(text, " ");
        if (column > indent && column + 1 + length > WIDTH) {
            printf("\n%*s", indent, "");
            column = indent;
        } else if (column > indent) {
            column += printf(" ");
        }
        column += printf("%.*s", length, text);
        text += length;
        text += strspn(text, " ");
    }
    putchar('\n');
}

static void print_option(char letter, const char *name, const char *argument, const char *help) {
    int column = letter ? printf("  -%c, ", letter) : printf("      ");
    column += printf("--%s%s%s", name, argument ? " " : "", argument ? argument : "");
    if (column > COLUMN - 2) {
        putchar('\n');
        column = 0;
    }
    printf("%*s", COLUMN - column, "");
    print_wrapped(help, COLUMN, COLUMN);
}

static void print_help(const ft_cli *cli) {
    printf("Usage: %s %s\n\n", cli->program, cli->usage);
    print_wrapped(cli->about, 0, 0);
    printf("\nOptions:\n");
    for (const ft_cli_option *o = cli->options; o->name; o++)
        print_option(o->letter, o->name, o->argument, o->help);
    print_option(0, "help", NULL, "Shows this help.");
    print_option(0, "version", NULL, "Shows the version.");
    if (cli->notes) printf("\n%s", cli->notes);
}

/* ---- mistakes */

/* "program: <what is wrong> (see 'program --help')", and the status of wrong usage. */
static int __attribute__((format(printf, 2, 3))) wrong(const char *program, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, "%s: ", program);
    vfprintf(stderr, fmt, ap);
    fprintf(stderr, " (see '%s --help')\n", program);
    va_end(ap);
    return USAGE;
}

static int wrong_option(const ft_cli *cli, int code, const char *given) {
    if (code >= FIRST) {
        const char *name = code == HELP      ? "help"
                           : code == VERSION ? "version"
                                             : cli->options[code - FIRST].name;
        return wrong(cli->program, "the option --%s takes no argument", name);
    }
    if (code) return wrong(cli->program, "unknown option -%c", code);
    char word[64];
    snprintf(word, sizeof word, "%.*s", (int)strcspn(given + 2, "="), given + 2);
    ft_nearest nearest = {.word = word};
    size_t length = strlen(word), begun = 0;
    for (const ft_cli_option *o = cli->options; o->name; o++) {
        ft_nearest_offer(&nearest, o->name);
        begun += strncmp(o->name, word, length) == 0;
    }
    ft_nearest_offer(&nearest, "help");
    ft_nearest_offer(&nearest, "version");
    if (begun > 1) return wrong(cli->program, "--%s is short for several options", word);
    if (nearest.best)
        return wrong(cli->program, "unknown option --%s; did you mean --%s?", word, nearest.best);
    return wrong(cli->program, "unknown option --%s", word);
}

/* ---- parsing */

static bool set_number(const ft_cli_option *o, const char *text) {
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno || end == text || *end || value < o->low || value > o->high) return false;
    *o->number = (int32_t)value;
    return true;
}

/* Returns 0 or the exit status. */
static int set(const ft_cli *cli, const ft_cli_option *o, const char *text, int argc) {
    if (o->flag) *o->flag = true;
    if (o->string) *o->string = text;
    if (o->number && !set_number(o, text))
        return wrong(cli->program, "--%s needs a whole number from %d to %d, not '%s'", o->name, o->low,
                     o->high, text);
    if (o->list) {
        if (!o->list->item) o->list->item = ft_alloc((size_t)argc, sizeof *o->list->item);
        if (!o->list->item) return ft_cli_fail(ft_err_set(FT_E_MEMORY, "no memory for the command line"));
        o->list->item[o->list->n++] = text;
    }
    return 0;
}

/* The table as getopt_long wants it: code FIRST + k for option k. */
static void make_tables(const ft_cli *cli, struct option longs[MAX_OPTIONS + 3],
                        char shorts[2 * MAX_OPTIONS + 2]) {
    int n = 0;
    *shorts++ = ':';
    for (const ft_cli_option *o = cli->options; o->name && n < MAX_OPTIONS; o++, n++) {
        longs[n] = (struct option){o->name, o->argument ? required_argument : no_argument, NULL, FIRST + n};
        if (o->letter) *shorts++ = o->letter;
        if (o->letter && o->argument) *shorts++ = ':';
    }
    *shorts = 0;
    longs[n++] = (struct option){"help", no_argument, NULL, HELP};
    longs[n++] = (struct option){"version", no_argument, NULL, VERSION};
    longs[n] = (struct option){0};
}

static const ft_cli_option *option_of(const ft_cli *cli, int code) {
    if (code >= FIRST) return &cli->options[code - FIRST];
    const ft_cli_option *o = cli->options;
    while (o->letter != code) o++;
    return o;
}

/* Handles one answer of getopt_long; false: end with *status. */
static bool take(const ft_cli *cli, int code, int argc, char **argv, int *status) {
    *status = 0;
    switch (code) {
    case HELP:
        print_help(cli);
        *status = ft_cli_end(0);
        return false;
    case VERSION:
        printf("%s (Facet) %s\n", program_invocation_short_name, FACET_VERSION);
        *status = ft_cli_end(0);
        return false;
    case '?':
        *status = wrong_option(cli, optopt, argv[optind - 1]);
        return false;
    case ':':
        *status = wrong(cli->program, "the option --%s needs its argument %s", option_of(cli, optopt)->name,
                        option_of(cli, optopt)->argument);
        return false;
    default:
        *status = set(cli, option_of(cli, code), optarg, argc);
        return *status == 0;
    }
}

bool ft_cli_parse(const ft_cli *cli, int argc, char **argv, char ***args, int32_t *n_args, int *status) {
    struct option longs[MAX_OPTIONS + 3];
    char shorts[2 * MAX_OPTIONS + 2];
    make_tables(cli, longs, shorts);
    opterr = 0;
    optind = 0; /* start anew, whatever was parsed before */
    for (int code; (code = getopt_long(argc, argv, shorts, longs, NULL)) != -1;)
        if (!take(cli, code, argc, argv, status)) return false;
    int32_t n = argc - optind;
    *args = argv + optind;
    if (n_args) *n_args = n;
    if (n < cli->min_args)
        *status = wrong(cli->program, "%s; usage: %s %s", n ? "too few arguments" : "nothing to work on",
                        cli->program, cli->usage);
    else if (cli->max_args != FT_CLI_ANY && n > cli->max_args)
        *status = wrong(cli->program, "unexpected argument '%s'", (*args)[cli->max_args]);
    else
        return true;
    return false;
}

/* ---- commands */

static void print_commands(const char *program, const char *about, const ft_cli_command commands[]) {
    printf("Usage: %s COMMAND ...\n\n", program);
    print_wrapped(about, 0, 0);
    printf("\nCommands:\n");
    for (const ft_cli_command *c = commands; c->name; c++) {
        int column = printf("  %s", c->name);
        printf("%*s", column < COLUMN ? COLUMN - column : 1, "");
        print_wrapped(c->summary, COLUMN, COLUMN);
    }
    printf("\n'%s COMMAND --help' tells more about one.\n", program);
}

int ft_cli_dispatch(const char *program, const char *about, const ft_cli_command commands[], int argc,
                    char **argv) {
    char known[256] = "";
    for (const ft_cli_command *c = commands; c->name; c++) {
        if (argc > 1 && strcmp(argv[1], c->name) == 0) return c->run(argc - 1, argv + 1);
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", used ? ", " : "", c->name);
    }
    if (argc < 2) return wrong(program, "no command given; commands: %s", known);
    if (strcmp(argv[1], "--help") == 0) {
        print_commands(program, about, commands);
        return ft_cli_end(0);
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("%s (Facet) %s\n", program, FACET_VERSION);
        return ft_cli_end(0);
    }
    return wrong(program, "there is no command '%s'; commands: %s", argv[1], known);
}

/* ---- ends */

int ft_cli_fail(ft_err e) {
    const char *message = ft_err_message();
    fflush(stdout); /* so that the two streams mix in order on a terminal */
    fprintf(stderr, "%s: %s\n", program_invocation_short_name, *message ? message : ft_err_sentence(e));
    return ft_err_exit_status(e);
}

int ft_cli_end(int status) {
    if (fflush(stdout) == 0 && !ferror(stdout)) return status;
    return ft_cli_fail(ft_err_set(FT_E_IO, "cannot write the results: %s", strerror(errno)));
}

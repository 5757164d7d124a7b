/* ft-train: trains a network from a configuration file. */
#include "tensor/par.h"
#include "tools/cli.h"
#include "tools/short_waits.h"
#include "train/trainer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t stop, save, tell;

/* The first INT or TERM asks the loop to save and stop; the second ends the process at once. */
static void on_stop(int signal_number) {
    if (stop) _exit(128 + signal_number);
    stop = 1;
}

static void on_save(int signal_number) {
    (void)signal_number;
    save = 1;
}

static void on_tell(int signal_number) {
    (void)signal_number;
    tell = 1;
}

static void catch_signals(void) {
    struct sigaction action = {.sa_handler = on_stop, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    action.sa_handler = on_save;
    sigaction(SIGHUP, &action, NULL);
    action.sa_handler = on_tell;
    sigaction(SIGUSR1, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* The folder of a run whose configuration names none: runs/<the file's name without its ending>. */
static void name_folder(const char *path, ft_config *config) {
    const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path, *dot = strrchr(base, '.');
    int length = dot && dot > base ? (int)(dot - base) : (int)strlen(base);
    snprintf(config->output, sizeof config->output, "runs/%.*s", length, base);
}

static ft_err configure(const char *path, const ft_cli_list *settings, const char *out, int32_t threads,
                        ft_config *config) {
    FT_TRY(ft_config_read(path, config));
    for (int32_t i = 0; i < settings->n; i++) {
        ft_err e = ft_config_set(config, settings->item[i]);
        if (e != FT_OK) return ft_err_prefix(e, "--set");
    }
    if (out) {
        FT_REQUIRE(strlen(out) < sizeof config->output, USAGE, "--out: the path is too long");
        snprintf(config->output, sizeof config->output, "%s", out);
    }
    if (!*config->output) name_folder(path, config);
    if (threads) config->threads = threads;
    ft_err e = ft_config_check(config);
    if (e != FT_OK) return ft_err_prefix(e, "%s", path);
    ft_config_resolve(config);
    return FT_OK;
}

static ft_err describe_phases(ft_run *run) {
    for (int32_t i = 0; i < ft_config_n_phases(run->config); i++) {
        if (i > 0) FT_TRY(ft_phase_enter(run, i));
        ft_phase_describe(run, stdout);
    }
    return FT_OK;
}

static ft_err train(const ft_config *config, ft_train_options *o, bool dry_run) {
    ft_run run;
    ft_threads_set(config->threads);
    FT_TRY(ft_run_setup(&run, config));
    if (o->log || dry_run) ft_run_describe(&run, dry_run ? stdout : o->log);
    catch_signals();
    ft_err e = dry_run ? describe_phases(&run) : ft_train_run(&run, o);
    ft_run_free(&run);
    return e;
}

int main(int argc, char **argv) {
    ft_short_waits(argv);
    const char *out = NULL;
    ft_cli_list settings = {0};
    ft_train_options o = {.results = stdout, .stop = &stop, .save = &save, .tell = &tell};
    bool dry_run = false, quiet = false, profile = false, fingerprint = false, list = false,
         reference = false;
    int32_t threads = 0;
    const ft_cli_option options[] = {
        {.name = "out",
         .argument = "DIR",
         .string = &out,
         .help = "Folder of the run; by default runs/<name of the configuration>."},
        {.name = "set",
         .argument = "KEY=VALUE",
         .list = &settings,
         .help = "Overrides one setting; may be repeated."},
        {.name = "resume",
         .flag = &o.resume,
         .help = "Goes on from the run's last checkpoint; starts if there is none."},
        {.name = "overwrite",
         .flag = &o.overwrite,
         .help = "Starts anew in a folder that holds a run already."},
        {.name = "dry-run",
         .flag = &dry_run,
         .help = "Checks everything, prints what would be trained, writes nothing."},
        {.name = "threads",
         .argument = "N",
         .number = &threads,
         .low = 1,
         .high = FT_CLI_MAX_THREADS,
         .help = "Threads to compute with; all cores by default. Results do not depend on it."},
        {.name = "quiet", .flag = &quiet, .help = "Prints nothing but the final table and errors."},
        {.name = "profile",
         .flag = &profile,
         .help =
             "Prints at the end, or when stopped, where the time went: by operation, by node, and outside "
             "the network."},
        {.name = "fingerprint",
         .flag = &fingerprint,
         .help = "Prints a hash of the weights after each epoch: the same run has the same on any number of "
                 "threads."},
        {.name = "options", .flag = &list, .help = "Lists every setting of the configuration file and ends."},
        {.name = "reference", .flag = &reference, .help = "The same as a page of Markdown."},
        {0}};
    const ft_cli cli = {.program = "ft-train",
                        .usage = "CONFIG.yaml [options]",
                        .about = "Trains a network on a data set as a YAML file says, and leaves in the "
                                 "run's folder config.yaml, history.csv, "
                                 "best.h5, last.h5 (the resume point), metrics.json, predictions.csv, "
                                 "report.html and TensorBoard events.",
                        .notes = "Ctrl-C (or TERM) saves and stops; a second one stops at once. HUP saves "
                                 "and goes on, USR1 says where it "
                                 "stands.\n"
                                 "Exit status: 0 done, 2 usage or configuration, 3 data or weights, 4 not a "
                                 "number, 5 system, 130 stopped after saving.\n",
                        .options = options,
                        .max_args = 1};
    char **args;
    int32_t n_args;
    int status;
    if (!ft_cli_parse(&cli, argc, argv, &args, &n_args, &status)) return status;
    if (list) ft_config_help(stdout);
    if (reference) ft_config_reference(stdout);
    if (list || reference) return ft_cli_end(0);
    ft_config config;
    ft_err e = n_args == 1
                   ? configure(args[0], &settings, out, threads, &config)
                   : ft_err_set(FT_E_USAGE, "name the configuration file: ft-train CONFIG.yaml; see --help");
    free(settings.item);
    o.folder = config.output;
    o.log = quiet ? NULL : stderr;
    o.profile = profile ? stderr : NULL;
    o.fingerprint = fingerprint ? stdout : NULL;
    if (e == FT_OK) e = train(&config, &o, dry_run);
    return e == FT_OK ? ft_cli_end(0) : ft_cli_fail(e);
}

/* Running the real programs of tools/ from a test: what they print, what they say, how they end.
 *
 * Every test has a folder of its own (tool_folder), made and removed by the checked fixture around it.
 */
#ifndef FACET_TESTS_TOOL_TESTING_H
#define FACET_TESTS_TOOL_TESTING_H

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct tool_run {
    int status;      /* of exit; -1: killed */
    char out[65536]; /* what it wrote to stdout, as far as it fits */
    char err[8192];  /* and to stderr */
} tool_run;

static char tool_folder[64];

static inline void tool_setup(void) {
    strcpy(tool_folder, "/tmp/facet-tools-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(tool_folder));
    ck_assert_int_eq(chdir(tool_folder), 0);
}

static inline void tool_teardown(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", tool_folder);
    ck_assert_int_eq(system(command), 0);
}

static inline void tool_read(const char *name, char *text, size_t bytes) {
    FILE *f = fopen(name, "rb");
    ck_assert_ptr_nonnull(f);
    text[fread(text, 1, bytes - 1, f)] = 0;
    fclose(f);
}

/* Runs a command line, "ft-model summary lenet", in the test's folder, through the shell. The result is valid
 * until the next. */
static inline __attribute__((format(printf, 1, 2))) tool_run *tool(const char *fmt, ...) {
    static tool_run run;
    char arguments[1024], command[2048];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(arguments, sizeof arguments, fmt, ap);
    va_end(ap);
    snprintf(command, sizeof command, "OMP_NUM_THREADS=2 %s/%s >stdout.txt 2>stderr.txt", FACET_PROGRAMS,
             arguments);
    int status = system(command);
    run.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    tool_read("stdout.txt", run.out, sizeof run.out);
    tool_read("stderr.txt", run.err, sizeof run.err);
    return &run;
}

#define assert_has(text, part) ck_assert_msg(strstr(text, part), "no \"%s\" in:\n%s", part, text)
#define assert_ends(run, wanted)                                                                      \
    ck_assert_msg((run)->status == (wanted), "exit status %d, wanted %d:\n%s", (run)->status, wanted, \
                  (run)->err)
/* Failed with that status, said this on stderr and nothing on stdout. */
#define assert_fails(run, wanted, part)     \
    do {                                    \
        tool_run *failed_ = (run);          \
        assert_ends(failed_, wanted);       \
        assert_has(failed_->err, part);     \
        ck_assert_str_eq(failed_->out, ""); \
    } while (0)

#endif

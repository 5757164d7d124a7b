#include "train/child.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined __SANITIZE_ADDRESS__
#define ADDRESS_SANITIZER 1 /* reserves terabytes */
#elif defined __has_feature
#if __has_feature(address_sanitizer)
#define ADDRESS_SANITIZER 1
#endif
#endif

/* What the child says of itself at its end. */
typedef struct verdict {
    ft_err err;
    char message[1024];
} verdict;

static void set_limit(int what, int64_t most) {
    struct rlimit limit = {.rlim_cur = (rlim_t)most, .rlim_max = (rlim_t)most};
    setrlimit((__rlimit_resource_t)what, &limit);
}

/* Of this process, in bytes; 0: unknown. */
static int64_t address_space(void) {
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f && fscanf(f, "%ld", &pages) != 1) pages = 0;
    if (f) fclose(f);
    return (int64_t)pages * sysconf(_SC_PAGESIZE);
}

static void confine(ft_child_limits limits, int64_t present) {
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* not to outlive who asked for it */
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    set_limit(RLIMIT_CORE, 0);
    set_limit(RLIMIT_CPU, limits.seconds);
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++) signal(fatal[i], SIG_DFL);
    signal(SIGINT, SIG_IGN); /* Ctrl-C is the parent's affair */
#ifndef ADDRESS_SANITIZER
    if (present > 0) set_limit(RLIMIT_AS, present + limits.memory);
#else
    (void)present;
#endif
}

/* Does not return. */
static void be_child(ft_err (*work)(void *ctx, FILE *out), void *ctx, ft_child_limits limits, int64_t present,
                     int result, int report) {
    verdict v = {.err = FT_E_MEMORY};
    confine(limits, present);
    FILE *out = fdopen(result, "wb");
    if (out) {
        v.err = work(ctx, out);
        if (v.err == FT_OK && (fflush(out) != 0 || ferror(out)))
            v.err = ft_err_set(FT_E_MEMORY, "no memory for a result");
        snprintf(v.message, sizeof v.message, "%s", ft_err_message());
    }
    _exit(write(report, &v, sizeof v) == sizeof v ? 0
                                                  : 1); /* nothing of the parent's is flushed or tidied up */
}

/* All of it, or false. */
static bool read_verdict(int report, verdict *v) {
    size_t got = 0;
    while (got < sizeof *v) {
        ssize_t n = read(report, (char *)v + got, sizeof *v - got);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        got += (size_t)n;
    }
    v->message[sizeof v->message - 1] = '\0';
    return got == sizeof *v;
}

static ft_err judge(pid_t child, int report, const char *what) {
    verdict v;
    int status = 0;
    bool told = read_verdict(report, &v);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    if (told && v.err == FT_OK) return FT_OK;
    if (told && v.err != FT_E_MEMORY) return ft_err_set(v.err, "%s", v.message);
    FT_REQUIRE(!told &&
                   !(WIFSIGNALED(status) && (WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGKILL)),
               WEIGHTS,
               "%s: takes more time or memory than such a file can need; it is damaged, or made to do harm",
               what);
    FT_FAIL(WEIGHTS, "%s: broke the library that reads it (%s); it is damaged, or made to do harm", what,
            WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "it gave up");
}

ft_err ft_child_run(ft_err (*work)(void *ctx, FILE *out), void *ctx, const char *what, ft_child_limits limits,
                    FILE **result) {
    int report[2], memory = memfd_create("facet", MFD_CLOEXEC);
    *result = NULL;
    FT_REQUIRE(memory >= 0, MEMORY, "%s: no memory to read it: %s", what, strerror(errno));
    if (pipe(report) != 0) {
        close(memory);
        FT_FAIL(IO, "%s: cannot read it: %s", what, strerror(errno));
    }
    int64_t present = address_space();
    pid_t child = fork();
    if (child == 0) be_child(work, ctx, limits, present, memory, report[1]);
    close(report[1]);
    ft_err e = child < 0 ? ft_err_set(FT_E_MEMORY, "%s: no process to read it: %s", what, strerror(errno))
                         : judge(child, report[0], what);
    close(report[0]);
    if (e == FT_OK && lseek(memory, 0, SEEK_SET) == 0) *result = fdopen(memory, "rb");
    if (*result) return FT_OK;
    close(memory);
    return e != FT_OK ? e : ft_err_set(FT_E_MEMORY, "%s: no memory to read it", what);
}

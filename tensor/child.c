#include "tensor/child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Sanitizers reserve terabytes and make calls of their own; so does what counts coverage at its end. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__ || defined FACET_COVERAGE
#define INSTRUMENTED 1
#elif defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define INSTRUMENTED 1
#endif
#endif

enum { MOST_TRIES = 3 };

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

static void confine(const ft_child_task *task, int64_t present) {
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* not to outlive who asked for it */
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    set_limit(RLIMIT_CORE, 0);
    if (task->seconds > 0) set_limit(RLIMIT_CPU, task->seconds);
    if (task->memory > 0) set_limit(RLIMIT_FSIZE, task->memory); /* of the result, which is in memory, too */
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE, SIGTERM, SIGHUP};
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++) signal(fatal[i], SIG_DFL);
    signal(SIGINT, SIG_IGN); /* Ctrl-C is the parent's affair */
#ifndef INSTRUMENTED
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (nowhere >= 0) dup2(nowhere, STDERR_FILENO); /* for libraries that would rather talk */
    if (present > 0 && task->memory > 0) set_limit(RLIMIT_AS, present + task->memory);
#else
    (void)present;
#endif
}

/* Of a kind that the kernel's filter is known for here; elsewhere nothing is sealed. */
#if defined __x86_64__
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined __aarch64__
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

/* Without libseccomp, which never ends where memory is short. */
void ft_child_seal(void) {
#if !defined INSTRUMENTED && defined ARCHITECTURE
#define WORD(what)    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, what))
#define IF(value, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, no)
#define GIVE(verdict) BPF_STMT(BPF_RET | BPF_K, verdict)
#define ALLOW(call)   IF(SYS_##call, 1), GIVE(SECCOMP_RET_ALLOW)
    struct sock_filter filter[] = {
        WORD(arch),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0),
        GIVE(SECCOMP_RET_KILL_PROCESS),
        WORD(nr),
        ALLOW(read),
        ALLOW(pread64),
        ALLOW(write),
        ALLOW(pwrite64),
        ALLOW(lseek),
        ALLOW(fstat),
        ALLOW(close),
        ALLOW(munmap),
        ALLOW(mremap),
        ALLOW(madvise),
        ALLOW(brk),
        ALLOW(futex),
        ALLOW(getrandom),
        ALLOW(exit),
        ALLOW(exit_group),
        ALLOW(sched_yield),
        ALLOW(rt_sigreturn),
        ALLOW(clock_gettime),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 1, 0),
        IF(SYS_mprotect, 3),
        WORD(args[2]), /* memory, but none that could be executed */
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 1, 0),
        GIVE(SECCOMP_RET_ALLOW),
        GIVE(SECCOMP_RET_ERRNO | EPERM),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    const char *preloaded = getenv("LD_PRELOAD");
    if (preloaded && strstr(preloaded, "/vgpreload_"))
        return; /* Valgrind's own calls would be refused, too */
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
#endif
}

/* Nothing of the parent's is flushed or tidied up. */
static _Noreturn void leave(int status) {
#ifdef FACET_COVERAGE
    void __gcov_dump(void);
    __gcov_dump();
#endif
    _exit(status);
}

static _Noreturn void be_child(const ft_child_task *task, int64_t present, int result, int report) {
    verdict v = {.err = FT_E_MEMORY};
    confine(task, present);
    FILE *out = fdopen(result, "wb");
    if (out) {
        v.err = task->work(task->ctx, out);
        if (v.err == FT_OK && (fflush(out) != 0 || ferror(out)))
            v.err = ft_err_set(FT_E_MEMORY, "no memory for a result");
        snprintf(v.message, sizeof v.message, "%s", ft_err_message());
    }
    leave(write(report, &v, sizeof v) == sizeof v ? 0 : 1);
}

/* Milliseconds that an answer may take, however little is computed; -1: any. A child of a process with
 * threads can hang under AddressSanitizer, whose locks GCC 12's does not take along. */
static int patience(const ft_child_task *task) {
#ifdef INSTRUMENTED
    (void)task;
    return 15000;
#else
    return task->seconds > 0 ? 10000 * task->seconds : -1;
#endif
}

/* All of it, or false; *late: the child was given up. */
static bool read_verdict(const ft_child_task *task, pid_t child, int report, verdict *v, bool *late) {
    size_t got = 0;
    struct pollfd answer = {.fd = report, .events = POLLIN};
    *late = false;
    while (got < sizeof *v) {
        int ready = poll(&answer, 1, patience(task));
        if (ready < 0 && errno == EINTR) continue;
        if (ready == 0) *late = kill(child, SIGKILL) == 0;
        ssize_t n = ready == 1 ? read(report, (char *)v + got, sizeof *v - got) : 0;
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        got += (size_t)n;
    }
    v->message[sizeof v->message - 1] = '\0';
    return got == sizeof *v;
}

/* Who has taken the child over may say anything, but not that the user wants to stop. */
static ft_err believed(const ft_child_task *task, ft_err said) {
    return said > FT_OK && said < FT_E_STOPPED ? said : task->broken;
}

/* *again: memory may have been short for a moment, which breaks some libraries, too; or the disk busy. */
static ft_err judge(const ft_child_task *task, pid_t child, int report, bool *again) {
    verdict v;
    int status = 0;
    bool late, told = read_verdict(task, child, report, &v, &late);
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    *again = !told || v.err == FT_E_MEMORY || v.err == FT_E_IO;
    if (told && v.err == FT_OK) return FT_OK;
    if (told && v.err != FT_E_MEMORY) return ft_err_set(believed(task, v.err), "%s", v.message);
    int signal = !told && WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    if (signal == SIGBUS) /* a file in memory that cannot be had */
        FT_FAIL(IO, "%s: the disk failed, or the file was cut while it was read", task->what);
    bool killed = signal == SIGXCPU || signal == SIGXFSZ || signal == SIGKILL;
    if (killed) *again = late;
    if (told || killed)
        return ft_err_set(task->broken, "%s: takes more time or memory than such a file can need; %s",
                          task->what, task->hint);
    return ft_err_set(task->broken, "%s: broke the library for such files (%s); %s", task->what,
                      signal ? strsignal(signal) : "it gave up", task->hint);
}

/* LLVM's OpenMP notes each process in shared memory, forked ones too; only exit() takes a note away. */
static void remove_note_of(pid_t child) {
#if defined _OPENMP && defined __clang__
    char name[64];
    snprintf(name, sizeof name, "/__KMP_REGISTERED_LIB_%d_%d", (int)child, (int)getuid());
    shm_unlink(name);
#else
    (void)child;
#endif
}

static ft_err run_once(const ft_child_task *task, int memory, bool *again) {
    int report[2];
    *again = false;
    FT_REQUIRE(pipe(report) == 0, IO, "%s: no pipe to a process for it: %s", task->what, strerror(errno));
    int64_t present = address_space();
    pid_t child = fork();
    if (child == 0) be_child(task, present, memory, report[1]);
    close(report[1]);
    ft_err e = child < 0 ? ft_err_set(FT_E_MEMORY, "%s: no process for it: %s", task->what, strerror(errno))
                         : judge(task, child, report[0], again);
    close(report[0]);
    if (child > 0) remove_note_of(child);
    return e;
}

ft_err ft_child_run(const ft_child_task *task, FILE **result) {
    FILE *none;
    if (!result) result = &none;
    *result = NULL;
    int memory = memfd_create("facet", MFD_CLOEXEC);
    FT_REQUIRE(memory >= 0, MEMORY, "%s: no memory for what it holds: %s", task->what, strerror(errno));
    bool again = true;
    ft_err e = FT_OK;
    for (int tries = 0; again && tries < MOST_TRIES; tries++) {
        if (tries > 0 && (ftruncate(memory, 0) != 0 || lseek(memory, 0, SEEK_SET) != 0)) break;
        e = run_once(task, memory, &again);
        again &= e != FT_OK;
    }
    if (e == FT_OK && result != &none && lseek(memory, 0, SEEK_SET) == 0) *result = fdopen(memory, "rb");
    if (*result) return FT_OK;
    close(memory);
    return e != FT_OK || result == &none ? e
                                         : ft_err_set(FT_E_MEMORY, "%s: no memory to read it", task->what);
}

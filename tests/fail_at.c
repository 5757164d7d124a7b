/* Lets one request for memory fail. FACET_MALLOC_FAILS_AT: the n-th since main began, 1 and up, in whichever
 * process; FACET_MALLOC_COUNT: a file that gets the number of all at the end.
 *
 * To be preloaded: then those of all libraries are counted. Or, with FACET_WRAP, linked into a program by the
 * linker's --wrap, which goes together with the sanitizers: then those of the program's own code are.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifdef FACET_WRAP
#define MINE(name)     __wrap_##name
#define ORIGINAL(name) __real_##name
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t n);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t n);
#else
#define MINE(name)     name
#define ORIGINAL(name) __libc_##name
#endif

void *MINE(malloc)(size_t n);
void *MINE(calloc)(size_t n, size_t size);
void *MINE(realloc)(void *p, size_t n);
void *MINE(reallocarray)(void *p, size_t n, size_t size);
void *MINE(aligned_alloc)(size_t align, size_t n);
int MINE(posix_memalign)(void **p, size_t align, size_t n);
void *ORIGINAL(malloc)(size_t n);
void *ORIGINAL(calloc)(size_t n, size_t size);
void *ORIGINAL(realloc)(void *p, size_t n);

static atomic_long *count; /* shared with children; NULL: not yet */
static long fails_at;

static int fails(void) {
    if (!count || atomic_fetch_add(count, 1) + 1 != fails_at) return 0;
    errno = ENOMEM;
    return 1;
}

void *MINE(malloc)(size_t n) {
    return fails() ? NULL : ORIGINAL(malloc)(n);
}
void *MINE(calloc)(size_t n, size_t size) {
    return fails() ? NULL : ORIGINAL(calloc)(n, size);
}
void *MINE(realloc)(void *p, size_t n) {
    return fails() ? NULL : ORIGINAL(realloc)(p, n);
}
void *MINE(reallocarray)(void *p, size_t n, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes)) errno = ENOMEM;
    return __builtin_mul_overflow(n, size, &bytes) || fails() ? NULL : ORIGINAL(realloc)(p, bytes);
}

#ifdef FACET_WRAP
void *__real_aligned_alloc(size_t align, size_t n);
int __real_posix_memalign(void **p, size_t align, size_t n);
static void *aligned(size_t align, size_t n) {
    return __real_aligned_alloc(align, n);
}
char *__wrap_strdup(const char *text) {
    return fails() ? NULL : __real_strdup(text);
}
char *__wrap_strndup(const char *text, size_t n) {
    return fails() ? NULL : __real_strndup(text, n);
}
#else
void *__libc_memalign(size_t align, size_t n);
static void *aligned(size_t align, size_t n) {
    return __libc_memalign(align, n);
}
#endif
void *MINE(aligned_alloc)(size_t align, size_t n) {
    return fails() ? NULL : aligned(align, n);
}
int MINE(posix_memalign)(void **p, size_t align, size_t n) {
    *p = fails() ? NULL : aligned(align, n);
    return *p ? 0 : ENOMEM;
}

/* ---- from main on ---- */

typedef int main_function(int, char **, char **);

static int run(main_function *program, int argc, char **argv, char **env) {
    const char *at = getenv("FACET_MALLOC_FAILS_AT"), *file = getenv("FACET_MALLOC_COUNT");
    fails_at = at ? atol(at) : 0;
    void *shared = mmap(NULL, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) abort();
    count = shared;
    int status = program(argc, argv, env);
    long total = atomic_load(count);
    count = NULL;
    FILE *f = file ? fopen(file, "w") : NULL;
    if (f) {
        fprintf(f, "%ld\n", total);
        fclose(f);
    }
    return status;
}

#ifdef FACET_WRAP
main_function __real_main, __wrap_main;
int __wrap_main(int argc, char **argv, char **env) {
    return run(__real_main, argc, argv, env);
}
#else
#include <dlfcn.h>

typedef int start(main_function *, int, char **, void (*)(void), void (*)(void), void (*)(void), void *);
start __libc_start_main;
static main_function *program;

static int main_of_program(int argc, char **argv, char **env) {
    return run(program, argc, argv, env);
}

int __libc_start_main(main_function *main, int argc, char **argv, void (*init)(void), void (*fini)(void),
                      void (*rtld_fini)(void), void *stack_end) {
    start *original = (start *)(uintptr_t)dlsym(RTLD_NEXT, "__libc_start_main");
    program = main;
    return original(main_of_program, argc, argv, init, fini, rtld_fini, stack_end);
}
#endif

/* Shared memory in a folder of the build instead of /dev/shm, for tests and fuzzers that Clang builds: where
 * that is full, LLVM's OpenMP, which notes every process there, dies of SIGBUS. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static const char *place(const char *name) {
    static char path[1024];
    snprintf(path, sizeof path, FACET_SHARED_MEMORY "%s", name);
    return path;
}

int shm_open(const char *name, int flags, mode_t mode) {
    return open(place(name), flags | O_CLOEXEC, mode);
}

int shm_unlink(const char *name) {
    return unlink(place(name));
}

#include "tools/short_waits.h"

#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

/* Long enough for the time between two loops of a step: a tenth of it slows small networks down. */
#define ROUNDS "10000"

void ft_short_waits(char **argv) {
    if (getenv("OMP_WAIT_POLICY") || getenv("GOMP_SPINCOUNT")) return;
    char program[PATH_MAX]; /* its own path: started as /proc/self/exe it would be listed as "exe" */
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    if (n < 0) return;
    program[n] = 0;
    setenv("GOMP_SPINCOUNT", ROUNDS, 1);
    execv(program, argv);
}

/* For readers of files: the input as a file in memory. */
#ifndef FACET_TESTS_FUZZ_FILE_H
#define FACET_TESTS_FUZZ_FILE_H

#include "data/dataset.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char fuzz_folder[64];

static void fuzz_remove_folder(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", fuzz_folder);
    if (system(command) != 0) perror(command);
}

/* A path in this process's folder, valid until the fourth next call. */
static inline const char *fuzz_path(const char *name) {
    static char paths[4][128];
    static int next;
    if (!*fuzz_folder) {
        strcpy(fuzz_folder, "/tmp/facet-fuzz-XXXXXX");
        if (!mkdtemp(fuzz_folder)) abort();
        atexit(fuzz_remove_folder);
    }
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", fuzz_folder, name);
    return path;
}

/* Writes a file there. */
static inline const char *fuzz_file(const char *name, const uint8_t *p, size_t n) {
    const char *path = fuzz_path(name);
    unlink(path); /* some file systems flush one that is cut and written anew */
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(p, 1, n, f) != n || fclose(f) != 0) abort();
    return path;
}

#endif

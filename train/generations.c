#include "train/generations.h"

#include "tensor/atomic_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MOST = 64 /* generations */, PATH_BYTES = 4096 };

/* "<path without .h5>.<name>.h5" */
static ft_err sibling(const char *path, const char *name, char to[PATH_BYTES]) {
    size_t length = strlen(path);
    int stem = length > 3 && strcmp(path + length - 3, ".h5") == 0 ? (int)length - 3 : (int)length;
    int n = snprintf(to, PATH_BYTES, "%.*s.%s.h5", stem, path, name);
    FT_REQUIRE(n > 0 && n < PATH_BYTES, CONFIG, "%s: the path is too long", path);
    return FT_OK;
}

/* Number k of the row; 0 is path itself. */
static ft_err generation(const char *path, int32_t k, char to[PATH_BYTES]) {
    char number[16];
    if (k == 0) {
        snprintf(to, PATH_BYTES, "%s", path);
        return FT_OK;
    }
    snprintf(number, sizeof number, "%d", k);
    return sibling(path, number, to);
}

/* Puts a second name of `from` in place of `to`; without hard links, moves it. */
static ft_err second_name(const char *from, const char *to) {
    char temp[PATH_BYTES + 8];
    snprintf(temp, sizeof temp, "%s.tmp", to);
    unlink(temp);
    if (link(from, temp) == 0) {
        if (rename(temp, to) == 0) return FT_OK;
        unlink(temp);
    } else if (rename(from, to) == 0) {
        return FT_OK;
    }
    FT_FAIL(IO, "cannot keep '%s' as '%s': %s", from, to, strerror(errno));
}

/* Every resume point moves up one place in the row. */
static ft_err shift(const char *path, int32_t keep) {
    char from[PATH_BYTES], to[PATH_BYTES];
    for (int32_t k = keep - 1; k > 0; k--) {
        FT_TRY(generation(path, k - 1, from));
        FT_TRY(generation(path, k, to));
        if (access(from, F_OK) == 0) FT_TRY(second_name(from, to));
    }
    return FT_OK;
}

/* Lets the system forget what it remembers of the file, so that it is read from the disk. */
static void forget(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED); /* advice */
    close(fd);
}

static ft_err replace(const char *from, const char *path) {
    FT_REQUIRE(rename(from, path) == 0, IO, "cannot replace '%s': %s", path, strerror(errno));
    return ft_atomic_sync_folder(path);
}

ft_err ft_generations_write(const char *path, int32_t keep, const ft_model *m,
                            const ft_training_state *state) {
    char fresh[PATH_BYTES];
    FT_TRY(sibling(path, "new", fresh));
    FT_TRY(ft_checkpoint_write(fresh, m, state));
    forget(fresh);
    ft_err e = ft_checkpoint_verify(fresh);
    if (e == FT_E_WEIGHTS)
        e = ft_err_prefix(FT_E_IO, "what was written does not read back; the disk may be failing");
    if (e == FT_OK) e = shift(path, keep);
    if (e == FT_OK) e = replace(fresh, path);
    if (e != FT_OK) unlink(fresh);
    return e;
}

bool ft_generations_exist(const char *path) {
    char at[PATH_BYTES];
    for (int32_t k = 0; k < MOST; k++)
        if (generation(path, k, at) == FT_OK && access(at, F_OK) == 0) return true;
    return false;
}

ft_err ft_generations_find(const char *path, char found[4096], char why[1024]) {
    ft_err first = FT_OK;
    why[0] = '\0';
    for (int32_t k = 0; k < MOST; k++) {
        FT_TRY(generation(path, k, found));
        if (access(found, F_OK) != 0) continue;
        ft_err e = ft_checkpoint_verify(found);
        if (e == FT_OK) return FT_OK;
        if (first != FT_OK) continue;
        first = e;
        snprintf(why, 1024, "%s", ft_err_message());
    }
    FT_REQUIRE(first != FT_OK, IO, "there is no '%s'", path);
    return ft_err_set(first, "%s", why);
}

void ft_generations_remove(const char *path) {
    char at[PATH_BYTES];
    for (int32_t k = 0; k < MOST; k++)
        if (generation(path, k, at) == FT_OK) unlink(at);
}

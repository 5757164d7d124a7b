#include "data/data_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

enum { MAX_FILE_BYTES = 1 << 30 };

static ft_err cannot_open(const char *path) {
    FT_REQUIRE(errno != ENOENT && errno != ENOTDIR, DATA, "%s: there is no such file", path);
    bool its_own = errno == EACCES || errno == EPERM || errno == ELOOP || errno == ENAMETOOLONG;
    return ft_err_set(its_own ? FT_E_DATA : FT_E_IO, "%s: cannot open: %s", path, strerror(errno));
}

ft_err ft_data_file_open(const char *path, FILE **file, int64_t *bytes) {
    *file = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not keep us waiting */
    if (fd < 0) return cannot_open(path);
    struct stat st;
    ft_err e = FT_OK;
    if (fstat(fd, &st) != 0)
        e = ft_err_set(FT_E_IO, "%s: %s", path, strerror(errno));
    else if (!S_ISREG(st.st_mode))
        e = ft_err_set(FT_E_DATA, "%s: not a regular file", path);
    else if (!(*file = fdopen(fd, "rb")))
        e = ft_err_set(FT_E_MEMORY, "%s: no memory to read it", path);
    if (e != FT_OK)
        close(fd);
    else if (bytes)
        *bytes = st.st_size;
    return e;
}

ft_err ft_data_file_read(const char *path, uint8_t **bytes, size_t *n) {
    FILE *f;
    int64_t size;
    FT_TRY(ft_data_file_open(path, &f, &size));
    uint8_t *p = size <= MAX_FILE_BYTES ? malloc(size ? (size_t)size : 1) : NULL;
    size_t got = p ? fread(p, 1, (size_t)size, f) : 0;
    ft_err e = FT_OK;
    if (size > MAX_FILE_BYTES)
        e = ft_err_set(FT_E_DATA, "%s: %lld bytes are too many for an image (limit 1 GiB)", path,
                       (long long)size);
    else if (!p)
        e = ft_err_set(FT_E_MEMORY, "%s: no memory to read %lld bytes", path, (long long)size);
    else if (ferror(f))
        e = ft_err_set(FT_E_IO, "%s: reading stopped after %zu of %lld bytes: %s", path, got, (long long)size,
                       strerror(errno));
    else if (got != (size_t)size)
        e = ft_err_set(FT_E_DATA, "%s: the file became shorter while it was read", path);
    fclose(f);
    if (e != FT_OK) {
        free(p);
        return e;
    }
    *bytes = p;
    *n = (size_t)size;
    return FT_OK;
}

ft_err ft_data_file_hash(const char *path, uint64_t *hash) {
    FILE *f;
    FT_TRY(ft_data_file_open(path, &f, NULL));
    XXH3_state_t *state = XXH3_createState();
    ft_err e = state ? FT_OK : ft_err_set(FT_E_MEMORY, "%s: no memory to read it", path);
    if (e == FT_OK) XXH3_64bits_reset(state);
    char part[16384];
    for (size_t n; e == FT_OK && (n = fread(part, 1, sizeof part, f)) > 0;)
        XXH3_64bits_update(state, part, n);
    if (e == FT_OK && ferror(f)) e = ft_err_set(FT_E_IO, "%s: cannot be read: %s", path, strerror(errno));
    if (e == FT_OK) *hash = XXH3_64bits_digest(state);
    XXH3_freeState(state);
    fclose(f);
    return e;
}

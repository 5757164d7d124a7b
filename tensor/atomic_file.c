/* Atomic replacement of a file (write beside it, fsync, rename, fsync of the folder). */
#include "tensor/atomic_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *hint(int error) {
    switch (error) {
    case ENOENT:
        return "create the folder first";
    case EACCES:
    case EPERM:
    case EROFS:
        return "choose a folder that you may write to";
    case ENOSPC:
    case EDQUOT:
        return "free some disk space";
    case EISDIR:
        return "a folder has this name; choose another";
    default:
        return "check the disk and the path";
    }
}

static ft_err io_error(const char *what, const char *path, int error) {
    FT_FAIL(IO, "%s '%s': %s; %s", what, path, strerror(error), hint(error));
}

static void release(ft_atomic_file *a) {
    free(a->temp);
    free(a->path);
    *a = (ft_atomic_file){.fd = -1};
}

ft_err ft_atomic_begin(ft_atomic_file *a, const char *path) {
    *a = (ft_atomic_file){.fd = -1};
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) return io_error("cannot write", path, EISDIR);
    a->path = strdup(path);
    if (!a->path || asprintf(&a->temp, "%s.tmp", path) < 0) {
        a->temp = NULL;
        release(a);
        FT_FAIL(MEMORY, "out of memory while opening '%s'", path);
    }
    unlink(a->temp); /* of a process that was killed */
    a->fd = open(a->temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (a->fd < 0) {
        int error = errno;
        release(a);
        return io_error("cannot write", path, error);
    }
    return FT_OK;
}

ft_err ft_atomic_open(ft_atomic_file *a, const char *path) {
    FT_TRY(ft_atomic_begin(a, path));
    int fd = fcntl(a->fd, F_DUPFD_CLOEXEC, 0);
    a->stream = fd < 0 ? NULL : fdopen(fd, "w");
    if (!a->stream) {
        int error = errno;
        if (fd >= 0) close(fd);
        ft_atomic_abort(a);
        return io_error("cannot write", path, error);
    }
    return FT_OK;
}

/* Whether a->temp is still the file that begin created: a second writer of the same path would have replaced
 * it. */
static int still_ours(const ft_atomic_file *a) {
    struct stat mine, named;
    return fstat(a->fd, &mine) == 0 && stat(a->temp, &named) == 0 && mine.st_ino == named.st_ino &&
           mine.st_dev == named.st_dev;
}

ft_err ft_atomic_sync_folder(const char *path) {
    const char *slash = strrchr(path, '/');
    char *folder = !slash ? strdup(".") : strndup(path, slash == path ? 1 : (size_t)(slash - path));
    FT_REQUIRE(folder, MEMORY, "out of memory while writing '%s'", path);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int error = fd < 0 || fsync(fd) != 0 ? errno : 0;
    if (fd >= 0) close(fd);
    free(folder);
    /* Some file systems cannot sync a folder, and a folder may be writable but not readable; the rename has
     * been done. */
    return error == 0 || error == EINVAL || error == EACCES
               ? FT_OK
               : io_error("cannot sync the folder of", path, error);
}

static ft_err finish_stream(ft_atomic_file *a) {
    if (!a->stream) return FT_OK;
    errno = 0;
    int bad = ferror(a->stream) | fflush(a->stream);
    int error = errno ? errno : EIO;
    bad |= fclose(a->stream);
    a->stream = NULL;
    return bad ? io_error("cannot write", a->path, error) : FT_OK;
}

ft_err ft_atomic_put(ft_atomic_file *a, const void *bytes, size_t n) {
    const char *at = bytes;
    while (n > 0) {
        ssize_t written = write(a->fd, at, n);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return io_error("cannot write", a->path, written < 0 ? errno : EIO);
        at += written;
        n -= (size_t)written;
    }
    return FT_OK;
}

ft_err ft_atomic_commit(ft_atomic_file *a) {
    ft_err e = finish_stream(a);
    if (e == FT_OK && fsync(a->fd) != 0) e = io_error("cannot write", a->path, errno);
    if (e == FT_OK && !still_ours(a)) {
        /* the name belongs to the other writer now: leave the file to it */
        e = ft_err_set(FT_E_IO,
                       "cannot write '%s': another process is writing it; let one of them write elsewhere",
                       a->path);
        close(a->fd);
        release(a);
        return e;
    }
    if (e == FT_OK && rename(a->temp, a->path) != 0) e = io_error("cannot replace", a->path, errno);
    if (e != FT_OK) {
        ft_atomic_abort(a);
        return e;
    }
    close(a->fd);
    e = ft_atomic_sync_folder(a->path);
    release(a);
    return e;
}

void ft_atomic_abort(ft_atomic_file *a) {
    if (a->stream) fclose(a->stream);
    a->stream = NULL;
    if (a->fd >= 0) {
        if (still_ours(a)) unlink(a->temp);
        close(a->fd);
    }
    release(a);
}

ft_err ft_atomic_write(const char *path, ft_err (*write)(FILE *stream, const void *ctx), const void *ctx) {
    ft_atomic_file a;
    FT_TRY(ft_atomic_open(&a, path));
    ft_err e = write(a.stream, ctx);
    if (e == FT_OK) return ft_atomic_commit(&a);
    ft_atomic_abort(&a);
    return e;
}

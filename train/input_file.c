#include "train/input_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

ft_err ft_input_file_open(ft_input_file *f, const char *path) {
    *f = (ft_input_file){.path = path, .fd = -1};
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* a pipe would wait for ever */
    if (fd < 0)
        return ft_err_set(errno == ENOENT || errno == ENOTDIR ? FT_E_WEIGHTS : FT_E_IO,
                          "cannot open '%s': %s; check the path", path, strerror(errno));
    struct stat st;
    bool regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    if (!regular || st.st_size == 0) {
        close(fd);
        FT_REQUIRE(regular, WEIGHTS, "'%s' is not a file: give the path of a file of weights", path);
        FT_FAIL(WEIGHTS, "'%s' is empty; use another copy of it", path);
    }
    f->fd = fd;
    f->size = st.st_size;
    return FT_OK;
}

ft_err ft_input_file_read(const ft_input_file *f, int64_t offset, int64_t n, void *p) {
    for (int64_t done = 0; done < n;) {
        ssize_t got = pread(f->fd, (uint8_t *)p + done, (size_t)(n - done), offset + done);
        if (got < 0 && errno == EINTR) continue;
        FT_REQUIRE(got >= 0, IO, "cannot read '%s': %s; check the disk", f->path, strerror(errno));
        FT_REQUIRE(got > 0, WEIGHTS, "'%s' is cut off: it ends at byte %lld of at least %lld; fetch it again",
                   f->path, (long long)(offset + done), (long long)(offset + n));
        done += got;
    }
    return FT_OK;
}

void ft_input_file_close(ft_input_file *f) {
    if (f->fd >= 0) close(f->fd);
    f->fd = -1;
}

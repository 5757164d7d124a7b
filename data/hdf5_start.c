#include "data/hdf5_start.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

ft_err ft_hdf5_start(void) {
    H5dont_atexit(); /* says no from the second time on */
    bool started = H5open() >= 0 && H5Eset_auto2(H5E_DEFAULT, NULL, NULL) >= 0;
    FT_REQUIRE(started, MEMORY, "no memory for HDF5");
    return FT_OK;
}

void ft_hdf5_drop(hid_t id) {
    if (id >= 0) H5Idec_ref(id);
}

static herr_t innermost(unsigned n, const H5E_error2_t *error, void *ctx) {
    const char **text = ctx;
    if (n == 0 && error->desc) *text = error->desc;
    return 0;
}

const char *ft_hdf5_reason(void) {
    const char *text = NULL;
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, innermost, &text);
    return text && *text ? text : "no details";
}

ft_err ft_hdf5_map(int fd, const char *path, ft_err kind, void **p, int64_t *size) {
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size == 0)
        return ft_err_set(kind, "'%s' is not a file, or it is empty", path);
    *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    FT_REQUIRE(*p != MAP_FAILED, MEMORY, "'%s': no memory to look into it: %s", path, strerror(errno));
    *size = st.st_size;
    return FT_OK;
}

/* ---- HDF5 takes the memory it is given for its own: every request for a copy gets the original ---- */

static void *give(size_t n, H5FD_file_image_op_t op, void *bytes) {
    (void)n, (void)op;
    return bytes;
}
static void *leave(void *to, const void *from, size_t n, H5FD_file_image_op_t op, void *bytes) {
    (void)from, (void)n, (void)op, (void)bytes;
    return to;
}
static void *no_more(void *p, size_t n, H5FD_file_image_op_t op, void *bytes) {
    (void)p, (void)n, (void)op, (void)bytes;
    return NULL;
}
static herr_t keep(void *p, H5FD_file_image_op_t op, void *bytes) {
    (void)p, (void)op, (void)bytes;
    return 0;
}
static void *same(void *bytes) {
    return bytes;
}
static herr_t forget(void *bytes) {
    (void)bytes;
    return 0;
}

hid_t ft_hdf5_open_image(const void *bytes, size_t n) {
    void *p = (void *)(uintptr_t)bytes; /* only read */
    H5FD_file_image_callbacks_t original = {give, leave, no_more, keep, same, forget, p};
    hid_t file = -1, access = H5Pcreate(H5P_FILE_ACCESS);
    if (access >= 0 && H5Pset_fapl_core(access, 1 << 16, false) >= 0 &&
        H5Pset_file_image_callbacks(access, &original) >= 0 && H5Pset_file_image(access, p, n) >= 0)
        file = H5Fopen("/dev/null/image", H5F_ACC_RDONLY,
                       access); /* it asks first whether there is such a file */
    ft_hdf5_drop(access);
    return file;
}

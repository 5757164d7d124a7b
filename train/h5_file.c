/* HDF5 files: opening, saving, listing. */
#include "train/h5_file.h"
#include "data/hdf5_start.h"
#include "train/h5_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void ft_h5_drop(hid_t id) {
    if (id >= 0) H5Idec_ref(id);
}

static herr_t innermost(unsigned n, const H5E_error2_t *error, void *ctx) {
    const char **text = ctx;
    if (n == 0 && error->desc) *text = error->desc;
    return 0;
}

/* HDF5's own words on the failure of its last call, valid until its next. */
static const char *reason(void) {
    const char *text = NULL;
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, innermost, &text);
    return text && *text ? text : "no details";
}

ft_err ft_h5_read_error(const ft_h5 *f, const char *what, const char *name) {
    FT_REQUIRE(errno != EIO, IO, "'%s': cannot read %s '%s': %s; check the disk", f->path, what, name,
               strerror(EIO));
    FT_FAIL(WEIGHTS, "'%s': cannot read %s '%s' (%s); the file is damaged: use another copy of it", f->path,
            what, name, reason());
}

ft_err ft_h5_write_error(const ft_h5 *f, const char *what, const char *name) {
    FT_FAIL(IO, "cannot write '%s': HDF5 refused %s '%s' (%s); check the memory left", f->path, what, name,
            reason());
}

/* ---- opening and saving ---- */

/* HDF5 says little of a file that it cannot open, and would wait for ever for a pipe. */
static ft_err look_at(const char *path) {
    static const unsigned char signature[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
    unsigned char start[8];
    struct stat st;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    FT_REQUIRE(fd >= 0, WEIGHTS, "cannot open the checkpoint '%s': %s; check the path", path,
               strerror(errno));
    bool regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    ssize_t got = regular ? read(fd, start, sizeof start) : 0;
    int error = errno;
    close(fd);
    FT_REQUIRE(regular, WEIGHTS, "'%s' is not a file: give the path of a checkpoint, such as best.h5", path);
    FT_REQUIRE(got >= 0, IO, "cannot read '%s': %s; check the disk", path, strerror(error));
    FT_REQUIRE(got > 0, WEIGHTS, "'%s' is not a Facet checkpoint: it is empty", path);
    FT_REQUIRE(got == sizeof start && memcmp(start, signature, sizeof start) == 0, WEIGHTS,
               "'%s' is not a Facet checkpoint: it is no HDF5 file, or its start is damaged", path);
    return FT_OK;
}

ft_err ft_h5_open(ft_h5 *f, const char *path) {
    *f = (ft_h5){.file = -1, .path = path, .target.fd = -1};
    FT_TRY(look_at(path));
    ft_hdf5_start();
    errno = 0;
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    /* Files are replaced whole, so there is nothing to lock against, and locks fail on some network disks. */
    if (access >= 0 && H5Pset_file_locking(access, false, true) >= 0)
        f->file = H5Fopen(path, H5F_ACC_RDONLY, access);
    ft_err e = f->file < 0 ? ft_h5_read_error(f, "the HDF5 file", "/") : FT_OK;
    ft_h5_drop(access);
    return e;
}

/* The file is made in memory and written out by us: HDF5 does not survive a failed write (a full disk), its
 * handle can then be neither used nor closed. */
static hid_t create_in_memory(size_t expected_bytes, bool plain) {
    hid_t file = -1, access = H5Pcreate(H5P_FILE_ACCESS), creation = H5Pcreate(H5P_FILE_CREATE);
    if (H5Pset_fapl_core(access, expected_bytes + (1 << 16), false) >= 0 &&
        (plain || H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_V18) >= 0) &&
        (plain || H5Pset_attr_phase_change(creation, FT_H5_COMPACT, 0) >= 0) &&
        H5Pset_obj_track_times(creation, false) >= 0)
        /* HDF5 tries to read a file of that name first, so it must be one that cannot exist. */
        file = H5Fcreate("/dev/null/checkpoint", H5F_ACC_TRUNC, creation, access);
    ft_h5_drop(access);
    ft_h5_drop(creation);
    return file;
}

static ft_err create(ft_h5 *f, const char *path, size_t expected_bytes, bool plain) {
    *f = (ft_h5){.file = -1, .path = path, .target.fd = -1};
    /* Tried here because HDF5 survives no failure to get it. */
    void *volatile trial = malloc(expected_bytes + (1 << 16));
    FT_REQUIRE(trial, MEMORY, "cannot write '%s': no memory for %zu MB", path, expected_bytes >> 20);
    free(trial);
    FT_TRY(ft_atomic_open(&f->target, path));
    ft_hdf5_start();
    f->file = create_in_memory(expected_bytes, plain);
    if (f->file >= 0) return FT_OK;
    ft_err e = ft_h5_write_error(f, "a file", "/");
    ft_h5_close(f);
    return e;
}

ft_err ft_h5_create(ft_h5 *f, const char *path, size_t expected_bytes) {
    return create(f, path, expected_bytes, false);
}

ft_err ft_h5_create_plain(ft_h5 *f, const char *path, size_t expected_bytes) {
    return create(f, path, expected_bytes, true);
}

ft_err ft_h5_save(ft_h5 *f) {
    void **image = NULL; /* where the memory driver keeps its block */
    ssize_t size = -1;
    if (H5Fflush(f->file, H5F_SCOPE_GLOBAL) >= 0) size = H5Fget_file_image(f->file, NULL, 0);
    if (size <= 0 || H5Fget_vfd_handle(f->file, H5P_DEFAULT, (void **)&image) < 0)
        return ft_h5_write_error(f, "the file", "/");
    FT_TRY(ft_atomic_put(&f->target, *image, (size_t)size));
    FT_TRY(ft_atomic_commit(&f->target));
    ft_h5_close(f);
    return FT_OK;
}

void ft_h5_close(ft_h5 *f) {
    if (f->file >= 0) H5Fclose(f->file);
    f->file = -1;
    ft_atomic_abort(&f->target);
}

/* ---- groups ---- */

static bool make_group(hid_t file, const char *name) {
    hid_t creation = H5Pcreate(H5P_GROUP_CREATE), group = -1;
    if (H5Pset_attr_phase_change(creation, FT_H5_COMPACT, 0) >= 0 &&
        H5Pset_obj_track_times(creation, false) >= 0)
        group = H5Gcreate2(file, name, H5P_DEFAULT, creation, H5P_DEFAULT);
    ft_h5_drop(creation);
    ft_h5_drop(group);
    return group >= 0;
}

ft_err ft_h5_groups_above(ft_h5 *f, const char *name) {
    char part[FT_H5_NAME];
    for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
        int n = snprintf(part, sizeof part, "%.*s", (int)(slash - name), name);
        FT_REQUIRE(n < (int)sizeof part, IO, "cannot write '%s': the name '%.60s...' is too long", f->path,
                   name);
        htri_t there = H5Lexists(f->file, part, H5P_DEFAULT);
        if (there < 0 || (there == 0 && !make_group(f->file, part)))
            return ft_h5_write_error(f, "the group", part);
    }
    return FT_OK;
}

ft_err ft_h5_group(ft_h5 *f, const char *name) {
    FT_TRY(ft_h5_groups_above(f, name));
    return ft_h5_has(f, name) || make_group(f->file, name) ? FT_OK : ft_h5_write_error(f, "the group", name);
}

bool ft_h5_has(ft_h5 *f, const char *name) {
    return H5Lexists(f->file, name, H5P_DEFAULT) > 0;
}

/* ---- listing ---- */

enum { MAX_DEPTH = 16, MAX_LINKS = 1 << 18 }; /* a file may link a group into itself */

typedef struct walk {
    ft_h5 *f;
    ft_h5_names *out;
    char path[FT_H5_NAME];
    int depth, links;
    ft_err error;
} walk;

static ft_err add_name(ft_h5_names *names, const char *name) {
    if (names->n == names->room) {
        int64_t room = names->room ? 2 * names->room : 64;
        char **more = realloc(names->name, (size_t)room * sizeof *more);
        FT_REQUIRE(more, MEMORY, "no memory for the names in a checkpoint");
        names->name = more;
        names->room = room;
    }
    char *copy = strdup(name);
    FT_REQUIRE(copy, MEMORY, "no memory for the names in a checkpoint");
    names->name[names->n++] = copy;
    return FT_OK;
}

static herr_t visit(hid_t group, const char *name, const H5L_info_t *info, void *ctx);

static ft_err list_group(walk *w, hid_t group) {
    FT_REQUIRE(++w->depth <= MAX_DEPTH, WEIGHTS, "'%s': groups are nested too deeply at '%s'", w->f->path,
               w->path);
    herr_t status = H5Literate(group, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, visit, w);
    w->depth--;
    if (status >= 0) return FT_OK;
    return w->error != FT_OK ? w->error : ft_h5_read_error(w->f, "the group", w->path[0] ? w->path : "/");
}

static ft_err list_object(walk *w, hid_t group, const char *name, const H5L_info_t *info) {
    const char *path = w->f->path;
    FT_REQUIRE(++w->links <= MAX_LINKS, WEIGHTS, "'%s' has more than %d objects", path, MAX_LINKS);
    FT_REQUIRE(info->type == H5L_TYPE_HARD, WEIGHTS,
               "'%s': '%s' is a link to somewhere else, which checkpoints do not have", path, w->path);
    hid_t object = H5Oopen(group, name, H5P_DEFAULT);
    if (object < 0) return ft_h5_read_error(w->f, "the object", w->path);
    H5I_type_t type = H5Iget_type(object);
    ft_err e = type == H5I_GROUP ? list_group(w, object)
               : type == H5I_DATASET
                   ? add_name(w->out, w->path)
                   : ft_err_set(FT_E_WEIGHTS, "'%s': '%s' is neither group nor dataset", path, w->path);
    ft_h5_drop(object);
    return e;
}

static herr_t visit(hid_t group, const char *name, const H5L_info_t *info, void *ctx) {
    walk *w = ctx;
    size_t len = strlen(w->path), room = sizeof w->path - len;
    if (snprintf(w->path + len, room, "%s%s", len ? "/" : "", name) >= (int)room)
        w->error = ft_err_set(FT_E_WEIGHTS, "'%s': the name '%.60s...' is too long", w->f->path, name);
    else
        w->error = list_object(w, group, name, info);
    w->path[len] = 0;
    return w->error == FT_OK ? 0 : -1;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

ft_err ft_h5_list(ft_h5 *f, ft_h5_names *out) {
    *out = (ft_h5_names){0};
    hid_t root = H5Gopen2(f->file, "/", H5P_DEFAULT);
    if (root < 0) return ft_h5_read_error(f, "the group", "/");
    walk w = {.f = f, .out = out};
    ft_err e = list_group(&w, root);
    ft_h5_drop(root);
    if (e != FT_OK) ft_h5_names_free(out);
    if (out->n) qsort(out->name, (size_t)out->n, sizeof *out->name, by_name);
    return e;
}

void ft_h5_names_free(ft_h5_names *names) {
    for (int64_t i = 0; i < names->n; i++) free(names->name[i]);
    free(names->name);
    *names = (ft_h5_names){0};
}

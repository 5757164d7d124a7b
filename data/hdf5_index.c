#include "data/hdf5_index.h"

#include "data/hdf5_start.h"
#include "tensor/child.h"
#include "tensor/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MAX_NUMBERS = INT32_MAX };

void ft_h5_close(ft_h5_index *x) {
    if (!x) return;
    for (int64_t i = 0; i < x->n; i++) {
        ft_h5_object *o = &x->object[i];
        for (int64_t k = 0; k < o->n_attributes; k++) {
            free(o->attribute[k].name);
            free(o->attribute[k].p);
        }
        free(o->attribute);
        free(o->piece);
        free(o->name);
    }
    if (x->fd >= 0) close(x->fd);
    free(x->object);
    free(x->path);
    free(x);
}

/* ---- the child's answer ---- */

static ft_err no_memory(const ft_wire *w) {
    FT_FAIL(MEMORY, "no memory to read '%s'", w->path);
}

static ft_err impossible(const ft_wire *w, const char *name) {
    return ft_err_set(w->kind,
                      "'%s': '%.100s' says of itself what cannot be; it is damaged, or made to do harm",
                      w->path, name);
}

/* Are items of that type of so many bytes? */
static bool is_size_of(ft_h5_type type, int64_t item) {
    static const int64_t sizes[FT_H5_TYPES] = {
        [FT_H5_F32] = 4, [FT_H5_F64] = 8, [FT_H5_I32] = 4, [FT_H5_I64] = 8, [FT_H5_U8] = 1, [FT_H5_U64] = 8};
    return sizes[type] == 0 || sizes[type] == item;
}

static ft_err take_attribute(ft_wire *w, ft_h5_attribute *a) {
    int64_t type;
    FT_TRY(ft_wire_take_text(w, false, &a->name));
    FT_TRY(ft_wire_take(w, 0, FT_H5_TYPES - 1, &type));
    FT_TRY(ft_wire_take(w, 0, INT64_MAX, &a->n));
    a->type = (ft_h5_type)type;
    if (a->type == FT_H5_OTHER) return FT_OK;
    FT_TRY(ft_wire_take(w, 1, w->left, &a->item));
    if (!is_size_of(a->type, a->item)) return impossible(w, a->name);
    if (a->n > w->left / a->item) return impossible(w, a->name);
    a->p = calloc(1, (size_t)(a->n * a->item) + 1);
    return a->p ? ft_wire_take_bytes(w, a->p, a->n * a->item) : no_memory(w);
}

/* An array of items, of which the wire holds at least one byte each. */
static ft_err take_list(ft_wire *w, size_t item, int64_t *n, void **list) {
    int64_t wanted;
    FT_TRY(ft_wire_take(w, 0, w->left, &wanted));
    if (wanted == 0) return FT_OK;
    *list = calloc((size_t)wanted, item);
    if (!*list) return no_memory(w);
    *n = wanted;
    return FT_OK;
}

static ft_err take_dataset(ft_wire *w, int64_t size, ft_h5_object *o) {
    int64_t type, rank, items = 1;
    FT_TRY(ft_wire_take(w, 0, FT_H5_TYPES - 1, &type));
    FT_TRY(ft_wire_take(w, 0, MAX_NUMBERS, &o->item));
    FT_TRY(ft_wire_take(w, -1, FT_H5_RANK, &rank));
    o->type = (ft_h5_type)type;
    if (!is_size_of(o->type, o->item)) return impossible(w, o->name);
    o->rank = (int32_t)rank;
    for (int32_t i = 0; i < o->rank; i++) {
        FT_TRY(ft_wire_take(w, 0, INT64_MAX, &o->dims[i]));
        if (__builtin_mul_overflow(items, o->dims[i], &items)) return impossible(w, o->name);
    }
    if (__builtin_mul_overflow(items, o->item, &items)) return impossible(w, o->name);
    FT_TRY(ft_wire_take(w, 0, size, &o->chunk));
    FT_TRY(take_list(w, sizeof *o->piece, &o->n_pieces, (void **)&o->piece));
    for (int64_t k = 0; k < o->n_pieces; k++) {
        FT_TRY(ft_wire_take(w, 0, size, &o->piece[k].at));
        FT_TRY(ft_wire_take(w, 0, size - o->piece[k].at, &o->piece[k].bytes));
    }
    return FT_OK;
}

/* The name has been taken. */
static ft_err take_object(ft_wire *w, int64_t size, ft_h5_object *o) {
    int64_t dataset;
    FT_TRY(ft_wire_take(w, 0, 1, &dataset));
    o->dataset = dataset;
    FT_TRY(take_list(w, sizeof *o->attribute, &o->n_attributes, (void **)&o->attribute));
    for (int64_t k = 0; k < o->n_attributes; k++) FT_TRY(take_attribute(w, &o->attribute[k]));
    return dataset ? take_dataset(w, size, o) : FT_OK;
}

static ft_err take_all(ft_wire *w, ft_h5_index *x) {
    for (int64_t room = 0;;) {
        char *name;
        FT_TRY(ft_wire_take_text(w, true, &name));
        if (!name) return FT_OK;
        if (x->n == room) {
            room = room ? 2 * room : 64;
            ft_h5_object *more = reallocarray(x->object, (size_t)room, sizeof *more);
            if (!more) {
                free(name);
                return no_memory(w);
            }
            x->object = more;
        }
        x->object[x->n] = (ft_h5_object){.name = name};
        FT_TRY(take_object(w, x->size, &x->object[x->n++]));
    }
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const ft_h5_object *)a)->name, ((const ft_h5_object *)b)->name);
}

ft_err ft_h5_index_take(FILE *from, const char *path, ft_err kind, int64_t size, ft_h5_index **out) {
    ft_wire w = ft_wire_open(from, path, kind);
    ft_h5_index *x = calloc(1, sizeof *x);
    *out = NULL;
    if (!x) return no_memory(&w);
    *x = (ft_h5_index){.path = strdup(path), .kind = kind, .fd = -1, .size = size};
    ft_err e = x->path ? take_all(&w, x) : no_memory(&w);
    if (e == FT_OK && x->n > 0) qsort(x->object, (size_t)x->n, sizeof *x->object, by_name);
    if (e == FT_OK)
        *out = x;
    else
        ft_h5_close(x);
    return e;
}

/* ---- opening ---- */

typedef struct mapped {
    const char *path;
    ft_err kind;
    void *p;
    int64_t size;
} mapped;

static ft_err scan(void *ctx, FILE *out) {
    const mapped *m = ctx;
    ft_child_seal();
    return ft_h5_scan(m->p, m->size, m->path, m->kind, out);
}

static ft_err index_of(mapped *m, ft_h5_index **out) {
    char what[4200];
    FILE *answer;
    snprintf(what, sizeof what, "'%s'", m->path);
    const ft_child_task task = {.work = scan,
                                .ctx = m,
                                .what = what,
                                .hint = "it is damaged, or made to do harm",
                                .broken = m->kind,
                                .memory = INT64_C(1) << 30,
                                .seconds = 10};
    FT_TRY(ft_child_run(&task, &answer));
    ft_err e = ft_h5_index_take(answer, m->path, m->kind, m->size, out);
    fclose(answer);
    return e;
}

static ft_err open_fd(int fd, const char *path, ft_err kind, ft_h5_index **out) {
    static const char signature[] = "\x89HDF\r\n\x1a\n";
    mapped m = {.path = path, .kind = kind};
    char start[8];
    FT_TRY(ft_hdf5_map(fd, path, kind, &m.p, &m.size));
    if (pread(fd, start, sizeof start, 0) != sizeof start || memcmp(start, signature, sizeof start) != 0) {
        munmap(m.p, (size_t)m.size);
        return ft_err_set(kind, "'%s' is not an HDF5 file, or its start is damaged", path);
    }
    ft_err e = index_of(&m, out);
    munmap(m.p, (size_t)m.size);
    return e;
}

ft_err ft_h5_open(const char *path, ft_err kind, ft_h5_index **out) {
    *out = NULL;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* not to wait for a pipe's other end */
    if (fd < 0) return ft_err_set(kind, "cannot open '%s': %s; check the path", path, strerror(errno));
    ft_err e = open_fd(fd, path, kind, out);
    if (e == FT_OK)
        (*out)->fd = fd;
    else
        close(fd);
    return e;
}

/* ---- what is in it ---- */

const ft_h5_object *ft_h5_find(const ft_h5_index *x, const char *name) {
    if (x->n == 0) return NULL;
    return bsearch(&(ft_h5_object){.name = (char *)(uintptr_t)name}, x->object, (size_t)x->n,
                   sizeof *x->object, by_name);
}

static const ft_h5_attribute *attribute_of(const ft_h5_index *x, const char *object, const char *name) {
    const ft_h5_object *o = ft_h5_find(x, object);
    for (int64_t k = 0; o && k < o->n_attributes; k++)
        if (strcmp(o->attribute[k].name, name) == 0) return &o->attribute[k];
    return NULL;
}

bool ft_h5_has_attribute(const ft_h5_index *x, const char *object, const char *name) {
    return attribute_of(x, object, name) != NULL;
}

/* The attribute, of that type. */
static ft_err get(const ft_h5_index *x, const char *object, const char *name, ft_h5_type type, int64_t n,
                  const ft_h5_attribute **out) {
    const ft_h5_attribute *a = *out = attribute_of(x, object, name);
    if (!a) return ft_err_set(x->kind, "'%s': '%s' has no attribute '%s'", x->path, object, name);
    if (a->type != type || a->n != n)
        return ft_err_set(x->kind,
                          "'%s': the attribute '%s' of '%s' has not the type or size that Facet writes",
                          x->path, name, object);
    return FT_OK;
}

ft_err ft_h5_get_numbers(const ft_h5_index *x, const char *object, const char *name, ft_h5_type type,
                         int64_t n, void *p) {
    const ft_h5_attribute *a;
    FT_TRY(get(x, object, name, type, n, &a));
    memcpy(p, a->p, (size_t)(n * a->item));
    return FT_OK;
}

ft_err ft_h5_get_string(const ft_h5_index *x, const char *object, const char *name, char **out) {
    const ft_h5_attribute *a;
    *out = NULL;
    FT_TRY(get(x, object, name, FT_H5_TEXT, 1, &a));
    *out = strdup(a->p);
    FT_REQUIRE(*out, MEMORY, "no memory for %lld bytes of '%s'", (long long)a->item, x->path);
    return FT_OK;
}

int64_t ft_h5_bytes(const ft_h5_object *dataset) {
    int64_t n = 1; /* in the order in which it was found not to overflow */
    for (int32_t i = 0; i < dataset->rank; i++) n *= dataset->dims[i];
    return n * dataset->item;
}

bool ft_h5_is_plain(const ft_h5_object *d) {
    int64_t bytes = ft_h5_bytes(d);
    if (d->rank < 0 || d->type == FT_H5_OTHER || d->chunk != 0) return false;
    return bytes == 0 ? d->n_pieces == 0 : d->n_pieces == 1 && d->piece[0].bytes == bytes;
}

ft_err ft_h5_read_part(const ft_h5_index *x, const ft_h5_object *d, int64_t first, int64_t n, void *p) {
    int64_t at = (d->n_pieces ? d->piece[0].at : 0) + first;
    for (char *to = p; n > 0;) {
        ssize_t got = pread(x->fd, to, (size_t)n, at);
        if (got < 0 && errno == EINTR) continue;
        FT_REQUIRE(got >= 0, IO, "'%s': cannot read '%s': %s; check the disk", x->path, d->name,
                   strerror(errno));
        if (got == 0)
            return ft_err_set(x->kind, "'%s' ends within '%s': it was cut while it was read", x->path,
                              d->name);
        to += got;
        at += got;
        n -= got;
    }
    return FT_OK;
}

ft_err ft_h5_read(const ft_h5_index *x, const ft_h5_object *d, void *p) {
    return ft_h5_read_part(x, d, 0, ft_h5_bytes(d), p);
}

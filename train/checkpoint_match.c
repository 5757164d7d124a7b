/* The arrays that a network needs against those that a file has. */
#include "train/checkpoint_match.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NAMED = 10 };

typedef struct problems {
    char text[1400];
    size_t len;
    int n;
} problems;

__attribute__((format(printf, 2, 3))) static void note(problems *p, const char *fmt, ...) {
    if (p->n++ >= MAX_NAMED || p->len + 1 >= sizeof p->text) return;
    va_list ap;
    va_start(ap, fmt);
    int more = vsnprintf(p->text + p->len, sizeof p->text - p->len, fmt, ap);
    va_end(ap);
    p->len += (size_t)more;
    if (p->len >= sizeof p->text) p->len = sizeof p->text - 1;
}

static int64_t find(const ft_h5_names *names, const char *path) {
    int64_t low = 0, high = names->n;
    while (low < high) {
        int64_t mid = low + (high - low) / 2;
        int order = strcmp(names->name[mid], path);
        if (order == 0) return mid;
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return -1;
}

static void compare_tensor(ft_h5 *f, const ft_tensor *t, problems *bad) {
    char why[96], want[64] = "";
    if (ft_h5_fits(f, t->path, t->rank, t->dims, why)) return;
    size_t len = 0;
    for (int32_t i = 0; i < t->rank; i++)
        len +=
            (size_t)snprintf(want + len, sizeof want - len, "%c%lld", i ? ',' : '(', (long long)t->dims[i]);
    note(bad, "; %s is %s where %s) is needed", t->path, why, want);
}

/* seen: (names->n), which datasets are accounted for. */
static void compare(ft_h5 *f, const ft_h5_names *names, const ft_tensors *tensors, bool whole, bool *seen,
                    problems *bad) {
    for (int32_t i = 0; i < tensors->n; i++) {
        const ft_tensor *t = &tensors->at[i];
        int64_t at = find(names, t->path);
        if (at >= 0) {
            seen[at] = true;
            compare_tensor(f, t, bad);
        } else if (!t->optional)
            note(bad, "; %s is missing", t->path);
    }
    for (int64_t i = 0; i < names->n; i++) {
        const char *name = names->name[i];
        bool ignored = strcmp(name, "class_names") == 0 || strncmp(name, "heads/", 6) == 0 ||
                       (!whole && strncmp(name, "optimizer/", 10) == 0);
        if (!seen[i] && !ignored) note(bad, "; %.90s is unexpected", name);
    }
}

ft_err ft_tensors_read(ft_h5 *f, const ft_h5_names *names, const ft_tensors *tensors, bool whole) {
    bool *seen = calloc((size_t)names->n + 1, sizeof *seen);
    FT_REQUIRE(seen, MEMORY, "no memory for a list of %lld datasets", (long long)names->n);
    problems bad = {.n = 0};
    compare(f, names, tensors, whole, seen, &bad);
    free(seen);
    char more[48] = "";
    if (bad.n > MAX_NAMED) snprintf(more, sizeof more, "; and %d more", bad.n - MAX_NAMED);
    FT_REQUIRE(bad.n == 0, WEIGHTS,
               "'%s' does not fit the network%s%s; use a file of the same network and options", f->path,
               bad.text, more);
    for (int32_t i = 0; i < tensors->n; i++) {
        const ft_tensor *t = &tensors->at[i];
        if (t->optional && find(names, t->path) < 0) continue;
        FT_TRY(ft_h5_read_floats(f, t->path, t->n, t->p));
        FT_TRY(ft_tensor_check(t, f->path, FT_E_WEIGHTS));
    }
    return FT_OK;
}

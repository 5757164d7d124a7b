/* The arrays that a network needs against those that a file has. */
#include "train/checkpoint_match.h"
#include "train/h5_read.h"

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

static void compare_tensor(const ft_h5_index *x, const ft_tensor *t, problems *bad) {
    char why[96], want[64] = "";
    if (ft_h5_fits(x, t->path, t->rank, t->dims, why)) return;
    size_t len = 0;
    for (int32_t i = 0; i < t->rank; i++)
        len +=
            (size_t)snprintf(want + len, sizeof want - len, "%c%lld", i ? ',' : '(', (long long)t->dims[i]);
    note(bad, "; %s is %s where %s) is needed", t->path, why, want);
}

/* seen: (x->n), which objects are accounted for. */
static void compare(const ft_h5_index *x, const ft_tensors *tensors, bool whole, bool *seen, problems *bad) {
    for (int32_t i = 0; i < tensors->n; i++) {
        const ft_tensor *t = &tensors->at[i];
        const ft_h5_object *d = ft_h5_find(x, t->path);
        if (d) {
            seen[d - x->object] = true;
            compare_tensor(x, t, bad);
        } else if (!t->optional)
            note(bad, "; %s is missing", t->path);
    }
    for (int64_t i = 0; i < x->n; i++) {
        const char *name = x->object[i].name;
        bool ignored = !x->object[i].dataset || strcmp(name, "class_names") == 0 ||
                       strncmp(name, "heads/", 6) == 0 || (!whole && strncmp(name, "optimizer/", 10) == 0);
        if (!seen[i] && !ignored) note(bad, "; %.90s is unexpected", name);
    }
}

ft_err ft_tensors_read(const ft_h5_index *x, const ft_tensors *tensors, bool whole) {
    bool *seen = calloc((size_t)x->n + 1, sizeof *seen);
    FT_REQUIRE(seen, MEMORY, "no memory for a list of %lld objects", (long long)x->n);
    problems bad = {.n = 0};
    compare(x, tensors, whole, seen, &bad);
    free(seen);
    char more[48] = "";
    if (bad.n > MAX_NAMED) snprintf(more, sizeof more, "; and %d more", bad.n - MAX_NAMED);
    FT_REQUIRE(bad.n == 0, WEIGHTS,
               "'%s' does not fit the network%s%s; use a file of the same network and options", x->path,
               bad.text, more);
    for (int32_t i = 0; i < tensors->n; i++) {
        const ft_tensor *t = &tensors->at[i];
        if (t->optional && !ft_h5_find(x, t->path)) continue;
        FT_TRY(ft_h5_read_floats(x, t->path, t->n, t->p));
        FT_TRY(ft_tensor_check(t, x->path, FT_E_WEIGHTS));
    }
    return FT_OK;
}

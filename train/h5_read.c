#include "train/h5_read.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { BLOCK = 1 << 18 }; /* bytes verified at a time */

static ft_err compare_sum(const ft_h5_index *x, const ft_h5_object *d, uint64_t is) {
    uint64_t wanted;
    FT_TRY(ft_h5_get_numbers(x, d->name, FT_H5_CHECKSUM, FT_H5_U64, 1, &wanted));
    FT_REQUIRE(is == wanted, WEIGHTS,
               "'%s': the dataset '%s' is damaged, its checksum does not match; use another copy of the file",
               x->path, d->name);
    return FT_OK;
}

static ft_err check_sum(const ft_h5_index *x, const ft_h5_object *d, const void *p) {
    return compare_sum(x, d, XXH3_64bits(p, (size_t)ft_h5_bytes(d)));
}

/* "(3,3,8,16)" */
static void print_dims(char text[64], const ft_h5_object *d) {
    size_t len = 0;
    for (int32_t i = 0; i < d->rank && len < 40; i++)
        len += (size_t)snprintf(text + len, 64 - len, "%c%lld", i ? ',' : '(', (long long)d->dims[i]);
    snprintf(text + len, 64 - len, "%s", d->rank > 0 ? ")" : "()");
}

bool ft_h5_fits(const ft_h5_index *x, const char *name, int32_t rank, const int64_t dims[], char why[96]) {
    const ft_h5_object *d = ft_h5_find(x, name);
    if (!d || !d->dataset || d->type != FT_H5_F32) {
        snprintf(why, 96, "not float32");
        return false;
    }
    bool same = d->rank == rank;
    for (int32_t i = 0; same && i < rank; i++) same = d->dims[i] == dims[i];
    if (!same)
        print_dims(why, d);
    else if (!ft_h5_is_plain(d))
        snprintf(why, 96, "not stored in one piece, as Facet does it");
    return same && ft_h5_is_plain(d);
}

ft_err ft_h5_read_floats(const ft_h5_index *x, const char *name, int64_t n, float *p) {
    const ft_h5_object *d = ft_h5_find(x, name);
    FT_REQUIRE(d && d->dataset && d->type == FT_H5_F32 && ft_h5_is_plain(d) &&
                   ft_h5_bytes(d) == n * (int64_t)sizeof *p,
               WEIGHTS, "'%s': there are not %lld numbers in '%s'", x->path, (long long)n, name);
    FT_TRY(ft_h5_read(x, d, p));
    return check_sum(x, d, p);
}

static ft_err sum_of(const ft_h5_index *x, const ft_h5_object *d, XXH3_state_t *state, char *block) {
    XXH3_64bits_reset(state);
    for (int64_t at = 0, n = ft_h5_bytes(d); at < n; at += BLOCK) {
        int64_t part = n - at < BLOCK ? n - at : BLOCK;
        FT_TRY(ft_h5_read_part(x, d, at, part, block));
        XXH3_64bits_update(state, block, (size_t)part);
    }
    return FT_OK;
}

ft_err ft_h5_verify(const ft_h5_index *x, const ft_h5_object *d) {
    FT_REQUIRE(ft_h5_is_plain(d), WEIGHTS, "'%s': '%s' is not stored in one piece, as Facet does it", x->path,
               d->name);
    char *block = malloc(BLOCK);
    XXH3_state_t *state = XXH3_createState();
    ft_err e = block && state ? sum_of(x, d, state, block)
                              : ft_err_set(FT_E_MEMORY, "no memory to verify '%s'", x->path);
    if (e == FT_OK) e = compare_sum(x, d, XXH3_64bits_digest(state));
    XXH3_freeState(state);
    free(block);
    return e;
}

ft_err ft_h5_read_strings(const ft_h5_index *x, const char *name, int32_t n, char ***out) {
    *out = NULL;
    const ft_h5_object *d = ft_h5_find(x, name);
    FT_REQUIRE(d && d->dataset && d->type == FT_H5_TEXT && ft_h5_is_plain(d) && d->item > 0 &&
                   d->item <= FT_H5_LONGEST && ft_h5_bytes(d) == n * d->item,
               WEIGHTS, "'%s': '%s' does not hold %d strings as Facet writes them", x->path, name, n);
    size_t item = (size_t)d->item;
    char **list = ft_alloc((size_t)n + 1, sizeof *list + item + 1), *block = (char *)(list + n + 1);
    FT_REQUIRE(list, MEMORY, "no memory for %d strings", n);
    ft_err e = ft_h5_read(x, d, block);
    if (e == FT_OK) e = check_sum(x, d, block);
    for (int32_t i = 0; e == FT_OK && i < n; i++) {
        list[i] = block + (size_t)i * item;
        if (!memchr(list[i], 0, item))
            e = ft_err_set(FT_E_WEIGHTS, "'%s': a string in '%s' has no end", x->path, name);
    }
    if (e == FT_OK)
        *out = list;
    else
        free(list);
    return e;
}

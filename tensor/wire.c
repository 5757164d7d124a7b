#include "tensor/wire.h"

#include <stdlib.h>
#include <string.h>

void ft_wire_put_bytes(FILE *to, const void *p, size_t n) {
    fwrite(p, 1, n, to);
}

void ft_wire_put(FILE *to, int64_t x) {
    fwrite(&x, sizeof x, 1, to);
}

/* Its length, or -1 for NULL, and the text. */
void ft_wire_put_text(FILE *to, const char *text) {
    ft_wire_put(to, text ? (int64_t)strlen(text) : -1);
    if (text) fwrite(text, 1, strlen(text), to);
}

ft_wire ft_wire_open(FILE *from, const char *path, ft_err kind) {
    ft_wire w = {.from = from, .path = path, .kind = kind};
    if (fseeko(from, 0, SEEK_END) == 0) w.left = ftello(from);
    rewind(from);
    return w;
}

ft_err ft_wire_take_bytes(ft_wire *w, void *p, int64_t n) {
    if (n > w->left || fread(p, 1, (size_t)n, w->from) != (size_t)n)
        return ft_err_set(w->kind, "'%s': reading it ended half-way; it is damaged, or made to do harm",
                          w->path);
    w->left -= n;
    return FT_OK;
}

ft_err ft_wire_take(ft_wire *w, int64_t low, int64_t high, int64_t *x) {
    FT_TRY(ft_wire_take_bytes(w, x, sizeof *x));
    if (*x >= low && *x <= high) return FT_OK;
    return ft_err_set(w->kind, "'%s': reading it gave what cannot be; it is damaged, or made to do harm",
                      w->path);
}

ft_err ft_wire_take_text(ft_wire *w, bool optional, char **text) {
    int64_t n;
    *text = NULL;
    FT_TRY(ft_wire_take(w, optional ? -1 : 0, w->left, &n));
    if (n < 0) return FT_OK;
    *text = calloc((size_t)n + 1, 1);
    FT_REQUIRE(*text, MEMORY, "no memory to read '%s'", w->path);
    ft_err e = ft_wire_take_bytes(w, *text, n);
    if (e == FT_OK) return FT_OK;
    free(*text);
    *text = NULL;
    return e;
}

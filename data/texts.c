#include "data/texts.h"

#include <stdlib.h>
#include <string.h>

ft_err ft_texts_add(ft_texts *t, const char *text, size_t *at) {
    size_t bytes = strlen(text) + 1;
    if (t->n + bytes > t->room) {
        size_t room = 2 * (t->n + bytes) + 4096;
        char *p = realloc(t->p, room);
        FT_REQUIRE(p, MEMORY, "no memory for %zu bytes of names", room);
        t->p = p;
        t->room = room;
    }
    memcpy(t->p + t->n, text, bytes);
    *at = t->n;
    t->n += bytes;
    return FT_OK;
}

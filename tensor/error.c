#include "tensor/error.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FT_MESSAGE_BYTES = 2048 };
static _Thread_local char message[FT_MESSAGE_BYTES];

const char *ft_err_sentence(ft_err e) {
    switch (e) {
#define FT_ERR_SENTENCE(name, code, sentence) \
    case FT_E_##name:                         \
        return sentence;
        FT_ERRORS(FT_ERR_SENTENCE)
#undef FT_ERR_SENTENCE
    }
    return "unknown error";
}

int ft_err_exit_status(ft_err e) {
    switch (e) {
#define FT_ERR_STATUS(name, code, sentence) \
    case FT_E_##name:                       \
        return code;
        FT_ERRORS(FT_ERR_STATUS)
#undef FT_ERR_STATUS
    }
    return 5;
}

const char *ft_err_message(void) {
    return message;
}

/* Names from files may be in it: what would command a terminal becomes '?'. */
static void keep(char text[FT_MESSAGE_BYTES]) {
    for (unsigned char *p = (unsigned char *)text; *p; p++) {
        if ((*p < ' ' && *p != '\n' && *p != '\t') || *p == 0x7f) *p = '?';
        if (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0) p[0] = p[1] = '?'; /* U+0080 to U+009F */
    }
    memcpy(message, text, FT_MESSAGE_BYTES);
}

ft_err ft_err_set(ft_err e, const char *fmt, ...) {
    char text[FT_MESSAGE_BYTES]; /* the arguments may point into the message itself */
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    keep(text);
    return e;
}

ft_err ft_err_prefix(ft_err e, const char *fmt, ...) {
    char where[FT_MESSAGE_BYTES / 2], text[FT_MESSAGE_BYTES];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(where, sizeof where, fmt, ap);
    va_end(ap);
    snprintf(text, sizeof text, "%s: %.*s", where, (int)(sizeof text - sizeof where - 4), message);
    keep(text);
    return e;
}

void *ft_alloc(size_t count, size_t size) {
    if (size != 0 && count > (SIZE_MAX - 63) / size) return NULL;
    size_t bytes = (count * size + 63) / 64 * 64;
    void *p = aligned_alloc(64, bytes ? bytes : 64);
    if (p) memset(p, 0, bytes ? bytes : 64);
    return p;
}

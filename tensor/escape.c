/* Escaping. One UTF-8 decoder serves all formats, so none of them can be given a malformed byte to pass on.
 */
#include "tensor/escape.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { REPLACEMENT = 0xFFFD, ELLIPSIS = 0x2026 };

uint32_t ft_utf8_next(const char **s) {
    const unsigned char *p = (const unsigned char *)*s;
    int more = p[0] < 0x80 ? 0 : p[0] >> 5 == 6 ? 1 : p[0] >> 4 == 14 ? 2 : p[0] >> 3 == 30 ? 3 : -1;
    uint32_t c = more < 0 ? REPLACEMENT : more == 0 ? p[0] : p[0] & (0x3Fu >> more);
    int i = 1;
    for (; i <= more && p[i] >> 6 == 2; i++) c = c << 6 | (p[i] & 0x3Fu);
    static const uint32_t smallest[] = {0, 0x80, 0x800, 0x10000};
    if (more < 0 || i <= more || c < smallest[more] || c > 0x10FFFF || c >> 11 == 0x1B) {
        *s += 1;
        return REPLACEMENT;
    }
    *s += i;
    return c;
}

int ft_utf8_length(const char *s) {
    int n = 0;
    for (; *s; n++) ft_utf8_next(&s);
    return n;
}

static void put_utf8(FILE *f, uint32_t c) {
    if (c < 0x80) {
        fputc((int)c, f);
        return;
    }
    int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const int lead[] = {0, 0xC0, 0xE0, 0xF0};
    fputc(lead[more] | (int)(c >> (6 * more)), f);
    for (int i = more - 1; i >= 0; i--) fputc(0x80 | (int)(c >> (6 * i) & 0x3F), f);
}

void ft_json_string(FILE *f, const char *s) {
    fputc('"', f);
    while (*s) {
        uint32_t c = ft_utf8_next(&s);
        if (c == '"' || c == '\\')
            fprintf(f, "\\%c", (int)c);
        else if (c == '\n')
            fputs("\\n", f);
        else if (c == '\t')
            fputs("\\t", f);
        else if (c < 0x20 || c == 0x7F)
            fprintf(f, "\\u%04x", c);
        else
            put_utf8(f, c);
    }
    fputc('"', f);
}

void ft_json_number(FILE *f, double x) {
    if (isfinite(x))
        fprintf(f, "%.17g", x);
    else
        fputs("null", f);
}

void ft_csv_field(FILE *f, const char *s) {
    bool quote = strpbrk(s, ",\"\r\n") != NULL;
    if (quote) fputc('"', f);
    while (*s) {
        uint32_t c = ft_utf8_next(&s);
        if (c == '"') fputc('"', f);
        put_utf8(f, c);
    }
    if (quote) fputc('"', f);
}

static void html_char(FILE *f, uint32_t c) {
    switch (c) {
    case '<':
        fputs("&lt;", f);
        break;
    case '>':
        fputs("&gt;", f);
        break;
    case '&':
        fputs("&amp;", f);
        break;
    case '"':
        fputs("&quot;", f);
        break;
    case '\'':
        fputs("&#39;", f);
        break;
    default:
        if ((c < 0x20 && c != '\n' && c != '\t') || (c >= 0x7F && c < 0xA0)) c = REPLACEMENT;
        put_utf8(f, c);
    }
}

void ft_html_text(FILE *f, const char *s) {
    while (*s) html_char(f, ft_utf8_next(&s));
}

void ft_html_text_cut(FILE *f, const char *s, int width) {
    int n = ft_utf8_length(s), keep = n > width ? width - 1 : n;
    for (int i = 0; i < keep; i++) html_char(f, ft_utf8_next(&s));
    if (n > width) put_utf8(f, ELLIPSIS);
}

void ft_terminal_text(FILE *f, const char *s, int width) {
    int n = ft_utf8_length(s), keep = n > width ? width - 1 : n;
    for (int i = 0; i < keep; i++) {
        uint32_t c = ft_utf8_next(&s);
        put_utf8(f, c < 0x20 || (c >= 0x7F && c < 0xA0) ? '?' : c);
    }
    if (n > width) put_utf8(f, ELLIPSIS);
    for (int i = n; i < width; i++) fputc(' ', f);
}

void ft_base64(FILE *f, const unsigned char *bytes, size_t n) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        unsigned left = n - i < 3 ? (unsigned)(n - i) : 3, word = (unsigned)bytes[i] << 16;
        if (left > 1) word |= (unsigned)bytes[i + 1] << 8;
        if (left > 2) word |= bytes[i + 2];
        for (unsigned d = 0; d < 4; d++) fputc(d <= left ? digits[word >> (18 - 6 * d) & 63] : '=', f);
    }
}

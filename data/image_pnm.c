/* PNM (netpbm): P1..P3 plain text, P4..P6 raw; bitmaps, grey and RGB. A sample v of 0..maxval becomes
 * round(255 v / maxval); samples of two bytes are big-endian. Only the first image of a file is read.
 */
#include "data/image_decode.h"

#include <stdbool.h>

typedef struct parser {
    const ft_image_bytes *in;
    size_t at;
    int64_t w, h;
    uint32_t maxval;
    int32_t c; /* samples per pixel in the file */
    bool bitmap, raw;
} parser;

static bool is_space(uint8_t b) {
    return b == ' ' || (b >= '\t' && b <= '\r');
}

static void skip_space(parser *s) {
    bool comment = false;
    for (; s->at < s->in->n; s->at++) {
        uint8_t b = s->in->p[s->at];
        if (b == '\n' || b == '\r')
            comment = false;
        else if (b == '#')
            comment = true;
        else if (!comment && !is_space(b))
            return;
    }
}

/* A decimal number; what names it in messages. */
static ft_err read_number(parser *s, const char *what, uint32_t *value) {
    skip_space(s);
    FT_REQUIRE(s->at < s->in->n, DATA,
               "%s: truncated PNM: the file ends before %s; replace or remove the file", s->in->name, what);
    uint64_t v = 0;
    size_t first = s->at;
    for (; s->at < s->in->n && s->in->p[s->at] >= '0' && s->in->p[s->at] <= '9'; s->at++) {
        v = v * 10 + (uint64_t)(s->in->p[s->at] - '0');
        FT_REQUIRE(v <= INT32_MAX, DATA, "%s: damaged PNM: %s is too large", s->in->name, what);
    }
    FT_REQUIRE(s->at > first, DATA, "%s: damaged PNM: %s is not a number (byte %zu)", s->in->name, what,
               first);
    *value = (uint32_t)v;
    return FT_OK;
}

static ft_err read_header(parser *s) {
    uint8_t digit = (uint8_t)(s->in->p[1] - '0');
    s->raw = digit >= 4;
    s->bitmap = digit == 1 || digit == 4;
    s->c = digit % 3 == 0 ? 3 : 1;
    s->at = 2;
    uint32_t w, h;
    FT_TRY(read_number(s, "the width", &w));
    FT_TRY(read_number(s, "the height", &h));
    s->w = w;
    s->h = h;
    s->maxval = 1;
    if (!s->bitmap) FT_TRY(read_number(s, "the largest value", &s->maxval));
    FT_REQUIRE(s->maxval >= 1 && s->maxval <= 65535, DATA,
               "%s: damaged PNM: the largest value is %u, it must be 1 to 65535", s->in->name, s->maxval);
    if (!s->raw) return ft_image_check_size(s->in->name, s->w, s->h);
    FT_REQUIRE(s->at < s->in->n && is_space(s->in->p[s->at]), DATA,
               "%s: damaged PNM: no white space after the header", s->in->name);
    s->at++;
    return ft_image_check_size(s->in->name, s->w, s->h);
}

static ft_err check_sample(const parser *s, uint32_t v, int64_t i) {
    FT_REQUIRE(v <= s->maxval, DATA, "%s: damaged PNM: sample %lld is %u, above the largest value %u",
               s->in->name, (long long)i, v, s->maxval);
    return FT_OK;
}

static uint8_t scale(const parser *s, uint32_t v) {
    return (uint8_t)((v * 255u + s->maxval / 2) / s->maxval);
}

static ft_err read_text(parser *s, uint8_t *to, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        uint32_t v = 0;
        if (s->bitmap) { /* digits of a bitmap need no space between them */
            skip_space(s);
            FT_REQUIRE(s->at < s->in->n, DATA,
                       "%s: truncated PNM: %lld of %lld samples; replace or remove the file", s->in->name,
                       (long long)i, (long long)n);
            v = (uint32_t)s->in->p[s->at++] - '0';
            FT_TRY(check_sample(s, v, i));
            to[i] = v ? 0 : 255;
            continue;
        }
        FT_TRY(read_number(s, "the last sample", &v));
        FT_TRY(check_sample(s, v, i));
        to[i] = scale(s, v);
    }
    return FT_OK;
}

static int64_t raw_bytes(const parser *s) {
    if (s->bitmap) return (s->w + 7) / 8 * s->h;
    return s->w * s->h * s->c * (s->maxval > 255 ? 2 : 1);
}

static ft_err read_raw(const parser *s, uint8_t *to, int64_t n) {
    const uint8_t *p = s->in->p + s->at;
    if (s->bitmap) {
        for (int64_t y = 0; y < s->h; y++, p += (s->w + 7) / 8)
            for (int64_t x = 0; x < s->w; x++) *to++ = p[x / 8] >> (7 - x % 8) & 1 ? 0 : 255;
        return FT_OK;
    }
    for (int64_t i = 0; i < n; i++) {
        uint32_t v = s->maxval > 255 ? (uint32_t)p[2 * i] << 8 | p[2 * i + 1] : p[i];
        FT_TRY(check_sample(s, v, i));
        to[i] = s->maxval == 255 ? (uint8_t)v : scale(s, v);
    }
    return FT_OK;
}

ft_err ft_pnm_decode(const ft_image_bytes *in, ft_image_want want, ft_image *out) {
    *out = (ft_image){0};
    parser s = {.in = in};
    FT_TRY(read_header(&s));
    int64_t pixels = s.w * s.h, n = pixels * s.c, left = (int64_t)(in->n - s.at);
    int64_t least = s.raw ? raw_bytes(&s) : n; /* a text sample takes a byte at least */
    FT_REQUIRE(left >= least, DATA,
               "%s: truncated PNM: %lld bytes of pixels, at least %lld expected; replace or remove the file",
               in->name, (long long)left, (long long)least);
    ft_image file, rgb;
    FT_TRY(ft_image_alloc(&file, (int32_t)s.w, (int32_t)s.h, s.c));
    ft_err e = s.raw ? read_raw(&s, file.p, n) : read_text(&s, file.p, n);
    if (e == FT_OK && s.c == 3 && want.c == 1) {
        ft_image_rgb_to_grey(file.p, file.p, pixels);
        file.c = 1;
    } else if (e == FT_OK && s.c == 1 && want.c == 3) {
        e = ft_image_alloc(&rgb, file.w, file.h, 3);
        if (e == FT_OK) {
            ft_image_grey_to_rgb(file.p, rgb.p, pixels);
            ft_image_free(&file);
            file = rgb;
        }
    }
    if (e != FT_OK)
        ft_image_free(&file);
    else
        *out = file;
    return e;
}

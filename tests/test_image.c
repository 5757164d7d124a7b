/* Decoders on images written here, resampling against recorded pixels of Pillow, OpenCV and PyTorch,
 * normalisation. */
#include "data/image.h"
#include "data/preprocess.h"
#include "data/resize.h"
#include "tests/image_testing.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <webp/encode.h>
#include <zlib.h>

static const ft_image_want rgb = {.c = 3}, grey = {.c = 1};

static uint32_t next_random(uint32_t *s) {
    return *s = 1664525u * *s + 1013904223u;
}

static ft_image decode_ok(const void *p, size_t n, ft_image_want want) {
    ft_image im;
    ft_err e = ft_image_decode(p, n, "picture", want, &im);
    ck_assert_msg(e == FT_OK, "%s", ft_err_message());
    return im;
}

/* The error must be about the data, name the file and contain the words. */
static void decode_fails(const void *p, size_t n, const char *words) {
    ft_image im = {.w = 1};
    ck_assert_int_eq(ft_image_decode(p, n, "dir/broken.jpg", rgb, &im), FT_E_DATA);
    ck_assert_ptr_null(im.p);
    ck_assert_msg(strstr(ft_err_message(), "dir/broken.jpg") && strstr(ft_err_message(), words),
                  "\"%s\" lacks \"%s\"", ft_err_message(), words);
}

/* Every cut of a file (but for the last unread bytes) fails, and random damage never does worse than fail. */
static void survives_damage(file_bytes file, size_t unread) {
    ft_image im;
    for (size_t n = 0; n < file.n - unread; n++) {
        uint8_t *cut = malloc(n + 1); /* of its own, so that a sanitizer sees a read behind the end */
        memcpy(cut, file.p, n);
        ft_err e = ft_image_decode(cut, n, "cut", rgb, &im);
        ck_assert_msg(e == FT_E_DATA, "the first %zu of %zu bytes decode", n, file.n);
        free(cut);
    }
    uint8_t *p = malloc(file.n);
    uint32_t s = 7;
    for (int i = 0; i < 500; i++) {
        memcpy(p, file.p, file.n);
        for (int k = 0; k < 3; k++) p[next_random(&s) % file.n] = (uint8_t)(next_random(&s) >> 24);
        ft_err e = ft_image_decode(p, file.n, "mutated", rgb, &im);
        ck_assert(e == FT_OK || e == FT_E_DATA);
        ft_image_free(&im);
    }
    free(p);
}

/* ---- JPEG ---- */

enum { BW = 4, BH = 3, B = 16 }; /* blocks of one colour, which JPEG keeps */

static void paint_blocks(uint8_t *p, int c) {
    for (int y = 0; y < BH * B; y++)
        for (int x = 0; x < BW * B; x++)
            for (int k = 0; k < c; k++)
                p[(y * BW * B + x) * c + k] =
                    (uint8_t)(20 + 18 * (y / B * BW + x / B) + 11 * k * (x / B % 2));
}

static void near(const uint8_t *a, const uint8_t *b, size_t n, int tolerance) {
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(abs(a[i] - b[i]) <= tolerance, "byte %zu is %d, not %d", i, a[i], b[i]);
}

START_TEST(jpeg_colours) {
    static uint8_t p[BW * B * BH * B * 3];
    paint_blocks(p, 3);
    file_bytes f = write_jpeg(p, BW * B, BH * B, 3, 100, 0);
    ft_image im = decode_ok(f.p, f.n, rgb);
    ck_assert(im.w == BW * B && im.h == BH * B && im.c == 3);
    near(im.p, p, sizeof p, 3);
    ft_image g = decode_ok(f.p, f.n, grey);
    ck_assert_int_eq(g.c, 1);
    for (int i = 0; i < im.w * im.h; i++) {
        const uint8_t *q = im.p + 3 * i;
        ck_assert(fabs(0.299 * q[0] + 0.587 * q[1] + 0.114 * q[2] - g.p[i]) <= 0.51);
    }
    ft_image_free(&im);
    ft_image_free(&g);
    free(f.p);
}
END_TEST

START_TEST(jpeg_grey_file) {
    static uint8_t p[BW * B * BH * B];
    paint_blocks(p, 1);
    file_bytes f = write_jpeg(p, BW * B, BH * B, 1, 100, 0);
    ft_image g = decode_ok(f.p, f.n, grey), im = decode_ok(f.p, f.n, rgb);
    near(g.p, p, sizeof p, 1);
    for (size_t i = 0; i < sizeof p; i++)
        ck_assert(im.p[3 * i] == g.p[i] && im.p[3 * i + 1] == g.p[i] && im.p[3 * i + 2] == g.p[i]);
    ft_image_free(&im);
    ft_image_free(&g);
    free(f.p);
}
END_TEST

START_TEST(jpeg_cmyk) {
    static uint8_t p[B * B * 4];
    const uint8_t ink[4] = {200, 100, 50, 180}; /* inverted: 255 is no ink */
    for (size_t i = 0; i < sizeof p; i++) p[i] = ink[i % 4];
    file_bytes f = write_jpeg(p, B, B, 4, 100, 0);
    ft_image im = decode_ok(f.p, f.n, rgb), g = decode_ok(f.p, f.n, grey);
    for (int k = 0; k < 3; k++) ck_assert_int_le(abs(im.p[k] - ink[k] * ink[3] / 255), 3);
    double luma = 0.299 * im.p[0] + 0.587 * im.p[1] + 0.114 * im.p[2];
    ck_assert(fabs(luma - g.p[0]) <= 0.51);
    ft_image_free(&im);
    ft_image_free(&g);
    free(f.p);
}
END_TEST

/* EXIF says which visual side the file's first row and first column are. */
START_TEST(jpeg_orientation) {
    static const char *const row0 = " ttbblrrl", *const col0 = " lrrlttbb";
    static uint8_t p[BW * B * BH * B];
    paint_blocks(p, 1);
    for (int o = 1; o <= 8; o++) {
        file_bytes f = write_jpeg(p, BW * B, BH * B, 1, 100, o);
        ft_image im = decode_ok(f.p, f.n, grey);
        bool turned = row0[o] == 'l' || row0[o] == 'r';
        ck_assert_int_eq(im.w, B * (turned ? BH : BW));
        ck_assert_int_eq(im.h, B * (turned ? BW : BH));
        for (int y = 0; y < BH * B; y++)
            for (int x = 0; x < BW * B; x++) {
                int vx = turned ? (row0[o] == 'l' ? y : im.w - 1 - y) : (col0[o] == 'l' ? x : im.w - 1 - x);
                int vy = turned ? (col0[o] == 't' ? x : im.h - 1 - x) : (row0[o] == 't' ? y : im.h - 1 - y);
                ck_assert_msg(abs(im.p[vy * im.w + vx] - p[y * BW * B + x]) <= 1, "orientation %d at %d %d",
                              o, x, y);
            }
        ft_image_free(&im);
        free(f.p);
    }
}
END_TEST

START_TEST(jpeg_scaled) {
    int w = 640, h = 480;
    uint8_t *p = malloc((size_t)(w * h));
    for (int i = 0; i < w * h; i++) p[i] = (uint8_t)(i % w * 255 / w);
    file_bytes f = write_jpeg(p, w, h, 1, 95, 0);
    static const int want[][2] = {{0, 480},   {480, 480}, {300, 480}, {240, 240},
                                  {100, 120}, {60, 60},   {1, 60}};
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        ft_image im = decode_ok(f.p, f.n, (ft_image_want){.c = 1, .min_side = want[i][0]});
        ck_assert_int_eq(im.h, want[i][1]);
        ck_assert_int_eq(im.w, want[i][1] * 4 / 3);
        for (int x = 0; x < im.w; x++) ck_assert_int_le(abs(im.p[x] - (int)((x + 0.5) * 255 / im.w)), 4);
        ft_image_free(&im);
    }
    free(f.p);
    free(p);
}
END_TEST

START_TEST(jpeg_damage) {
    static uint8_t p[BW * B * BH * B * 3];
    paint_blocks(p, 3);
    for (size_t i = 0; i < sizeof p; i++)
        p[i] = (uint8_t)(p[i] + i % 7); /* some detail, so that there is data */
    file_bytes f = write_jpeg(p, BW * B, BH * B, 3, 90, 0);
    decode_fails(f.p, f.n / 2, "JPEG");
    decode_fails(f.p, f.n - 2, "JPEG");
    uint8_t *q = malloc(f.n);
    memcpy(q, f.p, f.n);
    q[f.n - 60] = 0xff; /* an end mark in the middle of the data */
    q[f.n - 59] = 0xd9;
    decode_fails(q, f.n, "JPEG");
    memcpy(q, f.p, f.n);
    for (size_t i = 2; i + 8 < f.n; i++)
        if (q[i] == 0xff && q[i + 1] == 0xc0) { /* the frame header: claim 65,500 x 65,500 */
            q[i + 5] = q[i + 7] = 0xff;
            q[i + 6] = q[i + 8] = 0xdc;
            break;
        }
    decode_fails(q, f.n, "limit");
    free(q);
    survives_damage(f, 0);
    free(f.p);
}
END_TEST

/* ---- PNG ---- */

START_TEST(png_kinds) {
    const uint8_t g8[6] = {0, 50, 100, 150, 200, 255}, rgb8[6] = {1, 2, 3, 250, 128, 7};
    const uint8_t ga8[4] = {40, 0, 90, 255}, rgba8[8] = {9, 8, 7, 0, 3, 4, 5, 128};
    const uint8_t g16[4] = {0x12, 0xff, 0xfe, 0x01}, rgb16[6] = {0x12, 0xff, 0xfe, 0x01, 0x80, 0x80};
    const uint8_t g1[2] = {0xa0, 0x40}, indices[2] = {0, 1};
    struct spng_plte palette = {.n_entries = 2, .entries = {{10, 20, 30, 0}, {200, 100, 0, 0}}};
    const struct {
        const void *p;
        size_t n;
        uint32_t w, h;
        int type, depth;
        uint8_t first[3], last[3];
    } cases[] = {
        {g8, 6, 3, 2, SPNG_COLOR_TYPE_GRAYSCALE, 8, {0, 0, 0}, {255, 255, 255}},
        {rgb8, 6, 2, 1, SPNG_COLOR_TYPE_TRUECOLOR, 8, {1, 2, 3}, {250, 128, 7}},
        {ga8, 4, 2, 1, SPNG_COLOR_TYPE_GRAYSCALE_ALPHA, 8, {40, 40, 40}, {90, 90, 90}},
        {rgba8, 8, 1, 2, SPNG_COLOR_TYPE_TRUECOLOR_ALPHA, 8, {9, 8, 7}, {3, 4, 5}},
        {g16, 4, 2, 1, SPNG_COLOR_TYPE_GRAYSCALE, 16, {0x12, 0x12, 0x12}, {0xfe, 0xfe, 0xfe}},
        {rgb16, 6, 1, 1, SPNG_COLOR_TYPE_TRUECOLOR, 16, {0x12, 0xfe, 0x80}, {0x12, 0xfe, 0x80}},
        {g1, 2, 3, 2, SPNG_COLOR_TYPE_GRAYSCALE, 1, {255, 255, 255}, {0, 0, 0}},
        {indices, 2, 1, 2, SPNG_COLOR_TYPE_INDEXED, 8, {10, 20, 30}, {200, 100, 0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool indexed = cases[i].type == SPNG_COLOR_TYPE_INDEXED;
        file_bytes f = write_png(cases[i].p, cases[i].n, cases[i].w, cases[i].h, cases[i].type,
                                 cases[i].depth, false, indexed ? &palette : NULL);
        ft_image im = decode_ok(f.p, f.n, rgb), g = decode_ok(f.p, f.n, grey);
        int n = im.w * im.h;
        ck_assert(im.w == (int)cases[i].w && im.h == (int)cases[i].h && im.c == 3 && g.c == 1);
        ck_assert_mem_eq(im.p, cases[i].first, 3);
        ck_assert_mem_eq(im.p + 3 * (n - 1), cases[i].last, 3);
        for (int k = 0; k < n; k++)
            ck_assert(fabs(0.299 * im.p[3 * k] + 0.587 * im.p[3 * k + 1] + 0.114 * im.p[3 * k + 2] -
                           g.p[k]) <= 0.51);
        ft_image_free(&im);
        ft_image_free(&g);
        free(f.p);
    }
}
END_TEST

START_TEST(png_interlaced) {
    uint8_t p[13 * 9 * 3];
    for (size_t i = 0; i < sizeof p; i++) p[i] = (uint8_t)(i * 37);
    file_bytes f = write_png(p, sizeof p, 13, 9, SPNG_COLOR_TYPE_TRUECOLOR, 8, true, NULL);
    ft_image im = decode_ok(f.p, f.n, rgb);
    ck_assert_mem_eq(im.p, p, sizeof p);
    ft_image_free(&im);
    free(f.p);
}
END_TEST

static void store_word(uint8_t *p, uint32_t v) {
    for (int i = 0; i < 4; i++) p[i] = (uint8_t)(v >> (24 - 8 * i));
}

START_TEST(png_damage) {
    uint8_t p[12 * 8 * 3];
    for (size_t i = 0; i < sizeof p; i++) p[i] = (uint8_t)(i * i);
    file_bytes f = write_png(p, sizeof p, 12, 8, SPNG_COLOR_TYPE_TRUECOLOR, 8, false, NULL);
    decode_fails(f.p, f.n / 2, "PNG");
    survives_damage(f, 4); /* the end mark's checksum */
    f.p[f.n / 2] ^= 0x10;
    decode_fails(f.p, f.n, "PNG");
    store_word(f.p + 16, 60000);
    store_word(f.p + 20, 60000);
    store_word(f.p + 29, (uint32_t)crc32(0, f.p + 12, 17));
    decode_fails(f.p, f.n, "limit");
    free(f.p);
}
END_TEST

/* ---- PNM ---- */

static void pnm_gives(const char *file, size_t n, int w, int h, const uint8_t *want) {
    ft_image im = decode_ok(file, n, rgb);
    ck_assert(im.w == w && im.h == h);
    ck_assert_mem_eq(im.p, want, (size_t)(w * h * 3));
    ft_image_free(&im);
}

#define LITERAL(s) (s), sizeof(s) - 1

START_TEST(pnm_kinds) {
    pnm_gives(LITERAL("P2 # a comment\n2 1\n255\n7 255"), 2, 1, (const uint8_t[]){7, 7, 7, 255, 255, 255});
    pnm_gives(LITERAL("P5\n1 2 255\n\x05\xff"), 1, 2, (const uint8_t[]){5, 5, 5, 255, 255, 255});
    pnm_gives(LITERAL("P3 1 1 255 1 2 3\n"), 1, 1, (const uint8_t[]){1, 2, 3});
    pnm_gives(LITERAL("P6 1 1 255\n\x0a\x0b\x0c"), 1, 1, (const uint8_t[]){10, 11, 12});
    pnm_gives(LITERAL("P1 3 1\n10 1"), 3, 1, (const uint8_t[]){0, 0, 0, 255, 255, 255, 0, 0, 0});
    pnm_gives(LITERAL("P4\n3 1\n\xa0"), 3, 1, (const uint8_t[]){0, 0, 0, 255, 255, 255, 0, 0, 0});
    pnm_gives(LITERAL("P5 2 1 15\n\x0f\x07"), 2, 1, (const uint8_t[]){255, 255, 255, 119, 119, 119});
    pnm_gives(LITERAL("P5 2 1 65535\n\xff\xff\x80\x00"), 2, 1,
              (const uint8_t[]){255, 255, 255, 128, 128, 128});
    ft_image g = decode_ok(LITERAL("P6 1 1 255\n\xff\0\0"), grey);
    ck_assert(g.c == 1 && g.p[0] == 76);
    ft_image_free(&g);
}
END_TEST

START_TEST(pnm_damage) {
    decode_fails(LITERAL("P5 2 2 255\n123"), "truncated");
    decode_fails(LITERAL("P2 2 2 255\n1 2 3"), "PNM");
    decode_fails(LITERAL("P5 2 x 255\n1234"), "the height");
    decode_fails(LITERAL("P5 0 2 255\n1234"), "no pixels");
    decode_fails(LITERAL("P5 100000 100000 255\n1"), "limit");
    decode_fails(LITERAL("P5 1 1 70000\n11"), "70000");
    decode_fails(LITERAL("P5 1 1 15\n\x20"), "above the largest");
    decode_fails(LITERAL("P2 1 1 99999999999"), "too large");
    char file[64];
    int n = snprintf(file, sizeof file, "P6\n3 2\n255\nabcdefghijklmnopqr");
    survives_damage((file_bytes){(uint8_t *)file, (size_t)n}, 0);
}
END_TEST

/* ---- kinds and files ---- */

/* ---- WebP ---- */

START_TEST(webp_kinds) {
    enum { PIXELS = BW * B * BH * B };
    static uint8_t p[PIXELS * 3], with_alpha[PIXELS * 4];
    paint_blocks(p, 3);
    for (int i = 0; i < PIXELS; i++) {
        memcpy(with_alpha + 4 * i, p + 3 * i, 3);
        with_alpha[4 * i + 3] = (uint8_t)(1 + i % 255);
    }
    uint8_t *out[3];
    size_t n[3] = {WebPEncodeLosslessRGB(p, BW * B, BH * B, BW * B * 3, &out[0]),
                   WebPEncodeLosslessRGBA(with_alpha, BW * B, BH * B, BW * B * 4, &out[1]),
                   WebPEncodeRGB(p, BW * B, BH * B, BW * B * 3, 100, &out[2])};
    for (int k = 0; k < 3; k++) {
        ck_assert(n[k] > 0);
        ft_image im = decode_ok(out[k], n[k], rgb), g = decode_ok(out[k], n[k], grey);
        ck_assert(im.w == BW * B && im.h == BH * B && im.c == 3 && g.c == 1);
        int worst = 0;
        for (size_t i = 0; i < sizeof p; i++)
            if (abs(im.p[i] - p[i]) > worst) worst = abs(im.p[i] - p[i]);
        ck_assert_msg(worst <= (k < 2 ? 0 : 40), "kind %d: off by %d", k,
                      worst); /* colours are halved in size */
        for (int i = 0; i < PIXELS; i++) {
            const uint8_t *q = im.p + 3 * i;
            ck_assert(fabs(0.299 * q[0] + 0.587 * q[1] + 0.114 * q[2] - g.p[i]) <= 0.51);
        }
        ft_image_free(&im);
        ft_image_free(&g);
    }
    survives_damage((file_bytes){out[0], n[0]}, 1);
    for (int k = 0; k < 3; k++) WebPFree(out[k]);
    decode_fails(LITERAL("RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\2\0\0\0\7\0\0\7\0\0ANIM\0\0\0\0"), "animated");
    decode_fails(LITERAL("RIFF\x1e\0\0\0WEBPVP8L\x05\0\0\0\x2f\xff\xff\xff\x0f\0ANIM\0\0\0\0"),
                 "more than the limit");
}
END_TEST

START_TEST(unknown_kinds) {
    decode_fails("", 0, "empty");
    decode_fails(LITERAL("<html>not found</html>"), "not an image");
    decode_fails(LITERAL("GIF89a......"), "GIF");
    decode_fails(LITERAL("RIFF....WEBPVP8 "), "damaged WebP");
    ft_image im;
    ck_assert_int_eq(ft_image_decode((const uint8_t *)"P5", 2, "x", (ft_image_want){.c = 2}, &im),
                     FT_E_USAGE);
}
END_TEST

START_TEST(from_file) {
    char path[] = "/tmp/facet-image-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    FILE *f = fdopen(fd, "wb");
    fputs("P5 1 1 255\nA", f); /* a name without an extension: the content decides */
    fclose(f);
    ft_image im;
    ck_assert_int_eq(ft_image_load(path, rgb, &im), FT_OK);
    ck_assert_int_eq(im.p[2], 'A');
    ft_image_free(&im);
    unlink(path);
    ck_assert_int_eq(ft_image_load(path, rgb, &im), FT_E_DATA);
    ck_assert_ptr_nonnull(strstr(ft_err_message(), path));
    ck_assert_ptr_null(im.p);
    ck_assert_int_eq(ft_image_load("/tmp", rgb, &im), FT_E_DATA);
}
END_TEST

START_TEST(allocation_limits) {
    ft_image im;
    ck_assert_int_eq(ft_image_alloc(&im, 13378, 13378, 1), FT_E_DATA);
    ck_assert_int_eq(ft_image_alloc(&im, INT32_MAX, INT32_MAX, 3), FT_E_DATA);
    ck_assert_int_eq(ft_image_alloc(&im, 0, 3, 3), FT_E_DATA);
    ck_assert_int_eq(ft_image_alloc(&im, 3, 3, 2), FT_E_USAGE);
    ck_assert_ptr_null(im.p);
}
END_TEST

/* ---- resampling ---- */

/* source() of resize_golden.py */
static void paint_source(ft_image *im, uint32_t seed) {
    uint32_t s = seed + 1;
    int64_t n = (int64_t)im->w * im->h * im->c;
    for (int64_t i = 0; i < n; i++)
        im->p[i] = (uint8_t)((next_random(&s) >> 25) + (uint32_t)(i / im->c % im->w * 127 / im->w));
}

static uint64_t fnv(const uint8_t *p, size_t n) {
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++) h = (h ^ p[i]) * 0x100000001b3u;
    return h;
}

typedef struct record {
    uint8_t how, c, hashed, zero;
    uint16_t src_w, src_h, dst_w, dst_h;
    float box[4];
} record;

static void check_record(const record *r, uint32_t number, FILE *f, ft_resizer *scratch) {
    ft_image src, dst;
    ck_assert_int_eq(ft_image_alloc(&src, r->src_w, r->src_h, r->c), FT_OK);
    ck_assert_int_eq(ft_image_alloc(&dst, r->dst_w, r->dst_h, r->c), FT_OK);
    paint_source(&src, number);
    ft_box box = {r->box[0], r->box[1], r->box[2], r->box[3]};
    ck_assert_int_eq(ft_image_resize(scratch, &src, box, (ft_resize)r->how, &dst), FT_OK);
    size_t n = (size_t)dst.w * (size_t)dst.h * (size_t)dst.c;
    if (r->hashed) {
        uint64_t want;
        ck_assert_uint_eq(fread(&want, sizeof want, 1, f), 1);
        ck_assert_msg(fnv(dst.p, n) == want, "record %u (%s)", number, ft_resize_name((ft_resize)r->how));
    } else {
        uint8_t *want = malloc(n);
        ck_assert_uint_eq(fread(want, 1, n, f), n);
        /* float32 against float64 may fall on either side of a half */
        int tolerance = r->how == FT_RESIZE_TF || r->how == FT_RESIZE_TF_ANTIALIAS ? 1 : 0;
        for (size_t i = 0; i < n; i++)
            ck_assert_msg(abs(want[i] - dst.p[i]) <= tolerance, "record %u (%s): byte %zu is %d, not %d",
                          number, ft_resize_name((ft_resize)r->how), i, dst.p[i], want[i]);
        free(want);
    }
    ft_image_free(&src);
    ft_image_free(&dst);
}

START_TEST(resize_golden) {
    FILE *f = fopen("tests/golden/resize_golden.bin", "rb");
    ck_assert_ptr_nonnull(f);
    ft_resizer scratch = {0};
    uint32_t n = 0, per_method[7] = {0};
    for (record r; fread(&r, sizeof r, 1, f) == 1; n++) {
        check_record(&r, n, f, &scratch);
        per_method[r.how]++;
    }
    ck_assert_uint_eq(per_method[0], 13);
    ck_assert_uint_eq(per_method[1], 13);
    ck_assert_uint_eq(per_method[2], 8);
    ck_assert_uint_eq(per_method[3], 8);
    for (int k = 4; k < 7; k++) ck_assert_uint_eq(per_method[k], 10);
    fclose(f);
    ft_resizer_free(&scratch);
}
END_TEST

START_TEST(resize_identity_and_errors) {
    ft_image src, dst;
    ft_resizer scratch = {0};
    ck_assert_int_eq(ft_image_alloc(&src, 70, 5, 3), FT_OK);
    ck_assert_int_eq(ft_image_alloc(&dst, 70, 5, 3), FT_OK);
    paint_source(&src, 3);
    for (int how = 0; how < 7; how++) {
        memset(dst.p, 0, 70 * 5 * 3);
        ck_assert_int_eq(ft_image_resize(&scratch, &src, ft_box_whole(&src), (ft_resize)how, &dst), FT_OK);
        ck_assert_mem_eq(src.p, dst.p, 70 * 5 * 3);
        ft_resize back;
        ck_assert_int_eq(ft_resize_parse(ft_resize_name((ft_resize)how), &back), FT_OK);
        ck_assert_int_eq(back, how);
    }
    ft_box bad[] = {{0, 0, 71, 5}, {-1, 0, 3, 3}, {3, 0, 3, 5}, {0, NAN, 3, 5}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ck_assert_int_eq(ft_image_resize(&scratch, &src, bad[i], FT_RESIZE_PIL, &dst), FT_E_USAGE);
    ft_resize how = FT_RESIZE_TF;
    ck_assert_int_eq(ft_resize_parse("lanczos", &how), FT_E_CONFIG);
    ck_assert_int_eq(how, FT_RESIZE_TF);
    ft_image_free(&src);
    ft_image_free(&dst);
    ft_resizer_free(&scratch);
}
END_TEST

/* ---- normalisation ---- */

START_TEST(normalisation) {
    uint8_t p[6] = {0, 128, 255, 64, 32, 16};
    ft_image im = {.p = p, .w = 2, .h = 1, .c = 3};
    ft_preprocess pre = {
        .h = 1, .w = 2, .c = 3, .mean = {0.485f, 0.456f, 0.406f}, .std = {0.229f, 0.224f, 0.225f}};
    double mean = 0, var = 0;
    for (int i = 0; i < 6; i++) mean += p[i] / 6.0;
    for (int i = 0; i < 6; i++) var += (p[i] - mean) * (p[i] - mean) / 6.0;
    for (int how = 0; how < 4; how++) {
        pre.normalize = (ft_normalize)how;
        ft_normalizer z;
        ft_normalizer_init(&z, &pre);
        float x[6], y[6];
        ft_normalizer_apply(&z, &im, false, x);
        ft_normalizer_apply(&z, &im, true, y);
        for (int i = 0; i < 6; i++) {
            double m = (double)pre.mean[i % 3], s = (double)pre.std[i % 3];
            double want[4] = {p[i] / 255.0, p[i] / 127.5 - 1, (p[i] - mean) / sqrt(var),
                              (p[i] / 255.0 - m) / s};
            ck_assert_msg(fabs((double)x[i] - want[how]) <= 1e-6, "%s: %g, not %g",
                          ft_normalize_name((ft_normalize)how), (double)x[i], want[how]);
            ck_assert(!(x[i] < y[(i + 3) % 6]) && !(x[i] > y[(i + 3) % 6]));
        }
        ft_normalize back;
        ck_assert_int_eq(ft_normalize_parse(ft_normalize_name((ft_normalize)how), &back), FT_OK);
        ck_assert_int_eq(back, how);
    }
    uint8_t flat[4] = {9, 9, 9, 9}; /* no deviation: 0, not NaN */
    ft_image even = {.p = flat, .w = 2, .h = 2, .c = 1};
    pre = (ft_preprocess){.h = 2, .w = 2, .c = 1, .normalize = FT_NORMALIZE_STANDARD};
    ft_normalizer z;
    ft_normalizer_init(&z, &pre);
    float x[4];
    ft_normalizer_apply(&z, &even, false, x);
    ck_assert(fabsf(x[3]) <= 0.0f);
}
END_TEST

START_TEST(preprocess_whole_way) {
    ft_preprocess p = {.h = 4, .w = 4, .c = 1, .center_crop = 0.5f};
    uint8_t pixels[64];
    for (int i = 0; i < 64; i++) pixels[i] = (uint8_t)i;
    ft_image im = {.p = pixels, .w = 8, .h = 8, .c = 1};
    ft_resizer r = {0};
    float x[16];
    ck_assert_int_eq(ft_preprocess_image(&p, &r, &im, x), FT_OK);
    /* the middle 4 x 4; pil's filter does not reach outside it at scale 1 */
    for (int i = 0; i < 16; i++)
        ck_assert(fabs((double)x[i] - ((2 + i / 4) * 8 + 2 + i % 4) / 255.0) <= 1e-6);
    p.c = 2;
    ck_assert_int_eq(ft_preprocess_image(&p, &r, &im, x), FT_E_CONFIG);
    p.c = 1;
    p.normalize = FT_NORMALIZE_MEAN_STD; /* std 0 */
    ck_assert_int_eq(ft_preprocess_check(&p), FT_E_CONFIG);
    p.normalize = FT_NORMALIZE_UNIT;
    p.center_crop = 1.5f;
    ck_assert_int_eq(ft_preprocess_check(&p), FT_E_CONFIG);
    ft_resizer_free(&r);
}
END_TEST

int main(void) {
    Suite *s = suite_create("image");
    TCase *t = tcase_create("image");
    tcase_set_timeout(t, 60);
    const TTest *tests[] = {jpeg_colours,
                            jpeg_grey_file,
                            jpeg_cmyk,
                            jpeg_orientation,
                            jpeg_scaled,
                            jpeg_damage,
                            png_kinds,
                            png_interlaced,
                            png_damage,
                            pnm_kinds,
                            pnm_damage,
                            webp_kinds,
                            unknown_kinds,
                            from_file,
                            allocation_limits,
                            resize_golden,
                            resize_identity_and_errors,
                            normalisation,
                            preprocess_whole_way};
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) tcase_add_test(t, tests[i]);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}

/* EXIF orientation: CIPA DC-008 (Exif 2.3), tag 0x0112 of the first image directory.
 *
 * The value says where the file's first row and first column are seen:
 *   1 top, left    2 top, right    3 bottom, right    4 bottom, left
 *   5 left, top    6 right, top    7 right, bottom    8 left, bottom
 */
#include "data/image_decode.h"

typedef struct tiff {
    const uint8_t *p;
    size_t n;
    int big; /* byte order */
} tiff;

static uint32_t tiff_u16(const tiff *t, size_t at) {
    if (t->n < 2 || at > t->n - 2) return 0;
    uint32_t a = t->p[at], b = t->p[at + 1];
    return t->big ? a << 8 | b : b << 8 | a;
}

static uint32_t tiff_u32(const tiff *t, size_t at) {
    if (t->n < 4 || at > t->n - 4) return 0;
    uint32_t a = tiff_u16(t, at), b = tiff_u16(t, at + 2);
    return t->big ? a << 16 | b : b << 16 | a;
}

int ft_exif_orientation(const uint8_t *p, size_t n) {
    static const uint8_t head[6] = {'E', 'x', 'i', 'f', 0, 0};
    if (n < sizeof head + 8) return 1;
    for (size_t i = 0; i < sizeof head; i++)
        if (p[i] != head[i]) return 1;
    tiff t = {.p = p + sizeof head, .n = n - sizeof head};
    t.big = t.p[0] == 'M';
    if ((t.p[0] != 'M' && t.p[0] != 'I') || t.p[0] != t.p[1] || tiff_u16(&t, 2) != 42) return 1;
    size_t directory = tiff_u32(&t, 4);
    uint32_t n_entries = tiff_u16(&t, directory);
    for (uint32_t i = 0; i < n_entries; i++) {
        size_t entry = directory + 2 + 12 * (size_t)i;
        enum { TAG_ORIENTATION = 0x0112, TYPE_SHORT = 3 };
        if (tiff_u16(&t, entry) != TAG_ORIENTATION) continue;
        uint32_t value = tiff_u16(&t, entry + 8);
        int valid = tiff_u16(&t, entry + 2) == TYPE_SHORT && value >= 1 && value <= 8;
        return valid ? (int)value : 1;
    }
    return 1;
}

ft_err ft_image_upright(ft_image *im, int orientation) {
    if (orientation <= 1 || orientation > 8) return FT_OK;
    /* Walk the source from the corner that shows at the top left: first along what becomes a row. */
    static const struct {
        int8_t swap, right, bottom; /* rows become columns; start at the right / bottom edge */
    } turns[9] = {[2] = {0, 1, 0}, [3] = {0, 1, 1}, [4] = {0, 0, 1}, [5] = {1, 0, 0},
                  [6] = {1, 0, 1}, [7] = {1, 1, 1}, [8] = {1, 1, 0}};
    int right = turns[orientation].right, bottom = turns[orientation].bottom, swap = turns[orientation].swap;
    int64_t w = im->w, h = im->h, c = im->c;
    int64_t sx = right ? -c : c, sy = bottom ? -w * c : w * c;
    int64_t along = swap ? sy : sx, down = swap ? sx : sy;
    ft_image out;
    FT_TRY(ft_image_alloc(&out, (int32_t)(swap ? h : w), (int32_t)(swap ? w : h), (int32_t)c));
    const uint8_t *row = im->p + (right ? (w - 1) * c : 0) + (bottom ? (h - 1) * w * c : 0);
    uint8_t *q = out.p;
    for (int32_t y = 0; y < out.h; y++)
        for (int32_t x = 0; x < out.w; x++)
            for (int64_t k = 0; k < c; k++) *q++ = row[y * down + x * along + k];
    ft_image_free(im);
    *im = out;
    return FT_OK;
}

#include "train/weight_numbers.h"

#include "train/input_file.h"

#include <string.h>

ft_number ft_number_find(const ft_number_name table[], const char *name) {
    for (; table->name; table++)
        if (strcmp(table->name, name) == 0) return table->type;
    return FT_NUMBER_NONE;
}

int64_t ft_number_bytes(ft_number type) {
    static const int8_t bytes[] = {0, 8, 4, 2, 2, 8, 4, 2, 1, 8, 4, 2, 1, 1};
    return bytes[type];
}

static float float_of_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static double double_of_bits(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* IEEE 754 binary16: 1 sign, 5 exponent (bias 15), 10 fraction. */
static float half_of_bits(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 1023;
    if (exponent == 0) { /* fraction * 2^-24 */
        float x = (float)fraction * 0x1p-24f;
        return sign ? -x : x;
    }
    exponent = exponent == 31 ? 255 : exponent - 15 + 127;
    return float_of_bits(sign | exponent << 23 | fraction << 13);
}

void ft_numbers_to_float(ft_number type, const uint8_t *from, int64_t step, int64_t n, float *to) {
    int64_t stride = step * ft_number_bytes(type);
#define CONVERT(number, value)                    \
    case FT_NUMBER_##number:                      \
        for (int64_t i = 0; i < n; i++) {         \
            const uint8_t *p = from + i * stride; \
            to[i] = (float)(value);               \
        }                                         \
        break
    switch (type) {
    case FT_NUMBER_NONE:
        break;
        CONVERT(F64, double_of_bits(ft_le64(p)));
        CONVERT(F32, float_of_bits(ft_le32(p)));
        CONVERT(F16, half_of_bits(ft_le16(p)));
        CONVERT(BF16, float_of_bits((uint32_t)ft_le16(p) << 16));
        CONVERT(I64, (int64_t)ft_le64(p));
        CONVERT(I32, (int32_t)ft_le32(p));
        CONVERT(I16, (int16_t)ft_le16(p));
        CONVERT(I8, (int8_t)*p);
        CONVERT(U64, ft_le64(p));
        CONVERT(U32, ft_le32(p));
        CONVERT(U16, ft_le16(p));
        CONVERT(U8, *p);
        CONVERT(BOOL, *p != 0);
    }
#undef CONVERT
}

/* Little-endian numbers of the types that files of weights have, converted to float. */
#ifndef FACET_TRAIN_WEIGHT_NUMBERS_H
#define FACET_TRAIN_WEIGHT_NUMBERS_H

#include <stdint.h>

typedef enum ft_number {
    FT_NUMBER_NONE, /* another type, which weights do not have */
    FT_NUMBER_F64,
    FT_NUMBER_F32,
    FT_NUMBER_F16,
    FT_NUMBER_BF16,
    FT_NUMBER_I64,
    FT_NUMBER_I32,
    FT_NUMBER_I16,
    FT_NUMBER_I8,
    FT_NUMBER_U64,
    FT_NUMBER_U32,
    FT_NUMBER_U16,
    FT_NUMBER_U8,
    FT_NUMBER_BOOL,
} ft_number;

/* The numbers by their names in a table that ends with NULL; FT_NUMBER_NONE: name is not in it. */
typedef struct ft_number_name {
    const char *name;
    ft_number type;
} ft_number_name;
ft_number ft_number_find(const ft_number_name table[], const char *name);

/* Bytes of one number; 0 for FT_NUMBER_NONE. */
int64_t ft_number_bytes(ft_number type);
/* from: n numbers, each step numbers behind the one before (at any address); to: (n). Rounded to nearest;
 * a double beyond float's range becomes infinite; NaN and infinities stay what they are. */
void ft_numbers_to_float(ft_number type, const uint8_t *from, int64_t step, int64_t n, float *to);

#endif

/* A file to be read in pieces, at any offset. What is missing is an error, never a short read. */
#ifndef FACET_TRAIN_INPUT_FILE_H
#define FACET_TRAIN_INPUT_FILE_H

#include "tensor/error.h"

#include <stdint.h>

typedef struct ft_input_file {
    const char *path; /* the caller's, outlives this */
    int64_t size;     /* bytes, when it was opened */
    int fd;
} ft_input_file;

/* FT_E_IO: it cannot be opened; FT_E_WEIGHTS: it is not there, or a folder, a pipe or the like, or empty.
 * After a failure nothing is open. */
ft_err ft_input_file_open(ft_input_file *f, const char *path);
/* Bytes offset ... offset + n - 1 to p. FT_E_WEIGHTS: the file ends before; FT_E_IO: the disk failed. */
ft_err ft_input_file_read(const ft_input_file *f, int64_t offset, int64_t n, void *p);
/* Harmless after itself or a failed open. */
void ft_input_file_close(ft_input_file *f);

/* Little-endian numbers, at any address. */
static inline uint16_t ft_le16(const uint8_t *p) {
    return (uint16_t)(p[0] | p[1] << 8);
}
static inline uint32_t ft_le32(const uint8_t *p) {
    return ft_le16(p) | (uint32_t)ft_le16(p + 2) << 16;
}
static inline uint64_t ft_le64(const uint8_t *p) {
    return ft_le32(p) | (uint64_t)ft_le32(p + 4) << 32;
}

#endif

/* Reading ZIP archives (PKWARE's APPNOTE.TXT 6.3.9): what PyTorch and Keras keep weights in.
 *
 * Members may be stored or deflated, the archive ZIP64. Nothing is unpacked to the disk. What the central
 * directory says is checked against the members' own headers, and every byte read against its CRC-32.
 * Refused: encrypted and multi-disk archives, members that overlap or have the same name, other compression,
 * members that would grow beyond reason (EXPANSION in zip_file.c).
 *
 *     ft_zip z;
 *     FT_TRY(ft_zip_open(&z, path));
 *     const ft_zip_member *m = ft_zip_find(&z, "config.json");
 *     uint8_t *bytes = NULL;
 *     ft_err e = m ? ft_zip_read(&z, m, &bytes) : ...;   // m->size bytes, free(bytes)
 *     ft_zip_close(&z);
 *
 * Fails with FT_E_WEIGHTS (damaged, or refused), FT_E_IO and FT_E_MEMORY.
 */
#ifndef FACET_TRAIN_ZIP_FILE_H
#define FACET_TRAIN_ZIP_FILE_H

#include "train/input_file.h"

#include <stdbool.h>

typedef struct ft_zip_member {
    char *name;     /* "archive/data/0"; UTF-8 or what the writer took for text; a folder ends with '/' */
    int64_t size;   /* bytes, unpacked */
    int64_t header; /* offset of its own header */
    int64_t start, stored; /* offset and bytes of what is kept of it */
    uint32_t crc;
    uint16_t flags, method;
} ft_zip_member;

typedef struct ft_zip {
    ft_input_file file;
    ft_zip_member *member; /* (n), by name */
    int64_t n;
} ft_zip;

/* Reads the directory and all members' headers. path must outlive z. After a failure nothing is open. */
ft_err ft_zip_open(ft_zip *z, const char *path);
/* NULL: there is no such member. */
const ft_zip_member *ft_zip_find(const ft_zip *z, const char *name);
/* The member FOLDER/name, whatever the name of the folder; NULL: there is none. */
const ft_zip_member *ft_zip_find_in_folder(const ft_zip *z, const char *name);
/* Unpacks one member. *bytes (m->size, the caller's to free) is NULL after a failure. */
ft_err ft_zip_read(const ft_zip *z, const ft_zip_member *m, uint8_t **bytes);
/* Harmless after itself or a failed open. */
void ft_zip_close(ft_zip *z);

#endif

/* What the kinds of data sets share; private to data/. */
#ifndef FACET_DATA_DATASET_KIND_H
#define FACET_DATA_DATASET_KIND_H

#include "data/dataset.h"

/* Each opens the folder or file at path, known to exist; after a failure *ds is NULL. */
ft_err ft_dataset_open_folder(const char *path, ft_dataset **ds);
ft_err ft_dataset_open_idx(const char *path, ft_dataset **ds);
ft_err ft_dataset_open_list(const char *path, const ft_dataset_options *o, ft_dataset **ds);
ft_err ft_dataset_open_packed(const char *path, ft_dataset **ds);
/* Whether the file's name is a list's. */
bool ft_dataset_is_list(const char *path);
/* Whether the folder holds an IDX file of images. */
bool ft_dataset_is_idx(const char *path);

/* Releases the class names. */
void ft_dataset_free_classes(ft_dataset *ds);

/* "a/b" in new memory, or NULL. */
char *ft_path_join(const char *a, const char *b);

/* FNV-1a, 64 bits: start with FT_HASH_START and chain. */
#define FT_HASH_START 0xcbf29ce484222325u
uint64_t ft_hash_bytes(uint64_t hash, const void *bytes, size_t n);
/* With its terminator, so that ("ab", "c") and ("a", "bc") differ. */
uint64_t ft_hash_text(uint64_t hash, const char *text);
/* As 8 bytes, lowest first, on every machine. */
uint64_t ft_hash_number(uint64_t hash, uint64_t number);

#endif

/* Pairs of pictures that are, or are not, of one person.
 *
 *   pairs.txt     Labeled Faces in the Wild's: a line with the sets and the pairs of each kind in a set ("10
 * 300"), or the pairs alone; then "NAME I J", the same person, or "NAME I OTHER J"; picture I of a person is
 *                 NAME/NAME_0001.jpg
 *   a .csv, .tsv  columns file1, file2, same (1 or 0) and, if there are sets, fold
 */
#ifndef FACET_DATA_PAIRS_H
#define FACET_DATA_PAIRS_H

#include "data/dataset.h"
#include "data/intern.h"

typedef struct ft_pairs {
    int32_t n, room, n_folds; /* n_folds 0: there are no sets */
    int32_t *a, *b;           /* (n): numbers of files */
    int32_t *same, *fold;     /* (n): 1 or 0; 0 .. n_folds-1 */
    ft_intern files;
} ft_pairs;

/* Reads the file at path. FT_E_DATA says on which line what is wrong, or that there is no pair; FT_E_IO,
 * FT_E_MEMORY; *p then needs no free. */
ft_err ft_pairs_read(const char *path, ft_pairs *p);
void ft_pairs_free(ft_pairs *p);

/* The files as a data set without classes, sample i being file i in the folder. Both are borrowed. FT_E_DATA
 * names a file that is not there; FT_E_MEMORY; *ds is then NULL. */
ft_err ft_dataset_of_files(const char *folder, const ft_intern *files, ft_dataset **ds);

#endif

/* What h5_file.c and h5_values.c share. */
#ifndef FACET_TRAIN_H5_INTERNAL_H
#define FACET_TRAIN_H5_INTERNAL_H

#include "train/h5_file.h"

enum {
    FT_H5_NAME = 512,  /* bytes of an object's whole name */
    FT_H5_COMPACT = 64 /* attributes of one object kept in its header, the simplest place */
};

/* Closes any HDF5 handle; fine with a negative one. */
void ft_h5_drop(hid_t id);
/* Failure of HDF5's last call, with its own words. */
ft_err ft_h5_read_error(const ft_h5 *f, const char *what, const char *name);
ft_err ft_h5_write_error(const ft_h5 *f, const char *what, const char *name);
ft_err ft_h5_groups_above(ft_h5 *f, const char *name);

#endif

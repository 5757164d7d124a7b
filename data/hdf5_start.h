/* HDF5 as Facet wants it: quiet, and without a say in how the process ends. */
#ifndef FACET_DATA_HDF5_START_H
#define FACET_DATA_HDF5_START_H

/* Before anything else of HDF5; any number of times. Errors are not printed. Nothing is tidied up when the
 * process ends: the files are closed, and where a close failed HDF5 1.10 would crash there. */
void ft_hdf5_start(void);

#endif

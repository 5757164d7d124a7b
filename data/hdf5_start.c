#include "data/hdf5_start.h"

#include <hdf5.h>

void ft_hdf5_start(void) {
    H5dont_atexit();
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

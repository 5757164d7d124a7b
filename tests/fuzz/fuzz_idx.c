/* IDX folders: one byte of flags, two of the labels' length, the labels' file, the images' file. */
#include "tests/fuzz/fuzz_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n) {
    if (n < 3) return -1;
    size_t labels = (size_t)p[1] | (size_t)p[2] << 8, rest = n - 3;
    if (labels > rest) return -1;
    static const char *const names[2][2] = {{"train-labels-idx1-ubyte", "train-images-idx3-ubyte"},
                                            {"train-labels-idx1-ubyte.gz", "train-images-idx3-ubyte.gz"}};
    const char *const *name = names[p[0] & 1];
    fuzz_file(name[0], p + 3, labels);
    fuzz_file(name[1], p + 3 + labels, rest - labels);
    ft_dataset *ds;
    ft_err e = ft_dataset_open(fuzz_folder, NULL, &ds);
    if (e != FT_OK && e != FT_E_DATA) abort();
    if ((e == FT_OK) != (ds != NULL)) abort();
    for (int32_t i = 0; ds && i < ds->n; i++) {
        ft_image im;
        if (ft_dataset_label(ds, i) < 0 || ft_dataset_label(ds, i) >= ds->n_classes) abort();
        if (ft_dataset_read(ds, i, (ft_image_want){.c = 3}, &im) != FT_OK) abort();
        ft_image_free(&im);
    }
    ft_dataset_free(ds);
    for (int k = 0; k < 2; k++) unlink(fuzz_path(name[k]));
    return 0;
}

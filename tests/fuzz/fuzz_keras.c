/* Keras 3's archives, read as weights, all but the HDF5 file inside: that may break HDF5, which is why a
 * child reads it, and test_hostile_hdf5 sees what becomes of one. Here its bytes are looked through, and good
 * ones are read in their place. What begins with '{' is a model's configuration without an archive, whose
 * checksum is hard to guess. */
#include "data/hdf5_start.h"
#include "tests/fuzz/fuzz_weights.h"
#include "train/weight_hdf5.h"

#include <math.h>

static uint8_t good[1 << 14];
static size_t n_good;

/* The linker gives these names to ft_hdf5_open_image as its callers see it, and as it is. */
hid_t __wrap_ft_hdf5_open_image(const void *bytes, size_t n);
hid_t __real_ft_hdf5_open_image(const void *bytes, size_t n);

hid_t __wrap_ft_hdf5_open_image(const void *bytes, size_t n) {
    for (size_t i = 0; i < n; i++) fuzz_seen = ((const uint8_t *)bytes)[i]; /* all of it is there */
    return __real_ft_hdf5_open_image(good, n_good);
}

static void make_good(void) {
    ft_weight_file *f;
    float *p;
    const char *path = fuzz_path("good.h5");
    if (ft_weight_file_new(path, FT_WEIGHTS_KERAS, &f) != FT_OK) abort();
    if (ft_weight_file_add_layer(f, "dense", NULL) != FT_OK) abort();
    if (ft_weight_file_add(f, "dense/kernel:0", 2, (int64_t[]){2, 3}, &p) != FT_OK) abort();
    if (ft_weight_file_write(f, path) != FT_OK) abort();
    ft_weight_file_free(f);
    FILE *file = fopen(path, "rb");
    if (!file) abort();
    n_good = fread(good, 1, sizeof good, file);
    if (n_good == 0 || n_good == sizeof good) abort();
    fclose(file);
}

static void fuzz_configuration(const uint8_t *p, size_t n) {
    char *text = strndup((const char *)p, n);
    double epsilon = ft_keras_bn_epsilon(text);
    if (isnan(epsilon)) abort();
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n) {
    ft_weight_file *w = NULL;
    ft_weights_kind kind;
    if (n_good == 0) make_good();
    if (n > 0 && p[0] == '{') fuzz_configuration(p, n);
    const char *path = fuzz_file("w.keras", p, n);
    ft_err e = ft_weights_content(path, &kind);
    if (e == FT_OK && kind == FT_WEIGHTS_KERAS_ZIP) e = ft_weights_read_keras3_zip(path, &w);
    if (e == FT_OK && !w) return 0; /* of another kind */
    if (w && (w->n_tensors != 1 || isnan(w->bn_epsilon))) abort();
    fuzz_weights(e, w);
    return 0;
}

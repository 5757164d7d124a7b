/* What is believed of a packed data set, whatever the child that looks into it says. */
#include "tests/fuzz/fuzz_child.h"

static volatile uint8_t seen;

/* Whatever may be asked of sample i. */
static void use(const ft_dataset *ds, int32_t i) {
    char name[64];
    uint8_t *bytes;
    size_t n;
    uint64_t hash;
    ft_image im;
    int32_t label = ds->ops->label(ds, i), group = ds->ops->group(ds, i);
    if (label < 0 || label >= ds->n_classes || group < -1 || group >= ds->n_groups) abort();
    if (ds->ops->fixed(ds, i) > FT_FIXED_TEST) abort();
    ds->ops->name(ds, i, name, sizeof name);
    if (ds->ops->content(ds, i, &hash) != FT_OK) abort();
    if (ds->ops->bytes(ds, i, &bytes, &n) == FT_OK) {
        for (size_t k = 0; k < n; k++) seen = bytes[k];
        free(bytes);
    }
    if (ft_dataset_read(ds, i, (ft_image_want){.c = 1}, &im) == FT_OK) ft_image_free(&im);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n) {
    ft_dataset *ds;
    const char *path = fuzz_answer_and_file("faces.h5", p, n);
    if (!path) return -1;
    ft_err e = ft_dataset_open(path, &(ft_dataset_options){0}, &ds);
    if ((e == FT_OK) != (ds != NULL) || (e != FT_OK && e != FT_E_DATA && e != FT_E_MEMORY)) abort();
    if (!ds) return 0;
    for (int32_t k = 0; k < ds->n_classes; k++) seen = (uint8_t)strlen(ds->class_names[k]);
    for (int32_t i = 0; i < ds->n && i < 64; i++) use(ds, i);
    ft_dataset_free(ds);
    return 0;
}

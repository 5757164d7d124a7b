/* Lists: the input is a CSV or, by its first byte, a TSV file; also as a list for a split. */
#include "data/split.h"
#include "tests/fuzz/fuzz_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n) {
    static const char *const where[] = {"age>=12", "who!=x"};
    if (n < 1) return -1;
    bool tabs = p[0] & 1;
    const char *path = fuzz_file(tabs ? "list.tsv" : "list.csv", p + 1, n - 1);
    fuzz_file("a.pgm", (const uint8_t *)"P5 1 1 255\na", 12);
    ft_dataset_options o = {.label = "who",
                            .split = p[0] & 2 ? "part" : NULL,
                            .group = p[0] & 4 ? "group" : NULL,
                            .where = where,
                            .n_where = p[0] & 8 ? 2 : 0};
    ft_dataset *ds;
    ft_err e = ft_dataset_open(path, &o, &ds);
    if (e != FT_OK && e != FT_E_DATA && e != FT_E_CONFIG) abort();
    if ((e == FT_OK) != (ds != NULL)) abort();
    if (e == FT_OK) {
        if (ds->n < 1 || ds->n_classes < 1) abort();
        for (int32_t i = 0; i < ds->n; i++) {
            int32_t k = ft_dataset_label(ds, i), g = ft_dataset_group(ds, i);
            if (k < 0 || k >= ds->n_classes || g < -1 || g >= ds->n_groups) abort();
        }
        ft_split_spec spec = {.by = FT_SPLIT_LIST, .list = path, .fraction = {1, 0, 0}};
        ft_split s;
        e = ft_split_make(ds, &spec, &s);
        if (e != FT_OK && e != FT_E_DATA) abort();
        ft_split_free(&s);
    }
    ft_dataset_free(ds);
    return 0;
}

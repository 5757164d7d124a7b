/* Configurations. One that is accepted is written out and read again. */
#include "tests/fuzz/fuzz_file.h"
#include "train/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n) {
    static ft_config c, again;
    char *text;
    size_t length;
    ft_err e = ft_config_parse((const char *)p, n, "run.yaml", &c);
    if (e != FT_OK && e != FT_E_CONFIG) abort();
    if (e != FT_OK || ft_config_check(&c) != FT_OK) return 0;
    ft_config_resolve(&c);
    if (ft_config_to_text(&c, &text, &length) != FT_OK) abort();
    if (ft_config_parse(text, length, "again.yaml", &again) != FT_OK) abort();
    free(text);
    return 0;
}

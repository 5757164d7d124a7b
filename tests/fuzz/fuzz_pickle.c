/* Pickles: inside an archive its checksum would turn away nearly every one. */
#include "train/pickle.h"

#include <stdlib.h>
#include <string.h>

static ft_err resolve(const char *where, const char *name, int32_t *id) {
    (void)where;
    *id = (int32_t)strlen(name);
    return *id % 5 ? FT_OK : ft_err_set(FT_E_WEIGHTS, "%s is not known", name);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n) {
    ft_pickle *pickle;
    ft_err e = ft_pickle_read(p, n, "fuzz", resolve, &pickle);
    if (e != FT_OK && e != FT_E_WEIGHTS && e != FT_E_MEMORY) abort();
    if ((e == FT_OK) != (pickle != NULL)) abort();
    if (e == FT_OK) {
        const ft_pickle_value *root = ft_pickle_root(pickle);
        if (!root) abort();
        for (int depth = 0; root && depth < 4; depth++) root = ft_pickle_get(root, "state_dict");
    }
    ft_pickle_free(pickle);
    return 0;
}

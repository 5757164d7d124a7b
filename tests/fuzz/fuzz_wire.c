/* What a child that a hostile file has taken over may hand back. */
#include "tests/fuzz/fuzz_weights.h"
#include "train/weight_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n) {
    ft_weight_file *w;
    if (n == 0) return -1;
    FILE *f = fmemopen((void *)(uintptr_t)p, n, "rb");
    if (!f) abort();
    ft_err e = ft_weight_wire_read(f, "wire", &w);
    fclose(f);
    fuzz_weights(e, w);
    return 0;
}

/* PyTorch's state dicts: a ZIP archive with a pickle and numbers in it. */
#include "tests/fuzz/fuzz_weights.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n) {
    ft_weight_file *w;
    ft_err e = ft_weights_read_torch(fuzz_file("w.pth", p, n), &w);
    fuzz_weights(e, w);
    return 0;
}

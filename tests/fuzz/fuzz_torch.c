/* PyTorch's state dicts: a ZIP archive with a pickle and numbers in it. */
#include "tests/fuzz/fuzz_weights.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n) {
    fuzz_weights(fuzz_file("w.pth", p, n), FT_WEIGHTS_TORCH);
    return 0;
}

/* safetensors files, read as weights. */
#include "tests/fuzz/fuzz_weights.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n) {
    fuzz_weights(fuzz_file("w.safetensors", p, n), FT_WEIGHTS_SAFETENSORS);
    return 0;
}

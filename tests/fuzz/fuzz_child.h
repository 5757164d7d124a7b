/* For readers of HDF5 files, when the child that looks into them has been taken over. An input is what it
 * says of the file, as many bytes as the first four say, and the file's first bytes. Checksums match: whoever
 * makes the file makes them. The programs are linked with these functions in place of the real ones
 * (CMakeLists.txt).
 */
#ifndef FACET_TESTS_FUZZ_CHILD_H
#define FACET_TESTS_FUZZ_CHILD_H

#include "tensor/child.h"
#include "tests/fuzz/fuzz_file.h"

#include <xxhash.h>

enum { FUZZ_FILE_BYTES = 1 << 16 }; /* the rest are zeros */

static const uint8_t *fuzz_answer;
static size_t fuzz_answer_bytes;

ft_err __wrap_ft_child_run(const ft_child_task *task, FILE **result);
XXH64_hash_t __wrap_XXH3_64bits(const void *p, size_t n);
XXH64_hash_t __wrap_XXH3_64bits_digest(const XXH3_state_t *state);

ft_err __wrap_ft_child_run(const ft_child_task *task, FILE **result) {
    *result = NULL;
    if (fuzz_answer_bytes == 0) return ft_err_set(task->broken, "%s: broke the library", task->what);
    *result = fmemopen((void *)(uintptr_t)fuzz_answer, fuzz_answer_bytes, "rb");
    if (!*result) abort();
    return FT_OK;
}
XXH64_hash_t __wrap_XXH3_64bits(const void *p, size_t n) {
    (void)p, (void)n;
    return 0;
}
XXH64_hash_t __wrap_XXH3_64bits_digest(const XXH3_state_t *state) {
    (void)state;
    return 0;
}

/* The path of the file; NULL: the input has too few bytes. */
static inline const char *fuzz_answer_and_file(const char *name, const uint8_t *p, size_t n) {
    uint32_t first;
    if (n < sizeof first) return NULL;
    memcpy(&first, p, sizeof first);
    fuzz_answer = p + sizeof first;
    n -= sizeof first;
    fuzz_answer_bytes = first < n ? first : n;
    const char *path = fuzz_file(name, fuzz_answer + fuzz_answer_bytes, n - fuzz_answer_bytes);
    if (truncate(path, FUZZ_FILE_BYTES) != 0) abort();
    return path;
}

#endif

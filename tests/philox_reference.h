/* Philox4x32-10 a second time, straight from the paper's figure, for the tests of the library's own. */
#ifndef FACET_TESTS_PHILOX_REFERENCE_H
#define FACET_TESTS_PHILOX_REFERENCE_H

#include <stdint.h>

static inline void philox_reference(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
    uint32_t l0 = counter[1], r0 = counter[0], l1 = counter[3], r1 = counter[2];
    for (uint32_t round = 0; round < 10; round++) {
        uint32_t k0 = key[0] + round * 0x9E3779B9u, k1 = key[1] + round * 0xBB67AE85u;
        uint64_t m0 = 0xD2511F53ull * r0, m1 = 0xCD9E8D57ull * r1;
        uint32_t next_r0 = (uint32_t)(m1 / 0x100000000ull) ^ l0 ^ k0, next_l0 = (uint32_t)m1;
        uint32_t next_r1 = (uint32_t)(m0 / 0x100000000ull) ^ l1 ^ k1, next_l1 = (uint32_t)m0;
        r0 = next_r0;
        l0 = next_l0;
        r1 = next_r1;
        l1 = next_l1;
    }
    out[0] = r0;
    out[1] = l0;
    out[2] = r1;
    out[3] = l1;
}

#endif

#include "tensor/rng.h"

#include <math.h>

enum { ROUNDS = 10 };

void ft_rng_block(uint64_t seed, uint64_t stream, uint64_t index, uint32_t out[4]) {
    uint32_t x0 = (uint32_t)index, x1 = (uint32_t)(index >> 32);
    uint32_t x2 = (uint32_t)stream, x3 = (uint32_t)(stream >> 32);
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t p = (uint64_t)x0 * 0xD2511F53u, q = (uint64_t)x2 * 0xCD9E8D57u;
        x0 = (uint32_t)(q >> 32) ^ x1 ^ k0;
        x1 = (uint32_t)q;
        x2 = (uint32_t)(p >> 32) ^ x3 ^ k1;
        x3 = (uint32_t)p;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = x0;
    out[1] = x1;
    out[2] = x2;
    out[3] = x3;
}

uint64_t ft_rng_derive(uint64_t seed, uint64_t label) {
    uint32_t b[4];
    ft_rng_block(seed, 0x6465726976650000u, label, b); /* a stream of its own: "derive" */
    return (uint64_t)b[1] << 32 | b[0];
}

uint64_t ft_rng_derive_name(uint64_t seed, const char *label) {
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */
    for (; *label; label++) hash = (hash ^ (unsigned char)*label) * 0x100000001b3u;
    return ft_rng_derive(seed, hash);
}

ft_rng ft_rng_stream(uint64_t seed, uint64_t stream) {
    return (ft_rng){.seed = seed, .stream = stream, .used = 4};
}

uint32_t ft_rng_bits(ft_rng *r) {
    if (r->used == 4) {
        ft_rng_block(r->seed, r->stream, r->index++, r->block);
        r->used = 0;
    }
    return r->block[r->used++];
}

double ft_rng_uniform(ft_rng *r) {
    uint64_t high = ft_rng_bits(r) >> 5, low = ft_rng_bits(r) >> 6;
    return (double)(high << 26 | low) * 0x1p-53;
}

uint32_t ft_rng_below(ft_rng *r, uint32_t n) {
    uint32_t reject = (uint32_t)-n % n; /* 2^32 mod n: below it the draw would favour small numbers */
    for (;;) {
        uint64_t p = (uint64_t)ft_rng_bits(r) * n;
        if ((uint32_t)p >= reject) return (uint32_t)(p >> 32);
    }
}

double ft_rng_normal(ft_rng *r) {
    double u = 1.0 - ft_rng_uniform(r), v = ft_rng_uniform(r);
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

void ft_rng_shuffle(ft_rng *r, int32_t *a, int32_t n) {
    for (int32_t i = n - 1; i > 0; i--) {
        int32_t j = (int32_t)ft_rng_below(r, (uint32_t)i + 1), t = a[i];
        a[i] = a[j];
        a[j] = t;
    }
}

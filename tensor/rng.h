/* Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
 * SC 2011).
 *
 * A draw is a pure function of (seed, stream, index): no state, the same bits on any thread, in any order.
 * A stream is whatever must be independent: a node of a graph, an epoch, an image.
 */
#ifndef FACET_TENSOR_RNG_H
#define FACET_TENSOR_RNG_H

#include <stdint.h>

/* Four independent 32-bit words for counter (stream, index) under the key seed. */
void ft_rng_block(uint64_t seed, uint64_t stream, uint64_t index, uint32_t out[4]);
/* A new seed derived from an old one and a label; distinct (seed, label) give unrelated seeds. */
uint64_t ft_rng_derive(uint64_t seed, uint64_t label);
/* The same with a text label (a parameter's name). */
uint64_t ft_rng_derive_name(uint64_t seed, const char *label);

/* Bits to a uniform number in [0, 1) (24 bits) */
static inline float ft_rng_unit(uint32_t bits) {
    return (float)(bits >> 8) * 0x1p-24f;
}

/* A sequential reader over one stream, for code that draws a varying number of times. */
typedef struct ft_rng {
    uint64_t seed, stream, index;
    uint32_t block[4];
    int used; /* words of block already handed out; 4 = fetch another */
} ft_rng;

ft_rng ft_rng_stream(uint64_t seed, uint64_t stream);
uint32_t ft_rng_bits(ft_rng *r);
/* Uniform in [0, 1), 53 bits. */
double ft_rng_uniform(ft_rng *r);
/* Uniform in {0, ..., n-1}, without bias; n > 0. */
uint32_t ft_rng_below(ft_rng *r, uint32_t n);
/* Standard normal (Box-Muller). */
double ft_rng_normal(ft_rng *r);
/* Fisher-Yates shuffle of n numbers. */
void ft_rng_shuffle(ft_rng *r, int32_t *a, int32_t n);

#endif

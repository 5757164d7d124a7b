/* Oracle of dropout, with a generator of its own: Philox4x32-10 written from the paper (Salmon et al., SC
 * 2011). */
#include "layers/args.h"
#include "tests/op_harness.h"
#include "tests/philox_reference.h"

/* Element e (row * c + channel) is kept when word e mod 4 of block e / 4, as 24 bits of a number in [0, 1),
 * is at least the rate. The key is the seed, low word first; the counter is (block, stream 0). */
void ft_oracle_dropout(ft_oracle *o) {
    double rate = ((const ft_dropout_args *)o->args)->rate;
    double *y = ft_oracle_out(o, 0, o->in[0].s), *size = ft_oracle_scale(o, 0);
    for (int64_t e = 0; e < ft_shape_size(o->in[0].s); e++) {
        uint64_t block = (uint64_t)e / 4;
        uint32_t counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), 0, 0};
        uint32_t key[2] = {(uint32_t)o->seed, (uint32_t)(o->seed >> 32)}, words[4];
        philox_reference(counter, key, words);
        double u = (double)(words[e % 4] / 256) / 16777216.0, x = o->in[0].p[e];
        y[e] = !o->training ? x : u >= rate ? x / (1 - rate) : 0;
        size[e] = y[e] < 0 ? -y[e] : y[e];
    }
}

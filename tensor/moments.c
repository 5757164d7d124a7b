#include "tensor/moments.h"

#include <string.h>

ft_moment_sums ft_moments_begin(const ft_moments *m, int64_t chunk, int32_t channel, int32_t c) {
    ft_real *mean = ft_moments_chunk(m, chunk) + 1 + channel, *m2 = mean + m->c;
    memset(mean, 0, (size_t)c * sizeof *mean);
    memset(m2, 0, (size_t)c * sizeof *m2);
    return (ft_moment_sums){.pivot = m2 + m->c, .sum = mean, .squares = m2, .fresh = true};
}

void ft_moments_end(const ft_moments *m, int64_t chunk, int64_t rows, int32_t c, const ft_moment_sums *s) {
    *ft_moments_chunk(m, chunk) = (ft_real)rows;
    ft_real share = 1 / (ft_real)rows;
    for (int32_t k = 0; k < c; k++) {
        ft_real m2 = s->squares[k] - s->sum[k] * s->sum[k] * share;
        s->squares[k] = m2 < 0 ? 0 : m2; /* (NaN stays) */
        s->sum[k] = s->pivot[k] + s->sum[k] * share;
    }
}

void ft_moments_skip(const ft_moments *m, int64_t first) {
    for (int64_t chunk = first; chunk < m->chunks; chunk++) *ft_moments_chunk(m, chunk) = 0;
}

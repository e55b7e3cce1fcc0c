#include "thimble_rotary.h"

#ifndef THIMBLE_HELIUM

/* One pair of all heads. */
static inline void move(const thimble_rotary_s8_params *p, scale s, row offset, columns matrix, columns more,
                        const int8_t *x, const int8_t *means, int8_t *out)
{
    const int32_t half = p->half, head_dim = 2 * half;
    for (const int8_t *const end = out + head_dim * p->heads; out != end;
         x += head_dim, means += head_dim, out += head_dim) {
        const row pair = plus(row_of(x[0], x[half]), offset), mean = plus(row_of(means[0], means[half]), offset);
        const int8_t second = scaled(s, times_plus(pair, matrix.second, times(mean, more.second)));
        out[0] = scaled(s, times_plus(pair, matrix.first, times(mean, more.first)));
        out[half] = second;
    }
}

static inline void move_token(const thimble_rotary_s8_params *p, const int8_t *x, const int8_t *rotation,
                              const int8_t *means, const int8_t *drift, int8_t *out)
{
    const scale s = scale_of(&p->out);
    const row offset = row_of(p->offset, p->offset);
    for (int32_t i = p->half - p->pairs; i > 0; i--, rotation += 4, drift += 4, x++, means++, out++) {
        const columns matrix = columns_of(rotation, p->rotation_offset), more = columns_of(drift, p->rotation_offset);
        move(p, s, offset, matrix, more, x, means, out);
    }
}

#else
#include "thimble_rotary_moved_s8_mve.h"
#endif

void thimble_rotary_moved_s8(const thimble_rotary_moved_s8_params *p, const int8_t *x, const int8_t *rotation,
                             const int8_t *drift, int8_t *out, int32_t tokens)
{
    const thimble_rotary_s8_params *const turned = &p->turned;
    const int32_t size = 2 * turned->half * turned->heads, still = turned->pairs;
    thimble_rotary_s8(turned, x, rotation, out, tokens);
    for (x += still, out += still, rotation += 4 * still; tokens > 0; tokens--, x += size, out += size) {
        move_token(turned, x, rotation, p->means + still, drift, out);
        rotation -= 4 * turned->half;
        drift -= 4 * (turned->half - still);
    }
}

#include "thimble_rotary.h"

#ifndef THIMBLE_HELIUM

/* One pair of all heads. */
static inline void turn(const thimble_rotary_s8_params *p, scale s, row offset, columns matrix, const int8_t *x,
                        int8_t *out)
{
    const int32_t half = p->half, head_dim = 2 * half;
    for (const int8_t *const end = out + head_dim * p->heads; out != end; x += head_dim, out += head_dim) {
        const row pair = plus(row_of(x[0], x[half]), offset);
        const int8_t second = scaled(s, times(pair, matrix.second));
        out[0] = scaled(s, times(pair, matrix.first));
        out[half] = second;
    }
}

static inline void turn_token(const thimble_rotary_s8_params *p, const int8_t *x, const int8_t *rotation, int8_t *out)
{
    const scale s = scale_of(&p->out);
    const row offset = row_of(p->offset, p->offset);
    for (int32_t i = p->pairs; i > 0; i--, rotation += 4, x++, out++) {
        turn(p, s, offset, columns_of(rotation, p->rotation_offset), x, out);
    }
}

#else
#include "thimble_rotary_s8_mve.h"
#endif

void thimble_rotary_s8(const thimble_rotary_s8_params *p, const int8_t *x, const int8_t *rotation, int8_t *out,
                       int32_t tokens)
{
    const int32_t size = 2 * p->half * p->heads;
    for (; tokens > 0; tokens--, rotation -= 4 * p->half, x += size, out += size) {
        turn_token(p, x, rotation, out);
    }
}

/* Products with weights of four bits.
 *
 * A word holds four rows a, b, c, d at two columns, each weight as w + 8: from its lowest four bits on b, d', a, c',
 * b', d, a', c, where ' marks the second column. Three instructions take out [a' b' | a b], [c d | c' d'] and [b c | b'
 * c'], and three SMLAD sum 256 A + B, 256 C + D and 256 B + 16 C. B modulo 2^8 is in the first, with it C modulo 2^12
 * in the third, with that D modulo 2^20 in the second: all of it, as the compiler proves |D| < 2^19, and then C, B and
 * A. */
#include "thimble_packed_rows.h"

/* 8 times the sum of x, which the 8 in w + 8 adds. */
static inline int32_t excess_of(const int16_t *x, int32_t columns)
{
    int32_t excess;
    __builtin_memcpy(&excess, x + columns, 4);
    return excess / 16;
}

#ifndef THIMBLE_DSP

void thimble_fully_connected_nibbles_s8(const thimble_fully_connected_nibbles_s8_params *p, const int16_t *x,
                                        int8_t *out)
{
    const int32_t columns = (p->depth + 3) & ~3, excess = excess_of(x, columns), *constants = p->constants;
    const uint32_t *weights = p->weights;
    const int32_t zero = 2 * p->out_zero_point + 1;
    for (int8_t *const end = out + p->rows; out < end; out += 4) {
        int32_t a = -excess, b = -excess, c = -excess, d = -excess;
        for (const int16_t *at = x; at != x + columns; at += 2) {
            const uint32_t word = *weights++;
            b += (int32_t)(word & 15) * at[0] + (int32_t)(word >> 16 & 15) * at[1];
            d += (int32_t)(word >> 20 & 15) * at[0] + (int32_t)(word >> 4 & 15) * at[1];
            a += (int32_t)(word >> 8 & 15) * at[0] + (int32_t)(word >> 24 & 15) * at[1];
            c += (int32_t)(word >> 28) * at[0] + (int32_t)(word >> 12 & 15) * at[1];
        }
        int32_t twice[4] = {2 * a, 2 * b, 2 * c, 2 * d};
        for (int32_t i = 0; p->biased && i < 4; i++) {
            twice[i] += *constants++;
        }
        const uint32_t shifts = (uint32_t)constants[4];
        for (int32_t i = 0; i < 4; i++) {
            out[i] = thimble_requantize_s8(twice[i], constants[i], (int32_t)(shifts >> 8 * i & 0xff), zero);
        }
        constants += 5;
    }
}

#else
#include "thimble_fully_connected_nibbles_s8_dsp.h"
#endif

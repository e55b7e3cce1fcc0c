#include "thimble_fixed_point_s16.h"
#include "thimble_kernels_s16.h"

/* round(x * multiplier / 2^shift), halves towards +infinity: in steps of 1 / (3 * 4096). */
static inline int32_t rescale(int32_t x, int32_t multiplier, int32_t shift)
{
    return (x * multiplier + (shift > 0 ? 1 << (shift - 1) : 0)) >> shift;
}

/* The table's value at magnitude / 2^bits, with `bits` fractional bits more; `largest` beyond the table. */
static inline int32_t look_up(const uint16_t *table, int32_t magnitude, int32_t bits, int32_t largest)
{
    const int32_t at = magnitude >> bits;
    if (at >= 255) {
        return largest;
    }
    return table[at] * (1 << bits) + (magnitude & ((1 << bits) - 1)) * (table[at + 1] - table[at]);
}

void thimble_logistic_s16(const uint16_t *table, int32_t multiplier, int32_t shift, const int16_t *in, int16_t *out,
                          int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        const int32_t x = rescale(in[i], multiplier, shift);
        const int32_t half = look_up(table, x < 0 ? -x : x, 9, 0x7fff << 10);
        out[i] = (int16_t)((x >= 0 ? half + (1 << 9) : (1 << 25) - half + (1 << 9) - 1) >> 10);
    }
}

void thimble_tanh_s16(const uint16_t *table, int32_t multiplier, int32_t shift, const int16_t *in, int16_t *out,
                      int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        const int32_t x = rescale(in[i], multiplier, shift);
        const int32_t half = look_up(table, x < 0 ? -x : x, 8, 0xffff << 8);
        out[i] = (int16_t)((x >= 0 ? half - (1 << 23) + (1 << 7) : -half + (1 << 23) + (1 << 7) - 1) >> 8);
    }
}

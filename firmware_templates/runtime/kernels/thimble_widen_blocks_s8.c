#include <string.h>

#include "thimble_fixed_point.h"
#include "thimble_kernels.h"

#if defined(__ARM_FEATURE_DSP) && !defined(THIMBLE_PLAIN_C)

/* Four inputs; returns excess less 256 times their sum. */
static inline int32_t widen_four(const int8_t *in, int32_t offset, int32_t *out, int32_t excess)
{
    const int16x2_t both = (int16x2_t)((uint32_t)offset << 16 | ((uint32_t)offset & 0xffff));
    const int16x2_t factors = (int16x2_t)0xff00ff00;
    int32_t four;
    memcpy(&four, in, 4);
    int16x2_t even, odd, first, second;
    __asm__("sxtab16 %0, %1, %2" : "=r"(even) : "r"(both), "r"(four));
    __asm__("sxtab16 %0, %1, %2, ror #8" : "=r"(odd) : "r"(both), "r"(four));
    __asm__("pkhbt %0, %1, %2, lsl #16" : "=r"(first) : "r"(even), "r"(odd));
    __asm__("pkhtb %0, %1, %2, asr #16" : "=r"(second) : "r"(odd), "r"(even));
    out[0] = __sadd16(first, first);
    out[1] = __sadd16(second, second);
    return __smlad(even, factors, __smlad(odd, factors, excess));
}

#else

static inline int32_t widen_four(const int8_t *in, int32_t offset, int32_t *out, int32_t excess)
{
    int16_t wide[4];
    for (int32_t i = 0; i < 4; i++) {
        wide[i] = (int16_t)(2 * (in[i] + offset));
        excess -= 128 * wide[i];
    }
    memcpy(out, wide, 8);
    return excess;
}

#endif

/* As many inputs as whole blocks have, up to `end`. */
static inline void widen_blocks(const int8_t *in, const int8_t *end, int32_t offset, int32_t *out, int32_t columns)
{
    for (; in != end; in += columns, out += 1 + columns / 2) {
        int32_t excess = widen_four(in, offset, out + 1, 0);
        if (columns == 8) {
            excess = widen_four(in + 4, offset, out + 3, excess);
        }
        out[0] = excess;
    }
}

void thimble_widen_blocks_s8(const int8_t *in, int32_t offset, int32_t *out, int32_t depth, int32_t columns)
{
    const int32_t left = depth & (columns - 1);
    if (columns == 8) {
        widen_blocks(in, in + depth - left, offset, out, 8);
    } else {
        widen_blocks(in, in + depth - left, offset, out, 4);
    }
    if (left) {
        int8_t last[8];
        for (int32_t i = 0; i < columns; i++) {
            last[i] = (int8_t)(i < left ? in[depth - left + i] : -offset);
        }
        widen_blocks(last, last + columns, offset, out + depth / columns * (1 + columns / 2), columns);
    }
}

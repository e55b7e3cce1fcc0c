/* Requantization of 64-bit sums to int16, rounded once with a multiplier of 16 bits, exactly as TensorFlow Lite Micro does;
 * and int16 variants of what thimble_fixed_point.h has. */
#ifndef THIMBLE_FIXED_POINT_S16_H
#define THIMBLE_FIXED_POINT_S16_H

#include "thimble_fixed_point.h"

/* x limited to -32768..32767. */
static inline int16_t thimble_saturate_s16(int32_t x)
{
#if defined(__ARM_FEATURE_SAT) && !defined(THIMBLE_PLAIN_C)
    int32_t limited;
    __asm__("ssat %0, #16, %1" : "=r"(limited) : "r"(x));
    return (int16_t)limited;
#else
    return (int16_t)(x < -32768 ? -32768 : x > 32767 ? 32767 : x);
#endif
}

/* round(x * multiplier * 2^(shift - 15)), halves towards +infinity, for a multiplier of 16 bits; |x| < 2^47, -31 <= shift <= 7. */
static inline int32_t thimble_requantize_s16(int64_t x, int32_t multiplier, int32_t shift)
{
    const int32_t right = 15 - shift;
    return (int32_t)((x * multiplier + ((int64_t)1 << (right - 1))) >> right);
}

/* round(x * multiplier / 2^32), halves towards +infinity. */
static inline int32_t thimble_high_word(int32_t x, int32_t multiplier)
{
    return thimble_high_multiply(x, multiplier);
}

/* As thimble_multiply of a * b, for a shift <= 0. a * b may be 2^30, which cannot be doubled in 32 bits; its negative can. */
static inline int32_t thimble_scale_product(thimble_scaler s, int32_t a, int32_t b)
{
#if defined(__ARM_FEATURE_DSP) && !defined(THIMBLE_PLAIN_C)
    int32_t high;
    const int32_t doubled = (int32_t)((uint32_t)(-a * b) << 1);
    __asm__("smmlsr %0, %1, %2, %3" : "=r"(high) : "r"(doubled), "r"(s.multiplier), "r"(0));
#else
    const int32_t high = thimble_doubling_high_multiply(a * b, s.multiplier);
#endif
    return (high + ((high >> 31) & s.toward) + s.half) >> s.right;
}

/* The value between two of a table's 513, by the low 7 bits of x. */
static inline int32_t thimble_interpolate_s16(const int16_t *table, int32_t x)
{
    const int16_t *at = table + 256 + (x >> 7);
    return at[0] + (((at[1] - at[0]) * (x & 127) + 64) >> 7);
}

#endif

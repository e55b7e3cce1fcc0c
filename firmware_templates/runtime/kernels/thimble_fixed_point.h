/* Requantization: 32-bit accumulators to int8, exactly as TensorFlow Lite Micro rounds (twice).
 *
 * A real multiplier is multiplier * 2^(shift - 31) with multiplier in [2^30, 2^31), or 0. */
#ifndef THIMBLE_FIXED_POINT_H
#define THIMBLE_FIXED_POINT_H

#include "thimble_bodies.h"
#include "thimble_kernels.h"

/* C leaves a right shift of a negative number to the compiler. The kernels count on the arithmetic one, which GCC,
 * clang and all others for these cores define; another does not compile this. */
typedef char thimble_right_shifts_keep_the_sign[-1 >> 1 == -1 ? 1 : -1];

/* round(a * b / 2^31), halves towards +infinity; not both INT32_MIN. */
static inline int32_t thimble_doubling_high_multiply(int32_t a, int32_t b)
{
    return (int32_t)(((int64_t)a * b + (1 << 30)) >> 31);
}

/* round(x / 2^n), halves away from zero; 0 <= n <= 31. */
static inline int32_t thimble_rounding_divide(int32_t x, int32_t n)
{
    if (n == 0) {
        return x;
    }
    const int64_t half = (int64_t)1 << (n - 1);
    return (int32_t)((x + half + (x >> 31)) >> n);
}

/* x * multiplier * 2^(shift - 31); -31 <= shift <= 30, and |x| * 2^max(shift, 0) < 2^31. */
static inline THIMBLE_HOT(thimble_multiply) int32_t thimble_multiply(int32_t x, int32_t multiplier, int32_t shift)
{
    if (shift > 0) {
        return thimble_doubling_high_multiply((int32_t)((uint32_t)x << shift), multiplier);
    }
    return thimble_rounding_divide(thimble_doubling_high_multiply(x, multiplier), -shift);
}

/* round(2 * x * multiplier / 2^32) for |x| < 2^30: one instruction on cores that have it. */
static inline int32_t thimble_high_multiply(int32_t doubled_x, int32_t multiplier)
{
#ifdef THIMBLE_DSP
    int32_t high;
    __asm__("smmulr %0, %1, %2" : "=r"(high) : "r"(doubled_x), "r"(multiplier));
    return high;
#else
    const int64_t product = (int64_t)doubled_x * multiplier;
    return (int32_t)(product >> 32) + (int32_t)((uint32_t)product >> 31); /* a sum of 64 bits takes more */
#endif
}

static inline thimble_scaler thimble_prepare(int32_t multiplier, int32_t shift)
{
    const int32_t right = shift < 0 ? -shift : 0;
    return (thimble_scaler){multiplier, shift > 0 ? shift + 1 : 1, right, right ? 1 << (right - 1) : 0, right ? -1 : 0};
}

/* As thimble_multiply of half of doubled_x, for a shift <= 0. */
static inline int32_t thimble_scale_doubled(thimble_scaler s, int32_t doubled_x)
{
    const int32_t high = thimble_high_multiply(doubled_x, s.multiplier);
    return (high + ((high >> 31) & s.toward) + s.half) >> s.right;
}

/* As thimble_multiply, for |x| * 2^max(shift, 0) < 2^30. */
static inline int32_t thimble_scale(thimble_scaler s, int32_t x)
{
    return thimble_scale_doubled(s, (int32_t)((uint32_t)x << s.left));
}

/* x limited to -128..127. */
static inline int8_t thimble_saturate_s8(int32_t x)
{
#ifdef THIMBLE_SAT
    int32_t limited;
    __asm__("ssat %0, #8, %1" : "=r"(limited) : "r"(x));
    return (int8_t)limited;
#else
    return (int8_t)(x < -128 ? -128 : x > 127 ? 127 : x);
#endif
}

/* x below 2^31 limited to 255. */
static inline int32_t thimble_saturate_u8(uint32_t x)
{
#ifdef THIMBLE_SAT
    int32_t limited;
    __asm__("usat %0, #8, %1" : "=r"(limited) : "r"(x));
    return limited;
#else
    return x > 255 ? 255 : (int32_t)x;
#endif
}

/* thimble_multiply of half of doubled_x, plus the zero point, limited to -128..127; |doubled_x| < 2^31, for a right
 * shift of 1 to 31. The shift is done but for its last bit, then half and zero point enter, then the last bit goes. */
static inline int8_t thimble_requantize_s8(int32_t doubled_x, int32_t multiplier, int32_t right_shift_less_one,
                                           int32_t twice_zero_point_plus_one)
{
    const int32_t high = thimble_high_multiply(doubled_x, multiplier);
    const int32_t doubled = ((high + (high >> 31)) >> right_shift_less_one) + twice_zero_point_plus_one;
#ifdef THIMBLE_SAT
    int32_t limited;
    __asm__("ssat %0, #8, %1, asr #1" : "=r"(limited) : "r"(doubled));
    return (int8_t)limited;
#else
    return thimble_saturate_s8(doubled >> 1);
#endif
}

static inline int32_t thimble_clamp(int32_t x, int32_t low, int32_t high)
{
    return x < low ? low : x > high ? high : x;
}

#endif

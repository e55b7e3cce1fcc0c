/* Requantization: 32-bit accumulators to int8, exactly as TensorFlow Lite Micro rounds (twice).
 *
 * A real multiplier is multiplier * 2^(shift - 31) with multiplier in [2^30, 2^31), or 0. */
#ifndef THIMBLE_FIXED_POINT_H
#define THIMBLE_FIXED_POINT_H

#include <stdint.h>

#if defined(__ARM_FEATURE_DSP)
#include <arm_acle.h>
#endif

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
static inline int32_t thimble_multiply(int32_t x, int32_t multiplier, int32_t shift)
{
    if (shift > 0) {
        return thimble_doubling_high_multiply((int32_t)((uint32_t)x << shift), multiplier);
    }
    return thimble_rounding_divide(thimble_doubling_high_multiply(x, multiplier), -shift);
}

/* As thimble_multiply, for |x| < 2^30 and right_shift = -shift in 1..30: the form that costs fewest instructions. */
static inline int32_t thimble_scale_down(int32_t x, int32_t multiplier, int32_t right_shift)
{
#if defined(__ARM_FEATURE_DSP)
    int32_t high;
    __asm__("smmulr %0, %1, %2" : "=r"(high) : "r"(x * 2), "r"(multiplier));
#else
    const int32_t high = thimble_doubling_high_multiply(x, multiplier);
#endif
    return (high + (high >> 31) + (1 << (right_shift - 1))) >> right_shift;
}

static inline int32_t thimble_clamp(int32_t x, int32_t low, int32_t high)
{
    return x < low ? low : x > high ? high : x;
}

#endif

/* Requantization of 64-bit sums to int16, rounded once with a multiplier of 16 bits, exactly as TensorFlow Lite Micro
 * does; and int16 variants of what thimble_fixed_point.h has. */
#ifndef THIMBLE_FIXED_POINT_S16_H
#define THIMBLE_FIXED_POINT_S16_H

#include "thimble_fixed_point.h"

/* x limited to -32768..32767. */
static inline int16_t thimble_saturate_s16(int32_t x)
{
#ifdef THIMBLE_SAT
    int32_t limited;
    __asm__("ssat %0, #16, %1" : "=r"(limited) : "r"(x));
    return (int16_t)limited;
#else
    return (int16_t)(x < -32768 ? -32768 : x > 32767 ? 32767 : x);
#endif
}

/* round(x * multiplier * 2^(shift - 15)), halves towards +infinity, for a multiplier of 16 bits; |x| < 2^47, -31 <=
 * shift <= 7. */
static inline int32_t thimble_requantize_s16(int64_t x, int32_t multiplier, int32_t shift)
{
    const int32_t right = 15 - shift;
    return (int32_t)((x * multiplier + ((int64_t)1 << (right - 1))) >> right);
}

/* round(x * multiplier / 2^32), halves towards +infinity: the same for a sum of 32 bits, where 15 - shift is 16..32 and
 * the multiplier is shifted left by 17 + shift. */
static inline int32_t thimble_high_word(int32_t x, int32_t multiplier)
{
    return thimble_high_multiply(x, multiplier);
}

/* The same for a sum of 64 bits in a loop: its two words are multiplied apart. The result fits 32 bits. */
typedef struct {
    int32_t multiplier; /* shifted left so that the high word of the product counts, as far as 32 bits allow */
    int32_t right;      /* what the result is shifted beyond that */
    uint64_t half;      /* of what all shifts drop */
} thimble_wide_scaler;

static inline thimble_wide_scaler thimble_prepare_wide(int32_t multiplier, int32_t shift)
{
    const int32_t right = 15 - shift, left = right < 32 ? 32 - right : 0;
    return (thimble_wide_scaler){multiplier << left, right + left - 32, (uint64_t)1 << (right + left - 1)};
}

static inline int32_t thimble_scale_wide(thimble_wide_scaler s, int64_t x)
{
    const uint64_t low = (uint64_t)(uint32_t)x * (uint32_t)s.multiplier + s.half;
    return ((int32_t)(x >> 32) * s.multiplier + (int32_t)(low >> 32)) >> s.right;
}

/* As thimble_multiply of half of doubled_x, for a shift of -right, 1 <= right <= 31. */
static inline int32_t thimble_scale_down(int32_t doubled_x, int32_t multiplier, int32_t right)
{
    const int32_t high = thimble_high_multiply(doubled_x, multiplier);
    return (high + (high >> 31) + (1 << (right - 1))) >> right;
}

/* out[i] limited to low..high. */
static inline void thimble_limit_s16(int16_t *out, int32_t count, int32_t low, int32_t high)
{
    if (low > -32768 || high < 32767) {
        for (int32_t i = 0; i < count; i++) {
            out[i] = (int16_t)thimble_clamp(out[i], low, high);
        }
    }
}

/* As thimble_multiply of a * b, for a shift <= 0. a * b may be 2^30, which cannot be doubled in 32 bits; its negative
 * can. */
static inline int32_t thimble_scale_product(thimble_scaler s, int32_t a, int32_t b)
{
#ifdef THIMBLE_DSP
    int32_t high;
    const int32_t doubled = (int32_t)((uint32_t)(-a * b) << 1);
    __asm__("smmlsr %0, %1, %2, %3" : "=r"(high) : "r"(doubled), "r"(s.multiplier), "r"(0));
#else
    const int32_t high = thimble_doubling_high_multiply(a * b, s.multiplier);
#endif
    return (high + ((high >> 31) & s.toward) + s.half) >> s.right;
}

/* The value between two of a table's 513, by the low 7 bits of x. */
static inline THIMBLE_HOT(thimble_interpolate_s16) int32_t thimble_interpolate_s16(const int16_t *table, int32_t x)
{
    const int16_t *at = table + 256 + (x >> 7);
    return at[0] + (((at[1] - at[0]) * (x & 127) + 64) >> 7);
}

#endif

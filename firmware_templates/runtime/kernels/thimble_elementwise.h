/* Products and sums of two int8 values, as parts of kernels. */
#ifndef THIMBLE_ELEMENTWISE_H
#define THIMBLE_ELEMENTWISE_H

#include "thimble_fixed_point.h"
#include "thimble_kernels.h"

#if defined(__ARM_FEATURE_DSP) && !defined(THIMBLE_PLAIN_C)
#define THIMBLE_ELEMENTWISE_DSP 1

/* thimble_requantize_s8 of a register, with multiplier, shift and zero point in others. */
#define THIMBLE_TO_S8(x, multiplier, shift, zero)         \
    "smmulr " x ", " x ", " multiplier "\n\t"             \
    "add " x ", " x ", " x ", asr #31\n\t"                \
    "asr " x ", " x ", " shift "\n\t"                     \
    "add " x ", " x ", " zero "\n\t"                      \
    "ssat " x ", #8, " x ", asr #1\n\t"

/* An asm loop over pairs of elements: `pair` advances %[out] by 2. */
#define THIMBLE_PAIRS_LOOP(pair) "1:\n\t" pair "cmp %[out], %[end]\n\tbne 1b\n"
#endif

/* The int8 of a doubled product. */
static inline int8_t thimble_scale_product(const thimble_product_scale *s, int32_t doubled)
{
    return thimble_requantize_s8(doubled, s->multiplier, s->right_shift_less_one, s->twice_zero_point_plus_one);
}

/* The int8 of a sum. */
static inline int8_t thimble_scale_sum(const thimble_sum_scale *s, int32_t x, int32_t y)
{
    const int32_t high = thimble_high_multiply(y * s->y_factor + s->y_base, s->y_multiplier);
    const int32_t doubled = (((high + (high >> 31)) >> s->y_right_less_one) + 1) & ~1;
    return thimble_scale_product(&s->out, x * s->x_factor + s->x_base + doubled * s->y_sign);
}

#endif

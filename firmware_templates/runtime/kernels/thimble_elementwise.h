/* Products and sums of two int8 values, as parts of kernels. */
#ifndef THIMBLE_ELEMENTWISE_H
#define THIMBLE_ELEMENTWISE_H

#include "thimble_fixed_point.h"
#include "thimble_kernels.h"

#ifdef THIMBLE_DSP

/* What a product is shifted by, 1..22, and what is added before: half of a step, and the zero point. */
static inline int32_t thimble_shift_of(const thimble_product_scale *s)
{
    return s->right_shift_less_one + 1;
}

static inline int32_t thimble_addend_of(const thimble_product_scale *s)
{
    return s->twice_zero_point_plus_one * (1 << s->right_shift_less_one);
}

/* A doubled value rounded by a shift as TensorFlow Lite Micro does, twice; `high` is a register for the value in
 * between, and may be the addend's. Halves go away from zero: the sign is that of x, for where x < 0 and its high
 * product is 0 the result is that of 0 either way. |x| < 2^30, so with a shift of up to 22 the addend leaves room. */
#define THIMBLE_ROUND(x, high, multiplier, shift, addend)    \
    "smmlar " high ", " x ", " multiplier ", " addend "\n\t" \
    "add " x ", " high ", " x ", asr #31\n\t"                \
    "asr " x ", " x ", " shift "\n\t"

/* thimble_requantize_s8. */
#define THIMBLE_TO_S8(x, high, multiplier, shift, addend) \
    THIMBLE_ROUND(x, high, multiplier, shift, addend)     \
    "ssat " x ", #8, " x "\n\t"

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

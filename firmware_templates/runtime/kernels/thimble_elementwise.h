/* Products and sums of two int8 values, as parts of kernels. */
#ifndef THIMBLE_ELEMENTWISE_H
#define THIMBLE_ELEMENTWISE_H

#include "thimble_fixed_point.h"
#include "thimble_kernels.h"

/* The int8 of a doubled product. */
static inline int8_t thimble_scale_product(const thimble_product_scale *s, int32_t doubled)
{
    return thimble_requantize_s8(doubled, s->multiplier, s->right_shift_less_one, s->twice_zero_point_plus_one);
}

/* The int8 of a sum. */
static inline int8_t thimble_scale_sum(const thimble_sum_scale *s, int32_t x, int32_t y)
{
    const int32_t high = thimble_high_multiply((int32_t)((uint32_t)y << 21) + s->y_base, s->y_multiplier);
    const int32_t scaled = (high + ((high >> 31) & s->y_toward) + s->y_half) >> s->y_right;
    return thimble_scale_product(&s->out, x * s->x_factor + s->x_base + scaled * s->y_sign);
}

#endif
